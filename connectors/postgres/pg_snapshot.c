/* Snapshots: a cache, so damaged ones are left out and nothing is ever believed without checksum.
 */
#include "common/crc32c.h"
#include "connectors/postgres/pg_log_internal.h"

/* Two are kept of each piece: this one and the newest before it. */
static const struct pg_statement sql_put = {
    "WITH older AS (DELETE FROM eventlog.snapshot"
    "   WHERE app = $1::int2 AND part = $2::int2 AND piece = $3::int4"
    "   AND upto_offset < (SELECT max(upto_offset) FROM eventlog.snapshot"
    "     WHERE app = $1::int2 AND part = $2::int2 AND piece = $3::int4 AND upto_offset < "
    "$5::int8))"
    "INSERT INTO eventlog.snapshot"
    " (app, part, piece, fold_version, upto_offset, codec, raw_len, crc32c, body)"
    " VALUES ($1::int2, $2::int2, $3::int4, $4::int4, $5::int8, $6::int2, $7::int4, $8::int4,"
    " $9::bytea)"
    " ON CONFLICT (app, part, piece, upto_offset) DO UPDATE SET at = clock_timestamp(),"
    " fold_version = excluded.fold_version, codec = excluded.codec, raw_len = excluded.raw_len,"
    " crc32c = excluded.crc32c, body = excluded.body",
};

static const struct pg_statement sql_list = {
    "SELECT piece, upto_offset FROM eventlog.snapshot"
    " WHERE app = $1::int2 AND part = $2::int2 AND fold_version = $3::int4"
    " AND piece >= $4::int4 AND piece < $5::int4"
    " ORDER BY piece, upto_offset DESC",
};

/* Bodies one at a time: all of them at once, with their predecessors, would be held twice. */
static const struct pg_statement sql_get = {
    "SELECT codec, raw_len, crc32c, body FROM eventlog.snapshot"
    " WHERE app = $1::int2 AND part = $2::int2 AND piece = $3::int4 AND upto_offset = $4::int8"
    " AND fold_version = $5::int4",
};

enum th_code pg_snapshot_put(struct th_log *base, enum log_app app,
                             const struct log_snapshot *snapshot, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(th_buf) struct th_buf scratch = {0};
    struct pg_log *log = pg_log_of(base);
    enum pg_codec codec;
    struct th_str body = pg_compress(snapshot->body, &scratch, &codec);

    pg_add_int2(&params, (int16_t)app);
    pg_add_int2(&params, (int16_t)snapshot->part);
    pg_add_int4(&params, snapshot->piece);
    pg_add_int4(&params, snapshot->fold_version);
    pg_add_int8(&params, snapshot->upto_offset);
    pg_add_int2(&params, (int16_t)codec);
    pg_add_int4(&params, (int32_t)snapshot->body.n);
    pg_add_int4(&params, (int32_t)crc32c(body));
    pg_add_bytes(&params, body);
    return pg_pool_execute(log->pool, &sql_put, &params, NULL, err);
}

/* Into the arena; *out_is_intact false, and TH_OK, when the stored bytes are not what they were. */
static enum th_code restore(struct th_str stored, int codec, int raw_size, uint32_t crc,
                            struct th_arena *arena, struct th_str *out_body, bool *out_is_intact,
                            struct th_err *err)
{
    *out_is_intact = false;
    if (crc32c(stored) != crc || raw_size < 0 || (size_t)raw_size > LOG_SNAPSHOT_SIZE_MAX)
        return TH_OK;
    size_t size = (size_t)raw_size;
    if (codec == PG_CODEC_RAW) {
        *out_is_intact = stored.n == size;
        if (*out_is_intact && th_arena_copy(arena, stored, out_body) != TH_OK)
            return th_fail(err, TH_NOMEM, "a snapshot of %zu bytes", size);
        return TH_OK;
    }
    char *body = th_arena_alloc(arena, size);
    if (!body)
        return th_fail(err, TH_NOMEM, "a snapshot of %zu bytes", size);
    enum th_code code = codec == PG_CODEC_LZ4 ? pg_decompress(stored, body, size) : TH_CORRUPT;
    if (code == TH_NOMEM)
        return th_fail(err, code, "a snapshot of %zu bytes", size);
    *out_is_intact = code == TH_OK;
    *out_body = (struct th_str){body, size};
    return TH_OK;
}

/* The body that a snapshot announces; not intact also when it has been pruned meanwhile. */
static enum th_code get_body(struct pg_log *log, enum log_app app, struct th_arena *arena,
                             struct log_snapshot *snapshot, bool *out_is_intact, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    *out_is_intact = false;
    pg_add_int2(&params, (int16_t)app);
    pg_add_int2(&params, (int16_t)snapshot->part);
    pg_add_int4(&params, snapshot->piece);
    pg_add_int8(&params, snapshot->upto_offset);
    pg_add_int4(&params, snapshot->fold_version);
    TH_TRY(pg_pool_execute(log->pool, &sql_get, &params, &result, err));
    if (PQntuples(result) == 0)
        return TH_OK;
    struct pg_row row = pg_row(result, 0);
    int codec = pg_next_int2(&row);
    int raw_size = pg_next_int4(&row);
    uint32_t crc = (uint32_t)pg_next_int4(&row);
    struct th_str stored = pg_next_bytes(&row);
    TH_TRY(pg_row_end(&row, err));
    return restore(stored, codec, raw_size, crc, arena, &snapshot->body, out_is_intact, err);
}

enum th_code pg_snapshot_get(struct th_log *base, enum log_app app, int part,
                             struct log_pieces pieces, int fold_version, struct th_arena *arena,
                             struct log_snapshot **out_snapshots, size_t *out_n, struct th_err *err)
{
    struct pg_log *log = pg_log_of(base);
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    size_t n = 0;

    pg_add_int2(&params, (int16_t)app);
    pg_add_int2(&params, (int16_t)part);
    pg_add_int4(&params, fold_version);
    pg_add_int4(&params, pieces.first);
    pg_add_int4(&params, pieces.end);
    TH_TRY(pg_pool_execute(log->pool, &sql_list, &params, &result, err));

    int rows = PQntuples(result);
    struct log_snapshot *found = th_arena_array(arena, (size_t)rows + 1, sizeof *found);
    if (!found)
        return th_fail(err, TH_NOMEM, "%d snapshots", rows);
    for (int i = 0; i < rows; i++) {
        struct log_snapshot snapshot = {.part = part, .fold_version = fold_version};
        struct pg_row row = pg_row(result, i);
        bool is_intact;
        snapshot.piece = pg_next_int4(&row);
        snapshot.upto_offset = pg_next_int8(&row);
        TH_TRY(pg_row_end(&row, err));
        if (n > 0 && found[n - 1].piece == snapshot.piece)
            continue; /* an older one */
        TH_TRY(get_body(log, app, arena, &snapshot, &is_intact, err));
        if (is_intact)
            found[n++] = snapshot;
    }
    *out_snapshots = found;
    *out_n = n;
    return TH_OK;
}
