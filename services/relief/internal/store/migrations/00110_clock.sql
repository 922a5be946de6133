-- +goose Up

-- Until now an item had one deadline, and each step wrote over it. What runs now becomes the first clock of each open item; what an item is
-- overdue of is known as a fact only, so it is kept under a name of its own. The same is made of a row when it is read (clocks.Adopt).
CREATE TEMPORARY TABLE open_item ON COMMIT DROP AS
SELECT id, 'application'::text AS kind, clock, version, update_time, deadline, overdue FROM application
UNION ALL SELECT id, 'payment'::text AS kind, clock, version, update_time, deadline, overdue FROM payment
UNION ALL SELECT id, 'batch'::text AS kind, clock, version, update_time, deadline, overdue FROM batch;

INSERT INTO custody_clock (item, kind, clock, start_version, lasting, start_time, due_time)
SELECT id, kind, clock, version, false, update_time, deadline FROM open_item WHERE deadline IS NOT NULL;

INSERT INTO custody_clock (item, kind, clock, start_version, lasting, start_time, due_time, missed_time)
SELECT id, kind, 'custody.earlier', version, false, update_time, update_time, update_time
FROM open_item WHERE deadline IS NOT NULL AND overdue;
