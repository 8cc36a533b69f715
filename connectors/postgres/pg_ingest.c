/* Ingest: requests with idempotency keys. Keys, answers and records are one transaction, so that
 * the answer to a repeat is exact. */
#include <assert.h>
#include <string.h>

#include "connectors/postgres/pg_log_internal.h"

/* Each round settles at least one claim or meets a rival that is then settled in the next. */
#define ROUNDS_MAX 8

static const struct pg_statement sql_ingest = {
    "SELECT eventlog.ingest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::int4[],"
    " $6::bytea[], $7::bytea[], $8::int2[], $9::int2[], $10::int4[], $11::int4[], $12::int2[],"
    " $13::int4[], $14::int4[])",
};

static const struct pg_statement sql_seen = {
    "SELECT c.i, m.fingerprint, m.status, m.body"
    " FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[]) c(i, tenant, route, key)"
    " JOIN eventlog.idem m ON m.tenant = c.tenant AND m.route = c.route AND m.key = c.key",
};

/* What becomes of a claim. Claims themselves change only when the whole call has succeeded. */
struct fate {
    size_t first; /* the claim of this key that goes to the log; its own index if it does itself */
    bool is_settled;
    bool is_stored;           /* by this call */
    struct log_place *places; /* then */
    /* What the log holds under the key, now that it is settled. */
    uint8_t fingerprint[32];
    int status;
    struct th_str body;
};

struct call {
    struct pg_log *log;
    struct log_claim *claims;
    size_t n;
    struct th_arena *arena;
    struct fate *fates;
    struct log_output *outputs; /* of all claims of this round, one after the other */
};

static bool has_key(const struct log_claim *claim)
{
    return claim->key.n > 0;
}

/* --- one key several times in one call -------------------------------------------------- */

static int compare_claims(const void *a, const void *b, void *argument)
{
    const struct log_claim *claims = argument;
    size_t i = *(const size_t *)a;
    size_t j = *(const size_t *)b;
    int order = th_str_cmp(claims[i].key, claims[j].key);

    if (order == 0)
        order = th_str_cmp(claims[i].route, claims[j].route);
    if (order == 0)
        order = th_str_cmp(claims[i].tenant, claims[j].tenant);
    return order ? order : (i > j) - (i < j);
}

static bool same_key(const struct log_claim *a, const struct log_claim *b)
{
    return th_str_eq(a->key, b->key) && th_str_eq(a->route, b->route) &&
           th_str_eq(a->tenant, b->tenant);
}

/* Let each claim know the first one of its key. */
static enum th_code find_firsts(struct call *call, struct th_err *err)
{
    size_t *order = th_arena_array(call->arena, call->n, sizeof *order);
    if (!order)
        return th_fail(err, TH_NOMEM, "%zu claims", call->n);
    for (size_t i = 0; i < call->n; i++)
        order[i] = i;
    qsort_r(order, call->n, sizeof *order, compare_claims, call->claims);
    for (size_t k = 0; k < call->n; k++) {
        size_t i = order[k];
        call->fates[i].first = i;
        if (k > 0 && has_key(&call->claims[i]) &&
            same_key(&call->claims[i], &call->claims[order[k - 1]]))
            call->fates[i].first = call->fates[order[k - 1]].first;
    }
    return TH_OK;
}

/* Does this claim still have to be written? */
static bool is_open(const struct call *call, size_t i)
{
    return !call->fates[i].is_settled && call->fates[i].first == i;
}

static bool has_open_key(const struct call *call)
{
    for (size_t i = 0; i < call->n; i++)
        if (is_open(call, i) && has_key(&call->claims[i]))
            return true;
    return false;
}

/* --- keys that the log has seen --------------------------------------------------------- */

static void add_open_keys(const struct call *call, struct pg_params *params)
{
    pg_params_clear(params);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < call->n; i++)
        if (is_open(call, i) && has_key(&call->claims[i]))
            pg_item_int4(params, (int32_t)i);
    for (int column = 0; column < 3; column++) {
        pg_array_begin(params, PG_TEXT);
        for (size_t i = 0; i < call->n; i++) {
            const struct log_claim *claim = &call->claims[i];
            if (is_open(call, i) && has_key(claim))
                pg_item_bytes(params, column == 0   ? claim->tenant
                                      : column == 1 ? claim->route
                                                    : claim->key);
        }
    }
}

static enum th_code settle_seen(struct call *call, struct pg_row *row, struct th_err *err)
{
    int i = pg_next_int4(row);
    struct th_str fingerprint = pg_next_bytes(row);
    int status = pg_next_int4(row);
    struct th_str body = pg_next_bytes(row);

    TH_TRY(pg_row_end(row, err));
    struct fate *fate = &call->fates[i];
    if (i < 0 || (size_t)i >= call->n || fingerprint.n != sizeof fate->fingerprint)
        return th_fail(err, TH_MALFORMED, "a remembered answer is not what was asked for");
    fate->is_settled = true;
    memcpy(fate->fingerprint, fingerprint.p, fingerprint.n);
    fate->status = status;
    if (th_arena_copy(call->arena, body, &fate->body) != TH_OK)
        return th_fail(err, TH_NOMEM, "an answer of %zu bytes", body.n);
    return TH_OK;
}

/* Settle the claims whose keys are there. */
static enum th_code look_for_seen(struct call *call, struct pg_appender *ingester,
                                  struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    add_open_keys(call, &ingester->params);
    TH_TRY(pg_execute(ingester->pg, &sql_seen, &ingester->params, &result, err));
    for (int k = 0; k < PQntuples(result); k++) {
        struct pg_row row = pg_row(result, k);
        TH_TRY(settle_seen(call, &row, err));
    }
    return TH_OK;
}

/* --- storing the rest ------------------------------------------------------------------- */

static void add_claims(const struct call *call, struct pg_params *params)
{
    pg_params_clear(params);
    for (int column = 0; column < 6; column++) {
        static const enum pg_type types[] = {PG_TEXT,  PG_TEXT, PG_TEXT,
                                             PG_BYTEA, PG_INT4, PG_BYTEA};
        pg_array_begin(params, types[column]);
        for (size_t i = 0; i < call->n; i++) {
            const struct log_claim *claim = &call->claims[i];
            struct th_str fingerprint = {(const char *)claim->fingerprint,
                                         sizeof claim->fingerprint};
            if (!is_open(call, i) || !has_key(claim))
                continue;
            if (column == 4)
                pg_item_int4(params, claim->status);
            else
                pg_item_bytes(params, column == 0   ? claim->tenant
                                      : column == 1 ? claim->route
                                      : column == 2 ? claim->key
                                      : column == 3 ? fingerprint
                                                    : claim->body);
        }
    }
}

static size_t gather_outputs(struct call *call)
{
    size_t n = 0;

    for (size_t i = 0; i < call->n; i++) {
        const struct log_claim *claim = &call->claims[i];
        if (!is_open(call, i) || claim->outputs_n == 0)
            continue;
        memcpy(call->outputs + n, claim->outputs, claim->outputs_n * sizeof *call->outputs);
        n += claim->outputs_n;
    }
    return n;
}

static enum th_code settle_stored(struct call *call, const struct pg_appender *ingester,
                                  struct th_err *err)
{
    size_t at = 0;

    for (size_t i = 0; i < call->n; i++) {
        if (!is_open(call, i))
            continue;
        const struct log_claim *claim = &call->claims[i];
        struct fate *fate = &call->fates[i];
        fate->places = th_arena_array(call->arena, claim->outputs_n, sizeof *fate->places);
        if (claim->outputs_n && !fate->places)
            return th_fail(err, TH_NOMEM, "%zu places", claim->outputs_n);
        for (size_t k = 0; k < claim->outputs_n; k++)
            fate->places[k] = pg_pack_place(&ingester->pack, ingester->bases, at++);
        memcpy(fate->fingerprint, claim->fingerprint, sizeof fate->fingerprint);
        fate->status = claim->status;
        fate->body = claim->body;
        fate->is_stored = true;
        fate->is_settled = true;
    }
    return TH_OK;
}

static enum th_code store(struct call *call, struct pg_appender *ingester, struct th_err *err)
{
    size_t n = gather_outputs(call);
    int64_t now_us = th_clock_realtime_us(&th_clock_real);

    TH_TRY(pg_pack_make(&ingester->pack, &call->log->base, call->outputs, n, NULL, now_us, err));
    if (n && !has_open_key(call)) { /* nothing to remember: an append costs less */
        pg_params_clear(&ingester->params);
        return pg_appender_run(call->log, ingester, &pg_sql_append, err);
    }
    add_claims(call, &ingester->params);
    return pg_appender_run(call->log, ingester, &sql_ingest, err);
}

static bool has_open(const struct call *call)
{
    for (size_t i = 0; i < call->n; i++)
        if (is_open(call, i))
            return true;
    return false;
}

static enum th_code settle_all(struct call *call, struct pg_appender *ingester, struct th_err *err)
{
    for (int round = 0; has_open(call); round++) {
        enum th_code code = store(call, ingester, err);
        if (code == TH_OK)
            return settle_stored(call, ingester, err);
        if (code != TH_CONFLICT)
            return code;
        if (round == ROUNDS_MAX)
            return th_fail(err, TH_UNAVAILABLE, "rivals hold the same idempotency keys");
        TH_TRY(look_for_seen(call, ingester, err));
    }
    return TH_OK;
}

/* --- the call --------------------------------------------------------------------------- */

/* Every key is settled: tell each claim, the repeats within the call like those of older calls. */
static enum th_code answer(struct call *call, size_t i, struct log_claim *out, struct th_err *err)
{
    const struct fate *fate = &call->fates[call->fates[i].first];

    *out = call->claims[i];
    out->places = NULL;
    out->replayed_status = 0;
    out->replayed_body = (struct th_str){0};
    if (fate->is_stored && call->fates[i].first == i) {
        out->outcome = LOG_CLAIM_STORED;
        out->places = fate->places;
        return TH_OK;
    }
    out->outcome = LOG_CLAIM_MISMATCH;
    if (memcmp(fate->fingerprint, out->fingerprint, sizeof fate->fingerprint) != 0)
        return TH_OK;
    out->outcome = LOG_CLAIM_REPLAYED;
    out->replayed_status = fate->status;
    if (th_arena_copy(call->arena, fate->body, &out->replayed_body) != TH_OK)
        return th_fail(err, TH_NOMEM, "an answer of %zu bytes", fate->body.n);
    return TH_OK;
}

static enum th_code answer_all(struct call *call, struct th_err *err)
{
    struct log_claim *answered = th_arena_array(call->arena, call->n, sizeof *answered);

    if (!answered)
        return th_fail(err, TH_NOMEM, "%zu claims", call->n);
    for (size_t i = 0; i < call->n; i++)
        TH_TRY(answer(call, i, &answered[i], err));
    memcpy(call->claims, answered, call->n * sizeof *answered);
    return TH_OK;
}

enum th_code pg_ingest(struct th_log *base, struct log_claim *claims, size_t n,
                       struct th_arena *arena, struct th_err *err)
{
    struct pg_log *log = pg_log_of(base);
    struct call call = {.log = log, .claims = claims, .n = n, .arena = arena};
    size_t outputs_n = 0;

    for (size_t i = 0; i < n; i++)
        outputs_n += claims[i].outputs_n;
    call.fates = th_arena_array(arena, n, sizeof *call.fates);
    call.outputs = th_arena_array(arena, outputs_n + 1, sizeof *call.outputs);
    if (!call.fates || !call.outputs)
        return th_fail(err, TH_NOMEM, "%zu claims", n);
    TH_TRY(find_firsts(&call, err));

    pthread_mutex_lock(&log->ingester.lock);
    enum th_code code = settle_all(&call, &log->ingester, err);
    pg_pack_clear(&log->ingester.pack);
    pthread_mutex_unlock(&log->ingester.lock);
    TH_TRY(code);
    return answer_all(&call, err);
}
