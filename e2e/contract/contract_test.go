// Package contract holds the published contract to its own rules: what a partner may rely on without reading every file.
package contract

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/name"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"  // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"  // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"    // the published contract
	_ "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1" // the published contract
)

const root = "../.."

// development is not published: the clock that steers business time.
const development = "lianhu.devclock.v1"

func files() (out []protoreflect.FileDescriptor) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(f.Package()), "lianhu.") && f.Package() != development && !strings.Contains(string(f.Package()), "specimen") {
			out = append(out, f)
		}
		return true
	})
	return out
}

func eachMethod(visit func(m protoreflect.MethodDescriptor)) {
	for _, f := range files() {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				visit(f.Services().Get(i).Methods().Get(j))
			}
		}
	}
}

func eachField(visit func(f protoreflect.FieldDescriptor)) {
	var message func(m protoreflect.MessageDescriptor)
	message = func(m protoreflect.MessageDescriptor) {
		if m.IsMapEntry() {
			return
		}
		for i := range m.Fields().Len() {
			visit(m.Fields().Get(i))
		}
		for i := range m.Messages().Len() {
			message(m.Messages().Get(i))
		}
	}
	for _, f := range files() {
		for i := range f.Messages().Len() {
			message(f.Messages().Get(i))
		}
	}
}

func classOf(f protoreflect.FieldDescriptor) accessv1.DataClass {
	class, _ := proto.GetExtension(f.Options(), accessv1.E_Class).(accessv1.DataClass)
	return class
}

func TestTheContractIsFound(t *testing.T) {
	t.Parallel()
	fields, methods := 0, 0
	eachField(func(protoreflect.FieldDescriptor) { fields++ })
	eachMethod(func(protoreflect.MethodDescriptor) { methods++ })
	if fields < 800 || methods < 90 {
		t.Errorf("%d fields and %d methods: the other tests look at too little", fields, methods)
	}
}

// Masking goes by the class; a field without one would be shown to everybody.
func TestEveryFieldHasAClass(t *testing.T) {
	t.Parallel()
	eachField(func(f protoreflect.FieldDescriptor) {
		if classOf(f) == accessv1.DataClass_DATA_CLASS_UNSPECIFIED {
			t.Errorf("%s has no data class", f.FullName())
		}
	})
}

// sensitive are words in a field's name that promise something about a person.
var sensitive = regexp.MustCompile(`(^|_)(name|id_number|identity_number|phone|birth|birth_date|address|bank_account|ethnicity|sex|photo|injury|narrative|statement|reporter)(_|$)`)

// reviewed are fields whose name says more than they hold: each is open for the reason given.
var reviewed = map[string]string{
	"lianhu.relief.v1.Fact.name":           "name of a fact a rule asked for, from the programme's file",
	"lianhu.relief.v1.BatchFile.file_name": "made of batch and programme",
}

func TestAFieldThatSoundsPersonalIsGradedSo(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	eachField(func(f protoreflect.FieldDescriptor) {
		if !sensitive.MatchString(string(f.Name())) || classOf(f) >= accessv1.DataClass_DATA_CLASS_PERSONAL {
			return
		}
		found[string(f.FullName())] = true
		if reviewed[string(f.FullName())] == "" {
			t.Errorf("%s is graded %s; grade it higher, or review it and say why not", f.FullName(), classOf(f))
		}
	})
	for name := range reviewed {
		if !found[name] {
			t.Errorf("%s is reviewed but needs no review any more", name)
		}
	}
}

// personal is a field that holds somebody's name.
var personal = regexp.MustCompile(`(^|_)name$`)

// A name that says by no option how it is written would enter the suite in any spelling.
func TestEveryPersonsNameHasItsRule(t *testing.T) {
	t.Parallel()
	rules := map[accessv1.NameRule]int{}
	eachField(func(f protoreflect.FieldDescriptor) {
		rules[name.RuleOf(f)]++
		if personal.MatchString(string(f.Name())) && f.Kind() == protoreflect.StringKind && classOf(f) >= accessv1.DataClass_DATA_CLASS_PERSONAL &&
			name.RuleOf(f) == accessv1.NameRule_NAME_RULE_UNSPECIFIED {
			t.Errorf("%s has no rule of how a name is written", f.FullName())
		}
	})
	if rules[accessv1.NameRule_NAME_RULE_PERSON] < 3 || rules[accessv1.NameRule_NAME_RULE_ACCOUNT] < 1 {
		t.Errorf("the rules are found %v: the test looks at too little", rules)
	}
}

func TestEveryMethodNamesAnActionOfTheAccessTable(t *testing.T) {
	t.Parallel()
	d, err := district.Load(filepath.Join(root, "districts", "xinbei"))
	if err != nil {
		t.Fatal(err)
	}
	eachMethod(func(m protoreflect.MethodDescriptor) {
		rule, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
		if rule.GetAction() == "" {
			t.Errorf("%s has no action", m.FullName())
			return
		}
		if !slices.ContainsFunc(d.Permissions(), func(p district.Permission) bool { return p.Covers(rule.GetAction()) }) {
			t.Errorf("%s: nobody may perform %s", m.FullName(), rule.GetAction())
		}
		for _, path := range []string{rule.GetDivisionField(), rule.GetSubjectField()} {
			if err := resolves(m.Input(), path); err != nil {
				t.Errorf("%s: %v", m.FullName(), err)
			}
		}
	})
}

// resolves follows a path of field names.
func resolves(m protoreflect.MessageDescriptor, path string) error {
	if path == "" {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		if m == nil {
			return fmt.Errorf("%s goes on after a field that is no message", path)
		}
		f := m.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			return fmt.Errorf("%s is no path of %s", path, m.FullName())
		}
		m = f.Message()
	}
	return nil
}

// A caller without gRPC can do everything that is not a stream, and reads never change anything.
func TestEveryUnaryMethodHasAFormInJSON(t *testing.T) {
	t.Parallel()
	paths := map[string]protoreflect.FullName{}
	eachMethod(func(m protoreflect.MethodDescriptor) {
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		if m.IsStreamingClient() || m.IsStreamingServer() {
			return
		}
		path := rule.GetGet() + rule.GetPost() + rule.GetPatch() + rule.GetPut() + rule.GetDelete()
		if path == "" {
			t.Errorf("%s has no form in JSON", m.FullName())
			return
		}
		key := fmt.Sprintf("%T %s", rule.GetPattern(), regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "{}"))
		if other := paths[key]; other != "" {
			t.Errorf("%s and %s share %s", m.FullName(), other, key)
		}
		paths[key] = m.FullName()
		// A verb after a colon is for reads that ask by what must not stand in an address, which proxies write down.
		asks := strings.Contains(path[strings.LastIndex(path, "/"):], ":")
		if reads := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS; reads && !asks && rule.GetGet() == "" || !reads && rule.GetGet() != "" {
			t.Errorf("%s: NO_SIDE_EFFECTS is %t, its form is %s", m.FullName(), reads, key)
		}
		for i := range m.Input().Fields().Len() {
			if f := m.Input().Fields().Get(i); rule.GetGet() != "" && classOf(f) >= accessv1.DataClass_DATA_CLASS_PERSONAL {
				t.Errorf("%s would stand in an address, graded %s", f.FullName(), classOf(f))
			}
		}
	})
}

func TestEveryMutationCanBeRepeatedAndTried(t *testing.T) {
	t.Parallel()
	eachMethod(func(m protoreflect.MethodDescriptor) {
		if m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS || m.IsStreamingClient() || m.IsStreamingServer() {
			return
		}
		for _, name := range []protoreflect.Name{"request_id", "validate_only"} {
			if m.Input().Fields().ByName(name) == nil {
				t.Errorf("%s has no %s", m.FullName(), name)
			}
		}
	})
}

func reasons() (out []protoreflect.EnumValueDescriptor) {
	for _, f := range files() {
		if e := f.Enums().ByName("Reason"); e != nil {
			for i := 1; i < e.Values().Len(); i++ {
				out = append(out, e.Values().Get(i))
			}
		}
	}
	return out
}

func TestEveryReasonHasAKindAndATextForPeople(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.Name]protoreflect.EnumValueDescriptor{}
	for _, r := range reasons() {
		info, _ := proto.GetExtension(r.Options(), faultv1.E_Info).(*faultv1.ReasonInfo)
		if info.GetKind() == faultv1.Kind_KIND_UNSPECIFIED && r.Name() != "REASON_INTERNAL" {
			t.Errorf("%s has no kind", r.FullName())
		}
		if !strings.ContainsFunc(info.GetZh(), func(c rune) bool { return unicode.Is(unicode.Han, c) }) {
			t.Errorf("%s has no zh-CN text", r.FullName())
		}
		// The wire form carries no area: one name has one meaning in the whole suite.
		if other := seen[r.Name()]; other != nil {
			if same, _ := proto.GetExtension(other.Options(), faultv1.E_Info).(*faultv1.ReasonInfo); !proto.Equal(same, info) {
				t.Errorf("%s and %s look the same to a caller and are not: %v, %v", r.FullName(), other.FullName(), info, same)
			}
		}
		seen[r.Name()] = r
	}
}

// metadataOf finds the example in the comment of a reason.
var metadataOf = regexp.MustCompile(`Metadata: (\{[^}]*\})`)

// A caller's program reads the metadata: each reason shows an example, in JSON with strings alone, as `google.rpc.ErrorInfo` carries it.
func TestEveryReasonShowsItsMetadata(t *testing.T) {
	t.Parallel()
	found := 0
	for _, area := range []string{"fault", "registry", "reporting", "referral", "relief"} {
		path := filepath.Join(root, "proto", "lianhu", area, "v1", "reason.proto")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		comment := ""
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSpace(line)
			name, _, value := strings.Cut(line, " = ")
			switch {
			case strings.HasPrefix(line, "//"):
				comment += strings.TrimPrefix(line, "//")
				continue
			case value && strings.HasPrefix(name, "REASON_") && name != "REASON_UNSPECIFIED":
				found++
				example := metadataOf.FindStringSubmatch(comment)
				if example == nil || json.Unmarshal([]byte(example[1]), &map[string]string{}) != nil {
					t.Errorf("%s: %s shows no metadata: %s", path, name, comment)
				}
			}
			comment = ""
		}
	}
	if want := len(reasons()); found != want {
		t.Errorf("%d reasons were read of %d", found, want)
	}
}

// A reason that no test asks for may never be given, or be given for something else.
func TestEveryReasonIsAskedForByATest(t *testing.T) {
	t.Parallel()
	var tests []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != root || entry.Name() == "contract" || entry.Name() == "third_party"):
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go") || strings.Contains(path, "journeys"+string(filepath.Separator)) && !entry.IsDir():
			content, err := os.ReadFile(path)
			tests = append(tests, string(content))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reasons() {
		asked := regexp.MustCompile(`(?:\b|REASON_)` + strings.TrimPrefix(string(r.Name()), "REASON_") + `\b`)
		if !slices.ContainsFunc(tests, asked.MatchString) {
			t.Errorf("%s: no test asks for it", r.FullName())
		}
	}
}
