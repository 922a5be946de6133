package feed

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	feedv1 "github.com/lianhu/lianhu/proto/gen/lianhu/feed/v1"
)

// Layout of a token before base64url: feed id, epoch, seq, digest of filter and audience, MAC over all of them.
const (
	tokenFilter = 16 + 8 + 8
	tokenMAC    = tokenFilter + 16
	tokenSize   = tokenMAC + 16
)

// spelling is strict: a place has one token only.
var spelling = base64.RawURLEncoding.Strict()

// place is where a token points.
type place struct {
	feedID uuid.UUID
	epoch  int64
	seq    int64
	scope  [16]byte
}

// encode makes the token of a place. Without the service's key nobody can make one, so a reader cannot skip events
// by arithmetic and later claim it was never sent them.
func (p place) encode(keys *seal.Keys) string {
	raw := make([]byte, 0, tokenSize)
	raw = append(raw, p.feedID[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.epoch))
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.seq))
	raw = append(raw, p.scope[:]...)
	raw = append(raw, keys.Digest("feed/token", raw)[:tokenSize-tokenMAC]...)
	return spelling.EncodeToString(raw)
}

// peek reads a token without proof of its origin. A follower, which got the token from its source over an authenticated
// connection, learns feed id and epoch this way.
func peek(token string) (place, []byte, error) {
	raw, err := spelling.DecodeString(token)
	if err != nil || len(raw) != tokenSize || spelling.EncodedLen(tokenSize) != len(token) { // the decoder passes over line breaks
		return place{}, nil, errors.New("feed: not a token")
	}
	return place{
		feedID: uuid.UUID(raw[:16]),
		epoch:  int64(binary.BigEndian.Uint64(raw[16:])),
		seq:    int64(binary.BigEndian.Uint64(raw[24:])),
		scope:  [16]byte(raw[tokenFilter:]),
	}, raw, nil
}

// decode checks that a token was given out by this service for this scope.
func decode(keys *seal.Keys, token string, scope [16]byte) (place, error) {
	p, raw, err := peek(token)
	if err != nil || !seal.Equal(raw[tokenMAC:], keys.Digest("feed/token", raw[:tokenMAC])[:tokenSize-tokenMAC]) {
		return place{}, tokenInvalid("the token is damaged")
	}
	if p.scope != scope {
		return place{}, tokenInvalid("the token was given out for another filter or caller")
	}
	return p, nil
}

// scopeOf digests what a reader wants and may see. Order and repetition in the filter do not matter.
func scopeOf(r Reader, f *feedv1.Filter) [16]byte {
	h := sha256.New()
	field := func(parts ...string) {
		h.Write([]byte(strconv.Itoa(len(parts)) + ";"))
		for _, p := range parts {
			h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
		}
	}
	if r.Whole {
		field()
	} else {
		field(r.Unit)
	}
	field(slices.Compact(slices.Sorted(slices.Values(f.GetTypes())))...)
	field(slices.Compact(slices.Sorted(slices.Values(f.GetSubjectKinds())))...)
	field(f.GetMatterId())
	return [16]byte(h.Sum(nil))
}

func tokenInvalid(why string) error {
	return fault.New(faultv1.Reason_REASON_FEED_TOKEN_INVALID, why, "field", "token").Field("token", why)
}

func epochChanged(epoch int64) error {
	return fault.New(faultv1.Reason_REASON_FEED_EPOCH_CHANGED,
		"history may have been lost: compare everything, then start at the head", "epoch", strconv.FormatInt(epoch, 10))
}

func positionExpired(oldest int64) error {
	return fault.New(faultv1.Reason_REASON_FEED_POSITION_EXPIRED,
		"the position is older than what is kept: list everything, then start at the head", "oldest", strconv.FormatInt(oldest, 10))
}
