package row_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/lianhu/lianhu/pkg/internal/specimen"
)

// scan puts encoded columns where a select would put them.
func scan(t *testing.T, args []any) []any {
	t.Helper()
	table := specimen.Tickets()
	destinations := table.Destinations()
	// Derived columns, such as the index of a name, are written and never read back.
	n := len(destinations) - 4
	args = append(args[:n:n], args[len(args)-4:]...)
	for i, d := range destinations {
		switch d := d.(type) {
		case **string:
			if v, ok := args[i].(string); ok {
				*d = &v
			}
		case **bool:
			if v, ok := args[i].(bool); ok {
				*d = &v
			}
		case **int64:
			switch v := args[i].(type) {
			case int64:
				*d = &v
			case int32:
				wide := int64(v)
				*d = &wide
			}
		case **time.Time:
			if v, ok := args[i].(time.Time); ok {
				*d = &v
			}
		case *[]byte:
			if v, ok := args[i].([]byte); ok {
				*d = v
			}
		default:
			t.Fatalf("column %d is scanned into %T", i, d)
		}
	}
	return destinations
}

// Whatever bytes stand in the parts of a row, decoding gives the row or an error; a row that was read is written again and read as the same,
// unknown fields included.
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
		whole := full()
		table.Stamp(whole, 1, time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
		args, err := table.Encode(whole, k)
		if err != nil {
			t.Fatal(err)
		}
		destinations := scan(t, args)
		stored := destinations[len(destinations)-4+int(part)%4].(*[]byte)
		if part%4 > 0 && len(raw) > 0 {
			*stored = append([]byte{0}, raw...) // the suite of a sealed part
		} else {
			*stored = raw
		}
		m, err := table.Decode(destinations, k)
		if err != nil {
			return
		}
		if args, err = table.Encode(m, k); err != nil {
			if m.GetReporter() == "" {
				t.Errorf("a row that was read cannot be written: %v", err)
			}
			return // a reporter may not enter a row, and this says so
		}
		again, err := table.Decode(scan(t, args), k)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(m, again) {
			t.Errorf("read otherwise: %s", cmp.Diff(m, again, protocmp.Transform()))
		}
	})
}
