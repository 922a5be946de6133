-- +goose Up

-- The order in which streams were opened, over all replicas. What a source's record holds of it is never ahead of what survives a crash.
CREATE SEQUENCE dispatch_opening;

-- The streams that are open, as their servers say every few seconds. Not logged: after a crash they say it again, and nothing is decided by it.
-- Machine time.
CREATE UNLOGGED TABLE dispatch_stream (
    opening   bigint      PRIMARY KEY,
    source    text        NOT NULL,
    open_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dispatch_stream_source ON dispatch_stream (source);

GRANT USAGE ON SEQUENCE dispatch_opening TO lianhu_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON dispatch_stream TO lianhu_app;

-- Epochs that were begun by mistake and do not count any more: who said so, and why. Never changed.
CREATE TABLE dispatch_epoch (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          text        NOT NULL,
    mistaken_epoch  bigint      NOT NULL,
    durable_through bigint      NOT NULL,
    epoch           bigint      NOT NULL,
    lowered_by      text        NOT NULL,
    officer         text        NOT NULL,
    lower_time      timestamptz NOT NULL,
    sealed_personal bytea
);
CREATE INDEX dispatch_epoch_source ON dispatch_epoch (source, mistaken_epoch);
GRANT SELECT, INSERT ON dispatch_epoch TO lianhu_app;

-- How often each caller has repeated a request that was done already.
CREATE TABLE repetition (
    caller   text   PRIMARY KEY,
    requests bigint NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON repetition TO lianhu_app;
