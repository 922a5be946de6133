package command_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// closeAndFollow closes one ticket, opens another and writes a note, as one command.
func (d *desk) closeAndFollow(t *testing.T, request *specimenv1.ChangeTicketRequest, exec string, also ...command.Statement) (*specimenv1.ChangeTicketResponse, error) {
	k := call("court", "close", request)
	k.Also = also
	return command.Update(t.Context(), d.Engine, k, d.tickets, request.GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
		m.State = specimenv1.Ticket_STATE_CLOSED
		custody.Close(m.GetStanding())
		c.Happened("closed")
		next := specimen.Ticket(c.ID("next"), "", "health", timestamppb.New(c.Now.Add(time.Hour)))
		next.Standing.MatterId = m.GetStanding().GetMatterId()
		if err := command.Insert(c, d.tickets, next, "opened", "education"); err != nil {
			return err
		}
		if exec != "" {
			c.Exec(exec, m.GetStanding().GetId())
		}
		return command.Insert(c, d.notes, &specimenv1.Note{Id: c.ID("note"), Text: "closed"}, "written")
	}, answer)
}

func TestSeveralRowsAreOneEffect(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()}
	first, err := d.closeAndFollow(t, request, "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"ticket": 2, "note": 1, "idempotency": 2, "custody": 3, "outbox": 4, "access_grant": 2, "audit": 4}
	if diff := cmp.Diff(want, d.tally(t)); diff != "" {
		t.Error(diff)
	}
	again, err := d.closeAndFollow(t, request, "")
	if err != nil {
		t.Fatal(err)
	}
	same(t, first, again)
	if diff := cmp.Diff(want, d.tally(t)); diff != "" {
		t.Error(diff)
	}
}

func TestAStatementThatFindsNothingUndoesTheWholeCommand(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	before := d.tally(t)
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()}
	_, err := d.closeAndFollow(t, request, "UPDATE note SET version = version + 1 WHERE id = $1::uuid")
	refused(t, err, faultv1.Reason_REASON_CONTENTION)
	_, err = d.closeAndFollow(t, request, "", command.Statement{SQL: "UPDATE follower SET through = 2 WHERE name = $1", Args: []any{"absent"}})
	if !errors.Is(err, command.ErrSuperseded) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, d.tally(t)); diff != "" {
		t.Error(diff)
	}
}

func TestARowChangedMeanwhileIsReadAgain(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	first, second := d.mustOpen(t, "N-1"), d.mustOpen(t, "N-2")
	disturbed := false
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: first.GetStanding().GetId()}
	_, err := command.Update(t.Context(), d.Engine, call("court", "both", request), d.tickets, request.GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
		other := command.Remember(d.tickets, d.ticket(t, second.GetStanding().GetId()))
		if !disturbed { // between the read and the write, somebody else counts on the second ticket
			disturbed = true
			if _, err := d.count(t.Context(), "court", &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: second.GetStanding().GetId()}); err != nil {
				return err
			}
		}
		m.Count++
		c.Happened("counted")
		other.M.Count += 10
		return other.Update(c, "counted")
	}, answer)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.ticket(t, first.GetStanding().GetId()).GetCount(); got != 1 {
		t.Errorf("the first ticket counts %d", got)
	}
	if got := d.ticket(t, second.GetStanding().GetId()).GetCount(); got != 11 {
		t.Errorf("the second ticket counts %d: a change was lost", got)
	}
}

func TestOneRowIsNotWrittenTwiceInOneCommand(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	opened := d.mustOpen(t, "N-1")
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: opened.GetStanding().GetId()}
	_, err := command.Update(t.Context(), d.Engine, call("court", "twice", request), d.tickets, request.GetId(), func(c *command.Change, m *specimenv1.Ticket) error {
		c.Happened("counted")
		return command.Remember(d.tickets, m).Update(c, "counted")
	}, answer)
	if err == nil {
		t.Fatal("two branches on one row lose one of them silently")
	}
}

// A rule that reads further rows may judge by what its own request has left behind, when that is done on another connection while the
// rule runs. The caller learns of the effect and not of the refusal.
func TestARefusalByTheRequestsOwnEffectIsNotTold(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	request := &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Number: "N-1"}
	var done *specimenv1.ChangeTicketResponse
	late := func(do func() (*specimenv1.ChangeTicketResponse, error)) (err error) {
		if done, err = do(); err != nil {
			return err
		}
		return fault.New(specimenv1.Reason_REASON_NUMBER_TAKEN, "the number is taken")
	}
	got, err := command.Create(t.Context(), d.Engine, call("court", "open", request), d.tickets, func(*command.Change) (*specimenv1.Ticket, error) {
		return nil, late(func() (*specimenv1.ChangeTicketResponse, error) { return d.open(t.Context(), request) })
	}, answer)
	if err != nil || !proto.Equal(done, got) {
		t.Errorf("told %v, %v; done %v", got, err, done)
	}
	request = &specimenv1.ChangeTicketRequest{RequestId: uuid.NewString(), Id: done.GetStanding().GetId()}
	got, err = command.Update(t.Context(), d.Engine, call("court", "count", request), d.tickets, request.GetId(), func(*command.Change, *specimenv1.Ticket) error {
		return late(func() (*specimenv1.ChangeTicketResponse, error) { return d.count(t.Context(), "court", request) })
	}, answer)
	if err != nil || !proto.Equal(done, got) {
		t.Errorf("told %v, %v; done %v", got, err, done)
	}
}
