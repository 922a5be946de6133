package rules_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// The spans say the same of every number as the set of the numbers themselves, whatever the order they come in.
func TestSpansTellTheSameAsTheNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var spans rules.Spans
		spent := map[int64]bool{}
		durable := int64(0)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			from := int64(rapid.IntRange(1, 40).Draw(rt, "from"))
			to := from + int64(rapid.IntRange(0, 4).Draw(rt, "length"))
			if from <= durable {
				continue // known to be spent
			}
			for n := from; n <= to; n++ {
				spent[n] = true
			}
			durable, spans = spans.Add(from, to).Advance(durable)
			want := int64(0)
			for spent[want+1] {
				want++
			}
			if durable != want {
				rt.Fatalf("durable %d, want %d", durable, want)
			}
			missing := map[int64]bool{}
			for _, gap := range spans.Gaps(durable, 1000) {
				for n := gap.GetFrom(); n <= gap.GetTo(); n++ {
					missing[n] = true
				}
			}
			greatest := spans.Greatest(durable)
			for n := durable + 1; n <= greatest; n++ {
				if missing[n] == spent[n] {
					rt.Fatalf("number %d: missing %t, spent %t", n, missing[n], spent[n])
				}
			}
			if greatest > durable && !spent[greatest] {
				rt.Fatalf("the greatest number %d was never spent", greatest)
			}
		}
	})
}

func TestGapsAreCutOff(t *testing.T) {
	t.Parallel()
	spans := rules.Spans{}.Add(2, 2).Add(4, 4).Add(6, 9)
	if got := spans.Gaps(0, 2); len(got) != 2 || got[1].GetFrom() != 3 || got[1].GetTo() != 3 {
		t.Errorf("gaps %v", got)
	}
	if !slices.Equal(spans, rules.Spans{{2, 2}, {4, 4}, {6, 9}}) {
		t.Errorf("spans %v", spans)
	}
}
