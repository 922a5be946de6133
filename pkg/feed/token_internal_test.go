package feed

import (
	"bytes"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

func tokenKeys(t testing.TB, service string) *seal.Keys {
	t.Helper()
	keys, err := seal.New(service, bytes.Repeat([]byte{3}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func drawPlace(t *rapid.T) place {
	return place{
		feedID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "feed")), epoch: rapid.Int64().Draw(t, "epoch"),
		seq: rapid.Int64().Draw(t, "seq"), scope: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "scope")),
	}
}

func TestATokenGivesItsPlaceBackToItsMakerAlone(t *testing.T) {
	t.Parallel()
	own, other := tokenKeys(t, "reporting"), tokenKeys(t, "referral")
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlace(t)
		got, err := decode(own, p.encode(own), p.scope)
		if err != nil || got != p {
			t.Fatalf("%v, %v; want %v", got, err, p)
		}
		if _, err := decode(own, p.encode(other), p.scope); err == nil {
			t.Fatal("another service's token was taken")
		}
	})
}

func TestDifferentFiltersHaveDifferentScopes(t *testing.T) {
	t.Parallel()
	seen := map[[16]byte]bool{}
	for _, c := range []struct {
		r Reader
		f *feedv1.Filter
	}{
		{Reader{Whole: true}, nil},
		{Reader{Unit: "court"}, nil},
		{Reader{}, nil},
		{Reader{Unit: "court"}, &feedv1.Filter{Types: []string{"a"}}},
		{Reader{Unit: "court"}, &feedv1.Filter{SubjectKinds: []string{"a"}}},
		{Reader{Unit: "court"}, &feedv1.Filter{MatterId: "a"}},
		{Reader{Unit: "court"}, &feedv1.Filter{Types: []string{"a", "b"}}},
		{Reader{Unit: "court"}, &feedv1.Filter{Types: []string{"ab"}}},
		{Reader{Unit: "court"}, &feedv1.Filter{Types: []string{"a"}, SubjectKinds: []string{"b"}}},
	} {
		scope := scopeOf(c.r, c.f)
		if seen[scope] {
			t.Errorf("%v %v shares its scope with another", c.r, c.f)
		}
		seen[scope] = true
	}
}

func FuzzDecodeToken(f *testing.F) {
	keys := tokenKeys(f, "reporting")
	p := place{feedID: uuid.UUID{1}, epoch: 1, seq: 42}
	f.Add(p.encode(keys))
	f.Add(p.encode(keys) + "\n")
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := decode(keys, token, p.scope)
		if err == nil && got.encode(keys) != token {
			t.Errorf("two spellings of one token are taken")
		}
		if err != nil && !fault.Is(err, faultv1.Reason_REASON_FEED_TOKEN_INVALID) {
			t.Errorf("refused by %v", err)
		}
	})
}
