/* From kill -9 of a slot's owner to the first commit of the process that comes after it. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/copy/copy_internal.h"

#define RECORDS    100 /* of a transaction */
#define WARM_COUNT 20  /* transactions of an owner before it is killed */
#define HANG_MS    120000
#define RETRY_MS   5
#define ROUNDS_MAX 1000

static int alive[2]; /* a pipe whose writing end the owner holds: it ends with the owner */

/* --- an owner --------------------------------------------------------------------------------- */

static struct th_log_session *own(struct th_log *log)
{
    struct th_log_session *session = NULL;
    struct th_err err = {0};

    while (th_log_session_open(log, COPY_APP, 0, &session, &err) != TH_OK) {
        if (!th_code_is_retriable(err.code) && err.code != TH_CONFLICT) {
            fprintf(stderr, "opening the slot: %s\n", err.text);
            _exit(COPY_FAILED);
        }
        copy_sleep_ms(RETRY_MS);
    }
    return session;
}

static int64_t stand_of(const struct th_log_session *session)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(session, &cursors, &n);
    return n ? cursors[0].next.offset : 0;
}

/* The next number, RECORDS times, and the cursor behind it. */
static void commit_one(struct th_log_session *session)
{
    struct log_output outputs[RECORDS];
    int64_t number = stand_of(session);
    const struct log_cursor cursor = {.next = {COPY_INPUT, 0, number + 1}};
    struct th_err err = {0};
    enum log_commit outcome = LOG_ABORTED;
    bool is_answered;

    for (size_t i = 0; i < RECORDS; i++)
        outputs[i] = (struct log_output){COPY_OUTPUT, -1, TH_STR("t/1"),
                                         .value = {(const char *)&number, sizeof number}};
    while (outcome == LOG_ABORTED) {
        if (th_log_commit_start(session, &(struct log_txn){outputs, RECORDS, &cursor, 1, NULL},
                                &err) != TH_OK)
            _exit(COPY_FAILED);
        do {
            struct pollfd at = {.fd = th_log_session_fd(session), .events = POLLIN};
            poll(&at, 1, 100);
            outcome = th_log_commit_poll(session, NULL, &is_answered, &err);
        } while (outcome == LOG_COMMIT_PENDING);
    }
    if (outcome != LOG_COMMITTED)
        _exit(COPY_OUSTED);
}

_Noreturn static void work_for_ever(const struct copy_job *job, struct th_log *log)
{
    struct th_log_session *session = own(log);

    commit_one(session);
    atomic_store(&job->shared->first_us, th_clock_monotonic_us(&th_clock_real));
    for (;;) {
        commit_one(session);
        atomic_fetch_add(&job->shared->numbers, 1);
    }
}

static int run_owner(const struct copy_job *job, int unused)
{
    struct th_log *log = copy_open(job);

    (void)unused;
    close(alive[0]);
    if (log)
        work_for_ever(job, log);
    return COPY_FAILED;
}

/* Has the log open, and hears of the owner's end from the kernel. */
static int run_heir(const struct copy_job *job, int unused)
{
    struct th_log *log = copy_open(job);
    char none;

    (void)unused;
    close(alive[1]);
    atomic_store(&job->shared->is_over, true); /* it waits */
    while (read(alive[0], &none, 1) > 0)
        continue;
    if (log)
        work_for_ever(job, log);
    return COPY_FAILED;
}

static int create(const struct copy_job *job, int unused)
{
    struct th_err err = {0};

    (void)unused;
    if (job->world->create(job->world->arg, &err) == TH_OK)
        return COPY_ENDED;
    fprintf(stderr, "creating the log: %s\n", err.text);
    return COPY_FAILED;
}

/* --- measuring -------------------------------------------------------------------------------- */

static bool await(const struct copy_shared *shared, int64_t numbers)
{
    for (int ms = 0; ms < HANG_MS; ms++) {
        if (atomic_load(&shared->first_us) && atomic_load(&shared->numbers) >= numbers)
            return true;
        copy_sleep_ms(1);
    }
    fprintf(stderr, "nothing was committed for %d s\n", HANG_MS / 1000);
    return false;
}

static void begin(struct copy_shared *shared)
{
    atomic_store(&shared->first_us, 0);
    atomic_store(&shared->numbers, 0);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    copy_wait(pid);
}

/* One takeover; microseconds, or -1. is_waiting: the heir is there before the owner dies; otherwise
 * it is a process that begins then. */
static int64_t take_over(const struct copy_job *job, bool is_waiting)
{
    struct copy_shared *shared = job->shared;
    pid_t heir = 0;

    if (pipe(alive) != 0)
        return -1;
    begin(shared);
    atomic_store(&shared->is_over, false);
    pid_t owner = copy_spawn(job, run_owner, 0);
    close(alive[1]);
    if (is_waiting)
        heir = copy_spawn(job, run_heir, 0);
    bool is_fine = await(shared, WARM_COUNT);
    while (is_waiting && is_fine && !atomic_load(&shared->is_over))
        copy_sleep_ms(1);

    begin(shared);
    int64_t killed_us = th_clock_monotonic_us(&th_clock_real);
    end(owner);
    if (!is_waiting)
        heir = copy_spawn(job, run_owner, 0);
    is_fine = is_fine && await(shared, 0);
    int64_t took_us = atomic_load(&shared->first_us) - killed_us;
    end(heir);
    close(alive[0]);
    return is_fine ? took_us : -1;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

static bool measure(const struct copy_job *job, bool is_waiting, const char *who)
{
    int n = job->plan->takeovers < ROUNDS_MAX ? job->plan->takeovers : ROUNDS_MAX;
    static int64_t took_us[ROUNDS_MAX];

    for (int i = 0; i < n; i++) {
        took_us[i] = take_over(job, is_waiting);
        if (took_us[i] < 0)
            return false;
    }
    int64_t median_at = n / 2;
    qsort(took_us, (size_t)n, sizeof *took_us, by_size);
    printf("%s: from kill -9 of a slot's owner to the first commit of %s: median %.0f ms, worst "
           "%.0f ms of %d\n",
           job->world->name, who, (double)took_us[median_at] / 1e3, (double)took_us[n - 1] / 1e3,
           n);
    return true;
}

/* Each number lies there RECORDS times, in order, up to where the slot stands. */
static int check(const struct copy_job *job, int unused)
{
    struct th_log *log = copy_open(job);
    int part = topic_partition_of_key(TH_STR("t/1"), COPY_PARTITIONS);
    struct th_log_reader *reader = NULL;
    struct th_arena arena;
    struct log_records records;
    struct th_err err = {0};
    int64_t n = 0;

    (void)unused;
    if (!log || th_log_reader_open(log, &(struct log_place){COPY_OUTPUT, part, 0}, 1, &reader,
                                   &err) != TH_OK)
        return COPY_FAILED;
    th_arena_init(&arena, (size_t)64 << 20);
    do {
        th_arena_reset(&arena);
        if (th_log_reader_read(reader, (size_t)1 << 20, &arena, &records, &err) != TH_OK)
            return COPY_FAILED;
        for (size_t i = 0; i < records.n; i++) {
            int64_t expected = n++ / RECORDS;
            if (!th_str_eq(records.at[i].value,
                           (struct th_str){(const char *)&expected, sizeof expected}))
                return COPY_FAILED;
        }
    } while (records.n);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    struct th_log_session *session = own(log);
    bool is_whole = n == RECORDS * stand_of(session);
    th_log_session_close(session, true);
    th_log_close(log);
    return is_whole ? COPY_ENDED : COPY_FAILED;
}

int copy_takeovers(const struct copy_world *world, const struct copy_plan *plan)
{
    struct copy_job job = {world, plan, copy_share()};

    if (copy_wait(copy_spawn(&job, create, 0)) != COPY_ENDED)
        return 1;
    if (!measure(&job, true, "a process that has the log open and waits") ||
        !measure(&job, false, "a process that is begun then"))
        return 1;
    if (copy_wait(copy_spawn(&job, check, 0)) == COPY_ENDED)
        return 0;
    fprintf(stderr, "after the takeovers something is missing, or there twice\n");
    return 1;
}
