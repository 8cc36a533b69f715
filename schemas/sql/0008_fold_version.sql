-- By which rules the tables of a generation were filled.
--
-- When the fold changes, rows that were written before are not as the new rules would make them, and
-- nothing in them says so. So a generation carries the number of the rules with which it was begun, and
-- a program with other rules says it, until the views are made anew.

ALTER TABLE views.generation ADD COLUMN fold_version int NOT NULL DEFAULT 0;
COMMENT ON COLUMN views.generation.fold_version IS
    'Number of the fold''s rules by which it is filled; 0: begun before this was kept.';

CREATE FUNCTION views.make(version int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    g int := views.make();
BEGIN
    UPDATE views.generation SET fold_version = version WHERE gen = g;
    RETURN g;
END $$;
COMMENT ON FUNCTION views.make(int) IS 'Begin a generation that is filled by these rules.';

-- The first generation is made by a migration, which knows no rules.
CREATE FUNCTION views.adopt(version int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    g int;
    is_empty boolean;
BEGIN
    SELECT gen INTO g FROM views.generation WHERE state = 'current' FOR UPDATE;
    IF g IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM view_g%s.progress)', g) INTO is_empty;
    IF is_empty THEN
        UPDATE views.generation SET fold_version = version WHERE gen = g;
    END IF;
END $$;
COMMENT ON FUNCTION views.adopt(int) IS
    'The current generation is filled by these rules from now on, if nothing is in it yet.';
