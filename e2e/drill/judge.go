package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/lianhu/lianhu/e2e/fleet"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// judge compares what was found with what must be.
func (d *drill) judge(ctx context.Context, f *fleet.Fleet, found *outcome) error {
	var wrong []error
	if found.Differ > 0 {
		wrong = append(wrong, fmt.Errorf("%d of %d incidents are not what the client's fold says, among them:\n%s",
			found.Differ, found.Read, bytes.Join(raw(found.First), []byte("\n"))))
	}
	held, err := quarantine(ctx, f)
	if err != nil {
		return err
	}
	if missing, more := without(found.Quarantine, held), without(held, found.Quarantine); len(missing)+len(more) > 0 {
		wrong = append(wrong, fmt.Errorf("the quarantine holds %d, planted were %d\n  missing: %s\n  not planted: %s",
			len(held), len(found.Quarantine), first(missing), first(more)))
	}
	counts, err := f.Suite.Promises(ctx, time.Now())
	if err != nil {
		return err
	}
	for _, c := range counts {
		if c.Violations != 0 {
			wrong = append(wrong, fmt.Errorf("promise %d, %s %s: %d violations", c.Promise, c.Service, c.Name, c.Violations))
		}
	}
	d.say("%d incidents read, %d told of, %d differ; %d updates in quarantine, %d planted",
		found.Read, found.Told, found.Differ, len(held), len(found.Quarantine))
	return errors.Join(wrong...)
}

func raw[T ~[]byte](list []T) (out [][]byte) {
	for _, item := range list {
		out = append(out, item)
	}
	return out
}

// quarantine lists what the operator finds there.
func quarantine(ctx context.Context, f *fleet.Fleet) (held []string, err error) {
	conn, err := suite.DialGateway(f.Home, f.Gateway(), "operations")
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	operations := reportingv1.NewReportingOperationsServiceClient(conn)
	request := &reportingv1.ListQuarantineRequest{PageSize: 200}
	for {
		// The last fault may have been a moment ago.
		page, err := backoff.Retry(ctx, func() (*reportingv1.ListQuarantineResponse, error) {
			return operations.ListQuarantine(ctx, request)
		}, backoff.WithMaxElapsedTime(30*time.Second))
		if err != nil {
			return nil, err
		}
		for _, u := range page.GetQuarantinedUpdates() {
			held = append(held, fmt.Sprintf("%s/%d/%d/%s", u.GetSource(), u.GetEpoch(), u.GetSequence(), u.GetCause()))
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return held, nil
		}
	}
}

// without gives the items of a list that are not in another, as often as they are there too often.
func without(list, other []string) (rest []string) {
	have := map[string]int{}
	for _, item := range other {
		have[item]++
	}
	for _, item := range list {
		if have[item]--; have[item] < 0 {
			rest = append(rest, item)
		}
	}
	return rest
}

func first(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, among them %s", len(list), strings.Join(list[:min(5, len(list))], " "))
}
