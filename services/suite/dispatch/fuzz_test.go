package dispatch

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A line is an update or a void with possible numbers, or an error; an update written back as a line is the same update.
func FuzzLine(f *testing.F) {
	for _, line := range []string{
		`{"sequence":1,"incident_number":"J1","payload":{"summary":"儿童独处"}}`, `{"sequence":"2","payload":"AAEC"}`, `{"void":{"from":2,"to":4,"reason":"x"}}`,
		`{"void":{"from":4,"to":2}}`, `{"void":{},"sequence":1}`, `{"sequence":0}`, `[]`, `null`, `{"payload":{"a":1}}`, ``,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		item, err := ParseLine(line)
		if err != nil {
			return
		}
		if (item.Update == nil) == (item.Void == nil) {
			t.Fatal("a line is neither update nor void, or both")
		}
		if item.Void != nil {
			if item.Void.GetFrom() < 1 || item.Void.GetTo() < item.Void.GetFrom() {
				t.Errorf("a void from %d to %d", item.Void.GetFrom(), item.Void.GetTo())
			}
			return
		}
		written, err := protojson.Marshal(item.Update)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseLine(written)
		if err != nil || !proto.Equal(again.Update, item.Update) {
			t.Errorf("the update came back otherwise: %v", err)
		}
	})
}
