-- +goose Up

-- Which of the vault's records of a report counts: the one of the accepted request. The tag is a keyed MAC over the record's content, made with
-- the vault's key, which this service's database does not have; it names nobody.
CREATE TABLE reporter_tag (
    report_id uuid  PRIMARY KEY REFERENCES report,
    tag       bytea NOT NULL
);
INSERT INTO reporter_tag (report_id, tag) SELECT id, '' FROM report; -- the vault's records from before have that tag
GRANT SELECT, INSERT ON reporter_tag TO lianhu_app;

-- Trace contexts that came from outside with a report could be joined with other calls of the same caller, and so name it.
UPDATE report SET trace = '';
UPDATE provisional_child SET trace = '';
UPDATE feed SET traceparent = '' WHERE type IN ('report.submitted', 'provisional_child.created');
UPDATE outbox SET traceparent = '' WHERE type IN ('report.submitted', 'provisional_child.created');
