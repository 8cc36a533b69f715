-- What people query: schema analytics, over the current generation of the views. Each view asks with
-- the rights of whoever asks (security_invoker), so row-level security by tenant holds in it.

CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'For analysts: read-only, each tenant its own rows.';
GRANT USAGE ON SCHEMA analytics TO telehub_analyst;

-- Show generation g, to the gateway and to people, instead of the one before; not if it is behind.
CREATE FUNCTION views.publish(g int) RETURNS void LANGUAGE plpgsql AS $$
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
                             'dead_letters', 'campaign_counters', 'campaign_costs'] LOOP
        EXECUTE format('CREATE OR REPLACE VIEW views.%I AS SELECT * FROM view_g%s.%I', t, g, t);
    END LOOP;
    PERFORM set_config('search_path', format('view_g%s, pg_catalog', g), true);
    PERFORM views.publish_analytics();
    PERFORM set_config('search_path', 'pg_catalog', true);
END $$;

-- The tables of the generation stand first in search_path; views bind to them, not to their names.
CREATE FUNCTION views.publish_analytics() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE OR REPLACE VIEW analytics.campaigns WITH (security_invoker = true) AS
        SELECT c.tenant, c.campaign, c.name, c.channel, c.phase, c.pace_per_min, c.recipients,
               k.reached, k.accepted AS accepted_no_report,
               k.unreached + CASE WHEN c.phase = 'cancelled' THEN c.recipients - c.released
                             ELSE 0 END AS unreached,
               k.suppressed + c.duplicates AS suppressed,
               k.in_doubt + least(k.planned, k.open) AS in_doubt,
               c.recipients - k.reached - k.accepted - k.unreached - k.suppressed - c.duplicates
                   - k.in_doubt - least(k.planned, k.open)
                   - CASE WHEN c.phase = 'cancelled' THEN c.recipients - c.released ELSE 0 END
                   AS unsent,
               round(100.0 * k.reached / nullif(c.recipients, 0), 2) AS reached_percent,
               c.created_at, c.started_at, c.ended_at
        FROM campaigns c
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(n) FILTER (WHERE outcome = 'reached'), 0)::bigint AS reached,
                   coalesce(sum(n) FILTER (WHERE outcome = 'accepted_no_report'), 0)::bigint
                       AS accepted,
                   coalesce(sum(n) FILTER (WHERE outcome = 'unreached'), 0)::bigint AS unreached,
                   coalesce(sum(n) FILTER (WHERE outcome = 'suppressed'), 0)::bigint
                       AS suppressed,
                   coalesce(sum(n) FILTER (WHERE outcome = 'in_doubt'), 0)::bigint AS in_doubt,
                   coalesce(sum(n) FILTER (WHERE outcome = 'planned'), 0)::bigint AS planned,
                   coalesce(sum(n) FILTER (WHERE source = 2), 0)::bigint AS open
            FROM campaign_counters x WHERE x.campaign = c.campaign) k;
    COMMENT ON VIEW analytics.campaigns IS 'Each campaign, and where its recipients stand.';
    COMMENT ON COLUMN analytics.campaigns.tenant IS 'Whose it is.';
    COMMENT ON COLUMN analytics.campaigns.campaign IS 'Id.';
    COMMENT ON COLUMN analytics.campaigns.name IS 'Given by the user.';
    COMMENT ON COLUMN analytics.campaigns.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN analytics.campaigns.phase IS
        'draft, starting, running, pausing, paused, completed, cancelling or cancelled.';
    COMMENT ON COLUMN analytics.campaigns.pace_per_min IS 'Sends in any 60 s; 0: no limit.';
    COMMENT ON COLUMN analytics.campaigns.recipients IS
        'Accepted rows of the audience: the sum of the six counts that follow.';
    COMMENT ON COLUMN analytics.campaigns.reached IS 'A positive final report came.';
    COMMENT ON COLUMN analytics.campaigns.accepted_no_report IS
        'The provider took it; no final report so far.';
    COMMENT ON COLUMN analytics.campaigns.unreached IS 'It ended without reaching anybody.';
    COMMENT ON COLUMN analytics.campaigns.suppressed IS
        'It must not go out: opted out, duplicate.';
    COMMENT ON COLUMN analytics.campaigns.in_doubt IS
        'An attempt was started and nobody knows whether the provider carried it out.';
    COMMENT ON COLUMN analytics.campaigns.unsent IS 'The rest: an attempt may still follow.';
    COMMENT ON COLUMN analytics.campaigns.reached_percent IS 'Of the recipients.';
    COMMENT ON COLUMN analytics.campaigns.created_at IS 'When it was created.';
    COMMENT ON COLUMN analytics.campaigns.started_at IS 'When its run began.';
    COMMENT ON COLUMN analytics.campaigns.ended_at IS 'When it was completed or cancelled.';

    CREATE OR REPLACE VIEW analytics.sends WITH (security_invoker = true) AS
        SELECT s.tenant, s.send, s.campaign, s.part * 1000 + s.row AS ordinal, s.channel,
               CASE WHEN s.outcome <> 'planned' THEN s.outcome
                    WHEN EXISTS (SELECT FROM attempts a WHERE a.send = s.send
                                 AND a.n = s.attempts AND a.state = 'started') THEN 'in_doubt'
                    ELSE 'unsent' END AS outcome,
               s.reason, s.attempts, l.account, s.status, s.requested_at, s.planned_at,
               s.reached_at, s.ended_at, s.changed_at
        FROM sends s LEFT JOIN lanes l ON l.lane = s.lane;
    COMMENT ON VIEW analytics.sends IS
        'Each send: one intended contact with one recipient. Without telephone numbers.';
    COMMENT ON COLUMN analytics.sends.tenant IS 'Whose it is.';
    COMMENT ON COLUMN analytics.sends.send IS 'Id.';
    COMMENT ON COLUMN analytics.sends.campaign IS 'Campaign; null: asked for through the API.';
    COMMENT ON COLUMN analytics.sends.ordinal IS 'Place of the recipient in the audience.';
    COMMENT ON COLUMN analytics.sends.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN analytics.sends.outcome IS
        'reached, accepted_no_report, unreached, suppressed, in_doubt or unsent.';
    COMMENT ON COLUMN analytics.sends.reason IS 'Of unreached and suppressed: why.';
    COMMENT ON COLUMN analytics.sends.attempts IS 'How many were planned.';
    COMMENT ON COLUMN analytics.sends.account IS 'Provider account of the last attempt.';
    COMMENT ON COLUMN analytics.sends.status IS 'What the provider reported last.';
    COMMENT ON COLUMN analytics.sends.requested_at IS 'When it was asked for.';
    COMMENT ON COLUMN analytics.sends.planned_at IS 'When the last attempt was planned.';
    COMMENT ON COLUMN analytics.sends.reached_at IS 'When the positive report came in.';
    COMMENT ON COLUMN analytics.sends.ended_at IS 'When it ended: no attempt follows.';
    COMMENT ON COLUMN analytics.sends.changed_at IS 'Time of the newest event about it.';

    CREATE OR REPLACE VIEW analytics.attempts WITH (security_invoker = true) AS
        SELECT a.tenant, a.send, a.n, a.campaign, a.channel, a.lane, l.account, l.wire, a.sender,
               a.segments, a.state, coalesce(a.outcome_reason, a.returned_reason) AS reason,
               a.error_class, a.status, a.status_is_final AS is_final,
               a.status_is_positive AS is_reached, a.status_reason, a.provider_id, a.http_status,
               a.provider_code, a.started_at, a.call_us / 1000.0 AS call_ms, a.ringing_at,
               a.answered_at, a.ended_at, nullif(a.duration_s, 0) AS duration_s,
               CASE WHEN a.priced_at IS NOT NULL THEN a.price_micros
                    WHEN a.state IN ('started', 'unknown', 'in_doubt', 'accepted')
                    THEN a.estimate_micros ELSE 0 END / 1000000.0 AS cost,
               CASE WHEN a.priced_at IS NOT NULL THEN a.price_currency
                    ELSE a.estimate_currency END AS currency,
               a.priced_at IS NULL AS is_cost_estimated
        FROM attempts a LEFT JOIN lanes l ON l.lane = a.lane;
    COMMENT ON VIEW analytics.attempts IS
        'Each attempt at a provider. Without telephone numbers.';
    COMMENT ON COLUMN analytics.attempts.tenant IS 'Whose it is.';
    COMMENT ON COLUMN analytics.attempts.send IS 'The send that it tries.';
    COMMENT ON COLUMN analytics.attempts.n IS 'Number of the attempt, from 1.';
    COMMENT ON COLUMN analytics.attempts.campaign IS 'Campaign, if it is part of one.';
    COMMENT ON COLUMN analytics.attempts.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN analytics.attempts.lane IS 'Number of the provider account.';
    COMMENT ON COLUMN analytics.attempts.account IS 'Name of the provider account.';
    COMMENT ON COLUMN analytics.attempts.wire IS 'Which connector speaks to it.';
    COMMENT ON COLUMN analytics.attempts.sender IS 'What the recipient sees as the sender.';
    COMMENT ON COLUMN analytics.attempts.segments IS 'Of an SMS, by our count.';
    COMMENT ON COLUMN analytics.attempts.state IS
        'started, accepted, rejected, throttled, not_sent, unknown, not_executed, in_doubt or '
        'returned.';
    COMMENT ON COLUMN analytics.attempts.reason IS 'Why, if it was not accepted.';
    COMMENT ON COLUMN analytics.attempts.error_class IS 'What the error asks for.';
    COMMENT ON COLUMN analytics.attempts.status IS 'What the provider reported last.';
    COMMENT ON COLUMN analytics.attempts.is_final IS 'No further report is expected.';
    COMMENT ON COLUMN analytics.attempts.is_reached IS 'The recipient was reached.';
    COMMENT ON COLUMN analytics.attempts.status_reason IS 'Why the recipient was not reached.';
    COMMENT ON COLUMN analytics.attempts.provider_id IS 'The provider''s name of it.';
    COMMENT ON COLUMN analytics.attempts.http_status IS 'Of the answer; 0: none came.';
    COMMENT ON COLUMN analytics.attempts.provider_code IS 'The provider''s error code.';
    COMMENT ON COLUMN analytics.attempts.started_at IS 'When its start was committed.';
    COMMENT ON COLUMN analytics.attempts.call_ms IS 'From there to the provider''s answer.';
    COMMENT ON COLUMN analytics.attempts.ringing_at IS 'Of a call.';
    COMMENT ON COLUMN analytics.attempts.answered_at IS 'Of a call.';
    COMMENT ON COLUMN analytics.attempts.ended_at IS 'Time of the first final report.';
    COMMENT ON COLUMN analytics.attempts.duration_s IS 'Of the conversation.';
    COMMENT ON COLUMN analytics.attempts.cost IS 'The provider''s price, or our estimate.';
    COMMENT ON COLUMN analytics.attempts.currency IS 'ISO 4217.';
    COMMENT ON COLUMN analytics.attempts.is_cost_estimated IS 'No price has come.';

    CREATE OR REPLACE VIEW analytics.provider_hourly WITH (security_invoker = true) AS
        SELECT a.tenant, date_trunc('hour', a.started_at, 'UTC') AS hour, a.lane, l.account,
               l.wire, a.channel, count(*) AS attempts,
               count(*) FILTER (WHERE a.state = 'accepted') AS accepted,
               count(*) FILTER (WHERE a.state = 'rejected') AS rejected,
               count(*) FILTER (WHERE a.state = 'throttled') AS throttled,
               count(*) FILTER (WHERE a.state IN ('not_sent', 'not_executed')) AS not_sent,
               count(*) FILTER (WHERE a.state IN ('started', 'unknown', 'in_doubt')) AS in_doubt,
               count(*) FILTER (WHERE a.status_is_positive) AS reached,
               count(*) FILTER (WHERE a.status_is_final AND NOT a.status_is_positive) AS failed,
               round(avg(a.call_us) FILTER (WHERE a.call_us > 0) / 1000, 1) AS call_ms_mean,
               (percentile_cont(0.95) WITHIN GROUP (ORDER BY a.call_us)
                   FILTER (WHERE a.call_us > 0) / 1000)::numeric(12, 1) AS call_ms_p95
        FROM attempts a LEFT JOIN lanes l ON l.lane = a.lane
        WHERE a.started_at IS NOT NULL
        GROUP BY a.tenant, date_trunc('hour', a.started_at, 'UTC'), a.lane, l.account, l.wire,
                 a.channel;
    COMMENT ON VIEW analytics.provider_hourly IS 'How each provider account did, hour by hour.';
    COMMENT ON COLUMN analytics.provider_hourly.tenant IS 'Whose account it is.';
    COMMENT ON COLUMN analytics.provider_hourly.hour IS 'Beginning of the hour, UTC.';
    COMMENT ON COLUMN analytics.provider_hourly.lane IS 'Number of the provider account.';
    COMMENT ON COLUMN analytics.provider_hourly.account IS 'Name of the provider account.';
    COMMENT ON COLUMN analytics.provider_hourly.wire IS 'Which connector speaks to it.';
    COMMENT ON COLUMN analytics.provider_hourly.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN analytics.provider_hourly.attempts IS 'Started within the hour.';
    COMMENT ON COLUMN analytics.provider_hourly.accepted IS 'Taken by the provider.';
    COMMENT ON COLUMN analytics.provider_hourly.rejected IS 'Refused for good.';
    COMMENT ON COLUMN analytics.provider_hourly.throttled IS 'Not taken: too many requests.';
    COMMENT ON COLUMN analytics.provider_hourly.not_sent IS 'The provider did not carry it out.';
    COMMENT ON COLUMN analytics.provider_hourly.in_doubt IS 'It is not known.';
    COMMENT ON COLUMN analytics.provider_hourly.reached IS 'A positive final report came.';
    COMMENT ON COLUMN analytics.provider_hourly.failed IS 'A final report of failure came.';
    COMMENT ON COLUMN analytics.provider_hourly.call_ms_mean IS 'Time to the answer, mean.';
    COMMENT ON COLUMN analytics.provider_hourly.call_ms_p95 IS 'Time to the answer, 95 %.';

    CREATE OR REPLACE VIEW analytics.cost_by_day WITH (security_invoker = true) AS
        SELECT a.tenant, (a.started_at AT TIME ZONE 'UTC')::date AS day, a.campaign, l.account,
               a.channel, c.currency, c.is_estimated, count(*) AS attempts,
               sum(c.micros) / 1000000.0 AS amount
        FROM attempts a LEFT JOIN lanes l ON l.lane = a.lane
        CROSS JOIN LATERAL (
            SELECT a.priced_at IS NULL AS is_estimated,
                   CASE WHEN a.priced_at IS NOT NULL THEN a.price_currency
                        ELSE a.estimate_currency END AS currency,
                   CASE WHEN a.priced_at IS NOT NULL THEN a.price_micros
                        ELSE a.estimate_micros END AS micros) c
        WHERE a.started_at IS NOT NULL AND c.currency IS NOT NULL
          AND (a.priced_at IS NOT NULL
               OR a.state IN ('started', 'unknown', 'in_doubt', 'accepted'))
        GROUP BY a.tenant, (a.started_at AT TIME ZONE 'UTC')::date, a.campaign, l.account,
                 a.channel, c.currency, c.is_estimated;
    COMMENT ON VIEW analytics.cost_by_day IS 'What was spent, day by day.';
    COMMENT ON COLUMN analytics.cost_by_day.tenant IS 'Who pays.';
    COMMENT ON COLUMN analytics.cost_by_day.day IS 'Day of the start, UTC.';
    COMMENT ON COLUMN analytics.cost_by_day.campaign IS 'Campaign; null: through the API.';
    COMMENT ON COLUMN analytics.cost_by_day.account IS 'Provider account.';
    COMMENT ON COLUMN analytics.cost_by_day.channel IS 'sms, call or whatsapp.';
    COMMENT ON COLUMN analytics.cost_by_day.currency IS 'ISO 4217.';
    COMMENT ON COLUMN analytics.cost_by_day.is_estimated IS
        'True: the provider has named no price yet; the account''s own estimate.';
    COMMENT ON COLUMN analytics.cost_by_day.attempts IS 'How many.';
    COMMENT ON COLUMN analytics.cost_by_day.amount IS 'In units of the currency.';

    GRANT SELECT ON analytics.campaigns, analytics.sends, analytics.attempts,
        analytics.provider_hourly, analytics.cost_by_day TO telehub_analyst;
END $$;

-- The first generation, empty, so that there is something to ask from the first moment on.
SELECT views.publish(views.make());
