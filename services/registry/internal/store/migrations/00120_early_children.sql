-- +goose Up

-- Children that only a report knows so far. Nothing of them is in the ledger until the township has acknowledged the bulletin of the police:
-- then the row moves into `child` and leaves this table. Only police with a part in the matter read it.
CREATE TABLE early_child (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid        NOT NULL,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    id_number_index       bytea,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT early_child_id_number UNIQUE (id_number_index)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON early_child TO lianhu_app;

-- By which bulletin a record entered the ledger that a report had made. A record of that origin without a row here was told too early.
CREATE TABLE child_release (
    child_id     uuid        PRIMARY KEY REFERENCES child,
    matter_id    uuid        NOT NULL,
    release_time timestamptz NOT NULL
);
GRANT SELECT, INSERT ON child_release TO lianhu_app;

-- A binding may name a record of either table, and says when its matter was told to the township.
ALTER TABLE binding DROP CONSTRAINT binding_child_id_fkey;
ALTER TABLE binding ADD COLUMN release_time timestamptz;
CREATE INDEX binding_matter ON binding (matter_id);

-- How a record came to be, for the count of what was told too early. NULL in rows from before: theirs is in the body.
ALTER TABLE child ADD COLUMN origin integer;

-- The ledger names no matter: which one told of a child stands in its bindings alone. Villages and townships that had a part in a matter
-- here had it by a visit plan, which is the ledger's.
DELETE FROM access_grant g USING custody c, visit_plan p
WHERE c.kind = 'visit_plan' AND c.item = p.id AND p.matter_id = g.matter_id AND c.holder = g.unit;
UPDATE child SET matter_id = NULL WHERE matter_id IS NOT NULL;
UPDATE guardianship SET matter_id = NULL WHERE matter_id IS NOT NULL;
UPDATE care_agreement SET matter_id = NULL WHERE matter_id IS NOT NULL;
UPDATE visit_plan SET matter_id = NULL WHERE matter_id IS NOT NULL;
UPDATE feed SET matter_id = NULL WHERE subject_kind IN ('child', 'visit_plan') AND matter_id IS NOT NULL;
UPDATE outbox SET matter_id = NULL WHERE subject_kind IN ('child', 'visit_plan') AND matter_id IS NOT NULL;
