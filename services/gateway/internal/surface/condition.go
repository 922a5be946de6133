package surface

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lianhu/lianhu/pkg/fault"
)

// conditional reads If-Match, by which a caller insists on a version, and refuses a condition that nobody here would look at: one that is
// passed over in silence is worse than none.
func conditional(c *call, r *http.Request) error {
	reads := c.route.verb == http.MethodGet
	if !reads && len(r.Header.Values("If-None-Match")) > 0 {
		return fault.Invalid("If-None-Match", "stands for reads alone")
	}
	given := r.Header.Values("If-Match")
	if len(given) == 0 || len(given) == 1 && strings.TrimSpace(given[0]) == "*" {
		return nil // `*` asks that the item exists, which every method does
	}
	tag, err := strconv.Unquote(strings.TrimSpace(given[0]))
	if len(given) > 1 || err != nil || tag == "" || !strings.HasPrefix(strings.TrimSpace(given[0]), `"`) {
		return fault.Invalid("If-Match", `is not one strong tag in double quotes, such as "v3", or *`)
	}
	if etag := etagField(c.route.method); etag == nil && !reads {
		return fault.Invalid("If-Match", "this method changes no item that has a version")
	}
	c.ifMatch = tag
	return nil
}

// etagField is the field of a request that carries the version the caller has read; nil where there is none.
func etagField(m protoreflect.MethodDescriptor) protoreflect.FieldDescriptor {
	if m == nil {
		return nil
	}
	field := m.Input().Fields().ByName("etag")
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
		return nil
	}
	return field
}

// Condition carries If-Match into the request's `etag`, so that the service compares it in the same statement that changes the item.
func Condition() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
		c := of(ctx)
		if field := etagField(c.route.method); field != nil && c.ifMatch != "" {
			m := request.(proto.Message).ProtoReflect()
			if sent := m.Get(field).String(); sent != "" && sent != c.ifMatch {
				return fault.Invalid("etag", "differs from If-Match")
			}
			m.Set(field, protoreflect.ValueOfString(c.ifMatch))
		}
		return invoke(ctx, method, request, answer, conn, o...)
	})
}

// tag sets ETag on the answer about one item: a mutation's, or that of a Get.
func tag(_ context.Context, w http.ResponseWriter, answer proto.Message) error {
	if found := tags(answer.ProtoReflect(), 2); len(found) == 1 {
		w.Header().Set("ETag", strconv.Quote(found[0]))
	}
	return nil
}

// tags are the etags of a message and of the messages directly in it. Items of a list have theirs to themselves.
func tags(m protoreflect.Message, deep int) (out []string) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList() || field.IsMap():
		case field.Name() == "etag" && field.Kind() == protoreflect.StringKind:
			out = append(out, value.String())
		case field.Message() != nil && deep > 0:
			out = append(out, tags(value.Message(), deep-1)...)
		}
		return true
	})
	return out
}

// matches tells whether a list of tags, as in If-None-Match, names this one; weak and strong ones are alike there.
func matches(lists []string, etag string) bool {
	for part := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		if one := strings.TrimSpace(part); one == "*" || strings.TrimPrefix(one, "W/") == etag {
			return etag != ""
		}
	}
	return false
}
