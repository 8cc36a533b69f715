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

static struct th_id *list_of(struct group *group, enum send_stand stand)
{
    switch (stand) {
    case SEND_RELEASED:
    case SEND_ASKED:
    case SEND_WAITING:
        return &group->idle_first;
    case SEND_PARKED:
        return &group->parked_first;
    case SEND_PLANNED:
    case SEND_ACCEPTED:
    case SEND_UNKNOWN:
        return NULL;
    }
    return NULL;
}

static enum th_code link_send(struct retry *retry, struct send *s)
{
    void *entry;

    TH_TRY(table_edit(retry->groups, s->group, &entry));
    struct th_id *first = list_of(entry, (enum send_stand)s->stand);
    s->prev = s->next = (struct th_id){0};
    if (!first)
        return TH_OK;
    if (!th_id_is_zero(*first)) {
        void *neighbour;
        TH_TRY(table_edit(retry->sends, *first, &neighbour));
        ((struct send *)neighbour)->prev = s->id;
        s->next = *first;
    }
    *first = s->id;
    return TH_OK;
}

static enum th_code unlink_send(struct retry *retry, struct send *s)
{
    void *entry;

    TH_TRY(table_edit(retry->groups, s->group, &entry));
    struct th_id *first = list_of(entry, (enum send_stand)s->stand);
    if (!first)
        return TH_OK;
    if (th_id_is_zero(s->prev)) {
        *first = s->next;
    } else {
        TH_TRY(table_edit(retry->sends, s->prev, &entry));
        ((struct send *)entry)->next = s->next;
    }
    if (!th_id_is_zero(s->next)) {
        TH_TRY(table_edit(retry->sends, s->next, &entry));
        ((struct send *)entry)->prev = s->prev;
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
    s->stand = (uint8_t)stand;
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
    return table_blob(retry->sends, th_buf_str(&body), &s->content);
}

static enum th_code admitted(struct retry *retry, const struct send_admitted *ev)
{
    bool is_campaign = ev->origin.is == CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN;
    struct group *group;
    void *entry;

    if (table_get(retry->sends, ev->send))
        return TH_OK;
    TH_TRY(table_insert(retry->sends, ev->send, &entry));
    struct send *s = entry;
    s->stand = SEND_RELEASED;
    s->channel = (uint8_t)ev->channel;
    s->release = ev->release;
    s->send_at_us = ev->send_at_us;
    s->send_by_us = ev->send_by_us;
    s->expires_at_us = ev->expires_at_us;
    if (is_campaign) {
        s->group = ev->origin.as.campaign_origin.campaign;
        s->audience = ev->origin.as.campaign_origin.recipient.audience;
        s->part = ev->origin.as.campaign_origin.recipient.part;
        s->row = ev->origin.as.campaign_origin.recipient.row;
    } else {
        s->group = api_group(ev->meta.tenant);
        TH_TRY(keep_content(retry, s, &ev->origin.as.send_content));
    }
    TH_TRY(group_need(retry, s->group, ev->meta.tenant, is_campaign, &group));
    group->live++;
    TH_TRY(link_send(retry, s));
    return set_due(retry, s, s->send_at_us);
}

static void remember_lane(struct send *s, int32_t lane)
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
    remember_lane(s, ev->lane);
    s->n = ev->n;
    s->lane_next = 0;
    s->is_taken = false;
    s->lane_tries++;
    s->tries++;
    s->is_possible_duplicate = s->is_possible_duplicate || ev->possible_duplicate;
    TH_TRY(move(retry, s, SEND_PLANNED, INT64_MAX));
    return count_plan(retry, s, 1);
}

static enum th_code scheduled(struct retry *retry, struct send *s, const struct retry_scheduled *ev)
{
    s->lane_next = ev->next_lane;
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
    struct th_id group = s->group;

    if (s->stand == SEND_PLANNED)
        TH_TRY(count_plan(retry, s, -1));
    TH_TRY(unlink_send(retry, s));
    TH_TRY(table_drop(retry->sends, s->content));
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
        return move(retry, s, SEND_PARKED, INT64_MAX);
    case SEND_STANDING_WAITING:
        uncount(s);
        return move(retry, s, SEND_WAITING, due);
    case SEND_STANDING_RELEASED:
        s->release = ev->release;
        s->send_at_us = ev->send_at_us;
        s->send_by_us = ev->send_by_us;
        uncount(s);
        return move(retry, s, SEND_RELEASED, ev->send_at_us);
    case SEND_STANDING_UNKNOWN:
        s->is_taken = th_str_eq(ev->reason, TAKEN_REASON);
        return move(retry, s, SEND_UNKNOWN, INT64_MAX);
    case SEND_STANDING_ACCEPTED:
        return ev->due_at_us ? move(retry, s, SEND_ACCEPTED, due) : gone(retry, s);
    }
    return TH_OK;
}

/* A send that a snapshot brought back takes its place again. */
enum th_code retry_restore(struct retry *retry, const struct send *saved, struct th_str tenant,
                           struct th_str content)
{
    struct group *group;
    void *entry;

    TH_TRY(table_insert(retry->sends, saved->id, &entry));
    struct send *s = entry;
    *s = *saved;
    if (content.n > 0)
        TH_TRY(table_blob(retry->sends, content, &s->content));
    TH_TRY(group_need(retry, s->group, tenant, content.n == 0, &group));
    group->live++;
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
    default:
        return gone(retry, entry);
    }
}
