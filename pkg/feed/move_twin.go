//go:build twin_naive_cursor

package feed

// moveSQL is the naive cursor `id > last`: it steps over an event whose transaction drew its id first and commits last. The storm must
// catch it.
const moveSQL = `WITH head AS (
		SELECT seq FROM feed_head FOR UPDATE SKIP LOCKED
	), next AS (
		SELECT o.* FROM outbox o, head WHERE o.id > head.seq ORDER BY o.id LIMIT $1
	), moved AS (
		INSERT INTO feed (seq, type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent)
		SELECT id, type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent FROM next RETURNING seq
	), gone AS (
		DELETE FROM outbox WHERE id IN (SELECT id FROM next)
	), ahead AS (
		UPDATE feed_head SET seq = (SELECT max(seq) FROM moved) WHERE EXISTS (SELECT FROM moved)
	)
	SELECT count(*)::integer FROM moved`
