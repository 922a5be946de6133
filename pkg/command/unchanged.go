//go:build !twin_lost_update

package command

// unchanged is the condition of every UPDATE: the row is as the rule has seen it. Else what somebody else has done meanwhile would be lost.
const unchanged = "present.version = %s"
