#include "connectors/postgres/query_settled.h"

#include <stdlib.h>

/* What a certificate is folded from, besides the campaign's own events. */
static const enum topic topics[] = {TOPIC_SEND_REQUESTS, TOPIC_SEND_EVENTS, TOPIC_SEND_OUTCOMES,
                                    TOPIC_DISPATCH_ATTEMPTS};

void settled_init(struct settled *settled)
{
    *settled = (struct settled){0};
    (void)pthread_mutex_init(&settled->mutex, NULL);
}

void settled_fini(struct settled *settled)
{
    for (size_t i = 0; i < SETTLED_CAMPAIGNS_MAX; i++)
        free(settled->at[i].ends);
    (void)pthread_mutex_destroy(&settled->mutex);
}

static int64_t next_of(const struct log_place *next, size_t n, enum topic topic, int part)
{
    for (size_t i = 0; i < n; i++)
        if (next[i].topic == topic && next[i].part == part)
            return next[i].offset;
    return 0;
}

static bool is_past(struct th_log *log, const int64_t *ends, const struct log_place *next, size_t n)
{
    for (size_t i = 0; i < TH_LEN(topics); i++)
        for (int part = 0; part < th_log_partitions(log, topics[i]); part++)
            if (next_of(next, n, topics[i], part) < *ends++)
                return false;
    return true;
}

static enum th_code read_ends(struct th_log *log, int64_t **out_ends, struct th_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < TH_LEN(topics); i++)
        n += (size_t)th_log_partitions(log, topics[i]);
    TH_AUTO(free) void *memory = calloc(n, sizeof(int64_t));
    int64_t *end = memory;
    if (!end)
        return th_fail(err, TH_NOMEM, "ends of the log");
    for (size_t i = 0; i < TH_LEN(topics); i++)
        for (int part = 0; part < th_log_partitions(log, topics[i]); part++)
            TH_TRY(th_log_end(log, topics[i], part, end++, err));
    *out_ends = TH_TAKE(memory);
    return TH_OK;
}

static struct settled_campaign *find(struct settled *settled, struct th_id campaign)
{
    for (size_t i = 0; i < SETTLED_CAMPAIGNS_MAX; i++)
        if (settled->at[i].ends && th_id_eq(settled->at[i].campaign, campaign))
            return &settled->at[i];
    return NULL;
}

static struct settled_campaign *oldest(struct settled *settled)
{
    struct settled_campaign *found = &settled->at[0];

    for (size_t i = 1; i < SETTLED_CAMPAIGNS_MAX; i++)
        if (settled->at[i].used < found->used)
            found = &settled->at[i];
    return found;
}

/* Takes ends. Whoever noted it earlier knows places that lie before these. */
static void note(struct settled *settled, struct th_id campaign, int64_t *ends)
{
    (void)pthread_mutex_lock(&settled->mutex);
    if (find(settled, campaign)) {
        free(ends);
    } else {
        struct settled_campaign *place = oldest(settled);
        free(place->ends);
        *place = (struct settled_campaign){campaign, ends, ++settled->asked};
    }
    (void)pthread_mutex_unlock(&settled->mutex);
}

enum th_code settled_ask(struct settled *settled, struct th_log *log, struct th_id campaign,
                         const struct log_place *next, size_t n, bool *out_is_past,
                         struct th_err *err)
{
    int64_t *ends = NULL;

    (void)pthread_mutex_lock(&settled->mutex);
    struct settled_campaign *known = find(settled, campaign);
    if (known) {
        known->used = ++settled->asked;
        *out_is_past = is_past(log, known->ends, next, n);
    }
    (void)pthread_mutex_unlock(&settled->mutex);
    if (known)
        return TH_OK;
    TH_TRY(read_ends(log, &ends, err));
    *out_is_past = is_past(log, ends, next, n);
    note(settled, campaign, ends);
    return TH_OK;
}
