package journey

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/access"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Push says what a dispatch system sends on its stream, and what must come of it.
type Push struct {
	// Begin starts a new epoch, one above the present; without it the numbers go on where they were.
	Begin bool `yaml:"begin"`
	// Updates in the order of sending; a number may come again, and with other content.
	Updates []Update `yaml:"updates"`
	// Cut destroys the connection when all is sent and the first acknowledgement has come: what became of the rest is not known.
	Cut bool `yaml:"cut"`
	// Durable is the number up to which everything must be acknowledged; not looked at after a cut.
	Durable int64 `yaml:"durable"`
	// Gaps are the ranges [from, to] that must be told as missing then.
	Gaps [][2]int64 `yaml:"gaps"`
	// Quarantined are the numbers that must be told as quarantined, with their cause.
	Quarantined map[int64]string `yaml:"quarantined"`
}

// Update is one update as the dispatch system sends it. Its source time is business time. A number without content is sent again as it was.
type Update struct {
	N        int64          `yaml:"n"`
	Incident string         `yaml:"incident"`
	Version  int64          `yaml:"version"`
	Content  map[string]any `yaml:"content"`
}

// outbox is what one source keeps of what it has sent: each number as it was first sent, until it is durable.
type outbox struct {
	epoch int64
	first map[int64]*reportingv1.IncidentUpdate
}

// wire is one open stream and what it has said so far.
type wire struct {
	grpc.ClientStream
	durable int64
	gaps    [][2]int64
	apart   map[int64]string
}

// push plays one stream of a dispatch system: it connects, hears where it stands, sends what the last stream left open and then its own.
func (p *play) push(ctx context.Context, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel() // with Cut this is what breaks the connection
	source, err := p.expand(s.As)
	if err != nil {
		return err
	}
	conn, err := p.Dial(fmt.Sprint(source))
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, access.KeyPurpose, s.Purpose)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, reportingv1.DispatchService_PushIncidentUpdates_FullMethodName)
	if err != nil {
		return describe(err)
	}
	w := &wire{ClientStream: stream, apart: map[int64]string{}}
	epoch, err := w.hello()
	if err != nil {
		return err
	}
	out := p.outboxes[fmt.Sprint(source)]
	if s.Push.Begin {
		out = &outbox{epoch: epoch + 1, first: map[int64]*reportingv1.IncidentUpdate{}}
		p.outboxes[fmt.Sprint(source)] = out
	}
	if out == nil {
		return errors.New("the source has not begun")
	}
	if epoch < out.epoch { // what is durable there are other numbers
		w.durable, w.gaps = 0, nil
	}
	if err := p.sendAll(w, out, s.Push.Updates); err != nil {
		return err
	}
	if s.Push.Cut {
		return w.hear()
	}
	for !w.says(*s.Push) {
		if err := w.hear(); err != nil {
			return fmt.Errorf("durable through %d with gaps %v, quarantined %v: %w", w.durable, w.gaps, w.apart, err)
		}
	}
	return w.CloseSend()
}

// sendAll sends what the source kept and the server does not have, by number, and then the new updates as they are written.
func (p *play) sendAll(w *wire, out *outbox, written []Update) error {
	for _, n := range slices.Sorted(maps.Keys(out.first)) {
		if n > w.durable && w.lacks(n) {
			if err := w.send(out.epoch, out.first[n]); err != nil {
				return err
			}
		}
	}
	for _, u := range written {
		update := out.first[u.N]
		if update == nil || u.Content != nil {
			var err error
			if update, err = p.update(u); err != nil {
				return fmt.Errorf("update %d: %w", u.N, err)
			}
		}
		if out.first[u.N] == nil {
			out.first[u.N] = update
		}
		if err := w.send(out.epoch, update); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) update(u Update) (*reportingv1.IncidentUpdate, error) {
	expanded, err := p.expand(u.Content)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(expanded)
	if err != nil {
		return nil, err
	}
	content := &reportingv1.IncidentContent{}
	if err := protojson.Unmarshal(raw, content); err != nil {
		return nil, fmt.Errorf("the content does not fit the contract: %w", err)
	}
	payload, err := proto.Marshal(content)
	if err != nil {
		return nil, err
	}
	number, err := p.expand(u.Incident)
	return &reportingv1.IncidentUpdate{
		Sequence: u.N, IncidentNumber: fmt.Sprint(number), IncidentVersion: u.Version, SourceTime: timestamppb.New(p.now), Payload: payload,
	}, err
}

func (w *wire) send(epoch int64, u *reportingv1.IncidentUpdate) error {
	return w.SendMsg(&reportingv1.PushIncidentUpdatesRequest{Epoch: epoch, Updates: []*reportingv1.IncidentUpdate{u}})
}

// hello takes the server's first word and answers the present epoch.
func (w *wire) hello() (int64, error) {
	said := &reportingv1.PushIncidentUpdatesResponse{}
	if err := w.RecvMsg(said); err != nil {
		return 0, describe(err)
	}
	if said.GetHello() == nil {
		return 0, errors.New("the server did not begin with Hello")
	}
	w.durable, w.gaps = said.GetHello().GetDurableThrough(), pairs(said.GetHello().GetGaps())
	return said.GetHello().GetEpoch(), nil
}

// hear takes one acknowledgement.
func (w *wire) hear() error {
	said := &reportingv1.PushIncidentUpdatesResponse{}
	if err := w.RecvMsg(said); err != nil {
		return describe(err)
	}
	ack := said.GetAck()
	w.durable, w.gaps = ack.GetDurableThrough(), pairs(ack.GetGaps())
	for _, q := range ack.GetQuarantined() {
		w.apart[q.GetSequence()] = q.GetCause().String()[len("CAUSE_"):]
	}
	return nil
}

// lacks reports whether a number above the durable position may be missing: it lies in a gap, or above everything the gaps tell of.
func (w *wire) lacks(n int64) bool {
	last := slices.MaxFunc(append([][2]int64{{w.durable, w.durable}}, w.gaps...), func(a, b [2]int64) int { return cmp.Compare(a[1], b[1]) })
	return n > last[1] || slices.ContainsFunc(w.gaps, func(gap [2]int64) bool { return gap[0] <= n && n <= gap[1] })
}

// says reports whether the stream has said what was expected.
func (w *wire) says(want Push) bool {
	return w.durable == want.Durable && slices.Equal(w.gaps, want.Gaps) && maps.Equal(w.apart, want.Quarantined)
}

func pairs(ranges []*reportingv1.SequenceRange) (out [][2]int64) {
	for _, r := range ranges {
		out = append(out, [2]int64{r.GetFrom(), r.GetTo()})
	}
	return out
}
