# fill.sh - tables as large as years of work would make them, filled by SQL. Sourced by benchmarks/run.
#
# shellcheck shell=bash disable=SC2154 # tests/chaos/lib.sh sets what is shared

fill_step=500000 # sends of one transaction

# fill_needs_room SENDS: at most 4 kB for each, in views, log, and what Postgres keeps to be safe.
fill_needs_room() {
    local need free
    need=$(($1 * 4 / 1000000))
    free=$(($(df --output=avail -k "$work" | tail -n 1) / 1000000))
    [ "$free" -ge "$need" ] || fail "$1 sends need $need GB in $work; $free GB are free"
}

# fill_settle TABLE...: nothing of the filling is left to do for whoever is measured next.
fill_settle() {
    local table
    for table in "$@"; do
        sql "VACUUM (ANALYZE) $table"
    done
    sql "CHECKPOINT"
}

# views_fill N: so many sends of 20 campaigns in the views, as if they had been folded. Half of the
# campaigns still run and had all their starts in the last minute.
views_fill() {
    local gen from n=$(($1 / 20)) step=$((fill_step / 20))
    gen=$(sql "SELECT gen FROM views.generation WHERE state = 'current'")
    sql "SET search_path = view_g$gen, pg_catalog;
        CREATE TABLE public.filled AS SELECT i, md5('campaign ' || i)::uuid AS campaign,
            lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') AS began
            FROM generate_series(1, 20) i;
        INSERT INTO campaigns (campaign, tenant, name, channel, pace_per_min, policy, phase,
            created_at, started_at, run, run_started_ms, parts, recipients, released, duplicates,
            in_flight, events_next)
            SELECT campaign, '$tenant', 'campaign ' || i, 'sms', 0, 'at_most_once',
            CASE WHEN i % 2 = 0 THEN 'completed' ELSE 'running' END, now(), now(), 1,
            (extract(epoch FROM now()) * 1000)::bigint, $n / 1000 + 1, $n, $n, 0, 0, 1
            FROM public.filled;
        INSERT INTO campaign_counters (campaign, source, log_part, outcome, reason, tenant, n)
            SELECT campaign, 1, p, 'reached', '', '$tenant', $n / 4
            FROM public.filled, generate_series(0, 3) p;
        INSERT INTO campaign_costs (campaign, log_part, currency, is_estimated, tenant, micros, n)
            SELECT campaign, p, 'INR', false, '$tenant', $n / 4 * 120000::bigint, $n / 4
            FROM public.filled, generate_series(0, 3) p"
    for ((from = 0; from < n; from += step)); do
        views_fill_some "$gen" "$from" $((from + step < n ? from + step : n)) "$n"
        [ "$1" -le "$fill_step" ] || say "in the views: $(((from + step < n ? from + step : n) * 20)) of $1"
    done
    sql "DROP TABLE public.filled"
    fill_settle "view_g$gen.sends" "view_g$gen.attempts" "view_g$gen.campaigns" \
        "view_g$gen.campaign_counters" "view_g$gen.campaign_costs"
}

# views_fill_some GEN FROM TO ALL: of each campaign the sends FROM to TO-1, of ALL.
views_fill_some() {
    sql "SET search_path = view_g$1, pg_catalog; SET synchronous_commit = off;
        WITH s AS (INSERT INTO sends (send, tenant, campaign, run, part, row, channel, requested_at,
            changed_at, outcome, attempts, lane, planned_at, attempt_outcome, attempt_at, status,
            status_rank, status_is_final, status_at, reached_at, moved_on, ended_attempt)
            SELECT (began || substr(md5('send ' || f.i || ' ' || k), 1, 20))::uuid, '$tenant',
            campaign, 1, k / 1000, k % 1000, 'sms', now(), now(), 'reached', 1, 1, now(),
            'accepted', now(), 'delivered', 50, true, now(), now(), 0, 0
            FROM public.filled f, generate_series($2, $3 - 1) k
            RETURNING send, tenant, campaign, part, row)
        INSERT INTO attempts (send, n, tenant, campaign, lane, channel, segments, started_at,
            state, outcome, outcome_at, provider_id, http_status, call_us, status, status_rank,
            status_is_final, status_is_positive, status_at, duration_s, estimate_micros,
            price_micros, price_currency, priced_at)
            SELECT send, 1, tenant, campaign, 1, 'sms', 1, now() - interval '1 minute'
            * (1 - (part * 1000 + row)::float8 / $4),
            'accepted', 'accepted', now(), 'SM' || left(md5(send::text), 32), 201, 5000,
            'delivered', 50, true, true, now(), 0, 0, 120000, 'INR', now() FROM s"
}

# log_fill N PEOPLE: the records of the campaign of PEOPLE that the log holds, again and again until
# they are those of N sends. telehub does not run. The copies stand before the first offset, where no
# reader looks: up to half a segment in the current one, whose index an append goes through, the rest
# in a segment of their own, as the log moves on from one to the next.
log_fill() {
    local copies=$(($1 / $2)) copy bytes segment to
    sql "SELECT eventlog.add_segment(0)"
    read -r segment bytes < <(sql "SELECT max(seg), (SELECT sum(octet_length(payload)) FROM eventlog.batch)
        FROM eventlog.partition_head")
    sql "CREATE TABLE public.filled AS SELECT * FROM eventlog.batch"
    for ((copy = 1; copy <= copies; copy++)); do
        to=$((copy * bytes < (4 << 30) ? segment : 0))
        sql "SET synchronous_commit = off; INSERT INTO eventlog.batch (seg, topic_id, part, base_offset, n,
                codec, raw_len, crc32c, payload)
            SELECT $to, topic_id, part, base_offset - $copy * 1000000000::bigint, n, codec, raw_len, crc32c,
                payload FROM public.filled"
        [ $((copy % 20)) -ne 0 ] || say "in the log: $((copy * $2)) of $1"
    done
    sql "DROP TABLE public.filled"
    fill_settle eventlog.batch
}
