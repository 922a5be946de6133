package rpc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/district"
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
	// lives of the incidents that updates tell of, by number.
	lives map[string][]*reportingv1.Incident
	// carriers are the reports that updates and incidents name.
	carriers rules.Carriers
	// leaps is how many incidents had their first version out of all proportion.
	leaps int64
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

// link looks up the reports and incidents that the contents name and settles which fresh updates can be used.
func (d *Desk) link(ctx context.Context, b *batch, named []string, received time.Time) (err error) {
	if err = d.lookUp(ctx, b, named); err != nil {
		return err
	}
	owners := map[string]string{}
	for number, lives := range b.lives {
		owners[number] = lives[0].GetOwner()
	}
	for i := range b.fresh {
		in, content := &b.fresh[i], b.contents[i]
		number := in.Envelope.GetIncidentNumber()
		_, known := b.carriers[content.GetReportId()]
		switch {
		case in.Cause != 0:
		case content.GetReportId() != "" && !known:
			in.Cause = reportingv1.Quarantined_CAUSE_REPORT_UNKNOWN
		case owners[number] != "" && !d.District.MayTell(b.at.Source, owners[number]):
			in.Cause = reportingv1.Quarantined_CAUSE_FOREIGN_INCIDENT
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

// lookUp reads the incidents that fresh updates tell of, and the reports that these and the updates name.
func (d *Desk) lookUp(ctx context.Context, b *batch, named []string) (err error) {
	var numbers []string
	for _, in := range b.fresh {
		if in.Cause == 0 {
			numbers = append(numbers, in.Envelope.GetIncidentNumber())
		}
	}
	if len(numbers) > 0 {
		if b.lives, err = d.Tables.Lives(ctx, d.Engine.DB, d.Engine.Keys, numbers); err != nil {
			return err
		}
	}
	for _, lives := range b.lives {
		for _, i := range lives {
			named = append(named, rules.LinkedReports(i)...)
		}
	}
	b.carriers, err = d.Tables.Carriers(ctx, d.Engine.DB, d.Engine.Keys, named)
	return err
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
	var told []*reportingv1.Incident
	kept := map[string]bool{}
	for _, number := range numbers {
		for n, updates := range rules.SortByLife(d.District, b.lives[number], byNumber[number]) {
			if len(updates) == 0 {
				continue
			}
			incident, what, err := d.tellIncident(c, b, number, n, updates)
			if err != nil {
				return err
			}
			told = append(told, incident)
			report := incident.GetStanding().GetMatterId()
			if carrier, carried := b.carriers[report]; what != "" && carried && incident.GetState() == reportingv1.Incident_STATE_LINKED && !kept[report] {
				kept[report] = true
				store.KeepCarrier(c, report, carrier)
			}
		}
	}
	return d.seek(ctx, c, told...)
}

// tellIncident folds updates into a life of a number, which is made where it is not there yet.
func (d *Desk) tellIncident(c *command.Change, b *batch, number string, n int, updates []rules.Update) (_ *reportingv1.Incident, what string, err error) {
	lives := b.lives[number]
	if n < len(lives) {
		loaded := command.Remember(d.Tables.Incidents, lives[n])
		leapt := lives[n].GetVersionLeap()
		if what = rules.Fold(d.District, loaded.M, updates, b.carriers, c.Now); what == "" {
			return loaded.M, "", nil
		}
		if loaded.M.GetVersionLeap() && !leapt {
			b.leaps++
		}
		return loaded.M, what, loaded.Update(c, what, b.carriers[loaded.M.GetStanding().GetMatterId()].Holder)
	}
	owner := updates[0].Source
	if len(lives) > 0 {
		owner = lives[0].GetOwner()
	}
	incident := rules.NewIncident(incidentID(number, n+1), number, n+1, owner)
	what = rules.Fold(d.District, incident, updates, b.carriers, c.Now)
	return incident, what, command.Insert(c, d.Tables.Incidents, incident, what, b.carriers[incident.GetStanding().GetMatterId()].Holder)
}

// incidentID is the id of a number's life.
func incidentID(number string, life int) string {
	name := number
	if life > 1 {
		name = fmt.Sprintf("%s\x00%d", number, life)
	}
	return uuid.NewSHA1(incidentNamespace, []byte(name)).String()
}

// measure follows the source's clock and sets the times of the updates right by it.
func (b *batch) measure(source *reportingv1.DispatchSource, now time.Time) {
	if len(b.usable) == 0 {
		return
	}
	nearest := slices.MaxFunc(b.usable, func(a, b rules.Update) int {
		return a.Envelope.GetSourceTime().AsTime().Compare(b.Envelope.GetSourceTime().AsTime())
	})
	first := source.GetCounts().GetUpdates() == 0
	source.SkewMs = rules.Skew(source.GetSkewMs(), first, now.Sub(source.GetLastTime().AsTime()), now.Sub(nearest.Envelope.GetSourceTime().AsTime()))
	for i := range b.usable {
		b.usable[i].Skew = time.Duration(source.GetSkewMs()) * time.Millisecond
	}
}

// count keeps on the source what it has sent.
func (b *batch) count(d *district.District, source *reportingv1.DispatchSource, greatest int64, now time.Time) {
	counts := counts(source)
	counts.Updates += int64(len(b.fresh))
	counts.RepeatedUpdates += b.same
	counts.VersionLeaps += b.leaps
	for _, v := range b.voids {
		counts.Voided += int64(len(v.Numbers))
	}
	counts.GreatestSequence = greatest
	source.LastTime = timestamppb.New(now)
	for _, u := range b.usable {
		counts.UnknownCodes += rules.UnknownCodes(d, u.Source, u.Content)
		if rules.UnknownFields(u) {
			counts.UnknownFields++
		}
		if place, err := d.TakeIn("division", u.Content.GetDivision(), calendar.Today(now)); err == nil && place.Stale != "" {
			counts.StaleDivisions++
		}
	}
}

// counts of a source, to be changed.
func counts(source *reportingv1.DispatchSource) *reportingv1.SourceCounts {
	if source.Counts == nil {
		source.Counts = &reportingv1.SourceCounts{}
	}
	return source.Counts
}
