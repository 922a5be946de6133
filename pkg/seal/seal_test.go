package seal_test

import (
	"bytes"
	"testing"

	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

func keys(t *testing.T, service string) *seal.Keys {
	t.Helper()
	k, err := seal.New(service, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestIndexDependsOnValueColumnAndService(t *testing.T) {
	t.Parallel()
	a := keys(t, "registry")
	base := a.Index("child.id_number", "320411201506010019")
	if !bytes.Equal(base, a.Index("child.id_number", "320411201506010019")) {
		t.Error("the index of one value changes")
	}
	for name, other := range map[string][]byte{
		"value":   a.Index("child.id_number", "320411201609120026"),
		"column":  a.Index("guardian.id_number", "320411201506010019"),
		"service": keys(t, "reporting").Index("child.id_number", "320411201506010019"),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s gives the same index", name)
		}
	}
	if a.Index("child.id_number", "") != nil {
		t.Error("an absent value must have no index, or all absent values would match each other")
	}
}

func TestSealRoundTripAndUnknownSuite(t *testing.T) {
	t.Parallel()
	k, place := keys(t, "registry"), seal.Place{Table: "child", ID: "1", Class: accessv1.DataClass_DATA_CLASS_PERSONAL}
	sealed, err := k.Seal(place, []byte("part"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := k.Open(place, sealed); err != nil || string(plain) != "part" {
		t.Errorf("Open = %q, %v", plain, err)
	}
	sealed[0] = 9
	if _, err := k.Open(place, sealed); err == nil {
		t.Error("a part of an unknown suite was opened")
	}
}

func TestPseudonymsOfOneReporterCannotBeJoined(t *testing.T) {
	t.Parallel()
	k := keys(t, "reporting")
	if k.Pseudonym("report-1", "org/x") == k.Pseudonym("report-2", "org/x") {
		t.Error("two reports of one reporter share a pseudonym")
	}
}

func TestNewRefusesShortKey(t *testing.T) {
	t.Parallel()
	if _, err := seal.New("registry", []byte("short")); err == nil {
		t.Error("a short root key was accepted")
	}
}
