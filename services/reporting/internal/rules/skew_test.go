package rules_test

import (
	"testing"
	"time"

	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

func TestSkewIsThatOfTheClockAndNotOfTheQueue(t *testing.T) {
	t.Parallel()
	const ahead = 90 * time.Second // the source's clock
	skew := rules.Skew(0, true, 0, 4*time.Hour-ahead)
	for range 5 {
		skew = rules.Skew(skew, false, time.Hour, 40*time.Millisecond-ahead)
	}
	if want := (ahead - 40*time.Millisecond).Milliseconds(); skew != want {
		t.Errorf("after fresh updates: %d ms, want %d", skew, want)
	}
	for range 20 { // an outage of an hour is told late
		skew = rules.Skew(skew, false, time.Hour, time.Hour-ahead)
	}
	if skew = rules.Skew(skew, false, time.Hour, 30*time.Millisecond-ahead); skew != (ahead - 30*time.Millisecond).Milliseconds() {
		t.Errorf("after an outage: %d ms", skew)
	}
	for range 2000 { // the clock was set right
		skew = rules.Skew(skew, false, time.Hour, 50*time.Millisecond)
	}
	if skew > 100 || skew < -50 {
		t.Errorf("after the clock was set right: %d ms", skew)
	}
	before := skew
	for range 500 { // a queue of a night, told in a minute
		skew = rules.Skew(skew, false, time.Second, 8*time.Hour)
	}
	if skew != before {
		t.Errorf("a queue was taken for a clock: %d ms", skew)
	}
}
