package surface

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"

	"github.com/lianhu/lianhu/pkg/fault"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// answer keeps what a handler writes until it is whole; it is bounded by what a service may answer. Then its length is known, and whether
// the caller has it already.
type answer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// settle decides on the caller's conditions: what it has already is not sent again, and what is not the version it insists on is refused.
func (a *answer) settle(r *http.Request, c *call) {
	etag := a.Header().Get("ETag")
	if a.status != http.StatusOK || c.route.verb != http.MethodGet {
		return
	}
	switch present, _ := strconv.Unquote(etag); {
	case c.ifMatch == "" || c.ifMatch == present:
	case present == "":
		a.instead(r, fault.Invalid("If-Match", "this answer is about no item that has a version"))
		return
	default:
		a.instead(r, fault.New(faultv1.Reason_REASON_ETAG_MISMATCH, "the item has another version", "etag", present))
		return
	}
	if matches(r.Header.Values("If-None-Match"), etag) {
		a.status = http.StatusNotModified
		a.body.Reset()
	}
}

// instead puts a refusal in the place of what was written.
func (a *answer) instead(r *http.Request, err error) {
	a.status = 0
	a.body.Reset()
	refuse(a, r, err)
}

// send writes the answer out, compressed when the caller asks for it.
func (a *answer) send(r *http.Request, head bool) {
	h := a.Header()
	h.Add("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Trailer")
	h.Del("Transfer-Encoding")
	body := a.body.Bytes()
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if len(body) > 0 && weigh(r.Header.Values("Accept-Encoding"), "gzip", "x-gzip", "*") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body) // a buffer takes everything
		_ = z.Close()
		body = packed.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	} else {
		h.Del("Content-Type")
	}
	a.ResponseWriter.WriteHeader(a.status)
	if !head {
		_, _ = a.ResponseWriter.Write(body) // the caller is gone if this fails
	}
}
