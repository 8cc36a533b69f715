#include "connectors/postgres/audience_source.h"

#include <string.h>

/* The public views of the index: they stay when a view is rebuilt. */
static const struct pg_statement find_seal = {
    "SELECT log_part::int4, (seal_next - 1)::int8, sha256 FROM views.audiences"
    " WHERE audience = $1::uuid AND tenant = $2::text AND seal_next > 0"};

static const struct pg_statement find_part = {
    "SELECT log_part::int4, log_offset::int8 FROM views.audience_parts"
    " WHERE audience = $1::uuid AND part = $2::int4 AND tenant = $3::text"};

static const struct pg_statement find_parts = {
    "SELECT part::int4, recipients::int4, sha256 FROM views.audience_parts"
    " WHERE audience = $1::uuid AND tenant = $2::text AND part < $3::int4 ORDER BY part"};

static const struct pg_statement find_progress = {
    "SELECT next_offset::int8 FROM views.progress"
    " WHERE topic = $1::int4 AND log_part = $2::int4"};

/* A record that is not in the index is not there only if the views have read to the end. */
static enum th_code absent(struct audience_source *source, struct th_str tenant,
                           struct th_id audience, const char *what, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    int partitions = th_log_partitions(source->log, TOPIC_CAMPAIGN_AUDIENCE);
    char text[TH_ID_TEXT_LEN + 1];
    TH_AUTO(th_buf) struct th_buf key = {0};
    int64_t read_to = 0;
    int64_t end;

    th_id_text(audience, text);
    th_buf_printf(&key, "%.*s/%s", TH_ARG(tenant), text);
    TH_TRY(th_buf_status(&key));
    int part = topic_partition_of_key(th_buf_str(&key), partitions);
    pg_add_int4(&params, TOPIC_CAMPAIGN_AUDIENCE);
    pg_add_int4(&params, part);
    TH_TRY(th_log_end(source->log, TOPIC_CAMPAIGN_AUDIENCE, part, &end, err));
    TH_TRY(pg_pool_execute(source->pool, &find_progress, &params, &result, err));
    if (PQntuples(result) > 0) {
        struct pg_row row = pg_row(result, 0);
        read_to = pg_next_int8(&row);
        TH_TRY(pg_row_end(&row, err));
    }
    if (read_to < end)
        return th_fail(err, TH_UNAVAILABLE, "the views have not read all audiences yet");
    return th_fail(err, TH_NOT_FOUND, "%s", what);
}

/* The record at one place, decoded into arena. */
static enum th_code read_event(struct audience_source *source, struct log_place place,
                               struct th_arena *arena, struct event *out, struct th_err *err)
{
    struct th_log_reader *reader = NULL;
    struct log_records records;
    struct th_err gone = {0};

    TH_TRY(th_log_reader_open(source->log, &place, 1, &reader, err));
    enum th_code code = th_log_reader_read(reader, 1, arena, &records, &gone);
    th_log_reader_close(reader);
    if (code ==
        TH_NOT_FOUND) /* trimmed, and its archive is not where we are: nobody is lost for it */
        return th_fail(err, TH_UNAVAILABLE, "%s", gone.text);
    if (code != TH_OK)
        return th_fail(err, code, "%s", gone.text);
    if (records.n == 0 || records.at[0].place.offset != place.offset)
        return th_fail(err, TH_CORRUPT, "no record where the index says there is one");
    return event_decode(records.at[0].value, arena, out, err);
}

static enum th_code take_seal(const struct event *event, struct th_str sha256,
                              struct audience_seal *out, struct th_err *err)
{
    if (event->type != EVENT_AUDIENCE_SEALED || sha256.n != sizeof out->sha256.b)
        return th_fail(err, TH_CORRUPT, "no seal where the index says there is one");
    out->parts = event->as.audience_sealed.parts;
    out->recipients = event->as.audience_sealed.recipients;
    memcpy(out->sha256.b, sha256.p, sha256.n);
    return TH_OK;
}

enum th_code audience_source_seal(struct audience_source *source, struct th_str tenant,
                                  struct th_id audience, struct th_arena *arena,
                                  struct audience_seal *out, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct log_place place = {.topic = TOPIC_CAMPAIGN_AUDIENCE};
    struct event event;

    pg_add_uuid(&params, audience.b);
    pg_add_bytes(&params, tenant);
    TH_TRY(pg_pool_execute(source->pool, &find_seal, &params, &result, err));
    if (PQntuples(result) == 0)
        return absent(source, tenant, audience, "no such audience, or it is not sealed", err);
    struct pg_row row = pg_row(result, 0);
    place.part = pg_next_int4(&row);
    place.offset = pg_next_int8(&row);
    struct th_str sha256 = pg_next_bytes(&row);
    TH_TRY(pg_row_end(&row, err));
    TH_TRY(read_event(source, place, arena, &event, err));
    return take_seal(&event, sha256, out, err);
}

/* The index stops at the seal, so a row of it is what the seal must mean. */
static enum th_code check_row(const PGresult *result, int index, const struct audience_seal *seal,
                              struct th_err *err)
{
    const struct sealed_part *sealed = &seal->parts.at[index];
    struct pg_row row = pg_row(result, index);
    int32_t part = pg_next_int4(&row);
    int32_t recipients = pg_next_int4(&row);
    struct th_str sha256 = pg_next_bytes(&row);

    TH_TRY(pg_row_end(&row, err));
    if (part != index)
        return th_fail(err, TH_CORRUPT, "part %d is missing", index);
    if (recipients != sealed->rows ||
        !th_str_eq(sha256, (struct th_str){(const char *)sealed->sha256.b, sizeof sealed->sha256}))
        return th_fail(err, TH_CORRUPT, "part %d is not the one that was sealed", part);
    return TH_OK;
}

enum th_code audience_source_check(struct audience_source *source, struct th_str tenant,
                                   struct th_id audience, const struct audience_seal *seal,
                                   struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_uuid(&params, audience.b);
    pg_add_bytes(&params, tenant);
    pg_add_int4(&params, (int32_t)seal->parts.n);
    TH_TRY(pg_pool_execute(source->pool, &find_parts, &params, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no part of the audience is there");
    for (int i = 0; i < PQntuples(result); i++)
        TH_TRY(check_row(result, i, seal, err));
    if ((size_t)PQntuples(result) != seal->parts.n)
        return th_fail(err, TH_CORRUPT, "part %d is missing", PQntuples(result));
    return TH_OK;
}

static enum th_code check_part(const struct event *event, int32_t part,
                               const struct audience_seal *seal, struct th_err *err)
{
    if (event->type != EVENT_AUDIENCE_PART || event->as.audience_part.part != part)
        return th_fail(err, TH_CORRUPT, "no part %d where the index says there is one", part);
    if (memcmp(event->as.audience_part.sha256.b, seal->parts.at[part].sha256.b,
               sizeof event->as.audience_part.sha256.b) != 0)
        return th_fail(err, TH_CORRUPT, "part %d is not the one that was sealed", part);
    return TH_OK;
}

enum th_code audience_source_part(struct audience_source *source, struct th_str tenant,
                                  struct th_id audience, int32_t part,
                                  const struct audience_seal *seal, struct th_arena *arena,
                                  struct audience_part *out, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct log_place place = {.topic = TOPIC_CAMPAIGN_AUDIENCE};
    struct event event;

    if (part < 0 || (size_t)part >= seal->parts.n)
        return th_fail(err, TH_NOT_FOUND, "the audience has %zu parts, not part %d", seal->parts.n,
                       part);
    pg_add_uuid(&params, audience.b);
    pg_add_int4(&params, part);
    pg_add_bytes(&params, tenant);
    TH_TRY(pg_pool_execute(source->pool, &find_part, &params, &result, err));
    if (PQntuples(result) == 0)
        return absent(source, tenant, audience, "a sealed part is missing", err);
    struct pg_row row = pg_row(result, 0);
    place.part = pg_next_int4(&row);
    place.offset = pg_next_int8(&row);
    TH_TRY(pg_row_end(&row, err));
    TH_TRY(read_event(source, place, arena, &event, err));
    TH_TRY(check_part(&event, part, seal, err));
    *out = event.as.audience_part;
    return TH_OK;
}
