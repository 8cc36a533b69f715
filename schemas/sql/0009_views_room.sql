-- Half of each page of sends and attempts is left free, so that a changed row finds room beside the
-- one before and no index learns of it.
--
-- A batch changes most rows of a page in one transaction, and what it replaces cannot be cleared away
-- before that has ended: with less than half a page free, one row in four went to another page and
-- into every index. The tables are no larger for it, since those rows took new pages.

CREATE OR REPLACE FUNCTION views.add_month(g int, month timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz := date_trunc('month', month, 'UTC');
    child text;
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(7002, 2);
    FOREACH parent IN ARRAY ARRAY['sends', 'attempts'] LOOP
        child := parent || to_char(first AT TIME ZONE 'UTC', '"_"YYYY"_"MM');
        CONTINUE WHEN to_regclass(format('view_g%s.%I', g, child)) IS NOT NULL;
        EXECUTE format('CREATE TABLE view_g%s.%I (LIKE view_g%s.%I INCLUDING DEFAULTS'
                       ' INCLUDING CONSTRAINTS INCLUDING STORAGE) WITH (fillfactor = 50)',
                       g, child, g, parent);
        EXECUTE format('ALTER TABLE view_g%s.%I ENABLE ROW LEVEL SECURITY', g, child);
        EXECUTE format('ALTER TABLE view_g%s.%I ATTACH PARTITION view_g%s.%I'
                       ' FOR VALUES FROM (%L) TO (%L)', g, parent, g, child,
                       views.first_send(first),
                       views.first_send(date_trunc('month', first + interval '32 days', 'UTC')));
    END LOOP;
END $$;

-- Months that are there: pages that are filled from now on.
DO $$
DECLARE
    child regclass;
BEGIN
    FOR child IN
        SELECT i.inhrelid FROM views.generation g
        JOIN pg_inherits i ON i.inhparent IN (to_regclass(format('view_g%s.sends', g.gen)),
                                              to_regclass(format('view_g%s.attempts', g.gen)))
        WHERE g.state <> 'retired'
    LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = 50)', child);
    END LOOP;
END $$;
