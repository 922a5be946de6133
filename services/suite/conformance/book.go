package conformance

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

// Bounds of the contract.
const (
	gapsMost     = 100
	aheadMost    = 1_000_000
	sequenceMost = 1<<53 - 1
)

// heard is what the instrument knows of one number.
type heard struct {
	digest [sha256.Size]byte
	// on is the connection that brought it first.
	on int
	// spent when it counts as durable; otherwise it was received and lost with its connection.
	spent bool
	void  bool
}

// book is the position of one source as the contract defines it, and beside it what was received and lost.
type book struct {
	epoch, through, greatest int64
	numbers                  map[int64]*heard
	// asked are numbers that a Hello has named as missing although they had been on their way.
	asked map[int64]bool
}

func digest(u *reportingv1.IncidentUpdate) [sha256.Size]byte {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(u)
	if err != nil {
		return [sha256.Size]byte{} // what was received marshals
	}
	return sha256.Sum256(raw)
}

// spend makes a number durable.
func (b *book) spend(n int64) {
	b.numbers[n].spent = true
	b.greatest = max(b.greatest, n)
	for b.spent(b.through + 1) {
		b.through++
	}
}

func (b *book) spent(n int64) bool { return b.numbers[n] != nil && b.numbers[n].spent }

// gaps lists what is missing below the greatest number that is durable.
func (b *book) gaps() (out []*reportingv1.SequenceRange) {
	for n := b.through + 1; n < b.greatest && len(out) <= gapsMost; n++ {
		switch {
		case b.spent(n):
		case len(out) > 0 && out[len(out)-1].GetTo() == n-1:
			out[len(out)-1].To = n
		default:
			out = append(out, &reportingv1.SequenceRange{From: n, To: n})
		}
	}
	return out[:min(len(out), gapsMost)]
}

// known is the greatest number that is durable.
func (b *book) known() int64 { return max(b.greatest, b.through) }

// loss says how a missing number came to be missing.
type loss int

const (
	// never: nothing of it was ever seen, and its neighbours came over one connection.
	never loss = iota
	// cutOff: it was on its way when its connection ended, or lies where one ended.
	cutOff
	// askedFor: as cutOff, and a Hello named it since.
	askedFor
)

// missing sorts what is still missing by how it came to be, when so many connections were made.
func (b *book) missing(connections int) map[loss][]int64 {
	out := map[loss][]int64{}
	for n, h := range b.numbers {
		if !h.spent && n > b.greatest && h.on < connections { // there was a connection to send it again on
			out[cutOff] = append(out[cutOff], n)
		}
	}
	for _, gap := range b.gaps() {
		before, after := b.numbers[gap.GetFrom()-1], b.numbers[gap.GetTo()+1]
		astride := before != nil && after != nil && before.on != after.on
		for n := gap.GetFrom(); n <= gap.GetTo(); n++ {
			how := never
			switch {
			case b.numbers[n] != nil && b.asked[n]:
				how = askedFor
			case b.numbers[n] != nil, astride:
				how = cutOff
			}
			out[how] = append(out[how], n)
		}
	}
	return out
}

// list writes numbers as ranges.
func list(numbers []int64) string {
	slices.Sort(numbers)
	out := ""
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if out != "" {
			out += ", "
		}
		if i == j {
			out += fmt.Sprint(numbers[i])
		} else {
			out += fmt.Sprintf("%d to %d", numbers[i], numbers[j])
		}
		i = j + 1
	}
	return out
}
