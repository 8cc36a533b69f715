#include "tests/integration/log_worker.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

#define BATCH_MAX      31
#define FINISH_WAIT_US (30 * TH_US_PER_SEC)

enum th_code log_worker_open(struct log_worker *worker, struct th_err *err)
{
    const struct log_cursor *cursors;
    size_t n;

    TH_TRY(th_log_session_open(worker->log, WORKER_APP, worker->slot, &worker->session, err));
    th_log_session_cursors(worker->session, &cursors, &n);
    worker->next = n ? cursors[0].next.offset : 0;
    return TH_OK;
}

enum th_code log_worker_start(struct log_worker *worker, struct th_err *err)
{
    struct log_output outputs[2 * BATCH_MAX];
    worker->seed = worker->seed * 1664525 + 1013904223;
    size_t n = (worker->seed >> 16) % (BATCH_MAX + 1);

    for (size_t i = 0; i < n; i++) {
        int size = snprintf(worker->values[i], sizeof worker->values[i], "%" PRId64,
                            worker->next + (int64_t)i);
        struct th_str value = {worker->values[i], (size_t)size};
        outputs[2 * i] = (struct log_output){TOPIC_DISPATCH_ATTEMPTS, worker->slot,
                                             TH_STR("pratham/1"), .value = value};
        outputs[2 * i + 1] = (struct log_output){TOPIC_PROVIDER_CALLBACKS, worker->slot,
                                                 TH_STR("pratham/1"), .value = value};
    }
    const struct log_cursor cursor = {
        .next = {TOPIC_DISPATCH_REQUESTS, worker->slot, worker->next + (int64_t)n}};
    const struct log_txn txn = {outputs, 2 * n, &cursor, 1, NULL};
    return th_log_commit_start(worker->session, &txn, err);
}

enum log_commit log_worker_finish(struct log_worker *worker, bool *out_is_answered,
                                  struct th_err *err)
{
    int64_t deadline_us = th_clock_monotonic_us(&th_clock_real) + FINISH_WAIT_US;
    enum log_commit outcome;

    for (;;) {
        outcome = th_log_commit_poll(worker->session, NULL, out_is_answered, err);
        if (outcome != LOG_COMMIT_PENDING || th_clock_monotonic_us(&th_clock_real) > deadline_us)
            break;
        struct pollfd fd = {.fd = th_log_session_fd(worker->session), .events = POLLIN};
        poll(&fd, 1, 1000);
    }
    if (outcome == LOG_COMMITTED) {
        const struct log_cursor *cursors;
        size_t n;
        th_log_session_cursors(worker->session, &cursors, &n);
        worker->next = cursors[0].next.offset;
    }
    return outcome;
}

void log_worker_close(struct log_worker *worker, bool release)
{
    th_log_session_close(worker->session, release);
    worker->session = NULL;
}

/* --- checking ------------------------------------------------------------------------------------
 */

static void check_record(const struct log_record *record, int64_t expected)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, expected);

    if (record->place.offset == expected &&
        th_str_eq(record->value, (struct th_str){text, (size_t)size}))
        return;
    fprintf(stderr, "%s/%d: offset %" PRId64 " holds %.*s, expected %s\n",
            topic_name(record->place.topic), record->place.part, record->place.offset,
            TH_ARG(record->value), text);
    exit(1);
}

static int64_t check_topic(struct th_log *log, enum topic topic, int part)
{
    struct th_log_reader *reader;
    struct th_arena arena;
    struct th_err err = {0};
    struct log_records records;
    int64_t n = 0;

    th_arena_init(&arena, (size_t)64 << 20);
    enum th_code code =
        th_log_reader_open(log, &(struct log_place){topic, part, 0}, 1, &reader, &err);
    do {
        th_arena_reset(&arena);
        if (code == TH_OK)
            code = th_log_reader_read(reader, (size_t)1 << 20, &arena, &records, &err);
        if (code != TH_OK) {
            fprintf(stderr, "%s/%d: %s\n", topic_name(topic), part, err.text);
            exit(1);
        }
        for (size_t i = 0; i < records.n; i++)
            check_record(&records.at[i], n++);
    } while (records.n > 0);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    return n;
}

int64_t log_worker_check(struct th_log *log, int slot)
{
    struct log_worker worker = {.log = log, .slot = slot};
    struct th_err err = {0};
    int64_t attempts = check_topic(log, TOPIC_DISPATCH_ATTEMPTS, slot);
    int64_t callbacks = check_topic(log, TOPIC_PROVIDER_CALLBACKS, slot);

    if (log_worker_open(&worker, &err) != TH_OK) {
        fprintf(stderr, "slot %d: %s\n", slot, err.text);
        exit(1);
    }
    int64_t next = worker.next;
    log_worker_close(&worker, true);
    if (attempts == next && callbacks == next)
        return next;
    fprintf(stderr,
            "slot %d: %" PRId64 " and %" PRId64 " numbers, but its cursor is at %" PRId64 "\n",
            slot, attempts, callbacks, next);
    exit(1);
}
