#include "connectors/postgres/audience_twice.h"

#include "common/content.h"
#include "common/digest.h"
#include "common/duplicates.h"
#include "common/hash.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PART_ARENA_MAX ((size_t)16 * 1024 * 1024)
#define SEAL_ARENA_MAX ((size_t)8 * 1024 * 1024)
#define FILE_MAGIC     0x54575743u

enum state { FREE, LOOKING, KNOWN, FAILED };

struct known {
    enum state state;
    struct th_id campaign;
    struct th_id audience;
    char tenant[64];
    int32_t parts;
    uint8_t *bits; /* parts * TWICE_PART_BYTES, owned */
    uint64_t used; /* when it was last asked for, by count */
    struct th_err err;
};

struct audience_twice {
    struct audience_source *source;
    struct reference *reference;
    const char *scratch;
    pthread_t thread;
    pthread_cond_t wake;
    pthread_mutex_t mutex; /* guards what follows */
    bool is_closing;
    uint64_t asked;
    struct known known[TWICE_CAMPAIGNS_MAX];
};

/* --- one search: runs without the lock
 * ---------------------------------------------------------------- */

struct search {
    struct audience_twice *twice;
    struct th_id campaign;
    struct th_id audience;
    struct th_str tenant;
    struct th_arena seal_arena;
    struct audience_seal seal;
    struct event definition; /* a copy in seal_arena */
    uint8_t *bits;
};

static bool is_closing(struct audience_twice *twice)
{
    (void)pthread_mutex_lock(&twice->mutex);
    bool is = twice->is_closing;
    (void)pthread_mutex_unlock(&twice->mutex);
    return is;
}

/* A copy: the reference may change while we look. */
static enum th_code copy_texts(struct search *search, struct th_err *err)
{
    struct reference *ref = search->twice->reference;
    struct event event = {.type = EVENT_CAMPAIGN_DEFINED};
    enum th_code code = TH_UNAVAILABLE;

    reference_read_lock(ref);
    const struct ref_campaign *rc = reference_campaign(ref, search->campaign);
    if (rc && rc->is_defined) {
        event.as.campaign_defined.spec = rc->spec;
        code = event_copy(&event, &search->seal_arena, &search->definition);
    }
    reference_unlock(ref);
    return code == TH_OK ? TH_OK : th_fail(err, code, "the campaign's texts are not known yet");
}

/* The same number with the same text. A row whose text cannot be made is compared by its values. */
static enum th_code hash_row(const struct search *search, const struct audience_part *part,
                             const struct audience_row *row, struct th_arena *arena, uint64_t *out)
{
    const struct campaign_spec *spec = &search->definition.as.campaign_defined.spec;
    struct th_str text;
    struct th_str lang;
    struct th_err err = {0};
    enum th_code code =
        content_render(&spec->texts, &part->columns, row, arena, &text, &lang, &err);

    if (code == TH_NOMEM)
        return code;
    if (code != TH_OK)
        text = content_plain(&row->variables);
    *out = th_hash64(text, th_hash64(content_plain(&row->phone), 0));
    return TH_OK;
}

static enum th_code look_at_part(struct search *search, int32_t p, struct th_arena *arena,
                                 struct duplicates *duplicates, struct th_err *err)
{
    struct audience_part part;
    uint64_t hash;

    TH_TRY(audience_source_part(search->twice->source, search->tenant, search->audience, p,
                                &search->seal, arena, &part, err));
    for (size_t i = 0; i < part.rows.n && i < AUDIENCE_PART_ROWS_MAX; i++) {
        TH_TRY(hash_row(search, &part, &part.rows.at[i], arena, &hash));
        TH_TRY(duplicates_add(duplicates, hash, (int64_t)p * AUDIENCE_PART_ROWS_MAX + (int64_t)i,
                              err));
    }
    return TH_OK;
}

static void mark(void *arg, int64_t ordinal)
{
    const struct search *search = arg;
    int64_t part = ordinal / AUDIENCE_PART_ROWS_MAX;
    int64_t row = ordinal % AUDIENCE_PART_ROWS_MAX;

    search->bits[part * TWICE_PART_BYTES + row / 8] |= (uint8_t)(1U << (row % 8));
}

static enum th_code look_through(struct search *search, struct th_err *err)
{
    TH_AUTO(duplicates) struct duplicates *duplicates = NULL;
    size_t entries = (size_t)search->seal.recipients + 1;
    struct th_arena arena;
    enum th_code code = TH_OK;

    if (entries > TWICE_ENTRIES_MAX)
        entries = TWICE_ENTRIES_MAX;
    TH_TRY(duplicates_new(search->twice->scratch, entries, &duplicates, err));
    th_arena_init(&arena, PART_ARENA_MAX);
    for (int32_t p = 0; code == TH_OK && (size_t)p < search->seal.parts.n; p++) {
        code = is_closing(search->twice) ? th_fail(err, TH_UNAVAILABLE, "closing")
                                         : look_at_part(search, p, &arena, duplicates, err);
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
    return code == TH_OK ? duplicates_find(duplicates, mark, search, err) : code;
}

/* --- the file: a cache, believed only if everything about it fits
 * ---------------------------------------- */

struct file_head {
    uint32_t magic;
    int32_t parts;
    uint8_t sha256[TH_SHA256_SIZE]; /* of seal and texts, then of the bits */
};

static void file_path(const struct search *search, char *out, size_t size)
{
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(search->campaign, text);
    (void)snprintf(out, size, "%s/twice.%s", search->twice->scratch, text);
}

static struct file_head head_of(const struct search *search)
{
    struct file_head head = {.magic = FILE_MAGIC, .parts = (int32_t)search->seal.parts.n};
    const struct th_str parts[] = {
        {(const char *)search->seal.sha256.b, sizeof search->seal.sha256.b},
        {(const char *)search->bits, search->seal.parts.n * TWICE_PART_BYTES},
    };

    th_sha256_parts(parts, TH_LEN(parts), head.sha256);
    return head;
}

static bool load_file(struct search *search)
{
    char path[4096];
    struct file_head head;
    size_t size = search->seal.parts.n * TWICE_PART_BYTES;

    file_path(search, path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool is_read = fread(&head, sizeof head, 1, file) == 1 &&
                   head.parts == (int32_t)search->seal.parts.n &&
                   (size == 0 || fread(search->bits, size, 1, file) == 1);
    (void)fclose(file);
    struct file_head fits = head_of(search);
    if (is_read && memcmp(&head, &fits, sizeof head) == 0)
        return true;
    memset(search->bits, 0, size);
    return false;
}

/* Not being able to write it costs a search after the next restart, nothing else. */
static void save_file(const struct search *search)
{
    char path[4096];
    char fresh[4112];
    struct file_head head = head_of(search);
    size_t size = search->seal.parts.n * TWICE_PART_BYTES;

    file_path(search, path, sizeof path);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "we");
    if (!file)
        return;
    bool is_written = fwrite(&head, sizeof head, 1, file) == 1 &&
                      (size == 0 || fwrite(search->bits, size, 1, file) == 1);
    if (fclose(file) != 0 || !is_written || rename(fresh, path) != 0)
        (void)unlink(fresh);
}

static enum th_code search_all(struct search *search, struct th_err *err)
{
    TH_TRY(copy_texts(search, err));
    TH_TRY(audience_source_seal(search->twice->source, search->tenant, search->audience,
                                &search->seal_arena, &search->seal, err));
    search->bits = calloc(search->seal.parts.n + 1, TWICE_PART_BYTES);
    if (!search->bits)
        return th_fail(err, TH_NOMEM, "looking for duplicates");
    if (load_file(search))
        return TH_OK;
    TH_TRY(look_through(search, err));
    save_file(search);
    return TH_OK;
}

/* --- the thread
 * ------------------------------------------------------------------------------------------------
 */

static struct known *next_to_look(struct audience_twice *twice)
{
    for (size_t i = 0; i < TWICE_CAMPAIGNS_MAX; i++)
        if (twice->known[i].state == LOOKING)
            return &twice->known[i];
    return NULL;
}

/* Called with the lock; gives it away while it looks. An entry that is LOOKING is nobody else's. */
static void look_for(struct audience_twice *twice, struct known *known)
{
    struct search search = {.twice = twice,
                            .campaign = known->campaign,
                            .audience = known->audience,
                            .tenant = th_str(known->tenant)};
    struct th_err err = {0};

    (void)pthread_mutex_unlock(&twice->mutex);
    th_arena_init(&search.seal_arena, SEAL_ARENA_MAX);
    enum th_code code = search_all(&search, &err);
    int32_t parts = (int32_t)search.seal.parts.n;
    th_arena_fini(&search.seal_arena);
    (void)pthread_mutex_lock(&twice->mutex);
    known->state = code == TH_OK ? KNOWN : FAILED;
    known->err = err;
    known->parts = parts;
    if (code == TH_OK)
        known->bits = search.bits;
    else
        free(search.bits);
}

static void *look(void *arg)
{
    struct audience_twice *twice = arg;

    (void)pthread_mutex_lock(&twice->mutex);
    while (!twice->is_closing) {
        struct known *known = next_to_look(twice);
        if (known)
            look_for(twice, known);
        else
            (void)pthread_cond_wait(&twice->wake, &twice->mutex);
    }
    (void)pthread_mutex_unlock(&twice->mutex);
    return NULL;
}

/* --- asking
 * -------------------------------------------------------------------------------------------------------
 */

static struct known *find(struct audience_twice *twice, struct th_id campaign)
{
    for (size_t i = 0; i < TWICE_CAMPAIGNS_MAX; i++)
        if (twice->known[i].state != FREE && th_id_eq(twice->known[i].campaign, campaign))
            return &twice->known[i];
    return NULL;
}

/* A free place, or that of the one not asked for the longest; NULL while all are being looked at.
 */
static struct known *make_room(struct audience_twice *twice)
{
    struct known *oldest = NULL;

    for (size_t i = 0; i < TWICE_CAMPAIGNS_MAX; i++) {
        struct known *known = &twice->known[i];
        if (known->state == FREE)
            return known;
        if (known->state != LOOKING && (!oldest || known->used < oldest->used))
            oldest = known;
    }
    if (oldest) {
        free(oldest->bits);
        *oldest = (struct known){0};
    }
    return oldest;
}

static enum th_code begin(struct audience_twice *twice, struct th_str tenant, struct th_id campaign,
                          struct th_id audience)
{
    struct known *known = make_room(twice);

    if (!known || tenant.n >= sizeof known->tenant)
        return known ? TH_INVALID : TH_UNAVAILABLE;
    known->campaign = campaign;
    known->audience = audience;
    memcpy(known->tenant, tenant.p, tenant.n);
    known->tenant[tenant.n] = '\0';
    known->state = LOOKING;
    (void)pthread_cond_signal(&twice->wake);
    return TH_UNAVAILABLE;
}

static enum th_code answer(struct audience_twice *twice, struct known *known, int32_t part,
                           uint8_t *out_bits, struct th_err *err)
{
    known->used = ++twice->asked;
    switch (known->state) {
    case FREE:
    case LOOKING:
        return th_fail(err, TH_UNAVAILABLE, "still looking for duplicates");
    case FAILED:
        *err = known->err;
        known->state = FREE; /* the next question looks again */
        return err->code;
    case KNOWN:
        break;
    }
    if (part < 0 || part >= known->parts)
        return th_fail(err, TH_NOT_FOUND, "no part %d", part);
    memcpy(out_bits, known->bits + (size_t)part * TWICE_PART_BYTES, TWICE_PART_BYTES);
    return TH_OK;
}

enum th_code audience_twice_bits(struct audience_twice *twice, struct th_str tenant,
                                 struct th_id campaign, struct th_id audience, int32_t part,
                                 uint8_t out_bits[TWICE_PART_BYTES], struct th_err *err)
{
    enum th_code code;

    (void)pthread_mutex_lock(&twice->mutex);
    struct known *known = find(twice, campaign);
    if (known)
        code = answer(twice, known, part, out_bits, err);
    else
        code = th_fail(err, begin(twice, tenant, campaign, audience),
                       "duplicates are being looked for");
    (void)pthread_mutex_unlock(&twice->mutex);
    return code;
}

/* --- life
 * ------------------------------------------------------------------------------------------------------------
 */

enum th_code audience_twice_new(struct audience_source *source, struct reference *reference,
                                const char *scratch, struct audience_twice **out,
                                struct th_err *err)
{
    struct audience_twice *twice = calloc(1, sizeof *twice);

    if (!twice)
        return th_fail(err, TH_NOMEM, "looking for duplicates");
    twice->source = source;
    twice->reference = reference;
    twice->scratch = scratch;
    (void)pthread_mutex_init(&twice->mutex, NULL);
    (void)pthread_cond_init(&twice->wake, NULL);
    if (pthread_create(&twice->thread, NULL, look, twice) != 0) {
        free(twice);
        return th_fail(err, TH_NOMEM, "no thread to look for duplicates");
    }
    *out = twice;
    return TH_OK;
}

void audience_twice_free(struct audience_twice *twice)
{
    if (!twice)
        return;
    (void)pthread_mutex_lock(&twice->mutex);
    twice->is_closing = true;
    (void)pthread_cond_signal(&twice->wake);
    (void)pthread_mutex_unlock(&twice->mutex);
    (void)pthread_join(twice->thread, NULL);
    for (size_t i = 0; i < TWICE_CAMPAIGNS_MAX; i++)
        free(twice->known[i].bits);
    (void)pthread_cond_destroy(&twice->wake);
    (void)pthread_mutex_destroy(&twice->mutex);
    free(twice);
}
