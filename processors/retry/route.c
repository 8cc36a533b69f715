#include "processors/retry/route.h"

#include "common/hash.h"
#include "common/ids.h"

#include <string.h>

static bool is_among(const struct string_array *names, struct th_str name)
{
    for (size_t i = 0; i < names->n; i++)
        if (th_str_eq(names->at[i], name))
            return true;
    return names->n == 0;
}

static int64_t share_of(const struct ref_lane *lane)
{
    if (!lane->is_enabled || lane->circuit == CIRCUIT_OPEN)
        return 0;
    return (int64_t)lane->account.weight * lane->health_permille;
}

static bool stands_before(const struct route_lane *a, const struct route_lane *b)
{
    return a->share != b->share ? a->share > b->share : a->lane < b->lane;
}

static void insert(struct route_table *table, struct route_lane lane)
{
    size_t i = table->lanes_n;

    if (i == ROUTE_LANES_MAX)
        return;
    for (; i > 0 && stands_before(&lane, &table->lanes[i - 1]); i--)
        table->lanes[i] = table->lanes[i - 1];
    table->lanes[i] = lane;
    table->lanes_n++;
}

static int64_t gather(const struct reference *ref, struct th_str tenant,
                      const struct string_array *accounts, struct route_table *table)
{
    int64_t total = 0;
    const struct ref_lane *lane;

    for (size_t i = 0; (lane = reference_lane_at(ref, i)); i++)
        if (th_str_eq(lane->tenant, tenant) && is_among(accounts, lane->account.name))
            insert(table, (struct route_lane){.lane = lane->lane, .share = share_of(lane)});
    for (size_t i = 0; i < table->lanes_n; i++)
        total += table->lanes[i].share;
    return total;
}

/* Whole entries first; what is left over goes to the largest rests, ties to the earlier lane. */
static void apportion(struct route_table *table, int64_t total)
{
    int32_t given = 0;

    for (size_t i = 0; i < table->lanes_n; i++) {
        table->lanes[i].entries = (int32_t)(table->lanes[i].share * ROUTE_ENTRIES / total);
        given += table->lanes[i].entries;
    }
    bool has_got[ROUTE_LANES_MAX] = {false};
    for (; given < ROUTE_ENTRIES; given++) {
        size_t best = table->lanes_n;
        int64_t best_rest = -1;
        for (size_t i = 0; i < table->lanes_n; i++) {
            int64_t rest = table->lanes[i].share * ROUTE_ENTRIES % total;
            if (!has_got[i] && table->lanes[i].share > 0 && rest > best_rest) {
                best = i;
                best_rest = rest;
            }
        }
        has_got[best] = true;
        table->lanes[best].entries++;
    }
}

/* Smooth weighted round robin: every lane's entries lie as evenly as they can. */
static void spread(struct route_table *table)
{
    int32_t current[ROUTE_LANES_MAX] = {0};

    for (int e = 0; e < ROUTE_ENTRIES; e++) {
        size_t best = 0;
        for (size_t i = 0; i < table->lanes_n; i++) {
            current[i] += table->lanes[i].entries;
            if (current[i] > current[best])
                best = i;
        }
        current[best] -= ROUTE_ENTRIES;
        table->entries[e] = table->lanes[best].lane;
    }
}

void route_table_make(const struct reference *ref, struct th_str tenant,
                      const struct string_array *accounts, struct route_table *out)
{
    memset(out, 0, sizeof *out);
    int64_t total = gather(ref, tenant, accounts, out);
    if (total == 0)
        return;
    apportion(out, total);
    spread(out);
}

int32_t route_first(const struct route_table *table, int64_t k)
{
    return table->entries[(uint64_t)k % ROUTE_ENTRIES];
}

int32_t route_other(const struct route_table *table, const uint16_t *excluded, size_t excluded_n)
{
    for (size_t i = 0; i < table->lanes_n; i++) {
        bool is_excluded = table->lanes[i].share == 0;
        for (size_t k = 0; k < excluded_n; k++)
            is_excluded = is_excluded || excluded[k] == table->lanes[i].lane;
        if (!is_excluded)
            return table->lanes[i].lane;
    }
    return 0;
}

bool route_is_open(const struct route_table *table, int32_t lane)
{
    for (size_t i = 0; i < table->lanes_n; i++)
        if (table->lanes[i].lane == lane)
            return table->lanes[i].share > 0;
    return false;
}

struct th_str route_sender(const struct account_configured *account, int64_t contact)
{
    struct th_str best = {NULL, 0};
    uint64_t best_score = 0;

    for (size_t i = 0; i < account->senders.n; i++) {
        uint64_t score = th_hash64(account->senders.at[i], (uint64_t)contact);
        if (!best.p || score > best_score) {
            best = account->senders.at[i];
            best_score = score;
        }
    }
    return best;
}

/* --- the cache
 * -------------------------------------------------------------------------------------- */

#define ROUTES_KEPT 64 /* direct-mapped by group */

struct kept_route {
    struct th_id group;
    int64_t config; /* versions that it was made of; 0: empty */
    int64_t health;
    struct route_table table;
};

struct routes {
    struct kept_route kept[ROUTES_KEPT];
};

struct routes *routes_new(void)
{
    return calloc(1, sizeof(struct routes));
}

void routes_free(struct routes *routes)
{
    free(routes);
}

const struct route_table *routes_of(struct routes *routes, const struct reference *ref,
                                    struct th_id group, struct th_str tenant,
                                    const struct string_array *accounts)
{
    struct reference_versions versions = reference_versions(ref);
    struct kept_route *kept = &routes->kept[th_id_hash(group) % ROUTES_KEPT];

    if (kept->config != versions.config || kept->health != versions.health ||
        !th_id_eq(kept->group, group)) {
        route_table_make(ref, tenant, accounts, &kept->table);
        kept->group = group;
        kept->config = versions.config;
        kept->health = versions.health;
    }
    return &kept->table;
}
