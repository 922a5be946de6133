package surface

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
)

// folded is a path whose escapes are escaped once more. The mux takes one layer away and splits a path at each slash it then sees, those that
// stood inside a number as %2F included; so it is given one layer for itself, and unfold takes the caller's.
func folded(u *url.URL) string { return strings.ReplaceAll(u.EscapedPath(), "%", "%25") }

// unfold takes the caller's own escapes from the values in a path, each once: a number such as a/b is asked for as a%2Fb.
func unfold(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, values map[string]string) {
		for name, value := range values {
			if plain, err := url.PathUnescape(value); err == nil { // of a path that net/http took it always is
				values[name] = plain
			}
		}
		next(w, r, values)
	}
}
