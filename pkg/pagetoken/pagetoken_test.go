package pagetoken_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	"github.com/lianhu/lianhu/pkg/seal"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

func keys(t interface{ Fatal(...any) }, letter string) *seal.Keys {
	k, err := seal.New("specimen", []byte(strings.Repeat(letter, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func scope(t interface{ Fatal(...any) }, method, caller string, filter *custodyv1.WorkFilter) []byte {
	s, err := pagetoken.Scope(method, caller, filter)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestATokenGivesItsPositionBackAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		k := keys(r, "k")
		position := rapid.SliceOfN(rapid.String(), 1, 4).Draw(r, "position")
		own := scope(r, "/a/List", "court/main", &custodyv1.WorkFilter{MatterId: "m"})
		token := pagetoken.Make(k, own, position...)
		got, err := pagetoken.Read(k, own, token, len(position))
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(position, got); diff != "" {
			r.Fatal(diff)
		}
		foreign := map[string][]byte{
			"method": scope(r, "/b/List", "court/main", &custodyv1.WorkFilter{MatterId: "m"}),
			"caller": scope(r, "/a/List", "health/main", &custodyv1.WorkFilter{MatterId: "m"}),
			"filter": scope(r, "/a/List", "court/main", &custodyv1.WorkFilter{MatterId: "n"}),
		}
		for what, other := range foreign {
			if _, err := pagetoken.Read(k, other, token, len(position)); !fault.Is(err, faultv1.Reason_REASON_PAGE_TOKEN_INVALID) {
				r.Fatalf("a token of another %s was answered with %v", what, err)
			}
		}
		if _, err := pagetoken.Read(keys(r, "x"), own, token, len(position)); !fault.Is(err, faultv1.Reason_REASON_PAGE_TOKEN_INVALID) {
			r.Fatalf("a token of another service was answered with %v", err)
		}
	})
}

func FuzzRead(f *testing.F) {
	k := keys(f, "k")
	own := scope(f, "/a/List", "court/main", &custodyv1.WorkFilter{})
	good := pagetoken.Make(k, own, "2026-01-01", "id")
	f.Add(good)
	f.Add(good[:len(good)-2])
	f.Add("※")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := pagetoken.Read(k, own, token, 2)
		if err != nil && !fault.Is(err, faultv1.Reason_REASON_PAGE_TOKEN_INVALID) {
			t.Fatalf("not a fault: %v", err)
		}
		if err == nil && token != "" && (len(got) != 2 || got[0] != "2026-01-01") {
			t.Fatal("a token nobody made was accepted")
		}
	})
}

func TestPageSizeIsBounded(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{0: 50, 1: 1, 200: 200, 100000: 200} {
		if got, err := pagetoken.Size(asked); err != nil || got != want {
			t.Errorf("Size(%d) = %d, %v; want %d", asked, got, err, want)
		}
	}
	if _, err := pagetoken.Size(-1); !fault.Is(err, faultv1.Reason_REASON_FIELD_INVALID) {
		t.Errorf("a negative size was answered with %v", err)
	}
}
