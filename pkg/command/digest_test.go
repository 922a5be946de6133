package command

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	specimenv1 "github.com/lianhu/lianhu/pkg/internal/specimen/v1"
)

func drawRequest(r *rapid.T) *specimenv1.ChangeTicketRequest {
	word := rapid.StringMatching(`[ab]{0,2}`)
	m := &specimenv1.ChangeTicketRequest{
		RequestId: word.Draw(r, "request_id"), ValidateOnly: rapid.Bool().Draw(r, "validate_only"),
		Etag: word.Draw(r, "etag"), Id: word.Draw(r, "id"), Number: word.Draw(r, "number"), Remark: word.Draw(r, "remark"),
		Labels: rapid.MapOfN(word, word, 0, 2).Draw(r, "labels"),
	}
	for range rapid.IntRange(0, 2).Draw(r, "lines") {
		m.Lines = append(m.Lines, &specimenv1.Line{Position: rapid.Int32Range(0, 1).Draw(r, "position"), Seen: word.Draw(r, "seen")})
	}
	return m
}

// Two requests have the same canonical form exactly when they ask for the same, whatever bytes they arrived as.
func TestCanonicalFormDependsOnWhatIsAskedAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a, b := drawRequest(r), drawRequest(r)
		bareA, bareB := proto.Clone(a).(*specimenv1.ChangeTicketRequest), proto.Clone(b).(*specimenv1.ChangeTicketRequest)
		for _, m := range []*specimenv1.ChangeTicketRequest{bareA, bareB} {
			m.RequestId, m.ValidateOnly = "", false
		}
		if got, want := bytes.Equal(canonical(a), canonical(b)), proto.Equal(bareA, bareB); got != want {
			r.Fatalf("equal forms %v, equal requests %v: %v, %v", got, want, a, b)
		}
		wire, err := proto.Marshal(a)
		if err != nil {
			r.Fatal(err)
		}
		back := &specimenv1.ChangeTicketRequest{}
		if err := proto.Unmarshal(wire, back); err != nil {
			r.Fatal(err)
		}
		if !bytes.Equal(canonical(a), canonical(back)) {
			r.Fatal("a way through the wire changed the form")
		}
	})
}
