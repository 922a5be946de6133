// Package pagetoken makes the opaque tokens of lists. A token holds the sort key of the last row shown and is bound to the
// method, the caller and the filter; a token used elsewhere, or changed, is refused instead of answered with other rows.
package pagetoken

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/pkg/seal"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// Page sizes of every list of the contract.
const (
	defaultSize = 50
	maxSize     = 200
)

const macSize = 16

// Size is the number of rows to show: 0 means 50, more than 200 means 200, a negative number is fault FIELD_INVALID.
func Size(asked int32) (int, error) {
	switch {
	case asked < 0:
		return 0, fault.Invalid("page_size", "must not be negative")
	case asked == 0:
		return defaultSize, nil
	default:
		return min(int(asked), maxSize), nil
	}
}

// Scope is what a token is bound to: the full method, who calls, and the request with its page fields cleared.
func Scope(method, caller string, request proto.Message) ([]byte, error) {
	bare := proto.Clone(request).ProtoReflect()
	for _, name := range []string{"page_size", "page_token"} {
		if field := bare.Descriptor().Fields().ByTextName(name); field != nil {
			bare.Clear(field)
		}
	}
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare.Interface())
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(method), []byte(caller), content} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil), nil
}

// Make builds the token for the sort key of the last row shown.
func Make(keys *seal.Keys, scope []byte, position ...string) string {
	var raw []byte
	for _, part := range position {
		raw = binary.AppendUvarint(raw, uint64(len(part)))
		raw = append(raw, part...)
	}
	return base64.RawURLEncoding.EncodeToString(append(mac(keys, scope, raw), raw...))
}

// Read gives the sort key of n parts back, nil for an empty token. It returns fault PAGE_TOKEN_INVALID for anything that Make did
// not build for this scope.
func Read(keys *seal.Keys, scope []byte, token string, n int) ([]string, error) {
	if token == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < macSize || !seal.Equal(raw[:macSize], mac(keys, scope, raw[macSize:])) {
		return nil, invalid()
	}
	position := make([]string, 0, n)
	for rest := raw[macSize:]; len(rest) > 0; {
		length, width := binary.Uvarint(rest)
		if width <= 0 || length > uint64(len(rest)-width) {
			return nil, invalid()
		}
		position = append(position, string(rest[width:width+int(length)]))
		rest = rest[width+int(length):]
	}
	if len(position) != n {
		return nil, invalid()
	}
	return position, nil
}

func mac(keys *seal.Keys, scope, raw []byte) []byte {
	return keys.Digest("page", append(append([]byte(nil), scope...), raw...))[:macSize]
}

func invalid() error {
	return fault.New(faultv1.Reason_REASON_PAGE_TOKEN_INVALID, "the page token is damaged or belongs to another call", "field", "page_token").
		Field("page_token", "start again with an empty page_token")
}
