//go:build twin_unhung_idempotency

package command

// hang leaves the request's row to itself, so that a lost race is answered as if it had been won. The storm must catch it.
const hang = ""
