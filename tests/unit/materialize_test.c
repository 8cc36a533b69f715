/* The fold of the views: what a send's events come to, in whatever order they come. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/eventlog/memory_log.h"
#include "common/provider.h"
#include "processors/materialize/fold.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/memory_store.h"
#include "tests/unit/failing_malloc.h"

#define TENANT   TH_STR("pratham")
#define BEGIN_US INT64_C(1780000000000000)

/* One event of a story, where it lies and all. */
struct told {
    enum topic topic;
    struct event event;
};

static const struct th_id send_1 = {{1, 2, 3, 4, 5, 6, 0x80, 1, 0x80, 1}};
static const struct th_id campaign_1 = {{9, 9, 9, 9, 9, 9, 0x80, 1, 0x80, 1}};

static struct meta meta_at(int64_t after_s)
{
    return (struct meta){
        .tenant = TENANT, .time_us = BEGIN_US + after_s * TH_US_PER_SEC, .actor = TH_STR("test")};
}

static struct optional_uuid in_campaign(void)
{
    return (struct optional_uuid){true, campaign_1};
}

/* --- events ---------------------------------------------------------------------------------- */

static struct told requested(void)
{
    struct told told = {.topic = TOPIC_SEND_REQUESTS};

    told.event.type = EVENT_SEND_REQUESTED;
    told.event.as.send_requested =
        (struct send_requested){.meta = meta_at(0),
                                .send = send_1,
                                .channel = CHANNEL_SMS,
                                .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                           .as.campaign_origin = {campaign_1, 1, {{{7}}, 2, 17}}}};
    return told;
}

static struct told planned(int32_t n)
{
    struct told told = {.topic = TOPIC_SEND_EVENTS};

    told.event.type = EVENT_SEND_PLANNED;
    told.event.as.send_planned =
        (struct send_planned){.meta = meta_at(INT64_C(10) * n), .send = send_1, .n = n, .lane = 3};
    return told;
}

static struct told started(int32_t n)
{
    struct told told = {.topic = TOPIC_DISPATCH_ATTEMPTS};

    told.event.type = EVENT_ATTEMPT_STARTED;
    told.event.as.attempt_started = (struct attempt_started){
        .meta = meta_at(INT64_C(10) * n + 1),
        .send = send_1,
        .n = n,
        .campaign = in_campaign(),
        .lane = 3,
        .channel = CHANNEL_SMS,
        .to = {.is = STRING_OR_SEALED_STRING, .as.string = TH_STR("+919000000001")},
        .sender = TH_STR("PRATHM"),
        .segments = 1,
        .estimate = {250000, TH_STR("INR")}};
    return told;
}

static struct told result(enum topic topic, int32_t n, enum attempt_outcome outcome,
                          const char *reason)
{
    struct told told = {.topic = topic};

    told.event.type = EVENT_ATTEMPT_RESULT;
    told.event.as.attempt_result = (struct attempt_result){
        .meta = meta_at(INT64_C(10) * n + 2),
        .send = send_1,
        .n = n,
        .campaign = in_campaign(),
        .lane = 3,
        .outcome = outcome,
        .reason = th_str(reason),
        .provider_id = outcome == ATTEMPT_OUTCOME_ACCEPTED ? TH_STR("SM1") : TH_STR(""),
        .http_status = 201,
        .call_us = 5000};
    return told;
}

static struct told resolved(enum topic topic, int32_t n, enum attempt_outcome outcome)
{
    struct told told = {.topic = topic};

    told.event.type = EVENT_ATTEMPT_RESOLVED;
    told.event.as.attempt_resolved = (struct attempt_resolved){.meta = meta_at(INT64_C(10) * n + 4),
                                                               .send = send_1,
                                                               .n = n,
                                                               .campaign = in_campaign(),
                                                               .lane = 3,
                                                               .outcome = outcome,
                                                               .how = RESOLVED_HOW_LOOKUP};
    return told;
}

static struct told returned(int32_t n, const char *reason)
{
    struct told told = {.topic = TOPIC_SEND_OUTCOMES};

    told.event.type = EVENT_ATTEMPT_RETURNED;
    told.event.as.attempt_returned = (struct attempt_returned){.meta = meta_at(INT64_C(10) * n + 1),
                                                               .send = send_1,
                                                               .n = n,
                                                               .campaign = in_campaign(),
                                                               .lane = 3,
                                                               .reason = th_str(reason)};
    return told;
}

static struct told reported(enum topic topic, int32_t n, enum provider_status status,
                            const char *reason, int64_t after_s)
{
    bool is_call = status >= PROVIDER_CALL_INITIATED;
    struct told told = {.topic = topic};

    told.event.type = EVENT_ATTEMPT_REPORTED;
    told.event.as.attempt_reported =
        (struct attempt_reported){.meta = meta_at(INT64_C(10) * n + after_s),
                                  .send = send_1,
                                  .n = n,
                                  .campaign = in_campaign(),
                                  .lane = 3,
                                  .channel = is_call ? CHANNEL_CALL : CHANNEL_SMS,
                                  .status = th_str(provider_status_text(status)),
                                  .rank = provider_status_rank(status),
                                  .is_final = provider_status_is_final(status),
                                  .is_positive = provider_status_is_positive(status),
                                  .reason = th_str(reason),
                                  .provider_id = TH_STR("SM1"),
                                  .sequence = -1,
                                  .duration_s = status == PROVIDER_CALL_COMPLETED ? 31 : -1};
    return told;
}

static struct told priced(enum topic topic, int32_t n, int64_t micros)
{
    struct told told = {.topic = topic};

    told.event.type = EVENT_ATTEMPT_PRICED;
    told.event.as.attempt_priced =
        (struct attempt_priced){.meta = meta_at(INT64_C(10) * n + 9),
                                .send = send_1,
                                .n = n,
                                .campaign = in_campaign(),
                                .lane = 3,
                                .price = {.is_set = micros >= 0, .value = {micros, TH_STR("INR")}}};
    return told;
}

static struct told noted(int32_t n, enum send_standing standing)
{
    struct told told = {.topic = TOPIC_SEND_EVENTS};

    told.event.type = EVENT_SEND_NOTED;
    told.event.as.send_noted = (struct send_noted){
        .meta = meta_at(INT64_C(10) * n + 3), .send = send_1, .n = n, .standing = standing};
    return told;
}

static struct told scheduled(int32_t n)
{
    struct told told = {.topic = TOPIC_SEND_EVENTS};

    told.event.type = EVENT_RETRY_SCHEDULED;
    told.event.as.retry_scheduled =
        (struct retry_scheduled){.meta = meta_at(INT64_C(10) * n + 5), .send = send_1, .n = n};
    return told;
}

static struct told suppressed(const char *reason)
{
    struct told told = {.topic = TOPIC_SEND_EVENTS};

    told.event.type = EVENT_SEND_SUPPRESSED;
    told.event.as.send_suppressed =
        (struct send_suppressed){.meta = meta_at(1), .send = send_1, .reason = th_str(reason)};
    return told;
}

static struct told ended(int32_t n, const char *reason, bool is_reached)
{
    struct told told = {.topic = TOPIC_SEND_EVENTS};

    told.event.type = EVENT_SEND_ENDED;
    told.event.as.send_ended = (struct send_ended){.meta = meta_at(INT64_C(10) * n + 8),
                                                   .send = send_1,
                                                   .n = n,
                                                   .reason = th_str(reason),
                                                   .is_reached = is_reached};
    return told;
}

#define OUT TOPIC_SEND_OUTCOMES
#define ATT TOPIC_DISPATCH_ATTEMPTS

/* --- folding ------------------------------------------------------------------------------------
 */

/* Fold events (given by their numbers in the story, which are their offsets too), and say what is
 * to be written. */
static enum th_code try_fold(struct view_batch *batch, const struct told *story,
                             const size_t *which, size_t n, struct view_change *out)
{
    for (int round = 0; round < 2; round++) {
        batch->is_touching = round == 0;
        for (size_t i = 0; i < n; i++) {
            struct log_place place = {story[which[i]].topic, 1, (int64_t)which[i]};
            TH_TRY(fold_event(batch, &story[which[i]].event, place));
        }
        if (round == 0)
            TH_TRY(view_batch_load(batch));
    }
    TH_TRY(fold_settle(batch));
    return view_batch_change(batch, out);
}

/* The same as one batch that is written. */
static void fold_batch(struct view_store *store, const struct told *story, const size_t *which,
                       size_t n)
{
    static const struct view_step no_steps[1];
    struct view_batch batch;
    struct view_change change = {.steps = no_steps};
    struct th_err err = {0};

    view_batch_init(&batch, store);
    assert_int_equal(try_fold(&batch, story, which, n, &change), TH_OK);
    assert_int_equal(store->ops->commit(store, &change, &err), TH_OK);
    view_batch_fini(&batch);
}

static struct view_store *new_store(void)
{
    struct view_store *store;
    struct th_err err = {0};

    assert_int_equal(memory_store_new(&store, &err), TH_OK);
    return store;
}

static struct view_store *fold_in_order(const struct told *story, const size_t *which, size_t n)
{
    struct view_store *store = new_store();

    fold_batch(store, story, which, n);
    return store;
}

static const struct sends_row *the_send(const struct view_store *store)
{
    const struct sends_row key = {.send = send_1};

    return memory_store_find(store, VIEW_TABLE_SENDS, &key);
}

static void assert_same(const struct view_store *a, const struct view_store *b)
{
    TH_AUTO(th_buf) struct th_buf why = {0};

    if (!memory_store_equal(a, b, &why))
        fail_msg("%.*s", (int)why.n, why.p);
}

/* --- which set
 * -------------------------------------------------------------------------------------
 */

#define STORY_MAX 8

static void test_sets(void **unused)
{
    (void)unused;
    const struct {
        const char *says;
        const char *outcome;
        const char *reason;
        struct told story[STORY_MAX]; /* ends at the first without a tenant */
    } cases[] = {
        {"requested only: unsent", "unsent", "", {requested()}},
        {"handed to a lane, nothing known: planned", "planned", "", {requested(), planned(1)}},
        {"handed back: unsent",
         "unsent",
         "",
         {requested(), planned(1), returned(1, "late"), noted(1, SEND_STANDING_ASKED)}},
        {"accepted, no report yet",
         "accepted_no_report",
         "",
         {requested(), planned(1), result(OUT, 1, ATTEMPT_OUTCOME_ACCEPTED, "")}},
        {"delivered: reached",
         "reached",
         "",
         {requested(), planned(1), result(OUT, 1, ATTEMPT_OUTCOME_ACCEPTED, ""),
          reported(OUT, 1, PROVIDER_SMS_DELIVERED, "", 5)}},
        {"a failure reported for an SMS, nothing follows: unreached by its reason",
         "unreached",
         "unreachable",
         {requested(), planned(1), result(OUT, 1, ATTEMPT_OUTCOME_ACCEPTED, ""),
          reported(OUT, 1, PROVIDER_SMS_UNDELIVERED, "unreachable", 5)}},
        {"a late delivery beats the failure",
         "reached",
         "",
         {planned(1), reported(OUT, 1, PROVIDER_SMS_FAILED, "unreachable", 5),
          ended(1, "unreachable", false), reported(OUT, 1, PROVIDER_SMS_DELIVERED, "", 7)}},
        {"a failure after the delivery changes nothing",
         "reached",
         "",
         {planned(1), reported(OUT, 1, PROVIDER_SMS_DELIVERED, "", 5),
          reported(OUT, 1, PROVIDER_SMS_FAILED, "unreachable", 7)}},
        {"busy, and another attempt follows: unsent",
         "unsent",
         "",
         {planned(1), reported(OUT, 1, PROVIDER_CALL_BUSY, "busy", 5), scheduled(1)}},
        {"busy to the end: unreached by what retry says",
         "unreached",
         "exhausted",
         {planned(1), reported(OUT, 1, PROVIDER_CALL_BUSY, "busy", 5),
          ended(1, "exhausted", false)}},
        {"the answer was lost: in doubt",
         "in_doubt",
         "",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout")}},
        {"given up as in doubt",
         "in_doubt",
         "",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout"),
          resolved(OUT, 1, ATTEMPT_OUTCOME_IN_DOUBT), ended(1, "in_doubt", false)}},
        {"given up as in doubt, and then a callback came",
         "accepted_no_report",
         "",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout"),
          resolved(OUT, 1, ATTEMPT_OUTCOME_IN_DOUBT), ended(1, "in_doubt", false),
          reported(OUT, 1, PROVIDER_SMS_SENT, "", 9)}},
        {"given up as in doubt, and then its failure was reported",
         "unreached",
         "busy",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout"),
          ended(1, "in_doubt", false), reported(OUT, 1, PROVIDER_CALL_BUSY, "busy", 9)}},
        {"found not to have been executed, another may follow",
         "unsent",
         "",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout"),
          resolved(OUT, 1, ATTEMPT_OUTCOME_NOT_EXECUTED)}},
        {"a failure without a reason is counted by its status",
         "unreached",
         "undelivered",
         {planned(1), reported(OUT, 1, PROVIDER_SMS_UNDELIVERED, "", 5)}},
        {"rejected for good",
         "unreached",
         "invalid_number",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_REJECTED, "invalid_number"),
          ended(1, "invalid_number", false)}},
        {"opted out", "suppressed", "opted_out", {requested(), suppressed("opted_out")}},
        {"opted out after a first try that failed",
         "suppressed",
         "opted_out",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_NOT_SENT, "connect"), scheduled(1),
          suppressed("opted_out")}},
        {"of two attempts the second counts",
         "accepted_no_report",
         "",
         {planned(1), result(OUT, 1, ATTEMPT_OUTCOME_REJECTED, "queue_full"), planned(2),
          result(OUT, 2, ATTEMPT_OUTCOME_ACCEPTED, "")}},
        {"the first of two attempts reached after all",
         "reached",
         "",
         {planned(1), resolved(OUT, 1, ATTEMPT_OUTCOME_IN_DOUBT), planned(2),
          result(OUT, 2, ATTEMPT_OUTCOME_REJECTED, "queue_full"), ended(2, "exhausted", false),
          reported(OUT, 1, PROVIDER_SMS_DELIVERED, "", 30)}},
        {"cancelled before it went out",
         "unreached",
         "cancelled",
         {requested(), ended(0, "cancelled", false)}},
    };
    const size_t in_order[STORY_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
    const size_t backwards[STORY_MAX] = {7, 6, 5, 4, 3, 2, 1, 0};

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        size_t n = 0;

        print_message("  %s\n", cases[i].says);
        while (n < STORY_MAX && event_meta(&cases[i].story[n].event)->tenant.n)
            n++;
        struct view_store *store = fold_in_order(cases[i].story, in_order, n);
        struct view_store *other = fold_in_order(cases[i].story, backwards + STORY_MAX - n, n);
        assert_str_equal(the_send(store)->outcome, th_str(cases[i].outcome));
        assert_str_equal(the_send(store)->reason, th_str(cases[i].reason));
        assert_same(store, other);
        store->ops->close(store);
        other->ops->close(other);
    }
}

/* --- any order
 * ------------------------------------------------------------------------------------
 */

/* The k-th of the n! orders. */
static void permutation(size_t k, size_t n, size_t *out)
{
    size_t left[8];

    for (size_t i = 0; i < n; i++)
        left[i] = i;
    for (size_t i = 0; i < n; i++) {
        size_t pick = k % (n - i);
        k /= n - i;
        out[i] = left[pick];
        memmove(&left[pick], &left[pick + 1], (n - i - pick - 1) * sizeof *left);
    }
}

static size_t factorial(size_t n)
{
    return n < 2 ? 1 : n * factorial(n - 1);
}

static void every_order(const struct told *story, size_t n)
{
    size_t order[9];
    size_t done = 0;

    permutation(0, n, order);
    struct view_store *expected = fold_in_order(story, order, n);
    for (size_t k = 0; k < factorial(n); k++)
        for (size_t twice = 0; twice < n; twice++) {
            permutation(k, n, order);
            order[n] = order[twice]; /* one comes again, after all others */
            struct view_store *store = fold_in_order(story, order, n + 1);
            assert_same(expected, store);
            store->ops->close(store);
            done++;
        }
    print_message("  %zu orders\n", done);
    expected->ops->close(expected);
}

static void test_every_order_of_callbacks(void **unused)
{
    (void)unused;
    const enum provider_status statuses[2][6] = {
        {PROVIDER_SMS_QUEUED, PROVIDER_SMS_SENT, PROVIDER_SMS_ACCEPTED_BY_CARRIER,
         PROVIDER_SMS_UNDELIVERED, PROVIDER_SMS_DELIVERED, PROVIDER_SMS_FAILED},
        {PROVIDER_CALL_INITIATED, PROVIDER_CALL_RINGING, PROVIDER_CALL_ANSWERED,
         PROVIDER_CALL_COMPLETED, PROVIDER_CALL_BUSY, PROVIDER_CALL_NO_ANSWER},
    };
    const enum topic topics[] = {OUT, ATT};

    for (size_t channel = 0; channel < 2; channel++)
        for (size_t topic = 0; topic < 2; topic++) {
            struct told story[6];
            for (size_t i = 0; i < 6; i++)
                story[i] = reported(topics[topic], 1, statuses[channel][i], i == 5 ? "late" : "",
                                    (int64_t)i);
            every_order(story, 6);
        }
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Everything that can happen to a send of two attempts, in both tables. */
static size_t long_story(struct told *out)
{
    const struct told story[] = {
        requested(),
        planned(1),
        started(1),
        result(ATT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout"),
        result(OUT, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout"),
        noted(1, SEND_STANDING_UNKNOWN),
        resolved(ATT, 1, ATTEMPT_OUTCOME_NOT_EXECUTED),
        resolved(OUT, 1, ATTEMPT_OUTCOME_NOT_EXECUTED),
        scheduled(1),
        noted(1, SEND_STANDING_ASKED),
        noted(1, SEND_STANDING_RELEASED),
        planned(2),
        started(2),
        result(ATT, 2, ATTEMPT_OUTCOME_ACCEPTED, ""),
        result(OUT, 2, ATTEMPT_OUTCOME_ACCEPTED, ""),
        reported(ATT, 2, PROVIDER_SMS_SENT, "", 3),
        reported(OUT, 2, PROVIDER_SMS_SENT, "", 3),
        reported(ATT, 2, PROVIDER_SMS_FAILED, "unreachable", 4),
        reported(OUT, 2, PROVIDER_SMS_FAILED, "unreachable", 4),
        ended(2, "unreachable", false),
        reported(ATT, 1, PROVIDER_SMS_DELIVERED, "", 40),
        reported(OUT, 1, PROVIDER_SMS_DELIVERED, "", 40),
        priced(ATT, 1, 310000),
        priced(OUT, 1, 310000),
        priced(ATT, 2, -1),
    };

    memcpy(out, story, sizeof story);
    return TH_LEN(story);
}

static void test_any_order_of_a_whole_story(void **unused)
{
    (void)unused;
    struct told story[32];
    size_t n = long_story(story);
    size_t order[64];
    uint64_t seed = 42;

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    struct view_store *expected = fold_in_order(story, order, n);
    for (int round = 0; round < 3000; round++) {
        struct view_store *store = new_store();
        size_t given = n + random_next(&seed) % n; /* some twice */

        for (size_t i = n; i < given; i++)
            order[i] = random_next(&seed) % n;
        for (size_t i = given - 1; i > 0; i--) {
            size_t j = random_next(&seed) % (i + 1);
            size_t kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        for (size_t at = 0; at < given;) { /* in batches of any size */
            size_t batch = 1 + random_next(&seed) % 9;
            batch = batch < given - at ? batch : given - at;
            fold_batch(store, story, order + at, batch);
            at += batch;
        }
        assert_same(expected, store);
        store->ops->close(store);
        bool is_there[32] = {false};
        size_t kept = 0;
        for (size_t i = 0; i < given; i++)
            if (!is_there[order[i]]) {
                is_there[order[i]] = true;
                order[kept++] = order[i];
            }
    }
    assert_str_equal(the_send(expected)->outcome, TH_STR("reached"));
    expected->ops->close(expected);
}

/* --- counters and cost
 * ----------------------------------------------------------------------------
 */

static int64_t how_many(const struct view_store *store, enum view_counter_source source,
                        const char *outcome)
{
    int64_t n = 0;

    for (size_t i = 0; i < memory_store_count(store, VIEW_TABLE_CAMPAIGN_COUNTERS); i++) {
        const struct campaign_counters_row *row =
            memory_store_row(store, VIEW_TABLE_CAMPAIGN_COUNTERS, i);
        if (row->source == (int32_t)source && th_str_eq(row->outcome, th_str(outcome)))
            n += row->n;
    }
    return n;
}

static void test_counters_follow(void **unused)
{
    (void)unused;
    struct told story[32];
    size_t n = long_story(story);
    struct view_store *store = new_store();

    for (size_t i = 0; i < n; i++) {
        fold_batch(store, story, &i, 1);
        int64_t in_all = 0;
        for (size_t k = 0; k < memory_store_count(store, VIEW_TABLE_CAMPAIGN_COUNTERS); k++) {
            const struct campaign_counters_row *row =
                memory_store_row(store, VIEW_TABLE_CAMPAIGN_COUNTERS, k);
            assert_true(row->n > 0);
            in_all += row->source == VIEW_COUNTED_SENDS ? row->n : 0;
        }
        assert_int_equal(in_all, 1); /* one send, in one set at any time */
        if (i == 2)
            assert_int_equal(how_many(store, VIEW_COUNTED_ATTEMPTS, "open"), 1);
    }
    assert_int_equal(how_many(store, VIEW_COUNTED_SENDS, "reached"), 1);
    assert_int_equal(how_many(store, VIEW_COUNTED_ATTEMPTS, "open"), 0);

    /* The first attempt has its price, the second keeps the estimate. */
    assert_int_equal(memory_store_count(store, VIEW_TABLE_CAMPAIGN_COSTS), 2);
    const struct campaign_costs_row *priced_row =
        memory_store_row(store, VIEW_TABLE_CAMPAIGN_COSTS, 0);
    const struct campaign_costs_row *estimated =
        memory_store_row(store, VIEW_TABLE_CAMPAIGN_COSTS, 1);
    assert_false(priced_row->is_estimated);
    assert_int_equal(priced_row->micros, 310000);
    assert_true(estimated->is_estimated);
    assert_int_equal(estimated->micros, 250000);
    store->ops->close(store);
}

/* --- commands
 * -------------------------------------------------------------------------------------
 */

static struct th_id command_id(uint8_t which)
{
    return (struct th_id){{5, 5, 5, 5, 5, 5, 0x80, 1, 0x80, which}};
}

/* cause 0: none. */
static struct told of_campaign(enum event_type type, uint8_t cause)
{
    struct told told = {.topic = TOPIC_CAMPAIGN_EVENTS, .event.type = type};

    if (type == EVENT_START_CAMPAIGN || type == EVENT_SET_CAMPAIGN_PACE) {
        told.topic = TOPIC_CAMPAIGN_COMMANDS;
        told.event.as.start_campaign.campaign = campaign_1; /* likewise in both */
    } else if (type == EVENT_COMMAND_REFUSED) {
        told.event.as.command_refused = (struct command_refused){.campaign = campaign_1,
                                                                 .command = TH_STR("start"),
                                                                 .code = TH_STR("no"),
                                                                 .detail = TH_STR("it cannot be")};
    } else {
        told.event.as.campaign_starting.campaign = campaign_1; /* it stands first in all of them */
    }
    struct meta *meta = event_meta_mut(&told.event);
    *meta = meta_at(1);
    if (told.topic == TOPIC_CAMPAIGN_COMMANDS)
        meta->event_id = command_id(cause);
    else if (cause)
        meta->cause = (struct optional_uuid){true, command_id(cause)};
    return told;
}

static void test_what_becomes_of_a_start(void **unused)
{
    (void)unused;
    const struct {
        const char *says;
        const char *first;
        const char *second;
        const char *phase;
        struct told story[STORY_MAX];
    } cases[] = {
        {"pending until the audience was looked up",
         "starting",
         "",
         "starting",
         {of_campaign(EVENT_START_CAMPAIGN, 1), of_campaign(EVENT_CAMPAIGN_STARTING, 1)}},
        {"applied when the run begins, whose event has no cause",
         "applied",
         "",
         "running",
         {of_campaign(EVENT_START_CAMPAIGN, 1), of_campaign(EVENT_CAMPAIGN_STARTING, 1),
          of_campaign(EVENT_CAMPAIGN_STARTED, 0)}},
        {"refused after the look-up, whose event has no cause",
         "refused",
         "",
         "draft",
         {of_campaign(EVENT_START_CAMPAIGN, 1), of_campaign(EVENT_CAMPAIGN_STARTING, 1),
          of_campaign(EVENT_COMMAND_REFUSED, 0)}},
        {"a second one is refused, the first goes on",
         "applied",
         "refused",
         "running",
         {of_campaign(EVENT_START_CAMPAIGN, 1), of_campaign(EVENT_CAMPAIGN_STARTING, 1),
          of_campaign(EVENT_START_CAMPAIGN, 2), of_campaign(EVENT_COMMAND_REFUSED, 2),
          of_campaign(EVENT_CAMPAIGN_STARTED, 0)}},
        {"refused, and started again with success",
         "refused",
         "applied",
         "running",
         {of_campaign(EVENT_START_CAMPAIGN, 1), of_campaign(EVENT_CAMPAIGN_STARTING, 1),
          of_campaign(EVENT_COMMAND_REFUSED, 0), of_campaign(EVENT_START_CAMPAIGN, 2),
          of_campaign(EVENT_CAMPAIGN_STARTING, 2), of_campaign(EVENT_CAMPAIGN_STARTED, 0)}},
    };
    const struct campaigns_row campaign = {.campaign = campaign_1};

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct view_store *store = new_store();
        const struct commands_row first = {.command = command_id(1)};
        const struct commands_row second = {.command = command_id(2)};

        print_message("  %s\n", cases[i].says);
        for (size_t k = 0; k < STORY_MAX && event_meta(&cases[i].story[k].event)->tenant.n; k++) {
            fold_batch(store, cases[i].story, &k, 1);
            fold_batch(store, cases[i].story, &k, 1); /* again: nothing changes */
        }
        const struct commands_row *row = memory_store_find(store, VIEW_TABLE_COMMANDS, &first);
        assert_str_equal(row->status, th_str(cases[i].first));
        assert_str_equal(row->kind, TH_STR("StartCampaign"));
        row = memory_store_find(store, VIEW_TABLE_COMMANDS, &second);
        assert_str_equal(row ? row->status : TH_STR(""), th_str(cases[i].second));
        const struct campaigns_row *found =
            memory_store_find(store, VIEW_TABLE_CAMPAIGNS, &campaign);
        assert_str_equal(found->phase, th_str(cases[i].phase));
        store->ops->close(store);
    }
}

static void test_another_pace_is_shown(void **unused)
{
    struct told story[] = {of_campaign(EVENT_SET_CAMPAIGN_PACE, 1),
                           of_campaign(EVENT_CAMPAIGN_PACE_CHANGED, 1)};
    const struct commands_row command = {.command = command_id(1)};
    const struct campaigns_row campaign = {.campaign = campaign_1};
    static const size_t orders[][2] = {{0, 1}, {1, 0}}; /* they lie in different topics */

    (void)unused;
    story[1].event.as.campaign_pace_changed.pace_per_min = 1200;
    for (size_t i = 0; i < TH_LEN(orders); i++) {
        struct view_store *store = new_store();

        fold_batch(store, story, &orders[i][0], 1);
        fold_batch(store, story, &orders[i][1], 1);
        const struct commands_row *row = memory_store_find(store, VIEW_TABLE_COMMANDS, &command);
        assert_str_equal(row->status, TH_STR("applied"));
        assert_str_equal(row->kind, TH_STR("SetCampaignPace"));
        const struct campaigns_row *found =
            memory_store_find(store, VIEW_TABLE_CAMPAIGNS, &campaign);
        assert_int_equal(found->pace_per_min, 1200);
        store->ops->close(store);
    }
}

/* --- texts from outside
 * ------------------------------------------------------------------------------
 */

static void test_texts_fit_the_tables(void **unused)
{
    (void)unused;
    static char long_text[3001];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[VIEW_TEXT_MAX - 1] = (char)0xe0; /* a letter of three bytes across the end */
    long_text[VIEW_TEXT_MAX] = (char)0xa4;
    long_text[VIEW_TEXT_MAX + 1] = (char)0xb9;
    const struct {
        const char *says;
        struct th_str reason;
        struct th_str expected;
    } cases[] = {
        {"a plain text stays", TH_STR("busy"), TH_STR("busy")},
        {"NUL, which Postgres refuses, is replaced", TH_STR("a\0b"),
         TH_STR("a\xef\xbf\xbd"
                "b")},
        {"a text too long for an index is cut between characters",
         th_str(long_text),
         {long_text, VIEW_TEXT_MAX - 1}},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct told story[] = {planned(1), ended(1, "", false)};
        const size_t both[] = {0, 1};

        print_message("  %s\n", cases[i].says);
        story[1].event.as.send_ended.reason = cases[i].reason;
        struct view_store *store = fold_in_order(story, both, 2);
        assert_str_equal(the_send(store)->reason, cases[i].expected);
        fold_batch(store, story, both + 1, 1); /* once more: the same */
        assert_str_equal(the_send(store)->reason, cases[i].expected);
        assert_int_equal(memory_store_count(store, VIEW_TABLE_CAMPAIGN_COUNTERS), 0);
        store->ops->close(store);
    }
}

/* --- no memory
 * ------------------------------------------------------------------------------------
 */

static void test_every_failed_allocation(void **unused)
{
    (void)unused;
    struct told story[32];
    size_t n = long_story(story);
    size_t order[32];
    struct view_store *store = new_store();
    enum th_code code = TH_NOMEM;
    long failed = 0;

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (; code != TH_OK; failed++) {
        struct view_batch batch;
        struct view_change change = {0};
        long live = mallocs_live;

        view_batch_init(&batch, store);
        mallocs_left = failed;
        code = try_fold(&batch, story, order, n, &change);
        mallocs_left = -1;
        view_batch_fini(&batch);
        assert_int_equal(mallocs_live, live);
        assert_true(code == TH_OK || code == TH_NOMEM);
    }
    print_message("  %ld allocations\n", failed - 1);
    assert_true(failed > 5);
    store->ops->close(store);
}

/* --- the shell
 * ------------------------------------------------------------------------------------
 */

struct world {
    struct th_virtual_clock clock;
    struct th_log *log;
    struct view_store *store; /* shared: what is opened again finds what was written */
};

/* The store outlives the slots that open it. */
struct borrowed {
    struct view_store store;
    struct view_store *inner;
};

static enum th_code lent_progress(struct view_store *store, struct view_step *steps, size_t n,
                                  struct th_err *err)
{
    struct view_store *inner = ((struct borrowed *)store)->inner;
    return inner->ops->progress(inner, steps, n, err);
}

static enum th_code lent_load(struct view_store *store, enum view_table_id table,
                              struct view_entry *const *entries, size_t n, struct th_arena *arena,
                              struct th_err *err)
{
    struct view_store *inner = ((struct borrowed *)store)->inner;
    return inner->ops->load(inner, table, entries, n, arena, err);
}

static enum th_code lent_commit(struct view_store *store, const struct view_change *change,
                                struct th_err *err)
{
    struct view_store *inner = ((struct borrowed *)store)->inner;
    return inner->ops->commit(inner, change, err);
}

static void lent_close(struct view_store *store)
{
    free(store);
}

static const struct view_store_ops lent_ops = {lent_progress, lent_load, lent_commit, lent_close};

static enum th_code lend(void *context, struct view_store **out_store, struct th_err *err)
{
    struct world *world = context;
    struct borrowed *lent = calloc(1, sizeof *lent);

    if (!lent)
        return th_fail(err, TH_NOMEM, "a store");
    lent->store.ops = &lent_ops;
    lent->inner = world->store;
    *out_store = &lent->store;
    return TH_OK;
}

static void append_story(struct world *world)
{
    struct told story[32];
    size_t n = long_story(story);
    struct th_err err = {0};

    for (size_t i = 0; i < n; i++) {
        TH_AUTO(th_buf) struct th_buf value = {0};
        assert_int_equal(event_encode(&story[i].event, &value), TH_OK);
        struct log_output output = {.topic = story[i].topic,
                                    .part = story[i].topic == ATT ? 1 : -1,
                                    .key = TH_STR("pratham/send"),
                                    .value = th_buf_str(&value)};
        assert_int_equal(th_log_append(world->log, &output, 1, NULL, &err), TH_OK);
    }
    struct log_output garbage = {.topic = TOPIC_SEND_EVENTS,
                                 .part = -1,
                                 .key = TH_STR("pratham/send"),
                                 .value = TH_STR("\0\0\0\x4c\1broken")};
    assert_int_equal(th_log_append(world->log, &garbage, 1, NULL, &err), TH_OK);
}

static void world_open(struct world *world)
{
    struct th_err err = {0};

    th_virtual_clock_init(&world->clock, BEGIN_US);
    struct memory_log_options options = {
        .partitions = 4, .bytes_max = 1 << 20, .clock = &world->clock.clock, .seed = 1};
    assert_int_equal(memory_log_new(&options, &world->log, &err), TH_OK);
    world->store = new_store();
    append_story(world);
}

static void world_close(struct world *world)
{
    world->store->ops->close(world->store);
    th_log_close(world->log);
}

static void drain_slots(struct world *world, int slots)
{
    struct th_err err = {0};

    for (int slot = 0; slot < slots; slot++) {
        struct materialize_config config = {.log = world->log,
                                            .clock = &world->clock.clock,
                                            .open_store = lend,
                                            .context = world,
                                            .slot = slot,
                                            .slots = slots};
        struct materialize *m;
        assert_int_equal(materialize_new(&config, &m, &err), TH_OK);
        enum th_code code = TH_OK;
        for (int tries = 0; tries < 10; tries++)
            if ((code = materialize_drain(m, &err)) == TH_OK)
                break;
        assert_int_equal(code, TH_OK);
        materialize_free(m);
    }
}

static void test_shell_folds_everything_once(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        int slots;
        int fail_n;
        bool is_done;
    } cases[] = {
        {"one slot", 1, 0, false},
        {"three slots fold the same", 3, 0, false},
        {"a commit that failed is done again", 1, 2, false},
        {"a commit whose answer was lost is not done again", 1, 2, true},
    };
    struct world first;

    world_open(&first);
    drain_slots(&first, 1);
    assert_int_equal(memory_store_count(first.store, VIEW_TABLE_DEAD_LETTERS), 1);
    assert_str_equal(the_send(first.store)->outcome, TH_STR("reached"));
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct world world;

        print_message("  %s\n", cases[i].says);
        world_open(&world);
        memory_store_fail(world.store, cases[i].fail_n, cases[i].is_done);
        drain_slots(&world, cases[i].slots);
        drain_slots(&world, cases[i].slots);
        assert_same(first.store, world.store);
        world_close(&world);
    }
    world_close(&first);
}

static void drain(struct materialize *m)
{
    struct th_err err = {0};

    assert_int_equal(materialize_drain(m, &err), TH_OK);
}

/* Rows that a slot keeps in memory are worth nothing once another one has gone on with them. */
static void test_who_was_overtaken_begins_anew(void **unused)
{
    (void)unused;
    struct world world;
    struct world other;
    struct materialize *first;
    struct materialize *second;
    struct th_err err = {0};

    world_open(&world);
    struct materialize_config config = {
        .log = world.log, .clock = &world.clock.clock, .open_store = lend, .context = &world};
    assert_int_equal(materialize_new(&config, &first, &err), TH_OK);
    assert_int_equal(materialize_new(&config, &second, &err), TH_OK);
    drain(first);
    append_story(&world);
    drain(second);
    append_story(&world);
    assert_int_equal(materialize_drain(first, &err), TH_FENCED);
    drain(first);
    materialize_free(first);
    materialize_free(second);

    world_open(&other);
    append_story(&other);
    append_story(&other);
    drain_slots(&other, 1);
    assert_same(other.store, world.store);
    world_close(&other);
    world_close(&world);
}

/* While there is a backlog nobody waits for company; when it is gone, batches wait for it. */
static void test_a_backlog_is_folded_at_once(void **unused)
{
    (void)unused;
    struct world world;
    struct materialize *m;
    struct th_err err = {0};
    int64_t next_us = 0;
    int steps = 0;

    world_open(&world);
    for (int i = 0; i < 150; i++)
        append_story(&world);
    struct materialize_config config = {.log = world.log,
                                        .clock = &world.clock.clock,
                                        .open_store = lend,
                                        .context = &world,
                                        .read_bytes = (size_t)8 * 1024,
                                        .batch_bytes = (size_t)8 * 1024};
    assert_int_equal(materialize_new(&config, &m, &err), TH_OK);
    do {
        assert_int_equal(materialize_step(m, &next_us, &err), TH_OK);
        steps++;
    } while (next_us <= BEGIN_US && steps < 1000);
    uint64_t events = materialize_status(m).events;
    print_message("  %llu events in %d steps\n", (unsigned long long)events, steps);
    assert_true(steps > 5 && steps < 1000);
    assert_true(events > (uint64_t)150 * 25);

    /* One more event now waits for its time, and no longer. */
    append_story(&world);
    assert_int_equal(materialize_step(m, &next_us, &err), TH_OK);
    assert_int_equal(materialize_status(m).events, events);
    assert_true(next_us > BEGIN_US && next_us <= BEGIN_US + TH_US_PER_SEC);
    th_virtual_clock_advance(&world.clock, next_us - BEGIN_US);
    assert_int_equal(materialize_step(m, &next_us, &err), TH_OK);
    assert_true(materialize_status(m).events > events);
    materialize_free(m);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_every_order_of_callbacks),
        cmocka_unit_test(test_any_order_of_a_whole_story),
        cmocka_unit_test(test_counters_follow),
        cmocka_unit_test(test_what_becomes_of_a_start),
        cmocka_unit_test(test_another_pace_is_shown),
        cmocka_unit_test(test_texts_fit_the_tables),
        cmocka_unit_test(test_every_failed_allocation),
        cmocka_unit_test(test_shell_folds_everything_once),
        cmocka_unit_test(test_who_was_overtaken_begins_anew),
        cmocka_unit_test(test_a_backlog_is_folded_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
