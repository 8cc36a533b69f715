#include "processors/retry/state.h"

#include "common/hash.h"

#include <string.h>

/* --- names of what is not a send ----------------------------------------------------------------
 */

static struct th_id named(uint64_t kind, uint64_t number)
{
    struct th_id id;

    memcpy(id.b, &kind, sizeof kind);
    memcpy(id.b + sizeof kind, &number, sizeof number);
    return id;
}

struct th_id lane_id(int32_t lane)
{
    return named(1, (uint64_t)lane);
}

struct th_id partition_id(int32_t lane, int partitions)
{
    return named(2, (uint64_t)(lane % partitions));
}

struct th_id mute_id(int64_t contact)
{
    return named(0, (uint64_t)contact);
}

struct th_id api_group(struct th_str tenant)
{
    return named(3 + (th_hash64(tenant, 1) << 2), th_hash64(tenant, 2));
}

/* --- lists: each live send is on at most one of its group's
 * ---------------------------------------- */

static uint32_t *list_of(struct group *group, enum send_stand stand)
{
    switch (stand) {
    case SEND_RELEASED:
    case SEND_ASKED:
    case SEND_WAITING:
        return &group->idle_first;
    case SEND_PARKED:
        return &group->parked_first;
    case SEND_LANELESS:
        return &group->laneless_first;
    case SEND_PLANNED:
    case SEND_ACCEPTED:
    case SEND_UNKNOWN:
        return NULL;
    }
    return NULL;
}

static enum th_code edit_group(struct retry *retry, const struct send *s, struct group **out)
{
    void *entry;

    TH_TRY(table_edit(retry->groups, retry_group(retry, s)->id, &entry));
    *out = entry;
    return TH_OK;
}

/* link: 1 + place. */
static enum th_code edit_linked(struct retry *retry, uint32_t link, struct send **out)
{
    const struct send *s = table_at(retry->sends, link - 1);
    void *entry;

    TH_TRY(table_edit(retry->sends, s->id, &entry));
    *out = entry;
    return TH_OK;
}

static enum th_code link_send(struct retry *retry, struct send *s)
{
    struct group *group;
    struct send *neighbour;
    uint32_t place = 0;

    TH_TRY(edit_group(retry, s, &group));
    uint32_t *first = list_of(group, (enum send_stand)s->stand);
    s->prev = s->next = 0;
    if (!first || !table_place(retry->sends, s->id, &place))
        return TH_OK;
    if (*first) {
        TH_TRY(edit_linked(retry, *first, &neighbour));
        neighbour->prev = place + 1;
        s->next = *first;
    }
    *first = place + 1;
    return TH_OK;
}

static enum th_code unlink_send(struct retry *retry, struct send *s)
{
    struct group *group;
    struct send *neighbour;

    TH_TRY(edit_group(retry, s, &group));
    uint32_t *first = list_of(group, (enum send_stand)s->stand);
    if (!first)
        return TH_OK;
    if (s->prev) {
        TH_TRY(edit_linked(retry, s->prev, &neighbour));
        neighbour->next = s->next;
    } else {
        *first = s->next;
    }
    if (s->next) {
        TH_TRY(edit_linked(retry, s->next, &neighbour));
        neighbour->prev = s->prev;
    }
    return TH_OK;
}

static enum th_code load_add(struct retry *retry, struct th_id id, int64_t n)
{
    void *entry;

    if (!table_get(retry->loads, id))
        TH_TRY(table_insert(retry->loads, id, &entry));
    TH_TRY(table_edit(retry->loads, id, &entry));
    ((struct lane_load *)entry)->planned += n;
    return TH_OK;
}

static enum th_code count_plan(struct retry *retry, const struct send *s, int64_t n)
{
    TH_TRY(load_add(retry, lane_id(s->lane), n));
    return load_add(retry, partition_id(s->lane, retry->env.partitions), n);
}

static enum th_code set_due(struct retry *retry, struct send *s, int64_t due_us)
{
    s->due_at_us = due_us;
    return due_us == INT64_MAX ? TH_OK : timers_add(&retry->timers, due_us, s->id);
}

/* The one place where a send changes its stand. */
static enum th_code move(struct retry *retry, struct send *s, enum send_stand stand, int64_t due_us)
{
    if (s->stand == SEND_PLANNED && stand != SEND_PLANNED)
        TH_TRY(count_plan(retry, s, -1));
    TH_TRY(unlink_send(retry, s));
    s->stand = (unsigned)stand & 7;
    TH_TRY(link_send(retry, s));
    return set_due(retry, s, due_us);
}

/* --- groups
 * ------------------------------------------------------------------------------------------ */

static enum th_code group_need(struct retry *retry, struct th_id id, struct th_str tenant,
                               bool is_campaign, struct group **out)
{
    void *entry;

    if (!table_get(retry->groups, id)) {
        struct group *group;
        TH_TRY(table_insert(retry->groups, id, &entry));
        group = entry;
        group->is_campaign = is_campaign;
        TH_TRY(table_blob(retry->groups, tenant, &group->tenant));
        *out = group;
        return TH_OK;
    }
    TH_TRY(table_edit(retry->groups, id, &entry));
    *out = entry;
    return TH_OK;
}

/* A campaign that has ended is forgotten with its last send; so is one whose control has told us
 * nothing yet, or whose control is in a newer piece of a snapshot; and the API's group. */
bool retry_is_forgotten(const struct group *group)
{
    return group->live == 0 &&
           (!group->is_campaign || group->version == 0 || group->state == CONTROL_STATE_ENDED);
}

enum th_code retry_forget_group(struct retry *retry, struct th_id id)
{
    const struct group *group = table_get(retry->groups, id);

    if (!group || !retry_is_forgotten(group))
        return TH_OK;
    TH_TRY(table_drop(retry->groups, group->tenant));
    return table_remove(retry->groups, id);
}

static enum th_code group_count(struct retry *retry, struct th_id id, int64_t n)
{
    void *entry;

    TH_TRY(table_edit(retry->groups, id, &entry));
    ((struct group *)entry)->live += n;
    return retry_forget_group(retry, id);
}

static enum th_code control_applied(struct retry *retry, const struct control_applied *ev)
{
    struct group *group;

    TH_TRY(group_need(retry, ev->campaign, ev->meta.tenant, true, &group));
    group->version = ev->version;
    group->state = (uint8_t)ev->state;
    return retry_forget_group(retry, ev->campaign);
}

/* --- sends
 * ---------------------------------------------------------------------------------------------- */

static enum th_code keep_content(struct retry *retry, struct send *s,
                                 const struct send_content *content)
{
    TH_AUTO(th_buf) struct th_buf body = {0};

    TH_TRY(send_content_encode_body(content, &body));
    return table_blob(retry->sends, th_buf_str(&body), &s->from.content);
}

/* Rounded down: who waits for it is rather early than late. */
static uint32_t seconds_of(int64_t us)
{
    int64_t s = us / INT64_C(1000000);

    return s <= 0 ? us > 0 : s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

/* A release that is later than its limit, by whatever clock, has no time at all. */
static void released(struct send *s, int64_t release, int64_t send_at_us, int64_t send_by_us)
{
    int64_t wait = send_by_us - send_at_us;

    s->release_entry = (uint8_t)((uint64_t)release % ROUTE_ENTRIES);
    s->send_by_wait = 0;
    if (send_by_us != 0)
        s->send_by_wait = wait < 1 ? 1 : wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX;
}

static enum th_code join_group(struct retry *retry, struct send *s, struct th_id id,
                               struct th_id audience, struct th_str tenant)
{
    struct group *group;

    TH_TRY(group_need(retry, id, tenant, !s->is_api, &group));
    if (th_id_is_zero(group->audience))
        group->audience = audience;
    if (!th_id_eq(group->audience, audience))
        return TH_CORRUPT; /* what decide lets in is of one */
    group->live++;
    return table_place(retry->groups, id, &s->group) ? TH_OK : TH_CORRUPT;
}

static enum th_code admitted(struct retry *retry, const struct send_admitted *ev)
{
    bool is_campaign = ev->origin.is == CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN;
    void *entry;

    if (table_get(retry->sends, ev->send))
        return TH_OK;
    TH_TRY(table_insert(retry->sends, ev->send, &entry));
    struct send *s = entry;
    s->stand = SEND_RELEASED;
    s->channel = (unsigned)ev->channel & 3;
    s->is_api = !is_campaign;
    s->expires_at_s = seconds_of(ev->expires_at_us);
    if (is_campaign) {
        const struct campaign_origin *origin = &ev->origin.as.campaign_origin;
        s->from.recipient.part = origin->recipient.part;
        s->from.recipient.row = origin->recipient.row;
        TH_TRY(join_group(retry, s, origin->campaign, origin->recipient.audience, ev->meta.tenant));
    } else {
        TH_TRY(keep_content(retry, s, &ev->origin.as.send_content));
        TH_TRY(
            join_group(retry, s, api_group(ev->meta.tenant), (struct th_id){0}, ev->meta.tenant));
    }
    released(s, ev->release, ev->send_at_us, ev->send_by_us);
    TH_TRY(link_send(retry, s));
    return set_due(retry, s, ev->send_at_us);
}

static void remember_lane(struct send *s, uint16_t lane)
{
    if (s->lane != lane)
        s->lane_tries = 0;
    s->lane = lane;
    for (size_t i = 0; i < SEND_LANES_MAX; i++) {
        if (s->lanes_tried[i] == lane)
            return;
        if (s->lanes_tried[i] == 0) {
            s->lanes_tried[i] = lane;
            return;
        }
    }
}

static enum th_code planned(struct retry *retry, struct send *s, const struct send_planned *ev)
{
    remember_lane(s, (uint16_t)ev->lane);
    s->n = ev->n;
    s->lane_next = 0;
    s->is_taken = false;
    s->lane_tries++;
    s->tries++;
    s->is_possible_duplicate |= ev->possible_duplicate;
    s->reached_n = 0;
    TH_TRY(move(retry, s, SEND_PLANNED, INT64_MAX));
    return count_plan(retry, s, 1);
}

static enum th_code scheduled(struct retry *retry, struct send *s, const struct retry_scheduled *ev)
{
    s->lane_next = (uint16_t)ev->next_lane;
    if (th_str_eq(ev->reason, DOUBT_REASON))
        s->is_possible_duplicate = true;
    return move(retry, s, SEND_WAITING, ev->due_at_us);
}

/* An attempt that came back without having left does not count. */
static void uncount(struct send *s)
{
    if (s->stand != SEND_PLANNED && s->stand != SEND_UNKNOWN)
        return;
    s->tries--;
    s->lane_tries--;
}

static enum th_code gone(struct retry *retry, struct send *s)
{
    struct th_id id = s->id;
    struct th_id group = retry_group(retry, s)->id;

    if (s->stand == SEND_PLANNED)
        TH_TRY(count_plan(retry, s, -1));
    TH_TRY(unlink_send(retry, s));
    TH_TRY(table_drop(retry->sends, s->is_api ? s->from.content : NULL));
    TH_TRY(table_remove(retry->sends, id));
    return group_count(retry, group, -1);
}

static enum th_code noted(struct retry *retry, struct send *s, const struct send_noted *ev)
{
    int64_t due = ev->due_at_us ? ev->due_at_us : INT64_MAX;

    switch (ev->standing) {
    case SEND_STANDING_ASKED:
        uncount(s);
        return move(retry, s, SEND_ASKED, INT64_MAX);
    case SEND_STANDING_PARKED:
        uncount(s);
        if (th_str_eq(ev->reason, LANELESS_REASON))
            return move(retry, s, SEND_LANELESS, due);
        return move(retry, s, SEND_PARKED, INT64_MAX);
    case SEND_STANDING_WAITING:
        uncount(s);
        return move(retry, s, SEND_WAITING, due);
    case SEND_STANDING_RELEASED:
        released(s, ev->release, ev->send_at_us, ev->send_by_us);
        uncount(s);
        return move(retry, s, SEND_RELEASED, ev->send_at_us);
    case SEND_STANDING_UNKNOWN:
        if (s->stand != SEND_UNKNOWN) /* else it is about a repeat */
            s->is_taken = th_str_eq(ev->reason, TAKEN_REASON);
        return move(retry, s, SEND_UNKNOWN, INT64_MAX);
    case SEND_STANDING_ACCEPTED:
        return ev->due_at_us ? move(retry, s, SEND_ACCEPTED, due) : gone(retry, s);
    }
    return TH_OK;
}

static void reached(struct send *s, const struct send_reached *ev)
{
    if (is_in_the_air(s))
        s->reached_n = ev->n;
}

/* A send that a snapshot brought back takes its place again. */
enum th_code retry_restore(struct retry *retry, const struct saved_send *saved,
                           struct th_str tenant, struct th_str content)
{
    void *entry;

    TH_TRY(table_insert(retry->sends, saved->send.id, &entry));
    struct send *s = entry;
    *s = saved->send;
    if (s->is_api)
        TH_TRY(table_blob(retry->sends, content, &s->from.content));
    TH_TRY(join_group(retry, s, saved->group, saved->audience, tenant));
    TH_TRY(link_send(retry, s));
    if (s->stand == SEND_PLANNED)
        TH_TRY(count_plan(retry, s, 1));
    return set_due(retry, s, s->due_at_us);
}

/* Of a group a snapshot keeps what was applied; the rest follows from its sends. */
enum th_code retry_restore_group(struct retry *retry, const struct group *saved,
                                 struct th_str tenant)
{
    struct group *group;

    TH_TRY(group_need(retry, saved->id, tenant, saved->is_campaign, &group));
    group->state = saved->state;
    group->version = saved->version;
    return TH_OK;
}

enum th_code retry_evolve(void *core, const struct event *event)
{
    struct retry *retry = core;
    struct th_id id;
    void *entry;

    switch ((int)event->type) { /* most events are none of ours */
    case EVENT_SEND_ADMITTED:
        return admitted(retry, &event->as.send_admitted);
    case EVENT_CONTROL_APPLIED:
        return control_applied(retry, &event->as.control_applied);
    case EVENT_SEND_PLANNED:
        id = event->as.send_planned.send;
        break;
    case EVENT_RETRY_SCHEDULED:
        id = event->as.retry_scheduled.send;
        break;
    case EVENT_SEND_NOTED:
        id = event->as.send_noted.send;
        break;
    case EVENT_SEND_SUPPRESSED:
        id = event->as.send_suppressed.send;
        break;
    case EVENT_SEND_REACHED:
        id = event->as.send_reached.send;
        break;
    case EVENT_SEND_ENDED:
        id = event->as.send_ended.send;
        break;
    default:
        return TH_OK;
    }
    if (!table_get(retry->sends, id))
        return TH_OK;
    TH_TRY(table_edit(retry->sends, id, &entry));
    switch ((int)event->type) {
    case EVENT_SEND_PLANNED:
        return planned(retry, entry, &event->as.send_planned);
    case EVENT_RETRY_SCHEDULED:
        return scheduled(retry, entry, &event->as.retry_scheduled);
    case EVENT_SEND_NOTED:
        return noted(retry, entry, &event->as.send_noted);
    case EVENT_SEND_REACHED:
        reached(entry, &event->as.send_reached);
        return TH_OK;
    default:
        return gone(retry, entry);
    }
}
