-- What is archived may be dropped from the log: where a partition begins, and how that moves on.

ALTER TABLE eventlog.partition_head ADD COLUMN log_start bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN eventlog.partition_head.log_start IS
    'First offset that is still there; readers of less are refused.';

-- A partition begins behind the last batch that lies wholly before upto; which offset that is.
-- Readers are refused from here on, rows go later (eventlog.sweep), so appends wait for one update.
CREATE FUNCTION eventlog.set_start(t smallint, p smallint, upto bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    h eventlog.partition_head;
    b record;
    start bigint;
BEGIN
    SELECT * INTO h FROM eventlog.partition_head WHERE topic_id = t AND part = p
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown partition' USING ERRCODE = 'TH404';
    END IF;
    SELECT x.base_offset, x.n INTO b FROM eventlog.batch x
        WHERE x.topic_id = t AND x.part = p AND x.base_offset < upto
        ORDER BY x.base_offset DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN h.log_start;
    END IF;
    start := CASE WHEN b.base_offset + b.n <= upto THEN b.base_offset + b.n
                  ELSE b.base_offset END;
    IF start <= h.log_start THEN
        RETURN h.log_start;
    END IF;
    UPDATE eventlog.partition_head SET log_start = start WHERE topic_id = t AND part = p;
    RETURN start;
END $$;

-- The segments that hold rows before their partitions' starts; closed: every head has left it.
CREATE FUNCTION eventlog.sweepable() RETURNS TABLE (seg int, closed boolean)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    oldest_head int;
    newest int;
    has_rows boolean;
BEGIN
    SELECT min(h.seg), max(h.seg) INTO oldest_head, newest FROM eventlog.partition_head h;
    FOR s IN 1 .. newest LOOP
        CONTINUE WHEN to_regclass('eventlog.batch_' || s) IS NULL;
        SELECT EXISTS (
            SELECT FROM eventlog.partition_head h
            WHERE h.log_start > 0 AND EXISTS (
                SELECT FROM eventlog.batch x
                WHERE x.seg = s AND x.topic_id = h.topic_id AND x.part = h.part
                  AND x.base_offset < h.log_start)) INTO has_rows;
        IF has_rows THEN
            seg := s;
            closed := s < oldest_head;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Delete them from one segment; how many batches. The log's tables are insert-only for everybody,
-- their owner included, but within this function.
CREATE FUNCTION eventlog.sweep(s int) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    child text := 'batch_' || s;
    gone bigint;
BEGIN
    EXECUTE format('GRANT DELETE ON eventlog.%I TO CURRENT_USER', child);
    EXECUTE format('DELETE FROM eventlog.%I x USING eventlog.partition_head h'
                   ' WHERE x.topic_id = h.topic_id AND x.part = h.part'
                   ' AND x.base_offset < h.log_start', child);
    GET DIAGNOSTICS gone = ROW_COUNT;
    EXECUTE format('REVOKE DELETE ON eventlog.%I FROM CURRENT_USER', child);
    RETURN gone;
END $$;
