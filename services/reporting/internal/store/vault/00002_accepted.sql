-- +goose Up

-- What the accepted request said counts. A try that failed after its record was written leaves that record without a report; the retry may say
-- something else. So a report may have several records, each under the tag of its content, and the report's own database names the tag that
-- counts. A record whose report names it is accepted and can never be changed or removed again; one that no report named within ten minutes
-- of machine time is an orphan. A call lasts a minute at most, so none is under way any more.
ALTER TABLE reporter
    ADD COLUMN tag        bytea       NOT NULL DEFAULT '',
    ADD COLUMN write_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN accepted   boolean     NOT NULL DEFAULT false,
    DROP CONSTRAINT reporter_pkey,
    ADD CONSTRAINT reporter_pkey PRIMARY KEY (report_id, tag);
CREATE INDEX reporter_open ON reporter (write_time) WHERE NOT accepted;

-- The service's role changes nothing by its own statements: each way in which a record may change is one of these functions.
REVOKE INSERT ON reporter FROM lianhu_app;

-- keep_reporter keeps a record, once for each content. A repetition begins the ten minutes anew: its report may be about to be written.
-- +goose StatementBegin
CREATE FUNCTION keep_reporter(report uuid, content bytea, unit bytea, received timestamptz, sealed bytea) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    INSERT INTO reporter (report_id, tag, unit_index, receive_time, sealed_reporter) VALUES (report, content, unit, received, sealed)
    ON CONFLICT (report_id, tag) DO UPDATE SET write_time = clock_timestamp() WHERE NOT reporter.accepted
$$;
-- +goose StatementEnd

-- accept_reporter marks a record that its report names.
-- +goose StatementBegin
CREATE FUNCTION accept_reporter(report uuid, content bytea) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    WITH marked AS (UPDATE reporter SET accepted = true WHERE report_id = report AND tag = content AND NOT accepted RETURNING 1)
    SELECT count(*) FROM marked
$$;
-- +goose StatementEnd

-- remove_orphan removes a record that no report names, if its ten minutes are over; one that a retry writes again right now stays.
-- +goose StatementBegin
CREATE FUNCTION remove_orphan(report uuid, content bytea) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS
$$
    WITH gone AS (
        DELETE FROM reporter
        WHERE report_id = report AND tag = content AND NOT accepted AND write_time < clock_timestamp() - interval '10 minutes' RETURNING 1)
    SELECT count(*) FROM gone
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION keep_reporter(uuid, bytea, bytea, timestamptz, bytea), accept_reporter(uuid, bytea), remove_orphan(uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_reporter(uuid, bytea, bytea, timestamptz, bytea), accept_reporter(uuid, bytea), remove_orphan(uuid, bytea) TO lianhu_app;
