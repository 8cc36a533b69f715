/* The gateway's questions, asked of views that were folded from a log. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/dead_letter.h"
#include "processors/materialize/fold.h"
#include "tests/integration/views_story.h"
#include "tests/integration/views_world.h"

#define STORY_S INT64_C(1793000000) /* when the story's campaigns start */

static struct views_world world;
static struct th_arena arena;

static const struct th_str us = {"pratham", 7};
static const struct th_str them = {"other-tenant", 12};

static int64_t at_s(int64_t s)
{
    return (STORY_S + s) * TH_US_PER_SEC;
}

static int64_t ask(const char *sql)
{
    const struct pg_statement statement = {sql};

    return log_cluster_admin(&world.logs, &statement, NULL);
}

/* One more event; where it lies. */
static struct log_place tell(enum topic topic, struct th_str tenant, struct th_id key,
                             struct event *event)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    char name[128];
    char text[TH_ID_TEXT_LEN + 1];
    struct log_place place;
    struct th_err err = {0};

    event_meta_mut(event)->tenant = tenant;
    event_meta_mut(event)->actor = TH_STR("test");
    if (th_id_is_zero(event_meta(event)->event_id))
        assert_int_equal(th_id_random(STORY_S * 1000, &event_meta_mut(event)->event_id, &err),
                         TH_OK);
    assert_int_equal(event_encode(event, &value), TH_OK);
    th_id_text(key, text);
    (void)snprintf(name, sizeof name, "%.*s/%s", TH_ARG(tenant), text);
    const struct log_output output = {
        .topic = topic, .part = -1, .key = th_str(name), .value = th_buf_str(&value)};
    if (th_log_append(world.log, &output, 1, &place, &err) != TH_OK)
        fail_msg("%s", err.text);
    return place;
}

/* --- certificate and recipients ----------------------------------------------------------------
 */

static struct view_certificate certificate_of(struct th_str tenant, struct th_id campaign)
{
    struct view_certificate certificate;
    struct th_err err = {0};

    if (world.views->ops->certificate(world.views, tenant, campaign, &arena, &certificate, &err) !=
        TH_OK)
        fail_msg("%s", err.text);
    return certificate;
}

static int64_t count_of(const struct view_reason *reasons, size_t n, const char *reason)
{
    int64_t found = 0;

    for (size_t i = 0; i < n; i++) {
        if (i)
            assert_true(th_str_cmp(reasons[i - 1].reason, reasons[i].reason) < 0);
        if (th_str_eq(reasons[i].reason, th_str(reason)))
            found = reasons[i].n;
    }
    return found;
}

static int64_t sum_of(const struct view_reason *reasons, size_t n)
{
    int64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += reasons[i].n;
    return sum;
}

static void assert_partition(const struct view_certificate *c)
{
    assert_int_equal(c->audience,
                     c->reached + c->accepted_no_report + sum_of(c->unreached, c->unreached_n) +
                         sum_of(c->suppressed, c->suppressed_n) + c->in_doubt + c->unsent);
}

/* How many sends of the story end in that set. */
static int64_t fated(uint64_t seed, const char *set)
{
    int64_t n = 0;

    for (int32_t ordinal = 0; ordinal < STORY_RECIPIENTS; ordinal++) {
        const char *outcome = story_outcome(seed, ordinal);
        n += outcome && strcmp(outcome, set) == 0;
    }
    return n;
}

static void test_a_certificate_partitions_the_audience(void **unused)
{
    (void)unused;
    struct view_certificate c = certificate_of(us, story_campaign(OURS));
    int64_t unreleased = STORY_RECIPIENTS - STORY_SENDS - STORY_DUPLICATES;

    assert_partition(&c);
    assert_false(c.is_final);
    assert_int_equal(c.audience, STORY_RECIPIENTS);
    assert_int_equal(c.reached, fated(OURS, "reached"));
    assert_int_equal(c.accepted_no_report, fated(OURS, "accepted_no_report"));
    assert_int_equal(sum_of(c.unreached, c.unreached_n), fated(OURS, "unreached"));
    assert_int_equal(count_of(c.unreached, c.unreached_n, "unreachable") +
                         count_of(c.unreached, c.unreached_n, "invalid_number"),
                     fated(OURS, "unreached"));
    assert_int_equal(count_of(c.suppressed, c.suppressed_n, "duplicate"), STORY_DUPLICATES);
    assert_int_equal(count_of(c.suppressed, c.suppressed_n, "opted_out"),
                     fated(OURS, "suppressed"));
    assert_int_equal(c.suppressed_n, 2);
    assert_int_equal(c.in_doubt, fated(OURS, "in_doubt"));
    assert_int_equal(c.unsent, fated(OURS, "unsent") + unreleased);
    assert_int_equal(c.cost_n, 2);
    assert_false(c.cost[0].is_estimated);
    assert_true(c.cost[1].is_estimated);
    assert_string_equal(c.cost[0].amount.currency, "INR");
    assert_int_equal(c.cost[0].amount.micros,
                     ask("SELECT sum(price_micros)::int8 FROM views.attempts"
                         " WHERE tenant = 'pratham' AND priced_at IS NOT NULL"));
}

/* All recipients of an outcome, page by page. */
static size_t list_all(struct th_str outcome, size_t limit, struct view_recipient *out)
{
    struct view_recipient *at;
    struct th_err err = {0};
    int64_t after = -1;
    size_t total = 0;
    size_t n;

    do {
        if (world.views->ops->recipients(world.views, us, story_campaign(OURS), outcome, after,
                                         limit, &arena, &at, &n, &after, &err) != TH_OK)
            fail_msg("%.*s: %s", TH_ARG(outcome), err.text);
        assert_true(n <= limit);
        assert_true(total + n <= STORY_RECIPIENTS);
        for (size_t i = 0; i < n; i++)
            out[total++] = at[i];
    } while (after >= 0);
    for (size_t i = 1; i < total; i++)
        assert_true(out[i - 1].ordinal < out[i].ordinal);
    return total;
}

static struct view_recipient *room(void)
{
    struct view_recipient *list = th_arena_array(&arena, STORY_RECIPIENTS, sizeof *list);

    assert_non_null(list);
    return list;
}

static void assert_named(const struct view_recipient *one)
{
    char phone[32];

    (void)snprintf(phone, sizeof phone, "+9190000%05d", (int)one->ordinal);
    assert_str_equal(one->phone, th_str(phone));
    assert_str_equal(one->lang, TH_STR("hi"));
    assert_int_equal(one->source_row, one->ordinal % 1000 + 1);
}

static void assert_as_told(const struct view_recipient *one)
{
    const char *outcome = story_outcome(OURS, (int32_t)one->ordinal);

    assert_named(one);
    assert_int_equal(one->has_send, outcome != NULL);
    if (!outcome) {
        bool is_twice = one->ordinal < 1000;
        assert_str_equal(one->set, is_twice ? TH_STR("suppressed") : TH_STR("unsent"));
        assert_str_equal(one->reason, is_twice ? TH_STR("duplicate") : TH_STR(""));
        assert_int_equal(one->attempts, 0);
        assert_int_equal(one->at_us != 0, is_twice);
        return;
    }
    struct th_id send = story_send(OURS, (int32_t)one->ordinal);
    assert_str_equal(one->set, th_str(outcome));
    assert_true(th_id_eq(one->send, send));
    assert_true(one->at_us > 0);
    assert_int_equal(one->reason.n > 0,
                     strcmp(outcome, "unreached") == 0 || strcmp(outcome, "suppressed") == 0);
}

static void test_every_recipient_is_in_one_set(void **unused)
{
    (void)unused;
    static const char *const sets[] = {"reached",    "accepted_no_report", "unreached",
                                       "suppressed", "in_doubt",           "unsent"};
    struct view_recipient *list = room();
    bool is_seen[STORY_RECIPIENTS] = {false};
    size_t total = 0;

    for (size_t i = 0; i < TH_LEN(sets); i++) {
        size_t n = list_all(th_str(sets[i]), 70, list);
        print_message("  %s: %zu\n", sets[i], n);
        for (size_t k = 0; k < n; k++) {
            assert_str_equal(list[k].set, th_str(sets[i]));
            assert_as_told(&list[k]);
            assert_false(is_seen[list[k].ordinal]);
            is_seen[list[k].ordinal] = true;
        }
        total += n;
    }
    assert_int_equal(total, STORY_RECIPIENTS);
}

static void test_keys_of_the_certificate_name_recipients(void **unused)
{
    (void)unused;
    struct view_certificate c = certificate_of(us, story_campaign(OURS));
    struct view_recipient *list = room();
    const struct {
        const char *outcome;
        int64_t n;
    } cases[] = {
        {"", STORY_RECIPIENTS},
        {"reached", c.reached},
        {"accepted_no_report", c.accepted_no_report},
        {"unreached", sum_of(c.unreached, c.unreached_n)},
        {"unreached:unreachable", count_of(c.unreached, c.unreached_n, "unreachable")},
        {"unreached:opted_out", 0},
        {"invalid_number", count_of(c.unreached, c.unreached_n, "invalid_number")},
        {"suppressed", sum_of(c.suppressed, c.suppressed_n)},
        {"suppressed:opted_out", count_of(c.suppressed, c.suppressed_n, "opted_out")},
        {"duplicate", STORY_DUPLICATES},
        {"in_doubt", c.in_doubt},
        {"unsent", c.unsent},
        {"busy", 0},
    };
    static const char *const bad[] = {"Reached", "reached:x", "unreached:", "a b", "';--"};
    struct view_recipient *at;
    struct th_err err = {0};
    int64_t next;
    size_t n;

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s: %d\n", cases[i].outcome, (int)cases[i].n);
        assert_int_equal(list_all(th_str(cases[i].outcome), 1000, list), cases[i].n);
    }
    for (size_t i = 0; i < TH_LEN(bad); i++)
        assert_int_equal(world.views->ops->recipients(world.views, us, story_campaign(OURS),
                                                      th_str(bad[i]), -1, 10, &arena, &at, &n,
                                                      &next, &err),
                         TH_INVALID);
}

/* --- sends ---------------------------------------------------------------------------------- */

static struct view_send send_of(int32_t ordinal)
{
    struct view_send send;
    struct th_err err = {0};

    if (world.views->ops->send(world.views, us, story_send(OURS, ordinal), &arena, &send, &err) !=
        TH_OK)
        fail_msg("%s", err.text);
    assert_true(th_id_eq(send.id, story_send(OURS, ordinal)));
    assert_int_equal(send.ordinal, ordinal);
    assert_true(send.has_campaign);
    assert_true(th_id_eq(send.campaign, story_campaign(OURS)));
    return send;
}

/* Each attempt's state where its number says, an attempt that no one has seen yet as planned. */
static void test_a_recipient_says_what_each_attempt_came_to(void **unused)
{
    struct view_recipient *list = room();
    size_t n = list_all(TH_STR(""), 1000, list);
    size_t seen = 0;

    (void)unused;
    for (size_t i = 0; i<n; i += list[i].attempts> 1 ? 1 : 7) {
        struct th_str states = list[i].states;
        struct th_str state;

        if (!list[i].has_send) {
            assert_int_equal(states.n, 0);
            continue;
        }
        struct view_send send = send_of((int32_t)list[i].ordinal);
        size_t k = 0;
        for (int32_t attempt = 1; attempt <= list[i].attempts; attempt++) {
            (void)th_str_cut(states, ',', &state, &states);
            bool is_seen = k < send.attempts_n && send.attempts[k].n == attempt;
            assert_str_equal(state, is_seen ? send.attempts[k].state : TH_STR("planned"));
            k += is_seen;
            seen += is_seen;
        }
        assert_int_equal(states.n, 0);
    }
    assert_true(seen > 100);
}

static size_t count_type(const struct view_send *send, const char *type)
{
    size_t n = 0;

    for (size_t i = 0; i < send->timeline_n; i++)
        n += th_str_eq(send->timeline[i].type, th_str(type));
    return n;
}

static void test_a_send_tells_its_story(void **unused)
{
    (void)unused;
    struct view_send send = send_of(1005); /* unknown, not executed, tried again, delivered */

    assert_str_equal(send.set, TH_STR("reached"));
    assert_str_equal(send.phone, TH_STR("+919000001005"));
    assert_str_equal(send.channel, TH_STR("sms"));
    assert_int_equal(send.requested_us, at_s(1));
    assert_int_equal(send.attempts_n, 2);
    assert_int_equal(send.attempts[0].n, 1);
    assert_str_equal(send.attempts[0].state, TH_STR("not_executed"));
    assert_int_equal(send.attempts[0].cost.micros, 0);
    assert_str_equal(send.attempts[1].state, TH_STR("accepted"));
    assert_str_equal(send.attempts[1].account, TH_STR("beta"));
    assert_str_equal(send.attempts[1].sender, TH_STR("PRATHM"));
    assert_str_equal(send.attempts[1].status, TH_STR("delivered"));
    assert_int_equal(send.attempts[1].started_us, at_s(21));
    assert_int_equal(send.attempts[1].ended_us, at_s(7));
    assert_int_equal(send.attempts[1].cost.micros, 200000);
    assert_true(send.attempts[1].is_cost_estimated);

    assert_str_equal(send.timeline[0].type, TH_STR("SendRequested"));
    assert_int_equal(count_type(&send, "SendPlanned"), 2);
    assert_int_equal(count_type(&send, "AttemptResolved"), 1);
    assert_int_equal(count_type(&send, "RetryScheduled"), 1);
    assert_true(count_type(&send, "AttemptReported") >= 2);
    for (size_t i = 0; i < send.timeline_n; i++) {
        if (i)
            assert_true(send.timeline[i - 1].at_us <= send.timeline[i].at_us);
        assert_true(send.timeline[i].json.n > 2);
        assert_int_equal(send.timeline[i].json.p[0], '{');
    }
}

static void test_a_price_replaces_the_estimate(void **unused)
{
    (void)unused;
    struct view_send send = send_of(1003);

    assert_str_equal(send.set, TH_STR("unreached"));
    assert_str_equal(send.reason, TH_STR("unreachable"));
    assert_int_equal(send.attempts_n, 1);
    assert_str_equal(send.attempts[0].reason, TH_STR("unreachable"));
    assert_int_equal(send.attempts[0].cost.micros, 310000);
    assert_false(send.attempts[0].is_cost_estimated);
}

static void test_what_waits_in_a_lane_is_told_from_what_was_started(void **unused)
{
    (void)unused;
    struct view_send started = send_of(1008);
    struct view_send waiting = send_of(1009);

    assert_str_equal(started.set, TH_STR("in_doubt"));
    assert_int_equal(started.attempts_n, 1);
    assert_str_equal(started.attempts[0].state, TH_STR("started"));
    assert_str_equal(waiting.set, TH_STR("unsent"));
    assert_int_equal(waiting.attempts_n, 0);
}

static void test_a_send_of_the_api_has_its_own_number(void **unused)
{
    (void)unused;
    struct event event = {.type = EVENT_SEND_REQUESTED};
    struct view_send send;
    struct th_err err = {0};
    struct th_id id;

    assert_int_equal(th_id_random(STORY_S * 1000, &id, &err), TH_OK);
    event.as.send_requested = (struct send_requested){
        .meta.time_us = at_s(40),
        .send = id,
        .channel = CHANNEL_CALL,
        .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT,
                   .as.send_content.to = {.is = STRING_OR_SEALED_STRING,
                                          .as.string = TH_STR("+919876543210")}}};
    tell(TOPIC_SEND_REQUESTS, us, id, &event);
    assert_int_equal(world.views->ops->send(world.views, us, id, &arena, &send, &err),
                     TH_NOT_FOUND);
    views_world_fold(&world);
    assert_int_equal(world.views->ops->send(world.views, us, id, &arena, &send, &err), TH_OK);
    assert_false(send.has_campaign);
    assert_str_equal(send.phone, TH_STR("+919876543210"));
    assert_str_equal(send.channel, TH_STR("call"));
    assert_str_equal(send.set, TH_STR("unsent"));
    assert_int_equal(send.timeline_n, 1);
    assert_str_equal(send.timeline[0].type, TH_STR("SendRequested"));
}

/* --- campaigns, commands, audiences, opt-outs ------------------------------------------------ */

static void test_a_campaign_and_its_audience(void **unused)
{
    (void)unused;
    struct view_campaign campaign;
    struct view_audience found;
    struct th_err err = {0};

    assert_int_equal(
        world.views->ops->campaign(world.views, us, story_campaign(OURS), &arena, &campaign, &err),
        TH_OK);
    assert_true(th_id_eq(campaign.id, story_campaign(OURS)));
    assert_true(th_id_eq(campaign.audience, story_audience(OURS)));
    assert_str_equal(campaign.name, TH_STR("exam results"));
    assert_str_equal(campaign.phase, TH_STR("running"));
    assert_str_equal(campaign.channel, TH_STR("sms"));
    assert_int_equal(campaign.run, 1);
    assert_int_equal(campaign.recipients, STORY_RECIPIENTS);
    assert_int_equal(campaign.created_us, at_s(-10));
    assert_int_equal(campaign.started_us, at_s(0));
    assert_int_equal(campaign.ended_us, 0);
    assert_int_equal(campaign.refused_code.n, 0);

    assert_int_equal(
        world.views->ops->audience(world.views, us, campaign.audience, &arena, &found, &err),
        TH_OK);
    assert_str_equal(found.name, TH_STR("students"));
    assert_true(found.is_sealed);
    assert_int_equal(found.parts, STORY_PARTS);
    assert_int_equal(found.recipients, STORY_RECIPIENTS);
    assert_int_equal(found.rejected, STORY_PARTS);
    assert_int_equal(found.created_us, at_s(-200));
}

static void test_campaigns_page_by_page(void **unused)
{
    (void)unused;
    struct view_campaign *at;
    struct view_campaign newest = {0};
    struct th_err err = {0};
    struct th_id id;
    const struct th_id *after = NULL;
    size_t total = 0;
    size_t n;

    for (int i = 0; i < 7; i++) { /* two and two are made in one moment */
        assert_int_equal(th_id_random(STORY_S * 1000, &id, &err), TH_OK);
        struct event event = {.type = EVENT_CAMPAIGN_CREATED,
                              .as.campaign_created = {.meta.time_us = at_s(100 + i / 2),
                                                      .campaign = id,
                                                      .spec.name = TH_STR("another")}};
        tell(TOPIC_CAMPAIGN_EVENTS, us, id, &event);
    }
    /* Refused, and never created. */
    assert_int_equal(th_id_random(STORY_S * 1000, &id, &err), TH_OK);
    struct event refused = {.type = EVENT_COMMAND_REFUSED,
                            .as.command_refused = {.meta.time_us = at_s(200),
                                                   .campaign = id,
                                                   .command = TH_STR("start"),
                                                   .code = TH_STR("no_such_campaign")}};
    tell(TOPIC_CAMPAIGN_EVENTS, us, id, &refused);
    views_world_fold(&world);
    assert_int_equal(world.views->ops->campaign(world.views, us, id, &arena, &newest, &err),
                     TH_NOT_FOUND);

    do {
        assert_int_equal(
            world.views->ops->campaigns(world.views, us, after, 3, &arena, &at, &n, &err), TH_OK);
        for (size_t i = 0; i < n; i++) {
            assert_true(
                total + i == 0 || newest.created_us > at[i].created_us ||
                (newest.created_us == at[i].created_us && th_id_cmp(newest.id, at[i].id) > 0));
            newest = at[i];
        }
        total += n;
        after = n ? &at[n - 1].id : NULL;
    } while (n);
    assert_int_equal(total, 8);
    assert_true(th_id_eq(newest.id, story_campaign(OURS)));
}

static void test_commands(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *kind;
        enum view_command_status status;
        const char *code;
    } cases[] = {
        {"a campaign was created", "CreateCampaign", VIEW_COMMAND_APPLIED, ""},
        {"its start was applied by an event that names no cause", "StartCampaign",
         VIEW_COMMAND_APPLIED, ""},
        {"a pause was refused", "PauseCampaign", VIEW_COMMAND_REFUSED, "not_running"},
    };
    struct view_command command;
    struct th_err err = {0};

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(world.views->ops->command(world.views, us, story_command(OURS, (int)i),
                                                   &arena, &command, &err),
                         TH_OK);
        assert_true(th_id_eq(command.id, story_command(OURS, (int)i)));
        assert_true(th_id_eq(command.campaign, story_campaign(OURS)));
        assert_str_equal(command.kind, th_str(cases[i].kind));
        assert_int_equal(command.status, cases[i].status);
        assert_str_equal(command.code, th_str(cases[i].code));
    }

    struct event event = {.type = EVENT_CANCEL_CAMPAIGN,
                          .as.cancel_campaign.campaign = story_campaign(OURS)};
    tell(TOPIC_CAMPAIGN_COMMANDS, us, story_campaign(OURS), &event);
    views_world_fold(&world);
    assert_int_equal(world.views->ops->command(world.views, us,
                                               event.as.cancel_campaign.meta.event_id, &arena,
                                               &command, &err),
                     TH_OK);
    assert_int_equal(command.status, VIEW_COMMAND_PENDING);
    assert_str_equal(command.kind, TH_STR("CancelCampaign"));
}

static void test_opt_outs_in_force(void **unused)
{
    (void)unused;
    struct view_opt_out *at;
    struct th_err err = {0};
    int64_t after = INT64_MIN;
    size_t total = 0;
    size_t n;

    do {
        assert_int_equal(
            world.views->ops->opt_outs(world.views, us, after, 3, &arena, &at, &n, &err), TH_OK);
        for (size_t i = 0; i < n; i++) {
            assert_true(at[i].contact > after);
            after = at[i].contact;
            assert_true(th_str_starts(at[i].phone, TH_STR("+9190000")));
            assert_str_equal(at[i].source, TH_STR("api"));
            assert_true(at[i].since_us >= at_s(0) && at[i].since_us < at_s(7));
        }
        total += n;
    } while (n);
    assert_int_equal(total, 4); /* of seven, three were taken back */
}

/* --- dead letters ------------------------------------------------------------------------------
 */

static void test_dead_letters_and_their_ends(void **unused)
{
    (void)unused;
    const struct th_id key = story_campaign(OURS);
    struct event event = {.type = EVENT_DEAD_LETTER,
                          .as.dead_letter = {.meta.time_us = at_s(1),
                                             .topic = TH_STR("send.requests"),
                                             .key = TH_STR("pratham/x"),
                                             .value = TH_STR("\1 not a record"),
                                             .consumer = TH_STR("retry"),
                                             .code = TH_STR("TH_MALFORMED"),
                                             .detail = TH_STR("it has no schema")}};
    struct view_dead_record dead;
    struct view_dead_letter *at;
    struct view_troubles before;
    struct view_troubles after;
    struct th_err err = {0};
    size_t n;

    views_world_fold(&world);
    assert_int_equal(world.views->ops->troubles(world.views, &before, &err), TH_OK);
    (void)tell(TOPIC_DEAD_LETTERS, us, key, &event);
    const struct th_id id = event_meta(&event)->event_id;
    views_world_fold(&world);
    assert_int_equal(world.views->ops->troubles(world.views, &after, &err), TH_OK);
    assert_int_equal(after.dead_letters, before.dead_letters + 1);
    assert_int_equal(world.views->ops->dead_letter(world.views, id, &arena, &dead, &err), TH_OK);
    assert_str_equal(dead.key, TH_STR("pratham/x"));
    assert_str_equal(dead.value, TH_STR("\1 not a record"));
    assert_true(dead_letter_has_origin(dead.headers)); /* the letter's own place: it names none */
    assert_str_equal(dead.letter.detail, TH_STR("it has no schema"));
    assert_int_equal(dead.letter.settled.n, 0);

    print_message("  settled, it is listed only when asked for; what came first counts\n");
    event = (struct event){.type = EVENT_DEAD_LETTER_SETTLED,
                           .as.dead_letter_settled = {.meta.time_us = at_s(2), .letter = id}};
    (void)tell(TOPIC_DEAD_LETTERS, us, key, &event);
    event = (struct event){.type = EVENT_DEAD_LETTER_SETTLED,
                           .as.dead_letter_settled = {.meta.time_us = at_s(3),
                                                      .letter = id,
                                                      .end = DEAD_LETTER_END_DISCARDED}};
    (void)tell(TOPIC_DEAD_LETTERS, us, key, &event);
    views_world_fold(&world);
    assert_int_equal(world.views->ops->troubles(world.views, &after, &err), TH_OK);
    assert_int_equal(after.dead_letters, before.dead_letters);
    assert_int_equal(
        world.views->ops->dead_letters(world.views, true, NULL, 1000, &arena, &at, &n, &err),
        TH_OK);
    assert_int_equal(n, before.dead_letters);
    assert_int_equal(
        world.views->ops->dead_letters(world.views, false, NULL, 1000, &arena, &at, &n, &err),
        TH_OK);
    assert_int_equal(n, before.dead_letters + 1);
    assert_int_equal(
        world.views->ops->dead_letters(world.views, false, &at[n - 1].id, 5, &arena, &at, &n, &err),
        TH_OK);
    assert_int_equal(n, 0);
    assert_int_equal(world.views->ops->dead_letter(world.views, id, &arena, &dead, &err), TH_OK);
    assert_str_equal(dead.letter.settled, TH_STR("replayed"));
    assert_true(dead.letter.settled_us == at_s(2));
    assert_int_equal(world.views->ops->dead_letter(world.views, key, &arena, &dead, &err),
                     TH_NOT_FOUND);
}

/* --- sends that were given up -------------------------------------------------------------------
 */

static void give_up(struct th_str tenant, int32_t ordinal, const char *reason)
{
    struct th_id send = story_send(th_str_eq(tenant, us) ? OURS : THEIRS, ordinal);
    struct event rejected = {.type = EVENT_ATTEMPT_RESULT,
                             .as.attempt_result = {.meta.time_us = at_s(300),
                                                   .send = send,
                                                   .n = 9,
                                                   .lane = 1,
                                                   .outcome = ATTEMPT_OUTCOME_REJECTED,
                                                   .reason = TH_STR("account_suspended")}};
    struct event ended = {
        .type = EVENT_SEND_ENDED,
        .as.send_ended = {
            .meta.time_us = at_s(301), .send = send, .n = 9, .reason = th_str(reason)}};

    (void)tell(TOPIC_SEND_OUTCOMES, tenant, send, &rejected);
    (void)tell(TOPIC_SEND_EVENTS, tenant, send, &ended);
}

/* All of them, page by page; they come with falling ids. */
static size_t list_exhausted(size_t limit, struct view_exhausted *out, size_t max)
{
    struct view_exhausted *at;
    struct th_err err = {0};
    struct th_id next = {{0}};
    size_t total = 0;
    size_t n;

    do {
        if (world.views->ops->exhausted(world.views, total ? &next : NULL, limit, &arena, &at, &n,
                                        &next, &err) != TH_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < n; i++) {
            assert_true(total < max);
            out[total++] = at[i];
        }
    } while (!th_id_is_zero(next));
    for (size_t i = 1; i < total; i++)
        assert_true(th_id_cmp(out[i - 1].send, out[i].send) > 0);
    return total;
}

static void test_sends_that_were_given_up(void **unused)
{
    (void)unused;
    struct view_exhausted list[8];

    assert_int_equal(list_exhausted(3, list, TH_LEN(list)), 0);
    /* None of them was reached by an earlier attempt: those in doubt, and those not sent yet. */
    for (int32_t ordinal = 1104; ordinal < 1150; ordinal += 10)
        give_up(us, ordinal, "exhausted");
    give_up(them, 1203, "exhausted");
    give_up(us, 1114, "exhausted"); /* told twice */
    give_up(us, 1254, "expired");   /* it ended otherwise */
    views_world_fold(&world);
    assert_int_equal(list_exhausted(2, list, TH_LEN(list)), 6);
    assert_int_equal(list_exhausted(6, list, TH_LEN(list)), 6);
    assert_int_equal(list_exhausted(1000, list, TH_LEN(list)), 6);
    size_t ours = 0;
    for (size_t i = 0; i < 6; i++) {
        bool is_ours = th_str_eq(list[i].tenant, us);
        ours += is_ours;
        assert_true(is_ours || th_str_eq(list[i].tenant, them));
        assert_true(th_id_eq(list[i].campaign, story_campaign(is_ours ? OURS : THEIRS)));
        assert_int_equal(list[i].attempts, 9);
        assert_str_equal(list[i].account, TH_STR("alpha"));
        assert_str_equal(list[i].reason, TH_STR("account_suspended"));
        assert_int_equal(list[i].at_us, at_s(301));
    }
    assert_int_equal(ours, 5);
}

/* --- tenants ---------------------------------------------------------------------------------- */

/* Each question about something of the other tenant's. */
static enum th_code question(int which, struct th_str tenant, size_t *out_n)
{
    struct view_campaign campaign;
    struct view_progress progress;
    struct view_certificate certificate;
    struct view_send send;
    struct view_audience found;
    struct view_command command;
    struct view_recipient *recipients;
    struct th_err err = {0};
    struct th_id id = story_campaign(THEIRS);
    int64_t next;

    switch (which) {
    case 0:
        return world.views->ops->campaign(world.views, tenant, id, &arena, &campaign, &err);
    case 1:
        return world.views->ops->progress(world.views, tenant, id, at_s(30), &arena, &progress,
                                          &err);
    case 2:
        return world.views->ops->certificate(world.views, tenant, id, &arena, &certificate, &err);
    case 3:
        return world.views->ops->recipients(world.views, tenant, id, TH_STR("reached"), -1, 10,
                                            &arena, &recipients, out_n, &next, &err);
    case 4:
        return world.views->ops->send(world.views, tenant, story_send(THEIRS, 1001), &arena, &send,
                                      &err);
    case 5:
        return world.views->ops->audience(world.views, tenant, story_audience(THEIRS), &arena,
                                          &found, &err);
    default:
        return world.views->ops->command(world.views, tenant, story_command(THEIRS, 0), &arena,
                                         &command, &err);
    }
}

static void test_nobody_sees_another_tenant(void **unused)
{
    (void)unused;
    struct view_campaign *campaigns;
    struct view_opt_out *opt_outs;
    const struct th_str nobody = {NULL, 0};
    struct th_id theirs = story_campaign(THEIRS);
    struct th_err err = {0};
    size_t n;

    for (int which = 0; which < 7; which++) {
        assert_int_equal(question(which, them, &n), TH_OK);
        assert_int_equal(question(which, us, &n), TH_NOT_FOUND);
        assert_int_equal(question(which, TH_STR("PRATHAM"), &n), TH_NOT_FOUND);
        assert_int_equal(question(which, nobody, &n), TH_DENIED);
    }
    assert_int_equal(
        world.views->ops->campaigns(world.views, nobody, NULL, 9, &arena, &campaigns, &n, &err),
        TH_DENIED);
    assert_int_equal(
        world.views->ops->campaigns(world.views, them, NULL, 9, &arena, &campaigns, &n, &err),
        TH_OK);
    assert_int_equal(n, 1);
    assert_int_equal(
        world.views->ops->campaigns(world.views, us, &theirs, 9, &arena, &campaigns, &n, &err),
        TH_OK);
    assert_int_equal(n, 0); /* behind a campaign that is not ours there is nothing */
    assert_int_equal(
        world.views->ops->opt_outs(world.views, nobody, INT64_MIN, 9, &arena, &opt_outs, &n, &err),
        TH_DENIED);
    assert_int_equal(world.views->ops->opt_outs(world.views, TH_STR("third"), INT64_MIN, 9, &arena,
                                                &opt_outs, &n, &err),
                     TH_OK);
    assert_int_equal(n, 0);
}

/* --- progress --------------------------------------------------------------------------------- */

static struct view_progress progress_at(int64_t s)
{
    struct view_progress progress;
    struct th_err err = {0};

    if (world.views->ops->progress(world.views, us, story_campaign(OURS), at_s(s), &arena,
                                   &progress, &err) != TH_OK)
        fail_msg("%s", err.text);
    return progress;
}

static void test_progress_and_rate(void **unused)
{
    (void)unused;
    struct view_certificate c = certificate_of(us, story_campaign(OURS));
    struct view_progress now = progress_at(30); /* starts at 11 s and 21 s */
    struct view_progress later = progress_at(3600);
    int64_t starts = ask("SELECT count(*) FROM views.attempts"
                         " WHERE tenant = 'pratham' AND started_at IS NOT NULL");

    assert_int_equal(now.counts.audience, STORY_RECIPIENTS);
    assert_int_equal(now.counts.reached, c.reached);
    assert_int_equal(now.counts.suppressed, sum_of(c.suppressed, c.suppressed_n));
    assert_int_equal(now.counts.unreached, sum_of(c.unreached, c.unreached_n));
    assert_int_equal(now.counts.unsent, c.unsent);
    assert_int_equal(now.done, STORY_RECIPIENTS - c.unsent);
    assert_str_equal(now.campaign.phase, TH_STR("running"));
    assert_int_equal(now.last_start_us, at_s(21));
    assert_int_equal(now.rate_milli_s, starts * 1000 / 17);
    assert_int_equal(now.eta_s, (c.unsent * 1000 + now.rate_milli_s - 1) / now.rate_milli_s);
    assert_int_equal(later.last_start_us, at_s(21));
    assert_int_equal(later.rate_milli_s, starts * 1000 / 10);
    assert_int_equal(later.eta_s, -1);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static enum th_code wait_for(const struct log_place *place, int64_t ms)
{
    struct th_err err = {0};

    return world.views->ops->wait_for(
        world.views, place, 1, th_clock_monotonic_us(&th_clock_real) + ms * TH_US_PER_MS, &err);
}

static void test_a_writer_sees_what_it_wrote(void **unused)
{
    (void)unused;
    struct event event = {.type = EVENT_CAMPAIGN_CREATED};
    struct th_err err = {0};
    struct th_id id;
    int64_t lag[TOPIC_COUNT];

    views_world_fold(&world);
    assert_int_equal(world.views->ops->lag(world.views, lag, &err), TH_OK);
    assert_int_equal(lag[TOPIC_CAMPAIGN_EVENTS], 0);
    assert_int_equal(lag[TOPIC_CAMPAIGN_CONTROL], -1);
    assert_int_equal(th_id_random(STORY_S * 1000, &id, &err), TH_OK);
    event.as.campaign_created = (struct campaign_created){.campaign = id};
    struct log_place place = tell(TOPIC_CAMPAIGN_EVENTS, us, id, &event);
    assert_int_equal(world.views->ops->lag(world.views, lag, &err), TH_OK);
    assert_int_equal(lag[TOPIC_CAMPAIGN_EVENTS], 1);
    int64_t began_us = th_clock_monotonic_us(&th_clock_real);
    assert_int_equal(wait_for(&place, 120), TH_TIMEOUT);
    int64_t waited_us = th_clock_monotonic_us(&th_clock_real) - began_us;
    assert_in_range(waited_us, 120 * TH_US_PER_MS, 5 * TH_US_PER_SEC);
    views_world_fold(&world);
    assert_int_equal(wait_for(&place, 0), TH_OK);
    place.offset++;
    assert_int_equal(wait_for(&place, 0), TH_TIMEOUT);
}

static void test_places_that_there_are_not(void **unused)
{
    (void)unused;
    struct log_place many[VIEWS_WAIT_PLACES_MAX + 1] = {{TOPIC_CAMPAIGN_EVENTS, 0, 0}};
    struct th_err err = {0};

    assert_int_equal(wait_for(&(struct log_place){TOPIC_CAMPAIGN_EVENTS, 4, 0}, 0), TH_INVALID);
    assert_int_equal(wait_for(&(struct log_place){TOPIC_CAMPAIGN_EVENTS, -1, 0}, 0), TH_INVALID);
    assert_int_equal(wait_for(&(struct log_place){TOPIC_CONFIG, 1, 0}, 0), TH_INVALID);
    assert_int_equal(wait_for(&(struct log_place){(enum topic)TOPIC_COUNT, 0, 0}, 0), TH_INVALID);
    assert_int_equal(world.views->ops->wait_for(world.views, many, TH_LEN(many), INT64_MAX, &err),
                     TH_INVALID);
    /* What is not folded is not waited for, and that is known of every topic. */
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++)
        assert_int_equal(wait_for(&(struct log_place){topic, 0, INT64_MAX - 1}, 0),
                         fold_topics() >> topic & 1 ? TH_TIMEOUT : TH_OK);
}

/* --- the end of a campaign ------------------------------------------------------------------- */

static void end_send(struct th_id send)
{
    struct event event = {
        .type = EVENT_SEND_ENDED,
        .as.send_ended = {.meta.time_us = at_s(500), .send = send, .reason = TH_STR("cancelled")}};

    tell(TOPIC_SEND_EVENTS, us, send, &event);
}

static void test_a_cancelled_campaign(void **unused)
{
    (void)unused;
    struct th_id campaign = story_campaign(OURS);
    int64_t unreleased = STORY_RECIPIENTS - STORY_SENDS - STORY_DUPLICATES;
    int64_t waiting = fated(OURS, "unsent");
    struct view_recipient *list = room();
    struct event cancelled = {
        .type = EVENT_CAMPAIGN_CANCELLED,
        .as.campaign_cancelled = {.meta.time_us = at_s(600), .campaign = campaign}};

    for (int32_t ordinal = 0; ordinal < STORY_RECIPIENTS; ordinal++) {
        const char *outcome = story_outcome(OURS, ordinal);
        if (ordinal != 1009 && outcome && strcmp(outcome, "unsent") == 0)
            end_send(story_send(OURS, ordinal));
    }
    tell(TOPIC_CAMPAIGN_EVENTS, us, campaign, &cancelled);
    views_world_fold(&world);

    /* The last send's end is in the log, but not in the views: nothing is final yet. */
    end_send(story_send(OURS, 1009));
    struct view_certificate c = certificate_of(us, campaign);
    assert_partition(&c);
    assert_false(c.is_final);
    assert_int_equal(c.unsent, 1);
    assert_false(certificate_of(us, campaign).is_final);
    views_world_fold(&world);

    /* What comes later is another matter. */
    end_send(story_send(OURS, 1009));
    c = certificate_of(us, campaign);
    assert_partition(&c);
    assert_true(c.is_final);
    assert_int_equal(c.audience, STORY_RECIPIENTS);
    assert_int_equal(c.unsent, 0);
    assert_int_equal(count_of(c.unreached, c.unreached_n, "cancelled"), unreleased + waiting);
    assert_int_equal(list_all(TH_STR("unreached:cancelled"), 1000, list), unreleased + waiting);
    assert_int_equal(list_all(TH_STR("unsent"), 1000, list), 0);
    assert_int_equal(progress_at(700).eta_s, 0);
    views_world_fold(&world);
    assert_true(certificate_of(us, campaign).is_final);
}

static void test_a_campaign_that_never_started(void **unused)
{
    (void)unused;
    struct event event = {.type = EVENT_CAMPAIGN_CREATED};
    struct view_recipient *at;
    struct view_progress progress;
    struct th_err err = {0};
    struct th_id id;
    int64_t next = 0;
    size_t n = 1;

    assert_int_equal(th_id_random(STORY_S * 1000, &id, &err), TH_OK);
    event.as.campaign_created = (struct campaign_created){
        .campaign = id, .meta.time_us = at_s(0), .spec.audience = story_audience(OURS)};
    tell(TOPIC_CAMPAIGN_EVENTS, us, id, &event);
    views_world_fold(&world);
    struct view_certificate c = certificate_of(us, id);
    assert_partition(&c);
    assert_int_equal(c.audience, 0);
    assert_false(c.is_final);
    assert_int_equal(world.views->ops->recipients(world.views, us, id, TH_STR("unsent"), -1, 10,
                                                  &arena, &at, &n, &next, &err),
                     TH_OK);
    assert_int_equal(n, 0);
    assert_int_equal(next, -1);
    assert_int_equal(
        world.views->ops->progress(world.views, us, id, at_s(9), &arena, &progress, &err), TH_OK);
    assert_int_equal(progress.rate_milli_s, 0);
    assert_str_equal(progress.campaign.phase, TH_STR("draft"));
}

/* --- trouble ---------------------------------------------------------------------------------- */

static void test_killed_connections_are_opened_again(void **unused)
{
    (void)unused;
    (void)certificate_of(us, story_campaign(OURS));
    assert_true(log_cluster_kill(&world.logs, "telehub views", 5000) > 0);
    (void)certificate_of(us, story_campaign(OURS));
}

static void test_memory_is_bounded(void **unused)
{
    (void)unused;
    struct view_campaign campaign;
    struct view_send send;
    struct th_arena tiny;
    struct th_err err = {0};

    th_arena_init(&tiny, 16);
    assert_int_equal(
        world.views->ops->campaign(world.views, us, story_campaign(OURS), &tiny, &campaign, &err),
        TH_NOMEM);
    assert_int_equal(
        world.views->ops->send(world.views, us, story_send(OURS, 1005), &tiny, &send, &err),
        TH_NOMEM);
    th_arena_fini(&tiny);
}

/* A row that points at another send's event must not show it. */
static void test_a_timeline_shows_only_its_own(void **unused)
{
    (void)unused;
    struct view_send send;
    struct th_err err = {0};

    ask("UPDATE views.sends SET places = decode('00ff000000000000', 'hex')"
        " WHERE campaign IS NOT NULL AND tenant = 'other-tenant' AND part = 1 AND row = 1");
    assert_int_equal(
        world.views->ops->send(world.views, them, story_send(THEIRS, 1001), &arena, &send, &err),
        TH_CORRUPT);
    ask("UPDATE views.sends s SET places = o.places FROM views.sends o"
        " WHERE s.tenant = 'other-tenant' AND s.part = 1 AND s.row = 1"
        " AND o.tenant = 'pratham' AND o.part = 1 AND o.row = 5");
    assert_int_equal(
        world.views->ops->send(world.views, them, story_send(THEIRS, 1001), &arena, &send, &err),
        TH_CORRUPT);
}

/* ---------------------------------------------------------------------------------------------- */

static int set_up(void **unused)
{
    (void)unused;
    th_arena_init(&arena, (size_t)256 << 20);
    views_world_open(&world);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    views_world_close(&world);
    pg_views_close(NULL);
    th_arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_certificate_partitions_the_audience),
        cmocka_unit_test(test_every_recipient_is_in_one_set),
        cmocka_unit_test(test_keys_of_the_certificate_name_recipients),
        cmocka_unit_test(test_a_recipient_says_what_each_attempt_came_to),
        cmocka_unit_test(test_a_send_tells_its_story),
        cmocka_unit_test(test_a_price_replaces_the_estimate),
        cmocka_unit_test(test_what_waits_in_a_lane_is_told_from_what_was_started),
        cmocka_unit_test(test_a_send_of_the_api_has_its_own_number),
        cmocka_unit_test(test_a_campaign_and_its_audience),
        cmocka_unit_test(test_nobody_sees_another_tenant),
        cmocka_unit_test(test_campaigns_page_by_page),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_opt_outs_in_force),
        cmocka_unit_test(test_dead_letters_and_their_ends),
        cmocka_unit_test(test_progress_and_rate),
        cmocka_unit_test(test_sends_that_were_given_up),
        cmocka_unit_test(test_a_writer_sees_what_it_wrote),
        cmocka_unit_test(test_places_that_there_are_not),
        cmocka_unit_test(test_a_cancelled_campaign),
        cmocka_unit_test(test_a_campaign_that_never_started),
        cmocka_unit_test(test_killed_connections_are_opened_again),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_a_timeline_shows_only_its_own),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
