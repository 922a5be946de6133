-- +goose Up

-- Reports and the emergency response to them. Who reported is not here, nor anywhere else in this database.
CREATE TABLE report (
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
    receipt_number        text        NOT NULL,
    provisional_child_id  uuid        NOT NULL,
    child_id              uuid,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT report_receipt_number UNIQUE (receipt_number),
    CONSTRAINT report_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (6)))
);
CREATE INDEX report_holder ON report (holder, deadline, id);
CREATE INDEX report_offered_to ON report (offered_to, deadline, id);
CREATE INDEX report_deadline ON report (deadline, id);
CREATE INDEX report_newest ON report (create_time DESC, id DESC);
CREATE INDEX report_matter ON report (matter_id);

-- Children as reports describe them. The registry binds each to a child of the ledger.
CREATE TABLE provisional_child (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    birth_date            date,
    sex                   integer,
    child_id              uuid,
    id_number_index       bytea,
    name_index            bytea,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea
);
CREATE INDEX provisional_child_id_number ON provisional_child (id_number_index);
CREATE INDEX provisional_child_name ON provisional_child (name_index);

CREATE TABLE bulletin (
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
    CONSTRAINT bulletin_report UNIQUE (report_id),
    CONSTRAINT bulletin_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (2)))
);
CREATE INDEX bulletin_holder ON bulletin (holder, deadline, id);
CREATE INDEX bulletin_offered_to ON bulletin (offered_to, deadline, id);
CREATE INDEX bulletin_deadline ON bulletin (deadline, id);

CREATE TABLE assessment (
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
    child_id              uuid,
    case_id               uuid,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT assessment_report UNIQUE (report_id),
    CONSTRAINT assessment_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (4, 5)))
);
CREATE INDEX assessment_holder ON assessment (holder, deadline, id);
CREATE INDEX assessment_offered_to ON assessment (offered_to, deadline, id);
CREATE INDEX assessment_deadline ON assessment (deadline, id);

GRANT SELECT, INSERT, UPDATE ON report, provisional_child, bulletin, assessment TO lianhu_app;
