/* A certificate counted from the log, and the one that the views give: the same bytes, or somebody
 * has touched the views. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/provider.h"
#include "common/views_json.h"
#include "processors/materialize/recount.h"
#include "tests/integration/views_story.h"
#include "tests/integration/views_world.h"

#define STORY_S INT64_C(1793000000) /* when the story's campaigns start */

static struct views_world world;
static struct th_arena arena;

static const struct th_str us = {"pratham", 7};
static const struct th_str them = {"other-tenant", 12};
static const struct th_str anybody = {"", 0};

/* One more event, of our tenant. */
static void tell(enum topic topic, int part, struct th_id key, struct event *event)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    struct meta *meta = event_meta_mut(event);
    char id[TH_ID_TEXT_LEN + 1];
    char name[128];
    struct th_err err = {0};

    meta->tenant = us;
    meta->actor = TH_STR("test");
    assert_int_equal(th_id_random(STORY_S * 1000, &meta->event_id, &err), TH_OK);
    assert_int_equal(event_encode(event, &value), TH_OK);
    th_id_text(key, id);
    (void)snprintf(name, sizeof name, "%.*s/%s", TH_ARG(us), id);
    const struct log_output output = {
        .topic = topic, .part = part, .key = th_str(name), .value = th_buf_str(&value)};
    if (th_log_append(world.log, &output, 1, NULL, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static struct th_str json_of(const struct view_certificate *certificate)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct th_json_out out = {&text, false};
    struct th_str copy;

    views_put_certificate(&out, certificate);
    assert_int_equal(th_buf_status(&text), TH_OK);
    assert_int_equal(th_arena_copy(&arena, th_buf_str(&text), &copy), TH_OK);
    return copy;
}

static struct th_str from_views(struct th_str tenant, struct th_id campaign)
{
    struct view_certificate certificate;
    struct th_err err = {0};

    if (world.views->ops->certificate(world.views, tenant, campaign, &arena, &certificate, &err) !=
        TH_OK)
        fail_msg("%s", err.text);
    return json_of(&certificate);
}

static struct th_str from_log(struct th_str tenant, struct th_id campaign, int64_t recipients)
{
    struct recount recount;
    struct th_err err = {0};

    if (recount_certificate(world.log, tenant, campaign, recipients, &arena, &recount, &err) !=
        TH_OK)
        fail_msg("%s", err.text);
    return json_of(&recount.certificate);
}

/* However many shares it is counted in. */
static void assert_same(struct th_str tenant, struct th_id campaign)
{
    static const int64_t recipients[] = {RECOUNT_RECIPIENTS, STORY_RECIPIENTS / 3};
    struct th_str said = from_views(tenant, campaign);

    for (size_t i = 0; i < TH_LEN(recipients); i++)
        assert_str_equal(from_log(tenant, campaign, recipients[i]), said);
}

static bool says(struct th_str json, const char *what)
{
    return memmem(json.p, json.n, what, strlen(what)) != NULL;
}

/* Retries, opt-outs, doubt, duplicates, reports that came twice and out of order, prices. */
static void test_a_running_campaign(void **unused)
{
    (void)unused;
    static const char *const sets[] = {
        "\"final\":false",  "\"audience\":2500",  "\"opted_out\":",     "\"duplicate\":20",
        "\"unreachable\":", "\"estimated\":true", "\"estimated\":false"};

    assert_same(us, story_campaign(OURS));
    assert_same(them, story_campaign(THEIRS));
    for (size_t i = 0; i < TH_LEN(sets); i++)
        if (!says(from_views(us, story_campaign(OURS)), sets[i]))
            fail_msg("the story has no %s", sets[i]);
    assert_false(says(from_views(us, story_campaign(OURS)), "\"in_doubt\":0"));
    assert_false(says(from_views(us, story_campaign(OURS)), "\"reached\":0"));
}

static struct event report_of(int32_t ordinal, int32_t n, enum provider_status status)
{
    return (struct event){
        .type = EVENT_ATTEMPT_REPORTED,
        .as.attempt_reported = {.meta.time_us = (STORY_S + 90) * TH_US_PER_SEC,
                                .send = story_send(OURS, ordinal),
                                .n = n,
                                .lane = ordinal % 2 + 1,
                                .status = th_str(provider_status_text(status)),
                                .rank = provider_status_rank(status),
                                .is_final = provider_status_is_final(status),
                                .is_positive = provider_status_is_positive(status),
                                .sequence = -1,
                                .duration_s = -1}};
}

/* What a process reports of an attempt that it had forgotten names no campaign; and a send of the
 * API never does. */
static void test_events_that_name_no_campaign(void **unused)
{
    (void)unused;
    const struct th_id alone = {{1, 2, 3, 4, 5, 6, 0x80, 9, 0x80, 9}};
    struct th_str before = from_views(us, story_campaign(OURS));

    for (int32_t ordinal = 1; ordinal < 40; ordinal++) {
        struct event event = report_of(ordinal, 1, PROVIDER_SMS_DELIVERED);
        tell(TOPIC_DISPATCH_ATTEMPTS, event.as.attempt_reported.lane,
             event.as.attempt_reported.send, &event);
        tell(TOPIC_SEND_OUTCOMES, -1, event.as.attempt_reported.send, &event);
    }
    struct event event = report_of(0, 1, PROVIDER_SMS_DELIVERED);
    event.as.attempt_reported.send = alone;
    tell(TOPIC_DISPATCH_ATTEMPTS, 1, alone, &event);
    tell(TOPIC_SEND_OUTCOMES, -1, alone, &event);
    views_world_fold(&world);
    assert_same(us, story_campaign(OURS));
    struct th_str after = from_views(us, story_campaign(OURS));
    assert_false(th_str_eq(before, after));
}

static void test_a_record_that_cannot_be_decoded(void **unused)
{
    (void)unused;
    const struct log_output output = {.topic = TOPIC_SEND_OUTCOMES,
                                      .part = -1,
                                      .key = TH_STR("pratham/x"),
                                      .value = TH_STR("no record")};
    struct recount recount;
    struct th_err err = {0};

    assert_int_equal(th_log_append(world.log, &output, 1, NULL, &err), TH_OK);
    views_world_fold(&world);
    assert_same(us, story_campaign(OURS));
    assert_int_equal(recount_certificate(world.log, us, story_campaign(OURS), RECOUNT_RECIPIENTS,
                                         &arena, &recount, &err),
                     TH_OK);
    assert_int_equal(recount.undecodable, 1);
    assert_true(recount.records > STORY_SENDS);
}

static void test_a_cancelled_campaign(void **unused)
{
    (void)unused;
    const struct th_id campaign = story_campaign(OURS);
    struct event event = {
        .type = EVENT_CAMPAIGN_CANCELLING,
        .as.campaign_cancelling = {.meta.time_us = STORY_S * TH_US_PER_SEC, .campaign = campaign}};

    tell(TOPIC_CAMPAIGN_EVENTS, -1, campaign, &event);
    views_world_fold(&world);
    assert_same(us, campaign);
    event = (struct event){
        .type = EVENT_CAMPAIGN_CANCELLED,
        .as.campaign_cancelled = {.meta.time_us = STORY_S * TH_US_PER_SEC, .campaign = campaign}};
    tell(TOPIC_CAMPAIGN_EVENTS, -1, campaign, &event);
    views_world_fold(&world);
    assert_same(us, campaign);
    struct th_str said = from_views(us, campaign);
    assert_true(says(said, "\"final\":true"));
    assert_true(says(said, "\"cancelled\":480"));
}

static void test_views_that_were_touched(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *damage;
        const char *repair;
    } cases[] = {
        {"somebody more was reached",
         "UPDATE views.campaign_counters SET n = n + 1 WHERE outcome = 'reached' AND log_part = 0",
         "UPDATE views.campaign_counters SET n = n - 1 WHERE outcome = 'reached' AND log_part = 0"},
        {"a reason has another name",
         "UPDATE views.campaign_counters SET reason = 'busy' WHERE reason = 'unreachable'",
         "UPDATE views.campaign_counters SET reason = 'unreachable' WHERE reason = 'busy'"},
        {"it cost a ten-thousandth less",
         "UPDATE views.campaign_costs SET micros = micros - 100 WHERE is_estimated",
         "UPDATE views.campaign_costs SET micros = micros + 100 WHERE is_estimated"},
        {"one duplicate more", "UPDATE views.campaigns SET duplicates = duplicates + 1",
         "UPDATE views.campaigns SET duplicates = duplicates - 1"},
        {"it has not ended",
         "UPDATE views.campaigns SET phase = 'running' WHERE phase = 'cancelled'",
         "UPDATE views.campaigns SET phase = 'cancelled' WHERE tenant = 'pratham'"},
    };
    const struct th_id campaign = story_campaign(OURS);

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        const struct pg_statement damage = {cases[i].damage};
        const struct pg_statement repair = {cases[i].repair};

        print_message("  %s\n", cases[i].says);
        log_cluster_admin(&world.logs, &damage, NULL);
        struct th_str damaged = from_views(us, campaign);
        log_cluster_admin(&world.logs, &repair, NULL);
        assert_false(th_str_eq(from_log(us, campaign, RECOUNT_RECIPIENTS), damaged));
        assert_same(us, campaign);
    }
}

static void test_campaigns_that_there_are_not(void **unused)
{
    (void)unused;
    struct event draft = {.type = EVENT_CAMPAIGN_CREATED};
    struct event refused = {.type = EVENT_COMMAND_REFUSED};
    struct th_id never;
    struct th_id made;
    struct recount recount;
    struct th_err err = {0};

    assert_int_equal(th_id_random(STORY_S * 1000, &never, &err), TH_OK);
    assert_int_equal(th_id_random(STORY_S * 1000, &made, &err), TH_OK);
    refused.as.command_refused.campaign = never;
    tell(TOPIC_CAMPAIGN_EVENTS, -1, never, &refused);
    draft.as.campaign_created.campaign = made;
    draft.as.campaign_created.meta.time_us = STORY_S * TH_US_PER_SEC;
    tell(TOPIC_CAMPAIGN_EVENTS, -1, made, &draft);
    views_world_fold(&world);

    assert_same(us, made);
    assert_int_equal(recount_certificate(world.log, us, never, 1, &arena, &recount, &err),
                     TH_NOT_FOUND);
    assert_int_equal(
        recount_certificate(world.log, us, story_campaign(THEIRS), 1, &arena, &recount, &err),
        TH_NOT_FOUND);
    assert_str_equal(from_log(anybody, story_campaign(THEIRS), RECOUNT_RECIPIENTS),
                     from_views(them, story_campaign(THEIRS)));
}

static int set_up(void **unused)
{
    (void)unused;
    th_arena_init(&arena, (size_t)64 << 20);
    views_world_open(&world);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    views_world_close(&world);
    th_arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_running_campaign),
        cmocka_unit_test(test_events_that_name_no_campaign),
        cmocka_unit_test(test_a_record_that_cannot_be_decoded),
        cmocka_unit_test(test_a_cancelled_campaign),
        cmocka_unit_test(test_views_that_were_touched),
        cmocka_unit_test(test_campaigns_that_there_are_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
