/* Appending: batches as arrays, one statement for all partitions of a transaction. */
#include <assert.h>

#include "common/crc32c.h"
#include "connectors/postgres/pg_log_internal.h"

#define TRIES_MAX 3 /* of a transaction that the server rolled back for a deadlock or a lock */

/* --- parameters and answers ---------------------------------------------------------------------
 */

/* How the bytes of a batch are stored. */
struct stored {
    enum pg_codec codec;
    uint32_t crc;
};

void pg_pack_add(const struct pg_pack *pack, struct pg_params *params, struct th_buf *scratch)
{
    /* Codec and checksum come out of the pass that adds the bytes, which therefore comes first. */
    struct stored few[64] = {0};
    struct stored *stored = few;
    if (pack->n > TH_LEN(few))
        stored = calloc(pack->n, sizeof *stored);
    if (!stored) {
        params->bytes.is_failed = true;
        return;
    }

    pg_array_begin(params, PG_BYTEA);
    for (size_t i = 0; i < pack->n; i++) {
        const struct pg_block *block = pack->batches[i].block;
        struct th_str bytes = {block->bytes, block->size};
        bytes = pg_compress(bytes, scratch, &stored[i].codec);
        stored[i].crc = crc32c(bytes);
        pg_item_bytes(params, bytes);
    }
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int2(params, (int16_t)pack->batches[i].topic);
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int2(params, (int16_t)pack->batches[i].part);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int4(params, pack->batches[i].prior);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int4(params, pack->batches[i].count);
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int2(params, (int16_t)stored[i].codec);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int4(params, (int32_t)pack->batches[i].block->size);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < pack->n; i++)
        pg_item_int4(params, (int32_t)stored[i].crc);
    if (stored != few)
        free(stored);
}

enum th_code pg_bases_of(const struct pg_pack *pack, struct pg_column column, int64_t *out_bases,
                         struct th_err *err)
{
    size_t n;

    if (!pg_column_int8s(column, out_bases, pack->n, &n) || n != pack->n)
        return th_fail(err, TH_MALFORMED, "the answer to an append does not fit its %zu batches",
                       pack->n);
    return TH_OK;
}

void pg_publish(struct pg_log *log, const struct pg_pack *pack, const int64_t *bases)
{
    struct pg_grown grown = {.topics = pack->topics};

    for (size_t i = 0; i < pack->n; i++) {
        const struct pg_batch *batch = &pack->batches[i];
        pg_ring_put(log->ring, batch->topic, batch->part, bases[i], batch->block);
        grown.parts[batch->topic] |= UINT64_C(1) << batch->part % 64;
    }
    if (grown.topics)
        pg_bell_ring(log->bell, &grown);
}

/* --- the appender ----------------------------------------------------------------------- */

void pg_appender_init(struct pg_appender *appender)
{
    *appender = (struct pg_appender){0};
    pthread_mutex_init(&appender->lock, NULL);
}

void pg_appender_fini(struct pg_appender *appender)
{
    pg_close(appender->pg);
    pg_pack_fini(&appender->pack);
    pg_params_fini(&appender->params);
    th_buf_fini(&appender->scratch);
    free(appender->bases);
    pthread_mutex_destroy(&appender->lock);
}

static enum th_code reserve_bases(struct pg_appender *appender, struct th_err *err)
{
    if (appender->pack.n <= appender->bases_cap)
        return TH_OK;
    int64_t *bases = reallocarray(appender->bases, appender->pack.n, sizeof *bases);
    if (!bases)
        return th_fail(err, TH_NOMEM, "%zu batches", appender->pack.n);
    appender->bases = bases;
    appender->bases_cap = appender->pack.n;
    return TH_OK;
}

static enum th_code run_once(struct pg_log *log, struct pg_appender *appender,
                             const struct pg_statement *statement, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    if (!appender->pg)
        TH_TRY(pg_open(&log->log_config, &appender->pg, err));
    enum th_code code = pg_execute(appender->pg, statement, &appender->params, &result, err);
    if (!pg_is_alive(appender->pg)) {
        pg_close(TH_TAKE(appender->pg));
        return th_fail(err, TH_UNAVAILABLE, "the connection was lost: an append may have happened");
    }
    TH_TRY(code);
    struct pg_row row = pg_row(result, 0);
    return pg_bases_of(&appender->pack, pg_next(&row), appender->bases, err);
}

enum th_code pg_appender_run(struct pg_log *log, struct pg_appender *appender,
                             const struct pg_statement *statement, struct th_err *err)
{
    enum th_code code = TH_ABORTED;

    TH_TRY(reserve_bases(appender, err));
    pg_pack_add(&appender->pack, &appender->params, &appender->scratch);
    for (int tries = 0; code == TH_ABORTED && tries < TRIES_MAX; tries++)
        code = run_once(log, appender, statement, err);
    if (code == TH_ABORTED || code == TH_TIMEOUT)
        return th_fail(err, TH_UNAVAILABLE, "the log is busy: an append was rolled back");
    TH_TRY(code);
    atomic_fetch_add(&log->appends, 1);
    pg_publish(log, &appender->pack, appender->bases);
    return TH_OK;
}

/* --- th_log_append ---------------------------------------------------------------------- */

const struct pg_statement pg_sql_append = {
    "SELECT eventlog.append($1::bytea[], $2::int2[], $3::int2[], $4::int4[], $5::int4[],"
    " $6::int2[], $7::int4[], $8::int4[])",
};

static enum th_code append_locked(struct pg_log *log, const struct log_output *outputs, size_t n,
                                  struct log_place *out_places, struct th_err *err)
{
    struct pg_appender *appender = &log->appender;
    int64_t now_us = th_clock_realtime_us(&th_clock_real);

    TH_TRY(pg_pack_make(&appender->pack, &log->base, outputs, n, NULL, now_us, err));
    pg_params_clear(&appender->params);
    TH_TRY(pg_appender_run(log, appender, &pg_sql_append, err));
    for (size_t i = 0; out_places && i < n; i++)
        out_places[i] = pg_pack_place(&appender->pack, appender->bases, i);
    return TH_OK;
}

enum th_code pg_append(struct th_log *base, const struct log_output *outputs, size_t n,
                       struct log_place *out_places, struct th_err *err)
{
    struct pg_log *log = pg_log_of(base);

    pthread_mutex_lock(&log->appender.lock);
    enum th_code code = append_locked(log, outputs, n, out_places, err);
    pg_pack_clear(&log->appender.pack); /* its blocks live on in the ring alone */
    pthread_mutex_unlock(&log->appender.lock);
    return code;
}
