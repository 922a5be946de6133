-- +goose Up

-- sequence_feed moves at most `most` visible outbox rows to the end of the feed and returns how many it moved, or -1
-- when another sequencer is at work. Readers compare their position with feed.seq only, never with an id that a
-- running transaction may still fill in, so nothing can appear behind them.
--
-- Each statement of a VOLATILE function sees a snapshot of its own at READ COMMITTED: the DELETE looks after the head
-- row is locked and therefore sees everything the sequencer before it left behind. At a higher isolation level it would look
-- through the snapshot taken before the lock, so that level is refused.
--
-- On another cluster or timeline than the recorded one nothing is moved: after a promotion that lost commits, new events would
-- otherwise take numbers that readers already know for other events, and no token could tell.
-- +goose StatementBegin
CREATE FUNCTION sequence_feed(most integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS
$$
DECLARE
    head  bigint;
    moved integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'sequence_feed runs at READ COMMITTED only' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    -- By the primary key: a plain EXISTS would wade through the rows that earlier moves left dead.
    PERFORM id FROM outbox ORDER BY id LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    SELECT seq INTO head FROM feed_head FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN -1;
    END IF;
    IF EXISTS (
        SELECT FROM feed_head h, pg_control_system() c
        WHERE h.system_identifier <> ''
          AND (h.system_identifier <> c.system_identifier::text
               OR h.timeline <> ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint)) THEN
        RAISE EXCEPTION 'the database was restored or promoted' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    WITH next AS (
        SELECT id FROM outbox ORDER BY id LIMIT most
    ), taken AS (
        DELETE FROM outbox USING next WHERE outbox.id = next.id RETURNING outbox.*
    )
    INSERT INTO feed (seq, type, subject_kind, subject_id, subject_version, matter_id, division, audience, event_time, traceparent)
    SELECT head + row_number() OVER (ORDER BY id), type, subject_kind, subject_id, subject_version, matter_id, division,
           audience, event_time, traceparent
    FROM taken
    ORDER BY id;
    GET DIAGNOSTICS moved = ROW_COUNT;
    UPDATE feed_head SET seq = head + moved;
    RETURN moved;
END
$$;
-- +goose StatementEnd

-- A follower resumes with the token of the last batch it has finished; the token is the serving side's and opaque.
ALTER TABLE follower ADD COLUMN token text NOT NULL DEFAULT '';

-- The request id under which the follower tried the event; an operator's retry uses the same, so that an effect whose outcome
-- was unknown is not made twice.
ALTER TABLE parked_event ADD COLUMN request_id uuid NOT NULL;

GRANT EXECUTE ON FUNCTION sequence_feed(integer) TO lianhu_app;
