package row_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

const id = "8d9a4f7e-3f6f-4c8e-9d52-0d6f6a5f7b01"

func keys(t testing.TB) *seal.Keys {
	t.Helper()
	k, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func full() *specimenv1.Ticket {
	deadline := timestamppb.New(time.Date(2026, 3, 2, 1, 2, 3, 4000, time.UTC))
	m := specimen.Ticket(id, "N-1", "court", deadline)
	m.Standing.OfferedTo = "health"
	m.AmountFen, m.Day, m.Remark, m.Count, m.Overdue = 12345, "2026-02-28", "internal-remark", 3, true
	m.Officer = &specimenv1.Person{Name: "officer-name", Title: "officer-title"}
	m.Child = &specimenv1.Person{Name: "child-name", Title: "child-title"}
	m.Lines = []*specimenv1.Line{{Position: 1, Seen: "seen-detail"}, {Position: 2}}
	m.Labels = map[string]string{"label-key": "label-value"}
	m.Found = &specimenv1.Ticket_FoundHow{FoundHow: "found-how"}
	return m
}

// column gives the encoded value of a named column.
func column(t *testing.T, m *specimenv1.Ticket, name string) any {
	t.Helper()
	table := specimen.Tickets()
	args, err := table.Encode(m, keys(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range table.Names() {
		if n == name {
			return args[i]
		}
	}
	t.Fatalf("no column %s", name)
	return nil
}

func TestEachClassIsKeptInItsOwnColumnOnly(t *testing.T) {
	t.Parallel()
	m := full()
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "unknown-top"))
	home := map[string]string{
		"internal-remark": "body", "officer-title": "body",
		"officer-name": "sealed_personal", "label-value": "sealed_personal",
		"child-name": "sealed_minor_identity", "child-title": "sealed_minor_identity",
		"seen-detail": "sealed_abuse_detail", "found-how": "sealed_abuse_detail", "unknown-top": "sealed_abuse_detail",
	}
	parts := []string{"body", "sealed_personal", "sealed_minor_identity", "sealed_abuse_detail"}
	for value, want := range home {
		for _, part := range parts {
			stored, _ := column(t, m, part).([]byte)
			if got := bytes.Contains(stored, []byte(value)); got != (part == want) {
				t.Errorf("%s in %s: %v", value, part, got)
			}
		}
	}
}

func TestColumnsAreNotRepeatedInTheBody(t *testing.T) {
	t.Parallel()
	body, _ := column(t, full(), "body").([]byte)
	for _, value := range []string{id, "N-1", "court", "health", "2026-02-28"} {
		if bytes.Contains(body, []byte(value)) {
			t.Errorf("%s is a column and still in the body", value)
		}
	}
}

func TestTheReporterMayNotEnterARow(t *testing.T) {
	t.Parallel()
	m := full()
	m.Reporter = "somebody"
	if _, err := specimen.Tickets().Encode(m, keys(t)); err == nil || strings.Contains(err.Error(), "somebody") {
		t.Fatalf("a reporter's identity was accepted, or repeated in the error: %v", err)
	}
}

func TestAMessageWithoutHigherClassesHasNoSealedColumns(t *testing.T) {
	t.Parallel()
	m := specimen.Ticket(id, "N-1", "court", timestamppb.Now())
	for _, part := range []string{"sealed_personal", "sealed_minor_identity", "sealed_abuse_detail"} {
		if stored, _ := column(t, m, part).([]byte); stored != nil {
			t.Errorf("%s is not NULL", part)
		}
	}
}

// Every message comes back from the database as it went in, fields this build does not know included.
func TestRowsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t, specimen.Migrations())
	table, k := specimen.Tickets(), keys(t)
	word := rapid.StringMatching(`[a-z\p{Han}]{0,12}`)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		m := full()
		m.Standing.Id = uuidFor(n)
		m.Standing.MatterId = m.Standing.GetId()
		m.Number, m.Remark = word.Draw(r, "number"), word.Draw(r, "remark")
		if m.Number != "" {
			m.Number += m.Standing.GetId()
		}
		m.AmountFen = rapid.Int64Min(0).Draw(r, "amount")
		m.Child.Name, m.Officer = word.Draw(r, "child"), nil
		if rapid.Bool().Draw(r, "closed") {
			custody.Close(m.GetStanding())
			m.State = specimenv1.Ticket_STATE_CLOSED
		}
		if rapid.Bool().Draw(r, "when") {
			m.Found = &specimenv1.Ticket_FoundTime{FoundTime: timestamppb.New(time.UnixMicro(rapid.Int64Range(0, 1e15).Draw(r, "found")))}
		}
		if rapid.Bool().Draw(r, "unknown") {
			unknown := protowire.AppendVarint(protowire.AppendTag(nil, 901, protowire.VarintType), 42)
			m.ProtoReflect().SetUnknown(unknown)
			m.Child.ProtoReflect().SetUnknown(unknown)
		}
		table.Stamp(m, 1, time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
		want := proto.Clone(m)
		args, err := table.Encode(m, k)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, proto.Message(m), protocmp.Transform()); diff != "" {
			r.Fatalf("Encode changed the message: %s", diff)
		}
		if _, err := db.Exec(t.Context(), insertSQL(table), append(args, "")...); err != nil {
			r.Fatal(err)
		}
		got, err := row.Get(t.Context(), db, k, table, m.GetStanding().GetId())
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, proto.Message(got), protocmp.Transform()); diff != "" {
			r.Fatal(diff)
		}
	})
}

func TestAnAbsentRowIsNotFound(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t, specimen.Migrations())
	if _, err := row.Get(t.Context(), db, keys(t), specimen.Notes(), id); !fault.Is(err, faultv1.Reason_REASON_NOT_FOUND) {
		t.Fatalf("got %v", err)
	}
}

func TestHeadAndEtagFollowTheVersion(t *testing.T) {
	t.Parallel()
	table, m := specimen.Tickets(), full()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	table.Stamp(m, 1, now)
	first := m.GetStanding().GetEtag()
	table.Stamp(m, 2, now.Add(time.Hour))
	head := table.Head(m)
	if head.Version != 2 || head.State != "OPEN" || !head.UpdateTime.Equal(now.Add(time.Hour)) || !m.GetCreateTime().AsTime().Equal(now) {
		t.Errorf("head %+v", head)
	}
	if second := m.GetStanding().GetEtag(); second == first || second != row.Etag(2) {
		t.Errorf("etags %q, %q", first, second)
	}
	if _, ok := any(head.Standing).(*custodyv1.Standing); !ok || head.Standing != m.GetStanding() {
		t.Error("the head's standing is a copy")
	}
}

func insertSQL(table *row.Table[*specimenv1.Ticket]) string {
	var values []string
	for i, sqlType := range append(table.Types(), "text") {
		values = append(values, "$"+strconv.Itoa(i+1)+"::"+sqlType)
	}
	return "INSERT INTO ticket (" + strings.Join(append(table.Names(), "trace"), ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
}

func uuidFor(n int) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(strconv.Itoa(n))).String() }
