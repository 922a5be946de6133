-- +goose Up

-- One case for each concluded assessment. The table is not called `case`, which is a word of SQL.
CREATE TABLE support_case (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid        NOT NULL,
    holder                text,
    offered_to            text,
    deadline              timestamptz,
    clock                 text,
    state                 integer     NOT NULL,
    division              text        NOT NULL,
    overdue               boolean     NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    assessment_id         uuid        NOT NULL,
    township              text        NOT NULL,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT support_case_assessment UNIQUE (assessment_id),
    CONSTRAINT support_case_state CHECK (state IN (1, 2)),
    CONSTRAINT support_case_held_while_open CHECK ((state = 2) = (holder IS NULL) AND (holder IS NULL) = (deadline IS NULL))
);
CREATE INDEX support_case_holder ON support_case (holder, deadline, id);
CREATE INDEX support_case_offered_to ON support_case (offered_to, deadline, id);
CREATE INDEX support_case_deadline ON support_case (deadline, id);
CREATE INDEX support_case_matter ON support_case (matter_id);
CREATE INDEX support_case_division ON support_case (division text_pattern_ops, create_time, id);

CREATE TABLE referral (
    id                    uuid        PRIMARY KEY,
    version               bigint      NOT NULL,
    matter_id             uuid        NOT NULL,
    holder                text,
    offered_to            text,
    deadline              timestamptz,
    clock                 text,
    state                 integer     NOT NULL,
    division              text        NOT NULL,
    overdue               boolean     NOT NULL,
    create_time           timestamptz NOT NULL,
    update_time           timestamptz NOT NULL,
    case_id               uuid        NOT NULL REFERENCES support_case (id),
    need                  text        NOT NULL,
    township              text        NOT NULL,
    village               text,
    trace                 text        NOT NULL,
    body                  bytea       NOT NULL,
    sealed_personal       bytea,
    sealed_minor_identity bytea,
    sealed_abuse_detail   bytea,
    CONSTRAINT referral_state CHECK (state BETWEEN 1 AND 6),
    CONSTRAINT referral_held_while_open CHECK ((state = 6) = (holder IS NULL) AND (holder IS NULL) = (deadline IS NULL)),
    -- An offer without an offered unit would wait for nobody.
    CONSTRAINT referral_offered_to_somebody CHECK (state <> 1 OR offered_to IS NOT NULL)
);
CREATE INDEX referral_holder ON referral (holder, deadline, id);
CREATE INDEX referral_offered_to ON referral (offered_to, deadline, id);
CREATE INDEX referral_deadline ON referral (deadline, id);
CREATE INDEX referral_matter ON referral (matter_id);
CREATE INDEX referral_case ON referral (case_id);
CREATE INDEX referral_created ON referral (create_time, id);

GRANT SELECT, INSERT, UPDATE ON support_case, referral TO lianhu_app;
