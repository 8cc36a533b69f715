/* Ingest: an idempotency key and what is stored under it are one transaction.
 *
 * There is one writer for the whole installation: a transactional id that every process takes when
 * it has something to write. As long as nobody else took it, nobody else has written a key, so that
 * the keys in memory are all there are; taking it back fences the other, and begins with reading
 * what it wrote. Whoever was fenced leaves the other a turn before taking the id back, and gathers
 * requests meanwhile: so several gateways share the writer without outdoing each other. Requests
 * without keys, each of one partition, go past all this. */
#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/eventlog/memory_idem.h"
#include "connectors/kafka/kafka_internal.h"
#include "connectors/kafka/kafka_wire.h"

#define IDEM_VERSION 1
#define TRIES_MAX    20  /* of one call: fenced by others that ingest, or rolled back */
#define PAUSE_MS_MAX 64  /* between two of them, at random: or the same two meet again */
#define TURN_MS      100 /* of whoever fenced us; taking the id over costs about as much */
#define SETTLES_MS   5   /* between two looks whether the marks are there */

struct kafka_ingest {
    struct kafka_log *log;
    char writer[KAFKA_NAME_MAX];
    pthread_mutex_t lock;            /* guards all that follows */
    struct kafka_producer *producer; /* NULL: the id is not ours */
    struct kafka_breaks breaks;      /* of its predecessors */
    int64_t turn_at_us;              /* monotonic; before it the id is another's */
    int64_t read_to;                 /* of the topic of keys */
    int64_t written_to;              /* of it, by this process; one more than the offset */
    struct memory_store store;       /* only counts bytes */
    struct memory_idem idem;
};

enum th_code kafka_ingest_new(struct kafka_log *log, struct kafka_ingest **out_ingest,
                              struct th_err *err)
{
    struct kafka_ingest *ingest = calloc(1, sizeof *ingest);

    if (!ingest)
        return th_fail(err, TH_NOMEM, "ingest");
    ingest->log = log;
    snprintf(ingest->writer, sizeof ingest->writer, "%singest", log->config.prefix);
    pthread_mutex_init(&ingest->lock, NULL);
    ingest->store.bytes_max = log->config.idem_bytes;
    memory_idem_init(&ingest->idem, &ingest->store);
    *out_ingest = ingest;
    return TH_OK;
}

void kafka_ingest_free(struct kafka_ingest *ingest)
{
    if (!ingest)
        return;
    kafka_producer_close(ingest->producer);
    memory_idem_fini(&ingest->idem);
    pthread_mutex_destroy(&ingest->lock);
    free(ingest);
}

/* --- keys on the log -------------------------------------------------------------------------- */

static void encode_claim(const struct log_claim *claim, int64_t now_us, struct th_buf *buf)
{
    wire_put(buf, IDEM_VERSION, 1);
    wire_put(buf, (uint64_t)now_us, 8);
    wire_put(buf, (uint64_t)claim->status, 4);
    th_buf_add(buf, (struct th_str){(const char *)claim->fingerprint, sizeof claim->fingerprint});
    wire_put_str(buf, claim->tenant);
    wire_put_str(buf, claim->route);
    wire_put_str(buf, claim->key);
    th_buf_add(buf, claim->body);
}

static bool decode_claim(struct th_str bytes, struct log_claim *out, int64_t *out_at_us)
{
    struct wire wire = {.rest = bytes};
    uint64_t version = wire_take(&wire, 1);

    *out_at_us = (int64_t)wire_take(&wire, 8);
    out->status = (int)wire_take(&wire, 4);
    struct th_str fingerprint = wire_take_bytes(&wire, sizeof out->fingerprint);
    out->tenant = wire_take_str(&wire);
    out->route = wire_take_str(&wire);
    out->key = wire_take_str(&wire);
    if (wire.is_cut || version != IDEM_VERSION)
        return false;
    for (size_t i = 0; i < fingerprint.n; i++)
        out->fingerprint[i] = (uint8_t)fingerprint.p[i];
    out->body = wire.rest;
    return true;
}

static enum th_code learn_claim(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    struct kafka_ingest *ingest = arg;
    struct log_claim claim = {0};
    int64_t at_us;

    ingest->read_to = message->offset + 1;
    if (!decode_claim((struct th_str){message->payload, message->len}, &claim, &at_us))
        return th_fail(err, TH_CORRUPT, "%s offset %" PRId64 " is no answer of ours",
                       ingest->log->inner[KAFKA_IDEM], message->offset);
    if (memory_idem_find(&ingest->idem, &claim))
        return TH_OK; /* our own */
    enum th_code code = memory_idem_add(&ingest->idem, &claim, at_us);
    return code == TH_OK ? TH_OK : th_fail(err, code, "idempotency keys");
}

/* Retention may have cut the topic's beginning off. */
static enum th_code find_beginning(struct kafka_ingest *ingest, struct th_err *err)
{
    struct kafka_log *log = ingest->log;
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(kafka_scout_rk(log->scout), log->inner[KAFKA_IDEM], 0,
                                         &low, &high, log->config.call_timeout_ms);

    if (code)
        return kafka_fail(err, code, log->inner[KAFKA_IDEM]);
    if (ingest->read_to < low)
        ingest->read_to = low;
    return TH_OK;
}

/* --- what is remembered ---------------------------------------------------------------------- */

struct answers {
    log_answer_visit *visit;
    void *arg;
    int64_t since_us;
};

static enum th_code show_answer(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    const struct answers *answers = arg;
    struct log_claim claim = {0};
    int64_t at_us;

    if (!decode_claim((struct th_str){message->payload, message->len}, &claim, &at_us))
        return th_fail(err, TH_CORRUPT, "idempotency keys: offset %" PRId64 " is no answer of ours",
                       message->offset);
    return at_us < answers->since_us ? TH_OK : answers->visit(answers->arg, &claim, err);
}

/* Where the keys end. A transaction's answer comes before its marks: what this process was told is
 * waited for. */
static enum th_code find_end(struct kafka_log *log, int64_t *out_end, struct th_err *err)
{
    int64_t deadline_us =
        th_clock_monotonic_us(&th_clock_real) + log->config.call_timeout_ms * TH_US_PER_MS;

    pthread_mutex_lock(&log->ingest->lock);
    int64_t written_to = log->ingest->written_to;
    pthread_mutex_unlock(&log->ingest->lock);
    for (;;) {
        TH_TRY(kafka_scout_end(log->scout, log->inner[KAFKA_IDEM], 0, out_end, err));
        if (*out_end >= written_to)
            return TH_OK;
        if (th_clock_monotonic_us(&th_clock_real) > deadline_us)
            return th_fail(err, TH_UNAVAILABLE, "idempotency keys: offset %" PRId64 " is not there",
                           written_to - 1);
        poll(NULL, 0, SETTLES_MS);
    }
}

enum th_code kafka_answers(struct th_log *base, log_answer_visit *visit, void *arg,
                           struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    struct kafka_ingest from_low = {.log = log};
    struct answers answers = {
        visit, arg, th_clock_realtime_us(&th_clock_real) - log->config.idem_kept_s * TH_US_PER_SEC};
    int64_t end;

    TH_TRY(find_beginning(&from_low, err));
    TH_TRY(find_end(log, &end, err));
    return kafka_scout_walk(log->scout, log->inner[KAFKA_IDEM], 0, from_low.read_to, end,
                            show_answer, &answers, err);
}

/* --- being the writer ------------------------------------------------------------------------- */

static void drop_producer(struct kafka_ingest *ingest, const struct th_err *why)
{
    if (ingest->producer->is_broken)
        kafka_note_break(ingest->log, &ingest->breaks, ingest->writer, why);
    kafka_producer_close(TH_TAKE(ingest->producer));
    atomic_fetch_add(&ingest->log->reinits, 1);
}

static enum th_code become_writer(struct kafka_ingest *ingest, struct th_err *err)
{
    struct kafka_log *log = ingest->log;
    const char *topic = log->inner[KAFKA_IDEM];
    int64_t end;

    if (ingest->producer && kafka_producer_is_tainted(ingest->producer))
        drop_producer(ingest, err);
    if (ingest->producer)
        return TH_OK;
    TH_AUTO(kafka_producer) struct kafka_producer *producer = NULL;
    TH_TRY(kafka_producer_open(&log->config, ingest->writer, log->config.call_timeout_ms, &producer,
                               err));
    TH_TRY(find_beginning(ingest, err));
    TH_TRY(kafka_scout_end(log->scout, topic, 0, &end, err));
    TH_TRY(kafka_scout_walk(log->scout, topic, 0, ingest->read_to, end, learn_claim, ingest, err));
    ingest->producer = TH_TAKE(producer);
    return TH_OK;
}

/* --- one transaction -------------------------------------------------------------------------- */

/* What a call becomes, until it is known to be stored. */
struct batch {
    struct log_claim *claims; /* as given, with results */
    size_t n;
    struct log_output *outputs; /* of all claims that are stored */
    size_t outputs_n;
    struct kafka_record *records; /* of the outputs, then of the keys */
    size_t records_n;
    struct th_buf *keys; /* n entries */
    size_t added_n;      /* to the keys in memory */
};

static void batch_fini(struct batch *batch)
{
    for (size_t i = 0; batch->keys && i < batch->n; i++)
        th_buf_fini(&batch->keys[i]);
    free(batch->keys);
    free(batch->records);
    free(batch->outputs);
    free(batch->claims);
}

static inline void batch_auto(struct batch *batch)
{
    batch_fini(batch);
}

static enum th_code batch_init(struct batch *batch, const struct log_claim *claims, size_t n,
                               struct th_err *err)
{
    size_t outputs_n = 0;

    assert(n > 0);
    for (size_t i = 0; i < n; i++)
        outputs_n += claims[i].outputs_n;
    batch->n = n;
    batch->claims = calloc(n, sizeof *batch->claims);
    batch->keys = calloc(n, sizeof *batch->keys);
    batch->outputs = calloc(outputs_n + 1, sizeof *batch->outputs);
    batch->records = calloc(outputs_n + n + 1, sizeof *batch->records);
    if (!batch->claims || !batch->keys || !batch->outputs || !batch->records)
        return th_fail(err, TH_NOMEM, "%zu claims", n);
    memcpy(batch->claims, claims, n * sizeof *claims);
    return TH_OK;
}

static enum th_code replay(struct log_claim *claim, const struct memory_answer *seen,
                           struct th_arena *arena)
{
    claim->outcome = LOG_CLAIM_MISMATCH;
    if (memcmp(seen->fingerprint, claim->fingerprint, sizeof seen->fingerprint) != 0)
        return TH_OK;
    claim->outcome = LOG_CLAIM_REPLAYED;
    claim->replayed_status = seen->status;
    return th_arena_copy(arena, seen->body, &claim->replayed_body);
}

static void add_outputs(struct batch *batch, const struct log_claim *claim)
{
    for (size_t i = 0; i < claim->outputs_n; i++)
        batch->outputs[batch->outputs_n++] = claim->outputs[i];
}

/* What is new is in memory from here on, so that of two claims of one key in one call the first
 * wins; a transaction that does not happen takes it back. */
static enum th_code sort_out(struct kafka_ingest *ingest, struct batch *batch, int64_t now_us,
                             struct th_arena *arena)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct log_claim *claim = &batch->claims[i];
        const struct memory_answer *seen =
            claim->key.n ? memory_idem_find(&ingest->idem, claim) : NULL;
        if (seen) {
            TH_TRY(replay(claim, seen, arena));
            continue;
        }
        claim->outcome = LOG_CLAIM_STORED;
        add_outputs(batch, claim);
        if (claim->key.n == 0)
            continue;
        encode_claim(claim, now_us, &batch->keys[i]);
        TH_TRY(th_buf_status(&batch->keys[i]));
        TH_TRY(memory_idem_add(&ingest->idem, claim, now_us));
        batch->added_n++;
    }
    return TH_OK;
}

static void make_records(struct kafka_ingest *ingest, struct batch *batch)
{
    kafka_records_of(ingest->log, batch->outputs, batch->outputs_n, batch->records);
    batch->records_n = batch->outputs_n;
    for (size_t i = 0; i < batch->n; i++)
        if (batch->keys[i].n)
            batch->records[batch->records_n++] = (struct kafka_record){
                .topic = ingest->log->inner[KAFKA_IDEM],
                .key = batch->claims[i].key,
                .value = th_buf_str(&batch->keys[i]),
            };
}

static enum kafka_step write_batch(struct kafka_ingest *ingest, struct batch *batch,
                                   struct th_err *err)
{
    if (batch->records_n == 0) /* all were seen before, and that must still be all there is */
        return KAFKA_GOES_ON;
    enum kafka_step step = kafka_producer_write(ingest->producer, batch->records, batch->records_n,
                                                ingest->log->config.call_timeout_ms, err);
    return step == KAFKA_GOES_ON ? kafka_producer_commit(ingest->producer, err) : step;
}

static void begin_again(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        th_buf_clear(&batch->keys[i]);
    batch->outputs_n = batch->records_n = batch->added_n = 0;
}

/* One try. TH_ABORTED, TH_FENCED: nothing happened, and it may go better next time. */
static enum th_code try_batch(struct kafka_ingest *ingest, struct batch *batch,
                              struct th_arena *arena, struct th_err *err)
{
    int64_t now_us = th_clock_realtime_us(&th_clock_real);

    TH_TRY(become_writer(ingest, err));
    memory_idem_expire(&ingest->idem, now_us);
    begin_again(batch);
    enum th_code code = sort_out(ingest, batch, now_us, arena);
    if (code != TH_OK) {
        memory_idem_remove_newest(&ingest->idem, batch->added_n);
        return th_fail(err, code, "%zu claims", batch->n);
    }
    make_records(ingest, batch);
    enum kafka_step step = write_batch(ingest, batch, err);
    if (step == KAFKA_GOES_ON && batch->records_n > batch->outputs_n)
        ingest->written_to = batch->records[batch->records_n - 1].offset + 1;
    if (step == KAFKA_GOES_ON)
        return TH_OK;
    memory_idem_remove_newest(&ingest->idem, batch->added_n);
    if (step == KAFKA_ROLLED_BACK)
        return TH_ABORTED;
    drop_producer(ingest, err);
    return step == KAFKA_LOST ? TH_FENCED : TH_UNAVAILABLE;
}

static int random_ms(int below_ms)
{
    uint8_t random = 0;

    (void)!getrandom(&random, sizeof random, 0);
    return random % below_ms;
}

static void pause_at_random(int tries)
{
    int most_ms = 4 << (tries < 4 ? tries : 4);

    poll(NULL, 0, random_ms(most_ms < PAUSE_MS_MAX ? most_ms : PAUSE_MS_MAX));
}

static int64_t monotonic_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

static void leave_turn(struct kafka_ingest *ingest)
{
    ingest->turn_at_us = monotonic_us() + (TURN_MS + random_ms(PAUSE_MS_MAX)) * TH_US_PER_MS;
}

/* The lock is held, but not while waiting. */
static void await_turn(struct kafka_ingest *ingest)
{
    int64_t left_us;

    while (!ingest->producer && (left_us = ingest->turn_at_us - monotonic_us()) > 0) {
        pthread_mutex_unlock(&ingest->lock);
        (void)usleep((useconds_t)left_us);
        pthread_mutex_lock(&ingest->lock);
    }
}

static enum th_code run_batch(struct kafka_ingest *ingest, struct batch *batch,
                              struct th_arena *arena, struct th_err *err)
{
    enum th_code code = TH_ABORTED;

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        pthread_mutex_lock(&ingest->lock);
        await_turn(ingest);
        code = try_batch(ingest, batch, arena, err);
        if (code == TH_FENCED)
            leave_turn(ingest);
        pthread_mutex_unlock(&ingest->lock);
        if (code != TH_ABORTED && code != TH_FENCED)
            return code;
        if (code == TH_ABORTED)
            pause_at_random(tries);
    }
    return th_fail(err, TH_UNAVAILABLE, "ingest: others write again and again");
}

/* --- th_log_ingest ---------------------------------------------------------------------------- */

static enum th_code tell(struct batch *batch, struct log_claim *claims, struct th_arena *arena,
                         struct th_err *err)
{
    size_t at = 0;

    for (size_t i = 0; i < batch->n; i++) {
        struct log_claim *claim = &batch->claims[i];
        if (claim->outcome != LOG_CLAIM_STORED)
            continue;
        claim->places = th_arena_array(arena, claim->outputs_n, sizeof *claim->places);
        if (!claim->places)
            return th_fail(err, TH_NOMEM, "places of %zu records", claim->outputs_n);
        for (size_t k = 0; k < claim->outputs_n; k++, at++)
            claim->places[k] = (struct log_place){batch->outputs[at].topic, batch->records[at].part,
                                                  batch->records[at].offset};
    }
    memcpy(claims, batch->claims, batch->n * sizeof *claims);
    return TH_OK;
}

/* Callbacks come in crowds, each a batch of its own. */
static void take_as_they_are(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        batch->claims[i].outcome = LOG_CLAIM_STORED;
        add_outputs(batch, &batch->claims[i]);
    }
}

enum th_code kafka_ingest_claims(struct th_log *base, struct log_claim *claims, size_t n,
                                 struct th_arena *arena, struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    TH_AUTO(batch) struct batch batch = {0};

    TH_TRY(batch_init(&batch, claims, n, err));
    if (kafka_are_batches(base, claims, n)) {
        take_as_they_are(&batch);
        make_records(log->ingest, &batch);
        TH_TRY(kafka_append_batch(log, batch.records, batch.records_n, err));
    } else {
        TH_TRY(run_batch(log->ingest, &batch, arena, err));
    }
    if (batch.outputs_n)
        kafka_publish(log, batch.outputs, batch.records, batch.outputs_n);
    return tell(&batch, claims, arena, err);
}
