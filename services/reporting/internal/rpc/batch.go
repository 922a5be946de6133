package rpc

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

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

// batch is a push, sorted by what has to be done with each number.
type batch struct {
	at store.Position
	// fresh updates spend their number now; contents are what they hold, nil where there is a cause.
	fresh    []store.Incoming
	contents []*reportingv1.IncidentContent
	// same is how many updates came again with the same content.
	same int64
	// apart are updates to be looked at by somebody: fresh ones that cannot be used, and other content under a spent number.
	apart []store.Incoming
	// usable updates are folded into their incidents.
	usable []rules.Update
	// voids are ranges given up now.
	voids []store.GivenUp
	// quarantined is what the sender is told.
	quarantined []*reportingv1.Quarantined
	// holders of the reports that updates link to.
	holders map[string]string
}

// sort decides about each number of a push, in the order they came: of a number that comes twice the second finds the first one spent.
func (s *Dispatch) sort(ctx context.Context, c *command.Change, at store.Position, p *push) (*batch, error) {
	b := &batch{at: at}
	spent, err := store.SpentAmong(ctx, s.Engine.DB, at.Source, at.Epoch, p.numbers())
	if err != nil {
		return nil, err
	}
	var named []string
	for _, f := range p.frames {
		for _, u := range f.GetUpdates() {
			if report := s.arrive(b, spent, u, p.unprocessable, c.Now); report != "" {
				named = append(named, report)
			}
		}
		for _, v := range f.GetVoids() {
			given := store.GivenUp{Void: v}
			for n := v.GetFrom(); n <= v.GetTo(); n++ {
				if _, ok := spent[n]; !ok {
					spent[n] = store.Spent{Void: true}
					given.Numbers = append(given.Numbers, n)
				}
			}
			b.voids = append(b.voids, given)
		}
	}
	return b, s.link(ctx, b, named, c.Now)
}

// numbers that a push mentions.
func (p *push) numbers() []int64 {
	var numbers []int64
	for _, f := range p.frames {
		for _, u := range f.GetUpdates() {
			numbers = append(numbers, u.GetSequence())
		}
		for _, v := range f.GetVoids() {
			for n := v.GetFrom(); n <= v.GetTo(); n++ {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

// arrive decides about one update and answers the report it names, which has yet to be looked for.
func (s *Dispatch) arrive(b *batch, spent map[int64]store.Spent, u *reportingv1.IncidentUpdate, unprocessable bool, now time.Time) (report string) {
	in := store.Incoming{Envelope: u, Digest: store.Digest(s.Engine.Keys, u)}
	if before, ok := spent[u.GetSequence()]; ok {
		b.repeated(in, before)
		return ""
	}
	var content *reportingv1.IncidentContent
	if unprocessable {
		in.Cause = reportingv1.Quarantined_CAUSE_UNPROCESSABLE
	} else {
		content, in.Cause = rules.ReadUpdate(s.District, s.Validate, u, now)
	}
	spent[u.GetSequence()] = store.Spent{Digest: in.Digest, Cause: in.Cause}
	b.fresh = append(b.fresh, in)
	b.contents = append(b.contents, content)
	return content.GetReportId()
}

// repeated decides about a number that is spent already. Its first content stands; the answer is the same as the first time.
func (b *batch) repeated(in store.Incoming, before store.Spent) {
	switch {
	case before.Void:
		in.Cause = reportingv1.Quarantined_CAUSE_VOIDED
	case !seal.Equal(before.Digest, in.Digest):
		in.Cause = reportingv1.Quarantined_CAUSE_CONFLICT
	case before.Cause != 0:
		b.same++
		b.tell(in.Envelope.GetSequence(), before.Cause)
		return
	default:
		b.same++
		return
	}
	b.apart = append(b.apart, in)
	b.tell(in.Envelope.GetSequence(), in.Cause)
}

func (b *batch) tell(sequence int64, cause reportingv1.Quarantined_Cause) {
	b.quarantined = append(b.quarantined, &reportingv1.Quarantined{Sequence: sequence, Cause: cause})
}

// link looks up the reports that the contents name and settles which fresh updates can be used.
func (d *Desk) link(ctx context.Context, b *batch, named []string, received time.Time) (err error) {
	if len(named) > 0 {
		if b.holders, err = store.Holders(ctx, d.Engine.DB, named); err != nil {
			return err
		}
	}
	for i := range b.fresh {
		in, content := &b.fresh[i], b.contents[i]
		if _, known := b.holders[content.GetReportId()]; content.GetReportId() != "" && !known {
			in.Cause = reportingv1.Quarantined_CAUSE_REPORT_UNKNOWN
		}
		if in.Cause == 0 {
			b.usable = append(b.usable, rules.Update{Source: b.at.Source, Epoch: b.at.Epoch, Envelope: in.Envelope, Content: content, Received: received})
			continue
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
	if err := store.StoreVoids(c, b.at, b.at.Source, b.voids); err != nil {
		return err
	}
	return s.keepApart(ctx, c, b)
}

// fold works the usable updates into their incidents, each of which is written once.
func (d *Desk) fold(ctx context.Context, c *command.Change, b *batch) error {
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
	found, err := row.Select(ctx, d.Engine.DB, d.Engine.Keys, d.Tables.Incidents, "WHERE incident_number = ANY ($1)", numbers)
	if err != nil {
		return err
	}
	known := map[string]*command.Loaded[*reportingv1.Incident]{}
	for _, incident := range found {
		known[incident.GetIncidentNumber()] = command.Remember(d.Tables.Incidents, incident)
	}
	told := make([]*reportingv1.Incident, len(numbers))
	for n, number := range numbers {
		if told[n], err = d.tellIncident(c, b, number, known[number], byNumber[number]); err != nil {
			return err
		}
	}
	return d.seek(ctx, c, told...)
}

func (d *Desk) tellIncident(c *command.Change, b *batch, number string, loaded *command.Loaded[*reportingv1.Incident], updates []rules.Update) (*reportingv1.Incident, error) {
	if loaded != nil {
		what := rules.Fold(d.District, loaded.M, updates, c.Now)
		if what == "" {
			return loaded.M, nil
		}
		return loaded.M, loaded.Update(c, what, b.holders[loaded.M.GetContent().GetReportId()])
	}
	incident := rules.NewIncident(uuid.NewSHA1(incidentNamespace, []byte(number)).String(), number)
	what := rules.Fold(d.District, incident, updates, c.Now)
	return incident, command.Insert(c, d.Tables.Incidents, incident, what, b.holders[incident.GetContent().GetReportId()])
}

// count keeps on the source what it has sent.
func (b *batch) count(d *district.District, source *reportingv1.DispatchSource, greatest int64, now time.Time) {
	counts := counts(source)
	first := counts.GetUpdates() == 0
	counts.Updates += int64(len(b.fresh))
	counts.RepeatedUpdates += b.same
	for _, v := range b.voids {
		counts.Voided += int64(len(v.Numbers))
	}
	counts.GreatestSequence = greatest
	source.LastTime = timestamppb.New(now)
	if len(b.usable) == 0 {
		return
	}
	for _, u := range b.usable {
		counts.UnknownCodes += rules.UnknownCodes(d, u.Source, u.Content)
		if rules.UnknownFields(u) {
			counts.UnknownFields++
		}
	}
	nearest := slices.MaxFunc(b.usable, func(a, b rules.Update) int {
		return a.Envelope.GetSourceTime().AsTime().Compare(b.Envelope.GetSourceTime().AsTime())
	})
	source.SkewMs = rules.Skew(source.GetSkewMs(), first, now.Sub(nearest.Envelope.GetSourceTime().AsTime()))
}

// counts of a source, to be changed.
func counts(source *reportingv1.DispatchSource) *reportingv1.SourceCounts {
	if source.Counts == nil {
		source.Counts = &reportingv1.SourceCounts{}
	}
	return source.Counts
}
