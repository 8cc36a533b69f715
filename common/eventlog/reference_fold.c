#include "common/eventlog/reference_private.h"

#include "common/hash.h"

#include <assert.h>
#include <string.h>

#define ENTITY_BYTES_MAX ((size_t)4 * 1024 * 1024) /* more than any record can hold, decoded */
#define HEALTH_AT_FIRST  1000                      /* permille */
#define INTERNED_SEED    1

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
    ref->changes[ref->changes_end++ % REFERENCE_CHANGES_MAX] = change;
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
                     reference_find_tenant(ref, slug), &found, &is_new);
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
    struct tenant_entry *tenant = reference_find_tenant(ref, event->meta.tenant);

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

    if (reference_find_key(ref, &event->sha256))
        return TH_OK;
    TH_TRY(intern(ref, event->meta.tenant, &tenant));
    TH_TRY(intern(ref, event->key_id, &key_id));
    TH_TRY(room_for_one(&ref->keys, &ref->keys_by_sha256, sizeof(struct key_entry), NULL, &entry,
                        &is_new));

    struct key_entry *key = entry;
    key->pub = (struct ref_key){.tenant = tenant, .key_id = key_id};
    key->sha256 = event->sha256;
    add(&ref->keys, &ref->keys_by_sha256, reference_hash(key->sha256.b, sizeof key->sha256.b), key);
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
    const struct health_entry *health = reference_find_health(ref, lane->pub.lane);

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
    name_index_add(&ref->lanes_by_name, reference_hash_lane_name(tenant, name), ref->lanes.n);
    add(&ref->lanes, &ref->lanes_by_number, reference_hash(&number, sizeof number), lane);
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
    struct lane_entry *lane = reference_find_lane_by_name(ref, account->meta.tenant, account->name);
    struct th_str tenant;
    struct event copy;
    struct th_arena arena;

    if (account->lane < 1 || (!lane && reference_find_lane(ref, account->lane)))
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
    struct lane_entry *lane = reference_find_lane_by_name(ref, event->meta.tenant, event->name);

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
                        reference_find_health(ref, event->lane), &entry, &is_new));
    struct health_entry *health = entry;
    *health = (struct health_entry){
        .lane = event->lane, .circuit = event->circuit, .permille = event->health_permille};
    if (is_new)
        add(&ref->health, &ref->health_by_lane, reference_hash(&event->lane, sizeof event->lane),
            health);

    struct lane_entry *lane = reference_find_lane(ref, event->lane);
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
                        reference_find_campaign(ref, id), &entry, &is_new));
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
    const struct campaign_entry *known = reference_find_campaign(ref, defined->campaign);
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
    ++*version_of(&ref->read_to, topic);
}

void reference_note_read_to(struct reference *ref, enum topic topic, int64_t next_offset)
{
    int64_t *read_to = version_of(&ref->read_to, topic);

    if (*read_to < next_offset)
        *read_to = next_offset;
}
