//go:build !twin_last_arrival

package rules

import (
	"cmp"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// newer reports whether an update stands above the one whose fields stand now.
func newer(i *reportingv1.Incident, u Update) bool {
	return cmp.Or(
		cmp.Compare(u.Envelope.GetIncidentVersion(), i.GetIncidentVersion()),
		cmp.Compare(u.Epoch, i.GetEpoch()),
		cmp.Compare(u.Envelope.GetSequence(), i.GetSequence()),
		cmp.Compare(u.Source, i.GetSource()),
	) > 0
}
