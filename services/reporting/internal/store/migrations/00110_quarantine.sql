-- +goose Up

-- A quarantined update is an item of the operator: it has a holder, a deadline and a history like any other. Nothing is carried over from
-- the table before it, as nothing was released with it.
DROP TABLE dispatch_quarantine;
CREATE TABLE quarantined_update (
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
    source                text        NOT NULL,
    epoch                 bigint      NOT NULL,
    sequence              bigint      NOT NULL,
    cause                 integer     NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT quarantined_update_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (2, 3)))
);
CREATE INDEX quarantined_update_holder ON quarantined_update (holder, deadline, id);
CREATE INDEX quarantined_update_offered_to ON quarantined_update (offered_to, deadline, id);
CREATE INDEX quarantined_update_deadline ON quarantined_update (deadline, id);
CREATE INDEX quarantined_update_newest ON quarantined_update (create_time DESC, id DESC);
CREATE INDEX quarantined_update_number ON quarantined_update (source, epoch, sequence);

-- Why numbers were given up, and by whom: the source itself, or the operator in its place. Never changed.
CREATE TABLE dispatch_void (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text        NOT NULL,
    epoch           bigint      NOT NULL,
    first           bigint      NOT NULL,
    last            bigint      NOT NULL,
    given_up_by     text        NOT NULL,
    receive_time    timestamptz NOT NULL,
    sealed_personal bytea
);
CREATE INDEX dispatch_void_number ON dispatch_void (source, epoch, first);

GRANT SELECT, INSERT, UPDATE ON quarantined_update TO lianhu_app;
GRANT SELECT, INSERT ON dispatch_void TO lianhu_app;
-- A replayed update is told to its incident after all; its number, digest and content never change.
GRANT UPDATE (cause, incident_number, incident_version, source_time) ON dispatch_update TO lianhu_app;
