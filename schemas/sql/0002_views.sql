-- The views: tables folded from the log, thrown away and rebuilt at will.
--
-- They live in generations, each a schema of its own (view_g1, view_g2, …) with all tables and the
-- offsets up to which they are folded. One generation is current: the views of schema views show it
-- to the gateway, those of schema analytics to people. Rebuilding fills the next generation and then
-- puts it in place of the current one.

CREATE SCHEMA views;
COMMENT ON SCHEMA views IS 'Generations of the views, and the current one for the gateway.';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'telehub_auditor') THEN
        CREATE ROLE telehub_auditor NOLOGIN IN ROLE telehub_analyst;
    END IF;
END $$;

CREATE TABLE views.generation (
    gen int PRIMARY KEY CHECK (gen > 0),
    state text NOT NULL CHECK (state IN ('building', 'current', 'retired')),
    made_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    retired_at timestamptz
);
COMMENT ON TABLE views.generation IS 'Sets of tables, each in the schema view_g<gen>.';
COMMENT ON COLUMN views.generation.state IS
    'building: not shown yet; current: shown; retired: not written any more, kept for a day.';
CREATE UNIQUE INDEX generation_current ON views.generation (state) WHERE state = 'current';

CREATE TABLE views.analyst (
    role name PRIMARY KEY,
    tenant text COLLATE "C"
);
COMMENT ON TABLE views.analyst IS
    'What a role that reads the views may see, unless its name says it: telehub_analyst_TENANT.';
COMMENT ON COLUMN views.analyst.tenant IS 'Null: all tenants.';
-- Nobody learns from it who else is there. CURRENT_USER in a policy is who asks.
ALTER TABLE views.analyst ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON views.analyst FOR SELECT USING (role = CURRENT_USER);
INSERT INTO views.analyst (role, tenant) VALUES ('telehub_auditor', NULL);

-- Both as whoever asks: row-level security applies in them too.
CREATE FUNCTION views.sees_all() RETURNS boolean LANGUAGE sql STABLE SECURITY INVOKER AS $$
    SELECT EXISTS (SELECT FROM views.analyst WHERE role = CURRENT_USER AND tenant IS NULL)
$$;
COMMENT ON FUNCTION views.sees_all() IS 'May the current role see every tenant?';

CREATE FUNCTION views.seen_tenant() RETURNS text LANGUAGE sql STABLE SECURITY INVOKER AS $$
    SELECT coalesce((SELECT tenant FROM views.analyst WHERE role = CURRENT_USER),
                    CASE WHEN starts_with(CURRENT_USER, 'telehub_analyst_')
                    THEN substr(CURRENT_USER, length('telehub_analyst_') + 1) END)
$$;
COMMENT ON FUNCTION views.seen_tenant() IS
    'The tenant that the current role may see: its own in views.analyst, else TENANT of '
    'telehub_analyst_TENANT; null: none.';

-- telehub_analyst alone sees no row: it is what its members share. A member that becomes it by SET
-- ROLE sees nothing.
GRANT USAGE ON SCHEMA views TO telehub_analyst;
GRANT SELECT ON views.analyst TO telehub_analyst;

CREATE FUNCTION views.add_analyst(whose text) RETURNS name LANGUAGE plpgsql AS $$
DECLARE
    r name := 'telehub_analyst_' || whose;
BEGIN
    IF whose !~ '^[a-z0-9][a-z0-9_-]{0,40}$' THEN
        RAISE EXCEPTION 'no tenant can be called %', whose USING ERRCODE = '22023';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
        EXECUTE format('CREATE ROLE %I LOGIN IN ROLE telehub_analyst', r);
        EXECUTE format('ALTER ROLE %I SET default_transaction_read_only = on', r);
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''60s''', r);
    END IF;
    RETURN r;
END $$;
COMMENT ON FUNCTION views.add_analyst(text) IS
    'Make the role telehub_analyst_TENANT, which reads the views of that tenant alone.';

-- The smallest id of a send whose run began at that moment.
CREATE FUNCTION views.first_send(at timestamptz) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid
$$;

-- The tables of sends and attempts for one month (UTC), if they are not there. Made apart and then
-- attached, which lets readers and writers go on.
CREATE FUNCTION views.add_month(g int, month timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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
                       ' INCLUDING CONSTRAINTS INCLUDING STORAGE) WITH (fillfactor = 70)',
                       g, child, g, parent);
        EXECUTE format('ALTER TABLE view_g%s.%I ENABLE ROW LEVEL SECURITY', g, child);
        EXECUTE format('ALTER TABLE view_g%s.%I ATTACH PARTITION view_g%s.%I'
                       ' FOR VALUES FROM (%L) TO (%L)', g, parent, g, child,
                       views.first_send(first),
                       views.first_send(date_trunc('month', first + interval '32 days', 'UTC')));
    END LOOP;
END $$;

-- The tables, empty, of generation g.
CREATE FUNCTION views.make_tables(g int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t text;
BEGIN
    EXECUTE format('CREATE SCHEMA view_g%s', g);
    PERFORM set_config('search_path', format('view_g%s, pg_catalog', g), true);

    CREATE TABLE progress (
        topic int NOT NULL,
        log_part int NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (topic, log_part)
    ) WITH (fillfactor = 20);
    COMMENT ON TABLE progress IS
        'Up to where the log is folded: moved on in the transaction that writes the rows.';
    COMMENT ON COLUMN progress.topic IS 'Number of the topic.';
    COMMENT ON COLUMN progress.log_part IS 'Partition.';
    COMMENT ON COLUMN progress.next_offset IS 'Offset of the next record to fold.';

    CREATE TABLE sends (
        send uuid NOT NULL,
        tenant text COLLATE "C",
        campaign uuid,
        run int NOT NULL,
        audience uuid,
        part int NOT NULL,
        row int NOT NULL,
        channel text COLLATE "C",
        phone text COLLATE "C",
        requested_at timestamptz,
        changed_at timestamptz,
        outcome text COLLATE "C",
        reason text COLLATE "C",
        attempts int NOT NULL,
        lane int NOT NULL,
        planned_at timestamptz,
        attempt_outcome text COLLATE "C",
        attempt_reason text COLLATE "C",
        attempt_at timestamptz,
        status text COLLATE "C",
        status_rank int NOT NULL,
        status_is_final boolean NOT NULL,
        status_reason text COLLATE "C",
        status_provider_at timestamptz,
        status_at timestamptz,
        reached_at timestamptz,
        moved_on int NOT NULL,
        ended_attempt int NOT NULL,
        ended_reason text COLLATE "C",
        ended_at timestamptz,
        suppressed_reason text COLLATE "C",
        suppressed_at timestamptz,
        places bytea,
        PRIMARY KEY (send)
    ) PARTITION BY RANGE (send);
    COMMENT ON TABLE sends IS
        'What became of each send. The first 48 bits of its id are the milliseconds of '
        'its run''s start, by which months are partitions.';
    COMMENT ON COLUMN sends.send IS
        'Id of the send; begins with the milliseconds of its runs start.';
    COMMENT ON COLUMN sends.tenant IS 'Whose it is.';
    COMMENT ON COLUMN sends.campaign IS 'Campaign; null: asked for through the API.';
    COMMENT ON COLUMN sends.run IS 'Occurrence of the campaigns schedule, from 1.';
    COMMENT ON COLUMN sends.audience IS 'Audience of the recipient.';
    COMMENT ON COLUMN sends.part IS 'Part of the audience, from 0.';
    COMMENT ON COLUMN sends.row IS
        'Accepted row of the part, from 0; the recipients ordinal is part * 1000 + row.';
    COMMENT ON COLUMN sends.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN sends.phone IS
        'Number, E.164, of a send through the API; of a campaigns it stands in the audience.';
    COMMENT ON COLUMN sends.requested_at IS 'When it was asked for.';
    COMMENT ON COLUMN sends.changed_at IS 'Time of the newest event about it.';
    COMMENT ON COLUMN sends.outcome IS
        'Set of the certificate: reached, accepted_no_report, unreached, suppressed, '
        'in_doubt, unsent; planned: handed to a lane, in doubt if the attempt was started and else unsent.';
    COMMENT ON COLUMN sends.reason IS 'Of unreached and suppressed: why.';
    COMMENT ON COLUMN sends.attempts IS 'Number of the last attempt; 0: none yet.';
    COMMENT ON COLUMN sends.lane IS 'Lane of the last attempt.';
    COMMENT ON COLUMN sends.planned_at IS 'When the last attempt was handed to its lane.';
    COMMENT ON COLUMN sends.attempt_outcome IS
        'What the call of the last attempt came to; null: not known.';
    COMMENT ON COLUMN sends.attempt_reason IS 'Why, if it was not accepted.';
    COMMENT ON COLUMN sends.attempt_at IS 'When that was learned.';
    COMMENT ON COLUMN sends.status IS 'What the provider reported last, by rank.';
    COMMENT ON COLUMN sends.status_rank IS 'A higher one replaces a lower one.';
    COMMENT ON COLUMN sends.status_is_final IS 'Nothing more is expected.';
    COMMENT ON COLUMN sends.status_reason IS 'Of a final status that is not positive: why.';
    COMMENT ON COLUMN sends.status_provider_at IS 'The providers time of it.';
    COMMENT ON COLUMN sends.status_at IS 'When the report came in.';
    COMMENT ON COLUMN sends.reached_at IS 'When the first positive final report came in.';
    COMMENT ON COLUMN sends.moved_on IS
        'Last attempt that retry has left behind, so that another may follow.';
    COMMENT ON COLUMN sends.ended_attempt IS 'Last attempt when it ended.';
    COMMENT ON COLUMN sends.ended_reason IS 'Why it ended.';
    COMMENT ON COLUMN sends.ended_at IS 'When it ended: no attempt follows.';
    COMMENT ON COLUMN sends.suppressed_reason IS 'Why it must not go out.';
    COMMENT ON COLUMN sends.suppressed_at IS 'When that was decided.';
    COMMENT ON COLUMN sends.places IS 'Where its events lie: topic and offset, 8 bytes each.';

    CREATE TABLE attempts (
        send uuid NOT NULL,
        n int NOT NULL,
        tenant text COLLATE "C",
        campaign uuid,
        lane int NOT NULL,
        channel text COLLATE "C",
        phone text COLLATE "C",
        sender text COLLATE "C",
        segments int NOT NULL,
        started_at timestamptz,
        state text COLLATE "C",
        outcome text COLLATE "C",
        outcome_reason text COLLATE "C",
        error_class text COLLATE "C",
        outcome_at timestamptz,
        resolved_how text COLLATE "C",
        provider_id text COLLATE "C",
        http_status int NOT NULL,
        provider_code text COLLATE "C",
        call_us bigint NOT NULL,
        returned_reason text COLLATE "C",
        returned_at timestamptz,
        status text COLLATE "C",
        status_rank int NOT NULL,
        status_is_final boolean NOT NULL,
        status_is_positive boolean NOT NULL,
        status_reason text COLLATE "C",
        status_code text COLLATE "C",
        status_provider_at timestamptz,
        status_at timestamptz,
        ringing_at timestamptz,
        answered_at timestamptz,
        ended_at timestamptz,
        duration_s int NOT NULL,
        estimate_micros bigint NOT NULL,
        estimate_currency text COLLATE "C",
        price_micros bigint NOT NULL,
        price_currency text COLLATE "C",
        priced_at timestamptz,
        PRIMARY KEY (send, n)
    ) PARTITION BY RANGE (send);
    COMMENT ON TABLE attempts IS
        'Each attempt at a provider.';
    COMMENT ON COLUMN attempts.send IS 'Id of the send.';
    COMMENT ON COLUMN attempts.n IS 'Number of the attempt, from 1.';
    COMMENT ON COLUMN attempts.tenant IS 'Whose it is.';
    COMMENT ON COLUMN attempts.campaign IS 'Campaign, if it is part of one.';
    COMMENT ON COLUMN attempts.lane IS 'Lane, which is a provider account.';
    COMMENT ON COLUMN attempts.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN attempts.phone IS 'Number called, E.164.';
    COMMENT ON COLUMN attempts.sender IS 'What the recipient sees as the sender.';
    COMMENT ON COLUMN attempts.segments IS 'Of an SMS, by our count.';
    COMMENT ON COLUMN attempts.started_at IS
        'When its start was committed; null: it was handed back.';
    COMMENT ON COLUMN attempts.state IS
        'started, accepted, rejected, throttled, not_sent, unknown, not_executed, '
        'in_doubt or returned.';
    COMMENT ON COLUMN attempts.outcome IS 'What the call came to; null: not known.';
    COMMENT ON COLUMN attempts.outcome_reason IS 'Why, if it was not accepted.';
    COMMENT ON COLUMN attempts.error_class IS 'What the error asks for.';
    COMMENT ON COLUMN attempts.outcome_at IS 'When that was learned.';
    COMMENT ON COLUMN attempts.resolved_how IS 'How an unknown outcome became known.';
    COMMENT ON COLUMN attempts.provider_id IS 'The providers name of it.';
    COMMENT ON COLUMN attempts.http_status IS 'Of the answer; 0: none came.';
    COMMENT ON COLUMN attempts.provider_code IS 'The providers error code.';
    COMMENT ON COLUMN attempts.call_us IS 'From commit to answer, microseconds.';
    COMMENT ON COLUMN attempts.returned_reason IS 'Why the lane handed it back.';
    COMMENT ON COLUMN attempts.returned_at IS 'When.';
    COMMENT ON COLUMN attempts.status IS 'What the provider reported last, by rank.';
    COMMENT ON COLUMN attempts.status_rank IS 'A higher one replaces a lower one.';
    COMMENT ON COLUMN attempts.status_is_final IS 'Nothing more is expected.';
    COMMENT ON COLUMN attempts.status_is_positive IS 'Final, and the recipient was reached.';
    COMMENT ON COLUMN attempts.status_reason IS 'Of a final status that is not positive: why.';
    COMMENT ON COLUMN attempts.status_code IS 'The providers code of it.';
    COMMENT ON COLUMN attempts.status_provider_at IS 'The providers time of it.';
    COMMENT ON COLUMN attempts.status_at IS 'When the report came in.';
    COMMENT ON COLUMN attempts.ringing_at IS 'Of a call.';
    COMMENT ON COLUMN attempts.answered_at IS 'Of a call.';
    COMMENT ON COLUMN attempts.ended_at IS 'Time of the first final report.';
    COMMENT ON COLUMN attempts.duration_s IS 'Of the conversation, seconds.';
    COMMENT ON COLUMN attempts.estimate_micros IS
        'What it will cost by the accounts own estimate, millionths.';
    COMMENT ON COLUMN attempts.estimate_currency IS 'ISO 4217.';
    COMMENT ON COLUMN attempts.price_micros IS 'What it costs by the provider, millionths.';
    COMMENT ON COLUMN attempts.price_currency IS 'ISO 4217.';
    COMMENT ON COLUMN attempts.priced_at IS 'When the price came; null: it has not.';

    CREATE TABLE campaigns (
        campaign uuid NOT NULL,
        tenant text COLLATE "C",
        name text COLLATE "C",
        channel text COLLATE "C",
        audience uuid,
        pace_per_min int NOT NULL,
        policy text COLLATE "C",
        category text COLLATE "C",
        phase text COLLATE "C",
        created_at timestamptz,
        started_at timestamptz,
        ended_at timestamptz,
        run int NOT NULL,
        run_started_ms bigint NOT NULL,
        parts int NOT NULL,
        recipients bigint NOT NULL,
        released bigint NOT NULL,
        duplicates bigint NOT NULL,
        in_flight bigint NOT NULL,
        start_command uuid,
        refused_code text COLLATE "C",
        refused_detail text COLLATE "C",
        events_next bigint NOT NULL,
        PRIMARY KEY (campaign)
    ) WITH (fillfactor = 50);
    COMMENT ON TABLE campaigns IS
        'Each campaign.';
    COMMENT ON COLUMN campaigns.campaign IS 'Id.';
    COMMENT ON COLUMN campaigns.tenant IS 'Whose it is.';
    COMMENT ON COLUMN campaigns.name IS 'Given by the user.';
    COMMENT ON COLUMN campaigns.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN campaigns.audience IS 'Who is to be reached.';
    COMMENT ON COLUMN campaigns.pace_per_min IS 'Sends in any 60 s; 0: as fast as the lanes go.';
    COMMENT ON COLUMN campaigns.policy IS 'at_most_once or at_least_once.';
    COMMENT ON COLUMN campaigns.category IS 'What hours it keeps.';
    COMMENT ON COLUMN campaigns.phase IS
        'draft, starting, running, pausing, paused, completed, cancelling or cancelled.';
    COMMENT ON COLUMN campaigns.created_at IS 'When.';
    COMMENT ON COLUMN campaigns.started_at IS 'When its run began.';
    COMMENT ON COLUMN campaigns.ended_at IS 'When it was completed or cancelled.';
    COMMENT ON COLUMN campaigns.run IS 'Occurrence of the schedule; 0: never started.';
    COMMENT ON COLUMN campaigns.run_started_ms IS 'First 48 bits of the ids of the runs sends.';
    COMMENT ON COLUMN campaigns.parts IS 'Of the audience.';
    COMMENT ON COLUMN campaigns.recipients IS 'Accepted rows of the audience; 0 before the start.';
    COMMENT ON COLUMN campaigns.released IS 'Rows released so far, duplicates included.';
    COMMENT ON COLUMN campaigns.duplicates IS
        'Rows left out because the same number gets the same text elsewhere.';
    COMMENT ON COLUMN campaigns.in_flight IS
        'Attempts that were with a provider when the pause took effect.';
    COMMENT ON COLUMN campaigns.start_command IS 'The last command to start it.';
    COMMENT ON COLUMN campaigns.refused_code IS 'Why the last start was refused; null: it was not.';
    COMMENT ON COLUMN campaigns.refused_detail IS 'The same, as a sentence.';
    COMMENT ON COLUMN campaigns.events_next IS 'Offset up to which its events are folded.';

    CREATE TABLE commands (
        command uuid NOT NULL,
        tenant text COLLATE "C",
        campaign uuid,
        kind text COLLATE "C",
        asked_at timestamptz,
        status text COLLATE "C",
        code text COLLATE "C",
        detail text COLLATE "C",
        decided_at timestamptz,
        PRIMARY KEY (command)
    );
    COMMENT ON TABLE commands IS
        'What users asked of campaigns, and what became of it.';
    COMMENT ON COLUMN commands.command IS 'Id of the commands event.';
    COMMENT ON COLUMN commands.tenant IS 'Whose it is.';
    COMMENT ON COLUMN commands.campaign IS 'Which campaign.';
    COMMENT ON COLUMN commands.kind IS 'Name of the command.';
    COMMENT ON COLUMN commands.asked_at IS 'When it was accepted.';
    COMMENT ON COLUMN commands.status IS 'starting, applied or refused; null: pending.';
    COMMENT ON COLUMN commands.code IS 'Of a refusal.';
    COMMENT ON COLUMN commands.detail IS 'The same, as a sentence.';
    COMMENT ON COLUMN commands.decided_at IS 'When its status was decided.';

    CREATE TABLE audiences (
        audience uuid NOT NULL,
        tenant text COLLATE "C",
        name text COLLATE "C",
        created_at timestamptz,
        sealed_at timestamptz,
        log_part int NOT NULL,
        seal_next bigint NOT NULL,
        parts int NOT NULL,
        recipients bigint NOT NULL,
        rejected bigint NOT NULL,
        sha256 bytea,
        PRIMARY KEY (audience)
    ) WITH (fillfactor = 50);
    COMMENT ON TABLE audiences IS
        'Each audience.';
    COMMENT ON COLUMN audiences.audience IS 'Id.';
    COMMENT ON COLUMN audiences.tenant IS 'Whose it is.';
    COMMENT ON COLUMN audiences.name IS 'Given by the user.';
    COMMENT ON COLUMN audiences.created_at IS 'When.';
    COMMENT ON COLUMN audiences.sealed_at IS 'When it was declared complete.';
    COMMENT ON COLUMN audiences.log_part IS 'Partition of campaign.audience.';
    COMMENT ON COLUMN audiences.seal_next IS 'Offset behind the seal; 0: not sealed.';
    COMMENT ON COLUMN audiences.parts IS 'Of the seal; before, those uploaded.';
    COMMENT ON COLUMN audiences.recipients IS 'Accepted rows.';
    COMMENT ON COLUMN audiences.rejected IS 'Rows not accepted.';
    COMMENT ON COLUMN audiences.sha256 IS 'Over the hashes of the sealed parts.';

    CREATE TABLE audience_parts (
        audience uuid NOT NULL,
        part int NOT NULL,
        tenant text COLLATE "C",
        log_part int NOT NULL,
        log_offset bigint NOT NULL,
        recipients int NOT NULL,
        rejected int NOT NULL,
        sha256 bytea,
        PRIMARY KEY (audience, part)
    );
    COMMENT ON TABLE audience_parts IS
        'Where each part of an audience lies.';
    COMMENT ON COLUMN audience_parts.audience IS 'Id.';
    COMMENT ON COLUMN audience_parts.part IS 'From 0.';
    COMMENT ON COLUMN audience_parts.tenant IS 'Whose it is.';
    COMMENT ON COLUMN audience_parts.log_part IS 'Partition of campaign.audience.';
    COMMENT ON COLUMN audience_parts.log_offset IS 'Offset of the last upload before the seal.';
    COMMENT ON COLUMN audience_parts.recipients IS 'Accepted rows.';
    COMMENT ON COLUMN audience_parts.rejected IS 'Rows not accepted.';
    COMMENT ON COLUMN audience_parts.sha256 IS 'Of the uploaded bytes.';

    CREATE TABLE releases (
        campaign uuid NOT NULL,
        part int NOT NULL,
        first_row int NOT NULL,
        tenant text COLLATE "C",
        recipients int NOT NULL,
        duplicates bytea,
        released_at timestamptz,
        PRIMARY KEY (campaign, part, first_row)
    );
    COMMENT ON TABLE releases IS
        'Which rows of an audience were released, and which of them left out as duplicates.';
    COMMENT ON COLUMN releases.campaign IS 'Id.';
    COMMENT ON COLUMN releases.part IS 'Part of the audience.';
    COMMENT ON COLUMN releases.first_row IS 'First row of the release.';
    COMMENT ON COLUMN releases.tenant IS 'Whose it is.';
    COMMENT ON COLUMN releases.recipients IS 'How many rows.';
    COMMENT ON COLUMN releases.duplicates IS 'Rows among them left out, 2 bytes each.';
    COMMENT ON COLUMN releases.released_at IS 'When.';

    CREATE TABLE opt_outs (
        tenant text COLLATE "C" NOT NULL,
        contact bigint NOT NULL,
        is_opted_out boolean NOT NULL,
        phone text COLLATE "C",
        source text COLLATE "C",
        changed_at timestamptz,
        events_next bigint NOT NULL,
        PRIMARY KEY (tenant, contact)
    );
    COMMENT ON TABLE opt_outs IS
        'Who must not be contacted.';
    COMMENT ON COLUMN opt_outs.tenant IS 'By whom.';
    COMMENT ON COLUMN opt_outs.contact IS '64-bit hash of tenant and number.';
    COMMENT ON COLUMN opt_outs.is_opted_out IS 'False: taken back.';
    COMMENT ON COLUMN opt_outs.phone IS 'Number, E.164.';
    COMMENT ON COLUMN opt_outs.source IS 'Where it came from.';
    COMMENT ON COLUMN opt_outs.changed_at IS 'Since when.';
    COMMENT ON COLUMN opt_outs.events_next IS 'Offset up to which it is folded.';

    CREATE TABLE lanes (
        lane int NOT NULL,
        tenant text COLLATE "C",
        account text COLLATE "C",
        wire text COLLATE "C",
        mode text COLLATE "C",
        events_next bigint NOT NULL,
        PRIMARY KEY (lane)
    );
    COMMENT ON TABLE lanes IS
        'Provider accounts.';
    COMMENT ON COLUMN lanes.lane IS 'Number.';
    COMMENT ON COLUMN lanes.tenant IS 'Whose it is.';
    COMMENT ON COLUMN lanes.account IS 'Name of the account.';
    COMMENT ON COLUMN lanes.wire IS 'Which connector speaks to it.';
    COMMENT ON COLUMN lanes.mode IS 'test, test_credentials or live.';
    COMMENT ON COLUMN lanes.events_next IS 'Offset up to which it is folded.';

    CREATE TABLE dead_letters (
        topic int NOT NULL,
        log_part int NOT NULL,
        log_offset bigint NOT NULL,
        tenant text COLLATE "C",
        at timestamptz,
        about_topic text COLLATE "C",
        consumer text COLLATE "C",
        code text COLLATE "C",
        detail text COLLATE "C",
        PRIMARY KEY (topic, log_part, log_offset)
    );
    COMMENT ON TABLE dead_letters IS
        'Records that could not be understood.';
    COMMENT ON COLUMN dead_letters.topic IS 'Number of the topic where it is written.';
    COMMENT ON COLUMN dead_letters.log_part IS 'Partition.';
    COMMENT ON COLUMN dead_letters.log_offset IS 'Offset.';
    COMMENT ON COLUMN dead_letters.tenant IS 'Whose it is, if known.';
    COMMENT ON COLUMN dead_letters.at IS 'When.';
    COMMENT ON COLUMN dead_letters.about_topic IS 'Topic of the record.';
    COMMENT ON COLUMN dead_letters.consumer IS 'Who could not understand it.';
    COMMENT ON COLUMN dead_letters.code IS 'Stable name of the reason.';
    COMMENT ON COLUMN dead_letters.detail IS 'The same, as a sentence.';

    CREATE TABLE campaign_counters (
        campaign uuid NOT NULL,
        source int NOT NULL,
        log_part int NOT NULL,
        outcome text COLLATE "C" NOT NULL,
        reason text COLLATE "C" NOT NULL,
        tenant text COLLATE "C",
        n bigint NOT NULL,
        PRIMARY KEY (campaign, source, log_part, outcome, reason)
    ) WITH (fillfactor = 50);
    COMMENT ON TABLE campaign_counters IS
        'How many sends of a campaign stand where; summed over partitions by readers.';
    COMMENT ON COLUMN campaign_counters.campaign IS 'Id.';
    COMMENT ON COLUMN campaign_counters.source IS
        '1: sends; 2: attempts that were started and have no outcome.';
    COMMENT ON COLUMN campaign_counters.log_part IS
        'Partition that counts; only its owner writes the row.';
    COMMENT ON COLUMN campaign_counters.outcome IS 'As in sends.';
    COMMENT ON COLUMN campaign_counters.reason IS 'As in sends; empty: none.';
    COMMENT ON COLUMN campaign_counters.tenant IS 'Whose it is.';
    COMMENT ON COLUMN campaign_counters.n IS 'How many; rows vanish at 0.';

    CREATE TABLE campaign_costs (
        campaign uuid NOT NULL,
        log_part int NOT NULL,
        currency text COLLATE "C" NOT NULL,
        is_estimated boolean NOT NULL,
        tenant text COLLATE "C",
        micros bigint NOT NULL,
        n bigint NOT NULL,
        PRIMARY KEY (campaign, log_part, currency, is_estimated)
    ) WITH (fillfactor = 50);
    COMMENT ON TABLE campaign_costs IS
        'What a campaign costs so far; summed over partitions by readers.';
    COMMENT ON COLUMN campaign_costs.campaign IS 'Id.';
    COMMENT ON COLUMN campaign_costs.log_part IS
        'Partition that counts; only its owner writes the row.';
    COMMENT ON COLUMN campaign_costs.currency IS 'ISO 4217.';
    COMMENT ON COLUMN campaign_costs.is_estimated IS
        'No price has come; the accounts own estimate.';
    COMMENT ON COLUMN campaign_costs.tenant IS 'Whose it is.';
    COMMENT ON COLUMN campaign_costs.micros IS 'Millionths.';
    COMMENT ON COLUMN campaign_costs.n IS 'Attempts.';
    CREATE TABLE sends_other PARTITION OF sends DEFAULT;
    CREATE TABLE attempts_other PARTITION OF attempts DEFAULT;
    ALTER TABLE sends_other ENABLE ROW LEVEL SECURITY;
    ALTER TABLE attempts_other ENABLE ROW LEVEL SECURITY;

    CREATE INDEX ON sends (campaign, part, row) WHERE campaign IS NOT NULL;
    CREATE INDEX ON attempts USING brin (started_at);
    CREATE INDEX ON campaigns (tenant, created_at DESC, campaign DESC);

    FOREACH t IN ARRAY ARRAY['sends', 'attempts', 'campaigns', 'commands', 'audiences',
                             'audience_parts', 'releases', 'opt_outs', 'lanes', 'dead_letters',
                             'campaign_counters', 'campaign_costs'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I FOR SELECT USING ((SELECT views.sees_all())'
                       ' OR tenant = (SELECT views.seen_tenant()))', t);
    END LOOP;

    -- Analysts see everything but telephone numbers.
    EXECUTE format('GRANT USAGE ON SCHEMA view_g%s TO telehub_analyst', g);
    FOREACH t IN ARRAY ARRAY['sends', 'attempts', 'campaigns', 'commands', 'audiences', 'lanes',
                             'releases', 'dead_letters', 'campaign_counters',
                             'campaign_costs'] LOOP
        EXECUTE format('GRANT SELECT (%s) ON %I TO telehub_analyst',
                       (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                        WHERE attrelid = to_regclass(t) AND attnum > 0 AND NOT attisdropped
                          AND attname NOT IN ('phone', 'places')), t);
    END LOOP;
    PERFORM set_config('search_path', 'pg_catalog', true);
END $$;

-- Begin a generation; what an earlier try left is dropped.
CREATE FUNCTION views.make() RETURNS int LANGUAGE plpgsql AS $$
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
    PERFORM views.add_month(g, now());
    PERFORM views.add_month(g, date_trunc('month', now(), 'UTC') + interval '32 days');
    RETURN g;
END $$;

-- Throw a generation away that is not the current one.
CREATE FUNCTION views.drop(g int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7002, 3);
    DELETE FROM views.generation WHERE gen = g AND state <> 'current';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no generation % that could be dropped', g USING ERRCODE = 'TH409';
    END IF;
    EXECUTE format('DROP SCHEMA IF EXISTS view_g%s CASCADE', g);
END $$;

-- Move the offsets of a batch on, if the views stand where it began, and the generation is still
-- one that is written.
CREATE FUNCTION views.move_on(g int, t int[], p int[], was bigint[], becomes bigint[])
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
    INSERT INTO progress AS x (topic, log_part, next_offset)
        SELECT u.t, u.p, u.becomes FROM unnest(t, p, was, becomes) u(t, p, was, becomes)
        WHERE u.was = 0 ORDER BY u.t, u.p
        ON CONFLICT (topic, log_part) DO NOTHING;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved = cardinality(t) THEN
        RETURN;
    END IF;
    WITH u AS (
        UPDATE progress x SET next_offset = u.becomes
        FROM unnest(t, p, was, becomes) u(t, p, was, becomes)
        WHERE x.topic = u.t AND x.log_part = u.p AND x.next_offset = u.was AND u.was > 0
        RETURNING 1)
    SELECT moved + count(*) INTO moved FROM u;
    IF moved <> cardinality(t) THEN
        RAISE EXCEPTION 'the views do not stand where this batch began' USING ERRCODE = 'THF01';
    END IF;
END $$;
COMMENT ON FUNCTION views.move_on(int, int[], int[], bigint[], bigint[]) IS
    'The generation''s schema stands first in search_path.';
