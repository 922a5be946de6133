//go:build twin_last_arrival

package rules

import reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"

// newer lets the last update to arrive win, whatever its version. The storm must catch it.
func newer(*reportingv1.Incident, Update) bool { return true }
