package surface

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lianhu/lianhu/pkg/fault"
)

// The decoders' texts quote what they could not read, which may be a child's name. Of a text only its beginning counts, where the
// decoder itself speaks; where in the body it stopped is looked up in the body again.
var (
	ofBody      = regexp.MustCompile(`^proto:[\s\x{a0}]*(?:syntax error )?\(line (\d+):(\d+)\): (unknown field|duplicate field)?`)
	ofParameter = regexp.MustCompile(`^(?:type mismatch, parameter: |missing parameter |parsing (?:field|list|map key|map value) |too many values for field )"?([A-Za-z][A-Za-z0-9_.]*)`)
)

// unreadable is the fault for a request that is not of the contract's shape. It names the field and the place, never the content.
func unreadable(text string, body []byte) *fault.Error {
	if found := ofParameter.FindStringSubmatch(text); found != nil {
		if known(found[1]) {
			return fault.Invalid(found[1], "not a value of this parameter's type")
		}
	}
	if len(body) == 0 {
		return fault.Invalid("query", "a parameter cannot be read")
	}
	var raw json.RawMessage
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return at(body, int(syntax.Offset)-1, "not JSON", false)
	}
	found := ofBody.FindStringSubmatch(text)
	if err != nil || found == nil {
		return fault.Invalid("body", "not JSON, or not of the shape of this method")
	}
	what := map[string]string{
		"": "not a value of the type this field has", "unknown field": "holds a field that is not in the contract", "duplicate field": "holds a field twice",
	}[found[3]]
	// The decoder counts from the first character that is no space.
	start := len(body) - len(bytes.TrimLeft(body, " \t\r\n"))
	return at(body, start+offset(raw, found[1], found[2]), what, found[3] != "")
}

// at is the fault for what stands at a place of the body; key says that it is the name of a field.
func at(body []byte, offset int, what string, key bool) *fault.Error {
	offset = max(0, min(offset, len(body)))
	way := path(body, offset)
	if key {
		way = join(way, keyAt(body[offset:]))
	}
	line, column := position(body, offset)
	return fault.Invalid(way, what+place(line, column))
}

// position is the line and column, in characters and from 1, of a byte.
func position(body []byte, offset int) (line, column int) {
	before := body[:offset]
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

func place(line, column int) string { return fmt.Sprintf(" (line %d, column %d)", line, column) }

// fieldLike is what may be the misspelt name of a field. Any other key is content, perhaps a child's name, and is not repeated.
var fieldLike = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// keyAt is the key that stands at the beginning of a text, when it may be said.
func keyAt(text []byte) string {
	token, err := json.NewDecoder(bytes.NewReader(text)).Token()
	if key, ok := token.(string); ok && err == nil && fieldLike.MatchString(key) {
		return key
	}
	return ""
}

// join adds a name to a path; `body` is the path to nothing in particular.
func join(path, name string) string {
	switch {
	case name == "":
		return path
	case path == "body":
		return name
	}
	return path + "." + name
}

// offset turns line and column, in characters and from 1, into a number of bytes.
func offset(text []byte, line, column string) int {
	lines, _ := strconv.Atoi(line)
	columns, _ := strconv.Atoi(column)
	rest := text
	for range lines - 1 {
		rest = rest[bytes.IndexByte(rest, '\n')+1:]
	}
	for range columns - 1 {
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
	}
	return len(text) - len(rest)
}

// level is one object or array that is open; index counts its values, and key is that of the value to come.
type level struct {
	object, keyed bool
	key           string
	index         int
}

// path gives the field that holds the position, as the caller spells it and as far as the contract knows its keys.
func path(body []byte, position int) string {
	decoder := json.NewDecoder(bytes.NewReader(body))
	var open []level
	for {
		token, err := decoder.Token()
		if err != nil || int(decoder.InputOffset()) > position {
			return spell(open)
		}
		if last := len(open) - 1; last >= 0 && open[last].object && !open[last].keyed {
			if key, ok := token.(string); ok {
				open[last].key, open[last].keyed = key, true
				continue
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			open = append(open, level{object: token == json.Delim('{')})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if last := len(open) - 1; last >= 0 {
			open[last].keyed = false
			open[last].index++
		}
	}
}

func spell(open []level) string {
	var out strings.Builder
	for _, l := range open {
		if !l.object {
			fmt.Fprintf(&out, "[%d]", l.index)
			continue
		}
		if !l.keyed || !known(l.key) {
			break
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.WriteString(l.key)
	}
	if out.Len() == 0 {
		return "body"
	}
	return out.String()
}
