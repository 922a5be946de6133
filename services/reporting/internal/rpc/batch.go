package rpc

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// gapsMost is how many gaps an acknowledgement names.
const gapsMost = 100

// incidentNamespace of the ids derived from incident numbers, so that two sources that tell of one incident make one row.
var incidentNamespace = uuid.MustParse("c0a6f0b4-2b1e-5a53-8f0e-77b0b5d1a2f3")

// batch is one push, sorted by what has to be done with each number.
type batch struct {
	at store.Position
	// fresh updates spend their number now.
	fresh []store.Incoming
	// apart are updates to be looked at by somebody: fresh ones that cannot be used, and other content under a spent number.
	apart []store.Incoming
	// usable updates are folded into their incidents.
	usable []rules.Update
	// voids are numbers given up now.
	voids []int64
	// quarantined is what the sender is told.
	quarantined []*reportingv1.Quarantined
	// holders of the reports that updates link to.
	holders map[string]string
}

// numbers that the batch spends.
func (b *batch) numbers() []int64 {
	numbers := slices.Clone(b.voids)
	for _, in := range b.fresh {
		numbers = append(numbers, in.Envelope.GetSequence())
	}
	return numbers
}

// sort decides about each number of a batch.
func (s *Dispatch) sort(ctx context.Context, c *command.Change, at store.Position, req *reportingv1.PushIncidentUpdateBatchRequest) (*batch, error) {
	b := &batch{at: at}
	given := givenUp(req)
	mentioned := slices.Clone(given)
	for _, u := range req.GetUpdates() {
		mentioned = append(mentioned, u.GetSequence())
	}
	spent, err := store.SpentAmong(ctx, s.Engine.DB, at.Source, at.Epoch, mentioned)
	if err != nil {
		return nil, err
	}
	contents := make([]*reportingv1.IncidentContent, len(req.GetUpdates()))
	for i, u := range req.GetUpdates() {
		in := store.Incoming{Envelope: u, Digest: store.Digest(s.Engine.Keys, u)}
		if before, ok := spent[u.GetSequence()]; ok {
			b.repeated(in, before)
			continue
		}
		contents[i], in.Cause = rules.ReadPayload(s.District, s.Validate, u, c.Now)
		b.fresh = append(b.fresh, in)
	}
	for _, n := range given {
		fresh := slices.ContainsFunc(b.fresh, func(in store.Incoming) bool { return in.Envelope.GetSequence() == n })
		if _, ok := spent[n]; !ok && !fresh {
			b.voids = append(b.voids, n)
		}
	}
	return b, s.link(ctx, b, slices.DeleteFunc(contents, func(c *reportingv1.IncidentContent) bool { return c == nil }))
}

// repeated decides about a number that is spent already. Its first content stands; the answer is the same as the first time.
func (b *batch) repeated(in store.Incoming, before store.Spent) {
	switch {
	case before.Void:
		in.Cause = reportingv1.Quarantined_CAUSE_VOIDED
	case !seal.Equal(before.Digest, in.Digest):
		in.Cause = reportingv1.Quarantined_CAUSE_CONFLICT
	case before.Cause != 0:
		b.tell(in.Envelope.GetSequence(), before.Cause)
		return
	default:
		return
	}
	b.apart = append(b.apart, in)
	b.tell(in.Envelope.GetSequence(), in.Cause)
}

func (b *batch) tell(sequence int64, cause reportingv1.Quarantined_Cause) {
	b.quarantined = append(b.quarantined, &reportingv1.Quarantined{Sequence: sequence, Cause: cause})
}

// link looks up the reports that the contents name and settles which fresh updates can be used. contents holds those of the
// fresh updates without a cause, in their order.
func (s *Dispatch) link(ctx context.Context, b *batch, contents []*reportingv1.IncidentContent) error {
	var named []string
	for _, content := range contents {
		if content.GetReportId() != "" {
			named = append(named, content.GetReportId())
		}
	}
	if len(named) > 0 {
		found, err := store.Holders(ctx, s.Engine.DB, named)
		if err != nil {
			return err
		}
		b.holders = found
	}
	next := 0
	for i := range b.fresh {
		in := &b.fresh[i]
		if in.Cause == 0 {
			content := contents[next]
			next++
			if _, ok := b.holders[content.GetReportId()]; content.GetReportId() == "" || ok {
				b.usable = append(b.usable, rules.Update{Source: b.at.Source, Epoch: b.at.Epoch, Envelope: in.Envelope, Content: content})
				continue
			}
			in.Cause = reportingv1.Quarantined_CAUSE_REPORT_UNKNOWN
		}
		b.apart = append(b.apart, *in)
		b.tell(in.Envelope.GetSequence(), in.Cause)
	}
	return nil
}

// keep stores every number, and what somebody has to look at.
func (s *Dispatch) keep(ctx context.Context, c *command.Change, b *batch) error {
	if err := store.StoreUpdates(c, b.at, b.fresh); err != nil {
		return err
	}
	store.StoreVoids(c, b.at, b.voids)
	if len(b.apart) == 0 {
		return nil
	}
	known, err := store.Apart(ctx, s.Engine.DB, b.at, b.apart)
	if err != nil {
		return err
	}
	var unknown []store.Incoming
	for i, in := range b.apart {
		if !known[i] {
			unknown = append(unknown, in)
		}
	}
	return store.StoreQuarantine(c, b.at, unknown, s.District.Deadline(district.ClockUpdateQuarantined, c.Now))
}

// fold works the usable updates into their incidents, each of which is written once.
func (s *Dispatch) fold(ctx context.Context, c *command.Change, b *batch) error {
	byNumber := map[string][]rules.Update{}
	var numbers []string
	for _, u := range b.usable {
		number := u.Envelope.GetIncidentNumber()
		if byNumber[number] == nil {
			numbers = append(numbers, number)
		}
		byNumber[number] = append(byNumber[number], u)
	}
	if len(numbers) == 0 {
		return nil
	}
	// In one order for everybody, so that two sources that tell of the same incidents wait for each other and do not deadlock.
	slices.Sort(numbers)
	found, err := row.Select(ctx, s.Engine.DB, s.Engine.Keys, s.Tables.Incidents, "WHERE incident_number = ANY ($1)", numbers)
	if err != nil {
		return err
	}
	known := map[string]*command.Loaded[*reportingv1.Incident]{}
	for _, incident := range found {
		known[incident.GetIncidentNumber()] = command.Remember(s.Tables.Incidents, incident)
	}
	for _, number := range numbers {
		if err := s.tellIncident(c, b, number, known[number], byNumber[number]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Dispatch) tellIncident(c *command.Change, b *batch, number string, loaded *command.Loaded[*reportingv1.Incident], updates []rules.Update) error {
	if loaded != nil {
		what := rules.Fold(s.District, loaded.M, updates, c.Now)
		if what == "" {
			return nil
		}
		return loaded.Update(c, what, b.holders[loaded.M.GetContent().GetReportId()])
	}
	incident := rules.NewIncident(uuid.NewSHA1(incidentNamespace, []byte(number)).String(), number)
	what := rules.Fold(s.District, incident, updates, c.Now)
	return command.Insert(c, s.Tables.Incidents, incident, what, b.holders[incident.GetContent().GetReportId()])
}

// givenUp lists the numbers of all voids, sorted, each once.
func givenUp(req *reportingv1.PushIncidentUpdateBatchRequest) []int64 {
	var numbers []int64
	for _, v := range req.GetVoids() {
		for n := v.GetFrom(); n <= v.GetTo(); n++ {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// advance moves the durable position over every number that is known and lists what is missing behind it.
func advance(durable int64, known []int64) (int64, []*reportingv1.SequenceRange) {
	slices.Sort(known)
	var gaps []*reportingv1.SequenceRange
	last := durable
	for _, n := range known {
		switch {
		case n <= last:
		case n == last+1:
			last = n
		default:
			if len(gaps) < gapsMost {
				gaps = append(gaps, &reportingv1.SequenceRange{From: last + 1, To: n - 1})
			}
			last = n
		}
		if len(gaps) == 0 {
			durable = last
		}
	}
	return durable, gaps
}
