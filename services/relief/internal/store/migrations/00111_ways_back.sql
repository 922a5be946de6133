-- +goose Up

-- An application keeps its period to itself until it is decided on; from then on its payment does. So a second one for the same cause is
-- decided on, and refused by the programme's own rule.
DROP INDEX application_key;
CREATE UNIQUE INDEX application_key ON application (programme, beneficiary_id, period) WHERE state IN (2, 3) AND period IS NOT NULL;

-- Attempts are counted within an application: one that was withdrawn leaves the period to the next.
ALTER TABLE payment DROP CONSTRAINT payment_attempt;
ALTER TABLE payment ADD CONSTRAINT payment_attempt UNIQUE (application_id, attempt);

-- A returned payment keeps its period until it is replaced or cancelled.
DROP INDEX payment_key;
CREATE UNIQUE INDEX payment_key ON payment (programme, beneficiary_id, period) WHERE state NOT IN (6, 7);
