// Package rpc answers the calls of this area: it finds out what the caller may know, runs the rule as one command and answers.
package rpc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/custody"
	"github.com/lianhu/lianhu/pkg/district"
	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// Desk is what every handler of this service works with.
type Desk struct {
	Engine   *command.Engine
	Tables   *store.Tables
	Vault    *store.Vault
	District *district.District
	Feed     *feed.Server
	// Followers of other services' feeds, whose parked events an operator can retry.
	Followers []*feed.Follower
	// AckPatience is how long a dispatch system may leave an acknowledgement unread, in machine time; 30 seconds when zero.
	AckPatience time.Duration
	// Outage is how long a stream waits for a database that is away, in machine time; 30 seconds when zero.
	Outage time.Duration
	// Validate checks a message against the rules written beside its fields.
	Validate func(proto.Message) error
	// Repairs mends items whose custody is broken.
	Repairs *custody.Repairs
	// Version describes the running service.
	Version func(context.Context) (*accessv1.ServiceVersion, error)
}

const abuseDetail = accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL

// factsOf gathers what decides whether the caller may know of a row. Involvement costs a look into the database and is only
// asked for when nothing else opens the row.
func (d *Desk) factsOf(ctx context.Context, caller *access.Caller, action string, head row.Head) (access.Facts, error) {
	facts := access.Facts{Division: head.Division, Supervising: supervises(caller)}
	if head.Standing != nil {
		facts.Holder, facts.OfferedTo = head.Standing.GetHolder(), head.Standing.GetOfferedTo()
	}
	if head.MatterID == "" || caller.See(action, facts) == nil {
		return facts, nil
	}
	involved, err := store.Involved(ctx, d.Engine.DB, head.MatterID, caller.Unit)
	facts.Involved = involved
	return facts, err
}

// see answers NOT_FOUND when the caller may not know of a row.
func (d *Desk) see(ctx context.Context, action string, head row.Head) error {
	caller := access.FromContext(ctx)
	facts, err := d.factsOf(ctx, caller, action, head)
	if err != nil {
		return err
	}
	return caller.See(action, facts)
}

// show masks what the caller may not read of an answer about a row, and leaves a trace of the look before the answer leaves.
func (d *Desk) show(ctx context.Context, action, kind string, head row.Head, answer proto.Message) error {
	caller := access.FromContext(ctx)
	facts, err := d.factsOf(ctx, caller, action, head)
	if err != nil {
		return err
	}
	if err := caller.See(action, facts); err != nil {
		return err
	}
	class := caller.Class(action, facts)
	access.Mask(answer, class)
	return audit.Read(ctx, d.Engine, audit.Look{Actor: command.ActorFrom(ctx), Method: caller.Method, Class: class, Kind: kind, Head: head})
}

// supervises reports whether the caller is the procuratorate, which supervises every report (policy R3.7).
func supervises(caller *access.Caller) bool { return slices.Contains(caller.Roles, "procuratorate") }

// by is the acting unit and officer as the rules see them.
func by(ctx context.Context) rules.Actor {
	caller := access.FromContext(ctx)
	return rules.Actor{Unit: caller.Unit, Officer: caller.Officer}
}

// update runs a rule on a row the caller may know of. The rule says what happened; audience are units that hear of it beside those it concerns.
func update[M, A proto.Message](ctx context.Context, d *Desk, req proto.Message, t *row.Table[M], id, action string, rule func(c *command.Change, m M) (string, error), answer func(M) A, audience ...string) (A, error) {
	call := command.CallFrom(ctx, req)
	call.Class = abuseDetail
	return command.Update(ctx, d.Engine, call, t, id, func(c *command.Change, m M) error {
		if err := d.see(ctx, action, t.Head(m)); err != nil {
			return err
		}
		what, err := rule(c, m)
		c.Happened(what, audience...)
		if report, is := any(m).(*reportingv1.Report); is && err == nil {
			err = d.release(ctx, c, report)
		}
		return err
	}, answer)
}
