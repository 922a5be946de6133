-- +goose Up

-- Incidents as folded from the updates of the police dispatch systems.
CREATE TABLE incident (
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
    incident_number       text        NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT incident_incident_number UNIQUE (incident_number),
    CONSTRAINT incident_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (2, 3)))
);
CREATE INDEX incident_holder ON incident (holder, deadline, id);
CREATE INDEX incident_offered_to ON incident (offered_to, deadline, id);
CREATE INDEX incident_deadline ON incident (deadline, id);

-- Where each source stands. Every batch of a source changes this row first, so that batches of one source take turns.
CREATE TABLE dispatch_source (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    source                text        NOT NULL,
    epoch                 bigint      NOT NULL,
    durable_through       bigint      NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT dispatch_source_source UNIQUE (source)
);

-- Every number a source has spent: an update, or a void. Never changed. `cause` is set when the content was quarantined;
-- it is then kept here all the same, but told to no incident.
CREATE TABLE dispatch_update (
    source              text        NOT NULL,
    epoch               bigint      NOT NULL,
    sequence            bigint      NOT NULL,
    void                boolean     NOT NULL,
    digest              bytea       NOT NULL,
    cause               integer,
    incident_number     text,
    incident_version    bigint,
    source_time         timestamptz,
    receive_time        timestamptz NOT NULL,
    sealed_abuse_detail bytea,
    CONSTRAINT dispatch_update_key PRIMARY KEY (source, epoch, sequence),
    CONSTRAINT dispatch_update_content CHECK (void = (incident_number IS NULL))
);
CREATE INDEX dispatch_update_incident ON dispatch_update (incident_number, incident_version);

-- What was kept apart and waits for somebody to look at it: content that could not be used, and other content that came under a
-- number already spent. Never changed.
CREATE TABLE dispatch_quarantine (
    source              text        NOT NULL,
    epoch               bigint      NOT NULL,
    sequence            bigint      NOT NULL,
    digest              bytea       NOT NULL,
    cause               integer     NOT NULL,
    receive_time        timestamptz NOT NULL,
    deadline            timestamptz NOT NULL,
    sealed_abuse_detail bytea,
    CONSTRAINT dispatch_quarantine_key PRIMARY KEY (source, epoch, sequence, digest)
);

GRANT SELECT, INSERT, UPDATE ON incident, dispatch_source TO lianhu_app;
GRANT SELECT, INSERT ON dispatch_update, dispatch_quarantine TO lianhu_app;
