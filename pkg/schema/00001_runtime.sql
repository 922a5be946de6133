-- +goose Up

-- One row per request that had an effect. It is inserted by the statement that has the effect, so its presence
-- proves the effect; answers are replayed from it. Kept 400 days of machine time (payments' for ever).
CREATE TABLE idempotency (
    caller      text        NOT NULL,
    method      text        NOT NULL,
    request_id  uuid        NOT NULL,
    digest      bytea       NOT NULL,
    answer      bytea       NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_key PRIMARY KEY (caller, method, request_id)
);
CREATE INDEX idempotency_create_time ON idempotency USING brin (create_time);

-- Points of accountability. Intervals are derived (a point holds until the next), so neither a gap nor an overlap
-- can be stored.
CREATE TABLE custody (
    item       uuid        NOT NULL,
    version    bigint      NOT NULL,
    kind       text        NOT NULL,
    since      timestamptz NOT NULL,
    holder     text,
    offered_to text,
    deadline   timestamptz,
    clock      text,
    reason     text        NOT NULL,
    state      text        NOT NULL,
    CONSTRAINT custody_key PRIMARY KEY (item, version),
    CONSTRAINT custody_holder_with_deadline CHECK ((holder IS NULL) = (deadline IS NULL))
);

-- Events wait here until the sequencer gives them a place in the feed. The id is drawn after the subject's row is
-- locked, so the order of ids is the order of versions of one subject.
CREATE TABLE outbox (
    id              bigint      GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME outbox_id_seq CACHE 1) PRIMARY KEY,
    type            text        NOT NULL,
    subject_kind    text        NOT NULL,
    subject_id      uuid        NOT NULL,
    subject_version bigint      NOT NULL,
    matter_id       uuid,
    division        text        NOT NULL,
    audience        text[]      NOT NULL,
    event_time      timestamptz NOT NULL,
    traceparent     text        NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- The dense, ordered feed that readers follow. Nothing but the sequencer writes it.
CREATE TABLE feed (
    seq             bigint      PRIMARY KEY,
    type            text        NOT NULL,
    subject_kind    text        NOT NULL,
    subject_id      uuid        NOT NULL,
    subject_version bigint      NOT NULL,
    matter_id       uuid,
    division        text        NOT NULL,
    audience        text[]      NOT NULL,
    event_time      timestamptz NOT NULL,
    traceparent     text        NOT NULL,
    sequence_time   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE feed_head (
    single            boolean PRIMARY KEY DEFAULT true CHECK (single),
    seq               bigint  NOT NULL DEFAULT 0,
    feed_id           uuid    NOT NULL DEFAULT gen_random_uuid(),
    epoch             bigint  NOT NULL DEFAULT 1,
    system_identifier text    NOT NULL DEFAULT '',
    timeline          bigint  NOT NULL DEFAULT 0
);
INSERT INTO feed_head DEFAULT VALUES;

-- How far each follower of another service's feed has come. Compared and set in the transaction of the effect.
CREATE TABLE follower (
    name        text        PRIMARY KEY,
    feed_id     uuid,
    epoch       bigint      NOT NULL DEFAULT 0,
    through     bigint      NOT NULL DEFAULT 0,
    update_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Events a follower could not apply. Each blocks only its own subject, is held by the operator and has a deadline.
CREATE TABLE parked_event (
    follower     text        NOT NULL,
    seq          bigint      NOT NULL,
    subject_kind text        NOT NULL,
    subject_id   uuid        NOT NULL,
    event        bytea       NOT NULL,
    attempts     integer     NOT NULL,
    reason       text        NOT NULL,
    park_time    timestamptz NOT NULL DEFAULT clock_timestamp(),
    deadline     timestamptz NOT NULL,
    PRIMARY KEY (follower, seq)
);
CREATE INDEX parked_event_subject ON parked_event (follower, subject_kind, subject_id);

-- Units that hold or held an item of a matter here, or were reported to by a feed: the rights that come from it.
CREATE TABLE access_grant (
    matter_id   uuid        NOT NULL,
    unit        text        NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (matter_id, unit)
);
CREATE INDEX access_grant_unit ON access_grant (unit, matter_id);

-- Each effect, and each read above INTERNAL, leaves a row before the answer leaves.
CREATE TABLE audit (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time            timestamptz NOT NULL,
    unit            text        NOT NULL,
    system          text        NOT NULL,
    officer         text        NOT NULL,
    purpose         integer     NOT NULL,
    method          text        NOT NULL,
    request_id      uuid,
    effect          boolean     NOT NULL,
    class           integer     NOT NULL,
    subject_kind    text        NOT NULL,
    subject_id      uuid,
    subject_version bigint,
    matter_id       uuid
);
CREATE INDEX audit_subject ON audit (subject_id, id);

GRANT SELECT, INSERT ON idempotency, custody, audit TO lianhu_app;
GRANT DELETE ON idempotency TO lianhu_app;
GRANT SELECT, INSERT, DELETE ON outbox TO lianhu_app;
GRANT SELECT, INSERT, DELETE ON feed TO lianhu_app;
GRANT SELECT, UPDATE ON feed_head TO lianhu_app;
GRANT SELECT, INSERT, UPDATE ON follower TO lianhu_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON parked_event TO lianhu_app;
GRANT SELECT, INSERT ON access_grant TO lianhu_app;
GRANT SELECT ON goose_db_version TO lianhu_app;
