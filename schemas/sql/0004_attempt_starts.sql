-- A campaign's newest starts are found by an index: progress is asked for every second, while the
-- table grows by a thousand rows a second.

CREATE FUNCTION views.add_indexes(g int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE INDEX ON view_g%s.attempts (campaign, started_at)'
                   ' WHERE campaign IS NOT NULL', g);
END $$;
COMMENT ON FUNCTION views.add_indexes(int) IS
    'What views.make_tables did not make yet when it was written.';

-- Begin a generation; what an earlier try left is dropped.
CREATE OR REPLACE FUNCTION views.make() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    g int;
BEGIN
    PERFORM pg_advisory_xact_lock(7002, 3);
    FOR g IN DELETE FROM views.generation WHERE state = 'building' RETURNING gen LOOP
        EXECUTE format('DROP SCHEMA IF EXISTS view_g%s CASCADE', g);
    END LOOP;
    SELECT coalesce(max(gen), 0) + 1 INTO g FROM views.generation;
    INSERT INTO views.generation (gen, state) VALUES (g, 'building');
    PERFORM views.make_tables(g);
    PERFORM views.add_indexes(g);
    PERFORM views.add_month(g, now());
    PERFORM views.add_month(g, date_trunc('month', now(), 'UTC') + interval '32 days');
    RETURN g;
END $$;

SELECT views.add_indexes(gen) FROM views.generation WHERE state <> 'retired';
