package surface

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/lianhu/lianhu/pkg/fault"
	"github.com/lianhu/lianhu/services/gateway/internal/door"
)

// readBody reads the body whole, so that its size is told apart from its form, and a place in it can be found again.
func readBody(c *call, r *http.Request) (err error) {
	if c.body, err = io.ReadAll(io.LimitReader(r.Body, bodyBytes+1)); err != nil {
		return fault.Invalid("body", "did not arrive whole")
	}
	if len(c.body) > bodyBytes {
		return door.TooLarge("the body", bodyBytes)
	}
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	return nil
}

// drain takes in, up to a bound, what of a refused body is still on its way: a caller over HTTP/1.1 reads our answer only after it has
// written all, and a connection that is closed before loses it. ReadTimeout bounds the time.
func drain(w http.ResponseWriter, r *http.Request, body io.Reader) {
	if r.Header.Get("Expect") != "" {
		return // it waits for our word before it sends, and reads the answer instead
	}
	if n, err := io.CopyN(io.Discard, body, drainBytes); n == drainBytes || err != nil && !errors.Is(err, io.EOF) {
		w.Header().Set("Connection", "close")
	}
}

// oneMessage refuses a body that goes on after its first value. What is wrong inside the value, its decoder says.
func oneMessage(c *call, _ *http.Request) error {
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	var first json.RawMessage
	if decoder.Decode(&first) != nil {
		return nil
	}
	end := int(decoder.InputOffset())
	rest := bytes.TrimLeft(c.body[end:], " \t\r\n")
	if len(rest) == 0 {
		return nil
	}
	line, column := position(c.body, len(c.body)-len(rest))
	return fault.Invalid("body", "goes on after the end of the message"+place(line, column))
}
