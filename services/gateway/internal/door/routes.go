package door

import (
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"  // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"  // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"    // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1" // the published contract
)

// Areas are the services behind the door, as they are named in the contract's packages.
func Areas() []string { return []string{"registry", "reporting", "referral", "relief"} }

// route is where a method leads.
type route struct {
	area   string
	stream bool
}

// routes lists every published method by its full name. What is not in the contract is not passed on.
func routes() map[string]route {
	out := map[string]route{}
	eachService(func(area string, service protoreflect.ServiceDescriptor) {
		for i := range service.Methods().Len() {
			m := service.Methods().Get(i)
			out[fmt.Sprintf("/%s/%s", service.FullName(), m.Name())] = route{area, m.IsStreamingClient() || m.IsStreamingServer()}
		}
	})
	return out
}

func eachService(visit func(area string, service protoreflect.ServiceDescriptor)) {
	for _, area := range Areas() {
		protoregistry.GlobalFiles.RangeFilesByPackage(protoreflect.FullName("lianhu."+area+".v1"), func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				visit(area, file.Services().Get(i))
			}
			return true
		})
	}
}

// EachMethod visits every method of the contract.
func EachMethod(visit func(m protoreflect.MethodDescriptor)) {
	eachService(func(_ string, service protoreflect.ServiceDescriptor) {
		for i := range service.Methods().Len() {
			visit(service.Methods().Get(i))
		}
	})
}

// published answers reflection with the contract's services beside the door's own.
type published struct{ server *grpc.Server }

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (p published) GetServiceInfo() map[string]grpc.ServiceInfo {
	info := p.server.GetServiceInfo()
	eachService(func(_ string, service protoreflect.ServiceDescriptor) {
		info[string(service.FullName())] = grpc.ServiceInfo{Metadata: service.ParentFile().Path()}
	})
	return info
}

// shortMethod is the service and method without package, for logs.
func shortMethod(method string) string { return strings.TrimPrefix(method, "/lianhu.") }
