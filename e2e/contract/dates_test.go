package contract

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/dates"
	"github.com/lianhu/lianhu/pkg/fault"
)

// named are the names under which a string can only be a day.
var named = regexp.MustCompile(`(^|_)(date|day)$`)

// place is a date in a request: the way to it, by fields.
type place []protoreflect.FieldDescriptor

// places lists the dates below a message. A message that holds itself is followed once.
func places(m protoreflect.MessageDescriptor, way place, met []protoreflect.FullName) (out []place) {
	if slices.Contains(met, m.FullName()) {
		return nil
	}
	met = append(slices.Clone(met), m.FullName())
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		here := append(slices.Clone(way), f)
		switch {
		case dates.KindOf(f) != dates.None:
			out = append(out, here)
		case f.Message() != nil && !f.IsMap():
			out = append(out, places(f.Message(), here, met)...)
		}
	}
	return out
}

// set makes a request with one date in it and gives the path under which a refusal names it.
func set(m protoreflect.Message, way place, date func(kind dates.Kind, m protoreflect.Message, f protoreflect.FieldDescriptor) protoreflect.Value) (path string) {
	for i, f := range way {
		if path != "" {
			path += "."
		}
		path += string(f.Name())
		if f.IsList() {
			path += "[0]"
		}
		last := i == len(way)-1
		switch {
		case last && f.IsList():
			m.Mutable(f).List().Append(date(dates.KindOf(f), m, f))
		case last:
			m.Set(f, date(dates.KindOf(f), m, f))
		case f.IsList():
			m = m.Mutable(f).List().AppendMutable().Message()
		default:
			m = m.Mutable(f).Message()
		}
	}
	return path
}

// written is a year, month and day in a field, as its kind writes it.
func written(year int) func(dates.Kind, protoreflect.Message, protoreflect.FieldDescriptor) protoreflect.Value {
	return func(kind dates.Kind, m protoreflect.Message, f protoreflect.FieldDescriptor) protoreflect.Value {
		switch kind {
		case dates.Day:
			return protoreflect.ValueOfString(fmt.Sprintf("%04d-06-15", year))
		case dates.Month:
			return protoreflect.ValueOfString(fmt.Sprintf("%04d-06", year))
		default:
			stamp := dynamicpb.NewMessage(f.Message())
			stamp.Set(f.Message().Fields().ByNumber(1), protoreflect.ValueOfInt64(time.Date(year, 6, 15, 0, 0, 0, 0, time.UTC).Unix()))
			return protoreflect.ValueOfMessage(stamp)
		}
	}
}

// No date of any request can be of a year that no database, and no child, has: refused as a field that is named, never as a defect.
func TestEveryDateOfARequestHasBounds(t *testing.T) {
	t.Parallel()
	today := calendar.Date{Year: 2026, Month: time.November, Day: 28}
	found := 0
	eachMethod(func(m protoreflect.MethodDescriptor) {
		for _, way := range places(m.Input(), nil, nil) {
			if slices.ContainsFunc(way, dates.Apart) {
				continue // each is judged by itself, and quarantined: see rules.ReadPayload of reporting
			}
			found++
			for year, good := range map[int]bool{0: false, 1: false, 1582: false, 1899: false, 2127: false, 9999: false, 1900: true, 2026: true, 2126: true} {
				request := dynamicpb.NewMessage(m.Input())
				path := set(request, way, written(year))
				err := dates.Check(request, today)
				if good {
					if err != nil {
						t.Errorf("%s: %s of %d: %v", m.FullName(), path, year, err)
					}
					continue
				}
				refusal, ok := err.(*fault.Error) //nolint:errorlint // it is made there
				if !ok || refusal.Reason() != "FIELD_INVALID" || len(refusal.Fields()) != 1 || refusal.Fields()[0].Path != path {
					t.Errorf("%s: %s of %d: %v", m.FullName(), path, year, err)
				}
			}
		}
	})
	if found < 20 {
		t.Errorf("%d dates were found", found)
	}
}

// A string that its name calls a day is known as one by its pattern; without it the bounds would not see it.
func TestAFieldCalledADayIsOne(t *testing.T) {
	t.Parallel()
	var look func(m protoreflect.MessageDescriptor, met map[protoreflect.FullName]bool)
	look = func(m protoreflect.MessageDescriptor, met map[protoreflect.FullName]bool) {
		if met[m.FullName()] {
			return
		}
		met[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Kind() == protoreflect.StringKind && named.MatchString(string(f.Name())) && dates.KindOf(f) == dates.None {
				t.Errorf("%s has not the pattern of a day", f.FullName())
			}
			if f.Message() != nil {
				look(f.Message(), met)
			}
		}
	}
	met := map[protoreflect.FullName]bool{}
	eachMethod(func(m protoreflect.MethodDescriptor) { look(m.Input(), met) })
}
