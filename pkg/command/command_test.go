package command_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// desk is a small service: it opens tickets, counts on them, hands them over.
type desk struct {
	*command.Engine
	tickets *row.Table[*specimenv1.Ticket]
	notes   *row.Table[*specimenv1.Note]
}

func newDesk(t *testing.T, db *pgxpool.Pool) *desk {
	t.Helper()
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &desk{
		Engine: &command.Engine{
			DB: db, Keys: keys, Service: "specimen", Now: func() time.Time { return noon },
			Constraints: map[string]func() *fault.Error{
				"ticket_number": func() *fault.Error { return fault.New(specimenv1.Reason_REASON_NUMBER_TAKEN, "the number is taken") },
			},
		},
		tickets: specimen.Tickets(), notes: specimen.Notes(),
	}
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	return newDesk(t, pgtest.Database(t, specimen.Migrations()))
}

func call(unit, method string, request *specimenv1.ChangeTicketRequest) command.Call {
	return command.Call{
		Caller: unit + "/main", Method: method, RequestID: request.GetRequestId(), Request: request, ValidateOnly: request.GetValidateOnly(),
		Actor: command.Actor{Unit: unit, System: "main", Purpose: accessv1.Purpose_PURPOSE_SERVICE_DELIVERY},
	}
}

func answer(m *specimenv1.Ticket) *specimenv1.ChangeTicketResponse {
	return &specimenv1.ChangeTicketResponse{Standing: m.GetStanding(), State: m.GetState()}
}

func (d *desk) open(ctx context.Context, request *specimenv1.ChangeTicketRequest) (*specimenv1.ChangeTicketResponse, error) {
	return command.Create(ctx, d.Engine, call("court", "open", request), d.tickets, func(c *command.Change) (*specimenv1.Ticket, error) {
		m := specimen.Ticket(c.ID(""), request.GetNumber(), "court", timestamppb.New(c.Now.Add(time.Hour)))
		m.Remark = request.GetRemark()
		c.Happened("opened")
		return m, nil
	}, answer)
}

// count adds one to a ticket. Only the holder may.
func (d *desk) count(ctx context.Context, unit string, request *specimenv1.ChangeTicketRequest) (*specimenv1.ChangeTicketResponse, error) {
	return command.Update(ctx, d.Engine, call(unit, "count", request), d.tickets, request.GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
		if m.GetStanding().GetHolder() != unit {
			return fault.NotFound()
		}
		m.Count++
		c.Happened("counted")
		return nil
	}, answer)
}

// hand moves a ticket to health, which takes away the holder's right to do so again.
func (d *desk) hand(ctx context.Context, unit string, request *specimenv1.ChangeTicketRequest) (*specimenv1.ChangeTicketResponse, error) {
	return command.Update(ctx, d.Engine, call(unit, "hand", request), d.tickets, request.GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
		if m.GetStanding().GetHolder() != unit {
			return fault.NotFound()
		}
		custody.Set(m.GetStanding(), "health", c.Now.Add(time.Hour), "need.accept")
		c.Happened("handed")
		return nil
	}, answer)
}

func (d *desk) mustOpen(t *testing.T, number string) *specimenv1.ChangeTicketResponse {
	t.Helper()
	opened, err := d.open(t.Context(), &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Number: number})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func (d *desk) ticket(t *testing.T, id string) *specimenv1.Ticket {
	t.Helper()
	m, err := row.Get(t.Context(), d.DB, d.Keys, d.tickets, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tally counts the rows of every table a command may write.
func (d *desk) tally(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, table := range []string{"ticket", "note", "idempotency", "custody", "outbox", "access_grant", "audit"} {
		var n int
		if err := d.DB.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out[table] = n
	}
	return out
}

func same(t *testing.T, want, got proto.Message) {
	t.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func refused(t *testing.T, err error, reason fault.Reason) {
	t.Helper()
	if !fault.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
	}
}

func TestOneEffectLeavesItsWholeTrail(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	want := map[string]int{"ticket": 1, "note": 0, "idempotency": 1, "custody": 1, "outbox": 1, "access_grant": 1, "audit": 1}
	if diff := cmp.Diff(want, d.tally(t)); diff != "" {
		t.Error(diff)
	}
	if s := opened.GetStanding(); s.GetVersion() != 1 || s.GetHolder() != "court" || s.GetEtag() == "" || s.GetMatterId() == "" {
		t.Errorf("standing %v", s)
	}
	var typ, kind, traceparent string
	var audience []string
	if err := d.DB.QueryRow(t.Context(), "SELECT type, subject_kind, audience, traceparent FROM outbox").Scan(&typ, &kind, &audience, &traceparent); err != nil {
		t.Fatal(err)
	}
	if typ != "ticket.opened" || kind != "ticket" || !cmp.Equal(audience, []string{"court"}) {
		t.Errorf("event %s of %s for %v", typ, kind, audience)
	}
}

func TestARetryIsAnsweredFromTheFirstEffect(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Number: "N-1", Labels: map[string]string{"a": "1", "b": "2"}}
	first, err := d.open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	before := d.tally(t)
	again, err := d.open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	same(t, first, again)
	if diff := cmp.Diff(before, d.tally(t)); diff != "" {
		t.Error(diff)
	}
}

func TestARetrySucceedsAfterTheCommandTookAwayTheRight(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()}
	first, err := d.hand(t.Context(), "court", request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.hand(t.Context(), "court", request)
	if err != nil {
		t.Fatalf("the retry was refused: %v", err)
	}
	same(t, first, again)
	_, err = d.hand(t.Context(), "court", &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()})
	refused(t, err, faultv1.Reason_REASON_NOT_FOUND)
}

func TestARequestIDCannotBeUsedForAnotherContent(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Number: "N-1"}
	if _, err := d.open(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	before := d.tally(t)
	request.Remark = "other"
	_, err := d.open(t.Context(), request)
	refused(t, err, faultv1.Reason_REASON_REQUEST_ID_REUSED)
	if diff := cmp.Diff(before, d.tally(t)); diff != "" {
		t.Error(diff)
	}
}

func TestAStaleEtagChangesNothing(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	id, etag := opened.GetStanding().GetId(), opened.GetStanding().GetEtag()
	if _, err := d.count(t.Context(), "court", &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: id, Etag: etag}); err != nil {
		t.Fatal(err)
	}
	before := d.tally(t)
	_, err := d.count(t.Context(), "court", &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: id, Etag: etag})
	refused(t, err, faultv1.Reason_REASON_ETAG_MISMATCH)
	_, err = d.count(t.Context(), "health", &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: id, Etag: etag})
	refused(t, err, faultv1.Reason_REASON_NOT_FOUND) // who may not see the row learns nothing about its version
	if diff := cmp.Diff(before, d.tally(t)); diff != "" {
		t.Error(diff)
	}
}

func TestValidateOnlyRefusesAlikeAndKeepsNothing(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	d.mustOpen(t, "N-1")
	before := d.tally(t)
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Number: "N-2", ValidateOnly: true}
	got, err := d.open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	same(t, &specimenv1.ChangeTicketResponse{}, got)
	_, err = d.open(t.Context(), &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Number: "N-1", ValidateOnly: true})
	refused(t, err, specimenv1.Reason_REASON_NUMBER_TAKEN)
	if diff := cmp.Diff(before, d.tally(t)); diff != "" {
		t.Error(diff)
	}
	request.ValidateOnly = false
	real, err := d.open(t.Context(), request)
	if err != nil {
		t.Fatalf("the request_id was consumed: %v", err)
	}
	request.ValidateOnly = true
	again, err := d.open(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	same(t, real, again)
}

func TestBusinessTimeOfAnItemNeverGoesBack(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	d.Now = func() time.Time { return noon.Add(-time.Hour) }
	if _, err := d.count(t.Context(), "court", &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()}); err != nil {
		t.Fatal(err)
	}
	if got := d.ticket(t, opened.GetStanding().GetId()).GetUpdateTime().AsTime(); got.Before(noon) {
		t.Errorf("update_time %v", got)
	}
}

func TestAnItemWithoutADeadlineCannotBeWritten(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString()}
	_, err := command.Create(t.Context(), d.Engine, call("court", "open", request), d.tickets, func(c *command.Change) (*specimenv1.Ticket, error) {
		c.Happened("opened")
		return specimen.Ticket(c.ID(""), "N-1", "court", nil), nil
	}, answer)
	if err == nil {
		t.Fatal("an item with a holder and no deadline was stored")
	}
}

func TestAnUnreachableDatabaseIsToldAndMayBeRetried(t *testing.T) {
	t.Parallel()
	db, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	_, err = newDesk(t, db).open(t.Context(), &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString()})
	refused(t, err, faultv1.Reason_REASON_UNAVAILABLE)
}
