// Package audit records looks. Effects leave their row in the statement of the command; a read of anything above INTERNAL
// leaves one here, before its answer leaves the service.
package audit

import (
	"context"
	"fmt"

	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/row"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

// Look is one read of one subject.
type Look struct {
	// Actor who looks.
	Actor command.Actor
	// Method is the full gRPC method.
	Method string
	// Class is the highest class shown.
	Class accessv1.DataClass
	// Kind of subject, for example `child`.
	Kind string
	// Head of the subject as shown; empty for a look that found nothing.
	Head row.Head
}

// Read records looks; the answer may leave only when it returns nil. Looks at nothing above INTERNAL leave no row.
func Read(ctx context.Context, e *command.Engine, looks ...Look) error {
	for _, l := range looks {
		if l.Class <= accessv1.DataClass_DATA_CLASS_INTERNAL {
			continue
		}
		_, err := e.DB.Exec(ctx, `
			INSERT INTO audit (time, unit, system, officer, purpose, method, effect, class, subject_kind, subject_id, subject_version, matter_id)
			VALUES ($1, $2, $3, $4, $5, $6, false, $7, $8, $9::uuid, $10, $11::uuid)`,
			e.Now(), l.Actor.Unit, l.Actor.System, l.Actor.Officer, int32(l.Actor.Purpose), l.Method, int32(l.Class), l.Kind, orNull(l.Head.ID), l.Head.Version, orNull(l.Head.MatterID))
		if err != nil {
			return fmt.Errorf("audit: record a look: %w", err)
		}
	}
	return nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
