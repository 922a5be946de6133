package command

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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
