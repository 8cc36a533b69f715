#include "tests/integration/gateway_views.h"

#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/integration/gateway_world.h"

static struct gateway_views *of(struct views *views)
{
    return (struct gateway_views *)views;
}

static enum th_code wait_for(struct views *views, const struct log_place *places, size_t n,
                             int64_t until_us, struct th_err *err)
{
    struct gateway_views *mine = of(views);

    atomic_fetch_add(&mine->waits, 1);
    for (size_t i = 0; i < n; i++)
        if (places[i].part >= th_log_partitions(mine->log, places[i].topic))
            return th_fail(err, TH_INVALID, "no such partition");
    if (!mine->is_behind)
        return TH_OK;
    while (th_clock_monotonic_us(&th_clock_real) < until_us)
        (void)usleep(1000);
    return th_fail(err, TH_TIMEOUT, "behind");
}

/* --- looking into the log ------------------------------------------------------------------------
 */

struct search {
    enum event_type type;
    struct th_str tenant;
    struct th_id id;
    struct th_arena *arena;
    bool is_found;
    struct event event;
};

static struct th_id id_of(const struct event *event)
{
    if (event->type == EVENT_AUDIENCE_CREATED)
        return event->as.audience_created.audience;
    if (event->type == EVENT_CREATE_CAMPAIGN)
        return event->as.create_campaign.campaign;
    return event->as.send_requested.send;
}

static void look(void *arg, const struct event *event, const struct log_record *record)
{
    struct search *search = arg;

    (void)record;
    if (event->type == search->type && th_id_eq(id_of(event), search->id) &&
        th_str_eq(event_meta(event)->tenant, search->tenant))
        search->is_found = event_copy(event, search->arena, &search->event) == TH_OK;
}

static void look_for_command(void *arg, const struct event *event, const struct log_record *record)
{
    struct search *search = arg;

    (void)record;
    if (th_id_eq(event_meta(event)->event_id, search->id) &&
        th_str_eq(event_meta(event)->tenant, search->tenant))
        search->is_found = event_copy(event, search->arena, &search->event) == TH_OK;
}

static enum th_code find(struct views *views, enum topic topic, world_event_fn *fn,
                         struct search *search, struct th_err *err)
{
    struct gateway_views *mine = of(views);

    if (mine->is_down)
        return th_fail(err, TH_UNAVAILABLE, "down");
    if (mine->hidden > 0) {
        atomic_fetch_sub(&mine->hidden, 1);
        return th_fail(err, TH_NOT_FOUND, "hidden");
    }
    log_events(mine->log, topic, fn, search);
    return search->is_found ? TH_OK : th_fail(err, TH_NOT_FOUND, "nothing");
}

static enum th_code audience(struct views *views, struct th_str tenant, struct th_id id,
                             struct th_arena *arena, struct view_audience *out, struct th_err *err)
{
    struct search search = {EVENT_AUDIENCE_CREATED, tenant, id, .arena = arena};

    TH_TRY(find(views, TOPIC_CAMPAIGN_AUDIENCE, look, &search, err));
    *out = (struct view_audience){.id = id, .name = search.event.as.audience_created.name};
    return TH_OK;
}

static enum th_code campaign(struct views *views, struct th_str tenant, struct th_id id,
                             struct th_arena *arena, struct view_campaign *out, struct th_err *err)
{
    struct search search = {EVENT_CREATE_CAMPAIGN, tenant, id, .arena = arena};

    TH_TRY(find(views, TOPIC_CAMPAIGN_COMMANDS, look, &search, err));
    const struct campaign_spec *spec = &search.event.as.create_campaign.spec;
    *out = (struct view_campaign){
        .id = id,
        .name = spec->name,
        .phase = TH_STR("draft"),
        .channel = TH_STR("sms"),
        .audience = spec->audience,
        .pace_per_min = spec->pace_per_min,
        .policy = TH_STR("at_most_once"),
        .category = TH_STR("service_implicit"),
        .created_us = search.event.as.create_campaign.meta.time_us,
    };
    return TH_OK;
}

struct listing {
    struct th_str tenant;
    struct th_arena *arena;
    struct view_campaign *at;
    size_t n;
    size_t max;
    const struct th_id *after;
};

static void list_one(void *arg, const struct event *event, const struct log_record *record)
{
    struct listing *listing = arg;

    (void)record;
    if (event->type != EVENT_CREATE_CAMPAIGN || listing->n == listing->max ||
        !th_str_eq(event_meta(event)->tenant, listing->tenant))
        return;
    struct th_id id = event->as.create_campaign.campaign;
    if (listing->after && th_id_cmp(id, *listing->after) >= 0)
        return; /* not the order of a real one; enough to page through */
    struct view_campaign *to = &listing->at[listing->n++];
    *to = (struct view_campaign){.id = id, .phase = TH_STR("draft"), .channel = TH_STR("sms")};
}

static enum th_code campaigns(struct views *views, struct th_str tenant, const struct th_id *after,
                              size_t limit, struct th_arena *arena, struct view_campaign **out,
                              size_t *out_n, struct th_err *err)
{
    struct listing listing = {.tenant = tenant, .arena = arena, .max = limit, .after = after};

    if (of(views)->is_down)
        return th_fail(err, TH_UNAVAILABLE, "down");
    listing.at = th_arena_array(arena, limit, sizeof *listing.at);
    log_events(of(views)->log, TOPIC_CAMPAIGN_COMMANDS, list_one, &listing);
    *out = listing.at;
    *out_n = listing.n;
    return TH_OK;
}

static enum th_code progress(struct views *views, struct th_str tenant, struct th_id id,
                             int64_t now_us, struct th_arena *arena, struct view_progress *out,
                             struct th_err *err)
{
    (void)now_us;
    TH_TRY(campaign(views, tenant, id, arena, &out->campaign, err));
    out->counts = of(views)->counts;
    out->done = out->counts.audience - out->counts.unsent;
    out->rate_milli_s = 12345;
    out->eta_s = -1;
    return TH_OK;
}

static enum th_code certificate(struct views *views, struct th_str tenant, struct th_id id,
                                struct th_arena *arena, struct view_certificate *out,
                                struct th_err *err)
{
    struct view_campaign known;

    TH_TRY(campaign(views, tenant, id, arena, &known, err));
    *out = of(views)->certificate;
    out->campaign = id;
    return TH_OK;
}

static enum th_code recipients(struct views *views, struct th_str tenant, struct th_id id,
                               struct th_str outcome, int64_t after, size_t limit,
                               struct th_arena *arena, struct view_recipient **out, size_t *out_n,
                               int64_t *out_next, struct th_err *err)
{
    struct view_campaign known;
    struct gateway_views *mine = of(views);
    size_t total = sizeof mine->recipients / sizeof *mine->recipients;

    TH_TRY(campaign(views, tenant, id, arena, &known, err));
    if (outcome.n && !th_str_eq(outcome, TH_STR("unreached")))
        return th_fail(err, TH_INVALID, "no such outcome");
    size_t from = (size_t)(after + 1);
    *out = mine->recipients + (from < total ? from : total);
    *out_n = from < total ? total - from : 0;
    if (*out_n > limit)
        *out_n = limit;
    *out_next = from + *out_n < total ? (int64_t)(from + *out_n) - 1 : -1;
    return TH_OK;
}

static enum th_code send(struct views *views, struct th_str tenant, struct th_id id,
                         struct th_arena *arena, struct view_send *out, struct th_err *err)
{
    static struct view_attempt attempts[] = {{.n = 1,
                                              .lane = 1,
                                              .account = {"main", 4},
                                              .state = {"accepted", 8},
                                              .started_us = 1,
                                              .cost = {120000, "INR"}}};
    static struct view_send_event events[] = {
        {.at_us = 1,
         .type = {"SendPlanned", 11},
         .json = {"{\"n\":1}", 7},
         .event = {.type = EVENT_SEND_PLANNED,
                   .as.send_planned = {.n = 1, .lane = 1, .decided_on = {.consent = 12}}}}};
    struct search search = {EVENT_SEND_REQUESTED, tenant, id, .arena = arena};

    TH_TRY(find(views, TOPIC_SEND_REQUESTS, look, &search, err));
    *out = (struct view_send){
        .id = id,
        .channel = TH_STR("sms"),
        .phone = search.event.as.send_requested.origin.as.send_content.to.as.string,
        .set = TH_STR("accepted_no_report"),
        .requested_us = search.event.as.send_requested.meta.time_us,
        .attempts = attempts,
        .attempts_n = 1,
        .timeline = events,
        .timeline_n = 1,
    };
    return TH_OK;
}

static enum th_code command(struct views *views, struct th_str tenant, struct th_id id,
                            struct th_arena *arena, struct view_command *out, struct th_err *err)
{
    struct search search = {.tenant = tenant, .id = id, .arena = arena};

    TH_TRY(find(views, TOPIC_CAMPAIGN_COMMANDS, look_for_command, &search, err));
    *out = (struct view_command){
        .id = id,
        .kind = th_str(event_type_name(search.event.type)),
        .status = of(views)->command_status,
        .code = TH_STR("conflict"),
        .detail = TH_STR("a campaign that is draft cannot pause"),
    };
    return TH_OK;
}

static enum th_code opt_outs(struct views *views, struct th_str tenant, int64_t after, size_t limit,
                             struct th_arena *arena, struct view_opt_out **out, size_t *out_n,
                             struct th_err *err)
{
    static struct view_opt_out rows[] = {
        {.contact = -5, .phone = {"+919876543210", 13}, .source = {"api", 3}, .since_us = 1},
        {.contact = 7, .phone = {"+919876543211", 13}, .source = {"cli", 3}, .since_us = 2},
    };
    size_t from = 0;

    (void)tenant;
    (void)arena;
    if (of(views)->is_down)
        return th_fail(err, TH_UNAVAILABLE, "down");
    while (from < 2 && rows[from].contact <= after)
        from++;
    *out = rows + from;
    *out_n = 2 - from < limit ? 2 - from : limit;
    return TH_OK;
}

static enum th_code lag(struct views *views, int64_t *out_events, struct th_err *err)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        out_events[topic] = 0;
    return of(views)->is_down ? th_fail(err, TH_UNAVAILABLE, "down") : TH_OK;
}

static enum th_code dead_letters(struct views *views, bool is_unsettled, const struct th_id *after,
                                 size_t limit, struct th_arena *arena,
                                 struct view_dead_letter **out, size_t *out_n, struct th_err *err)
{
    (void)after;
    (void)limit;
    (void)arena;
    struct gateway_views *self = of(views);

    if (self->is_down)
        return th_fail(err, TH_UNAVAILABLE, "down");
    *out = &self->dead.letter;
    *out_n = self->dead.letter.id.b[0] && !(is_unsettled && self->dead.letter.settled.n);
    return TH_OK;
}

static enum th_code dead_letter(struct views *views, struct th_id id, struct th_arena *arena,
                                struct view_dead_record *out, struct th_err *err)
{
    (void)arena;
    struct gateway_views *self = of(views);

    if (!th_id_eq(id, self->dead.letter.id))
        return th_fail(err, TH_NOT_FOUND, "no such dead letter");
    *out = self->dead;
    return TH_OK;
}

/* Behind the only one there is another page, which is empty. */
static enum th_code exhausted(struct views *views, const struct th_id *after, size_t limit,
                              struct th_arena *arena, struct view_exhausted **out, size_t *out_n,
                              struct th_id *out_next, struct th_err *err)
{
    (void)limit;
    (void)arena;
    struct gateway_views *self = of(views);

    if (self->is_down)
        return th_fail(err, TH_UNAVAILABLE, "down");
    *out = &self->exhausted;
    *out_n = after ? 0 : 1;
    *out_next = after ? (struct th_id){{0}} : self->exhausted.send;
    return TH_OK;
}

static const struct views_ops ops = {
    .wait_for = wait_for,
    .campaigns = campaigns,
    .campaign = campaign,
    .progress = progress,
    .certificate = certificate,
    .recipients = recipients,
    .send = send,
    .audience = audience,
    .command = command,
    .opt_outs = opt_outs,
    .lag = lag,
    .dead_letters = dead_letters,
    .dead_letter = dead_letter,
    .exhausted = exhausted,
};

void gateway_views_init(struct gateway_views *views, struct th_log *log)
{
    *views = (struct gateway_views){.views = {&ops}, .log = log};
}
