#include "processors/materialize/materialize.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "common/fault.h"
#include "common/log_line.h"
#include "processors/materialize/fold.h"

#define RECORDS_MAX  ((size_t)256 * 1024 * 1024) /* arena of one read */
#define BUSY_EVENTS  500                         /* a batch of so many is load */
#define READS_MAX    64                          /* answers of the reader to one read of ours */
#define WAIT_MAX_MS  1000
#define QUIET_MS     250 /* company that has not come for so long is not waited for */
#define LOG_AGAIN_US (60 * TH_US_PER_SEC)

struct materialize {
    struct materialize_config config;
    struct view_store *store;
    struct th_log_reader *reader;
    struct th_log_listener *listener;
    struct view_step *steps; /* one for each partition of this slot */
    size_t steps_n;
    struct view_batch batch;
    struct th_arena records;
    int64_t delay_us; /* between two commits */
    int64_t not_before_us;
    bool has_company; /* something has come since the last batch */
    struct {
        atomic_bool is_open;
        atomic_uint_fast64_t events, batches, rows, undecodable, failures;
        atomic_int_fast64_t commit_us;
    } status;
};

/* --- which partitions ------------------------------------------------------------------------ */

static size_t list_steps(const struct materialize *m, struct view_step *out)
{
    uint32_t topics = fold_topics();
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        int parts = (topics >> topic) & 1 ? th_log_partitions(m->config.log, (enum topic)topic) : 0;
        for (int part = m->config.slot; part < parts; part += m->config.slots) {
            if (out)
                out[n] = (struct view_step){.topic = (enum topic)topic, .part = part};
            n++;
        }
    }
    return n;
}

enum th_code materialize_new(const struct materialize_config *config, struct materialize **out,
                             struct th_err *err)
{
    struct materialize *m = calloc(1, sizeof *m);

    if (!m)
        return th_fail(err, TH_NOMEM, "materialize");
    m->config = *config;
    if (!m->config.clock)
        m->config.clock = &th_clock_real;
    if (!m->config.slots)
        m->config.slots = 1;
    if (!m->config.idle_us)
        m->config.idle_us = 100 * TH_US_PER_MS;
    if (!m->config.load_us)
        m->config.load_us = TH_US_PER_SEC;
    if (!m->config.poll_us)
        m->config.poll_us = 250 * TH_US_PER_MS;
    if (!m->config.retry_wait_us)
        m->config.retry_wait_us = TH_US_PER_SEC;
    if (!m->config.read_bytes)
        m->config.read_bytes = MATERIALIZE_READ_BYTES;
    if (!m->config.batch_bytes)
        m->config.batch_bytes = MATERIALIZE_BATCH_BYTES;
    if (!m->config.keep_bytes)
        m->config.keep_bytes = MATERIALIZE_KEEP_BYTES;
    m->delay_us = m->config.idle_us;
    view_batch_init(&m->batch, NULL);
    m->batch.keep_bytes = m->config.keep_bytes;
    th_arena_init(&m->records, RECORDS_MAX);
    m->steps_n = list_steps(m, NULL);
    m->steps = calloc(m->steps_n + 1, sizeof *m->steps);
    if (!m->steps) {
        materialize_free(m);
        return th_fail(err, TH_NOMEM, "materialize");
    }
    list_steps(m, m->steps);
    *out = m;
    return TH_OK;
}

static void drop(struct materialize *m)
{
    if (m->reader)
        th_log_reader_close(m->reader);
    if (m->listener)
        th_log_listener_close(m->listener);
    if (m->store)
        m->store->ops->close(m->store);
    m->reader = NULL;
    m->listener = NULL;
    m->store = NULL;
    view_batch_reset(&m->batch); /* somebody else may go on with its rows */
    atomic_store(&m->status.is_open, false);
}

void materialize_free(struct materialize *m)
{
    if (!m)
        return;
    drop(m);
    view_batch_fini(&m->batch);
    th_arena_fini(&m->records);
    free(m->steps);
    free(m);
}

static enum th_code open_reader(struct materialize *m, struct th_err *err)
{
    TH_AUTO(free) void *memory = calloc(m->steps_n + 1, sizeof(struct log_place));
    struct log_place *from = memory;

    if (!from)
        return th_fail(err, TH_NOMEM, "materialize");
    for (size_t i = 0; i < m->steps_n; i++)
        from[i] = (struct log_place){m->steps[i].topic, m->steps[i].part, m->steps[i].from};
    return th_log_reader_open(m->config.log, from, m->steps_n, &m->reader, err);
}

/* Begin where the tables stand. */
static enum th_code open_slot(struct materialize *m, struct th_err *err)
{
    enum th_code code = m->config.open_store(m->config.context, &m->store, err);

    if (code == TH_OK)
        code = m->store->ops->progress(m->store, m->steps, m->steps_n, err);
    if (code == TH_OK)
        code = th_log_listener_open(m->config.log, fold_topics(), &m->listener, err);
    if (code == TH_OK)
        code = open_reader(m, err);
    if (code != TH_OK)
        drop(m);
    m->batch.store = m->store;
    atomic_store(&m->status.is_open, code == TH_OK);
    return code;
}

/* --- one batch ---------------------------------------------------------------------------------
 */

struct decoded {
    struct event event;
    struct log_place place;
    enum th_code code; /* of the decoding */
    struct th_str why;
};

static enum th_code decode_all(struct materialize *m, const struct log_records *records,
                               struct decoded **out, struct th_err *err)
{
    struct decoded *all = th_arena_array(&m->records, records->n, sizeof *all);

    if (!all)
        return th_fail(err, TH_NOMEM, "a batch of %zu events", records->n);
    for (size_t i = 0; i < records->n; i++) {
        struct th_err bad = {0};
        all[i].place = records->at[i].place;
        all[i].code = event_decode(records->at[i].value, &m->records, &all[i].event, &bad);
        if (all[i].code == TH_NOMEM)
            return th_fail(err, TH_NOMEM, "a batch of %zu events", records->n);
        if (all[i].code == TH_OK)
            continue;
        atomic_fetch_add(&m->status.undecodable, 1);
        if (th_arena_copy(&m->records, th_str(bad.text), &all[i].why) != TH_OK)
            return th_fail(err, TH_NOMEM, "a batch of %zu events", records->n);
    }
    *out = all;
    return TH_OK;
}

static enum th_code fold_all(struct materialize *m, const struct decoded *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (all[i].code == TH_OK)
            TH_TRY(fold_event(&m->batch, &all[i].event, all[i].place));
        else
            TH_TRY(fold_undecodable(&m->batch, all[i].place, all[i].code, all[i].why));
    }
    return TH_OK;
}

static struct view_step *step_of(struct materialize *m, struct log_place place)
{
    for (size_t i = 0; i < m->steps_n; i++)
        if (m->steps[i].topic == place.topic && m->steps[i].part == place.part)
            return &m->steps[i];
    return NULL;
}

/* The partitions move behind these records, which come in runs of one partition. */
static void take_steps(struct materialize *m, const struct decoded *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct log_place place = all[i].place;
        if (i + 1 == n || all[i + 1].place.topic != place.topic ||
            all[i + 1].place.part != place.part)
            step_of(m, place)->to = place.offset + 1;
    }
}

static void begin_batch(struct materialize *m)
{
    if (m->batch.touched_bytes) /* of a batch that was not written */
        view_batch_reset(&m->batch);
    m->batch.err = (struct th_err){0};
    for (size_t i = 0; i < m->steps_n; i++)
        m->steps[i].to = m->steps[i].from;
}

/* Into the batch: what they touch is loaded together, then they are folded. */
static enum th_code fold_twice(struct materialize *m, const struct decoded *all, size_t n)
{
    m->batch.is_touching = true;
    TH_TRY(fold_all(m, all, n));
    TH_TRY(view_batch_load(&m->batch));
    m->batch.is_touching = false;
    TH_TRY(fold_all(m, all, n));
    TH_TRY(fold_conclude(&m->batch));
    take_steps(m, all, n);
    return TH_OK;
}

static void moved(struct materialize *m, const struct view_change *change)
{
    uint64_t events = 0;

    for (size_t i = 0; i < m->steps_n; i++) {
        events += (uint64_t)(m->steps[i].to - m->steps[i].from);
        m->steps[i].from = m->steps[i].to;
    }
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        atomic_fetch_add(&m->status.rows, change->tables[i].n);
    atomic_fetch_add(&m->status.events, events);
    atomic_fetch_add(&m->status.batches, 1);
}

static enum th_code write_batch(struct materialize *m, struct th_err *err)
{
    struct view_change change = {.steps = m->steps, .steps_n = m->steps_n};

    if (view_batch_change(&m->batch, &change) != TH_OK)
        return th_fail(err, TH_NOMEM, "the rows of a batch");
    if (TH_FAULT(views_write))
        return th_fail(err, TH_UNAVAILABLE, "not written, for a test");
    TH_TRY(m->store->ops->commit(m->store, &change, err));
    if (TH_FAULT(views_written))
        return th_fail(err, TH_UNAVAILABLE, "not known to be written, for a test");
    moved(m, &change);
    view_batch_written(&m->batch);
    return TH_OK;
}

/* The fold's failures: its own (no memory), or what the store said. */
static enum th_code fail_fold(const struct materialize *m, enum th_code code, struct th_err *err)
{
    if (m->batch.err.code == code)
        return th_fail(err, code, "%s", m->batch.err.text);
    return th_fail(err, code, "folding a batch");
}

/* Conclude the batch, and write it. */
static enum th_code end_batch(struct materialize *m, struct th_err *err)
{
    enum th_code code = fold_settle(&m->batch);

    return code == TH_OK ? write_batch(m, err) : fail_fold(m, code, err);
}

static enum th_code fold_records(struct materialize *m, const struct log_records *records,
                                 struct th_err *err)
{
    struct decoded *all = NULL;

    TH_TRY(decode_all(m, records, &all, err));
    enum th_code code = fold_twice(m, all, records->n);
    return code == TH_OK ? TH_OK : fail_fold(m, code, err);
}

/* --- a record that the tables refuse --------------------------------------------------------- */

/* What the tables refuse, whenever it is tried: not the world around is to blame but a record. */
static bool is_poison(enum th_code code)
{
    return code == TH_INVALID || code == TH_CONFLICT || code == TH_MALFORMED;
}

static enum th_code fold_and_write(struct materialize *m, const struct decoded *all, size_t n,
                                   struct th_err *err)
{
    begin_batch(m);
    enum th_code code = fold_twice(m, all, n);
    return code == TH_OK ? end_batch(m, err) : fail_fold(m, code, err);
}

/* Instead of the record its dead letter; if not even that is taken, nothing helps. */
static enum th_code bury(struct materialize *m, struct decoded *one, const struct th_err *why,
                         struct th_err *err)
{
    if (one->code != TH_OK)
        return th_fail(err, why->code, "%s", why->text);
    one->code = why->code;
    if (th_arena_copy(&m->records, th_str(why->text), &one->why) != TH_OK)
        return th_fail(err, TH_NOMEM, "a dead letter");
    atomic_fetch_add(&m->status.undecodable, 1);
    return fold_and_write(m, one, 1, err);
}

/* It must not hold up all others: halving finds it. */
static enum th_code fold_slice(struct materialize *m, struct decoded *all, size_t n,
                               struct th_err *err)
{
    struct th_err why = {0};
    enum th_code code = fold_and_write(m, all, n, &why);

    if (code == TH_OK)
        return TH_OK;
    if (!is_poison(code))
        return th_fail(err, code, "%s", why.text);
    if (n == 1)
        return bury(m, all, &why, err);
    TH_TRY(fold_slice(m, all, n / 2, err));
    return fold_slice(m, all + n / 2, n - n / 2, err);
}

/* --- gathering -------------------------------------------------------------------------------- */

static bool is_within(const struct materialize *m, struct log_place place)
{
    for (size_t i = 0; i < m->config.until_n; i++) {
        const struct view_step *until = &m->config.until[i];
        if (until->topic == place.topic && until->part == place.part)
            return place.offset < until->to;
    }
    return false;
}

/* Leave out what lies beyond the bounds; more of those partitions is not wanted. */
static void bound(const struct materialize *m, struct log_records *records)
{
    size_t kept = 0;

    if (!m->config.is_bounded)
        return;
    for (size_t i = 0; i < records->n; i++)
        if (is_within(m, records->at[i].place))
            records->at[kept++] = records->at[i];
    records->n = kept;
}

/* What was read and is folded together. A reader shares its bytes among many partitions, so one
 * short read does not mean that nothing is left. */
struct gathered {
    struct log_records records;
    size_t cap;
    size_t bytes;
    size_t events_n; /* read, folded or not */
    bool is_full;    /* there may be more */
};

static enum th_code take_in(struct materialize *m, struct gathered *to,
                            const struct log_records *more)
{
    if (to->records.n + more->n > to->cap) {
        size_t cap = 2 * (to->records.n + more->n);
        struct log_record *at = th_arena_array(&m->records, cap, sizeof *at);
        if (!at)
            return TH_NOMEM;
        if (to->records.n)
            memcpy(at, to->records.at, to->records.n * sizeof *at);
        to->records.at = at;
        to->cap = cap;
    }
    memcpy(to->records.at + to->records.n, more->at, more->n * sizeof *more->at);
    to->records.n += more->n;
    to->events_n += more->n;
    for (size_t i = 0; i < more->n; i++)
        to->bytes += log_record_size(&more->at[i]);
    return TH_OK;
}

static enum th_code gather(struct materialize *m, struct gathered *out, struct th_err *err)
{
    th_arena_reset(&m->records);
    *out = (struct gathered){.is_full = true};
    for (int reads = 0; reads < READS_MAX && out->bytes < m->config.read_bytes; reads++) {
        struct log_records more;
        TH_TRY(th_log_reader_read(m->reader, m->config.read_bytes - out->bytes, &m->records, &more,
                                  err));
        if (more.n == 0) {
            out->is_full = false;
            break;
        }
        if (take_in(m, out, &more) != TH_OK)
            return th_fail(err, TH_NOMEM, "a batch of %zu events", out->events_n);
    }
    bound(m, &out->records);
    return TH_OK;
}

/* What a batch came to. */
struct batch_outcome {
    size_t events_n; /* read, folded or not */
    bool is_full;    /* there may be more */
};

static enum th_code fold_reads(struct materialize *m, struct batch_outcome *out, struct th_err *err)
{
    bool is_empty = true;

    begin_batch(m);
    *out = (struct batch_outcome){.is_full = true};
    while (out->is_full && m->batch.touched_bytes < m->config.batch_bytes) {
        struct gathered gathered;
        TH_TRY(gather(m, &gathered, err));
        out->events_n += gathered.events_n;
        out->is_full = gathered.is_full;
        if (gathered.records.n == 0)
            continue;
        is_empty = false;
        TH_TRY(fold_records(m, &gathered.records, err));
    }
    return is_empty ? TH_OK : end_batch(m, err);
}

/* One read of what has just failed as a whole. */
static enum th_code fold_carefully(struct materialize *m, struct batch_outcome *out,
                                   struct th_err *err)
{
    struct gathered gathered;
    struct decoded *all = NULL;

    for (size_t i = 0; i < m->steps_n; i++)
        th_log_reader_seek(
            m->reader, (struct log_place){m->steps[i].topic, m->steps[i].part, m->steps[i].from});
    TH_TRY(gather(m, &gathered, err));
    *out = (struct batch_outcome){gathered.events_n, gathered.is_full};
    if (gathered.records.n == 0)
        return TH_OK;
    TH_TRY(decode_all(m, &gathered.records, &all, err));
    return fold_slice(m, all, gathered.records.n, err);
}

static enum th_code fold_batch(struct materialize *m, struct batch_outcome *out, struct th_err *err)
{
    struct th_err why = {0};

    if (!m->reader)
        TH_TRY(open_slot(m, err));
    th_log_listener_clear(m->listener);
    m->has_company = false;
    enum th_code code = fold_reads(m, out, &why);
    if (code == TH_OK)
        return TH_OK;
    return is_poison(code) ? fold_carefully(m, out, err) : th_fail(err, code, "%s", why.text);
}

/* --- pace --------------------------------------------------------------------------------------
 */

/* Wait longer for company while much comes, and less when little does. A full batch has company
 * enough. */
static void adapt(struct materialize *m, const struct batch_outcome *batch, int64_t now_us)
{
    if (batch->events_n >= BUSY_EVENTS)
        m->delay_us = 2 * m->delay_us < m->config.load_us ? 2 * m->delay_us : m->config.load_us;
    else if (m->delay_us / 2 >= m->config.idle_us)
        m->delay_us /= 2;
    else
        m->delay_us = m->config.idle_us;
    if (batch->events_n)
        m->not_before_us = batch->is_full ? now_us : now_us + m->delay_us;
}

enum th_code materialize_step(struct materialize *m, int64_t *out_next_us, struct th_err *err)
{
    int64_t begun_us = th_clock_realtime_us(m->config.clock);
    struct batch_outcome batch = {0};

    *out_next_us = m->not_before_us;
    /* A clock that was set back must not keep us waiting. */
    if (begun_us < m->not_before_us && m->not_before_us - begun_us <= m->config.load_us)
        return TH_OK;
    enum th_code code = fold_batch(m, &batch, err);
    int64_t now_us = th_clock_realtime_us(m->config.clock);
    if (code != TH_OK) {
        atomic_fetch_add(&m->status.failures, 1);
        drop(m);
        m->not_before_us = *out_next_us = now_us + m->config.retry_wait_us;
        return code;
    }
    atomic_store(&m->status.commit_us, now_us - begun_us);
    adapt(m, &batch, now_us);
    *out_next_us = batch.events_n ? m->not_before_us : now_us + m->config.poll_us;
    return TH_OK;
}

enum th_code materialize_drain(struct materialize *m, struct th_err *err)
{
    struct batch_outcome batch = {.events_n = 1};

    while (batch.events_n) {
        enum th_code code = fold_batch(m, &batch, err);
        if (code != TH_OK) {
            drop(m);
            return code;
        }
    }
    return TH_OK;
}

/* --- the thread --------------------------------------------------------------------------------
 */

/* Something has come, but for a while nothing more: a campaign ends, and its last rows are due. */
static bool has_run_dry(struct materialize *m)
{
    struct pollfd fd = {.events = POLLIN};

    if (!m->listener)
        return false;
    fd.fd = th_log_listener_fd(m->listener);
    if (poll(&fd, 1, 0) <= 0)
        return m->has_company;
    th_log_listener_clear(m->listener);
    m->has_company = true;
    return false;
}

static bool wait_for_news(struct materialize *m, int stop_fd, int64_t next_us)
{
    int64_t now_us = th_clock_realtime_us(m->config.clock);
    int64_t wait_ms = next_us > now_us ? (next_us - now_us) / TH_US_PER_MS + 1 : 0;
    bool is_pacing = now_us < m->not_before_us;
    int64_t max_ms = is_pacing ? QUIET_MS : WAIT_MAX_MS;
    struct pollfd fds[2] = {
        {.fd = stop_fd, .events = POLLIN},
        {.fd = m->listener && !is_pacing ? th_log_listener_fd(m->listener) : -1, .events = POLLIN}};

    poll(fds, 2, (int)(wait_ms < max_ms ? wait_ms : max_ms));
    if (is_pacing && wait_ms >= max_ms && has_run_dry(m))
        m->not_before_us = now_us;
    return !fds[0].revents;
}

void materialize_run(struct materialize *m, int stop_fd)
{
    struct th_err last = {0};
    int64_t logged_us = 0;
    int64_t next_us = 0;

    do {
        struct th_err err = {0};
        if (materialize_step(m, &next_us, &err) == TH_OK) {
            last.code = TH_OK;
            continue;
        }
        int64_t now_us = th_clock_boottime_us(m->config.clock);
        if (last.code == err.code && strcmp(last.text, err.text) == 0 &&
            now_us - logged_us < LOG_AGAIN_US)
            continue;
        last = err;
        logged_us = now_us;
        th_log_error(err.code == TH_CORRUPT ? TH_LOG_ERROR : TH_LOG_WARN, "materialize.failed",
                     &err);
    } while (wait_for_news(m, stop_fd, next_us));
}

struct materialize_status materialize_status(const struct materialize *m)
{
    return (struct materialize_status){
        .is_open = atomic_load(&m->status.is_open),
        .events = atomic_load(&m->status.events),
        .batches = atomic_load(&m->status.batches),
        .rows = atomic_load(&m->status.rows),
        .undecodable = atomic_load(&m->status.undecodable),
        .failures = atomic_load(&m->status.failures),
        .commit_us = atomic_load(&m->status.commit_us),
    };
}
