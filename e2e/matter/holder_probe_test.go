//go:build holders

package matter

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/client"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	"github.com/lianhu/lianhu/services/suite/journey"
)

// probe makes calls of the contract as a unit and tells how they end. Nothing it does has an effect.
type probe struct {
	journey.World
	now time.Time
}

// tried is a call's answer, or the reasons for which it was refused with each of the unit's officers and purposes.
func (p *probe) tried(ctx context.Context, unit string, m protoreflect.MethodDescriptor, request map[string]any, vars map[string]string) (*dynamicpb.Message, string) {
	conn, err := p.Dial(unit)
	if err != nil {
		return nil, err.Error()
	}
	message, err := p.message(m.Input(), request, vars)
	if err != nil {
		return nil, err.Error()
	}
	refusals := map[string]bool{}
	for _, officer := range p.officers(unit) {
		for _, purpose := range p.purposes(unit, officer, ruleOf(m).GetAction()) {
			answer, reason := call(ctx, conn, m, message, officer, purpose)
			if reason == "" {
				return answer, ""
			}
			refusals[reason] = true
		}
	}
	return nil, strings.Join(slices.Sorted(maps.Keys(refusals)), "|")
}

// plain are reasons whose metadata say nothing that is not known here.
var plain = map[string]bool{"STATE_FORBIDS": true, "METHOD_NOT_ALLOWED": true, "NOT_FOUND": true, "NOT_OFFERED": true, "NOT_HOLDER": true}

func call(ctx context.Context, conn grpc.ClientConnInterface, m protoreflect.MethodDescriptor, message *dynamicpb.Message, officer, purpose string) (*dynamicpb.Message, string) {
	md := metadata.Pairs(access.KeyPurpose, purpose)
	if officer != "" {
		md.Set(access.KeyOfficer, officer)
	}
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(ctx, md), 20*time.Second)
	defer cancel()
	answer := dynamicpb.NewMessage(m.Output())
	err := conn.Invoke(ctx, "/"+string(m.Parent().FullName())+"/"+string(m.Name()), message, answer)
	if err == nil {
		return answer, ""
	}
	told := client.Refusal(err)
	switch {
	case told == nil:
		return nil, err.Error()
	case plain[told.GetReason()]:
		return nil, told.GetReason()
	}
	return nil, told.GetReason() + strings.TrimPrefix(fmt.Sprint(told.GetMetadata()), "map")
}

// officers of a unit: one of each title, and nobody where it has none.
func (p *probe) officers(unit string) (ids []string) {
	titles := map[string]bool{}
	for _, o := range p.District.OfficersOf(unit) {
		if o.ActiveOn(calendar.Today(p.now)) && !titles[o.Title] {
			titles[o.Title] = true
			ids = append(ids, o.ID)
		}
	}
	if len(ids) == 0 {
		ids = append(ids, "")
	}
	return ids
}

// superior of a unit, who has to agree to some of what its officers do; it is nobody's last officer.
func (p *probe) superior(unit string) string {
	for _, o := range p.District.OfficersOf(unit) {
		if o.Superior && o.ActiveOn(calendar.Today(p.now)) {
			return o.ID
		}
	}
	return ""
}

// purposes for which the access table lets the unit do something, or any one where it does not, so that the refusal is told.
func (p *probe) purposes(unit, officer, action string) []string {
	found := map[string]bool{}
	o, _ := p.District.Officer(officer)
	for _, permission := range p.District.Allowed(p.District.Roles(unit, "main", o), action) {
		for _, purpose := range permission.Purposes {
			found[strings.TrimPrefix(purpose.String(), "PURPOSE_")] = true
		}
	}
	if len(found) == 0 {
		found[strings.TrimPrefix(accessv1.Purpose_PURPOSE_FOLLOW_UP.String(), "PURPOSE_")] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// message builds an example: what is written, and for the rest a text, a date, a time or the first value of an enum where its name or type
// says that one is meant.
func (p *probe) message(d protoreflect.MessageDescriptor, written map[string]any, vars map[string]string) (*dynamicpb.Message, error) {
	values := map[string]any{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		name := string(f.Name())
		switch {
		case name == "request_id":
			values[name] = uuid.NewString()
		case name == "validate_only":
			values[name] = true
		case f.IsList() || f.IsMap():
		case f.Kind() == protoreflect.EnumKind:
			values[name] = string(f.Enum().Values().Get(1).Name())
		case slices.Contains([]string{"text", "note", "reason", "reasons", "narrative", "summary"}, name):
			values[name] = "说明"
		case strings.HasSuffix(name, "_date"):
			values[name] = p.now.In(calendar.Zone()).Format(time.DateOnly)
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.Timestamp":
			values[name] = p.now.UTC().Format(time.RFC3339Nano)
		}
	}
	maps.Copy(values, written)
	maps.DeleteFunc(values, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	message := dynamicpb.NewMessage(d)
	text := os.Expand(string(raw), func(name string) string { return vars[name] })
	if err := protojson.Unmarshal([]byte(text), message); err != nil {
		return nil, fmt.Errorf("the example of %s does not fit: %w", d.Name(), err)
	}
	return message, nil
}
