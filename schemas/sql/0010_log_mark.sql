-- A log that was filled from another says so, and says whether it may be worked on; and views say
-- from which log they were made.
--
-- Half a copy looks like a log: records, and no cursor or half of them. Whoever carried on from it
-- would repeat what it does not know. And offsets mean something in one log only: rows and progress
-- that were folded from another are not the beginning of anything in this one.

ALTER TABLE eventlog.meta ADD COLUMN mark smallint NOT NULL DEFAULT 0,
                          ADD COLUMN origin uuid;
COMMENT ON COLUMN eventlog.meta.mark IS
    '0 none; 1 half a copy; 2 replayed, to be looked at only.';
COMMENT ON COLUMN eventlog.meta.origin IS 'The log that this one was filled from.';

ALTER TABLE views.generation ADD COLUMN log_id uuid;
COMMENT ON COLUMN views.generation.log_id IS
    'The log that it is folded from; NULL: begun before this was kept.';

-- What was filled before the log was kept, was filled from the log that is there when this is first
-- asked; and views in which nothing is yet are of whichever log fills them.
CREATE FUNCTION views.set_log(g int, log uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_empty boolean;
BEGIN
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM view_g%s.progress)', g) INTO is_empty;
    UPDATE views.generation SET log_id = log
        WHERE gen = g AND log_id IS DISTINCT FROM log AND (log_id IS NULL OR is_empty);
END $$;
COMMENT ON FUNCTION views.set_log(int, uuid) IS
    'The generation is folded from this log, unless it is known to be from another.';

-- Put a generation in place of the current one. "Behind" can be said of two generations of one log
-- only.
CREATE OR REPLACE FUNCTION views.publish(g int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    old int;
    t text;
    behind bigint := 0;
    is_other boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(7002, 3);
    -- Writers hold these rows in share mode until they commit; from here on they wait.
    PERFORM FROM views.generation FOR UPDATE;
    SELECT gen INTO old FROM views.generation WHERE state = 'current';
    IF old = g THEN
        RETURN;
    END IF;
    SELECT count(DISTINCT log_id) > 1 INTO is_other FROM views.generation WHERE gen IN (old, g);
    IF old IS NOT NULL AND NOT is_other THEN
        EXECUTE format('SELECT count(*) FROM view_g%s.progress o'
                       ' LEFT JOIN view_g%s.progress n USING (topic, log_part)'
                       ' WHERE coalesce(n.next_offset, 0) < o.next_offset', old, g) INTO behind;
    END IF;
    IF behind > 0 THEN
        RAISE EXCEPTION 'generation % of the views is behind in % partitions', g, behind
            USING ERRCODE = 'TH409';
    END IF;
    UPDATE views.generation SET state = 'retired', retired_at = now() WHERE state = 'current';
    UPDATE views.generation SET state = 'current', published_at = now() WHERE gen = g;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no generation %', g USING ERRCODE = 'TH404';
    END IF;
    FOREACH t IN ARRAY ARRAY['progress', 'sends', 'attempts', 'campaigns', 'commands',
                             'audiences', 'audience_parts', 'releases', 'opt_outs', 'lanes',
                             'dead_letters', 'dead_letter_ends', 'campaign_counters',
                             'campaign_costs'] LOOP
        EXECUTE format('CREATE OR REPLACE VIEW views.%I AS SELECT * FROM view_g%s.%I', t, g, t);
    END LOOP;
    PERFORM set_config('search_path', format('view_g%s, pg_catalog', g), true);
    PERFORM views.publish_analytics();
    PERFORM set_config('search_path', 'pg_catalog', true);
END $$;
