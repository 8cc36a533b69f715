#include "common/eventlog/reference_private.h"

#include "common/digest.h"
#include "common/hash.h"

#include <assert.h>
#include <string.h>

#define LANE_NAME_SEED 2

/* --- finding -------------------------------------------------------------------------------- */

uint64_t reference_hash(const void *bytes, size_t n)
{
    return th_hash64((struct th_str){bytes, n}, 0);
}

struct tenant_entry *reference_find_tenant(const struct reference *ref, struct th_str slug)
{
    uint64_t hash = th_hash64(slug, 0);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->tenants_by_slug, hash, &at, &i)) {
        struct tenant_entry *entry = ref->tenants.at[i];
        if (th_str_eq(entry->pub.slug, slug))
            return entry;
    }
    return NULL;
}

struct lane_entry *reference_find_lane(const struct reference *ref, int32_t lane)
{
    uint64_t hash = reference_hash(&lane, sizeof lane);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->lanes_by_number, hash, &at, &i)) {
        struct lane_entry *entry = ref->lanes.at[i];
        if (entry->pub.lane == lane)
            return entry;
    }
    return NULL;
}

uint64_t reference_hash_lane_name(struct th_str tenant, struct th_str name)
{
    return th_hash64(name, th_hash64(tenant, LANE_NAME_SEED));
}

struct lane_entry *reference_find_lane_by_name(const struct reference *ref, struct th_str tenant,
                                               struct th_str name)
{
    uint64_t hash = reference_hash_lane_name(tenant, name);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->lanes_by_name, hash, &at, &i)) {
        struct lane_entry *entry = ref->lanes.at[i];
        if (th_str_eq(entry->pub.tenant, tenant) && th_str_eq(entry->pub.account.name, name))
            return entry;
    }
    return NULL;
}

struct campaign_entry *reference_find_campaign(const struct reference *ref, struct th_id campaign)
{
    uint64_t hash = th_id_hash(campaign);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->campaigns_by_id, hash, &at, &i)) {
        struct campaign_entry *entry = ref->campaigns.at[i];
        if (th_id_eq(entry->pub.campaign, campaign))
            return entry;
    }
    return NULL;
}

struct key_entry *reference_find_key(const struct reference *ref, const struct sha256 *sha256)
{
    uint64_t hash = reference_hash(sha256->b, sizeof sha256->b);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->keys_by_sha256, hash, &at, &i)) {
        struct key_entry *entry = ref->keys.at[i];
        if (memcmp(entry->sha256.b, sha256->b, sizeof sha256->b) == 0)
            return entry;
    }
    return NULL;
}

struct health_entry *reference_find_health(const struct reference *ref, int32_t lane)
{
    uint64_t hash = reference_hash(&lane, sizeof lane);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->health_by_lane, hash, &at, &i)) {
        struct health_entry *entry = ref->health.at[i];
        if (entry->lane == lane)
            return entry;
    }
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

/* A waiting writer goes first: slots read all the time, and a stop must not wait for them. */
static bool init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;

    if (pthread_rwlockattr_init(&attr) != 0)
        return false;
    bool is_ok =
        pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0 &&
        pthread_rwlock_init(lock, &attr) == 0;
    pthread_rwlockattr_destroy(&attr);
    return is_ok;
}

struct reference *reference_new(void)
{
    struct reference *ref = calloc(1, sizeof *ref);

    if (!ref)
        return NULL;
    ref->changes = calloc(REFERENCE_CHANGES_MAX, sizeof *ref->changes);
    if (!ref->changes || !init_lock(&ref->lock)) {
        free(ref->changes);
        free(ref);
        return NULL;
    }
    return ref;
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i]);
    free(list->at);
}

static void free_arenas(struct reference *ref)
{
    for (size_t i = 0; i < ref->tenants.n; i++)
        th_arena_fini(&((struct tenant_entry *)ref->tenants.at[i])->arena);
    for (size_t i = 0; i < ref->lanes.n; i++)
        th_arena_fini(&((struct lane_entry *)ref->lanes.at[i])->arena);
    for (size_t i = 0; i < ref->campaigns.n; i++)
        th_arena_fini(&((struct campaign_entry *)ref->campaigns.at[i])->arena);
}

void reference_free(struct reference *ref)
{
    if (!ref)
        return;
    free_arenas(ref);
    free_list(&ref->tenants);
    free_list(&ref->lanes);
    free_list(&ref->campaigns);
    free_list(&ref->keys);
    free_list(&ref->health);
    free_list(&ref->interned);
    name_index_fini(&ref->tenants_by_slug);
    name_index_fini(&ref->lanes_by_number);
    name_index_fini(&ref->lanes_by_name);
    name_index_fini(&ref->campaigns_by_id);
    name_index_fini(&ref->keys_by_sha256);
    name_index_fini(&ref->health_by_lane);
    name_index_fini(&ref->interned_by_text);
    hash_set_fini(&ref->opted_out);
    pthread_rwlock_destroy(&ref->lock);
    free(ref->changes);
    free(ref);
}

void reference_read_lock(struct reference *ref)
{
    int failed = pthread_rwlock_rdlock(&ref->lock);

    assert(!failed);
    (void)failed;
}

void reference_write_lock(struct reference *ref)
{
    int failed = pthread_rwlock_wrlock(&ref->lock);

    assert(!failed);
    (void)failed;
}

void reference_unlock(struct reference *ref)
{
    pthread_rwlock_unlock(&ref->lock);
}

/* --- looking up ---------------------------------------------------------------------------------
 */

struct reference_versions reference_versions(const struct reference *ref)
{
    return ref->versions;
}

struct reference_versions reference_read_to(const struct reference *ref)
{
    return ref->read_to;
}

const struct ref_tenant *reference_tenant(const struct reference *ref, struct th_str slug)
{
    const struct tenant_entry *entry = reference_find_tenant(ref, slug);

    return entry ? &entry->pub : NULL;
}

const struct ref_lane *reference_lane(const struct reference *ref, int32_t lane)
{
    const struct lane_entry *entry = reference_find_lane(ref, lane);

    return entry ? &entry->pub : NULL;
}

const struct ref_lane *reference_lane_by_name(const struct reference *ref, struct th_str tenant,
                                              struct th_str name)
{
    const struct lane_entry *entry = reference_find_lane_by_name(ref, tenant, name);

    return entry ? &entry->pub : NULL;
}

const struct ref_campaign *reference_campaign(const struct reference *ref, struct th_id campaign)
{
    const struct campaign_entry *entry = reference_find_campaign(ref, campaign);

    return entry ? &entry->pub : NULL;
}

const struct ref_key *reference_key(const struct reference *ref, const struct sha256 *sha256)
{
    const struct key_entry *entry = reference_find_key(ref, sha256);

    return entry ? &entry->pub : NULL;
}

bool reference_is_opted_out(const struct reference *ref, int64_t contact)
{
    return hash_set_has(&ref->opted_out, (uint64_t)contact);
}

/* Entries begin with what is public of them. */
static const void *entry_at(const struct list *list, size_t i)
{
    return i < list->n ? list->at[i] : NULL;
}

const struct ref_tenant *reference_tenant_at(const struct reference *ref, size_t i)
{
    return entry_at(&ref->tenants, i);
}

const struct ref_lane *reference_lane_at(const struct reference *ref, size_t i)
{
    return entry_at(&ref->lanes, i);
}

const struct ref_campaign *reference_campaign_at(const struct reference *ref, size_t i)
{
    return entry_at(&ref->campaigns, i);
}

int32_t reference_lane_max(const struct reference *ref)
{
    return ref->lane_max;
}

int64_t contact_hash(struct th_str tenant, struct th_str phone)
{
    const struct th_str parts[] = {TH_STR("contact"), tenant, phone};
    uint8_t digest[TH_SHA256_SIZE];
    uint64_t hash = 0;

    th_sha256_parts(parts, TH_LEN(parts), digest);
    for (int i = 0; i < 8; i++)
        hash = hash << 8 | digest[i];
    return (int64_t)hash;
}

/* --- changes ------------------------------------------------------------------------------------
 */

uint64_t reference_changes_end(const struct reference *ref)
{
    return ref->changes_end;
}

bool reference_changes(const struct reference *ref, uint64_t *at, struct reference_change *out,
                       size_t max, size_t *out_n)
{
    *out_n = 0;
    if (*at > ref->changes_end || ref->changes_end - *at > REFERENCE_CHANGES_MAX)
        return false;
    while (*at < ref->changes_end && *out_n < max)
        out[(*out_n)++] = ref->changes[(*at)++ % REFERENCE_CHANGES_MAX];
    return true;
}
