/* A process that owns a slot: reads, transforms, and commits outputs and cursor together. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/copy/copy_internal.h"

#define READ_BYTES  ((size_t)64 << 10)
#define ARENA_LIMIT ((size_t)64 << 20)
#define ARENA_FULL  ((size_t)16 << 20) /* from there on what was read is committed first */
#define IDLE_MS     1
#define RETRY_MS    20
#define LONG_US     (20 * TH_US_PER_SEC)

struct copier {
    const struct copy_job *job;
    int slot;
    struct th_log *log;
    struct th_log_session *session;
    struct th_log_reader *reader;
    struct log_cursor cursors[COPY_PARTITIONS]; /* of the slot's partitions */
    size_t cursors_n;
    struct th_arena arena; /* of what was read */
    struct log_record *read;
    size_t read_n;
    size_t read_cap;
    size_t done;       /* of those read */
    int64_t commit_us; /* what the last one took */
    struct log_output outputs[COPY_BATCH];
    char values[COPY_BATCH][COPY_VALUE_MAX];
};

/* --- opening ---------------------------------------------------------------------------------- */

static void start_cursors(struct copier *copier)
{
    const struct log_cursor *kept;
    size_t n;

    copier->cursors_n = 0;
    th_log_session_cursors(copier->session, &kept, &n);
    for (int part = copier->slot; part < COPY_PARTITIONS; part += COPY_SLOTS) {
        struct log_cursor *cursor = &copier->cursors[copier->cursors_n++];
        *cursor = (struct log_cursor){.next = {COPY_INPUT, part, 0}};
        for (size_t i = 0; i < n; i++)
            if (kept[i].next.part == part)
                cursor->next.offset = kept[i].next.offset;
    }
}

static enum th_code check(const struct copier *copier, struct th_err *err)
{
    struct log_place parts[2 * COPY_PARTITIONS];
    size_t n = 0;

    for (size_t i = 0; i < copier->cursors_n; i++) {
        parts[n++] = copier->cursors[i].next;
        parts[n++] = (struct log_place){COPY_OUTPUT, copier->cursors[i].next.part, 0};
    }
    return th_log_session_check(copier->session, parts, n, err);
}

static enum th_code open_reader(struct copier *copier, struct th_err *err)
{
    struct log_place from[COPY_PARTITIONS];

    for (size_t i = 0; i < copier->cursors_n; i++)
        from[i] = copier->cursors[i].next;
    return th_log_reader_open(copier->log, from, copier->cursors_n, &copier->reader, err);
}

static void close_session(struct copier *copier, bool release)
{
    if (copier->reader)
        th_log_reader_close(TH_TAKE(copier->reader));
    if (copier->session)
        th_log_session_close(TH_TAKE(copier->session), release);
}

static enum th_code open_session(struct copier *copier, struct th_err *err)
{
    TH_TRY(th_log_session_open(copier->log, COPY_APP, copier->slot, &copier->session, err));
    start_cursors(copier);
    TH_TRY(check(copier, err));
    return open_reader(copier, err);
}

static bool may_pass(enum th_code code)
{
    return th_code_is_retriable(code) || code == TH_CONFLICT;
}

/* A slot that nobody can own for so long is worth a word, even if it can be owned later. */
static void say_if_long(const struct copier *copier, int64_t begun_us, const struct th_err *err)
{
    int64_t waited_us = th_clock_monotonic_us(&th_clock_real) - begun_us;

    if (waited_us / LONG_US > (waited_us - RETRY_MS * TH_US_PER_MS) / LONG_US)
        fprintf(stderr, "slot %d: for %" PRId64 " s: %s: %s\n", copier->slot,
                waited_us / TH_US_PER_SEC, th_code_name(err->code), err->text);
}

static enum th_code own(struct copier *copier, struct th_err *err)
{
    int64_t begun_us = th_clock_monotonic_us(&th_clock_real);

    for (;;) {
        enum th_code code = open_session(copier, err);
        if (code == TH_OK)
            atomic_fetch_add(&copier->job->shared->openings, 1);
        if (code == TH_OK || !may_pass(code) || copy_is_asked_to_end())
            return code;
        close_session(copier, false);
        say_if_long(copier, begun_us, err);
        copy_sleep_ms(RETRY_MS);
    }
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum th_code keep(struct copier *copier, const struct log_records *records)
{
    if (copier->read_n + records->n > copier->read_cap) {
        size_t cap = 2 * (copier->read_n + records->n);
        struct log_record *at = reallocarray(copier->read, cap, sizeof *at);
        if (!at)
            return TH_NOMEM;
        copier->read = at;
        copier->read_cap = cap;
    }
    memcpy(copier->read + copier->read_n, records->at, records->n * sizeof *records->at);
    copier->read_n += records->n;
    return TH_OK;
}

/* Until there are enough for a transaction, or no more on the log. */
static enum th_code gather(struct copier *copier, struct th_err *err)
{
    struct log_records records = {0};

    if (copier->done == copier->read_n) {
        copier->done = copier->read_n = 0;
        th_arena_reset(&copier->arena);
    }
    while (copier->read_n - copier->done < COPY_BATCH && copier->arena.used < ARENA_FULL) {
        TH_TRY(th_log_reader_read(copier->reader, READ_BYTES, &copier->arena, &records, err));
        if (records.n == 0)
            return TH_OK;
        if (keep(copier, &records) != TH_OK)
            return th_fail(err, TH_NOMEM, "%zu records", records.n);
    }
    return TH_OK;
}

/* --- doom --------------------------------------------------------------------------------------
 */

/* The kernel sends the signal, at any moment of a transaction and of what comes after it. */
static void accept_doom(struct copier *copier)
{
    uint64_t doom = atomic_exchange(&copier->job->shared->doom[copier->slot], 0);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = (int)(doom & 0xff)};
    timer_t timer;

    if (doom == 0)
        return;
    int64_t after_us = (int64_t)(doom >> 8) % (copier->commit_us * 5 / 4 + 1);
    struct itimerspec at = {
        .it_value = {after_us / TH_US_PER_SEC, after_us % TH_US_PER_SEC * 1000 + 1}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &at, NULL) != 0)
        raise(event.sigev_signo);
}

static bool may_begin(const struct copier *copier)
{
    const struct copy_shared *shared = copier->job->shared;

    return atomic_load(&shared->copied) < atomic_load(&shared->limit);
}

/* --- committing ------------------------------------------------------------------------------- */

static struct log_cursor *cursor_of(struct copier *copier, int part)
{
    return &copier->cursors[part / COPY_SLOTS];
}

static enum th_code transform(struct copier *copier, size_t n, struct th_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct log_record *record = &copier->read[copier->done + i];
        size_t size = copy_event_transform(record->value, copier->values[i]);
        if (size == 0)
            return th_fail(err, TH_CORRUPT, "a value of %zu bytes", record->value.n);
        copier->outputs[i] =
            (struct log_output){COPY_OUTPUT, -1, record->key, .value = {copier->values[i], size}};
        cursor_of(copier, record->place.part)->next.offset = record->place.offset + 1;
    }
    return TH_OK;
}

static enum log_commit finish(struct copier *copier, struct th_err *err)
{
    struct copy_shared *shared = copier->job->shared;
    bool is_answered = false;
    enum log_commit outcome;

    do {
        struct pollfd at = {.fd = th_log_session_fd(copier->session), .events = POLLIN};
        poll(&at, 1, 100);
        outcome = th_log_commit_poll(copier->session, NULL, &is_answered, err);
    } while (outcome == LOG_COMMIT_PENDING);
    atomic_fetch_add(&shared->found, outcome == LOG_COMMITTED && !is_answered);
    atomic_fetch_add(&shared->aborted, outcome == LOG_ABORTED);
    return outcome;
}

/* One transaction to its end, again as long as it does not happen. */
static enum th_code commit(struct copier *copier, struct th_err *err)
{
    size_t n = copier->read_n - copier->done;
    enum log_commit outcome = LOG_ABORTED;

    n = n < COPY_BATCH ? n : COPY_BATCH;
    TH_TRY(transform(copier, n, err));
    const struct log_txn txn = {copier->outputs, n, copier->cursors, copier->cursors_n, NULL};
    int64_t begun_us = th_clock_monotonic_us(&th_clock_real);
    accept_doom(copier);
    while (outcome == LOG_ABORTED && !copy_is_asked_to_end()) {
        TH_TRY(th_log_commit_start(copier->session, &txn, err));
        outcome = finish(copier, err);
    }
    if (outcome == LOG_FENCED)
        return TH_FENCED;
    if (outcome == LOG_ABORTED) /* asked to end meanwhile */
        return TH_OK;
    copier->commit_us = th_clock_monotonic_us(&th_clock_real) - begun_us;
    atomic_fetch_add(&copier->job->shared->copied, (int_fast64_t)n);
    copier->done += n;
    copy_sleep_ms(atomic_load(&copier->job->shared->rest_ms));
    return TH_OK;
}

static enum th_code step(struct copier *copier, struct th_err *err)
{
    enum th_code code = gather(copier, err);

    if (code == TH_UNAVAILABLE && copier->read_n == copier->done) {
        copy_sleep_ms(RETRY_MS);
        return TH_OK;
    }
    if (code != TH_OK && code != TH_UNAVAILABLE)
        return code;
    if (copier->read_n > copier->done && may_begin(copier))
        return commit(copier, err);
    copy_sleep_ms(IDLE_MS);
    return TH_OK;
}

/* --- the process ------------------------------------------------------------------------------ */

static enum th_code copy_until_asked(struct copier *copier, struct th_err *err)
{
    TH_TRY(own(copier, err));
    while (!copy_is_asked_to_end())
        TH_TRY(step(copier, err));
    return TH_OK;
}

static int status_of(const struct copier *copier, enum th_code code, const struct th_err *err)
{
    if (code == TH_FENCED) {
        atomic_fetch_add(&copier->job->shared->ousted, 1);
        return COPY_OUSTED;
    }
    if (code == TH_OK || copy_is_asked_to_end())
        return COPY_ENDED;
    fprintf(stderr, "slot %d: %s: %s\n", copier->slot, th_code_name(code), err->text);
    return COPY_FAILED;
}

int copy_work(const struct copy_job *job, int slot)
{
    static struct copier copier; /* large */
    struct th_err err = {0};

    copy_mind_signals();
    copier = (struct copier){.job = job, .slot = slot, .log = copy_open(job)};
    if (!copier.log)
        return COPY_FAILED;
    th_arena_init(&copier.arena, ARENA_LIMIT);
    enum th_code code = copy_until_asked(&copier, &err);
    close_session(&copier, true);
    th_log_close(copier.log);
    th_arena_fini(&copier.arena);
    free(copier.read);
    return status_of(&copier, code, &err);
}
