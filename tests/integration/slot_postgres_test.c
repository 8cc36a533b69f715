/* Slots on the Postgres log, while their backends are terminated: every request is carried out
 * once, and state comes back from snapshots and own events. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/eventlog/slot.h"
#include "common/log_line.h"
#include "tests/integration/log_cluster.h"
#include "tests/unit/slot_echo.h"
#include "tests/unit/slot_toy.h"

#define PARTITIONS 4
#define SLOTS      2
#define REQUESTS   2000
#define KILLS      12
#define WAITS_MAX  6000 /* of 10 ms */

static struct log_cluster logs;

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* --- two slots as threads
 * --------------------------------------------------------------------------
 */

struct runner {
    pthread_t thread;
    struct slot *slot;
    struct echo echo;
    int stop_fd;
};

static void *run(void *arg)
{
    struct runner *runner = arg;

    slot_run(runner->slot, runner->stop_fd);
    return NULL;
}

static void start(struct runner *runner, struct th_log *log, struct reference *ref, int slot)
{
    static const struct toy_config toy = {.process = 1};
    struct slot_config config = {.log = log,
                                 .clock = &th_clock_real,
                                 .reference = ref,
                                 .core = &toy_core_by_piece,
                                 .core_config = &toy,
                                 .effects = &runner->echo.effects,
                                 .slot = slot,
                                 .slots = SLOTS,
                                 .poll_us = 250 * TH_US_PER_MS,
                                 .reopen_wait_us = 20 * TH_US_PER_MS,
                                 .snapshot_bytes_min = 32768};

    runner->stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(slot_new(&config, &runner->slot, NULL), TH_OK);
    assert_int_equal(pthread_create(&runner->thread, NULL, run, runner), 0);
}

static void stop(struct runner *runner)
{
    assert_int_equal(eventfd_write(runner->stop_fd, 1), 0);
    pthread_join(runner->thread, NULL);
    slot_free(runner->slot);
    close(runner->stop_fd);
}

/* --- requests and what became of them
 * -------------------------------------------------------------- */

static struct th_id send_of(int request)
{
    return (struct th_id){.b = {(uint8_t)(request >> 8), (uint8_t)request}};
}

static void append_request(struct th_log *log, int request)
{
    struct th_id send = send_of(request);
    struct event event = {.type = EVENT_SEND_REQUESTED,
                          .as.send_requested = {.meta = {.tenant = TH_STR("ngo")}, .send = send}};
    TH_AUTO(th_buf) struct th_buf value = {0};
    char text[TH_ID_TEXT_LEN + 1];
    char key[64];

    th_id_text(send, text);
    snprintf(key, sizeof key, "ngo/%s", text);
    assert_int_equal(event_encode(&event, &value), TH_OK);
    struct log_output output = {TOPIC_SEND_REQUESTS, -1, th_str(key), .value = th_buf_str(&value)};
    struct th_err err = {0};
    assert_int_equal(th_log_append(log, &output, 1, NULL, &err), TH_OK);
}

struct tally {
    int admitted[REQUESTS];
    int accepted[REQUESTS];
    int not_sent[REQUESTS];
    int ended; /* in all */
};

static void count(struct tally *tally, const struct event *event)
{
    if (event->type == EVENT_SEND_ADMITTED) {
        const struct th_id *send = &event->as.send_admitted.send;
        tally->admitted[send->b[0] << 8 | send->b[1]]++;
    } else if (event->type == EVENT_SEND_ENDED) {
        const struct th_id *send = &event->as.send_ended.send;
        bool is_accepted = th_str_eq(event->as.send_ended.reason, TH_STR("accepted"));
        (is_accepted ? tally->accepted : tally->not_sent)[send->b[0] << 8 | send->b[1]]++;
        tally->ended++;
    }
}

static void read_all(struct th_log *log, struct tally *tally)
{
    struct log_place from[PARTITIONS];
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    struct th_err err = {0};

    *tally = (struct tally){0};
    for (int part = 0; part < PARTITIONS; part++)
        from[part] = (struct log_place){TOPIC_SEND_EVENTS, part, 0};
    th_arena_init(&arena, (size_t)1 << 28);
    assert_int_equal(th_log_reader_open(log, from, PARTITIONS, &reader, &err), TH_OK);
    do {
        assert_int_equal(th_log_reader_read(reader, 1 << 20, &arena, &records, &err), TH_OK);
        for (size_t i = 0; i < records.n; i++) {
            struct event event;
            assert_int_equal(event_decode(records.at[i].value, &arena, &event, &err), TH_OK);
            count(tally, &event);
        }
    } while (records.n > 0);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
}

static void kill_a_backend(int n)
{
    char name[64];

    snprintf(name, sizeof name, "telehub slot %d/%d", LOG_APP_RETRY, n % SLOTS);
    log_cluster_kill(&logs, name, 5000);
}

static struct th_log *open_log(void)
{
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_err err = {0};
    struct th_log *log;

    if (pg_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static void assert_told_once(const struct tally *tally, const struct runner *runners)
{
    static int calls[REQUESTS];

    for (int slot = 0; slot < SLOTS; slot++)
        for (size_t i = 0; i < runners[slot].echo.n; i++) {
            const struct th_id *send = &runners[slot].echo.calls[i].send;
            calls[send->b[0] << 8 | send->b[1]]++;
        }
    for (int i = 0; i < REQUESTS; i++)
        if (tally->admitted[i] != 1 || tally->accepted[i] + tally->not_sent[i] != 1 ||
            calls[i] != tally->accepted[i])
            fail_msg("request %d: admitted %d accepted %d not sent %d, called %d times", i,
                     tally->admitted[i], tally->accepted[i], tally->not_sent[i], calls[i]);
}

static void test_backends_die_and_nothing_is_lost_or_repeated(void **unused)
{
    (void)unused;
    static struct runner runners[SLOTS];
    static struct tally tally;
    struct th_err err = {0};

    th_log_set_level(TH_LOG_ERROR);
    log_cluster_make(&logs, PARTITIONS);
    struct th_log *log = open_log();
    struct reference *ref = reference_new();
    assert_int_equal(slot_init_cursors(log, &toy_core_by_piece, SLOTS, &err), TH_OK);
    assert_int_equal(slot_init_cursors(log, &toy_core_by_piece, SLOTS, &err), TH_OK);
    for (int slot = 0; slot < SLOTS; slot++) {
        echo_init(&runners[slot].echo, REQUESTS);
        start(&runners[slot], log, ref, slot);
    }

    for (int i = 0; i < REQUESTS; i++) {
        append_request(log, i);
        if (i % (REQUESTS / KILLS) == REQUESTS / KILLS - 1)
            kill_a_backend(i / (REQUESTS / KILLS));
    }
    for (int n = 0; tally.ended < REQUESTS && n < WAITS_MAX; n++) {
        read_all(log, &tally);
        nap_ms(10);
    }
    struct slot_status first = slot_status(runners[0].slot);
    struct slot_status second = slot_status(runners[1].slot);
    print_message("  %lu commits, %lu aborts, %lu openings, last commit %ld us\n",
                  (unsigned long)(first.commits + second.commits),
                  (unsigned long)(first.aborts + second.aborts),
                  (unsigned long)(first.reopens + second.reopens), (long)first.commit_us);
    for (int slot = 0; slot < SLOTS; slot++)
        stop(&runners[slot]);
    assert_told_once(&tally, runners);
    assert_true(first.aborts + second.aborts + first.reopens + second.reopens > 0);

    print_message("  and after a restart there is nothing left to do\n");
    for (int slot = 0; slot < SLOTS; slot++)
        start(&runners[slot], log, ref, slot);
    for (int slot = 0; slot < SLOTS; slot++)
        for (int n = 0; !slot_status(runners[slot].slot).is_open && n < WAITS_MAX; n++)
            nap_ms(10);
    nap_ms(300);
    for (int slot = 0; slot < SLOTS; slot++) {
        assert_true(slot_status(runners[slot].slot).is_open);
        assert_int_equal(slot_status(runners[slot].slot).commits, 0);
        stop(&runners[slot]);
    }
    read_all(log, &tally);
    assert_int_equal(tally.ended, REQUESTS);
    for (int slot = 0; slot < SLOTS; slot++)
        echo_fini(&runners[slot].echo);
    reference_free(ref);
    th_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backends_die_and_nothing_is_lost_or_repeated),
    };

    log_cluster_start(&logs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_cluster_stop(&logs);
    return failed;
}
