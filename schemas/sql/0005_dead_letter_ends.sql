-- A dead letter that was replayed or discarded is no trouble any more: its end is a row of its own,
-- joined by the letter's event id. Of letters that were folded before this, the id is not known
-- until the views are rebuilt.

CREATE FUNCTION views.add_dead_letter_ends(g int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE view_g%s.dead_letters ADD COLUMN letter uuid', g);
    EXECUTE format('COMMENT ON COLUMN view_g%s.dead_letters.letter IS ''Event id.''', g);
    EXECUTE format('GRANT SELECT (letter) ON view_g%s.dead_letters TO telehub_analyst', g);
    EXECUTE format('CREATE TABLE view_g%s.dead_letter_ends (letter uuid PRIMARY KEY,'
                   ' tenant text COLLATE "C", how text COLLATE "C", at timestamptz)', g);
    EXECUTE format('COMMENT ON TABLE view_g%s.dead_letter_ends IS'
                   ' ''Dead letters that somebody has settled.''', g);
    EXECUTE format('COMMENT ON COLUMN view_g%s.dead_letter_ends.letter IS ''Its event id.''', g);
    EXECUTE format('COMMENT ON COLUMN view_g%s.dead_letter_ends.tenant IS'
                   ' ''Whose it is, if known.''', g);
    EXECUTE format('COMMENT ON COLUMN view_g%s.dead_letter_ends.how IS'
                   ' ''replayed or discarded.''', g);
    EXECUTE format('COMMENT ON COLUMN view_g%s.dead_letter_ends.at IS ''When.''', g);
    EXECUTE format('ALTER TABLE view_g%s.dead_letter_ends ENABLE ROW LEVEL SECURITY', g);
    EXECUTE format('CREATE POLICY tenant ON view_g%s.dead_letter_ends FOR SELECT'
                   ' USING ((SELECT views.sees_all()) OR tenant = (SELECT views.seen_tenant()))', g);
    EXECUTE format('GRANT SELECT ON view_g%s.dead_letter_ends TO telehub_analyst', g);
END $$;

CREATE OR REPLACE FUNCTION views.add_indexes(g int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX ON view_g%s.attempts (campaign, started_at)'
                   ' WHERE campaign IS NOT NULL', g);
    PERFORM views.add_dead_letter_ends(g);
END $$;

CREATE OR REPLACE FUNCTION views.publish(g int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    old int;
    t text;
    behind bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7002, 3);
    -- Writers hold these rows in share mode until they commit; from here on they wait.
    PERFORM FROM views.generation FOR UPDATE;
    SELECT gen INTO old FROM views.generation WHERE state = 'current';
    IF old = g THEN
        RETURN;
    END IF;
    IF old IS NOT NULL THEN
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

DO $$
DECLARE
    g int;
    t text;
BEGIN
    PERFORM views.add_dead_letter_ends(gen) FROM views.generation WHERE state <> 'retired';
    SELECT gen INTO g FROM views.generation WHERE state = 'current';
    FOREACH t IN ARRAY ARRAY['dead_letters', 'dead_letter_ends'] LOOP
        CONTINUE WHEN g IS NULL;
        EXECUTE format('CREATE OR REPLACE VIEW views.%I AS SELECT * FROM view_g%s.%I', t, g, t);
    END LOOP;
END $$;
