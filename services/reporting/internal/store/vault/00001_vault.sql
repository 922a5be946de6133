-- +goose Up

-- Who reported. A database of its own, with a role and a key of its own; nothing in it is ever joined with anything. Rows are
-- written before their report and never changed.
CREATE TABLE reporter (
    report_id         uuid        PRIMARY KEY,
    unit_index        bytea       NOT NULL,
    receive_time      timestamptz NOT NULL,
    sealed_reporter   bytea       NOT NULL
);

GRANT SELECT, INSERT ON reporter TO lianhu_app;
GRANT SELECT ON goose_db_version TO lianhu_app;
