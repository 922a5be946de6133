// Package seal keeps identity out of clear columns. Searchable identity exists only as keyed MACs (Index); the parts
// of a row above INTERNAL pass through Seal and Open on their way to and from their own columns. The MAC is real;
// the cipher is the null suite, whose first byte says so, until keysets arrive: callers do not change that day.
package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// keySize is the length of the root key and of every derived key, in bytes.
const keySize = 32

// suiteNull marks a sealed part that is not encrypted. Other first bytes are reserved for real suites.
const suiteNull = 0x00

// Keys holds a service's root key and derives one key per use from it. Two services with the same root would
// produce joinable indexes, so the service's name is part of every derivation.
type Keys struct {
	service string
	root    []byte
}

// New makes the keys of a service from a root key of 32 bytes.
func New(service string, root []byte) (*Keys, error) {
	if len(root) != keySize {
		return nil, fmt.Errorf("seal: root key has %d bytes, want %d", len(root), keySize)
	}
	return &Keys{service: service, root: append([]byte(nil), root...)}, nil
}

// Load reads the root key, 64 hexadecimal digits, from a file.
func Load(service, path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("seal: read root key: %w", err)
	}
	root, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("seal: root key in %s is not hexadecimal", path)
	}
	return New(service, root)
}

// Index is the blind index of a value: equal values of one column have equal indexes, and nothing else can be
// told without the key. Normalise before calling; an empty value has no index (nil).
func (k *Keys) Index(column, value string) []byte {
	if value == "" {
		return nil
	}
	return k.mac("index/"+column, []byte(value))
}

// Digest is the keyed MAC of a request or token. A plain hash of a short request could be guessed.
func (k *Keys) Digest(use string, data []byte) []byte { return k.mac("digest/"+use, data) }

// Pseudonym stands for a reporter wherever the reporter must not be named. The same reporter gets another pseudonym
// for each subject, so that pseudonyms cannot be joined.
func (k *Keys) Pseudonym(subject, identity string) string {
	return "reporter/" + hex.EncodeToString(k.mac("pseudonym/"+subject, []byte(identity))[:16])
}

// Place is where a sealed part lives; it is bound to the ciphertext so that parts cannot be swapped.
type Place struct {
	// Table and ID name the row.
	Table, ID string
	// Class of the part.
	Class accessv1.DataClass
}

// Seal prepares a part for its column. Nothing stays nothing, so that an empty part is a NULL column.
func (k *Keys) Seal(_ Place, plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return nil, nil
	}
	return append([]byte{suiteNull}, plain...), nil
}

// Open is the reverse of Seal.
func (k *Keys) Open(place Place, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	if sealed[0] != suiteNull {
		return nil, fmt.Errorf("seal: %s.%s: unknown suite %d", place.Table, place.Class, sealed[0])
	}
	return sealed[1:], nil
}

// Equal compares two MACs in constant time.
func Equal(a, b []byte) bool { return hmac.Equal(a, b) }

func (k *Keys) mac(use string, data []byte) []byte {
	key, err := hkdf.Key(sha256.New, k.root, nil, k.service+"/"+use, keySize)
	if err != nil {
		panic(errors.Join(errors.New("seal: derive key"), err)) // only for a length no caller can choose
	}
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
