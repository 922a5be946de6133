// Package access decides who may do what. A call is admitted by its method's action and the caller's roles; a subject
// is shown or hidden by the caller's relation to it; a field is shown or masked by its class. All three follow the access
// table of the district, and what the table does not allow is refused.
package access

import (
	"context"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/calendar"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/fault"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	faultv1 "github.com/lianhu/lianhu/proto/gen/lianhu/fault/v1"
)

// ActionFollow is the action of the access table by which services of the suite read each other as themselves.
const ActionFollow = "follow"

// Caller is who calls, for which purpose. It is made once per call and never changed.
type Caller struct {
	// Unit id; service/<name> for a service of the suite that calls as itself.
	Unit string
	// System of the unit that holds the certificate; empty for a service.
	System string
	// Officer the unit's system asserted, on the unit's roster today; empty for a system acting by itself.
	Officer string
	// Service is the name of the calling service; empty for everybody else.
	Service string
	// Roles of the access table.
	Roles []string
	// Purpose named; PURPOSE_UNSPECIFIED when none was.
	Purpose accessv1.Purpose
	// Matter the caller named, a UUID; may be empty.
	Matter string
	// Method is the full gRPC method of the call; empty outside of one.
	Method string
	// CertificateExpires is when the certificate of the call ends, in machine time.
	CertificateExpires time.Time
	// Contract the caller says it speaks, for its own integration; may be empty, and decides nothing.
	Contract string

	district *district.District
	// today is the day of the call, by which divisions are in force or closed.
	today calendar.Date
}

// Claim is what a call says of itself, not yet checked.
type Claim struct {
	Unit, System, Officer, Service string
	Purpose                        accessv1.Purpose
	Matter                         string
	CertificateExpires             time.Time
	Contract                       string
}

// NewCaller checks a claim against the district on a day. d is nil only where nothing but open methods is served.
//
// Errors: UNIT_UNKNOWN, OFFICER_UNKNOWN.
func NewCaller(d *district.District, claim Claim, today calendar.Date) (*Caller, error) {
	c := &Caller{
		Unit: claim.Unit, System: claim.System, Officer: claim.Officer, Service: claim.Service,
		Purpose: claim.Purpose, Matter: claim.Matter, CertificateExpires: claim.CertificateExpires, Contract: claim.Contract, district: d, today: today,
	}
	if c.Service != "" {
		c.Unit = "service/" + c.Service
	}
	if d == nil {
		return c, nil
	}
	unit, ok := d.Unit(c.Unit)
	if !ok || !unit.OpenOn(today) || (unit.Kind == district.KindService) != (c.Service != "") {
		return nil, fault.New(faultv1.Reason_REASON_UNIT_UNKNOWN, "the unit is not an open unit of the district", "unit", c.Unit)
	}
	var officer district.Officer
	if c.Officer != "" {
		officer, ok = d.Officer(c.Officer)
		if !ok || officer.Unit != c.Unit || !officer.ActiveOn(today) {
			return nil, fault.New(faultv1.Reason_REASON_OFFICER_UNKNOWN, "the officer is not on the unit's roster today", "officer", c.Officer)
		}
	}
	c.Roles = d.Roles(c.Unit, c.System, officer)
	return c, nil
}

// Permissions are the lines of the access table by which the caller may perform an action for its purpose. A service
// that follows has its one permission for whatever it reads. A call without a purpose is not refused for it; what it
// names, or that it names none, is on record.
func (c *Caller) Permissions(action string) []district.Permission {
	if c.district == nil {
		return nil
	}
	if c.Service != "" {
		action = ActionFollow
	}
	var usable []district.Permission
	for _, p := range c.district.Allowed(c.Roles, action) {
		if c.Purpose == accessv1.Purpose_PURPOSE_UNSPECIFIED || p.Serves(c.Purpose) {
			usable = append(usable, p)
		}
	}
	return usable
}

// Admit decides whether the caller may call a method of that action at all. writes is true for a method with effects:
// it needs a permission to write, or one whose every use is approved and recorded.
//
// Errors: METHOD_NOT_ALLOWED.
func (c *Caller) Admit(action string, writes bool) error {
	for _, p := range c.Permissions(action) {
		if !writes || p.Write || p.Approval != "" {
			return nil
		}
	}
	return notAllowed(action, c.Purpose)
}

func notAllowed(action string, purpose accessv1.Purpose) error {
	return fault.New(faultv1.Reason_REASON_METHOD_NOT_ALLOWED, "no rule of the access table lets this caller do that",
		"action", action, "purpose", strings.TrimPrefix(purpose.String(), "PURPOSE_"))
}

type key struct{}

// NewContext hands the caller on.
func NewContext(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// FromContext is the caller of the call in ctx. Outside of a call it is a caller without any right, never nil.
func FromContext(ctx context.Context) *Caller {
	if c, ok := ctx.Value(key{}).(*Caller); ok {
		return c
	}
	return &Caller{}
}
