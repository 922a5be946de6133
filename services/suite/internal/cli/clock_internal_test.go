package cli

import (
	"testing"
	"time"
)

func TestTimesToMoveTheClockByAndTo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"3d": 72 * time.Hour, "36h": 36 * time.Hour, "2d12h30m": 60*time.Hour + 30*time.Minute, "1s": time.Second, "0d5m": 5 * time.Minute,
	} {
		if got, err := span(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "3", "-3d", "3d-1h", "0d", "1.5s", "500ms", "3dd", "3 d", "三天", "99999999d"} {
		if got, err := span(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
	for text, want := range map[string]string{"2026-03-02": "2026-03-01T16:00:00Z", "2026-03-02T08:00:00+08:00": "2026-03-02T00:00:00Z"} {
		if got, err := moment(text); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "tomorrow", "2026-02-30", "2026-03-02 08:00"} {
		if got, err := moment(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}
