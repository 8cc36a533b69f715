-- The embedded log: topics, partitions, offsets, slots and transactions in tables.
--
-- Hot tables are insert-only or lock-only. A row that is updated at every append grows a chain of
-- dead versions as long as any snapshot is held open, and every append walks it; a row that is only
-- locked does not. So the head of a partition is locked and never changed by an append, the next
-- offset is taken from the newest batch, and a slot's cursor is an insert whose newest row counts.
--
-- Order without gaps: a transaction keeps the lock on its partitions' heads until its commit is
-- visible, so whoever gets the lock next sees all smaller offsets, in a statement that began after
-- the lock was granted. That needs READ COMMITTED; the functions refuse anything else.

CREATE SCHEMA eventlog;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'telehub_analyst') THEN
        CREATE ROLE telehub_analyst NOLOGIN;
    END IF;
END $$;

CREATE TABLE eventlog.meta (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    cluster_id uuid NOT NULL,
    log_version int NOT NULL,
    partitions int NOT NULL CHECK (partitions BETWEEN 1 AND 1024),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE eventlog.meta IS 'Which log this is; one row.';
COMMENT ON COLUMN eventlog.meta.log_version IS 'Layout of a batch''s payload.';
COMMENT ON COLUMN eventlog.meta.partitions IS 'Of every topic that is not a reference topic.';

CREATE TABLE eventlog.topic (
    topic_id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9._-]{1,200}$'),
    partitions int NOT NULL CHECK (partitions BETWEEN 1 AND 1024),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE eventlog.partition_head (
    topic_id smallint NOT NULL REFERENCES eventlog.topic,
    part smallint NOT NULL,
    seg int NOT NULL DEFAULT 1,
    floor_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, part)
) WITH (fillfactor = 20);
COMMENT ON TABLE eventlog.partition_head IS
    'Locked at every append, updated only when the partition moves on to the next segment.';
COMMENT ON COLUMN eventlog.partition_head.floor_offset IS 'First offset of segment seg.';

CREATE TABLE eventlog.segment (
    topic_id smallint NOT NULL,
    part smallint NOT NULL,
    floor_offset bigint NOT NULL,
    seg int NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic_id, part, floor_offset, seg),
    FOREIGN KEY (topic_id, part) REFERENCES eventlog.partition_head
);
COMMENT ON TABLE eventlog.segment IS
    'In which segment an offset lies: the one with the greatest (floor_offset, seg) not above it.';

CREATE TABLE eventlog.batch (
    seg int NOT NULL,
    topic_id smallint NOT NULL,
    part smallint NOT NULL,
    base_offset bigint NOT NULL,
    n int NOT NULL CHECK (n > 0),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    codec smallint NOT NULL,
    raw_len int NOT NULL,
    crc32c int NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (topic_id, part, base_offset, seg)
) PARTITION BY RANGE (seg);
COMMENT ON TABLE eventlog.batch IS 'The records. Insert-only; one child per segment.';
COMMENT ON COLUMN eventlog.batch.codec IS '0 as is, 1 LZ4 frame.';
COMMENT ON COLUMN eventlog.batch.raw_len IS 'Bytes before compression.';
COMMENT ON COLUMN eventlog.batch.crc32c IS 'CRC-32C of the payload as stored.';
-- The writer has compressed what is worth it; Postgres need not try again.
ALTER TABLE eventlog.batch ALTER payload SET STORAGE EXTERNAL;
REVOKE UPDATE, DELETE, TRUNCATE ON eventlog.batch FROM CURRENT_USER;

CREATE TABLE eventlog.slot (
    app smallint NOT NULL,
    slot smallint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    is_released boolean NOT NULL DEFAULT true,
    instance text,
    host text,
    boot_id text,
    os_pid int,
    os_start bigint,
    backend_pid int,
    backend_start timestamptz,
    acquired_at timestamptz,
    PRIMARY KEY (app, slot)
) WITH (fillfactor = 20);
COMMENT ON TABLE eventlog.slot IS
    'Who owns a slot. Updated only when that changes; locked inside each of the owner''s commits.';
COMMENT ON COLUMN eventlog.slot.os_start IS 'Start of process os_pid in clock ticks since boot.';

CREATE TABLE eventlog.journal (
    app smallint NOT NULL,
    slot smallint NOT NULL,
    txn_seq bigint NOT NULL,
    epoch bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cursor bytea NOT NULL,
    bases bigint[] NOT NULL,
    PRIMARY KEY (app, slot, txn_seq)
);
COMMENT ON TABLE eventlog.journal IS
    'One row per slot transaction, the newest counts. txn_seq goes on across epochs without holes.';
COMMENT ON COLUMN eventlog.journal.bases IS 'What the append of the same transaction answered.';

CREATE TABLE eventlog.snapshot (
    app smallint NOT NULL,
    part smallint NOT NULL,
    piece int NOT NULL,
    fold_version int NOT NULL,
    upto_offset bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    codec smallint NOT NULL,
    raw_len int NOT NULL,
    crc32c int NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (app, part, piece, upto_offset)
);
ALTER TABLE eventlog.snapshot ALTER body SET STORAGE EXTERNAL;
COMMENT ON TABLE eventlog.snapshot IS 'A cache of slots'' states; may be emptied at any time.';

CREATE TABLE eventlog.idem (
    tenant text COLLATE "C" NOT NULL,
    route text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    status int NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (tenant, route, key)
);
CREATE INDEX idem_first_seen ON eventlog.idem USING brin (first_seen);
COMMENT ON TABLE eventlog.idem IS
    'Idempotency keys and the answers they got; written in the transaction that stored the request.';

CREATE TABLE eventlog.heartbeat (
    instance text PRIMARY KEY,
    at timestamptz NOT NULL
) WITH (fillfactor = 20);
COMMENT ON TABLE eventlog.heartbeat IS 'Processes that have the log open, every 5 s.';

-- The child of segment s, if it is not there. Made apart and then attached, which lets appends and
-- reads go on; CREATE TABLE … PARTITION OF would lock them all out.
CREATE FUNCTION eventlog.add_segment(s int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    child text := 'batch_' || s;
BEGIN
    PERFORM pg_advisory_xact_lock(7002, 0);
    IF to_regclass('eventlog.' || child) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE eventlog.%I (LIKE eventlog.batch INCLUDING DEFAULTS'
                   ' INCLUDING CONSTRAINTS INCLUDING STORAGE)'
                   ' WITH (toast_tuple_target = 8160,'
                   ' autovacuum_vacuum_insert_scale_factor = 0,'
                   ' autovacuum_vacuum_insert_threshold = 200000,'
                   ' autovacuum_freeze_min_age = 0)', child);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON eventlog.%I FROM CURRENT_USER', child);
    EXECUTE format('ALTER TABLE eventlog.batch ATTACH PARTITION eventlog.%I'
                   ' FOR VALUES FROM (%s) TO (%s)', child, s, s + 1);
END $$;

SELECT eventlog.add_segment(1);
SELECT eventlog.add_segment(2);

-- Append batches and tell their first offsets, in the order of (topic, partition, place in the
-- arrays). Batches of one partition stand together; prior counts the records of those before it.
CREATE FUNCTION eventlog.append(body bytea[], t smallint[], p smallint[], prior int[], cnt int[],
                                codec smallint[], rawlen int[], crc int[])
RETURNS bigint[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r bigint[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the log needs the isolation level read committed'
            USING ERRCODE = 'THI01';
    END IF;
    -- Wait here, in one order for everybody …
    PERFORM 1 FROM eventlog.partition_head h
        JOIN unnest(t, p) u(t, p) ON h.topic_id = u.t AND h.part = u.p
        ORDER BY h.topic_id, h.part FOR NO KEY UPDATE OF h;
    -- … and look only then: this statement has a snapshot of its own.
    WITH ins AS (
        INSERT INTO eventlog.batch (seg, topic_id, part, base_offset, n, codec, raw_len, crc32c,
                                    payload)
        SELECT h.seg, u.t, u.p,
               COALESCE((SELECT x.base_offset + x.n FROM eventlog.batch x
                         WHERE x.seg = h.seg AND x.topic_id = u.t AND x.part = u.p
                         ORDER BY x.base_offset DESC LIMIT 1), h.floor_offset) + u.prior,
               u.c, u.k, u.rl, u.cr, u.b
        FROM unnest(body, t, p, prior, cnt, codec, rawlen, crc) u(b, t, p, prior, c, k, rl, cr)
        JOIN eventlog.partition_head h ON h.topic_id = u.t AND h.part = u.p
        RETURNING topic_id, part, base_offset)
    SELECT array_agg(base_offset ORDER BY topic_id, part, base_offset) INTO r FROM ins;
    IF cardinality(r) IS DISTINCT FROM cardinality(t) THEN
        RAISE EXCEPTION 'unknown partition' USING ERRCODE = 'TH404';
    END IF;
    RETURN r;
END $$;

-- A slot's transaction: fence, outputs, cursor. Of epochs only the newest can commit; of two
-- transactions with one number only the first.
CREATE FUNCTION eventlog.commit_slot(a smallint, sl smallint, e bigint, seq bigint, cur bytea,
                                     body bytea[], t smallint[], p smallint[], prior int[],
                                     cnt int[], codec smallint[], rawlen int[], crc int[])
RETURNS bigint[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    r bigint[] := '{}';
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the log needs the isolation level read committed'
            USING ERRCODE = 'THI01';
    END IF;
    PERFORM 1 FROM eventlog.slot WHERE app = a AND slot = sl AND epoch = e FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the slot has another owner' USING ERRCODE = 'THF01';
    END IF;
    IF cardinality(t) > 0 THEN
        r := eventlog.append(body, t, p, prior, cnt, codec, rawlen, crc);
    END IF;
    INSERT INTO eventlog.journal (app, slot, txn_seq, epoch, cursor, bases)
        VALUES (a, sl, seq, e, cur, r);
    RETURN r;
END $$;

-- Requests with idempotency keys: keys, answers and records together, or nothing at all (a unique
-- violation) when one of the keys is there already.
CREATE FUNCTION eventlog.ingest(tn text[], rt text[], ky text[], fp bytea[], st int[], an bytea[],
                                body bytea[], t smallint[], p smallint[], prior int[], cnt int[],
                                codec smallint[], rawlen int[], crc int[])
RETURNS bigint[] LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Sorted, so that two calls with the same keys wait for each other in one order.
    INSERT INTO eventlog.idem (tenant, route, key, fingerprint, status, body)
        SELECT u.tn, u.rt, u.ky, u.fp, u.st, u.an
        FROM unnest(tn, rt, ky, fp, st, an) u(tn, rt, ky, fp, st, an)
        ORDER BY u.tn COLLATE "C", u.rt COLLATE "C", u.ky COLLATE "C";
    IF cardinality(t) > 0 THEN
        RETURN eventlog.append(body, t, p, prior, cnt, codec, rawlen, crc);
    END IF;
    RETURN '{}'::bigint[];
END $$;

-- Move one partition on to segment s, whose child must exist. False if it is there already.
CREATE FUNCTION eventlog.rotate(t smallint, p smallint, s int) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    h eventlog.partition_head;
    next_offset bigint;
BEGIN
    SELECT * INTO h FROM eventlog.partition_head WHERE topic_id = t AND part = p
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown partition' USING ERRCODE = 'TH404';
    END IF;
    IF h.seg >= s THEN
        RETURN false;
    END IF;
    SELECT x.base_offset + x.n INTO next_offset FROM eventlog.batch x
        WHERE x.seg = h.seg AND x.topic_id = t AND x.part = p
        ORDER BY x.base_offset DESC LIMIT 1;
    next_offset := COALESCE(next_offset, h.floor_offset);
    UPDATE eventlog.partition_head SET seg = s, floor_offset = next_offset
        WHERE topic_id = t AND part = p;
    INSERT INTO eventlog.segment (topic_id, part, floor_offset, seg)
        VALUES (t, p, next_offset, s);
    RETURN true;
END $$;
