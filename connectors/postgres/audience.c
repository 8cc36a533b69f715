#include "connectors/postgres/audience.h"

#include "connectors/postgres/audience_source.h"
#include "connectors/postgres/audience_twice.h"

#include <pthread.h>
#include <string.h>

#define PART_ARENA_MAX  ((size_t)16 * 1024 * 1024)
#define SEAL_ARENA_MAX  ((size_t)8 * 1024 * 1024)
#define CONNECTIONS_MAX 4
#define SEALS_MAX       8

/* A decoded part, or the seal of an audience. Shared by reference while a thread reads from it. */
struct cached {
    struct th_id audience;
    int32_t part; /* -1: the seal */
    struct th_arena arena;
    struct audience_part rows;
    struct audience_seal seal;
    int users;
    bool is_dropped; /* the last user frees it */
    uint64_t used;
};

struct pg_audience {
    struct audience audience; /* first member */
    char *conninfo;
    struct pg_config config;
    struct audience_source source;
    struct audience_twice *twice;
    pthread_mutex_t mutex; /* guards the cache */
    uint64_t asked;
    struct cached *parts[AUDIENCE_CACHED_PARTS_MAX];
    struct cached *seals[SEALS_MAX];
};

/* --- the cache
 * -------------------------------------------------------------------------------------- */

static void cached_free(struct cached *cached)
{
    if (!cached)
        return;
    th_arena_fini(&cached->arena);
    free(cached);
}

static struct cached *cached_new(struct th_id audience, int32_t part, size_t arena_max)
{
    struct cached *cached = calloc(1, sizeof *cached);

    if (!cached)
        return NULL;
    cached->audience = audience;
    cached->part = part;
    cached->users = 1;
    th_arena_init(&cached->arena, arena_max);
    return cached;
}

static struct cached *borrow(struct pg_audience *self, struct cached **table, size_t n,
                             struct th_id audience, int32_t part)
{
    struct cached *found = NULL;

    (void)pthread_mutex_lock(&self->mutex);
    for (size_t i = 0; i < n && !found; i++)
        if (table[i] && table[i]->part == part && th_id_eq(table[i]->audience, audience))
            found = table[i];
    if (found) {
        found->users++;
        found->used = ++self->asked;
    }
    (void)pthread_mutex_unlock(&self->mutex);
    return found;
}

static void give_back(struct pg_audience *self, struct cached *cached)
{
    (void)pthread_mutex_lock(&self->mutex);
    bool is_last = --cached->users == 0 && cached->is_dropped;
    (void)pthread_mutex_unlock(&self->mutex);
    if (is_last)
        cached_free(cached);
}

/* In the place of the one not asked for the longest. Two threads may keep the same; one ages out.
 */
static void keep(struct pg_audience *self, struct cached **table, size_t n, struct cached *cached)
{
    struct cached *dropped;
    size_t oldest = 0;

    (void)pthread_mutex_lock(&self->mutex);
    for (size_t i = 1; i < n; i++)
        if (table[oldest] && (!table[i] || table[i]->used < table[oldest]->used))
            oldest = i;
    dropped = table[oldest];
    table[oldest] = cached;
    cached->used = ++self->asked;
    if (dropped) {
        dropped->is_dropped = true;
        if (dropped->users > 0)
            dropped = NULL;
    }
    (void)pthread_mutex_unlock(&self->mutex);
    cached_free(dropped);
}

/* The seal of an audience; give it back. */
static enum th_code get_seal(struct pg_audience *self, struct th_str tenant, struct th_id id,
                             struct cached **out, struct th_err *err)
{
    struct cached *cached = borrow(self, self->seals, SEALS_MAX, id, -1);

    if (!cached) {
        cached = cached_new(id, -1, SEAL_ARENA_MAX);
        if (!cached)
            return th_fail(err, TH_NOMEM, "the seal of an audience");
        enum th_code code =
            audience_source_seal(&self->source, tenant, id, &cached->arena, &cached->seal, err);
        if (code != TH_OK) {
            cached_free(cached);
            return code;
        }
        keep(self, self->seals, SEALS_MAX, cached);
    }
    *out = cached;
    return TH_OK;
}

static enum th_code read_part(struct pg_audience *self, struct th_str tenant, struct th_id id,
                              int32_t part, struct cached *cached, struct th_err *err)
{
    struct cached *seal;

    TH_TRY(get_seal(self, tenant, id, &seal, err));
    enum th_code code = audience_source_part(&self->source, tenant, id, part, &seal->seal,
                                             &cached->arena, &cached->rows, err);
    give_back(self, seal);
    return code;
}

/* A part; give it back. */
static enum th_code get_part(struct pg_audience *self, struct th_str tenant, struct th_id id,
                             int32_t part, struct cached **out, struct th_err *err)
{
    struct cached *cached = borrow(self, self->parts, AUDIENCE_CACHED_PARTS_MAX, id, part);

    if (!cached) {
        cached = cached_new(id, part, PART_ARENA_MAX);
        if (!cached)
            return th_fail(err, TH_NOMEM, "a part of an audience");
        enum th_code code = read_part(self, tenant, id, part, cached, err);
        if (code != TH_OK) {
            cached_free(cached);
            return code;
        }
        keep(self, self->parts, AUDIENCE_CACHED_PARTS_MAX, cached);
    }
    /* What one tenant read must not become another's by guessing an id. */
    if (!th_str_eq(cached->rows.meta.tenant, tenant)) {
        give_back(self, cached);
        return th_fail(err, TH_NOT_FOUND, "no such audience, or it is not sealed");
    }
    *out = cached;
    return TH_OK;
}

/* --- answers
 * ---------------------------------------------------------------------------------------- */

/* What may heal by itself is asked again; that leaves "never" for the rest. */
static enum th_code answer_code(enum th_code code)
{
    return code == TH_OK || code == TH_NOT_FOUND || code == TH_CORRUPT ? code : TH_UNAVAILABLE;
}

static enum th_code open_audience(struct pg_audience *self, const struct effect *effect,
                                  struct answer *out)
{
    struct th_err err = {0};
    struct cached *seal;
    enum th_code code = get_seal(self, effect->as.open_audience.tenant,
                                 effect->as.open_audience.audience, &seal, &err);

    out->type = ANSWER_AUDIENCE_OPENED;
    out->as.audience_opened.campaign = effect->as.open_audience.campaign;
    if (code == TH_OK) {
        code = audience_source_check(&self->source, effect->as.open_audience.tenant,
                                     effect->as.open_audience.audience, &seal->seal, &err);
        out->as.audience_opened.parts = (int32_t)seal->seal.parts.n;
        out->as.audience_opened.recipients = seal->seal.recipients;
        out->as.audience_opened.sha256 = seal->seal.sha256;
        give_back(self, seal);
    }
    out->as.audience_opened.code = answer_code(code);
    return TH_OK;
}

static enum th_code read_rows(struct pg_audience *self, const struct effect *effect,
                              struct answer *out)
{
    struct th_err err = {0};
    struct cached *part;
    enum th_code code = get_part(self, effect->as.read_part.tenant, effect->as.read_part.audience,
                                 effect->as.read_part.part, &part, &err);

    out->type = ANSWER_PART_READ;
    out->as.part_read.campaign = effect->as.read_part.campaign;
    out->as.part_read.part = effect->as.read_part.part;
    if (code == TH_OK) {
        out->as.part_read.rows = (int32_t)part->rows.rows.n;
        give_back(self, part);
    }
    if (code == TH_OK && effect->as.read_part.want_duplicates)
        code = audience_twice_bits(self->twice, effect->as.read_part.tenant,
                                   effect->as.read_part.campaign, effect->as.read_part.audience,
                                   effect->as.read_part.part, out->as.part_read.duplicates, &err);
    out->as.part_read.code = answer_code(code);
    return TH_OK;
}

static enum th_code copy_string(struct th_arena *arena, const struct string_or_sealed *from,
                                struct string_or_sealed *to)
{
    *to = *from;
    if (from->is == STRING_OR_SEALED_STRING)
        return th_arena_copy(arena, from->as.string, &to->as.string);
    TH_TRY(th_arena_copy(arena, from->as.sealed.key_id, &to->as.sealed.key_id));
    TH_TRY(th_arena_copy(arena, from->as.sealed.nonce, &to->as.sealed.nonce));
    return th_arena_copy(arena, from->as.sealed.ciphertext, &to->as.sealed.ciphertext);
}

static enum th_code copy_row(struct th_arena *arena, const struct audience_part *part, int32_t row,
                             struct string_array *out_columns, struct audience_row *out_row)
{
    struct th_str *columns = th_arena_array(arena, part->columns.n + 1, sizeof *columns);
    const struct audience_row *from = &part->rows.at[row];

    if (!columns)
        return TH_NOMEM;
    for (size_t i = 0; i < part->columns.n; i++)
        TH_TRY(th_arena_copy(arena, part->columns.at[i], &columns[i]));
    *out_columns = (struct string_array){columns, part->columns.n};
    out_row->source_row = from->source_row;
    TH_TRY(th_arena_copy(arena, from->lang, &out_row->lang));
    TH_TRY(copy_string(arena, &from->phone, &out_row->phone));
    return copy_string(arena, &from->variables, &out_row->variables);
}

static enum th_code read_recipient(struct pg_audience *self, const struct effect *effect,
                                   struct th_arena *arena, struct answer *out)
{
    const struct recipient_ref *ref = &effect->as.read_recipient.recipient;
    struct th_err err = {0};
    struct cached *part;
    enum th_code code =
        get_part(self, effect->as.read_recipient.tenant, ref->audience, ref->part, &part, &err);

    out->type = ANSWER_RECIPIENT_READ;
    out->as.recipient_read.send = effect->as.read_recipient.send;
    out->as.recipient_read.code = answer_code(code);
    if (code != TH_OK)
        return TH_OK;
    if (ref->row < 0 || (size_t)ref->row >= part->rows.rows.n)
        out->as.recipient_read.code = TH_NOT_FOUND;
    else
        code = copy_row(arena, &part->rows, ref->row, &out->as.recipient_read.columns,
                        &out->as.recipient_read.row);
    give_back(self, part);
    return code;
}

static enum th_code answer(struct audience *audience, const struct effect *effect,
                           struct th_arena *arena, struct answer *out)
{
    struct pg_audience *self = (struct pg_audience *)audience;

    memset(out, 0, sizeof *out);
    switch (effect->type) {
    case EFFECT_OPEN_AUDIENCE:
        return open_audience(self, effect, out);
    case EFFECT_READ_PART:
        return read_rows(self, effect, out);
    case EFFECT_READ_RECIPIENT:
        return read_recipient(self, effect, arena, out);
    case EFFECT_ASK_JOURNAL:
    case EFFECT_CALL:
    case EFFECT_LOOKUP:
    case EFFECT_REPEAT:
    case EFFECT_DROP_JOURNAL:
        break;
    }
    return TH_INVALID;
}

static enum th_code whole_part(struct audience *audience, struct th_str tenant, struct th_id id,
                               int32_t number, struct th_arena *arena, struct audience_part *out,
                               struct th_err *err)
{
    struct pg_audience *self = (struct pg_audience *)audience;
    struct event from = {.type = EVENT_AUDIENCE_PART};
    struct event copy;
    struct cached *part;

    TH_TRY(get_part(self, tenant, id, number, &part, err));
    from.as.audience_part = part->rows;
    enum th_code code = event_copy(&from, arena, &copy);
    give_back(self, part);
    if (code != TH_OK)
        return th_fail(err, code, "a part of an audience");
    *out = copy.as.audience_part;
    return TH_OK;
}

static const struct audience_ops ops = {.answer = answer, .part = whole_part};

/* --- life
 * ---------------------------------------------------------------------------------------------- */

void pg_audience_close(struct audience *audience)
{
    struct pg_audience *self = (struct pg_audience *)audience;

    if (!self)
        return;
    audience_twice_free(self->twice);
    for (size_t i = 0; i < AUDIENCE_CACHED_PARTS_MAX; i++)
        cached_free(self->parts[i]);
    for (size_t i = 0; i < SEALS_MAX; i++)
        cached_free(self->seals[i]);
    pg_pool_free(self->source.pool);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self->conninfo);
    free(self);
}

enum th_code pg_audience_open(const char *conninfo, struct th_log *log, struct reference *reference,
                              const char *scratch, struct audience **out_audience,
                              struct th_err *err)
{
    struct pg_audience *self = calloc(1, sizeof *self);

    if (!self)
        return th_fail(err, TH_NOMEM, "audiences");
    self->audience.ops = &ops;
    self->source.log = log;
    (void)pthread_mutex_init(&self->mutex, NULL);
    self->conninfo = strdup(conninfo);
    self->config = (struct pg_config){
        .conninfo = self->conninfo, .application_name = "telehub audience", .is_read_only = true};
    enum th_code code = self->conninfo
                            ? pg_pool_new(&self->config, CONNECTIONS_MAX, &self->source.pool, err)
                            : th_fail(err, TH_NOMEM, "audiences");
    if (code == TH_OK)
        code = audience_twice_new(&self->source, reference, scratch, &self->twice, err);
    if (code != TH_OK) {
        pg_audience_close(&self->audience);
        return code;
    }
    *out_audience = &self->audience;
    return TH_OK;
}
