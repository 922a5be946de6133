package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/access"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/telemetry"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/store"
)

// reportWithin bounds a reporter's call. The vault counts on it: a record that no report names after ten minutes belongs to no running call.
const reportWithin = time.Minute

// anonymous begins what a reporter does so that nothing but the vault learns who it was. The command is known under a pseudonym that only the
// vault's key can connect with the reporter, another one for each word and request; and it has a trace of its own, which is what outbox, feed
// and rows keep: the trace of the call itself knows where it came from, and nothing leads from the one to the other.
func (d *Desk) anonymous(ctx context.Context, word string, req interface {
	proto.Message
	GetRequestId() string
}) (context.Context, command.Call, func()) {
	caller := access.FromContext(ctx)
	pseudonym := d.Vault.Keys.Pseudonym(word+"/"+req.GetRequestId(), caller.Unit+"/"+caller.System)
	call := command.CallFrom(ctx, req)
	call.Caller, call.Actor, call.Class = pseudonym, command.Actor{Unit: pseudonym, Purpose: caller.Purpose}, abuseDetail
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	ctx, end := telemetry.Fresh(ctx, "report received")
	return ctx, call, func() { end(); cancel() }
}

// keepReporter writes into the vault who reported, and with the report which of the vault's records counts. The vault comes first: a report
// without its reporter could not be answered. A record that a failed try leaves behind counts for nothing, whatever the retry says; the same
// content again is the same record.
func (d *Desk) keepReporter(ctx context.Context, c *command.Change, reportID string, record *reportingv1.ReporterRecord) error {
	tag, err := d.Vault.Put(telemetry.Apart(ctx), reportID, record)
	if err != nil {
		return err
	}
	c.Exec(store.NameReporter(), reportID, tag)
	return nil
}

// reported tells whether the unit handed in a report. Only the vault knows, and it answers yes or no.
func (d *Desk) reported(ctx context.Context, reportID, unit string) (bool, error) {
	tag, err := store.ReporterTag(ctx, d.Engine.DB, reportID)
	if err != nil || tag == nil {
		return false, err
	}
	return d.Vault.Reported(telemetry.Apart(ctx), reportID, tag, unit)
}
