/* A certificate counted from the log when memory runs out: it is not given, and nothing leaks. And
 * the rows that it is counted from: packed, they come back as they were. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/memory_log.h"
#include "processors/materialize/packed_store.h"
#include "processors/materialize/recount.h"
#include "tests/unit/failing_malloc.h"

#define PEOPLE INT64_C(7)
#define TENANT TH_STR("pratham")

static const struct th_id campaign = {{9, 9, 9, 9, 9, 9, 0x80, 1, 0x80, 1}};

static struct th_id send_of(int64_t i)
{
    return (struct th_id){{1, 2, 3, 4, 5, 6, 0x80, 1, 0x80, (uint8_t)i}};
}

static void tell(struct th_log *log, enum topic topic, struct event *event)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    struct th_err err = {0};

    event_meta_mut(event)->tenant = TENANT;
    event_meta_mut(event)->actor = TH_STR("test");
    event_meta_mut(event)->time_us = 1;
    assert_int_equal(event_encode(event, &value), TH_OK);
    const struct log_output output = {.topic = topic,
                                      .part = topic == TOPIC_DISPATCH_ATTEMPTS ? 1 : -1,
                                      .key = TH_STR("pratham/x"),
                                      .value = th_buf_str(&value)};
    assert_int_equal(th_log_append(log, &output, 1, NULL, &err), TH_OK);
}

static void tell_send(struct th_log *log, int64_t i)
{
    const struct th_id send = send_of(i);
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {.send = send,
                              .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                         .as.campaign_origin = {.campaign = campaign}}}};

    tell(log, TOPIC_SEND_REQUESTS, &event);
    event = (struct event){.type = EVENT_ATTEMPT_STARTED,
                           .as.attempt_started = {.send = send,
                                                  .n = 1,
                                                  .campaign = {true, campaign},
                                                  .lane = 1,
                                                  .to = {.is = STRING_OR_SEALED_STRING},
                                                  .estimate = {250000, TH_STR("INR")}}};
    tell(log, TOPIC_DISPATCH_ATTEMPTS, &event);
    event = (struct event){.type = EVENT_SEND_ENDED,
                           .as.send_ended = {.send = send, .n = 1, .reason = TH_STR("exhausted")}};
    tell(log, TOPIC_SEND_EVENTS, &event);
}

static struct th_log *story(void)
{
    const struct memory_log_options options = {
        .partitions = 4, .bytes_max = 1 << 20, .clock = &th_clock_real};
    struct event event = {.type = EVENT_CAMPAIGN_CREATED, .as.campaign_created.campaign = campaign};
    struct th_log *log;
    struct th_err err = {0};

    assert_int_equal(memory_log_new(&options, &log, &err), TH_OK);
    tell(log, TOPIC_CAMPAIGN_EVENTS, &event);
    event = (struct event){.type = EVENT_CAMPAIGN_STARTED,
                           .as.campaign_started = {.campaign = campaign, .recipients = PEOPLE}};
    tell(log, TOPIC_CAMPAIGN_EVENTS, &event);
    for (int64_t i = 0; i < PEOPLE; i++)
        tell_send(log, i);
    return log;
}

/* With n allocations that succeed; negative: all. */
static enum th_code count(struct th_log *log, long n)
{
    struct recount recount;
    struct th_arena arena;
    struct th_err err = {0};

    th_arena_init(&arena, 1 << 20);
    mallocs_left = n;
    enum th_code code = recount_certificate(log, TENANT, campaign, 3, &arena, &recount, &err);
    mallocs_left = -1;
    if (code == TH_OK) {
        assert_int_equal(recount.certificate.audience, PEOPLE);
        assert_int_equal(recount.certificate.unreached_n, 1);
        assert_str_equal(recount.certificate.unreached[0].reason, TH_STR("exhausted"));
        assert_int_equal(recount.certificate.unreached[0].n, PEOPLE);
        assert_int_equal(recount.certificate.cost_n, 1);
        assert_int_equal(recount.certificate.cost[0].amount.micros, PEOPLE * 250000);
    }
    th_arena_fini(&arena);
    return code;
}

static void test_each_allocation_fails(void **unused)
{
    (void)unused;
    struct th_log *log = story();
    long n = 0;

    assert_int_equal(count(log, -1), TH_OK);
    long live = mallocs_live;
    for (;; n++) {
        enum th_code code = count(log, n);
        assert_int_equal(mallocs_live, live);
        if (code == TH_OK)
            break;
        assert_int_equal(code, TH_NOMEM);
    }
    print_message("  %ld allocations\n", n);
    assert_true(n > 50);
    th_log_close(log);
}

/* --- packed rows ---------------------------------------------------------------------------- */

static void put(struct packed_store *store, struct sends_row *row)
{
    struct view_store *view = packed_store_view(store);
    TH_AUTO(th_buf) struct th_buf packed = {0};
    view_pack(view_table(VIEW_TABLE_SENDS), row, &packed);
    struct view_entry entry = {.is_changed = true, .packed = th_buf_str(&packed)};
    struct view_entry *entries[] = {&entry};
    struct view_change change = {.tables[VIEW_TABLE_SENDS] = {entries, 1}};
    struct th_err err = {0};

    assert_int_equal(view->ops->commit(view, &change, &err), TH_OK);
}

static void test_rows_come_back(void **unused)
{
    (void)unused;
    struct sends_row row = {.status_is_final = true, .ended_at = -3, .attempts = 2};
    struct sends_row found;
    struct packed_store *store;
    struct th_err err = {0};

    assert_int_equal(packed_store_new(&store, &err), TH_OK);
    for (uint32_t i = 0; i < 10000; i++) { /* more than a block, and than the first index */
        char reason[16];

        (void)snprintf(reason, sizeof reason, "reason-%u", i % 100);
        memcpy(row.send.b, &i, sizeof i);
        row.reason = th_str(reason);
        row.moved_on = (int32_t)i;
        assert_false(packed_store_has(store, VIEW_TABLE_SENDS, &row));
        put(store, &row);
        put(store, &row); /* the same one again */
        assert_true(packed_store_has(store, VIEW_TABLE_SENDS, &row));
    }
    assert_int_equal(packed_store_count(store, VIEW_TABLE_SENDS), 10000);
    packed_store_row(store, VIEW_TABLE_SENDS, 9950, &found);
    assert_int_equal(found.moved_on, 9950);
    assert_str_equal(found.reason, TH_STR("reason-50"));
    assert_true(found.status_is_final);
    assert_int_equal(found.ended_at, -3);
    assert_int_equal(found.attempts, 2);
    assert_int_equal(found.outcome.n, 0);
    packed_store_clear(store);
    assert_int_equal(packed_store_count(store, VIEW_TABLE_SENDS), 0);
    assert_false(packed_store_has(store, VIEW_TABLE_SENDS, &row));
    packed_store_free(store);
    packed_store_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_rows_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
