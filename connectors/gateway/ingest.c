#include "connectors/gateway/ingest.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/fault.h"
#include "common/hash.h"
#include "common/log_line.h"

#define KEY_BUCKETS  1024
#define ARENA_MAX    ((size_t)32 * 1024 * 1024)
#define CLAIM_WEIGHT 512 /* bytes that a request costs besides its records */

struct ingest {
    struct ingest_config config;
    pthread_t thread;
    bool is_started;
    atomic_bool is_unkicked; /* something was queued since the last kick */
    pthread_mutex_t lock;    /* guards all that follows */
    pthread_cond_t wake;     /* something is queued, or it is over */
    struct request *first, *last;
    size_t queued_n;
    size_t pending_bytes;              /* queued and in the running call */
    int64_t oldest_running_us;         /* of the running call; 0: none runs */
    struct request *keys[KEY_BUCKETS]; /* being worked on, by hash of tenant, route and key */
    int64_t call_began_us;             /* of the running or the last call */
    bool is_closing;
    struct ingest_figures figures;
    uint64_t seed; /* of the keys' hashes */
};

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

/* --- keys in flight ------------------------------------------------------------------------ */

static uint64_t hash_of(const struct ingest *ingest, const struct log_claim *claim)
{
    uint64_t hash = th_hash64(claim->key, ingest->seed);

    hash = th_hash64(claim->route, hash);
    return th_hash64(claim->tenant, hash);
}

static bool same_key(const struct log_claim *a, const struct log_claim *b)
{
    return th_str_eq(a->key, b->key) && th_str_eq(a->route, b->route) &&
           th_str_eq(a->tenant, b->tenant);
}

static bool note_key(struct ingest *ingest, struct request *request)
{
    if (!request->claim.key.n)
        return true;
    request->key_hash = hash_of(ingest, &request->claim);
    struct request **bucket = &ingest->keys[request->key_hash % KEY_BUCKETS];
    for (const struct request *other = *bucket; other; other = other->in_flight)
        if (other->key_hash == request->key_hash && same_key(&other->claim, &request->claim))
            return false;
    request->in_flight = *bucket;
    *bucket = request;
    return true;
}

static void forget_key(struct ingest *ingest, struct request *request)
{
    if (!request->claim.key.n)
        return;
    struct request **at = &ingest->keys[request->key_hash % KEY_BUCKETS];
    while (*at != request)
        at = &(*at)->in_flight;
    *at = request->in_flight;
}

/* --- in -------------------------------------------------------------------------------------- */

static bool is_overloaded(const struct ingest *ingest, int64_t now)
{
    int64_t oldest = ingest->oldest_running_us ? ingest->oldest_running_us
                     : ingest->first           ? ingest->first->queued_us
                                               : now;

    return ingest->is_closing || ingest->pending_bytes > ingest->config.pending_bytes_max ||
           now - oldest > ingest->config.pending_age_us;
}

static enum ingest_admission submit_locked(struct ingest *ingest, struct request *request)
{
    int64_t now = now_us();

    if (is_overloaded(ingest, now))
        return INGEST_OVERLOADED;
    if (!note_key(ingest, request))
        return INGEST_IN_FLIGHT;
    request->queued_us = now;
    request->queued = NULL;
    if (ingest->last)
        ingest->last->queued = request;
    else
        ingest->first = request;
    ingest->last = request;
    ingest->queued_n++;
    ingest->pending_bytes += request->outputs_size + CLAIM_WEIGHT;
    atomic_store(&ingest->is_unkicked, true);
    return INGEST_ADMITTED;
}

enum ingest_admission ingest_submit(struct ingest *ingest, struct request *request)
{
    pthread_mutex_lock(&ingest->lock);
    enum ingest_admission admission = submit_locked(ingest, request);
    pthread_mutex_unlock(&ingest->lock);
    return admission;
}

void ingest_kick(struct ingest *ingest)
{
    if (!atomic_load(&ingest->is_unkicked) || !atomic_exchange(&ingest->is_unkicked, false))
        return;
    pthread_mutex_lock(&ingest->lock);
    pthread_cond_signal(&ingest->wake);
    pthread_mutex_unlock(&ingest->lock);
}

/* --- the writer ------------------------------------------------------------------------------ */

/* Take what fits into one call. */
static size_t take_batch(struct ingest *ingest, struct request **batch)
{
    size_t n = 0;
    size_t bytes = 0;

    while (ingest->first && n < INGEST_BATCH_CLAIMS) {
        struct request *request = ingest->first;
        if (n && bytes + request->outputs_size > INGEST_BATCH_BYTES)
            break;
        bytes += request->outputs_size;
        ingest->first = request->queued;
        if (!ingest->first)
            ingest->last = NULL;
        ingest->queued_n--;
        batch[n++] = request;
    }
    ingest->oldest_running_us = n ? batch[0]->queued_us : 0;
    return n;
}

/* The results of a claim that live in the writer's arena go to the request's own. */
static enum th_code keep_results(struct request *request, const struct log_claim *claim)
{
    request->claim = *claim;
    request->claim.places = NULL;
    if (claim->outcome == LOG_CLAIM_REPLAYED)
        return th_arena_copy(&request->arena, claim->replayed_body, &request->claim.replayed_body);
    if (claim->outcome == LOG_CLAIM_STORED && claim->outputs_n) {
        size_t size = claim->outputs_n * sizeof *claim->places;
        request->claim.places = th_arena_alloc(&request->arena, size);
        if (request->claim.places)
            memcpy(request->claim.places, claim->places, size);
    }
    return TH_OK; /* without places it is stored all the same */
}

/* One bad record must not cost the others: refused as a batch, they are tried one by one. */
static void store(struct ingest *ingest, struct request **batch, size_t n, struct th_arena *arena,
                  enum th_code *failures)
{
    struct th_err err = {0};
    struct log_claim *claims = th_arena_array(arena, n, sizeof *claims);
    enum th_code code = claims ? TH_OK : TH_NOMEM;

    for (size_t i = 0; i < n && claims; i++)
        claims[i] = batch[i]->claim;
    TH_FAULT_SCOPE("%s", ingest->config.name);
    if (code == TH_OK && TH_FAULT(callback_append))
        code = th_fail(&err, TH_UNAVAILABLE, "not written, for a test");
    if (code == TH_OK)
        code = th_log_ingest(ingest->config.log, claims, n, arena, &err);
    if (code == TH_OK && TH_FAULT(callback_appended))
        code = th_fail(&err, TH_UNAVAILABLE, "not known to be written, for a test");
    if (code == TH_INVALID && n > 1) {
        for (size_t i = 0; i < n; i++)
            store(ingest, &batch[i], 1, arena, &failures[i]);
        return;
    }
    if (code != TH_OK)
        th_log(TH_LOG_WARN, "gateway.ingest", TH_F("code", th_code_name(code)), TH_F("claims", n),
               TH_F("detail", (const char *)err.text));
    for (size_t i = 0; i < n; i++)
        failures[i] = code == TH_OK ? keep_results(batch[i], &claims[i]) : code;
}

static void finish_batch(struct ingest *ingest, struct request **batch, size_t n,
                         const enum th_code *failures)
{
    bool is_failing = false;

    pthread_mutex_lock(&ingest->lock);
    for (size_t i = 0; i < n; i++) {
        forget_key(ingest, batch[i]);
        ingest->pending_bytes -= batch[i]->outputs_size + CLAIM_WEIGHT;
        is_failing = is_failing || failures[i] != TH_OK;
    }
    ingest->figures.last_us = now_us() - ingest->call_began_us;
    ingest->figures.calls++;
    ingest->figures.claims += n;
    ingest->figures.is_failing = is_failing;
    ingest->oldest_running_us = 0;
    int64_t took_us = ingest->figures.last_us;
    pthread_mutex_unlock(&ingest->lock);
    th_observe(ingest->config.seconds, took_us);
    th_observe(ingest->config.claims, (int64_t)n);
    if (is_failing)
        th_count(ingest->config.failures, 1);
    for (size_t i = 0; i < n; i++)
        ingest->config.done(batch[i], failures[i]);
}

static void *run(void *arg)
{
    struct ingest *ingest = arg;
    struct request *batch[INGEST_BATCH_CLAIMS];
    enum th_code failures[INGEST_BATCH_CLAIMS];
    struct th_arena arena;

    th_arena_init(&arena, ARENA_MAX);
    for (;;) {
        pthread_mutex_lock(&ingest->lock);
        while (!ingest->first && !ingest->is_closing)
            pthread_cond_wait(&ingest->wake, &ingest->lock);
        size_t n = take_batch(ingest, batch);
        ingest->call_began_us = now_us();
        pthread_mutex_unlock(&ingest->lock);
        if (!n)
            break;
        store(ingest, batch, n, &arena, failures);
        finish_batch(ingest, batch, n, failures);
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
    return NULL;
}

enum th_code ingest_open(const struct ingest_config *config, struct ingest **out_ingest,
                         struct th_err *err)
{
    struct ingest *ingest = calloc(1, sizeof *ingest);

    if (!ingest)
        return th_fail(err, TH_NOMEM, "writer");
    ingest->config = *config;
    if (getrandom(&ingest->seed, sizeof ingest->seed, 0) != sizeof ingest->seed)
        ingest->seed = (uint64_t)now_us();
    pthread_mutex_init(&ingest->lock, NULL);
    pthread_cond_init(&ingest->wake, NULL);
    ingest->is_started = pthread_create(&ingest->thread, NULL, run, ingest) == 0;
    if (!ingest->is_started) {
        ingest_close(ingest);
        return th_fail(err, TH_IO, "no thread for a writer");
    }
    (void)pthread_setname_np(ingest->thread, config->name);
    *out_ingest = ingest;
    return TH_OK;
}

void ingest_close(struct ingest *ingest)
{
    if (!ingest)
        return;
    pthread_mutex_lock(&ingest->lock);
    ingest->is_closing = true;
    pthread_cond_signal(&ingest->wake);
    pthread_mutex_unlock(&ingest->lock);
    if (ingest->is_started)
        (void)pthread_join(ingest->thread, NULL);
    pthread_cond_destroy(&ingest->wake);
    pthread_mutex_destroy(&ingest->lock);
    free(ingest);
}

struct ingest_figures ingest_figures(struct ingest *ingest)
{
    pthread_mutex_lock(&ingest->lock);
    struct ingest_figures figures = ingest->figures;
    figures.waiting = ingest->queued_n;
    figures.bytes = ingest->pending_bytes;
    if (ingest->oldest_running_us)
        figures.last_us = now_us() - ingest->call_began_us;
    pthread_mutex_unlock(&ingest->lock);
    return figures;
}
