package contract

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A work list and a point of custody give an item's state as text, without the prefix that its own `state` has: docs/integrating.md promises
// that `STATE_` + the text is that value, in every kind.
func TestAStateIsItsTextBehindOnePrefix(t *testing.T) {
	t.Parallel()
	kinds := 0
	eachField(func(f protoreflect.FieldDescriptor) {
		if f.Name() != "state" || f.Enum() == nil || f.ContainingMessage().Fields().ByName("standing") == nil {
			return
		}
		kinds++
		for i := range f.Enum().Values().Len() {
			if name := f.Enum().Values().Get(i).Name(); !strings.HasPrefix(string(name), "STATE_") {
				t.Errorf("%s has the value %s", f.FullName(), name)
			}
		}
	})
	if kinds < 10 {
		t.Errorf("%d kinds were found", kinds)
	}
	for _, f := range files() {
		for _, name := range []protoreflect.Name{"Point", "WorkItem"} {
			if m := f.Messages().ByName(name); m != nil && m.Fields().ByName("state") != nil && m.Fields().ByName("state").Kind() != protoreflect.StringKind {
				t.Errorf("%s.state is no text any more", m.FullName())
			}
		}
	}
}
