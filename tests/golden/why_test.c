/* why.c: the lives of sends, told. Each story's telling is the file of its name in why/. */
#include "tests/unit/test.h"

#include "common/why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START      INT64_C(1795332605000000) /* 2026-11-22 07:30:05 UTC */
#define SECOND     INT64_C(1000000)
#define MINUTE     (60 * SECOND)
#define DAY        (1440 * MINUTE)
#define EVENTS_MAX 24

/* --- telling ------------------------------------------------------------------------------------
 */

struct story {
    struct event events[EVENTS_MAX];
    size_t n;
    int64_t now_us;
};

static struct event *add(struct story *story, int64_t after_us, enum event_type type)
{
    struct event *event = &story->events[story->n++];

    assert_true(story->n <= EVENTS_MAX);
    story->now_us += after_us;
    event->type = type;
    event_meta_mut(event)->time_us = story->now_us;
    event_meta_mut(event)->actor = TH_STR("api:k1");
    return event;
}

static void requested_by_campaign(struct story *s, int64_t release)
{
    struct send_requested *ev = &add(s, 0, EVENT_SEND_REQUESTED)->as.send_requested;

    ev->channel = CHANNEL_SMS;
    ev->release = release;
    ev->origin.as.campaign_origin =
        (struct campaign_origin){.run = 1, .recipient = {.part = 4, .row = 17}};
    ev->send_at_us = s->now_us;
    ev->send_by_us = s->now_us + 2 * SECOND;
}

static void requested_by_api(struct story *s, enum channel channel, int64_t expires_in_us)
{
    struct send_requested *ev = &add(s, 0, EVENT_SEND_REQUESTED)->as.send_requested;

    ev->channel = channel;
    ev->origin.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT;
    ev->origin.as.send_content.attempts_max = 4;
    ev->send_at_us = s->now_us;
    ev->expires_at_us = expires_in_us ? s->now_us + expires_in_us : 0;
}

static struct send_planned *planned(struct story *s, int32_t n, int32_t lane, int32_t entry)
{
    struct send_planned *ev = &add(s, 2000, EVENT_SEND_PLANNED)->as.send_planned;

    ev->n = n;
    ev->lane = lane;
    ev->table_entry = entry;
    ev->decided_on = (struct reference_versions){7, 12, 3, 5};
    return ev;
}

static struct attempt_result *answered(struct story *s, int32_t n, int32_t lane,
                                       enum attempt_outcome outcome)
{
    struct attempt_result *ev = &add(s, SECOND / 5, EVENT_ATTEMPT_RESULT)->as.attempt_result;

    ev->n = n;
    ev->lane = lane;
    ev->outcome = outcome;
    ev->http_status = 201;
    ev->retry_after_us = -1;
    ev->call_us = SECOND / 5;
    return ev;
}

static struct attempt_result *failed(struct story *s, int32_t n, int32_t lane,
                                     enum attempt_outcome outcome, enum error_class class,
                                     const char *reason, const char *code, int32_t http_status)
{
    struct attempt_result *ev = answered(s, n, lane, outcome);

    ev->error_class = class;
    ev->reason = th_str(reason);
    ev->provider_code = th_str(code);
    ev->http_status = http_status;
    return ev;
}

static void reported(struct story *s, int64_t after_us, int32_t n, const char *status,
                     enum error_class class, const char *reason, const char *code)
{
    struct attempt_reported *ev = &add(s, after_us, EVENT_ATTEMPT_REPORTED)->as.attempt_reported;

    ev->n = n;
    ev->status = th_str(status);
    ev->is_final = true;
    ev->is_positive = class == ERROR_CLASS_NONE;
    ev->error_class = class;
    ev->reason = th_str(reason);
    ev->provider_code = th_str(code);
}

static void priced(struct story *s, int32_t n, int64_t micros)
{
    struct attempt_priced *ev = &add(s, 5 * SECOND, EVENT_ATTEMPT_PRICED)->as.attempt_priced;

    ev->n = n;
    ev->price = (struct optional_money){micros > 0, {micros, TH_STR("INR")}};
}

static void scheduled(struct story *s, int32_t n, int64_t wait_us, int32_t lane, const char *reason)
{
    struct retry_scheduled *ev = &add(s, 1000, EVENT_RETRY_SCHEDULED)->as.retry_scheduled;

    ev->n = n;
    ev->due_at_us = s->now_us + wait_us;
    ev->reason = th_str(reason);
    ev->next_lane = lane;
}

static void noted(struct story *s, int64_t after_us, enum send_standing standing,
                  const char *reason, int64_t due_in_us, int64_t release)
{
    struct send_noted *ev = &add(s, after_us, EVENT_SEND_NOTED)->as.send_noted;

    ev->standing = standing;
    ev->reason = th_str(reason);
    ev->due_at_us = due_in_us ? s->now_us + due_in_us : 0;
    ev->release = release;
}

static void repeat_noted(struct story *s, int64_t after_us, const char *reason, int64_t release)
{
    struct send_noted *ev = &add(s, after_us, EVENT_SEND_NOTED)->as.send_noted;

    ev->n = 1;
    ev->standing = SEND_STANDING_UNKNOWN;
    ev->reason = th_str(reason);
    ev->release = release;
}

static void returned(struct story *s, int32_t n, int32_t lane, const char *reason)
{
    struct attempt_returned *ev = &add(s, SECOND / 10, EVENT_ATTEMPT_RETURNED)->as.attempt_returned;

    ev->n = n;
    ev->lane = lane;
    ev->reason = th_str(reason);
    ev->decided_on = (struct reference_versions){7, 12, 4, 5};
}

static void resolved(struct story *s, int64_t after_us, int32_t n, enum attempt_outcome outcome,
                     enum resolved_how how)
{
    struct attempt_resolved *ev = &add(s, after_us, EVENT_ATTEMPT_RESOLVED)->as.attempt_resolved;

    ev->n = n;
    ev->outcome = outcome;
    ev->how = how;
}

static void ended(struct story *s, int32_t n, const char *reason, bool is_reached)
{
    struct send_ended *ev = &add(s, 1000, EVENT_SEND_ENDED)->as.send_ended;

    ev->n = n;
    ev->reason = th_str(reason);
    ev->is_reached = is_reached;
}

/* --- the stories --------------------------------------------------------------------------------
 */

static void delivered(struct story *s)
{
    requested_by_campaign(s, 4242);
    planned(s, 1, 1, 42);
    answered(s, 1, 1, ATTEMPT_OUTCOME_ACCEPTED);
    noted(s, 0, SEND_STANDING_ACCEPTED, "", 0, 0);
    reported(s, 3 * SECOND, 1, "delivered", ERROR_CLASS_NONE, "", "");
    priced(s, 1, 120000);
}

static void throttled_then_another_account(struct story *s)
{
    static const struct route_candidate candidates[] = {{1, {"main", 4}, 80, {"", 0}},
                                                        {2, {"spare", 5}, 20, {"", 0}}};

    requested_by_api(s, CHANNEL_SMS, 0);
    planned(s, 1, 1, 17);
    failed(s, 1, 1, ATTEMPT_OUTCOME_THROTTLED, ERROR_CLASS_TRANSIENT, "rate_limited", "20429", 429)
        ->retry_after_us = 3 * SECOND;
    scheduled(s, 1, 3 * SECOND, 1, "rate_limited");
    s->now_us += 3 * SECOND;
    planned(s, 2, 1, -1);
    failed(s, 2, 1, ATTEMPT_OUTCOME_REJECTED, ERROR_CLASS_ACCOUNT, "account_suspended", "30002",
           403);
    scheduled(s, 2, 0, 2, "account_suspended");
    planned(s, 3, 2, -1)->candidates = (struct route_candidate_array){candidates, 2};
    answered(s, 3, 2, ATTEMPT_OUTCOME_ACCEPTED);
    reported(s, 2 * SECOND, 3, "delivered", ERROR_CLASS_NONE, "", "");
    priced(s, 3, 0);
}

static void busy_three_times(struct story *s)
{
    requested_by_api(s, CHANNEL_CALL, 0);
    for (int32_t n = 1; n <= 3; n++) {
        planned(s, n, 1, n == 1 ? 3 : -1);
        answered(s, n, 1, ATTEMPT_OUTCOME_ACCEPTED);
        noted(s, 0, SEND_STANDING_ACCEPTED, "", 15 * MINUTE, 0);
        reported(s, 20 * SECOND, n, "busy", ERROR_CLASS_TRANSIENT_SLOW, "busy", "");
        if (n == 3)
            break;
        scheduled(s, n, 15 * MINUTE * n, 1, "busy");
        s->now_us += 15 * MINUTE * n;
    }
    ended(s, 3, "busy", false);
}

static void opted_out(struct story *s)
{
    requested_by_campaign(s, 7);
    struct send_suppressed *ev = &add(s, 3000, EVENT_SEND_SUPPRESSED)->as.send_suppressed;
    ev->reason = TH_STR("opted_out");
    ev->decided_on = (struct reference_versions){7, 15, 3, 5};
}

static void outside_hours_then_paused(struct story *s)
{
    requested_by_campaign(s, 101);
    noted(s, 1000, SEND_STANDING_WAITING, "window", 90 * MINUTE, 0);
    noted(s, 90 * MINUTE, SEND_STANDING_ASKED, "due", 0, 0);
    noted(s, SECOND / 2, SEND_STANDING_RELEASED, "", 0, 180);
    planned(s, 1, 1, 80);
    returned(s, 1, 1, "paused");
    noted(s, 1000, SEND_STANDING_PARKED, "paused", 0, 0);
    noted(s, 20 * MINUTE, SEND_STANDING_ASKED, "resumed", 0, 0);
}

static void answer_lost_and_found(struct story *s)
{
    requested_by_campaign(s, 12);
    planned(s, 1, 2, 12);
    failed(s, 1, 2, ATTEMPT_OUTCOME_UNKNOWN, ERROR_CLASS_TRANSIENT, "answer_lost", "", 0);
    noted(s, 0, SEND_STANDING_UNKNOWN, "answer_lost", 0, 0);
    resolved(s, MINUTE, 1, ATTEMPT_OUTCOME_ACCEPTED, RESOLVED_HOW_LOOKUP);
    noted(s, 0, SEND_STANDING_ACCEPTED, "", 0, 0);
}

static void in_doubt_for_good(struct story *s)
{
    requested_by_campaign(s, 13);
    planned(s, 1, 1, 13);
    failed(s, 1, 1, ATTEMPT_OUTCOME_UNKNOWN, ERROR_CLASS_TRANSIENT, "owner_died", "", 0)->call_us =
        0;
    noted(s, 0, SEND_STANDING_UNKNOWN, "owner_died", 0, 0);
    resolved(s, DAY, 1, ATTEMPT_OUTCOME_IN_DOUBT, RESOLVED_HOW_POLICY);
    ended(s, 1, "in_doubt", false);
}

static void repeated_late(struct story *s)
{
    requested_by_campaign(s, 13);
    planned(s, 1, 1, 13);
    failed(s, 1, 1, ATTEMPT_OUTCOME_UNKNOWN, ERROR_CLASS_TRANSIENT, "owner_died", "", 0)->call_us =
        0;
    noted(s, 0, SEND_STANDING_UNKNOWN, "owner_died", 0, 0);
    repeat_noted(s, MINUTE, "repeat_wanted", 0);
    repeat_noted(s, 5 * SECOND, "repeat_released", 214);
    resolved(s, SECOND, 1, ATTEMPT_OUTCOME_ACCEPTED, RESOLVED_HOW_IDEMPOTENT_REPLAY);
    noted(s, 0, SEND_STANDING_ACCEPTED, "", 0, 0);
}

static void repeated_though_in_doubt(struct story *s)
{
    requested_by_api(s, CHANNEL_SMS, 0);
    planned(s, 1, 1, 50);
    failed(s, 1, 1, ATTEMPT_OUTCOME_UNKNOWN, ERROR_CLASS_TRANSIENT, "provider_error", "", 502);
    noted(s, 0, SEND_STANDING_UNKNOWN, "provider_error", 0, 0);
    resolved(s, DAY, 1, ATTEMPT_OUTCOME_IN_DOUBT, RESOLVED_HOW_POLICY);
    scheduled(s, 1, 2 * SECOND, 1, "in_doubt");
    s->now_us += 2 * SECOND;
    planned(s, 2, 1, -1)->possible_duplicate = true;
    answered(s, 2, 1, ATTEMPT_OUTCOME_ACCEPTED);
    noted(s, 0, SEND_STANDING_ACCEPTED, "", 0, 0);
}

static void exhausted(struct story *s)
{
    requested_by_api(s, CHANNEL_SMS, 0);
    for (int32_t n = 1; n <= 4; n++) {
        planned(s, n, n == 4 ? 2 : 1, n == 1 ? 9 : -1);
        failed(s, n, n == 4 ? 2 : 1, ATTEMPT_OUTCOME_NOT_SENT, ERROR_CLASS_TRANSIENT,
               "connection_failed", "", 0);
        if (n == 4)
            break;
        int64_t wait_us = n == 3 ? 0 : 2 * SECOND * n;
        scheduled(s, n, wait_us, n == 3 ? 2 : 1, "connection_failed");
        s->now_us += wait_us;
    }
    ended(s, 4, "exhausted", false);
}

static void no_account_then_expired(struct story *s)
{
    requested_by_api(s, CHANNEL_SMS, 30 * MINUTE);
    noted(s, 1000, SEND_STANDING_PARKED, "no_lane", 30 * MINUTE, 0);
    s->now_us += 30 * MINUTE;
    ended(s, 0, "expired", false);
}

static void unsubscribed_at_the_provider(struct story *s)
{
    requested_by_campaign(s, 99);
    planned(s, 1, 9, 99);
    failed(s, 1, 9, ATTEMPT_OUTCOME_REJECTED, ERROR_CLASS_PERMANENT_SUPPRESS, "opted_out", "21610",
           400);
    ended(s, 1, "opted_out", false);
}

/* Twice the provider takes a final no back: before the next attempt has gone, and after. */
static void first_not_answered(struct story *s)
{
    requested_by_api(s, CHANNEL_CALL, 0);
    planned(s, 1, 1, 3);
    answered(s, 1, 1, ATTEMPT_OUTCOME_ACCEPTED);
    noted(s, 0, SEND_STANDING_ACCEPTED, "", 15 * MINUTE, 0);
    reported(s, 20 * SECOND, 1, "no_answer", ERROR_CLASS_TRANSIENT_SLOW, "no_answer", "");
    scheduled(s, 1, 15 * MINUTE, 1, "no_answer");
}

static void answered_after_all(struct story *s)
{
    first_not_answered(s);
    reported(s, 2 * MINUTE, 1, "completed", ERROR_CLASS_NONE, "", "");
    ended(s, 1, "completed", true);
}

static void answered_after_all_too_late(struct story *s)
{
    first_not_answered(s);
    s->now_us += 15 * MINUTE;
    planned(s, 2, 1, -1);
    reported(s, SECOND / 10, 1, "completed", ERROR_CLASS_NONE, "", "");
    add(s, 1000, EVENT_SEND_REACHED)->as.send_reached.n = 1;
    answered(s, 2, 1, ATTEMPT_OUTCOME_ACCEPTED);
    ended(s, 1, "reached_before", true);
}

static const struct {
    const char *name;
    void (*make)(struct story *story);
} stories[] = {
    {"delivered", delivered},
    {"throttled_then_another_account", throttled_then_another_account},
    {"busy_three_times", busy_three_times},
    {"opted_out", opted_out},
    {"outside_hours_then_paused", outside_hours_then_paused},
    {"answer_lost_and_found", answer_lost_and_found},
    {"in_doubt_for_good", in_doubt_for_good},
    {"repeated_late", repeated_late},
    {"repeated_though_in_doubt", repeated_though_in_doubt},
    {"exhausted", exhausted},
    {"no_account_then_expired", no_account_then_expired},
    {"unsubscribed_at_the_provider", unsubscribed_at_the_provider},
    {"answered_after_all", answered_after_all},
    {"answered_after_all_too_late", answered_after_all_too_late},
};

/* --- against the files --------------------------------------------------------------------------
 */

static struct th_str account(const void *arg, int32_t lane)
{
    (void)arg;
    if (lane == 1)
        return TH_STR("main");
    return lane == 2 ? TH_STR("spare") : TH_STR("");
}

static void tell(void (*make)(struct story *), struct th_buf *out)
{
    static const struct why_names names = {account, NULL};
    const struct event *events[EVENTS_MAX];
    struct story story = {.now_us = START};
    struct th_arena arena;
    struct why why;

    th_arena_init(&arena, 1 << 20);
    make(&story);
    for (size_t i = 0; i < story.n; i++)
        events[i] = &story.events[i];
    assert_int_equal(why_tell(events, story.n, &names, &arena, &why), TH_OK);
    th_buf_printf(out, "%.*s\n\n", TH_ARG(why.summary));
    for (size_t i = 0; i < why.n; i++)
        th_buf_printf(out, "%10.3f  %-12s  %.*s\n", (double)(why.at[i].at_us - START) / 1e6,
                      why.at[i].rule, TH_ARG(why.at[i].text));
    assert_int_equal(th_buf_status(out), TH_OK);
    th_arena_fini(&arena);
}

static void write_golden(const char *path, struct th_str text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fclose(file), 0);
}

static void read_golden(const char *path, struct th_buf *out)
{
    FILE *file = fopen(path, "re");
    char bytes[4096];
    size_t n;

    if (!file)
        fail_msg("%s is not there: TELEHUB_GOLDEN=write makes it", path);
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
        th_buf_add(out, (struct th_str){bytes, n});
    assert_int_equal(fclose(file), 0);
}

static void test_every_story_is_told_as_it_is_kept(void **unused)
{
    const char *mode = getenv("TELEHUB_GOLDEN"); /* NOLINT(concurrency-mt-unsafe): one thread */
    bool must_write = mode && strcmp(mode, "write") == 0;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(stories); i++) {
        TH_AUTO(th_buf) struct th_buf told = {0};
        TH_AUTO(th_buf) struct th_buf kept = {0};
        char path[512];

        print_message("  %s\n", stories[i].name);
        (void)snprintf(path, sizeof path, GOLDEN_DIR "/%s.txt", stories[i].name);
        tell(stories[i].make, &told);
        if (must_write)
            write_golden(path, th_buf_str(&told));
        read_golden(path, &kept);
        if (!th_str_eq(th_buf_str(&told), th_buf_str(&kept)))
            fail_msg("%s is told as\n%.*s", stories[i].name, TH_ARG(th_buf_str(&told)));
    }
}

static void test_a_sentence_is_bounded(void **unused)
{
    static const struct why_names names = {account, NULL};
    struct story s = {.now_us = START};
    const struct event *events[1] = {&s.events[0]};
    struct th_arena arena;
    struct why why;
    char code[3000];

    (void)unused;
    memset(code, 'x', sizeof code);
    th_arena_init(&arena, 1 << 20);
    answered(&s, 1, 1, ATTEMPT_OUTCOME_REJECTED)->provider_code =
        (struct th_str){code, sizeof code};
    assert_int_equal(why_tell(events, 1, &names, &arena, &why), TH_OK);
    assert_int_equal(why.n, 1);
    assert_int_equal(why.at[0].text.n, WHY_SENTENCE_MAX);
    th_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_story_is_told_as_it_is_kept),
        cmocka_unit_test(test_a_sentence_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
