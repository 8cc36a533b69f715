/* A reader that has had nothing to read for long follows: nobody asks where its partitions end any
 * more, and a record that another process appends wakes its listener all the same. On a real
 * broker; skipped, saying so, where no Kafka can be had. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_log.h"
#include "tests/kafka/test_broker.h"
#include "tests/unit/test.h"

#define PARTS    2
#define IDLE_MS  100
#define WATCH_MS 10
#define QUIET_MS 500   /* several looks, if there were any */
#define WAIT_MS  60000 /* for what must come */

static struct test_broker broker;

static struct {
    struct th_log *ours;
    struct th_log *theirs; /* as another process would have it */
    struct th_log_reader *reader;
    struct th_log_listener *listener;
    struct th_arena arena;
} it;

static struct th_log *open_log(void)
{
    const struct kafka_log_config config = {
        .brokers = broker.brokers, .prefix = "follow.", .idle_ms = IDLE_MS, .watch_ms = WATCH_MS};
    struct th_err err = {0};
    struct th_log *log;

    if (kafka_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static int set_up(void **unused)
{
    const struct kafka_log_config config = {.brokers = broker.brokers, .prefix = "follow."};
    const struct log_place from[PARTS] = {{TOPIC_PROVIDER_CALLBACKS, 0, 0},
                                          {TOPIC_PROVIDER_CALLBACKS, 1, 0}};
    struct th_err err = {0};

    (void)unused;
    if (kafka_log_create(&config, PARTS, 1, &err) != TH_OK)
        fail_msg("%s", err.text);
    it.ours = open_log();
    it.theirs = open_log();
    th_arena_init(&it.arena, 1 << 20);
    assert_int_equal(th_log_reader_open(it.ours, from, PARTS, &it.reader, NULL), TH_OK);
    assert_int_equal(
        th_log_listener_open(it.ours, 1u << TOPIC_PROVIDER_CALLBACKS, &it.listener, NULL), TH_OK);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    th_log_listener_close(it.listener);
    th_log_reader_close(it.reader);
    th_arena_fini(&it.arena);
    th_log_close(it.ours);
    th_log_close(it.theirs);
    return 0;
}

static size_t read_some(struct th_str *out_value)
{
    struct log_records records = {0};
    struct th_err err = {0};

    th_arena_reset(&it.arena);
    if (th_log_reader_read(it.reader, 1 << 20, &it.arena, &records, &err) != TH_OK)
        fail_msg("%s", err.text);
    if (records.n > 0)
        *out_value = records.at[0].value;
    return records.n;
}

static bool is_rung(int timeout_ms)
{
    struct pollfd fd = {.fd = th_log_listener_fd(it.listener), .events = POLLIN};

    return poll(&fd, 1, timeout_ms) == 1;
}

/* Reads as a slot does that has nothing to do, until looks have ceased. */
static void become_idle(void)
{
    struct th_str value;
    uint64_t asked;

    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += QUIET_MS) {
        asked = kafka_log_status(it.ours).asked;
        for (int i = 0; i < QUIET_MS / WATCH_MS; i++) {
            if (is_rung(WATCH_MS))
                th_log_listener_clear(it.listener);
            assert_int_equal(read_some(&value), 0);
        }
        if (kafka_log_status(it.ours).asked == asked)
            return;
    }
    fail_msg("it is asked and asked where partitions end");
}

static void append(const char *value, int part)
{
    const struct log_output output = {.topic = TOPIC_PROVIDER_CALLBACKS,
                                      .part = part,
                                      .key = TH_STR("k"),
                                      .value = th_str(value)};
    struct th_err err = {0};

    if (th_log_append(it.theirs, &output, 1, NULL, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static void until_read(const char *value)
{
    struct th_str read = {0};

    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += WATCH_MS) {
        if (read_some(&read) > 0) {
            assert_true(th_str_eq(read, th_str(value)));
            return;
        }
        poll(NULL, 0, WATCH_MS);
    }
    fail_msg("%s never came", value);
}

static void test_what_others_append_wakes_who_follows(void **unused)
{
    static const char *const values[] = {"first", "second", "third"};

    (void)unused;
    for (int i = 0; i < (int)TH_LEN(values); i++) {
        become_idle();
        append(values[i], i % PARTS);
        assert_true(is_rung(WAIT_MS));
        th_log_listener_clear(it.listener);
        until_read(values[i]);
    }
}

/* The fetch that waits would hold that up: another consumer takes over. */
static void test_who_follows_can_be_set_back(void **unused)
{
    (void)unused;
    become_idle();
    th_log_reader_seek(it.reader, (struct log_place){TOPIC_PROVIDER_CALLBACKS, 1, 0});
    until_read("second");
    become_idle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_others_append_wakes_who_follows),
        cmocka_unit_test(test_who_follows_can_be_set_back),
    };
    int status = test_broker_start(&broker);

    if (status)
        return status;
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    test_broker_stop(&broker);
    return failed;
}
