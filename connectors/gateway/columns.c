#include "connectors/gateway/columns.h"

#include <pthread.h>
#include <string.h>

#define SEPARATOR '\x1f' /* no name holds it */

struct entry {
    struct th_id audience;
    char tenant[64];
    char *names; /* joined; NULL: parts differ, or a free place */
    size_t names_n;
};

struct columns {
    pthread_mutex_t lock; /* guards all that follows */
    struct entry at[COLUMNS_AUDIENCES_MAX];
    size_t next; /* place of the next new one */
};

struct columns *columns_new(void)
{
    struct columns *columns = calloc(1, sizeof *columns);

    if (columns)
        pthread_mutex_init(&columns->lock, NULL);
    return columns;
}

void columns_free(struct columns *columns)
{
    if (!columns)
        return;
    for (size_t i = 0; i < COLUMNS_AUDIENCES_MAX; i++)
        free(columns->at[i].names);
    pthread_mutex_destroy(&columns->lock);
    free(columns);
}

static struct entry *find(struct columns *columns, struct th_str tenant, struct th_id audience)
{
    for (size_t i = 0; i < COLUMNS_AUDIENCES_MAX; i++)
        if (th_id_eq(columns->at[i].audience, audience) &&
            th_str_eq(th_str(columns->at[i].tenant), tenant))
            return &columns->at[i];
    return NULL;
}

/* Joined, with a separator behind each; *out is to be freed. False without memory. */
static bool join(const struct th_str *names, size_t n, char **out, size_t *out_n)
{
    struct th_buf buf = {0};

    for (size_t i = 0; i < n; i++) {
        th_buf_add(&buf, names[i]);
        th_buf_add_char(&buf, SEPARATOR);
    }
    if (!n)
        th_buf_add_char(&buf, SEPARATOR); /* known to have none: one empty name */
    bool is_whole = th_buf_status(&buf) == TH_OK;
    if (is_whole) {
        *out = buf.p;
        *out_n = buf.n;
    } else {
        th_buf_fini(&buf);
    }
    return is_whole;
}

static void note_locked(struct columns *columns, struct th_str tenant, struct th_id audience,
                        char *names, size_t names_n)
{
    struct entry *entry = find(columns, tenant, audience);

    if (entry) {
        bool is_same =
            entry->names && entry->names_n == names_n && memcmp(entry->names, names, names_n) == 0;
        free(names);
        if (!is_same) {
            free(entry->names);
            entry->names = NULL;
        }
        return;
    }
    entry = &columns->at[columns->next];
    columns->next = (columns->next + 1) % COLUMNS_AUDIENCES_MAX;
    free(entry->names);
    *entry = (struct entry){.audience = audience, .names = names, .names_n = names_n};
    memcpy(entry->tenant, tenant.p, tenant.n);
}

void columns_note(struct columns *columns, struct th_str tenant, struct th_id audience,
                  const struct th_str *names, size_t n)
{
    char *joined = NULL;
    size_t joined_n = 0;

    if (tenant.n >= sizeof columns->at[0].tenant || !join(names, n, &joined, &joined_n))
        return;
    pthread_mutex_lock(&columns->lock);
    note_locked(columns, tenant, audience, joined, joined_n);
    pthread_mutex_unlock(&columns->lock);
}

static bool split(struct th_str names, struct th_arena *arena, struct th_var **out_vars,
                  size_t *out_n)
{
    size_t max = 0;
    size_t n = 0;

    for (size_t i = 0; i < names.n; i++)
        max += names.p[i] == SEPARATOR;
    struct th_var *vars = th_arena_array(arena, max, sizeof *vars);
    if (!vars)
        return false;
    while (names.n) {
        struct th_str name;
        (void)th_str_cut(names, SEPARATOR, &name, &names);
        if (name.n)
            vars[n++].name = name;
    }
    *out_vars = vars;
    *out_n = n;
    return true;
}

bool columns_find(struct columns *columns, struct th_str tenant, struct th_id audience,
                  struct th_arena *arena, struct th_var **out_vars, size_t *out_n)
{
    struct th_str names = {0};
    bool is_known = false;

    pthread_mutex_lock(&columns->lock);
    const struct entry *entry = find(columns, tenant, audience);
    if (entry && entry->names)
        is_known =
            th_arena_copy(arena, (struct th_str){entry->names, entry->names_n}, &names) == TH_OK;
    pthread_mutex_unlock(&columns->lock);
    return is_known && split(names, arena, out_vars, out_n);
}
