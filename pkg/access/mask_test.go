package access_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

func ticket() *specimenv1.Ticket {
	m := &specimenv1.Ticket{
		Standing: &custodyv1.Standing{Id: "7", Holder: "police"}, Number: "T-1", Remark: "remark",
		Officer:  &specimenv1.Person{Name: "officer's name", Title: "director"},
		Child:    &specimenv1.Person{Name: "child's name", Title: "pupil"},
		Lines:    []*specimenv1.Line{{Position: 1, Seen: "what was seen"}},
		Labels:   map[string]string{"k": "label"},
		Found:    &specimenv1.Ticket_FoundTime{FoundTime: timestamppb.New(now)},
		Reporter: "reporter's name",
	}
	m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 901, protowire.VarintType), 42))
	return m
}

func TestMaskKeepsWhatTheClassAllows(t *testing.T) {
	t.Parallel()
	whole := func(edit func(*specimenv1.Ticket)) *specimenv1.Ticket {
		m := ticket()
		edit(m)
		return m
	}
	belowDetail := func(m *specimenv1.Ticket) {
		m.Lines[0].Seen, m.Found, m.Reporter = access.Mark, nil, access.Mark
		m.ProtoReflect().SetUnknown(nil)
	}
	personal := func(m *specimenv1.Ticket) { belowDetail(m); m.Child = nil }
	internal := func(m *specimenv1.Ticket) { personal(m); m.Labels, m.Officer.Name = nil, access.Mark }
	for class, want := range map[accessv1.DataClass]*specimenv1.Ticket{
		accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL:   whole(func(m *specimenv1.Ticket) { m.Reporter = access.Mark }),
		accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY: whole(belowDetail),
		accessv1.DataClass_DATA_CLASS_PERSONAL:       whole(personal),
		accessv1.DataClass_DATA_CLASS_INTERNAL:       whole(internal),
		// Outside the order: the reporter's identity alone.
		accessv1.DataClass_DATA_CLASS_REPORTER_IDENTITY: whole(func(m *specimenv1.Ticket) { internal(m); m.Reporter = "reporter's name" }),
		accessv1.DataClass_DATA_CLASS_PUBLIC:            {Number: access.Mark, Remark: access.Mark, Reporter: access.Mark},
	} {
		got := ticket()
		if !access.Mask(got, class) {
			t.Errorf("%v: nothing masked", class)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%v: %s", class, diff)
		}
		if access.Mask(got, accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL) && got.GetReporter() == "" {
			t.Errorf("%v: masking twice changes more", class)
		}
	}
}

func TestMaskSaysWhenThereWasNothingToHide(t *testing.T) {
	t.Parallel()
	m := &specimenv1.Ticket{Number: "T-1", Officer: &specimenv1.Person{Title: "director"}}
	want := proto.Clone(m)
	if access.Mask(m, accessv1.DataClass_DATA_CLASS_INTERNAL) || !proto.Equal(m, want) {
		t.Errorf("masked %v", m)
	}
}

func TestLogsNeverShowMoreThanInternal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := ticket()
	r := access.Redacted{Message: m}
	slog.New(slog.NewTextHandler(&out, nil)).Info("call", "request", r)
	fmt.Fprintf(&out, "%v %+v %s", r, r, r)
	for _, secret := range []string{"officer's", "child's", "seen\"", "what was", "label", "reporter's"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log shows %q: %s", secret, out.String())
		}
	}
	if !strings.Contains(out.String(), "T-1") || m.GetChild().GetName() == "" {
		t.Errorf("redaction hid INTERNAL data or changed the message: %s", out.String())
	}
}
