-- +goose Up

-- Quick searches for missing children, one at a time for a report.
CREATE TABLE search (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    holder                text,
    offered_to            text,
    deadline              timestamptz,
    clock                 text,
    state                 integer     NOT NULL,
    division              text,
    overdue               boolean     NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    report_id             uuid        NOT NULL REFERENCES report (id),
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT search_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (2)))
);
CREATE UNIQUE INDEX search_running ON search (report_id) WHERE state = 1;
CREATE INDEX search_report ON search (report_id, create_time, id);
CREATE INDEX search_holder ON search (holder, deadline, id);
CREATE INDEX search_offered_to ON search (offered_to, deadline, id);
CREATE INDEX search_deadline ON search (deadline, id);

-- Placements with civil affairs, one at a time for a child.
CREATE TABLE placement (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    holder                text,
    offered_to            text,
    deadline              timestamptz,
    clock                 text,
    state                 integer     NOT NULL,
    division              text,
    overdue               boolean     NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    report_id             uuid        NOT NULL REFERENCES report (id),
    provisional_child_id  uuid        NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT placement_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (3, 4)))
);
CREATE UNIQUE INDEX placement_running ON placement (provisional_child_id) WHERE state IN (1, 2);
CREATE INDEX placement_report ON placement (report_id, create_time, id);
CREATE INDEX placement_holder ON placement (holder, deadline, id);
CREATE INDEX placement_offered_to ON placement (offered_to, deadline, id);
CREATE INDEX placement_deadline ON placement (deadline, id);

-- Reviews whether a case is filed, one of a kind at a time for a report.
CREATE TABLE filing (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    holder                text,
    offered_to            text,
    deadline              timestamptz,
    clock                 text,
    state                 integer     NOT NULL,
    division              text,
    overdue               boolean     NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    report_id             uuid        NOT NULL REFERENCES report (id),
    kind                  integer     NOT NULL,
    decision              integer     NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT filing_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (3)))
);
CREATE UNIQUE INDEX filing_running ON filing (report_id, kind) WHERE state IN (1, 2);
CREATE INDEX filing_newest ON filing (create_time DESC, id DESC);
CREATE INDEX filing_report ON filing (report_id, create_time, id);
CREATE INDEX filing_holder ON filing (holder, deadline, id);
CREATE INDEX filing_offered_to ON filing (offered_to, deadline, id);
CREATE INDEX filing_deadline ON filing (deadline, id);

GRANT SELECT, INSERT, UPDATE ON search, placement, filing TO lianhu_app;
