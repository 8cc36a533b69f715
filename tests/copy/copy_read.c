/* Those who read: the events of each partition must be those of the seed, in their order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/copy/copy_internal.h"

#define READ_BYTES  ((size_t)1 << 20)
#define ARENA_LIMIT ((size_t)64 << 20)
#define IDLE_MS     2
#define RETRY_MS    20
#define FEED_EVENTS 1000

/* --- what must be there ----------------------------------------------------------------------- */

struct expected {
    const struct copy_plan *plan;
    bool is_transformed;
    int64_t next[COPY_PARTITIONS]; /* number of the event that comes next, if it lies there */
    int64_t last[COPY_PARTITIONS]; /* offset */
    int64_t seen;
};

static struct expected expected_of(const struct copy_plan *plan, bool is_transformed)
{
    struct expected expected = {.plan = plan, .is_transformed = is_transformed};

    for (int part = 0; part < COPY_PARTITIONS; part++)
        expected.last[part] = -1;
    return expected;
}

static struct th_str key_of(const struct copy_event *event)
{
    return (struct th_str){event->key, event->key_n};
}

/* The next event that lies in the partition; false: there is none. */
static bool take_next(struct expected *expected, int part, struct copy_event *out)
{
    while (expected->next[part] < expected->plan->events) {
        copy_event_make(expected->plan->seed, expected->next[part]++, out);
        if (topic_partition_of_key(key_of(out), COPY_PARTITIONS) == part)
            return true;
    }
    return false;
}

static bool is_same(const struct expected *expected, const struct copy_event *event,
                    const struct log_record *record)
{
    char transformed[COPY_VALUE_MAX];
    struct th_str value = {event->value, event->value_n};

    if (expected->is_transformed)
        value = (struct th_str){transformed, copy_event_transform(value, transformed)};
    return th_str_eq(record->key, key_of(event)) && th_str_eq(record->value, value);
}

static bool is_right(struct expected *expected, const struct log_record *record)
{
    struct copy_event event;
    int part = record->place.part;

    if (record->place.offset <= expected->last[part]) {
        fprintf(stderr, "%s/%d: offset %" PRId64 " after %" PRId64 "\n",
                topic_name(record->place.topic), part, record->place.offset, expected->last[part]);
        return false;
    }
    expected->last[part] = record->place.offset;
    if (!take_next(expected, part, &event)) {
        fprintf(stderr, "%s/%d: a record too many at %" PRId64 "\n",
                topic_name(record->place.topic), part, record->place.offset);
        return false;
    }
    if (!is_same(expected, &event, record)) {
        fprintf(stderr, "%s/%d: offset %" PRId64 " does not hold event %" PRId64 "\n",
                topic_name(record->place.topic), part, record->place.offset,
                expected->next[part] - 1);
        return false;
    }
    expected->seen++;
    return true;
}

static bool are_right(struct expected *expected, const struct log_records *records)
{
    for (size_t i = 0; i < records->n; i++)
        if (!is_right(expected, &records->at[i]))
            return false;
    return true;
}

/* --- reading ---------------------------------------------------------------------------------- */

static struct th_log_reader *open_reader(struct th_log *log, enum topic topic)
{
    struct log_place from[COPY_PARTITIONS];
    struct th_log_reader *reader = NULL;
    struct th_err err = {0};

    for (int part = 0; part < COPY_PARTITIONS; part++)
        from[part] = (struct log_place){topic, part, 0};
    while (th_log_reader_open(log, from, COPY_PARTITIONS, &reader, &err) != TH_OK) {
        if (!th_code_is_retriable(err.code)) {
            fprintf(stderr, "reader: %s\n", err.text);
            return NULL;
        }
        copy_sleep_ms(RETRY_MS);
    }
    return reader;
}

/* false: for good, after saying why. *out_n: records, 0 also when the log is away now. */
static bool read_some(struct th_log_reader *reader, struct expected *expected,
                      struct th_arena *arena, size_t *out_n)
{
    struct log_records records = {0};
    struct th_err err = {0};

    th_arena_reset(arena);
    *out_n = 0;
    enum th_code code = th_log_reader_read(reader, READ_BYTES, arena, &records, &err);
    if (code == TH_UNAVAILABLE) {
        copy_sleep_ms(RETRY_MS);
        return true;
    }
    if (code != TH_OK) {
        fprintf(stderr, "reader: %s: %s\n", th_code_name(code), err.text);
        return false;
    }
    *out_n = records.n;
    return are_right(expected, &records);
}

static int follow(const struct copy_job *job, struct th_log_reader *reader, struct th_arena *arena)
{
    struct expected expected = expected_of(job->plan, true);
    bool is_over;
    size_t n;

    do {
        is_over = atomic_load(&job->shared->is_over);
        if (!read_some(reader, &expected, arena, &n))
            return COPY_FAILED;
        atomic_store(&job->shared->witnessed, expected.seen);
        if (n == 0)
            copy_sleep_ms(IDLE_MS);
    } while (n > 0 || !is_over);
    return expected.seen == job->plan->events ? COPY_ENDED : COPY_FAILED;
}

int copy_witness(const struct copy_job *job, int unused)
{
    struct th_arena arena;
    struct th_log *log = copy_open(job);
    struct th_log_reader *reader = log ? open_reader(log, COPY_OUTPUT) : NULL;

    (void)unused;
    if (!reader)
        return COPY_FAILED;
    th_arena_init(&arena, ARENA_LIMIT);
    int status = follow(job, reader, &arena);
    th_log_reader_close(reader);
    th_log_close(log);
    th_arena_fini(&arena);
    return status;
}

/* --- afterwards ------------------------------------------------------------------------------- */

static bool holds_all(const struct copy_job *job, struct th_log *log, enum topic topic)
{
    struct expected expected = expected_of(job->plan, topic == COPY_OUTPUT);
    struct th_log_reader *reader = open_reader(log, topic);
    struct th_arena arena;
    bool is_fine = reader != NULL;
    size_t n = 1;

    th_arena_init(&arena, ARENA_LIMIT);
    while (is_fine && n > 0)
        is_fine = read_some(reader, &expected, &arena, &n);
    if (reader)
        th_log_reader_close(reader);
    th_arena_fini(&arena);
    if (is_fine && expected.seen != job->plan->events)
        fprintf(stderr, "%s: %" PRId64 " of %" PRId64 " events\n", topic_name(topic), expected.seen,
                job->plan->events);
    return is_fine && expected.seen == job->plan->events;
}

static bool count_transactions(const struct copy_job *job, struct th_log *log)
{
    for (int slot = 0; slot < COPY_SLOTS; slot++) {
        struct th_log_session *session;
        struct th_err err = {0};
        if (th_log_session_open(log, COPY_APP, slot, &session, &err) != TH_OK) {
            fprintf(stderr, "slot %d: %s\n", slot, err.text);
            return false;
        }
        atomic_fetch_add(&job->shared->transactions,
                         (int_fast64_t)th_log_session_next_seq(session) - 1);
        th_log_session_close(session, true);
    }
    return true;
}

int copy_check(const struct copy_job *job, int unused)
{
    struct th_log *log = copy_open(job);

    (void)unused;
    if (!log)
        return COPY_FAILED;
    bool is_fine = holds_all(job, log, COPY_INPUT);
    is_fine = holds_all(job, log, COPY_OUTPUT) && is_fine;
    is_fine = count_transactions(job, log) && is_fine;
    th_log_close(log);
    return is_fine ? COPY_ENDED : COPY_FAILED;
}

/* --- before ----------------------------------------------------------------------------------- */

/* A slot that finds events without ever having been there would refuse to begin. */
static enum th_code begin_slot(struct th_log *log, int slot, struct th_err *err)
{
    struct log_cursor cursors[COPY_PARTITIONS];
    struct th_log_session *session;
    size_t n = 0;
    bool is_answered;
    enum log_commit outcome;

    for (int part = slot; part < COPY_PARTITIONS; part += COPY_SLOTS)
        cursors[n++] = (struct log_cursor){.next = {COPY_INPUT, part, 0}};
    TH_TRY(th_log_session_open(log, COPY_APP, slot, &session, err));
    enum th_code code =
        th_log_commit_start(session, &(struct log_txn){.cursors = cursors, .cursors_n = n}, err);
    if (code == TH_OK) {
        while ((outcome = th_log_commit_poll(session, NULL, &is_answered, err)) ==
               LOG_COMMIT_PENDING)
            copy_sleep_ms(1);
        code = outcome == LOG_COMMITTED ? TH_OK : err->code;
    }
    th_log_session_close(session, true);
    return code;
}

static enum th_code append_events(const struct copy_plan *plan, struct th_log *log, int64_t from,
                                  struct th_err *err)
{
    static struct copy_event events[FEED_EVENTS];
    static struct log_output outputs[FEED_EVENTS];
    size_t n = 0;

    for (; n < FEED_EVENTS && from + (int64_t)n < plan->events; n++) {
        copy_event_make(plan->seed, from + (int64_t)n, &events[n]);
        outputs[n] = (struct log_output){COPY_INPUT, -1, key_of(&events[n]),
                                         .value = {events[n].value, events[n].value_n}};
    }
    return th_log_append(log, outputs, n, NULL, err);
}

int copy_feed(const struct copy_job *job, int unused)
{
    struct th_err err = {0};
    enum th_code code = TH_OK;

    (void)unused;
    if (job->world->create(job->world->arg, &err) != TH_OK) {
        fprintf(stderr, "creating the log: %s\n", err.text);
        return COPY_FAILED;
    }
    struct th_log *log = copy_open(job);
    if (!log)
        return COPY_FAILED;
    for (int slot = 0; slot < COPY_SLOTS && code == TH_OK; slot++)
        code = begin_slot(log, slot, &err);
    for (int64_t at = 0; at < job->plan->events && code == TH_OK; at += FEED_EVENTS)
        code = append_events(job->plan, log, at, &err);
    th_log_close(log);
    if (code != TH_OK)
        fprintf(stderr, "feeding: %s: %s\n", th_code_name(code), err.text);
    return code == TH_OK ? COPY_ENDED : COPY_FAILED;
}
