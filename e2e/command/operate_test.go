package command

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	personv1 "github.com/lianhu/lianhu/proto/gen/lianhu/person/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/suite"
)

// up runs a suite from the terminal's home until the test ends.
func (x terminal) up(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), x.binary, "--home", filepath.Join(x.dir, "home"), "up", "--grpc", "127.0.0.1:0", "--json", "127.0.0.1:0")
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("the suite ended with %v", err)
		}
	})
	home, err := suite.OpenHome(filepath.Join(x.dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, ok := home.Running(); ok {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the suite ended: %v", err)
		case <-ticker.C:
		}
	}
}

// What operators do to a running suite: count its promises, see what is parked, and be told when there is nothing to put right.
func TestOperatorsLookAfterARunningSuite(t *testing.T) {
	t.Parallel()
	x := open(t)
	x.up(t)
	printed, status := x.call(t, "promises")
	if status != 0 {
		t.Errorf("status %d over kept promises:\n%s", status, printed)
	}
	wants(t, printed, "no unowned moment", "money adds up", "0 violations")
	x.settleQuarantine(t)
	x.retryParked(t)
	x.plant(t, "lianhu_relief", `INSERT INTO parked_event (follower, seq, subject_kind, subject_id, event, attempts, reason, request_id, deadline)
		VALUES ('relief.referral', 7, 'referral', gen_random_uuid(), '', 10, 'INTERNAL', gen_random_uuid(), now() + interval '1 day')`)
	if printed, status = x.call(t, "promises"); status != 1 {
		t.Errorf("status %d over a parked event:\n%s", status, printed)
	}
	wants(t, printed, "relief events.parked: 1", "a promise is broken")
	if printed, status = x.call(t, "ops", "parked", "relief"); status != 0 {
		t.Errorf("status %d:\n%s", status, printed)
	}
	wants(t, printed, "relief.referral", "tried 10 times")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"ops", "parked", "relief", "--as", "finance"}, "PermissionDenied"},
		{[]string{"ops", "retry", "relief", "--follower", "relief.referral", "--seq", "8"}, "no such parked event"},
		{[]string{"ops", "repair", "relief", "--kind", "application", "--item", "6ecd8c99-4036-403d-bf84-cf8400f67836", "--grounds", "deadline_stuck"}, "NotFound"},
		{[]string{"ops", "repair", "relief", "--kind", "application", "--item", "x", "--grounds", "deadline_stuck"}, "InvalidArgument"},
	} {
		if printed, status = x.call(t, c.args...); status == 0 {
			t.Errorf("lianhu %v: status 0", c.args)
		}
		wants(t, printed, c.says)
	}
}

// settleQuarantine walks an operator through what a dispatch system has left behind - an update that cannot be read, numbers that never come -
// and through a holder that is gone.
func (x terminal) settleQuarantine(t *testing.T) {
	t.Helper()
	file := filepath.Join(x.dir, "updates.ndjson")
	updates := `{"sequence":1,"incident_number":"J1","incident_version":1,"source_time":"2026-03-02T08:00:00+08:00","payload":{"summary":"儿童独处"}}
{"sequence":2,"incident_number":"J1","incident_version":2,"source_time":"2026-03-02T08:01:00+08:00","payload":"/w=="}
{"sequence":5,"incident_number":"J1","incident_version":3,"source_time":"2026-03-02T08:02:00+08:00","payload":{"summary":"儿童独处"}}
`
	if err := os.WriteFile(file, []byte(updates), 0o600); err != nil {
		t.Fatal(err)
	}
	mistaken := filepath.Join(x.dir, "mistaken.ndjson")
	if err := os.WriteFile(mistaken, []byte(strings.SplitAfter(updates, "\n")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if printed, status := x.call(t, "dispatch", "push", file); status != 1 {
		t.Fatalf("status %d with one update in quarantine:\n%s", status, printed)
	}
	listed, _ := x.call(t, "ops", "quarantine")
	wants(t, listed, "police:dispatch", "number 2", "UNDECODABLE", "OPEN", "until")
	id, _, _ := strings.Cut(listed, " ")
	x.plant(t, "lianhu_reporting", "UPDATE quarantined_update SET holder = 'township/000000000000' WHERE id = '"+id+"'")
	repair := []string{"ops", "repair", "reporting", "--kind", "quarantined_update", "--item", id, "--grounds", "holder_gone"}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"promises"}, 1, "quarantined_update.history: 1"},
		{repair, 1, "repair.holder"},
		{append(repair, "--holder", "civil_affairs", "--check"), 0, "nothing was changed"},
		{append(repair, "--holder", "civil_affairs"), 0, "held by civil_affairs until"},
		{append(repair, "--holder", "civil_affairs"), 1, "not broken"},
		{[]string{"promises"}, 0, "0 violations"},
		{[]string{"ops", "replay"}, 1, "as listed by: lianhu ops quarantine"},
		{[]string{"ops", "replay", id}, 1, "QUARANTINE_CAUSE_PERSISTS"},
		{[]string{"ops", "reject", id}, 1, "reason"},
		{[]string{"ops", "reject", "--reason", "test bytes", id}, 0, "rejected"},
		{[]string{"ops", "quarantine", "--all"}, 0, "REJECTED"},
		{[]string{"ops", "close-gap", "--source", "police:dispatch", "--epoch", "1", "--from", "3", "--to", "4", "--reason", "test numbers"}, 0, "2 numbers given up; durable through 5"},
		{[]string{"ops", "close-gap", "--source", "police:dispatch", "--reason", "test numbers"}, 1, "epoch"},
		{[]string{"ops", "lower-epoch", "--source", "police:dispatch", "--mistaken", "9", "--epoch", "1", "--reason", "test numbers"}, 1, "DISPATCH_EPOCH_STALE"},
		{[]string{"dispatch", "push", "--epoch", "9", mistaken}, 0, "epoch 9: 1 of 1 numbers are durable"},
		{[]string{"ops", "lower-epoch", "--source", "police:dispatch", "--mistaken", "9", "--epoch", "1", "--reason", "test numbers"}, 0, "epoch 1 counts again; durable through 5"},
		{[]string{"promises"}, 0, "0 violations"},
	} {
		printed, status := x.call(t, c.args...)
		if status != c.status {
			t.Errorf("lianhu %v: status %d, want %d:\n%s", c.args, status, c.status, printed)
		}
		wants(t, printed, c.says)
	}
	if printed, _ := x.call(t, "ops", "quarantine"); printed != "" {
		t.Errorf("settled, and still listed:\n%s", printed)
	}
}

// retryParked provokes what parks an event - a defect that the registry meets each time it takes up a report - and walks an operator through
// it: the event is listed, stays when it is retried too early, and is applied once the cause is gone.
func (x terminal) retryParked(t *testing.T) {
	t.Helper()
	x.plant(t, "lianhu_registry", "ALTER TABLE binding ADD CONSTRAINT planted CHECK (false) NOT VALID")
	x.report(t)
	listed := ""
	for listed == "" { // the tenth failure parks it
		var status int
		if listed, status = x.call(t, "ops", "parked", "registry"); status != 0 {
			t.Fatalf("status %d:\n%s", status, listed)
		}
	}
	wants(t, listed, "registry.reporting", "provisional_child.created", "tried 10 times")
	retry := []string{"ops", "retry", "registry", "--follower", "registry.reporting", "--seq", strings.Fields(listed)[1]}
	if printed, status := x.call(t, retry...); status != 1 {
		t.Errorf("retried before the cause was mended: status %d:\n%s", status, printed)
	}
	mend := func() { x.plant(t, "lianhu_registry", "ALTER TABLE binding DROP CONSTRAINT planted") }
	for _, c := range []struct {
		before func()
		args   []string
		status int
		says   string
	}{
		{nil, []string{"ops", "parked", "registry"}, 0, "tried 11 times"},
		{nil, []string{"promises"}, 1, "registry events.parked: 1"},
		{mend, append(retry, "--check"), 0, "nothing was changed"},
		{nil, retry, 0, "applied"},
		{nil, []string{"promises"}, 0, "0 violations"},
	} {
		if c.before != nil {
			c.before()
		}
		printed, status := x.call(t, c.args...)
		if status != c.status {
			t.Errorf("lianhu %v: status %d, want %d:\n%s", c.args, status, c.status, printed)
		}
		wants(t, printed, c.says)
	}
	if printed, _ := x.call(t, "ops", "parked", "registry"); printed != "" {
		t.Errorf("applied, and still listed:\n%s", printed)
	}
}

// report submits the report of a child, as a school does.
func (x terminal) report(t *testing.T) {
	t.Helper()
	home, err := suite.OpenHome(filepath.Join(x.dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	running, _ := home.Running()
	conn, err := suite.DialGateway(home, running.GRPC, "org/12320411710018221B")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := client.By(client.For(t.Context(), accessv1.Purpose_PURPOSE_MANDATORY_REPORTING), "org-12320411710018221b-1")
	_, err = reportingv1.NewReportingServiceClient(conn).SubmitReport(ctx, &reportingv1.SubmitReportRequest{
		RequestId: uuid.NewString(), ResidenceDivision: "320411101201",
		Child:      &personv1.Person{Name: "钱雨欣", Sex: personv1.Sex_SEX_FEMALE, NoIdNumberReason: personv1.NoIdNumberReason_NO_ID_NUMBER_REASON_UNKNOWN_IDENTITY},
		Situations: []string{"LIVING_ALONE"}, DiscoverTime: timestamppb.New(time.Now().Add(-time.Hour)), Narrative: "独自居住两周。",
		Reporter: &reportingv1.Reporter{Name: "吴明辉", Phone: "13900000000"},
	})
	if err != nil {
		t.Fatal(err)
	}
}
