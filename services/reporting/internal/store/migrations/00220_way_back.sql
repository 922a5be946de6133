-- +goose Up

-- A bulletin that was recalled leaves room for another one.
ALTER TABLE bulletin DROP CONSTRAINT bulletin_report;
CREATE UNIQUE INDEX bulletin_report ON bulletin (report_id) WHERE state IN (1, 2);
ALTER TABLE bulletin DROP CONSTRAINT bulletin_owned;
ALTER TABLE bulletin ADD CONSTRAINT bulletin_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (2, 3)));

-- An assessment can end with a reason.
ALTER TABLE assessment DROP CONSTRAINT assessment_owned;
ALTER TABLE assessment ADD CONSTRAINT assessment_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (4, 5, 6)));

-- A declined placement is held until a carer takes the child or the police take the request back. What was declined before this release was
-- closed by it, and the police have found another way since: it counts as withdrawn.
ALTER TABLE placement DROP CONSTRAINT placement_owned;
UPDATE placement SET state = 5 WHERE state = 3;
ALTER TABLE placement ADD CONSTRAINT placement_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (4, 5)));
