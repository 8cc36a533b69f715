/* Slots and a follower as threads, on real time, waiting on descriptors. */
#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"
#include "common/log_line.h"
#include "tests/unit/slot_echo.h"
#include "tests/unit/slot_toy.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define PARTITIONS 4
#define SLOTS      2
#define REQUESTS   300

struct thread {
    pthread_t is;
    struct slot *slot;
    struct reference_follower *follower;
    int stop_fd;
};

static void *run(void *arg)
{
    struct thread *thread = arg;

    if (thread->slot)
        slot_run(thread->slot, thread->stop_fd);
    else
        reference_follower_run(thread->follower, thread->stop_fd);
    return NULL;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* What of send.events has the end of a send. */
static int count_ended(struct th_log *log)
{
    struct log_place from[PARTITIONS];
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    int ended = 0;

    for (int part = 0; part < PARTITIONS; part++)
        from[part] = (struct log_place){TOPIC_SEND_EVENTS, part, 0};
    th_arena_init(&arena, 1 << 26);
    assert_int_equal(th_log_reader_open(log, from, PARTITIONS, &reader, NULL), TH_OK);
    do {
        assert_int_equal(th_log_reader_read(reader, 1 << 20, &arena, &records, NULL), TH_OK);
        for (size_t i = 0; i < records.n; i++) {
            enum event_type type;
            assert_int_equal(event_type_of(records.at[i].value, &type), TH_OK);
            ended += type == EVENT_SEND_ENDED;
        }
    } while (records.n > 0);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    return ended;
}

static void append_request(struct th_log *log, int i)
{
    struct th_id send = {.b = {(uint8_t)(i >> 8), (uint8_t)i}};
    struct event event = {.type = EVENT_SEND_REQUESTED,
                          .as.send_requested = {.meta = {.tenant = TH_STR("ngo")}, .send = send}};
    TH_AUTO(th_buf) struct th_buf value = {0};
    char text[TH_ID_TEXT_LEN + 1];
    char key[64];

    th_id_text(send, text);
    snprintf(key, sizeof key, "ngo/%s", text);
    assert_int_equal(event_encode(&event, &value), TH_OK);
    struct log_output output = {TOPIC_SEND_REQUESTS, -1, th_str(key), .value = th_buf_str(&value)};
    assert_int_equal(th_log_append(log, &output, 1, NULL, NULL), TH_OK);
}

static void test_threads_wake_work_and_stop(void **unused)
{
    (void)unused;
    struct memory_log_options options = {
        .partitions = PARTITIONS, .bytes_max = 1 << 26, .clock = &th_clock_real, .seed = 1};
    struct toy_config toy = {.process = 1};
    struct echo echoes[SLOTS] = {0};
    struct thread threads[SLOTS + 1] = {0};
    struct th_log *log;
    int stop_fd = eventfd(0, EFD_CLOEXEC);
    uint64_t seen = 0;

    th_log_set_level(TH_LOG_ERROR);
    assert_int_equal(memory_log_new(&options, &log, NULL), TH_OK);
    struct reference *ref = reference_new();
    for (int i = 0; i < SLOTS; i++) {
        echo_init(&echoes[i], REQUESTS);
        /* So long that only hints can make it in time. */
        struct slot_config config = {.log = log,
                                     .clock = &th_clock_real,
                                     .reference = ref,
                                     .core = &toy_core,
                                     .core_config = &toy,
                                     .effects = &echoes[i].effects,
                                     .slot = i,
                                     .slots = SLOTS,
                                     .poll_us = 3600 * TH_US_PER_SEC,
                                     .reopen_wait_us = 1000,
                                     .snapshot_bytes_min = 4096};
        assert_int_equal(slot_new(&config, &threads[i].slot, NULL), TH_OK);
    }
    assert_int_equal(reference_follower_open(log, ref, &threads[SLOTS].follower, NULL), TH_OK);
    for (int i = 0; i < SLOTS + 1; i++) {
        threads[i].stop_fd = stop_fd;
        assert_int_equal(pthread_create(&threads[i].is, NULL, run, &threads[i]), 0);
    }

    for (int i = 0; i < SLOTS; i++)
        while (!slot_status(threads[i].slot).is_open)
            nap();
    for (int i = 0; i < REQUESTS; i++) {
        append_request(log, i);
        if (i % 10 == 0)
            nap();
        if (i == REQUESTS / 2)
            memory_log_fence(log, LOG_APP_RETRY, 0);
    }
    for (int n = 0; count_ended(log) < REQUESTS && n < 5000; n++)
        nap();
    assert_int_equal(count_ended(log), REQUESTS);

    assert_int_equal(eventfd_write(stop_fd, 1), 0);
    for (int i = 0; i < SLOTS + 1; i++)
        pthread_join(threads[i].is, NULL);
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(echoes[i].session, 0);
        assert_int_equal(echoes[i].answered, echoes[i].n);
        seen += echoes[i].n;
        assert_false(slot_status(threads[i].slot).is_open);
        slot_free(threads[i].slot);
        echo_fini(&echoes[i]);
    }
    assert_int_equal(seen, REQUESTS);
    reference_follower_close(threads[SLOTS].follower);
    reference_free(ref);
    th_log_close(log);
    close(stop_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_wake_work_and_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
