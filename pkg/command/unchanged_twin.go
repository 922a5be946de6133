//go:build twin_lost_update

package command

// unchanged takes the row as it is, and so writes over what somebody else has done meanwhile. The storm, which also takes away the key of
// the points of custody, must catch it.
const unchanged = "%s IS NOT NULL"
