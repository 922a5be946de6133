package surface

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/lianhu/lianhu/pkg/fault"
)

// The decoders' texts quote what they could not read, which may be a child's name. Of a text only its beginning counts, where the
// decoder itself speaks; where in the body it stopped is looked up in the body again.
var (
	ofBody      = regexp.MustCompile(`^proto:[\s\x{a0}]*(?:syntax error )?\(line (\d+):(\d+)\): (unknown field|duplicate field)?`)
	ofParameter = regexp.MustCompile(`^(?:type mismatch, parameter: |missing parameter |parsing (?:field|list|map key|map value) |too many values for field )"?([a-z][a-z0-9_.]*)`)
)

// unreadable is the fault for a request that is not of the contract's shape. It names the field and the place, never the content.
func unreadable(text string, body []byte) *fault.Error {
	if found := ofParameter.FindStringSubmatch(text); found != nil {
		if path, ok := known(found[1]); ok {
			return fault.Invalid(path, "not a value of this parameter's type")
		}
	}
	if len(body) == 0 {
		return fault.Invalid("query", "a parameter cannot be read")
	}
	var raw json.RawMessage
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&raw)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return at(body, int(syntax.Offset)-1, "not JSON")
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
	return at(body, start+offset(raw, found[1], found[2]), what)
}

// at is the fault for what stands at a place of the body.
func at(body []byte, position int, what string) *fault.Error {
	before := body[:max(0, min(position, len(body)))]
	line, column := bytes.Count(before, []byte("\n"))+1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])+1
	return fault.Invalid(path(body, len(before)), fmt.Sprintf("%s (line %d, column %d)", what, line, column))
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

// path gives the field that holds the position, in the contract's spelling, as far as the contract knows its keys.
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
		name, ok := known(l.key)
		if !l.keyed || !ok {
			break
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		out.WriteString(name)
	}
	if out.Len() == 0 {
		return "body"
	}
	return out.String()
}

// names are the fields of the contract by both spellings: a key that is not among them is content.
var names = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		collect(file.Messages(), out)
		return true
	})
	return out
})

func collect(messages protoreflect.MessageDescriptors, out map[string]string) {
	for i := range messages.Len() {
		fields := messages.Get(i).Fields()
		for j := range fields.Len() {
			name := string(fields.Get(j).Name())
			out[name], out[fields.Get(j).JSONName()] = name, name
		}
		collect(messages.Get(i).Messages(), out)
	}
}

// known gives the contract's spelling of a path, if all of it is the contract's.
func known(path string) (string, bool) {
	parts := strings.Split(path, ".")
	for i, part := range parts {
		name, ok := names()[part]
		if !ok {
			return "", false
		}
		parts[i] = name
	}
	return strings.Join(parts, "."), true
}
