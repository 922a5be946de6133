-- +goose Up
CREATE TABLE ticket (
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
    number                text,
    amount_fen            bigint,
    day                   date,
    found_time            timestamptz,
    child_name_index      bytea,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT ticket_number UNIQUE (number),
    CONSTRAINT ticket_amount CHECK (amount_fen >= 0)
);
CREATE INDEX ticket_holder ON ticket (holder, deadline, id);
CREATE INDEX ticket_offered_to ON ticket (offered_to, deadline, id);
CREATE INDEX ticket_deadline ON ticket (deadline, id);

CREATE TABLE note (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea
);
GRANT SELECT, INSERT, UPDATE ON ticket, note TO lianhu_app;
