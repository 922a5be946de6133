//go:build !twin_last_arrival

package rules

import "cmp"

// newer reports whether an update stands above the one whose fields stand now; see the contract. Versions further apart than leap are not
// compared: one of them is a mistake, and if it counted it would stand above everything for ever.
func newer(leap int64, stands, u rank) bool {
	if stands.version > 0 && apart(stands, u) > leap {
		if u.source == stands.source {
			return cmp.Or(cmp.Compare(u.epoch, stands.epoch), cmp.Compare(u.sequence, stands.sequence)) > 0
		}
		if later := u.at.Compare(stands.at); later != 0 {
			return later > 0
		}
	}
	return cmp.Or(
		cmp.Compare(u.version, stands.version), cmp.Compare(u.epoch, stands.epoch), cmp.Compare(u.sequence, stands.sequence),
		cmp.Compare(u.source, stands.source),
	) > 0
}
