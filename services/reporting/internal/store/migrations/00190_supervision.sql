-- +goose Up

-- The procuratorate's supervision of filings, one at a time for a filing.
CREATE TABLE supervision (
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
    filing_id             uuid        NOT NULL REFERENCES filing (id),
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT supervision_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (4, 5)))
);
CREATE UNIQUE INDEX supervision_running ON supervision (filing_id) WHERE state IN (1, 2, 3);
CREATE INDEX supervision_report ON supervision (report_id, create_time, id);
CREATE INDEX supervision_holder ON supervision (holder, deadline, id);
CREATE INDEX supervision_offered_to ON supervision (offered_to, deadline, id);
CREATE INDEX supervision_deadline ON supervision (deadline, id);

GRANT SELECT, INSERT, UPDATE ON supervision TO lianhu_app;
