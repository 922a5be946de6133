package seal_test

import (
	"bytes"
	"testing"

	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// What stands in a sealed column is opened or refused, and what is opened is what was sealed.
func FuzzOpen(f *testing.F) {
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("plain"))
	f.Add([]byte{0})
	f.Add([]byte{0xff, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		place := seal.Place{Table: "ticket", ID: "1", Class: accessv1.DataClass_DATA_CLASS_PERSONAL}
		sealed, err := keys.Seal(place, raw)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := keys.Open(place, sealed); err != nil || !bytes.Equal(opened, raw) {
			t.Errorf("sealed and opened: %x, %v", opened, err)
		}
		opened, err := keys.Open(place, raw)
		if err != nil {
			return
		}
		if again, err := keys.Seal(place, opened); err != nil || len(opened) > 0 && !bytes.Equal(again, raw) {
			t.Errorf("opened and sealed: %x, %v", again, err)
		}
	})
}
