package dispatch

import (
	"bytes"
	"encoding/json"
	"strings"
)

// twice finds a name that one JSON object says more than once, in either of the contract's two spellings; empty when there is none. The library
// takes the last of them silently.
func twice(raw []byte) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return twiceIn(d)
}

// twiceIn reads one value.
func twiceIn(d *json.Decoder) string {
	token, err := d.Token()
	if err != nil {
		return "" // read before, so this cannot be
	}
	open, ok := token.(json.Delim)
	if !ok {
		return ""
	}
	said := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return ""
			}
			text, _ := name.(string)
			key := strings.ToLower(strings.ReplaceAll(text, "_", ""))
			if said[key] {
				return text
			}
			said[key] = true
		}
		if name := twiceIn(d); name != "" {
			return name
		}
	}
	_, _ = d.Token() // the end of it
	return ""
}
