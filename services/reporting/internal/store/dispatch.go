package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
	"github.com/lianhu/lianhu/services/reporting/internal/rules"
)

// Spent is a number a source has used before.
type Spent struct {
	// Void numbers were given up.
	Void bool
	// Digest of the update; empty for a void.
	Digest []byte
	// Cause of the quarantine, zero when the content was used.
	Cause reportingv1.Quarantined_Cause
}

// SpentAmong looks up which of the numbers a source has used.
func SpentAmong(ctx context.Context, q row.Querier, source string, epoch int64, sequences []int64) (map[int64]Spent, error) {
	rows, err := q.Query(ctx, `SELECT sequence, void, digest, coalesce(cause, 0) FROM dispatch_update
		WHERE source = $1 AND epoch = $2 AND sequence = ANY ($3)`, source, epoch, sequences)
	if err != nil {
		return nil, err
	}
	spent := map[int64]Spent{}
	var sequence int64
	var s Spent
	_, err = pgx.ForEachRow(rows, []any{&sequence, &s.Void, &s.Digest, &s.Cause}, func() error {
		spent[sequence] = s
		s.Digest = nil // the next row gets memory of its own
		return nil
	})
	return spent, err
}

// SpansAbove reads the numbers a source has used above one, as ranges.
func SpansAbove(ctx context.Context, q row.Querier, source string, epoch, above int64) (rules.Spans, error) {
	rows, err := q.Query(ctx, `SELECT min(sequence), max(sequence) FROM (
			SELECT sequence, sequence - row_number() OVER (ORDER BY sequence) AS island
			FROM dispatch_update WHERE source = $1 AND epoch = $2 AND sequence > $3) numbers
		GROUP BY island ORDER BY 1`, source, epoch, above)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[rules.Span])
}

// Incoming is one update on its way in.
type Incoming struct {
	// Envelope as sent.
	Envelope *reportingv1.IncidentUpdate
	// Digest of the envelope.
	Digest []byte
	// Cause of the quarantine; zero when the content is used.
	Cause reportingv1.Quarantined_Cause
}

// Digest is what tells two updates of one number apart. It covers each field with its length, as protobuf's own bytes may
// differ between releases.
func Digest(keys *seal.Keys, u *reportingv1.IncidentUpdate) []byte {
	var raw []byte
	for _, n := range []int64{u.GetSequence(), u.GetIncidentVersion(), u.GetSourceTime().GetSeconds(), int64(u.GetSourceTime().GetNanos()), int64(u.GetPayloadFormat())} {
		raw = binary.BigEndian.AppendUint64(raw, uint64(n))
	}
	for _, b := range [][]byte{[]byte(u.GetIncidentNumber()), u.GetPayload(), u.ProtoReflect().GetUnknown()} {
		raw = append(binary.BigEndian.AppendUint64(raw, uint64(len(b))), b...)
	}
	return keys.Digest("dispatch", raw)
}

// Position of a source: what a statement below is about.
type Position struct {
	Source string
	Epoch  int64
}

// StoreUpdates adds the updates to the command: the numbers are spent when it commits. Of an update that is told to no incident nothing
// but its number and its sealed form is kept, as its fields may hold anything.
func StoreUpdates(c *command.Change, at Position, updates []Incoming) error {
	if len(updates) == 0 {
		return nil
	}
	n := len(updates)
	sequences, versions, causes := make([]int64, n), make([]int64, n), make([]*int32, n)
	numbers, times := make([]string, n), make([]*time.Time, n)
	digests, sealed := make([][]byte, n), make([][]byte, n)
	for i, in := range updates {
		var err error
		if sealed[i], err = sealUpdate(c.Engine.Keys, at, in.Envelope); err != nil {
			return err
		}
		sequences[i], digests[i] = in.Envelope.GetSequence(), in.Digest
		if in.Cause != 0 {
			causes[i] = new(int32(in.Cause))
			continue
		}
		numbers[i], versions[i], times[i] = in.Envelope.GetIncidentNumber(), in.Envelope.GetIncidentVersion(), new(in.Envelope.GetSourceTime().AsTime())
	}
	c.Exec(`INSERT INTO dispatch_update (source, epoch, sequence, void, digest, cause, incident_number, incident_version, source_time, receive_time, sealed_abuse_detail)
		SELECT $1, $2, sequence, false, digest, cause, incident_number, incident_version, source_time, $3, sealed
		FROM unnest($4::bigint[], $5::bytea[], $6::integer[], $7::text[], $8::bigint[], $9::timestamptz[], $10::bytea[])
			AS sent (sequence, digest, cause, incident_number, incident_version, source_time, sealed)`,
		at.Source, at.Epoch, c.Now, sequences, digests, causes, numbers, versions, times, sealed)
	return nil
}

// GivenUp is a range of numbers that will never be sent.
type GivenUp struct {
	*reportingv1.Void
	// Numbers of the range that were not spent before.
	Numbers []int64
}

// StoreVoids adds numbers that were given up, and by whom and why.
func StoreVoids(c *command.Change, at Position, by string, voids []GivenUp) error {
	var sequences []int64
	for _, v := range voids {
		if len(v.Numbers) == 0 {
			continue
		}
		sequences = append(sequences, v.Numbers...)
		why, err := c.Engine.Keys.Seal(seal.Place{Table: "dispatch_void", ID: at.Source, Class: accessv1.DataClass_DATA_CLASS_PERSONAL}, []byte(v.GetReason()))
		if err != nil {
			return err
		}
		c.Exec(`INSERT INTO dispatch_void (source, epoch, first, last, given_up_by, receive_time, sealed_personal) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			at.Source, at.Epoch, v.GetFrom(), v.GetTo(), by, c.Now, why)
	}
	if len(sequences) > 0 {
		c.Exec(`INSERT INTO dispatch_update (source, epoch, sequence, void, digest, receive_time)
			SELECT $1, $2, sequence, true, ''::bytea, $4 FROM unnest($3::bigint[]) AS sequence`, at.Source, at.Epoch, sequences, c.Now)
	}
	return nil
}

// StoreLowered adds to the journal that an epoch was begun by mistake.
func StoreLowered(c *command.Change, source *reportingv1.DispatchSource, epoch int64, by rules.Actor, reason string) error {
	why, err := c.Engine.Keys.Seal(seal.Place{Table: "dispatch_epoch", ID: source.GetSource(), Class: accessv1.DataClass_DATA_CLASS_PERSONAL}, []byte(reason))
	if err != nil {
		return err
	}
	c.Exec(`INSERT INTO dispatch_epoch (source, mistaken_epoch, durable_through, epoch, lowered_by, officer, lower_time, sealed_personal)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		source.GetSource(), source.GetEpoch(), source.GetDurableThrough(), epoch, by.Unit, by.Officer, c.Now, why)
	return nil
}

func sealUpdate(keys *seal.Keys, at Position, u *reportingv1.IncidentUpdate) ([]byte, error) {
	plain, err := proto.Marshal(u)
	if err != nil {
		return nil, err
	}
	return keys.Seal(seal.Place{Table: "dispatch_update", ID: at.Source, Class: accessv1.DataClass_DATA_CLASS_ABUSE_DETAIL}, plain)
}
