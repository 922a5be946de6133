package row

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lianhu/lianhu/pkg/clocks"
	custodyv1 "github.com/lianhu/lianhu/proto/gen/lianhu/custody/v1"
)

// Head is what every row has, whatever its message: the part the command rule, custody and the feed work on.
type Head struct {
	// ID of the row, a UUID.
	ID string
	// Version from 1; 0 before the first write.
	Version int64
	// MatterID is empty for rows outside any matter.
	MatterID string
	// Division of the child concerned, 12 digits; may be empty for plain rows.
	Division string
	// State is the name of the state without the enum's prefix; empty for plain rows.
	State string
	// Standing is nil for plain rows. It is the message's own, not a copy.
	Standing *custodyv1.Standing
	// UpdateTime is the business time of the last write; zero before the first.
	UpdateTime time.Time
}

// Head reads the head of a message.
func (t *Table[M]) Head(m M) Head {
	r := m.ProtoReflect()
	head := Head{Division: text(r, "division"), UpdateTime: instant(r, "update_time")}
	if !t.item {
		head.ID, head.MatterID = text(r, "id"), text(r, "matter_id")
		head.Version = r.Get(r.Descriptor().Fields().ByName("version")).Int()
		return head
	}
	standing := t.standing(r)
	head.Standing = standing
	head.ID, head.Version, head.MatterID = standing.GetId(), standing.GetVersion(), standing.GetMatterId()
	head.State = StateName(r)
	return head
}

// Stamp sets the version that is about to be written and the business time of the write; the first write sets the
// creation time as well. Of an item it also completes the clocks and says whether it is overdue: nothing else says so.
func (t *Table[M]) Stamp(m M, version int64, now time.Time) {
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	stamp := protoreflect.ValueOfMessage(timestamppb.New(now).ProtoReflect())
	r.Set(fields.ByName("update_time"), stamp)
	if created := fields.ByName("create_time"); version == 1 && !r.Has(created) {
		r.Set(created, stamp)
	}
	if t.item {
		standing := t.standing(r)
		standing.Version = version
		clocks.Stamp(standing, version, now)
		r.Set(fields.ByName("overdue"), protoreflect.ValueOfBool(clocks.Overdue(standing)))
	} else {
		r.Set(fields.ByName("version"), protoreflect.ValueOfInt64(version))
	}
	t.stampEtag(m)
}

// Etag is the opaque tag of a version.
func Etag(version int64) string { return "v" + strconv.FormatInt(version, 36) }

func (t *Table[M]) stampEtag(m M) {
	r := m.ProtoReflect()
	if t.item {
		standing := t.standing(r)
		standing.Etag = Etag(standing.GetVersion())
		return
	}
	fields := r.Descriptor().Fields()
	r.Set(fields.ByName("etag"), protoreflect.ValueOfString(Etag(r.Get(fields.ByName("version")).Int())))
}

func (t *Table[M]) standing(r protoreflect.Message) *custodyv1.Standing {
	return r.Mutable(r.Descriptor().Fields().ByName("standing")).Message().Interface().(*custodyv1.Standing)
}

// StateName is the state of an item as a word: the enum value's name without the enum's prefix, for example `ACCEPTED`.
func StateName(r protoreflect.Message) string {
	field := r.Descriptor().Fields().ByName("state")
	if field == nil {
		return ""
	}
	value := field.Enum().Values().ByNumber(r.Get(field).Enum())
	if value == nil {
		return strconv.Itoa(int(r.Get(field).Enum()))
	}
	return ShortName(value)
}

// ShortName is an enum value's name without the prefix that its UNSPECIFIED value has.
func ShortName(value protoreflect.EnumValueDescriptor) string {
	zero := value.Parent().(protoreflect.EnumDescriptor).Values().ByNumber(0)
	return strings.TrimPrefix(string(value.Name()), strings.TrimSuffix(string(zero.Name()), "UNSPECIFIED"))
}

func text(r protoreflect.Message, name protoreflect.Name) string {
	field := r.Descriptor().Fields().ByName(name)
	if field == nil {
		return ""
	}
	return r.Get(field).String()
}

func instant(r protoreflect.Message, name protoreflect.Name) time.Time {
	field := r.Descriptor().Fields().ByName(name)
	if field == nil || !r.Has(field) {
		return time.Time{}
	}
	return r.Get(field).Message().Interface().(*timestamppb.Timestamp).AsTime()
}
