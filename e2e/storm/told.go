package storm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/client"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// most things of one kind that are read again through the gateway after a round.
const most = 200

// ask makes a client for the checkers: it works in calm, and what it reads is no part of the history.
func (s *Storm) ask(ctx context.Context) *actor {
	return &actor{name: "checker", dial: s.world.dial, told: s.history, working: ctx, ctx: ctx}
}

// every picks at most so many, spread evenly.
func every[T any](all []T, most int) []T {
	if len(all) <= most {
		return all
	}
	out := make([]T, most)
	for i := range out {
		out[i] = all[i*len(all)/most]
	}
	return out
}

// sameAnswer: a request that is repeated after the storm gets the answer it had, and no other.
func (s *Storm) sameAnswer(ctx context.Context, ops []*Op, _ time.Time) error {
	var mutations []*Op
	for _, op := range ops {
		if op.RequestID != "" && op.Outcome == Acknowledged {
			mutations = append(mutations, op)
		}
	}
	a := s.ask(ctx)
	for _, op := range every(mutations, most) {
		again := op.Answer.ProtoReflect().New().Interface()
		err := a.try(who{op.Unit, op.Officer, op.Purpose}, op.Method, op.Request, again)
		if err != nil || !proto.Equal(again, op.Answer) {
			s.report("repetition.same_answer", fmt.Sprintf("operation %d %s is answered otherwise when repeated: %s", op.N, op.Method, cmp.Or(client.Refusal(err).GetReason(), fmt.Sprint(err))))
		}
		s.checked("repetition.same_answer", 1)
	}
	return nil
}

// reportsWhole: a report that was acknowledged can be read, with the words it was sent with and each acknowledged measure once.
func (s *Storm) reportsWhole(ctx context.Context, ops []*Op, _ time.Time) error {
	var submitted []*Op
	measures := map[string]map[string]int{}
	for _, op := range ops {
		switch request := op.Request.(type) {
		case *reportingv1.SubmitReportRequest:
			if op.Outcome == Acknowledged {
				submitted = append(submitted, op)
			}
		case *reportingv1.RecordMeasureRequest:
			if measures[request.GetReportId()] == nil {
				measures[request.GetReportId()] = map[string]int{}
			}
			if op.Outcome == Acknowledged {
				measures[request.GetReportId()][request.GetText()]++
			}
		}
	}
	a := s.ask(ctx)
	for _, op := range every(submitted, most) {
		request, id := op.Request.(*reportingv1.SubmitReportRequest), standingOf(op).GetId()
		got := &reportingv1.GetReportResponse{}
		w := who{unit: s.world.district.StationFor(request.GetResidenceDivision()), purpose: "EMERGENCY_RESPONSE"}
		if err := a.try(w, reportingv1.ReportingReadService_GetReport_FullMethodName, &reportingv1.GetReportRequest{ReportId: id}, got); err != nil {
			s.report("reports.whole", "report "+id+" cannot be read: "+cmp.Or(client.Refusal(err).GetReason(), err.Error()))
			continue
		}
		if got.GetReport().GetNarrative() != request.GetNarrative() || got.GetChild().GetPerson().GetIdNumber() != request.GetChild().GetIdNumber() {
			s.report("reports.whole", "report "+id+" has other words or another child than was sent")
		}
		want := measures[id]
		for _, m := range got.GetReport().GetMeasures() {
			want[m.GetText()]--
		}
		for text, n := range want {
			if n != 0 {
				s.report("reports.whole", fmt.Sprintf("report %s: measure %s was acknowledged and is missing, or is there too often (%+d)", id, text, -n))
			}
		}
		s.checked("reports.whole", 1)
	}
	return nil
}

// incidentsFolded: every number of every source is stored once, and each incident shows the content that the contract's fold says.
func (s *Storm) incidentsFolded(ctx context.Context, _ []*Op, _ time.Time) error {
	newest := map[string]*sent{}
	by := map[*sent]string{}
	for _, c := range s.sources {
		for _, u := range c.numbers {
			by[u] = "police:" + c.system
			if u.void || u.poison {
				continue
			}
			before, number := newest[u.update.GetIncidentNumber()], u.update.GetIncidentNumber()
			if before == nil || u.update.GetIncidentVersion() > before.update.GetIncidentVersion() {
				newest[number] = u
			}
		}
		if err := s.stored(ctx, c); err != nil {
			return err
		}
	}
	a := s.ask(ctx)
	sought, err := s.sought(ctx)
	if err != nil {
		return err
	}
	for number, u := range newest {
		content := &reportingv1.IncidentContent{}
		if err := proto.Unmarshal(u.update.GetPayload(), content); err != nil {
			return err
		}
		if slices.Contains(content.GetSituations(), missing) {
			if s.checked("search.begun", 1); !sought[number] {
				s.report("search.begun", "incident "+number+" tells of a missing child and nobody looks for it")
			}
		}
		got := &reportingv1.GetIncidentResponse{}
		err := a.try(who{unit: "police", purpose: "EMERGENCY_RESPONSE"}, reportingv1.ReportingReadService_GetIncident_FullMethodName, &reportingv1.GetIncidentRequest{IncidentNumber: number}, got)
		if err != nil || !proto.Equal(content, got.GetIncident().GetContent()) || got.GetIncident().GetSource() != by[u] {
			s.report("incidents.folded", fmt.Sprintf("incident %s does not show version %d of %s: %v", number, u.update.GetIncidentVersion(), by[u], err))
		}
		s.checked("incidents.folded", 1)
	}
	return nil
}

// sought are the incidents that a search has begun with.
func (s *Storm) sought(ctx context.Context) (map[string]bool, error) {
	sought := map[string]bool{}
	err := s.world.inDatabase(ctx, "lianhu_reporting", func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT incident_number FROM search WHERE incident_number IS NOT NULL")
		if err != nil {
			return err
		}
		var number string
		_, err = pgx.ForEachRow(rows, []any{&number}, func() error {
			sought[number] = true
			return nil
		})
		return err
	})
	return sought, err
}

// stored counts the numbers of one source, and the poisoned ones in quarantine.
func (s *Storm) stored(ctx context.Context, c *source) error {
	var updates, voids, poison int
	for _, u := range c.numbers[:c.durable] {
		switch {
		case u.void:
			voids++
		case u.poison:
			poison++
			updates++
		default:
			updates++
		}
	}
	return s.world.inDatabase(ctx, "lianhu_reporting", func(conn *pgx.Conn) error {
		var has [3]int
		err := conn.QueryRow(ctx, `SELECT count(*) FILTER (WHERE NOT void), count(*) FILTER (WHERE void), count(*) FILTER (WHERE cause IS NOT NULL)
			FROM dispatch_update WHERE source = $1 AND sequence <= $2`, "police:"+c.system, c.durable).Scan(&has[0], &has[1], &has[2])
		if want := [3]int{updates, voids, poison}; err == nil && has != want {
			s.report("acknowledged.kept", fmt.Sprintf("source %s: updates, voids, quarantined are %v, acknowledged were %v", c.system, has, want))
		}
		s.checked("acknowledged.kept", c.durable)
		return err
	})
}

// subscribersComplete: every subscriber got every event of its unit and filter, once and in order, through whatever cut it off.
func (s *Storm) subscribersComplete(ctx context.Context, _ []*Op, _ time.Time) error {
	for _, c := range s.subscribers {
		var want []string
		var head int64
		err := s.world.inDatabase(ctx, "lianhu_"+c.area, func(conn *pgx.Conn) error {
			if err := conn.QueryRow(ctx, "SELECT seq FROM feed_head").Scan(&head); err != nil {
				return err
			}
			rows, err := conn.Query(ctx, `SELECT seq || ' ' || type || ' ' || subject_id || ' ' || subject_version FROM feed
				WHERE seq <= $1 AND $2 = ANY (audience) AND ($3::text[] IS NULL OR type = ANY ($3)) AND ($4::text[] IS NULL OR subject_kind = ANY ($4)) ORDER BY seq`,
				head, c.unit, c.filter.GetTypes(), c.filter.GetSubjectKinds())
			if err != nil {
				return err
			}
			want, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if err != nil {
			return err
		}
		got, ok := c.upTo(ctx, head)
		if !ok {
			s.report("subscribers.complete", fmt.Sprintf("%s of %s does not reach %d", c.unit, c.area, head))
			continue
		}
		for i := range max(len(want), len(got)) {
			if i >= len(want) || i >= len(got) || want[i] != got[i] {
				s.report("subscribers.complete", fmt.Sprintf("%s of %s: %d events, received %d; the first difference is at place %d", c.unit, c.area, len(want), len(got), i))
				break
			}
		}
		s.checked("subscribers.complete", int64(len(want)))
	}
	return nil
}

// upTo waits until the subscriber has considered a position and gives its events until there.
func (c *subscriber) upTo(ctx context.Context, head int64) (events []string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		c.mu.Lock()
		ok = c.through >= head
		c.mu.Unlock()
		if ok {
			break
		}
		pause(ctx, 50*time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.GetSeq() <= head {
			events = append(events, fmt.Sprintf("%d %s %s %d", e.GetSeq(), e.GetType(), e.GetSubjectId(), e.GetSubjectVersion()))
		}
	}
	return events, ok
}

// filesIdentical: a batch's file has the same bytes whenever it is read, and they are those of the digest that the export told.
func (s *Storm) filesIdentical(ctx context.Context, ops []*Op, _ time.Time) error {
	told := map[string]string{}
	for _, op := range ops {
		if request, ok := op.Request.(*reliefv1.ExportBatchRequest); ok && op.Outcome == Acknowledged {
			told[request.GetBatchId()] = op.Answer.(*reliefv1.ExportBatchResponse).GetFile().GetSha256()
		}
	}
	differs := func(batch string, content []byte) {
		if sum := sha256.Sum256(content); told[batch] != "" && hex.EncodeToString(sum[:]) != told[batch] {
			s.report("files.identical", "batch "+batch+" has another file than was exported")
		}
	}
	for _, op := range ops {
		if request, ok := op.Request.(*reliefv1.GetBatchFileRequest); ok && op.Outcome == Acknowledged {
			differs(request.GetBatchId(), op.Answer.(*reliefv1.GetBatchFileResponse).GetContent())
		}
	}
	a := s.ask(ctx)
	for batch := range told {
		got := &reliefv1.GetBatchFileResponse{}
		if err := a.try(who{"finance", "finance-2", "PAYMENT"}, reliefv1.ReliefReadService_GetBatchFile_FullMethodName, &reliefv1.GetBatchFileRequest{BatchId: batch}, got); err != nil {
			s.report("files.identical", "the file of batch "+batch+" cannot be read again: "+client.Refusal(err).GetReason())
			continue
		}
		differs(batch, got.GetContent())
		s.checked("files.identical", 1)
	}
	return nil
}
