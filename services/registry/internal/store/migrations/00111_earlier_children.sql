-- +goose Up

-- Whom a binding named before: the ids under which a child of the ledger may still be known elsewhere. NULL in a row that was written before
-- this release and changed since: such a row is read whole.
ALTER TABLE binding ADD COLUMN earlier_child_ids uuid[];
CREATE INDEX binding_earlier ON binding USING gin (earlier_child_ids);
CREATE INDEX binding_unread ON binding (id) WHERE earlier_child_ids IS NULL AND version > 1;
