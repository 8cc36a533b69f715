-- One writer at a time for each partition of the views' topics, and it stands where all of them stand.
--
-- A row is folded from several topics of one partition. A writer that compared only the offsets that
-- its batch moved could put back a row which another writer had meanwhile changed from another topic.
-- So it names every partition that it folds, also those that stay where they are, and from the
-- comparison to the commit no other writer is between. Only then may it say of a row that is not
-- there that it is new, and write it without asking again.

-- Move the offsets of a batch on, if the views stand where it began, and the generation is still
-- one that is written.
CREATE OR REPLACE FUNCTION views.move_on(g int, t int[], p int[], was bigint[], becomes bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved int;
BEGIN
    -- Locked against views.publish, which retires the generation while nobody writes it.
    PERFORM FROM views.generation WHERE gen = g AND state <> 'retired' FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'generation % of the views is not written any more', g
            USING ERRCODE = 'THF01';
    END IF;
    -- Held until the commit is visible. A log has at most 1024 partitions.
    PERFORM pg_advisory_xact_lock(7004, g * 1024 + d.p)
        FROM (SELECT DISTINCT u.p FROM unnest(p) u(p) ORDER BY u.p) d;
    -- This statement began when the locks were granted.
    SELECT count(*) FILTER (WHERE u.becomes > u.was) INTO moved
        FROM unnest(t, p, was, becomes) u(t, p, was, becomes)
        LEFT JOIN progress x ON x.topic = u.t AND x.log_part = u.p
        HAVING bool_and(coalesce(x.next_offset, 0) = u.was);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the views do not stand where this batch began' USING ERRCODE = 'THF01';
    END IF;
    IF moved > 0 THEN
        INSERT INTO progress AS x (topic, log_part, next_offset)
            SELECT u.t, u.p, u.becomes FROM unnest(t, p, was, becomes) u(t, p, was, becomes)
            WHERE u.becomes > u.was ORDER BY u.t, u.p
            ON CONFLICT (topic, log_part) DO UPDATE SET next_offset = excluded.next_offset;
    END IF;
END $$;
COMMENT ON FUNCTION views.move_on(int, int[], int[], bigint[], bigint[]) IS
    'The generation''s schema stands first in search_path. Names every partition of the writer.';
