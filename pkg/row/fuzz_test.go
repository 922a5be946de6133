package row_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/internal/specimen"
)

// Whatever bytes stand in the parts of a row, decoding gives the row or an error, and a row that was read can be written again.
func FuzzRow(f *testing.F) {
	good, err := proto.Marshal(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(0), good)
	f.Add(uint8(1), []byte{})
	f.Add(uint8(2), append(good, 0xfa, 0x07, 0x01, 'x')) // a field of the future
	f.Add(uint8(3), []byte{0x0a, 0xff})
	table, k := specimen.Tickets(), keys(f)
	f.Fuzz(func(t *testing.T, part uint8, raw []byte) {
		destinations := table.Destinations()
		var parts []*[]byte
		for _, d := range destinations {
			if bytes, ok := d.(*[]byte); ok {
				parts = append(parts, bytes)
			}
		}
		parts = parts[1:] // the first is the index of the name, a column of its own
		*parts[int(part)%len(parts)] = raw
		m, err := table.Decode(destinations, k)
		if err != nil {
			return
		}
		if _, err := table.Encode(m, k); err != nil {
			t.Errorf("a row that was read cannot be written: %v", err)
		}
	})
}
