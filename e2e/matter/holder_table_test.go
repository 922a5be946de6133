package matter

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// item says how a sort of item is read.
type item struct {
	Get     string         `yaml:"get"`
	Request map[string]any `yaml:"request"`
	// Facts is a query of one row whose columns the examples may name; Answers are fields of what the Get answers, by path.
	Facts   string            `yaml:"facts"`
	Answers map[string]string `yaml:"answers"`
	// Through is a query of the items (kind, id) by whose verbs this one moves.
	Through string `yaml:"through"`
}

// verb is a method that changes an item, with what verbs.yaml says of it.
type verb struct {
	Of       []string       `yaml:"of"`
	Request  map[string]any `yaml:"request"`
	Corrects bool           `yaml:"corrects"`
	Declines bool           `yaml:"declines"`
	Ends     bool           `yaml:"ends"`
	None     string         `yaml:"none"`

	method protoreflect.MethodDescriptor
}

// keep says which offers of an item cannot be declined: those to a unit, or all of them.
type keep struct {
	Unit string `yaml:"unit"`
	Why  string `yaml:"why"`
}

// verbTable is verbs.yaml joined with the contract.
type verbTable struct {
	Kept  map[string]keep `yaml:"kept"`
	Items map[string]item `yaml:"items"`
	Verbs map[string]verb `yaml:"verbs"`

	gets map[string]protoreflect.MethodDescriptor
}

// kinds of items a verb is about.
func (v verb) kinds() []string {
	if len(v.Of) > 0 {
		return v.Of
	}
	return []string{strings.TrimSuffix(ruleOf(v.method).GetSubjectField(), "_id")}
}

func (v verb) name() string { return string(v.method.Name()) }

func ruleOf(m protoreflect.MethodDescriptor) *accessv1.MethodRule {
	rule, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
	return rule
}

func reads(m protoreflect.MethodDescriptor) bool {
	return m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// eachUnary visits the contract's methods that are no stream.
func eachUnary(visit func(m protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "lianhu.") || f.Package() == "lianhu.devclock.v1" {
			return true
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				if m := f.Services().Get(i).Methods().Get(j); !m.IsStreamingClient() && !m.IsStreamingServer() {
					visit(m)
				}
			}
		}
		return true
	})
}

func loadVerbs(t *testing.T) *verbTable {
	t.Helper()
	content, err := os.ReadFile("verbs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table := &verbTable{gets: map[string]protoreflect.MethodDescriptor{}}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(table); err != nil {
		t.Fatal(err)
	}
	eachUnary(func(m protoreflect.MethodDescriptor) {
		if v, ok := table.Verbs[string(m.Name())]; ok && !reads(m) {
			v.method = m
			table.Verbs[v.name()] = v
		}
		if kind := snake(strings.TrimPrefix(string(m.Name()), "Get")); reads(m) && ruleOf(m).GetSubjectField() == kind+"_id" {
			table.gets[kind] = m
		}
	})
	for kind, i := range table.Items {
		if i.Get == "" {
			continue
		}
		found, err := find(strings.ReplaceAll(i.Get, "/", "."))
		if err != nil {
			t.Fatalf("verbs.yaml: %s is read by %s: %v", kind, i.Get, err)
		}
		table.gets[kind] = found
	}
	return table
}

func find(name string) (protoreflect.MethodDescriptor, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, err
	}
	m, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no method", name)
	}
	return m, nil
}

func snake(camel string) string {
	var out strings.Builder
	for i, c := range camel {
		if unicode.IsUpper(c) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(c))
	}
	return out.String()
}

// Whoever adds a method that changes something says here what it does to the item, or the test of who holds can act would not look at it.
func TestEveryVerbOfTheContractIsInTheTable(t *testing.T) {
	table := loadVerbs(t)
	found := map[string]bool{}
	eachUnary(func(m protoreflect.MethodDescriptor) {
		if reads(m) {
			return
		}
		v, ok := table.Verbs[string(m.Name())]
		if !ok {
			t.Errorf("verbs.yaml says nothing of %s", m.FullName())
			return
		}
		found[string(m.Name())] = true
		for _, kind := range v.kinds() {
			if v.None == "" && table.gets[kind] == nil {
				t.Errorf("%s is about a %q, which no method reads", m.FullName(), kind)
			}
		}
		if err := fits(m.Input(), v.Request); err != nil {
			t.Errorf("verbs.yaml: %s: %v", m.Name(), err)
		}
	})
	for name := range table.Verbs {
		if !found[name] {
			t.Errorf("verbs.yaml speaks of %s, which is no method that changes something", name)
		}
	}
}

func fits(m protoreflect.MessageDescriptor, written map[string]any) error {
	for name := range written {
		if m.Fields().ByName(protoreflect.Name(name)) == nil {
			return fmt.Errorf("%s has no field %s", m.Name(), name)
		}
	}
	return nil
}
