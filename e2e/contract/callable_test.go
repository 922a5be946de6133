package contract

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/lianhu/lianhu/pkg/district"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Who may call a method stands in its comment as one sentence of a fixed form:
//
//	Callable by: <caller>, <caller>; <caller> as <relation> or <relation>; as <relation>.
//
// A caller is a role of the access table, "the suite's services" or "every partner"; it may also be "as <method>", whose sentence then counts. A
// relation is one of those below. A part without a caller speaks of all of them. What else a part says narrows it and is not read here.
var callableSentence = regexp.MustCompile(`Callable by: ([^.]*)\.`)

// spoken are the words for the relations of the access table.
var spoken = map[district.Relation]*regexp.Regexp{
	district.RelationHolder:      regexp.MustCompile(`\b(as holder|or holder|as offered unit or holder|holds)\b`),
	district.RelationOffered:     regexp.MustCompile(`\b(offered unit|is offered)\b`),
	district.RelationInvolved:    regexp.MustCompile(`\b(involved|formerly)\b`),
	district.RelationTerritorial: regexp.MustCompile(`\b(territorial|of the division concerned|of the child's residence|residing in their division)\b`),
	district.RelationSupervising: regexp.MustCompile(`\bas supervisor\b`),
	district.RelationReporter:    regexp.MustCompile(`\breports of the caller's own unit\b`),
}

// claim is what a sentence says of one role.
type claim struct {
	role      string
	relations []district.Relation
}

// claims reads a sentence. Nobody is named by a sentence without roles.
func claims(sentence string, roles []string) (all []claim) {
	for part := range strings.SplitSeq(sentence, ";") {
		var relations []district.Relation
		for relation, words := range spoken {
			if words.MatchString(part) {
				relations = append(relations, relation)
			}
		}
		named := slices.DeleteFunc(slices.Clone(roles), func(role string) bool {
			return !regexp.MustCompile(`(^| )` + role + `($|,| as | or | for | that )`).MatchString(part)
		})
		for _, role := range named {
			all = append(all, claim{role, relations})
		}
		if len(named) == 0 {
			for i := range all {
				all[i].relations = append(all[i].relations, relations...)
			}
		}
	}
	return all
}

// comments of all methods by full name, read from the files: what is generated carries none.
func comments(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(root, "proto", "lianhu", "*", "v1", "*.proto"))
	if err != nil {
		t.Fatal(err)
	}
	opens := regexp.MustCompile(`^(service|rpc|package) ([\w.]+)`)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var pkg, service, comment string
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSpace(line)
			m := opens.FindStringSubmatch(line)
			switch {
			case strings.HasPrefix(line, "//"):
				comment += strings.TrimPrefix(line, "//")
				continue
			case m != nil && m[1] == "package":
				pkg = m[2]
			case m != nil && m[1] == "service":
				service = m[2]
			case m != nil:
				found[pkg+"."+service+"."+m[2]] = comment
			}
			comment = ""
		}
	}
	return found
}

// Whoever reads the contract believes it: each role that a method names may call it, in each relation that is named, by the access table of the
// district; and each role that the table lets perform an action is named by a method of that action.
func TestEveryCallableByIsTrue(t *testing.T) {
	t.Parallel()
	d, err := district.Load(filepath.Join(root, "districts", "xinbei"))
	if err != nil {
		t.Fatal(err)
	}
	var roles []string
	for _, r := range d.AccessRoles() {
		roles = append(roles, r.Code)
	}
	said, named := comments(t), map[string]bool{}
	eachMethod(func(m protoreflect.MethodDescriptor) {
		sentence := sentenceOf(m, said)
		if sentence == "" {
			t.Errorf("%s does not say `Callable by: …`", m.FullName())
			return
		}
		rule, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
		writes := m.Options().(*descriptorpb.MethodOptions).GetIdempotencyLevel() != descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		told := claims(sentence, roles)
		if len(told) == 0 && !strings.Contains(sentence, "every partner") {
			t.Errorf("%s: %q names no role of the access table", m.FullName(), sentence)
		}
		for _, c := range told {
			named[rule.GetAction()+" "+c.role] = true
			allowed := slices.DeleteFunc(d.Allowed([]string{c.role}, rule.GetAction()), func(p district.Permission) bool {
				return writes && !p.Write && p.Approval == ""
			})
			if len(allowed) == 0 {
				t.Errorf("%s says %s may call it; the access table does not let it perform %s", m.FullName(), c.role, rule.GetAction())
				continue
			}
			for _, relation := range c.relations {
				if !slices.ContainsFunc(allowed, func(p district.Permission) bool { return p.Related(relation) }) {
					t.Errorf("%s says %s may call it as %s; the access table does not", m.FullName(), c.role, relation)
				}
			}
		}
		for _, role := range roles {
			named[rule.GetAction()+" "+role] = named[rule.GetAction()+" "+role] || strings.Contains(sentence, "every partner")
		}
	})
	eachMethod(func(m protoreflect.MethodDescriptor) {
		rule, _ := proto.GetExtension(m.Options(), accessv1.E_Rule).(*accessv1.MethodRule)
		for _, role := range roles {
			if len(d.Allowed([]string{role}, rule.GetAction())) > 0 && !named[rule.GetAction()+" "+role] {
				t.Errorf("the access table lets %s perform %s; no method of it says so", role, rule.GetAction())
				named[rule.GetAction()+" "+role] = true
			}
		}
	})
}

// sentenceOf is the sentence of a method, or of the one it refers to with `as <method>`.
func sentenceOf(m protoreflect.MethodDescriptor, said map[string]string) string {
	found := callableSentence.FindStringSubmatch(said[string(m.FullName())])
	if found == nil {
		return ""
	}
	if other, refers := strings.CutPrefix(found[1], "as "); refers {
		return callableSentence.FindStringSubmatch(said[string(m.Parent().FullName())+"."+other] + "Callable by: .")[1]
	}
	return found[1]
}
