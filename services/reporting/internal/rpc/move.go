package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// move lets everything of a report follow it to another residence, in the command that corrects the report.
func (d *Desk) move(ctx context.Context, c *command.Change, r *reportingv1.Report, children []*reportingv1.ProvisionalChild, text string) error {
	for _, child := range children {
		loaded := command.Remember(d.Tables.Children, child)
		rules.MoveChild(child, r.GetDivision(), by(ctx), text, c.Now)
		if err := loaded.Update(c, "corrected", r.GetStanding().GetHolder()); err != nil {
			return err
		}
	}
	if err := follow(ctx, d, c, d.Tables.Bulletins, r, func(b *reportingv1.Bulletin) { rules.MoveBulletin(d.District, b, r, by(ctx), text, c.Now) }); err != nil {
		return err
	}
	if err := follow(ctx, d, c, d.Tables.Assessments, r, func(a *reportingv1.Assessment) { rules.MoveAssessment(d.District, a, r, by(ctx), text, c.Now) }); err != nil {
		return err
	}
	if err := follow(ctx, d, c, d.Tables.Searches, r, func(x *reportingv1.Search) { x.Division = r.GetDivision() }); err != nil {
		return err
	}
	if err := follow(ctx, d, c, d.Tables.Placements, r, func(x *reportingv1.Placement) { x.Division = r.GetDivision() }); err != nil {
		return err
	}
	if err := follow(ctx, d, c, d.Tables.Filings, r, func(x *reportingv1.Filing) { x.Division = r.GetDivision() }); err != nil {
		return err
	}
	return follow(ctx, d, c, d.Tables.Supervisions, r, func(x *reportingv1.Supervision) { x.Division = r.GetDivision() })
}

// follow changes all rows of one kind of a report.
func follow[M proto.Message](ctx context.Context, d *Desk, c *command.Change, t *row.Table[M], r *reportingv1.Report, change func(M)) error {
	rows, err := store.OfReport(ctx, d.Engine.DB, d.Engine.Keys, t, r.GetStanding().GetId())
	if err != nil {
		return err
	}
	for _, m := range rows {
		loaded := command.Remember(t, m)
		change(m)
		if err := loaded.Update(c, "corrected"); err != nil {
			return err
		}
	}
	return nil
}

// flag notes anew what is odd about a report whose situations or times have changed.
func (d *Desk) flag(ctx context.Context, r *reportingv1.Report) error {
	children, err := d.Tables.ChildrenOf(ctx, d.Engine.DB, d.Engine.Keys, r)
	if err == nil {
		rules.Flag(d.District, r, children)
	}
	return err
}

// flagFor does so when one of the children is known better, in the command that changes the child. A report whose flags stay is left alone.
func (d *Desk) flagFor(ctx context.Context, c *command.Change, child *reportingv1.ProvisionalChild) error {
	report, err := row.Get(ctx, d.Engine.DB, d.Engine.Keys, d.Tables.Reports, child.GetMatterId())
	if err != nil {
		return err
	}
	children, err := d.Tables.ChildrenOf(ctx, d.Engine.DB, d.Engine.Keys, report)
	if err != nil {
		return err
	}
	for i := range children {
		if children[i].GetId() == child.GetId() {
			children[i] = child
		}
	}
	loaded := command.Remember(d.Tables.Reports, report)
	if !rules.Flag(d.District, report, children) {
		return nil
	}
	return loaded.Update(c, "flagged")
}
