-- +goose Up

-- A report can end with a reason, or be handed over outside the district; a supervision can be withdrawn.
ALTER TABLE report DROP CONSTRAINT report_owned;
ALTER TABLE report ADD CONSTRAINT report_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (6, 7, 8)));
ALTER TABLE supervision DROP CONSTRAINT supervision_owned;
ALTER TABLE supervision ADD CONSTRAINT supervision_owned CHECK ((holder IS NULL) = (deadline IS NULL) AND (holder IS NULL) = (state IN (4, 5, 6)));
