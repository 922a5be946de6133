package access

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Method is what the contract says about a method.
type Method struct {
	// Name is the full gRPC method.
	Name string
	// Action of the access table; empty for the open services.
	Action string
	// Open methods answer any certificate of the trust domain.
	Open bool
	// Writes is true for methods with effects: those without idempotency_level NO_SIDE_EFFECTS.
	Writes bool
	// Stream is true when either side may send more than one message.
	Stream bool
}

// isOpen names the services that tell nothing about anybody.
func isOpen(service string) bool {
	switch service {
	case "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection":
		return true
	}
	return false
}

// Methods reads the rules of all registered services from the contract. openActions are actions any certificate may
// perform. A method without a rule is an error: it would be refused to everybody, or worse, forgotten.
func Methods(services map[string]grpc.ServiceInfo, openActions ...string) (map[string]Method, error) {
	methods := map[string]Method{}
	for service, info := range services {
		open := isOpen(service)
		for _, m := range info.Methods {
			method := Method{Name: "/" + service + "/" + m.Name, Open: open, Stream: m.IsClientStream || m.IsServerStream}
			if !open {
				if err := method.read(service, m.Name); err != nil {
					return nil, err
				}
				method.Open = slices.Contains(openActions, method.Action)
			}
			methods[method.Name] = method
		}
	}
	return methods, nil
}

func (m *Method) read(service, name string) error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	if err != nil {
		return fmt.Errorf("access: %s has no descriptor: %w", m.Name, err)
	}
	descriptor, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return fmt.Errorf("access: %s is not a method", m.Name)
	}
	rule, _ := proto.GetExtension(descriptor.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
	if strings.TrimSpace(rule.GetAction()) == "" {
		return fmt.Errorf("access: %s has no rule: every method names its action in the option lianhu.access.v1.rule", m.Name)
	}
	options, _ := descriptor.Options().(*descriptorpb.MethodOptions)
	m.Action = rule.GetAction()
	m.Writes = options.GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	return nil
}
