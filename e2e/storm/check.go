package storm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// check holds what is stored and what was said against every promise.
func (s *Storm) check(ctx context.Context, now time.Time) error {
	ops := s.history.take()
	s.answered(ops)
	for _, checker := range []func(context.Context, []*Op, time.Time) error{
		s.promisesKept, s.acknowledgedKept, s.effectsAnnounced, s.causalOrder, s.sameAnswer, s.reportsWhole, s.incidentsFolded, s.subscribersComplete,
		s.statesLegal, s.custodyComplete, s.deadlinesOnce, s.handedOver, s.filesIdentical, s.childrenLinearizable, s.budgetsLinearizable, s.logsClean,
	} {
		if err := checker(ctx, ops, now); err != nil {
			return err
		}
		if s.caught() {
			return nil
		}
	}
	return nil
}

// answered: a healed suite answers everybody in the end, and never with a defect.
func (s *Storm) answered(ops []*Op) {
	for _, op := range ops {
		if op.Outcome == Unanswered || op.Outcome == Defect {
			s.report("clients.answered", fmt.Sprintf("operation %d %s: %s %s after %d attempts", op.N, op.Method, op.Outcome, op.Reason, op.Tries))
		}
	}
	s.checked("clients.answered", int64(len(ops)))
}

// promisesKept runs the suite's own counts of the five promises.
func (s *Storm) promisesKept(ctx context.Context, _ []*Op, now time.Time) error {
	counts, err := s.world.Suite.Promises(ctx, now)
	if err != nil {
		return err
	}
	for _, c := range counts {
		name := fmt.Sprintf("promise %d: %s", c.Promise, c.Name)
		s.checked(name, c.Checked)
		if c.Violations != 0 {
			s.report(name, fmt.Sprintf("%s: %d of %d", c.Service, c.Violations, c.Checked))
		}
	}
	return nil
}

// logsClean: no process panicked or wrote that it met a defect.
func (s *Storm) logsClean(context.Context, []*Op, time.Time) error {
	paths, err := filepath.Glob(filepath.Join(s.Dir, "*.log"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(content) {
			if bytes.Contains(line, []byte("panic:")) || bytes.Contains(line, []byte(`"level":"ERROR"`)) || bytes.Contains(line, []byte("level=ERROR")) {
				s.report("logs.clean", fmt.Sprintf("%s: %.300s", filepath.Base(path), bytes.TrimSpace(line)))
			}
		}
	}
	s.checked("logs.clean", int64(len(paths)))
	return nil
}
