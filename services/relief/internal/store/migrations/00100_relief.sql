-- +goose Up

-- Applications. One open one for each programme, beneficiary and period.
CREATE TABLE application (
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
    programme             text        NOT NULL,
    referral_id           uuid,
    beneficiary_id        text,
    period                text,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT application_held_while_open CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (5, 6, 8, 9))),
    CONSTRAINT application_referral UNIQUE (referral_id)
);
CREATE UNIQUE INDEX application_key ON application (programme, beneficiary_id, period) WHERE holder IS NOT NULL AND period IS NOT NULL;
CREATE INDEX application_holder ON application (holder, deadline, id);
CREATE INDEX application_offered_to ON application (offered_to, deadline, id);
CREATE INDEX application_deadline ON application (deadline, id);
CREATE INDEX application_create_time ON application (create_time DESC, id);

-- Decisions are written once; no role of the service may change one.
CREATE TABLE decision (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    application_id        uuid        NOT NULL REFERENCES application,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT decision_application UNIQUE (application_id)
);

-- Money set aside. The check is what no race can get past: reserved and paid never exceed the amount.
CREATE TABLE budget_account (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid,
    division              text,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    programme             text        NOT NULL,
    year                  integer     NOT NULL,
    amount_fen            bigint      NOT NULL,
    reserved_fen          bigint      NOT NULL,
    paid_fen              bigint      NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT budget_account_key UNIQUE (programme, division, year),
    CONSTRAINT budget_account_within CHECK (amount_fen >= 0 AND reserved_fen >= 0 AND paid_fen >= 0 AND reserved_fen + paid_fen <= amount_fen)
);

-- Every movement, numbered without gaps on its account. Written while the account's row is locked by its own change.
CREATE TABLE ledger_entry (
    id                 uuid        PRIMARY KEY,
    budget_account_id  uuid        NOT NULL REFERENCES budget_account,
    sequence           bigint      NOT NULL,
    kind               integer     NOT NULL,
    amount_fen         bigint      NOT NULL CHECK (amount_fen >= 0),
    payment_id         uuid,
    application_id     uuid,
    entry_time         timestamptz NOT NULL,
    amount_after_fen   bigint      NOT NULL,
    reserved_after_fen bigint      NOT NULL,
    paid_after_fen     bigint      NOT NULL,
    CONSTRAINT ledger_entry_sequence UNIQUE (budget_account_id, sequence),
    CONSTRAINT ledger_entry_within CHECK (reserved_after_fen >= 0 AND paid_after_fen >= 0 AND reserved_after_fen + paid_after_fen <= amount_after_fen)
);

-- Batches and the files made of them.
CREATE TABLE batch (
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
    programme             text        NOT NULL,
    line_count            integer     NOT NULL,
    total_fen             bigint      NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT batch_held_while_open CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (5, 6)))
);
CREATE INDEX batch_holder ON batch (holder, deadline, id);
CREATE INDEX batch_offered_to ON batch (offered_to, deadline, id);
CREATE INDEX batch_deadline ON batch (deadline, id);
CREATE INDEX batch_create_time ON batch (create_time DESC, id);

CREATE TABLE batch_file (
    batch_id        uuid  PRIMARY KEY REFERENCES batch,
    sealed_personal bytea NOT NULL
);

-- Payments. One live one for each programme, beneficiary and period.
CREATE TABLE payment (
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
    application_id        uuid        NOT NULL REFERENCES application,
    programme             text        NOT NULL,
    beneficiary_id        text        NOT NULL,
    period                text        NOT NULL,
    attempt               integer     NOT NULL,
    amount_fen            bigint      NOT NULL CHECK (amount_fen > 0),
    budget_account_id     uuid        NOT NULL REFERENCES budget_account,
    batch_id              uuid        REFERENCES batch,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT payment_held_while_open CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (4, 6, 7))),
    CONSTRAINT payment_attempt UNIQUE (programme, beneficiary_id, period, attempt)
);
-- A returned payment does not count here: it gives way to the corrected one; while it waits, its application is open and keeps the
-- period taken by application_key.
CREATE UNIQUE INDEX payment_key ON payment (programme, beneficiary_id, period) WHERE state NOT IN (5, 6, 7);
CREATE INDEX payment_application ON payment (application_id);
CREATE INDEX payment_batch ON payment (batch_id);
CREATE INDEX payment_holder ON payment (holder, deadline, id);
CREATE INDEX payment_offered_to ON payment (offered_to, deadline, id);
CREATE INDEX payment_deadline ON payment (deadline, id);
CREATE INDEX payment_create_time ON payment (create_time DESC, id);

GRANT SELECT, INSERT, UPDATE ON application, budget_account, batch, payment TO lianhu_app;
GRANT SELECT, INSERT ON decision, ledger_entry, batch_file TO lianhu_app;
