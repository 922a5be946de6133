package audit_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/lianhu/lianhu/pkg/audit"
	"github.com/lianhu/lianhu/pkg/command"
	"github.com/lianhu/lianhu/pkg/internal/specimen"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/row"
	"github.com/lianhu/lianhu/pkg/seal"
	accessv1 "github.com/lianhu/lianhu/proto/gen/lianhu/access/v1"
)

const (
	ticket = "9d5f7c1e-0f0b-4a53-8f0e-9b8a3f6a0001"
	matter = "9d5f7c1e-0f0b-4a53-8f0e-9b8a3f6a0002"
)

func open(t *testing.T) *command.Engine {
	t.Helper()
	keys, err := seal.New("specimen", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	return &command.Engine{DB: pgtest.Database(t, specimen.Migrations()), Keys: keys, Service: "specimen", Now: func() time.Time { return now }}
}

func look(class accessv1.DataClass) audit.Look {
	return audit.Look{
		Actor:  command.Actor{Unit: "court", System: "main", Officer: "court-1", Purpose: accessv1.Purpose_PURPOSE_JUDICIAL_PROCEEDING},
		Method: "/lianhu.specimen.v1.X/Get", Class: class, Kind: "ticket", Head: row.Head{ID: ticket, Version: 3, MatterID: matter},
	}
}

func TestALookAboveInternalIsOnRecord(t *testing.T) {
	t.Parallel()
	e := open(t)
	if err := audit.Read(t.Context(), e, look(accessv1.DataClass_DATA_CLASS_INTERNAL), look(accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY)); err != nil {
		t.Fatal(err)
	}
	var rows, version int64
	var unit, officer, method, subject, of string
	var purpose, class int32
	var effect bool
	err := e.DB.QueryRow(t.Context(), `SELECT count(*) OVER (), unit, officer, method, purpose, class, effect, subject_id, subject_version, matter_id FROM audit`).
		Scan(&rows, &unit, &officer, &method, &purpose, &class, &effect, &subject, &version, &of)
	if err != nil {
		t.Fatal(err)
	}
	if rows != 1 || class != int32(accessv1.DataClass_DATA_CLASS_MINOR_IDENTITY) {
		t.Errorf("%d rows, class %d; want the one look at identity", rows, class)
	}
	if unit != "court" || officer != "court-1" || method != "/lianhu.specimen.v1.X/Get" || effect || purpose != int32(accessv1.Purpose_PURPOSE_JUDICIAL_PROCEEDING) {
		t.Errorf("who and why: %s %s %s %d, effect %t", unit, officer, method, purpose, effect)
	}
	if subject != ticket || version != 3 || of != matter {
		t.Error("the record names another subject")
	}
}

// An answer that cannot be put on record must not leave.
func TestALookThatCannotBeRecordedIsAnError(t *testing.T) {
	t.Parallel()
	e := open(t)
	e.DB.Close()
	if err := audit.Read(t.Context(), e, look(accessv1.DataClass_DATA_CLASS_PERSONAL)); err == nil {
		t.Error("a look was not recorded and nobody was told")
	}
}

// What happened cannot be unsaid by the service.
func TestTheRecordIsAppendOnly(t *testing.T) {
	t.Parallel()
	e := open(t)
	if err := audit.Read(t.Context(), e, look(accessv1.DataClass_DATA_CLASS_PERSONAL)); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"UPDATE audit SET unit = 'police'", "DELETE FROM audit", "TRUNCATE audit"} {
		if _, err := e.DB.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was allowed", sql)
		}
	}
}
