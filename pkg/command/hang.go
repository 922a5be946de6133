//go:build !twin_unhung_idempotency

package command

// hang makes a branch depend on the effect: without it the request's row would be written for an effect that never happened.
const hang = " FROM u"
