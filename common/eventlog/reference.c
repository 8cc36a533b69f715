#include "common/eventlog/reference.h"

#include "common/arena.h"
#include "common/digest.h"
#include "common/eventlog/hash_set.h"
#include "common/eventlog/name_index.h"
#include "common/hash.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#define CHANGES_MAX      ((size_t)65536)
#define ENTITY_BYTES_MAX ((size_t)4 * 1024 * 1024) /* more than any record can hold, decoded */
#define HEALTH_AT_FIRST  1000                      /* ‰ */
#define INTERNED_SEED    1
#define LANE_NAME_SEED   2

/* Things in order of appearance. They are pointers, so that what was found stays where it is. */
struct list {
    void **at;
    size_t n;
    size_t cap;
};

struct tenant_entry {
    struct ref_tenant pub; /* first */
    struct th_arena arena; /* of its texts, but for the slug */
};

struct lane_entry {
    struct ref_lane pub;
    struct th_arena arena;
};

struct campaign_entry {
    struct ref_campaign pub;
    struct th_arena arena; /* of its spec */
};

struct key_entry {
    struct ref_key pub;
    struct sha256 sha256;
};

/* Kept apart from the lane, for its topic may be ahead of the one that configures lanes. */
struct health_entry {
    int32_t lane;
    enum circuit circuit;
    int32_t permille;
};

struct interned {
    size_t n;
    char bytes[];
};

struct reference {
    pthread_rwlock_t lock; /* guards everything below */
    struct reference_versions versions;

    struct list tenants; /* of tenant_entry */
    struct name_index tenants_by_slug;
    struct list lanes; /* of lane_entry */
    struct name_index lanes_by_number;
    struct name_index lanes_by_name;
    int32_t lane_max;
    struct list campaigns; /* of campaign_entry */
    struct name_index campaigns_by_id;
    struct list keys; /* of key_entry */
    struct name_index keys_by_sha256;
    struct list health; /* of health_entry */
    struct name_index health_by_lane;
    struct hash_set opted_out;

    struct list interned; /* tenants' slugs and keys' ids: few, and valid for ever */
    struct name_index interned_by_text;

    struct reference_change *changes; /* a ring of CHANGES_MAX */
    uint64_t changes_end;
};

/* --- lists and texts ------------------------------------------------------------------------ */

static enum th_code list_reserve(struct list *list)
{
    if (list->n < list->cap)
        return TH_OK;
    size_t cap = list->cap ? 2 * list->cap : 16;
    void **at = reallocarray(list->at, cap, sizeof *at);
    if (!at)
        return TH_NOMEM;
    list->at = at;
    list->cap = cap;
    return TH_OK;
}

static uint64_t hash_bytes(const void *bytes, size_t n)
{
    return th_hash64((struct th_str){bytes, n}, 0);
}

static enum th_code intern(struct reference *ref, struct th_str text, struct th_str *out)
{
    uint64_t hash = th_hash64(text, INTERNED_SEED);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->interned_by_text, hash, &at, &i)) {
        const struct interned *known = ref->interned.at[i];
        *out = (struct th_str){known->bytes, known->n};
        if (th_str_eq(*out, text))
            return TH_OK;
    }

    TH_TRY(list_reserve(&ref->interned));
    TH_TRY(name_index_reserve(&ref->interned_by_text));
    struct interned *copy = malloc(sizeof *copy + text.n + 1);
    if (!copy)
        return TH_NOMEM;
    copy->n = text.n;
    if (text.n)
        memcpy(copy->bytes, text.p, text.n);
    copy->bytes[text.n] = '\0';
    name_index_add(&ref->interned_by_text, hash, ref->interned.n);
    ref->interned.at[ref->interned.n++] = copy;
    *out = (struct th_str){copy->bytes, copy->n};
    return TH_OK;
}

/* A copy of its own for an entity; the caller gives the arena up again on error. */
static enum th_code copy_event(const struct event *event, struct th_arena *arena, struct event *out)
{
    th_arena_init(arena, ENTITY_BYTES_MAX);
    enum th_code code = event_copy(event, arena, out);
    if (code != TH_OK)
        th_arena_fini(arena);
    return code;
}

static void replace_arena(struct th_arena *arena, struct th_arena with)
{
    th_arena_fini(arena);
    *arena = with;
}

static void note_change(struct reference *ref, struct reference_change change)
{
    ref->changes[ref->changes_end++ % CHANGES_MAX] = change;
}

/* --- finding -------------------------------------------------------------------------------- */

static struct tenant_entry *find_tenant(const struct reference *ref, struct th_str slug)
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

static struct lane_entry *find_lane(const struct reference *ref, int32_t lane)
{
    uint64_t hash = hash_bytes(&lane, sizeof lane);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->lanes_by_number, hash, &at, &i)) {
        struct lane_entry *entry = ref->lanes.at[i];
        if (entry->pub.lane == lane)
            return entry;
    }
    return NULL;
}

static uint64_t hash_lane_name(struct th_str tenant, struct th_str name)
{
    return th_hash64(name, th_hash64(tenant, LANE_NAME_SEED));
}

static struct lane_entry *find_lane_by_name(const struct reference *ref, struct th_str tenant,
                                            struct th_str name)
{
    uint64_t hash = hash_lane_name(tenant, name);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->lanes_by_name, hash, &at, &i)) {
        struct lane_entry *entry = ref->lanes.at[i];
        if (th_str_eq(entry->pub.tenant, tenant) && th_str_eq(entry->pub.account.name, name))
            return entry;
    }
    return NULL;
}

static struct campaign_entry *find_campaign(const struct reference *ref, struct th_id campaign)
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

static struct key_entry *find_key(const struct reference *ref, const struct sha256 *sha256)
{
    uint64_t hash = hash_bytes(sha256->b, sizeof sha256->b);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->keys_by_sha256, hash, &at, &i)) {
        struct key_entry *entry = ref->keys.at[i];
        if (memcmp(entry->sha256.b, sha256->b, sizeof sha256->b) == 0)
            return entry;
    }
    return NULL;
}

static struct health_entry *find_health(const struct reference *ref, int32_t lane)
{
    uint64_t hash = hash_bytes(&lane, sizeof lane);
    size_t at = 0;
    size_t i;

    while (name_index_next(&ref->health_by_lane, hash, &at, &i)) {
        struct health_entry *entry = ref->health.at[i];
        if (entry->lane == lane)
            return entry;
    }
    return NULL;
}

/* --- tenants and keys ------------------------------------------------------------------------- */

/* The entry that is there, or a zeroed new one with room for it everywhere: adding it cannot fail.
 */
static enum th_code room_for_one(struct list *list, struct name_index *index, size_t size,
                                 void *found, void **out_entry, bool *out_is_new)
{
    *out_is_new = !found;
    *out_entry = found;
    if (found)
        return TH_OK;
    TH_TRY(list_reserve(list));
    TH_TRY(name_index_reserve(index));
    *out_entry = calloc(1, size);
    return *out_entry ? TH_OK : TH_NOMEM;
}

static void add(struct list *list, struct name_index *index, uint64_t hash, void *entry)
{
    name_index_add(index, hash, list->n);
    list->at[list->n++] = entry;
}

static enum th_code tenant_created(struct reference *ref, const struct event *event)
{
    struct th_str slug;
    struct event copy;
    struct th_arena arena;
    void *found;
    bool is_new;

    TH_TRY(intern(ref, event->as.tenant_created.meta.tenant, &slug));
    TH_TRY(copy_event(event, &arena, &copy));
    enum th_code code =
        room_for_one(&ref->tenants, &ref->tenants_by_slug, sizeof(struct tenant_entry),
                     find_tenant(ref, slug), &found, &is_new);
    if (code != TH_OK) {
        th_arena_fini(&arena);
        return code;
    }

    struct tenant_entry *tenant = found;
    replace_arena(&tenant->arena, arena);
    tenant->pub.slug = slug;
    tenant->pub.name = copy.as.tenant_created.name;
    tenant->pub.country = copy.as.tenant_created.country;
    tenant->pub.zone = copy.as.tenant_created.zone;
    tenant->pub.currency = copy.as.tenant_created.currency;
    if (is_new)
        add(&ref->tenants, &ref->tenants_by_slug, th_hash64(slug, 0), tenant);
    note_change(ref, (struct reference_change){.kind = REFERENCE_TENANT, .tenant = slug});
    return TH_OK;
}

static enum th_code tenant_stop_set(struct reference *ref, const struct tenant_stop_set *event)
{
    struct tenant_entry *tenant = find_tenant(ref, event->meta.tenant);

    if (!tenant)
        return TH_OK;
    tenant->pub.is_stopped = event->is_stopped;
    tenant->pub.stop_version++;
    note_change(ref,
                (struct reference_change){.kind = REFERENCE_TENANT, .tenant = tenant->pub.slug});
    return TH_OK;
}

/* The first to issue a key keeps it: nobody takes over another tenant's. */
static enum th_code key_issued(struct reference *ref, const struct key_issued *event)
{
    struct th_str tenant;
    struct th_str key_id;
    void *entry;
    bool is_new;

    if (find_key(ref, &event->sha256))
        return TH_OK;
    TH_TRY(intern(ref, event->meta.tenant, &tenant));
    TH_TRY(intern(ref, event->key_id, &key_id));
    TH_TRY(room_for_one(&ref->keys, &ref->keys_by_sha256, sizeof(struct key_entry), NULL, &entry,
                        &is_new));

    struct key_entry *key = entry;
    key->pub = (struct ref_key){.tenant = tenant, .key_id = key_id};
    key->sha256 = event->sha256;
    add(&ref->keys, &ref->keys_by_sha256, hash_bytes(key->sha256.b, sizeof key->sha256.b), key);
    return TH_OK;
}

/* --- lanes --------------------------------------------------------------------------------------
 */

static void note_lane(struct reference *ref, const struct lane_entry *lane)
{
    note_change(ref, (struct reference_change){.kind = REFERENCE_LANE,
                                               .tenant = lane->pub.tenant,
                                               .lane = lane->pub.lane});
}

static void take_health(const struct reference *ref, struct lane_entry *lane)
{
    const struct health_entry *health = find_health(ref, lane->pub.lane);

    lane->pub.circuit = health ? health->circuit : CIRCUIT_CLOSED;
    lane->pub.health_permille = health ? health->permille : HEALTH_AT_FIRST;
}

static enum th_code lane_added(struct reference *ref, struct th_str tenant, struct th_str name,
                               int32_t number, struct lane_entry **out_lane)
{
    void *entry;
    bool is_new;

    TH_TRY(name_index_reserve(&ref->lanes_by_name));
    TH_TRY(room_for_one(&ref->lanes, &ref->lanes_by_number, sizeof(struct lane_entry), NULL, &entry,
                        &is_new));
    struct lane_entry *lane = entry;
    lane->pub.lane = number;
    lane->pub.tenant = tenant;
    take_health(ref, lane);
    name_index_add(&ref->lanes_by_name, hash_lane_name(tenant, name), ref->lanes.n);
    add(&ref->lanes, &ref->lanes_by_number, hash_bytes(&number, sizeof number), lane);
    *out_lane = lane;
    return TH_OK;
}

static void configure(struct lane_entry *lane, const struct account_configured *account,
                      struct th_arena arena)
{
    /* A live account needs somebody who enables it as such. */
    if (account->mode != lane->pub.account.mode)
        lane->pub.is_enabled = false;
    replace_arena(&lane->arena, arena);
    lane->pub.account = *account;
    lane->pub.account.meta = (struct meta){0};
    lane->pub.account.lane = lane->pub.lane; /* an account stays on the lane it was given first */
}

static enum th_code account_configured(struct reference *ref, const struct event *event)
{
    const struct account_configured *account = &event->as.account_configured;
    struct lane_entry *lane = find_lane_by_name(ref, account->meta.tenant, account->name);
    struct th_str tenant;
    struct event copy;
    struct th_arena arena;

    if (account->lane < 1 || (!lane && find_lane(ref, account->lane)))
        return TH_OK; /* no lane, or one that another account has: the first keeps it */

    TH_TRY(intern(ref, account->meta.tenant, &tenant));
    TH_TRY(copy_event(event, &arena, &copy));
    account = &copy.as.account_configured;
    enum th_code code = lane ? TH_OK : lane_added(ref, tenant, account->name, account->lane, &lane);
    if (code != TH_OK) {
        th_arena_fini(&arena);
        return code;
    }
    configure(lane, account, arena);
    if (account->lane > ref->lane_max)
        ref->lane_max = account->lane;
    note_lane(ref, lane);
    return TH_OK;
}

static enum th_code account_enabled(struct reference *ref, const struct account_enabled *event)
{
    struct lane_entry *lane = find_lane_by_name(ref, event->meta.tenant, event->name);

    if (!lane)
        return TH_OK;
    lane->pub.is_enabled = event->is_enabled;
    note_lane(ref, lane);
    return TH_OK;
}

static enum th_code lane_health_changed(struct reference *ref,
                                        const struct lane_health_changed *event)
{
    void *entry;
    bool is_new;

    TH_TRY(room_for_one(&ref->health, &ref->health_by_lane, sizeof(struct health_entry),
                        find_health(ref, event->lane), &entry, &is_new));
    struct health_entry *health = entry;
    *health = (struct health_entry){
        .lane = event->lane, .circuit = event->circuit, .permille = event->health_permille};
    if (is_new)
        add(&ref->health, &ref->health_by_lane, hash_bytes(&event->lane, sizeof event->lane),
            health);

    struct lane_entry *lane = find_lane(ref, event->lane);
    if (lane) {
        take_health(ref, lane);
        note_lane(ref, lane);
    }
    return TH_OK;
}

/* --- campaigns ------------------------------------------------------------------------------- */

static enum th_code campaign_entry(struct reference *ref, struct th_id id, struct th_str tenant,
                                   struct campaign_entry **out_campaign)
{
    void *entry;
    bool is_new;

    TH_TRY(intern(ref, tenant, &tenant));
    TH_TRY(room_for_one(&ref->campaigns, &ref->campaigns_by_id, sizeof(struct campaign_entry),
                        find_campaign(ref, id), &entry, &is_new));
    struct campaign_entry *campaign = entry;
    if (is_new) {
        campaign->pub.campaign = id;
        campaign->pub.tenant = tenant;
        add(&ref->campaigns, &ref->campaigns_by_id, th_id_hash(id), campaign);
    }
    *out_campaign = campaign;
    return TH_OK;
}

static void note_campaign(struct reference *ref, const struct campaign_entry *campaign)
{
    note_change(ref, (struct reference_change){.kind = REFERENCE_CAMPAIGN,
                                               .tenant = campaign->pub.tenant,
                                               .campaign = campaign->pub.campaign});
}

/* A run is defined once; what an earlier one was asked to do is of no interest any more. */
static bool is_newer_run(const struct ref_campaign *campaign, int32_t run)
{
    return run > campaign->run;
}

static enum th_code campaign_defined(struct reference *ref, const struct event *event)
{
    const struct campaign_defined *defined = &event->as.campaign_defined;
    const struct campaign_entry *known = find_campaign(ref, defined->campaign);
    struct campaign_entry *campaign;
    struct event copy;
    struct th_arena arena;

    if (known && !is_newer_run(&known->pub, defined->run))
        return TH_OK;
    TH_TRY(copy_event(event, &arena, &copy));
    enum th_code code = campaign_entry(ref, defined->campaign, defined->meta.tenant, &campaign);
    if (code != TH_OK) {
        th_arena_fini(&arena);
        return code;
    }
    replace_arena(&campaign->arena, arena);
    campaign->pub.is_defined = true;
    campaign->pub.run = copy.as.campaign_defined.run;
    campaign->pub.spec = copy.as.campaign_defined.spec;
    note_campaign(ref, campaign);
    return TH_OK;
}

static enum th_code campaign_controlled(struct reference *ref,
                                        const struct campaign_controlled *event)
{
    struct campaign_entry *campaign;

    if (event->version < 1)
        return TH_OK;
    TH_TRY(campaign_entry(ref, event->campaign, event->meta.tenant, &campaign));
    if (event->version <= campaign->pub.version)
        return TH_OK;
    campaign->pub.version = event->version;
    campaign->pub.state = event->state;
    if (event->state == CONTROL_STATE_ENDED) {
        campaign->pub.is_defined = false;
        campaign->pub.spec = (struct campaign_spec){0};
        th_arena_fini(&campaign->arena);
    }
    note_campaign(ref, campaign);
    return TH_OK;
}

/* --- folding ------------------------------------------------------------------------------------
 */

static enum th_code apply_config(struct reference *ref, const struct event *event)
{
    if (event->type == EVENT_TENANT_CREATED)
        return tenant_created(ref, event);
    if (event->type == EVENT_KEY_ISSUED)
        return key_issued(ref, &event->as.key_issued);
    if (event->type == EVENT_TENANT_STOP_SET)
        return tenant_stop_set(ref, &event->as.tenant_stop_set);
    if (event->type == EVENT_ACCOUNT_CONFIGURED)
        return account_configured(ref, event);
    if (event->type == EVENT_ACCOUNT_ENABLED)
        return account_enabled(ref, &event->as.account_enabled);
    return TH_OK;
}

static enum th_code apply_consent(struct reference *ref, const struct event *event)
{
    if (event->type == EVENT_OPTED_OUT)
        return hash_set_add(&ref->opted_out, (uint64_t)event->as.opted_out.contact);
    if (event->type == EVENT_OPTED_IN)
        hash_set_remove(&ref->opted_out, (uint64_t)event->as.opted_in.contact);
    return TH_OK;
}

static enum th_code apply_control(struct reference *ref, const struct event *event)
{
    if (event->type == EVENT_CAMPAIGN_DEFINED)
        return campaign_defined(ref, event);
    if (event->type == EVENT_CAMPAIGN_CONTROLLED)
        return campaign_controlled(ref, &event->as.campaign_controlled);
    return TH_OK;
}

static enum th_code apply_health(struct reference *ref, const struct event *event)
{
    return event->type == EVENT_LANE_HEALTH_CHANGED
               ? lane_health_changed(ref, &event->as.lane_health_changed)
               : TH_OK;
}

static const struct {
    enum topic topic;
    enum th_code (*apply)(struct reference *ref, const struct event *event);
} folds[] = {
    {TOPIC_CONFIG, apply_config},
    {TOPIC_CONSENT_EVENTS, apply_consent},
    {TOPIC_CAMPAIGN_CONTROL, apply_control},
    {TOPIC_LANE_HEALTH, apply_health},
};

static int64_t *version_of(struct reference_versions *versions, enum topic topic)
{
    if (topic == TOPIC_CONFIG)
        return &versions->config;
    if (topic == TOPIC_CONSENT_EVENTS)
        return &versions->consent;
    if (topic == TOPIC_CAMPAIGN_CONTROL)
        return &versions->control;
    assert(topic == TOPIC_LANE_HEALTH);
    return &versions->health;
}

enum th_code reference_apply(struct reference *ref, enum topic topic, const struct event *event)
{
    for (size_t i = 0; i < TH_LEN(folds); i++)
        if (folds[i].topic == topic)
            TH_TRY(folds[i].apply(ref, event));
    reference_skip(ref, topic);
    return TH_OK;
}

void reference_skip(struct reference *ref, enum topic topic)
{
    ++*version_of(&ref->versions, topic);
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
    ref->changes = calloc(CHANGES_MAX, sizeof *ref->changes);
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

const struct ref_tenant *reference_tenant(const struct reference *ref, struct th_str slug)
{
    const struct tenant_entry *entry = find_tenant(ref, slug);

    return entry ? &entry->pub : NULL;
}

const struct ref_lane *reference_lane(const struct reference *ref, int32_t lane)
{
    const struct lane_entry *entry = find_lane(ref, lane);

    return entry ? &entry->pub : NULL;
}

const struct ref_lane *reference_lane_by_name(const struct reference *ref, struct th_str tenant,
                                              struct th_str name)
{
    const struct lane_entry *entry = find_lane_by_name(ref, tenant, name);

    return entry ? &entry->pub : NULL;
}

const struct ref_campaign *reference_campaign(const struct reference *ref, struct th_id campaign)
{
    const struct campaign_entry *entry = find_campaign(ref, campaign);

    return entry ? &entry->pub : NULL;
}

const struct ref_key *reference_key(const struct reference *ref, const struct sha256 *sha256)
{
    const struct key_entry *entry = find_key(ref, sha256);

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
    if (*at > ref->changes_end || ref->changes_end - *at > CHANGES_MAX)
        return false;
    while (*at < ref->changes_end && *out_n < max)
        out[(*out_n)++] = ref->changes[(*at)++ % CHANGES_MAX];
    return true;
}
