package rules

import (
	"slices"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Span is a closed range of numbers.
type Span struct{ From, To int64 }

// Spans are the numbers a source has spent above what is durable: sorted, apart from each other by at least one missing number.
type Spans []Span

// Add puts a range in and joins what touches.
func (s Spans) Add(from, to int64) Spans {
	// The first span that is not wholly before the range, and the first that is wholly behind it.
	first, _ := slices.BinarySearchFunc(s, from, func(p Span, n int64) int {
		if p.To+1 < n {
			return -1
		}
		return 1
	})
	last := first
	for last < len(s) && s[last].From <= to+1 {
		from, to = min(from, s[last].From), max(to, s[last].To)
		last++
	}
	return slices.Replace(s, first, last, Span{from, to})
}

// Advance moves the durable position over the span that follows it and gives what is left above.
func (s Spans) Advance(durable int64) (int64, Spans) {
	for len(s) > 0 && s[0].From <= durable+1 {
		durable = max(durable, s[0].To)
		s = s[1:]
	}
	return durable, s
}

// Gaps lists the missing ranges above the durable position, the first most of them.
func (s Spans) Gaps(durable int64, most int) []*reportingv1.SequenceRange {
	var gaps []*reportingv1.SequenceRange
	for _, span := range s {
		if len(gaps) == most {
			break
		}
		gaps = append(gaps, &reportingv1.SequenceRange{From: durable + 1, To: span.From - 1})
		durable = span.To
	}
	return gaps
}

// Greatest is the greatest number spent, durable when there is none above it.
func (s Spans) Greatest(durable int64) int64 {
	if len(s) == 0 {
		return durable
	}
	return s[len(s)-1].To
}

// Missing lists the numbers from one to another that are neither durable nor spent.
func (s Spans) Missing(durable, from, to int64) []int64 {
	var missing []int64
	for n := max(from, durable+1); n <= to; n++ {
		for len(s) > 0 && s[0].To < n {
			s = s[1:]
		}
		if len(s) == 0 || n < s[0].From {
			missing = append(missing, n)
		}
	}
	return missing
}
