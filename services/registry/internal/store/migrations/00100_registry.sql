-- +goose Up

-- Trusted, and part of every PostgreSQL package: lets an exclusion constraint compare ids beside ranges.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- Children of the ledger. Identity numbers exist as a keyed index only; birth date and sex stay clear, as rules and lists need them.
CREATE TABLE child (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text        NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    birth_date            date,
    sex                   integer     NOT NULL,
    colour                integer     NOT NULL,
    id_number_index       bytea,
    statuses              integer[]   NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT child_id_number UNIQUE (id_number_index)
);
CREATE INDEX child_division ON child (division, create_time DESC, id DESC);
CREATE INDEX child_create_time ON child (create_time DESC, id DESC);

-- Which child of the ledger a report's provisional child is. The id is the provisional child's.
CREATE TABLE binding (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    child_id              uuid        NOT NULL REFERENCES child DEFERRABLE INITIALLY DEFERRED, -- a new child is written after its binding
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea
);
CREATE INDEX binding_child ON binding (child_id, matter_id);

-- Who is responsible for a child, as intervals of days; the exclusion makes two guardians in one slot on one day impossible,
-- whoever races.
CREATE TABLE guardianship (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    child_id              uuid        NOT NULL REFERENCES child,
    slot                  integer     NOT NULL,
    from_day              date        NOT NULL,
    to_day                date,
    days                  daterange   GENERATED ALWAYS AS (daterange(from_day, to_day, '[]')) STORED,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT guardianship_interval CHECK (to_day IS NULL OR to_day >= from_day),
    CONSTRAINT guardianship_overlap EXCLUDE USING gist (child_id WITH =, slot WITH =, days WITH &&)
);
CREATE INDEX guardianship_child ON guardianship (child_id, from_day DESC, id DESC);

-- Entrusted care; one carer on one day.
CREATE TABLE care_agreement (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    child_id              uuid        NOT NULL REFERENCES child,
    from_day              date        NOT NULL,
    to_day                date        NOT NULL,
    last_day              date        NOT NULL,
    days                  daterange   GENERATED ALWAYS AS (daterange(from_day, last_day, '[]')) STORED,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT care_agreement_interval CHECK (to_day >= from_day AND last_day >= from_day),
    CONSTRAINT care_agreement_overlap EXCLUDE USING gist (child_id WITH =, days WITH &&)
);
CREATE INDEX care_agreement_child ON care_agreement (child_id, from_day DESC, id DESC);

-- When a child is visited next.
CREATE TABLE visit_plan (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    holder                text,
    offered_to            text,
    deadline              timestamptz,
    clock                 text,
    state                 integer     NOT NULL,
    division              text        NOT NULL,
    overdue               boolean     NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    child_id              uuid        NOT NULL REFERENCES child,
    colour                integer     NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT visit_plan_child UNIQUE (child_id),
    CONSTRAINT visit_plan_held_while_due CHECK ((state = 1) = (holder IS NOT NULL) AND (holder IS NULL) = (deadline IS NULL))
);
CREATE INDEX visit_plan_holder ON visit_plan (holder, deadline, id);
CREATE INDEX visit_plan_offered_to ON visit_plan (offered_to, deadline, id);
CREATE INDEX visit_plan_deadline ON visit_plan (deadline, id);

-- Visits are never changed.
CREATE TABLE visit (
    id                    uuid        PRIMARY KEY,
    child_id              uuid        NOT NULL REFERENCES child,
    visit_plan_id         uuid        NOT NULL REFERENCES visit_plan,
    record_time           timestamptz NOT NULL,
    sealed_minor_identity bytea       NOT NULL
);
CREATE INDEX visit_child ON visit (child_id, record_time DESC, id DESC);

GRANT SELECT, INSERT, UPDATE ON child, binding, guardianship, care_agreement, visit_plan TO lianhu_app;
GRANT SELECT, INSERT ON visit TO lianhu_app;
