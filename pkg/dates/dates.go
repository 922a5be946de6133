// Package dates decides, in one place for the whole contract, what a date in a request may be: a day of the calendar, from 1900-01-01 to a
// hundred years after today. What lies outside is a slip of the hand or of a clock, and no database or rule has to live with it. A field
// that needs narrower bounds has them beside this.
package dates

import (
	"fmt"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/fault"
)

// The patterns by which the contract marks a string as a day or as a month.
const (
	DayPattern   = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
	MonthPattern = "^[0-9]{4}-[0-9]{2}$"
)

// yearsAhead is how far a date may lie after today.
const yearsAhead = 100

// First is the earliest day.
func First() calendar.Date { return calendar.Date{Year: 1900, Month: time.January, Day: 1} }

// Last is the latest day, seen from today.
func Last(today calendar.Date) calendar.Date { return today.AddMonths(12 * yearsAhead) }

// Kind is how a field holds a date.
type Kind int

// The kinds. None is a field that holds no date.
const (
	None Kind = iota
	Day
	Month
	Instant
)

// KindOf tells from the contract whether a field, or each value of a repeated one, holds a date.
func KindOf(field protoreflect.FieldDescriptor) Kind {
	if field.IsMap() {
		field = field.MapValue()
	}
	switch field.Kind() {
	case protoreflect.MessageKind:
		if field.Message().FullName() == (&timestamppb.Timestamp{}).ProtoReflect().Descriptor().FullName() {
			return Instant
		}
	case protoreflect.StringKind:
		rules := rulesOf(field)
		if field.IsList() {
			rules = rules.GetRepeated().GetItems()
		}
		switch rules.GetString().GetPattern() {
		case DayPattern:
			return Day
		case MonthPattern:
			return Month
		}
	}
	return None
}

// Apart reports whether the contract leaves a field to be judged by its reader, value by value, as the updates of a dispatch source are:
// one bad value must not fail the message.
func Apart(field protoreflect.FieldDescriptor) bool {
	return rulesOf(field).GetIgnore() == validate.Ignore_IGNORE_ALWAYS
}

func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// Check names every date of a message that lies outside, as fault FIELD_INVALID. What has not the form of a date at all is left to the
// rules of the contract.
func Check(m proto.Message, today calendar.Date) error {
	c := &check{last: Last(today)}
	c.message("", m.ProtoReflect())
	if c.refusal == nil {
		return nil
	}
	return c.refusal
}

type check struct {
	last    calendar.Date
	refusal *fault.Error
}

func (c *check) message(path string, m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if Apart(field) {
			return true
		}
		at := string(field.Name())
		if path != "" {
			at = path + "." + at
		}
		switch kind := KindOf(field); {
		case field.IsMap():
			value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
				c.value(at, kind, field.MapValue(), v) // the key stays out of the path: it is content
				return true
			})
		case field.IsList():
			for i := range value.List().Len() {
				c.value(fmt.Sprintf("%s[%d]", at, i), kind, field, value.List().Get(i))
			}
		default:
			c.value(at, kind, field, value)
		}
		return true
	})
}

func (c *check) value(path string, kind Kind, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch {
	case kind == Instant:
		c.instant(path, value.Message().Interface())
	case kind == Day:
		c.day(path, value.String(), "")
	case kind == Month:
		c.day(path, value.String(), "-01")
	case field.Message() != nil:
		c.message(path, value.Message())
	}
}

func (c *check) instant(path string, m protoreflect.ProtoMessage) {
	stamp, ok := m.(*timestamppb.Timestamp)
	if !ok { // a message made at run time from a descriptor
		r, fields := m.ProtoReflect(), m.ProtoReflect().Descriptor().Fields()
		stamp = &timestamppb.Timestamp{Seconds: r.Get(fields.ByNumber(1)).Int(), Nanos: int32(r.Get(fields.ByNumber(2)).Int())} //nolint:gosec // is an int32
	}
	if stamp.CheckValid() != nil {
		c.outside(path)
		return
	}
	c.bounds(path, calendar.Today(stamp.AsTime()))
}

func (c *check) day(path, text, rest string) {
	if len(text)+len(rest) != len(time.DateOnly) {
		return // the pattern of the field refuses it
	}
	day, err := calendar.ParseDate(text + rest)
	if err != nil {
		c.refuse(path, "is no day of the calendar")
		return
	}
	c.bounds(path, day)
}

func (c *check) bounds(path string, day calendar.Date) {
	if day.Before(First()) || c.last.Before(day) {
		c.outside(path)
	}
}

func (c *check) outside(path string) {
	c.refuse(path, "must lie between "+First().String()+" and "+c.last.String())
}

func (c *check) refuse(path, description string) {
	if c.refusal == nil {
		c.refusal = fault.Invalid(path, description)
		return
	}
	c.refusal = c.refusal.Field(path, description)
}
