-- +goose Up

-- A report may name no child, one or several; each child has an assessment and searches of its own.
ALTER TABLE report ALTER COLUMN provisional_child_id DROP NOT NULL;
CREATE INDEX provisional_child_matter ON provisional_child (matter_id);

ALTER TABLE assessment ADD COLUMN provisional_child_id uuid;
UPDATE assessment SET provisional_child_id = report.provisional_child_id FROM report WHERE report.id = assessment.report_id;
ALTER TABLE assessment DROP CONSTRAINT assessment_report;
ALTER TABLE assessment ADD CONSTRAINT assessment_child UNIQUE (report_id, provisional_child_id);

ALTER TABLE search ADD COLUMN provisional_child_id uuid;
UPDATE search SET provisional_child_id = report.provisional_child_id FROM report WHERE report.id = search.report_id;
DROP INDEX search_running;
CREATE UNIQUE INDEX search_running ON search (report_id, provisional_child_id) NULLS NOT DISTINCT WHERE state = 1;
