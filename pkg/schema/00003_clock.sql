-- +goose Up

-- Every running of a clock of an item: from when, until when, and whether its act came in time. The row is written by the statement that
-- starts, ends or misses the clock. It runs while it is neither ended nor missed; the deadline of the item is the earliest that runs.
CREATE TABLE custody_clock (
    item          uuid        NOT NULL,
    kind          text        NOT NULL,
    clock         text        NOT NULL,
    start_version bigint      NOT NULL,
    lasting       boolean     NOT NULL,
    start_time    timestamptz NOT NULL,
    due_time      timestamptz NOT NULL,
    end_time      timestamptz,
    missed_time   timestamptz,
    unit          text,
    calendar_incomplete boolean   NOT NULL DEFAULT false,
    CONSTRAINT custody_clock_key PRIMARY KEY (item, clock, start_version),
    CONSTRAINT custody_clock_missed_when_due CHECK (missed_time >= due_time)
);

-- Start and due time of a clock are the law's: not even this service can move them.
GRANT SELECT, INSERT, UPDATE (end_time, missed_time, unit) ON custody_clock TO lianhu_app;
