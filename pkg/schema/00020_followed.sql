-- +goose Up

-- How much of the other feed a follower has really been given. `covered` grows by what the batch at hand covers, in the statement that moves the
-- cursor, and `through` by where the cursor goes: they differ from the day on which a cursor was moved over events that no batch brought, by
-- whatever hand, and stay apart for ever. Promise 2 counts the difference. A follower that begins anew is deleted, not set back.
ALTER TABLE follower ADD COLUMN covered bigint NOT NULL DEFAULT 0;
UPDATE follower SET covered = through;
