-- +goose Up

-- A referral that nobody is to serve any more is withdrawn, and held by nobody.
ALTER TABLE referral DROP CONSTRAINT referral_state;
ALTER TABLE referral ADD CONSTRAINT referral_state CHECK (state BETWEEN 1 AND 7);
ALTER TABLE referral DROP CONSTRAINT referral_held_while_open;
ALTER TABLE referral ADD CONSTRAINT referral_held_while_open CHECK ((state IN (6, 7)) = (holder IS NULL) AND (holder IS NULL) = (deadline IS NULL));
