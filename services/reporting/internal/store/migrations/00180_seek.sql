-- +goose Up

-- A search may begin with an incident, before there is a report. What it is linked to later may have searches of its own: one at a time is
-- asked only of those that a report began.
ALTER TABLE search ALTER COLUMN report_id DROP NOT NULL;
-- Raising a report lets the incident's search go on as the report's, in one transaction with the report itself.
ALTER TABLE search ALTER CONSTRAINT search_report_id_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE search ADD COLUMN incident_number text;
DROP INDEX search_running;
CREATE UNIQUE INDEX search_running ON search (report_id, provisional_child_id) NULLS NOT DISTINCT WHERE state = 1 AND incident_number IS NULL;
