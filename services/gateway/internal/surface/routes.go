package surface

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/services/gateway/internal/door"
)

// route is one HTTP rule of the contract.
type route struct {
	verb   string
	path   *regexp.Regexp
	colon  bool // the path ends in `:verb`
	method protoreflect.MethodDescriptor
	inPath map[string]bool // the fields that stand in the path
	body   bool            // all other fields stand in the body, none in the query
}

// routes are the rules by the first two parts of their paths.
type routes map[string][]route

var variable = regexp.MustCompile(`\\\{([a-z0-9_.]+)(?:=[^}]*)?\\\}`)

// newRoutes reads the rules of the contract.
func newRoutes() routes {
	out := routes{}
	door.EachMethod(func(m protoreflect.MethodDescriptor) {
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		var verb, path string
		switch p := rule.GetPattern().(type) {
		case *annotations.HttpRule_Get:
			verb, path = http.MethodGet, p.Get
		case *annotations.HttpRule_Post:
			verb, path = http.MethodPost, p.Post
		case *annotations.HttpRule_Patch:
			verb, path = http.MethodPatch, p.Patch
		case *annotations.HttpRule_Put:
			verb, path = http.MethodPut, p.Put
		case *annotations.HttpRule_Delete:
			verb, path = http.MethodDelete, p.Delete
		default:
			return // a stream
		}
		r := route{verb: verb, method: m, inPath: map[string]bool{}, body: rule.GetBody() == "*"}
		quoted := regexp.QuoteMeta(path)
		for _, found := range variable.FindAllStringSubmatch(quoted, -1) {
			r.inPath[strings.ReplaceAll(found[1], `\`, "")] = true
		}
		r.colon = strings.Contains(variable.ReplaceAllString(path[strings.LastIndex(path, "/"):], ""), ":")
		r.path = regexp.MustCompile("^" + variable.ReplaceAllString(quoted, "[^/]+") + "$")
		out[area(path)] = append(out[area(path)], r)
	})
	return out
}

// area is the beginning of a path that all rules of a service share.
func area(path string) string {
	parts := strings.SplitN(path, "/", 4)
	if len(parts) < 3 {
		return ""
	}
	return parts[1] + "/" + parts[2]
}

// at lists the rules at a path as it was sent, escapes and all. Where one ends in `:verb` as the path does, the others only seem to match.
func (r routes) at(escaped string) (found []route) {
	for _, one := range r[area(escaped)] {
		if one.path.MatchString(escaped) {
			found = append(found, one)
		}
	}
	if slices.ContainsFunc(found, func(one route) bool { return one.colon }) {
		found = slices.DeleteFunc(found, func(one route) bool { return !one.colon })
	}
	return found
}

// allow lists what may be asked at a place, as the header Allow does.
func allow(found []route) string {
	verbs := []string{http.MethodOptions}
	for _, one := range found {
		if verbs = append(verbs, one.verb); one.verb == http.MethodGet {
			verbs = append(verbs, http.MethodHead)
		}
	}
	slices.Sort(verbs)
	return strings.Join(slices.Compact(verbs), ", ")
}
