#include "common/content.h"
#include "processors/retry/turn.h"

#include <string.h>

#define MINUTE_US INT64_C(60000000)
#define DAY_MIN   1440

/* India's rule for promotional and explicit service messages (TCCCPR 2018, Second Amendment of
 * 2025): 10:00 to 21:00 local time. */
#define HOURS_FROM_MIN 600
#define HOURS_TO_MIN   1260

/* What holds for a send, wherever it came from. */
struct terms {
    struct th_str tenant;
    const struct string_array *accounts;
    enum category category;
    enum send_policy policy;
    int32_t window_from_min;
    int32_t window_to_min;
    int32_t attempts_max;
    const struct ref_campaign *campaign; /* NULL: from the API */
    struct send_content content;         /* from the API */
};

/* False: the campaign is not known here yet. */
static enum th_code find_terms(struct turn *turn, const struct send *s, struct terms *out,
                               bool *out_is_known)
{
    struct th_err err = {0};

    memset(out, 0, sizeof *out);
    out->tenant = blob_str(group_of(turn, s)->tenant);
    *out_is_known = true;
    if (s->is_api) {
        TH_TRY(send_content_decode_body(blob_str(s->from.content), 1, core_arena(turn->out),
                                        &out->content, &err));
        out->accounts = &out->content.accounts;
        out->category = out->content.category;
        out->policy = out->content.policy;
        out->window_to_min = DAY_MIN;
        out->attempts_max = out->content.attempts_max;
        return TH_OK;
    }
    const struct ref_campaign *rc =
        reference_campaign(turn->retry->env.reference, group_of(turn, s)->id);
    *out_is_known = rc && rc->is_defined && group_of(turn, s)->version > 0;
    if (!*out_is_known)
        return TH_OK;
    out->campaign = rc;
    out->accounts = &rc->spec.accounts;
    out->category = rc->spec.category;
    out->policy = rc->spec.policy;
    out->window_from_min = rc->spec.window_from_min;
    out->window_to_min = rc->spec.window_to_min;
    out->attempts_max = rc->spec.attempts_max;
    return TH_OK;
}

enum th_code plan_attempts_max(struct turn *turn, const struct send *s, int32_t *out)
{
    struct terms terms;
    bool is_known;

    TH_TRY(find_terms(turn, s, &terms, &is_known));
    *out = is_known ? terms.attempts_max : INT32_MAX;
    return TH_OK;
}

/* --- hours
 * ------------------------------------------------------------------------------------------------
 */

/* When the window is next open; now if it is. */
static int64_t window_opens_us(const struct turn *turn, const struct terms *terms)
{
    const struct retry_config *config = &turn->retry->config;
    const struct ref_tenant *tenant = reference_tenant(turn->retry->env.reference, terms->tenant);
    int64_t now = turn->in->now_us;
    int32_t from = terms->window_from_min;
    int32_t to = terms->window_to_min;

    if (terms->category == CATEGORY_PROMOTIONAL || terms->category == CATEGORY_SERVICE_EXPLICIT) {
        from = from > HOURS_FROM_MIN ? from : HOURS_FROM_MIN;
        to = to < HOURS_TO_MIN ? to : HOURS_TO_MIN;
    }
    if (from <= 0 && to >= DAY_MIN)
        return now;
    int64_t offset_us =
        tenant && config->zone_offset_s
            ? INT64_C(1000000) * config->zone_offset_s(config->zones, tenant->zone, now)
            : 0;
    int64_t local = now + offset_us;
    int64_t minute = local / MINUTE_US % DAY_MIN;
    if (minute >= from && minute < to)
        return now;
    int64_t wait_min = (from - minute + DAY_MIN) % DAY_MIN;
    return now - local % MINUTE_US + (wait_min ? wait_min : DAY_MIN) * MINUTE_US;
}

/* --- lanes
 * ------------------------------------------------------------------------------------------------
 */

static const struct route_table *table_of(struct turn *turn, const struct send *s,
                                          const struct terms *terms)
{
    /* API sends differ in their accounts, so their table is theirs. */
    struct th_id group = s->is_api && terms->accounts->n ? s->id : group_of(turn, s)->id;

    return routes_of(turn->retry->routes, turn->retry->env.reference, group, terms->tenant,
                     terms->accounts);
}

static size_t tried_n(const struct send *s)
{
    size_t n = 0;

    while (n < SEND_LANES_MAX && s->lanes_tried[n])
        n++;
    return n;
}

enum th_code plan_other_lane(struct turn *turn, const struct send *s, int32_t *out)
{
    struct terms terms;
    bool is_known;

    *out = 0;
    TH_TRY(find_terms(turn, s, &terms, &is_known));
    if (is_known)
        *out = route_other(table_of(turn, s, &terms), s->lanes_tried, tried_n(s));
    return TH_OK;
}

enum th_code plan_has_lane(struct turn *turn, const struct send *s, bool *out)
{
    struct terms terms;
    bool is_known;

    TH_TRY(find_terms(turn, s, &terms, &is_known));
    *out = is_known && route_first(table_of(turn, s, &terms), 0) != 0;
    return TH_OK;
}

struct choice {
    int32_t lane; /* 0: none is open */
    int32_t table_entry;
};

static struct choice choose(struct turn *turn, const struct send *s, const struct terms *terms)
{
    const struct route_table *table = table_of(turn, s, terms);
    int64_t k = s->is_api ? (int64_t)(th_id_hash(s->id) >> 1) : s->release_entry;
    struct choice by_table = {route_first(table, k), (int32_t)((uint64_t)k % ROUTE_ENTRIES)};

    if (s->lane_next && route_is_open(table, s->lane_next))
        return (struct choice){s->lane_next, -1};
    if (!s->lane_next && s->tries == 0 && s->n == 0)
        return by_table;
    int32_t other = route_other(table, s->lanes_tried, tried_n(s));
    if (s->tries > 0 && other)
        return (struct choice){other, -1};
    return by_table;
}

static int64_t planned_at(const struct turn *turn, struct th_id id)
{
    const struct lane_load *load = table_get(turn->retry->loads, id);

    return load ? load->planned : 0;
}

/* A slot's share of what may be out unsettled on a lane and on its partition. */
static bool has_room(const struct turn *turn, const struct ref_lane *lane)
{
    const struct retry_config *config = &turn->retry->config;
    int64_t slots = turn->retry->env.slots;
    int64_t lane_max = config->lane_plans_free;

    if (lane->account.rate_per_s > 0) {
        lane_max = 2 * (int64_t)lane->account.rate_per_s;
        lane_max = lane_max > config->lane_plans_min ? lane_max : config->lane_plans_min;
    }
    return planned_at(turn, lane_id(lane->lane)) < (lane_max + slots - 1) / slots &&
           planned_at(turn, partition_id(lane->lane, turn->retry->env.partitions)) <
               config->part_plans_max / slots;
}

static enum th_code queue_up(struct turn *turn, struct th_id id)
{
    struct retry *retry = turn->retry;

    if (retry->queued_n == retry->queued_cap) {
        size_t wider = retry->queued_cap ? 2 * retry->queued_cap : 256;
        struct th_id *p = malloc(wider * sizeof *p);
        if (!p)
            return TH_NOMEM;
        for (size_t i = 0; i < retry->queued_n; i++)
            p[i] = retry->queued[(retry->queued_first + i) % retry->queued_cap];
        free(retry->queued);
        retry->queued = p;
        retry->queued_cap = wider;
        retry->queued_first = 0;
    }
    retry->queued[(retry->queued_first + retry->queued_n++) % retry->queued_cap] = id;
    /* The queue is a hint that a batch taken back may lose; the timer is not. */
    return timers_add(&retry->timers, turn->in->now_us + retry->config.room_wait_us, id);
}

/* --- content
 * ------------------------------------------------------------------------------------------------
 */

struct content {
    struct th_str to;
    struct th_str text;
    struct th_str lang;
};

static enum th_code ask_recipient(struct turn *turn, const struct send *s,
                                  const struct terms *terms)
{
    struct effect effect = {
        .type = EFFECT_READ_RECIPIENT,
        .as.read_recipient = {.tenant = terms->tenant,
                              .send = s->id,
                              .recipient = {.audience = group_of(turn, s)->audience,
                                            .part = s->from.recipient.part,
                                            .row = s->from.recipient.row}},
    };
    return core_effect(turn->out, &effect);
}

/* --- the plan itself
 * -------------------------------------------------------------------------------------------- */

static enum th_code say_planned(struct turn *turn, const struct send *s, const struct terms *terms,
                                struct choice choice, struct th_str sender)
{
    const struct route_table *table = table_of(turn, s, terms);
    struct route_candidate *candidates =
        th_arena_array(core_arena(turn->out), ROUTE_LANES_MAX, sizeof *candidates);
    struct event event = {
        .type = EVENT_SEND_PLANNED,
        .as.send_planned = {.meta = core_meta(turn->out, terms->tenant),
                            .send = s->id,
                            .n = s->n + 1,
                            .lane = choice.lane,
                            .sender = sender,
                            .table_entry = choice.table_entry,
                            .send_by_us = send_by_us(s),
                            .decided_on = reference_versions(turn->retry->env.reference),
                            .possible_duplicate = s->is_possible_duplicate},
    };

    if (!candidates)
        return TH_NOMEM;
    if (choice.table_entry < 0) {
        event.as.send_planned.candidates.at = candidates;
        event.as.send_planned.candidates.n = table->lanes_n;
        for (size_t i = 0; i < table->lanes_n; i++) {
            const struct ref_lane *lane =
                reference_lane(turn->retry->env.reference, table->lanes[i].lane);
            candidates[i] = (struct route_candidate){
                .lane = table->lanes[i].lane,
                .account = lane ? lane->account.name : (struct th_str){NULL, 0},
                .entries = table->lanes[i].entries,
                .excluded = table->lanes[i].share == 0 ? TH_STR("closed") : TH_STR(""),
            };
        }
    }
    return turn_say(turn, s->id, terms->tenant, &event);
}

/* When a planned send may leave; once it is planned, it does not know any more. */
struct moment {
    int64_t send_at_us;
    int64_t send_by_us; /* 0: no limit */
};

static enum th_code emit_plan(struct turn *turn, const struct send *s, const struct terms *terms,
                              const struct ref_lane *lane, const struct content *content,
                              int64_t contact, struct th_str sender, struct moment moment)
{
    struct event event = {
        .type = EVENT_ATTEMPT_PLAN,
        .as.attempt_plan = {.meta = core_meta(turn->out, terms->tenant),
                            .send = s->id,
                            .n = s->n,
                            .campaign = {!s->is_api, group_of(turn, s)->id},
                            .lane = lane->lane,
                            .channel = (enum channel)s->channel,
                            .to = {.as.string = content->to},
                            .contact = contact,
                            .sender = sender,
                            .text = {.as.string = content->text},
                            .lang = content->lang,
                            .policy = terms->policy,
                            .send_at_us = moment.send_at_us,
                            .send_by_us = moment.send_by_us,
                            .expires_at_us = expires_at_us(s),
                            .decided_on = reference_versions(turn->retry->env.reference)},
    };
    struct th_str key = th_arena_printf(core_arena(turn->out), "%.*s/%.*s", TH_ARG(terms->tenant),
                                        TH_ARG(lane->account.name));

    if (!key.p)
        return TH_NOMEM;
    if (s->is_api)
        event.as.attempt_plan.campaign.value = (struct th_id){0};
    return core_emit(turn->out, TOPIC_DISPATCH_REQUESTS, lane->lane % turn->retry->env.partitions,
                     key, &event);
}

static enum th_code plan_with(struct turn *turn, struct th_id id, const struct terms *terms,
                              struct choice choice, const struct content *content)
{
    const struct ref_lane *lane = reference_lane(turn->retry->env.reference, choice.lane);
    int64_t contact = contact_hash(terms->tenant, content->to);

    if (reference_is_opted_out(turn->retry->env.reference, contact))
        return turn_suppress(turn, id, "opted_out");
    struct th_str sender = route_sender(&lane->account, contact);
    struct moment moment = {send_of(turn, id)->due_at_us, send_by_us(send_of(turn, id))};
    TH_TRY(say_planned(turn, send_of(turn, id), terms, choice, sender));
    return emit_plan(turn, send_of(turn, id), terms, lane, content, contact, sender, moment);
}

/* --- may it go
 * ---------------------------------------------------------------------------------------------------
 */

static bool is_plannable(const struct turn *turn, const struct send *s)
{
    if (!s || s->due_at_us > turn->in->now_us)
        return false;
    return s->stand == SEND_RELEASED || (s->stand == SEND_WAITING && s->is_api);
}

/* Everything but content and consent. *out_may_go: it passed, and its choice of lane has room. */
static enum th_code check(struct turn *turn, const struct send *s, struct terms *terms,
                          struct choice *choice, bool *out_may_go)
{
    const struct group *group = group_of(turn, s);
    int64_t now = turn->in->now_us;
    bool is_known;

    *out_may_go = false;
    if (group->is_campaign &&
        (group->state == CONTROL_STATE_CANCELLED || group->state == CONTROL_STATE_ENDED))
        return turn_end(turn, s->id, "cancelled");
    TH_TRY(find_terms(turn, s, terms, &is_known));
    if (!is_known)
        return timers_add(&turn->retry->timers, now + turn->retry->config.behind_wait_us, s->id);
    if (!control_is_running(turn, group))
        return turn_park(turn, s->id, group->state == CONTROL_STATE_PAUSED ? "paused" : "stopped");
    if (s->expires_at_s && now >= expires_at_us(s))
        return turn_end(turn, s->id, "expired");
    if (s->stand == SEND_RELEASED && s->send_by_wait && now >= send_by_us(s))
        return turn_ask(turn, s->id, "late");
    int64_t opens = window_opens_us(turn, terms);
    if (opens > now)
        return turn_wait(turn, s->id, opens, "window");
    *choice = choose(turn, s, terms);
    const struct ref_lane *lane = reference_lane(turn->retry->env.reference, choice->lane);
    if (!lane)
        return turn_park_laneless(turn, s->id);
    *out_may_go = has_room(turn, lane);
    return *out_may_go ? TH_OK : queue_up(turn, s->id);
}

enum th_code plan_send(struct turn *turn, struct th_id id)
{
    const struct send *s = send_of(turn, id);
    struct terms terms;
    struct choice choice;
    bool may_go;

    if (!is_plannable(turn, s))
        return TH_OK;
    TH_TRY(check(turn, s, &terms, &choice, &may_go));
    if (!may_go)
        return TH_OK;
    if (!s->is_api)
        return ask_recipient(turn, s, &terms);
    struct content content = {content_plain(&terms.content.to), content_plain(&terms.content.text),
                              terms.content.lang};
    return plan_with(turn, id, &terms, choice, &content);
}

enum th_code plan_recipient(struct turn *turn, const struct answer *answer)
{
    struct th_id id = answer->as.recipient_read.send;
    const struct send *s = send_of(turn, id);
    const struct audience_row *row = &answer->as.recipient_read.row;
    struct content content;
    struct terms terms;
    struct choice choice;
    struct th_err err = {0};
    bool may_go;

    if (!is_plannable(turn, s))
        return TH_OK;
    if (answer->as.recipient_read.code == TH_UNAVAILABLE)
        return timers_add(&turn->retry->timers,
                          turn->in->now_us + turn->retry->config.behind_wait_us, id);
    if (answer->as.recipient_read.code != TH_OK)
        return turn_end(turn, id, "recipient_unreadable");
    TH_TRY(check(turn, s, &terms, &choice, &may_go));
    if (!may_go)
        return TH_OK;
    content.to = content_plain(&row->phone);
    enum th_code code =
        content_render(&terms.campaign->spec.texts, &answer->as.recipient_read.columns, row,
                       core_arena(turn->out), &content.text, &content.lang, &err);
    if (code == TH_NOMEM)
        return code;
    return code == TH_OK ? plan_with(turn, id, &terms, choice, &content)
                         : turn_end(turn, id, "text_not_renderable");
}

#define QUEUED_TURN 4 /* sends that one thing settled lets try again */

enum th_code plan_queued(struct turn *turn)
{
    struct retry *retry = turn->retry;

    for (int i = 0; i < QUEUED_TURN && retry->queued_n > 0; i++) {
        struct th_id id = retry->queued[retry->queued_first];
        retry->queued_first = (retry->queued_first + 1) % retry->queued_cap;
        retry->queued_n--;
        TH_TRY(plan_send(turn, id));
    }
    return TH_OK;
}
