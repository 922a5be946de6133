package pagetoken_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/pagetoken"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// A sort key of any bytes comes back as it was, and what was not made here is refused by the one reason.
func FuzzPageToken(f *testing.F) {
	k := keys(f, "a")
	s := scope(f, "/m", "court/main", &custodyv1.WorkFilter{})
	f.Add("2026-03-02T04:00:00Z", "8d9a4f7e", pagetoken.Make(k, s, "x", "y"))
	f.Add("", "", "")
	f.Add("\x00", "\xff", "AAAAAAAAAAAAAAAAAAAAAAAA_____w")
	f.Fuzz(func(t *testing.T, first, second, stranger string) {
		got, err := pagetoken.Read(k, s, pagetoken.Make(k, s, first, second), 2)
		if diff := cmp.Diff([]string{first, second}, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if _, err := pagetoken.Read(k, s, stranger, 2); err != nil && !fault.Is(err, faultv1.Reason_REASON_PAGE_TOKEN_INVALID) {
			t.Errorf("refused by %v", err)
		}
	})
}
