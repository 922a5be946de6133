package rules

import "time"

// skewRelax is the part by which an estimate gives way to a commit that shows less skew, and skewRest how long it rests in between: a queue that
// is sent late in a hundred commits must not be taken for a clock that is behind.
const (
	skewRelax = 64
	skewRest  = time.Minute
)

// Skew follows the difference between a source's clock and ours, in milliseconds; positive when the source's is ahead. since is how long ago the
// source was heard before, offset the smallest difference between receiving and source time among the updates taken now: the way there takes time
// but never less than none, so the smallest difference is nearest to the clocks' own. A smaller one counts at once; a larger one may be a queue
// that was sent late, and moves the estimate only a little, so that what comes fresh again soon prevails.
func Skew(before int64, first bool, since, offset time.Duration) int64 {
	seen := -offset.Milliseconds()
	if first || seen > before {
		return seen
	}
	if since < skewRest {
		return before
	}
	return before - (before-seen)/skewRelax
}
