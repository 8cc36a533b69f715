#include "common/eventlog/dead_letter.h"
#include "connectors/postgres/queries_internal.h"
#include "schemas/events.h"

#define RECORD_ARENA_MAX ((size_t)8 * 1024 * 1024)

#define COLUMNS                                                                                    \
    "SELECT d.letter, coalesce(d.tenant, ''), d.at, d.about_topic, d.consumer, d.code, d.detail,"  \
    " coalesce(e.how, ''), e.at, d.topic, d.log_part, d.log_offset FROM views.dead_letters d"      \
    " LEFT JOIN views.dead_letter_ends e USING (letter)"

static const struct pg_statement list = {
    COLUMNS " WHERE d.letter > $1::uuid AND (e.letter IS NULL OR NOT $2::bool)"
            " ORDER BY d.letter LIMIT $3::int8"};

static const struct pg_statement one = {COLUMNS " WHERE d.letter = $1::uuid LIMIT 1"};

static enum th_code take(const PGresult *result, int n, struct th_arena *arena,
                         struct view_dead_letter *out, struct log_place *out_place,
                         struct th_err *err)
{
    struct query_row row = query_row(result, n, arena);

    out->id = query_next_id(&row);
    out->tenant = query_next_text(&row);
    out->at_us = query_next_time_us(&row);
    out->topic = query_next_text(&row);
    out->consumer = query_next_text(&row);
    out->code = query_next_text(&row);
    out->detail = query_next_text(&row);
    out->settled = query_next_text(&row);
    out->settled_us = query_next_time_us(&row);
    out_place->topic = (enum topic)query_next_int4(&row);
    out_place->part = query_next_int4(&row);
    out_place->offset = query_next_int8(&row);
    return query_row_end(&row, err);
}

enum th_code query_dead_letters(struct views *views, bool is_unsettled, const struct th_id *after,
                                size_t limit, struct th_arena *arena, struct view_dead_letter **out,
                                size_t *out_n, struct th_err *err)
{
    static const struct th_id first;
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct log_place place;

    pg_add_uuid(&params, after ? after->b : first.b);
    pg_add_bool(&params, is_unsettled);
    pg_add_int8(&params, (int64_t)query_limit(limit));
    TH_TRY(pg_pool_execute(pg_views_of(views)->pool, &list, &params, &result, err));
    size_t n = (size_t)PQntuples(result);
    struct view_dead_letter *letters = th_arena_array(arena, n + 1, sizeof *letters);
    if (!letters)
        return th_fail(err, TH_NOMEM, "dead letters");
    for (size_t i = 0; i < n; i++)
        TH_TRY(take(result, (int)i, arena, &letters[i], &place, err));
    *out = letters;
    *out_n = n;
    return TH_OK;
}

/* --- one, with its bytes ---------------------------------------------------------------------- */

/* A letter's own record carries its record's. Letters that were written before letters did name no
 * place: the letter's says where to look. */
static enum th_code take_headers(const struct log_record *record, struct th_arena *arena,
                                 struct view_dead_record *out)
{
    TH_AUTO(th_buf) struct th_buf headers = {0};

    th_buf_add(&headers, record->headers);
    if (!dead_letter_has_origin(record->headers))
        dead_letter_add_origin(&headers, record->place);
    TH_TRY(th_buf_status(&headers));
    return th_arena_copy(arena, th_buf_str(&headers), &out->headers);
}

/* What lies at place: the letter, or where the views themselves could not fold, the record. */
static enum th_code take_record(const struct log_record *record, struct th_arena *arena,
                                struct view_dead_record *out, struct th_err *err)
{
    struct th_str key = record->key;
    struct th_str value = record->value;
    struct event event;

    if (record->place.topic == TOPIC_DEAD_LETTERS) {
        TH_TRY(event_decode(record->value, arena, &event, err));
        if (event.type != EVENT_DEAD_LETTER)
            return th_fail(err, TH_CORRUPT, "no dead letter lies where the views say so");
        key = event.as.dead_letter.key;
        value = event.as.dead_letter.value;
    }
    if (th_arena_copy(arena, record->key, &out->letter_key) != TH_OK ||
        th_arena_copy(arena, key, &out->key) != TH_OK ||
        th_arena_copy(arena, value, &out->value) != TH_OK ||
        take_headers(record, arena, out) != TH_OK)
        return th_fail(err, TH_NOMEM, "a dead letter");
    return TH_OK;
}

static enum th_code read_record(struct th_log *log, struct log_place place, struct th_arena *arena,
                                struct view_dead_record *out, struct th_err *err)
{
    struct th_log_reader *reader = NULL;
    struct log_records records;
    struct th_arena room;

    TH_TRY(th_log_reader_open(log, &place, 1, &reader, err));
    th_arena_init(&room, RECORD_ARENA_MAX);
    enum th_code code = th_log_reader_read(reader, 1, &room, &records, err);
    if (code == TH_OK && (records.n == 0 || records.at[0].place.offset != place.offset))
        code = th_fail(err, TH_CORRUPT, "no record lies where the views say so");
    if (code == TH_OK)
        code = take_record(&records.at[0], arena, out, err);
    th_arena_fini(&room);
    th_log_reader_close(reader);
    return code;
}

enum th_code query_dead_letter(struct views *views, struct th_id id, struct th_arena *arena,
                               struct view_dead_record *out, struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct log_place place;

    pg_add_uuid(&params, id.b);
    TH_TRY(pg_pool_execute(self->pool, &one, &params, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "there is no such dead letter");
    TH_TRY(take(result, 0, arena, &out->letter, &place, err));
    if ((unsigned)place.topic >= TOPIC_COUNT)
        return th_fail(err, TH_CORRUPT, "a dead letter of a topic that there is not");
    return read_record(self->log, place, arena, out, err);
}
