#include "processors/campaign/campaign.h"

#include "processors/campaign/pace.h"
#include "processors/campaign/state.h"

#include <assert.h>
#include <stdio.h>

static const char *const phase_names[] = {
    [CAMPAIGN_DRAFT] = "draft",           [CAMPAIGN_STARTING] = "starting",
    [CAMPAIGN_RUNNING] = "running",       [CAMPAIGN_PAUSING] = "pausing",
    [CAMPAIGN_PAUSED] = "paused",         [CAMPAIGN_COMPLETED] = "completed",
    [CAMPAIGN_CANCELLING] = "cancelling", [CAMPAIGN_CANCELLED] = "cancelled",
};
static_assert(TH_LEN(phase_names) == CAMPAIGN_PHASES, "a name for every phase");

enum command { COMMAND_START, COMMAND_PAUSE, COMMAND_RESUME, COMMAND_CANCEL };

static const char *const command_names[] = {
    [COMMAND_START] = "start",
    [COMMAND_PAUSE] = "pause",
    [COMMAND_RESUME] = "resume",
    [COMMAND_CANCEL] = "cancel",
};

#define BIT(n) (1U << (n))

/* What may be commanded when. */
static const unsigned accepts[CAMPAIGN_PHASES] = {
    [CAMPAIGN_DRAFT] = BIT(COMMAND_START) | BIT(COMMAND_CANCEL),
    [CAMPAIGN_STARTING] = BIT(COMMAND_CANCEL),
    [CAMPAIGN_RUNNING] = BIT(COMMAND_PAUSE) | BIT(COMMAND_CANCEL),
    [CAMPAIGN_PAUSING] = BIT(COMMAND_RESUME) | BIT(COMMAND_CANCEL),
    [CAMPAIGN_PAUSED] = BIT(COMMAND_RESUME) | BIT(COMMAND_CANCEL),
    [CAMPAIGN_COMPLETED] = 0,
    [CAMPAIGN_CANCELLING] = 0,
    [CAMPAIGN_CANCELLED] = 0,
};

const char *campaign_phase_name(enum campaign_phase phase)
{
    assert((size_t)phase < CAMPAIGN_PHASES);
    return phase_names[phase];
}

/* One input being decided. */
struct turn {
    struct campaigns *cs;
    const struct input *in;
    struct core_output *out;
};

static const struct campaign *look(const struct campaigns *cs, struct th_id id)
{
    return table_get(cs->campaigns, id);
}

static enum th_code say(struct turn *turn, const struct campaign *c, const struct event *event)
{
    struct th_str key = core_key(turn->out, blob_str(c->tenant), c->id);

    return key.p ? core_say(turn->out, -1, key, event) : TH_NOMEM;
}

static enum th_code emit(struct turn *turn, enum topic topic, struct th_str tenant, struct th_id id,
                         const struct event *event)
{
    struct th_str key = core_key(turn->out, tenant, id);

    return key.p ? core_emit(turn->out, topic, -1, key, event) : TH_NOMEM;
}

/* --- timers -------------------------------------------------------------------------------------
 */

static enum th_code reading_of(struct campaigns *cs, struct th_id id, struct reading **out)
{
    void *entry;

    if (!table_get(cs->readings, id)) {
        TH_TRY(table_insert(cs->readings, id, &entry));
        *out = entry;
        (*out)->timer_us = INT64_MAX;
        return TH_OK;
    }
    TH_TRY(table_edit(cs->readings, id, &entry));
    *out = entry;
    return TH_OK;
}

static enum th_code wake_at(struct campaigns *cs, struct th_id id, int64_t due_us)
{
    struct reading *reading;

    TH_TRY(reading_of(cs, id, &reading));
    if (due_us >= reading->timer_us)
        return TH_OK;
    TH_TRY(timers_add(&cs->timers, due_us, id));
    reading->timer_us = due_us;
    return TH_OK;
}

/* --- refusing -----------------------------------------------------------------------------------
 */

static enum th_code refuse(struct turn *turn, struct th_str tenant, struct th_id campaign,
                           const char *command, const char *code, struct th_str detail)
{
    struct event event = {
        .type = EVENT_COMMAND_REFUSED,
        .as.command_refused = {.meta = core_meta(turn->out, tenant),
                               .campaign = campaign,
                               .command = th_str(command),
                               .code = th_str(code),
                               .detail = detail},
    };
    struct th_str key = core_key(turn->out, tenant, campaign);

    if (!key.p || !detail.p)
        return TH_NOMEM;
    return core_say(turn->out, -1, key, &event);
}

/* --- control: what every process is told
 * ---------------------------------------------------------- */

static enum th_code tell_control(struct turn *turn, const struct campaign *c,
                                 enum control_state state, int64_t version)
{
    struct th_str tenant = blob_str(c->tenant);
    struct event event = {
        .type = EVENT_CAMPAIGN_CONTROLLED,
        .as.campaign_controlled = {.meta = core_meta(turn->out, tenant),
                                   .campaign = c->id,
                                   .version = version,
                                   .state = state},
    };
    return emit(turn, TOPIC_CAMPAIGN_CONTROL, tenant, c->id, &event);
}

static enum th_code tell_definition(struct turn *turn, const struct campaign *c, int32_t run)
{
    struct th_str tenant = blob_str(c->tenant);
    struct event event = {
        .type = EVENT_CAMPAIGN_DEFINED,
        .as.campaign_defined = {.meta = core_meta(turn->out, tenant),
                                .campaign = c->id,
                                .run = run},
    };
    struct th_err err = {0};

    TH_TRY(campaign_spec_decode_body(blob_str(c->spec), 1, core_arena(turn->out),
                                     &event.as.campaign_defined.spec, &err));
    return emit(turn, TOPIC_CAMPAIGN_CONTROL, tenant, c->id, &event);
}

/* --- starting
 * --------------------------------------------------------------------------------------- */

static enum th_code ask_audience(struct turn *turn, const struct campaign *c)
{
    struct effect effect = {
        .type = EFFECT_OPEN_AUDIENCE,
        .as.open_audience = {.tenant = blob_str(c->tenant),
                             .campaign = c->id,
                             .audience = c->audience},
    };
    return core_effect(turn->out, &effect);
}

static enum th_code start(struct turn *turn, const struct campaign *c,
                          const struct start_campaign *command)
{
    struct event event = {
        .type = EVENT_CAMPAIGN_STARTING,
        .as.campaign_starting = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                 .campaign = c->id,
                                 .recipients = command->recipients},
    };

    TH_TRY(say(turn, c, &event));
    return ask_audience(turn, look(turn->cs, c->id));
}

static bool names(const struct string_array *accounts, struct th_str name)
{
    for (size_t i = 0; i < accounts->n; i++)
        if (th_str_eq(accounts->at[i], name))
            return true;
    return accounts->n == 0;
}

/* Lanes that the campaign may use now, and whether one of them is live. */
static int usable_lanes(const struct turn *turn, struct th_str tenant,
                        const struct campaign_spec *spec, bool *out_is_live)
{
    int n = 0;
    const struct ref_lane *lane;

    *out_is_live = false;
    for (size_t i = 0; (lane = reference_lane_at(turn->cs->env.reference, i)); i++) {
        if (!lane->is_enabled || !th_str_eq(lane->tenant, tenant) ||
            !names(&spec->accounts, lane->account.name))
            continue;
        n++;
        *out_is_live = *out_is_live || lane->account.mode == ACCOUNT_MODE_LIVE;
    }
    return n;
}

/* Why the start cannot be carried out; NULL when it can. */
static enum th_code objection(struct turn *turn, const struct campaign *c,
                              const struct answer *answer, const char **out_code,
                              struct th_str *out_detail)
{
    struct th_arena *arena = core_arena(turn->out);
    struct campaign_spec spec;
    struct th_err err = {0};
    bool is_live;

    *out_code = NULL;
    TH_TRY(campaign_spec_decode_body(blob_str(c->spec), 1, arena, &spec, &err));
    if (answer->as.audience_opened.code != TH_OK) {
        *out_code = "audience_not_ready";
        *out_detail = TH_STR("the audience does not exist, or is not sealed");
    } else if (usable_lanes(turn, blob_str(c->tenant), &spec, &is_live) == 0) {
        *out_code = "no_provider";
        *out_detail = TH_STR("no enabled provider account can carry this campaign: see "
                             "telehub provider list, telehub provider enable");
    } else if (is_live && !c->has_stated) {
        *out_code = "recipients_not_stated";
        *out_detail = th_arena_printf(arena,
                                      "a live provider account is used: say how many people will "
                                      "be contacted, with --recipients %lld",
                                      (long long)answer->as.audience_opened.recipients);
    } else if (c->has_stated && c->stated != answer->as.audience_opened.recipients) {
        *out_code = "recipients_differ";
        *out_detail =
            th_arena_printf(arena, "the audience has %lld recipients, not %lld",
                            (long long)answer->as.audience_opened.recipients, (long long)c->stated);
    }
    return TH_OK;
}

static enum th_code begin(struct turn *turn, const struct campaign *c, const struct answer *answer)
{
    struct th_id id = c->id;
    struct event event = {
        .type = EVENT_CAMPAIGN_STARTED,
        .as.campaign_started = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                .campaign = id,
                                .run = 1,
                                .run_started_ms = turn->in->now_us / 1000,
                                .parts = answer->as.audience_opened.parts,
                                .recipients = answer->as.audience_opened.recipients,
                                .audience_sha256 = answer->as.audience_opened.sha256},
    };

    TH_TRY(tell_definition(turn, c, 1));
    TH_TRY(tell_control(turn, c, CONTROL_STATE_RUNNING, 1));
    TH_TRY(say(turn, c, &event));
    return wake_at(turn->cs, id, turn->in->now_us);
}

static enum th_code audience_opened(struct turn *turn, const struct answer *answer)
{
    const struct campaign *c = look(turn->cs, answer->as.audience_opened.campaign);
    const char *code;
    struct th_str detail;

    if (!c || c->phase != CAMPAIGN_STARTING)
        return TH_OK;
    if (answer->as.audience_opened.code == TH_UNAVAILABLE)
        return wake_at(turn->cs, c->id, turn->in->now_us + turn->cs->config.ask_again_us);
    TH_TRY(objection(turn, c, answer, &code, &detail));
    if (code)
        return refuse(turn, blob_str(c->tenant), c->id, "start", code, detail);
    return begin(turn, c, answer);
}

/* --- releasing
 * ---------------------------------------------------------------------------------------- */

struct release {
    int64_t send_at_us;
    int64_t send_by_us;
};

/* How many releases may be made now, at most max, and for when. */
static int32_t permitted(const struct turn *turn, const struct campaign *c, int32_t max,
                         struct release *out)
{
    const struct campaign_config *config = &turn->cs->config;
    int64_t now = turn->in->now_us;
    int64_t room = config->look_ahead - campaign_open(c);
    int32_t n = room < max ? (int32_t)(room < 0 ? 0 : room) : max;

    *out = (struct release){now, 0};
    if (n == 0 || c->pace_per_min == 0)
        return n;
    if (n > pace_group(c->pace_per_min))
        n = pace_group(c->pace_per_min);
    out->send_at_us = pace_send_at(c->pace_per_min, c->last_send_at_us, n, now);
    out->send_by_us = out->send_at_us + PACE_START_US;
    return out->send_at_us > now + config->look_ahead_us ? 0 : n;
}

static struct th_id send_id(const struct campaign *c, int64_t ordinal)
{
    char run[16];
    char number[24];

    (void)snprintf(run, sizeof run, "%d", c->run);
    (void)snprintf(number, sizeof number, "%lld", (long long)ordinal);
    return th_id_send(c->run_started_ms,
                      TH_PARTS(TH_STR("send"), blob_str(c->tenant), th_id_bytes(&c->id),
                               th_str(run), th_str(number)));
}

static enum th_code request(struct turn *turn, const struct campaign *c, enum channel channel,
                            int32_t row, int64_t number, const struct release *release)
{
    struct th_str tenant = blob_str(c->tenant);
    struct th_id id = send_id(c, (int64_t)c->part * AUDIENCE_PART_ROWS_MAX + row);
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested =
            {
                .meta = core_meta(turn->out, tenant),
                .send = id,
                .channel = channel,
                .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                           .as.campaign_origin = {.campaign = c->id,
                                                  .run = c->run,
                                                  .recipient = {.audience = c->audience,
                                                                .part = c->part,
                                                                .row = row}}},
                .release = number,
                .send_at_us = release->send_at_us,
                .send_by_us = release->send_by_us,
            },
    };
    return emit(turn, TOPIC_SEND_REQUESTS, tenant, id, &event);
}

static bool is_duplicate(const struct reading *reading, int32_t row)
{
    return (reading->duplicates[row / 8] >> (row % 8)) & 1;
}

static enum th_code channel_of(struct turn *turn, const struct campaign *c, enum channel *out)
{
    struct campaign_spec spec;
    struct th_err err = {0};

    TH_TRY(campaign_spec_decode_body(blob_str(c->spec), 1, core_arena(turn->out), &spec, &err));
    *out = spec.channel;
    return TH_OK;
}

/* Rows from c->row on: up to n releases, and the duplicates between them. */
static enum th_code release_rows(struct turn *turn, const struct campaign *c,
                                 const struct reading *reading, int32_t n,
                                 const struct release *release)
{
    struct th_id id = c->id;
    int32_t row = c->row;
    int32_t made = 0;
    int32_t *suppressed =
        th_arena_array(core_arena(turn->out), AUDIENCE_PART_ROWS_MAX, sizeof *suppressed);
    size_t suppressed_n = 0;
    enum channel channel;

    if (!suppressed)
        return TH_NOMEM;
    TH_TRY(channel_of(turn, c, &channel));
    for (; row < reading->rows && (made < n || is_duplicate(reading, row)); row++) {
        if (is_duplicate(reading, row))
            suppressed[suppressed_n++] = row;
        else
            TH_TRY(request(turn, c, channel, row, c->released + made++, release));
    }
    struct event event = {
        .type = EVENT_CAMPAIGN_RELEASED,
        .as.campaign_released = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                 .campaign = id,
                                 .part = c->part,
                                 .first_row = c->row,
                                 .rows = row - c->row,
                                 .part_rows = reading->rows,
                                 .suppressed_rows = {suppressed, suppressed_n},
                                 .first_release = c->released,
                                 .send_at_us = release->send_at_us,
                                 .send_by_us = release->send_by_us},
    };
    return say(turn, c, &event);
}

static enum th_code ask_part(struct turn *turn, const struct campaign *c)
{
    struct effect effect = {
        .type = EFFECT_READ_PART,
        .as.read_part = {.tenant = blob_str(c->tenant),
                         .campaign = c->id,
                         .audience = c->audience,
                         .part = c->part,
                         .want_duplicates = !c->allow_duplicates},
    };
    return core_effect(turn->out, &effect);
}

static enum th_code part_read(struct turn *turn, const struct answer *answer)
{
    const struct campaign *c = look(turn->cs, answer->as.part_read.campaign);
    struct reading *reading;

    if (!c)
        return TH_OK;
    TH_TRY(reading_of(turn->cs, c->id, &reading));
    if (answer->as.part_read.code == TH_OK) {
        reading->is_read = true;
        reading->part = answer->as.part_read.part;
        reading->rows = answer->as.part_read.rows;
        for (size_t i = 0; i < sizeof reading->duplicates; i++)
            reading->duplicates[i] = answer->as.part_read.duplicates[i];
        reading->not_before_us = 0;
        return wake_at(turn->cs, c->id, turn->in->now_us);
    }
    /* Damaged or not there yet: nobody may be skipped, so it is asked for until it is there. */
    reading->not_before_us = turn->in->now_us + turn->cs->config.ask_again_us;
    return wake_at(turn->cs, c->id, reading->not_before_us);
}

/* Answer the oldest asks. */
static enum th_code grant(struct turn *turn, const struct campaign *c, int32_t n,
                          const struct release *release)
{
    struct th_str tenant = blob_str(c->tenant);
    struct th_id *sends = th_arena_array(core_arena(turn->out), (size_t)n, sizeof *sends);
    struct th_id at = c->first_ask;
    int32_t made = 0;

    if (!sends)
        return TH_NOMEM;
    for (; made < n && !th_id_is_zero(at); made++) {
        struct event event = {
            .type = EVENT_SEND_RELEASED,
            .as.send_released = {.meta = core_meta(turn->out, tenant),
                                 .send = at,
                                 .campaign = c->id,
                                 .release = c->released + made,
                                 .send_at_us = release->send_at_us,
                                 .send_by_us = release->send_by_us},
        };
        sends[made] = at;
        TH_TRY(emit(turn, TOPIC_SEND_REQUESTS, tenant, at, &event));
        at = ((const struct ask *)table_get(turn->cs->asks, at))->next;
    }
    struct event event = {
        .type = EVENT_CAMPAIGN_RE_RELEASED,
        .as.campaign_re_released = {.meta = core_meta(turn->out, tenant),
                                    .campaign = c->id,
                                    .sends = {sends, (size_t)made},
                                    .first_release = c->released,
                                    .send_at_us = release->send_at_us,
                                    .send_by_us = release->send_by_us},
    };
    return say(turn, c, &event);
}

/* When a paced campaign may make its next release. */
static int64_t next_release_us(const struct turn *turn, const struct campaign *c)
{
    if (c->pace_per_min == 0)
        return turn->in->now_us;
    return pace_send_at(c->pace_per_min, c->last_send_at_us, 1, turn->in->now_us) -
           turn->cs->config.look_ahead_us;
}

static bool is_stopped(const struct turn *turn, const struct campaign *c)
{
    const struct ref_tenant *tenant =
        reference_tenant(turn->cs->env.reference, blob_str(c->tenant));

    return tenant && tenant->is_stopped;
}

static bool has_work(const struct campaign *c)
{
    return c->asking > 0 || c->part < c->parts;
}

static enum th_code release_some(struct turn *turn, const struct campaign *c)
{
    struct release release;
    struct reading *reading;
    int32_t n = permitted(turn, c, CAMPAIGN_TURN_ROWS, &release);

    if (n > 0 && c->asking > 0)
        return grant(turn, c, n < c->asking ? n : (int32_t)c->asking, &release);
    if (n == 0)
        return TH_OK;
    TH_TRY(reading_of(turn->cs, c->id, &reading));
    if (reading->is_read && reading->part == c->part)
        return release_rows(turn, c, reading, n, &release);
    if (turn->in->now_us < reading->not_before_us)
        return wake_at(turn->cs, c->id, reading->not_before_us);
    return ask_part(turn, c);
}

/* After releases were made: when to go on. Without room, what is reported will wake us. */
static enum th_code plan_next(struct turn *turn, const struct campaign *c, bool has_progressed)
{
    if (c->phase != CAMPAIGN_RUNNING || !has_work(c) ||
        campaign_open(c) >= turn->cs->config.look_ahead)
        return TH_OK;
    int64_t due = next_release_us(turn, c);
    if (due <= turn->in->now_us && !has_progressed)
        return TH_OK; /* an answer, or its timer, comes */
    return wake_at(turn->cs, c->id, due);
}

/* --- ends
 * ------------------------------------------------------------------------------------------------
 */

static bool is_settled(const struct campaign *c)
{
    return c->accepted + c->suppressed + c->ended == c->requested && c->unknown == 0 &&
           campaign_open(c) == 0 && c->asking == 0;
}

static bool is_done(const struct campaign *c)
{
    return !has_work(c) && c->awaiting_report == 0 && is_settled(c);
}

static enum th_code complete(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_COMPLETED,
        .as.campaign_completed = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                  .campaign = c->id,
                                  .version = version},
    };

    TH_TRY(tell_control(turn, c, CONTROL_STATE_ENDED, version));
    return say(turn, c, &event);
}

static enum th_code conclude_cancel(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_CANCELLED,
        .as.campaign_cancelled = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                  .campaign = c->id,
                                  .version = version,
                                  .never_released = c->recipients - c->requested - c->duplicates},
    };

    TH_TRY(tell_control(turn, c, CONTROL_STATE_ENDED, version));
    return say(turn, c, &event);
}

static bool all_slots_answered(const struct turn *turn, const struct campaign *c)
{
    uint64_t all =
        turn->cs->env.slots >= 64 ? UINT64_MAX : (UINT64_C(1) << turn->cs->env.slots) - 1;

    return c->answered[0] == all && c->answered[1] == all;
}

static enum th_code conclude_pause(struct turn *turn, const struct campaign *c)
{
    struct event event = {
        .type = EVENT_CAMPAIGN_PAUSED,
        .as.campaign_paused = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                               .campaign = c->id,
                               .version = c->version,
                               .in_flight = c->in_flight},
    };
    return say(turn, c, &event);
}

/* --- one campaign's turn
 * ------------------------------------------------------------------------------------ */

static enum th_code run(struct turn *turn, const struct campaign *c)
{
    struct th_id id = c->id;
    int64_t released = c->released;

    if (is_done(c))
        return complete(turn, c);
    if (!has_work(c) || is_stopped(turn, c))
        return TH_OK;
    int64_t duplicates = c->duplicates;
    TH_TRY(release_some(turn, c));
    c = look(turn->cs, id);
    if (is_done(c)) /* the last rows were duplicates: no send will report and wake us */
        return complete(turn, c);
    return plan_next(turn, c, c->released != released || c->duplicates != duplicates);
}

static enum th_code advance(struct turn *turn, struct th_id id)
{
    const struct campaign *c = look(turn->cs, id);

    if (!c)
        return TH_OK;
    switch ((enum campaign_phase)c->phase) {
    case CAMPAIGN_STARTING:
        return ask_audience(turn, c);
    case CAMPAIGN_RUNNING:
        return run(turn, c);
    case CAMPAIGN_PAUSING:
        return all_slots_answered(turn, c) ? conclude_pause(turn, c) : TH_OK;
    case CAMPAIGN_CANCELLING:
        return is_settled(c) ? conclude_cancel(turn, c) : TH_OK;
    case CAMPAIGN_DRAFT:
    case CAMPAIGN_PAUSED:
    case CAMPAIGN_COMPLETED:
    case CAMPAIGN_CANCELLED:
        return TH_OK;
    }
    return TH_OK;
}

/* --- commands
 * --------------------------------------------------------------------------------------------------
 */

static enum th_code create(struct turn *turn, const struct create_campaign *command)
{
    if (look(turn->cs, command->campaign))
        return TH_OK; /* the same request again: it has the same id */
    struct event event = {
        .type = EVENT_CAMPAIGN_CREATED,
        .as.campaign_created = {.meta = core_meta(turn->out, command->meta.tenant),
                                .campaign = command->campaign,
                                .spec = command->spec},
    };
    struct th_str key = core_key(turn->out, command->meta.tenant, command->campaign);

    return key.p ? core_say(turn->out, -1, key, &event) : TH_NOMEM;
}

static enum th_code pause_campaign(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_PAUSING,
        .as.campaign_pausing = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                .campaign = c->id,
                                .version = version},
    };

    TH_TRY(tell_control(turn, c, CONTROL_STATE_PAUSED, version));
    return say(turn, c, &event);
}

static enum th_code resume_campaign(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_RESUMED,
        .as.campaign_resumed = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                .campaign = c->id,
                                .version = version},
    };

    TH_TRY(tell_control(turn, c, CONTROL_STATE_RUNNING, version));
    return say(turn, c, &event);
}

static enum th_code cancel_campaign(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_CANCELLING,
        .as.campaign_cancelling = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                   .campaign = c->id,
                                   .version = version},
    };

    TH_TRY(tell_control(turn, c, CONTROL_STATE_CANCELLED, version));
    return say(turn, c, &event);
}

static enum th_code command(struct turn *turn, const struct meta *meta, struct th_id id,
                            enum command what)
{
    const struct campaign *c = look(turn->cs, id);
    const char *name = command_names[what];

    if (!c || !th_str_eq(blob_str(c->tenant), meta->tenant))
        return refuse(turn, meta->tenant, id, name, "not_found", TH_STR("no such campaign"));
    if (!(accepts[c->phase] & BIT(what)))
        return refuse(turn, meta->tenant, id, name, "conflict",
                      th_arena_printf(core_arena(turn->out), "a campaign that is %s cannot %s",
                                      phase_names[c->phase], name));
    switch (what) {
    case COMMAND_START:
        return start(turn, c, &turn->in->event->as.start_campaign);
    case COMMAND_PAUSE:
        TH_TRY(pause_campaign(turn, c));
        break;
    case COMMAND_RESUME:
        TH_TRY(resume_campaign(turn, c));
        break;
    case COMMAND_CANCEL:
        TH_TRY(cancel_campaign(turn, c));
        break;
    }
    return advance(turn, id);
}

/* --- progress
 * ----------------------------------------------------------------------------------------------------
 */

static enum th_code note(struct turn *turn, struct th_id id, const struct progress_noted *noted)
{
    const struct campaign *c = look(turn->cs, id);

    if (!c)
        return TH_OK;
    struct event event = {.type = EVENT_PROGRESS_NOTED, .as.progress_noted = *noted};
    event.as.progress_noted.meta = core_meta(turn->out, blob_str(c->tenant));
    event.as.progress_noted.campaign = id;
    TH_TRY(say(turn, c, &event));
    return advance(turn, id);
}

static enum th_code sends_moved(struct turn *turn, const struct sends_moved *moved)
{
    return note(turn, moved->campaign,
                &(struct progress_noted){.settled = moved->settled,
                                         .accepted = moved->accepted,
                                         .awaiting_report = moved->awaiting_report,
                                         .unknown = moved->unknown,
                                         .suppressed = moved->suppressed,
                                         .ended = moved->ended});
}

/* An ask that comes after the cancel is moot: retry ends that send by itself. */
static enum th_code release_wanted(struct turn *turn, const struct release_wanted *wanted)
{
    const struct campaign *c = look(turn->cs, wanted->campaign);

    if (!c || c->phase == CAMPAIGN_CANCELLING || c->phase == CAMPAIGN_CANCELLED)
        return TH_OK;
    return note(turn, wanted->campaign, &(struct progress_noted){.wanted = wanted->sends});
}

static enum th_code control_answered(struct turn *turn, const struct control_answered *answered)
{
    const struct campaign *c = look(turn->cs, answered->campaign);

    if (!c || c->phase != CAMPAIGN_PAUSING || c->version != answered->version)
        return TH_OK;
    return note(turn, answered->campaign,
                &(struct progress_noted){.applied_app = {true, answered->app},
                                         .applied_slot = {true, answered->slot},
                                         .applied_version = {true, answered->version},
                                         .in_flight = answered->in_flight});
}

static enum th_code take_event(struct turn *turn, const struct event *event)
{
    switch ((int)event->type) { /* most events are none of ours */
    case EVENT_CREATE_CAMPAIGN:
        return create(turn, &event->as.create_campaign);
    case EVENT_START_CAMPAIGN:
        return command(turn, event_meta(event), event->as.start_campaign.campaign, COMMAND_START);
    case EVENT_PAUSE_CAMPAIGN:
        return command(turn, event_meta(event), event->as.pause_campaign.campaign, COMMAND_PAUSE);
    case EVENT_RESUME_CAMPAIGN:
        return command(turn, event_meta(event), event->as.resume_campaign.campaign, COMMAND_RESUME);
    case EVENT_CANCEL_CAMPAIGN:
        return command(turn, event_meta(event), event->as.cancel_campaign.campaign, COMMAND_CANCEL);
    case EVENT_SENDS_MOVED:
        return sends_moved(turn, &event->as.sends_moved);
    case EVENT_RELEASE_WANTED:
        return release_wanted(turn, &event->as.release_wanted);
    case EVENT_CONTROL_ANSWERED:
        return control_answered(turn, &event->as.control_answered);
    default:
        return TH_OK;
    }
}

static enum th_code wake_all(struct turn *turn, struct th_str tenant)
{
    const struct campaign *c;

    for (size_t at = 0; (c = table_next(turn->cs->campaigns, &at));)
        if (!tenant.p || th_str_eq(blob_str(c->tenant), tenant))
            TH_TRY(wake_at(turn->cs, c->id, turn->in->now_us));
    return TH_OK;
}

static enum th_code take_time(struct turn *turn)
{
    struct timer timer;

    if (turn->cs->has_lost_timers) {
        TH_TRY(wake_all(turn, (struct th_str){NULL, 0}));
        turn->cs->has_lost_timers = false;
    }
    while (timers_pop(&turn->cs->timers, turn->in->now_us, &timer)) {
        struct reading *reading;
        TH_TRY(reading_of(turn->cs, timer.id, &reading));
        if (reading->timer_us != timer.due_us)
            continue; /* another timer came before it */
        reading->timer_us = INT64_MAX;
        return advance(turn, timer.id);
    }
    return TH_OK;
}

static enum th_code take_answer(struct turn *turn, const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_AUDIENCE_OPENED:
        return audience_opened(turn, answer);
    case ANSWER_PART_READ:
        return part_read(turn, answer);
    case ANSWER_RECIPIENT_READ:
    case ANSWER_JOURNAL_TOLD:
    case ANSWER_CALL_ENDED:
    case ANSWER_LOOKUP_ENDED:
        return TH_OK;
    }
    return TH_OK;
}

static enum th_code campaign_decide(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    switch (in->type) {
    case INPUT_EVENT:
        return take_event(&turn, in->event);
    case INPUT_TIME:
        return take_time(&turn);
    case INPUT_ANSWER:
        return take_answer(&turn, in->answer);
    case INPUT_REFERENCE: /* of it only a tenant's stop matters here */
        return in->change->kind == REFERENCE_TENANT ? wake_all(&turn, in->change->tenant) : TH_OK;
    }
    return TH_OK;
}

/* --- the rest of the core's table
 * ------------------------------------------------------------------------------------ */

static void campaigns_free(void *core)
{
    struct campaigns *cs = core;

    if (!cs)
        return;
    table_free(cs->campaigns);
    table_free(cs->asks);
    table_free(cs->readings);
    timers_fini(&cs->timers);
    free(cs);
}

static enum th_code campaigns_new(const void *config, const struct core_env *env, void **out_core)
{
    struct campaigns *cs = calloc(1, sizeof *cs);

    if (!cs)
        return TH_NOMEM;
    cs->config = *(const struct campaign_config *)config;
    cs->env = *env;
    cs->campaigns = table_new(sizeof(struct campaign), CAMPAIGNS_MAX);
    cs->asks = table_new(sizeof(struct ask), CAMPAIGN_ASKS_MAX);
    cs->readings = table_new(sizeof(struct reading), CAMPAIGNS_MAX);
    if (!cs->campaigns || !cs->asks || !cs->readings) {
        campaigns_free(cs);
        return TH_NOMEM;
    }
    *out_core = cs;
    return TH_OK;
}

static enum th_code campaign_opened(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    return wake_all(&turn, (struct th_str){NULL, 0});
}

static int64_t campaign_next_due_us(const void *core)
{
    const struct campaigns *cs = core;

    return cs->has_lost_timers ? 0 : timers_next_us(&cs->timers);
}

static void batch_close(void *core)
{
    struct campaigns *cs = core;

    table_close(cs->campaigns);
    table_close(cs->asks);
    table_close(cs->readings);
}

static void batch_forget(void *core)
{
    struct campaigns *cs = core;

    table_forget(cs->campaigns);
    table_forget(cs->asks);
    table_forget(cs->readings);
}

/* The undone batches may have popped timers that are still wanted. */
static void batch_undo(void *core)
{
    struct campaigns *cs = core;
    const struct reading *reading;

    table_undo(cs->campaigns);
    table_undo(cs->asks);
    table_undo(cs->readings);
    for (size_t at = 0; (reading = table_next(cs->readings, &at));)
        if (reading->timer_us != INT64_MAX &&
            timers_add(&cs->timers, reading->timer_us, reading->campaign) != TH_OK)
            cs->has_lost_timers = true;
}

bool campaign_look(const void *core, struct th_id id, struct campaign_counts *out)
{
    const struct campaign *c = look(core, id);

    if (!c)
        return false;
    *out = (struct campaign_counts){
        .phase = (enum campaign_phase)c->phase,
        .recipients = c->recipients,
        .requested = c->requested,
        .duplicates = c->duplicates,
        .open = campaign_open(c),
        .accepted = c->accepted,
        .awaiting_report = c->awaiting_report,
        .unknown = c->unknown,
        .suppressed = c->suppressed,
        .ended = c->ended,
        .asking = c->asking,
    };
    return true;
}

const struct core_ops campaign_core = {
    .name = "campaign",
    .app = LOG_APP_CAMPAIGN,
    .own = TOPIC_CAMPAIGN_EVENTS,
    .inputs = 1U << TOPIC_CAMPAIGN_COMMANDS | 1U << TOPIC_CAMPAIGN_PROGRESS,
    .fold_version = 1,
    .new = campaigns_new,
    .free = campaigns_free,
    .decide = campaign_decide,
    .evolve = campaign_evolve,
    .opened = campaign_opened,
    .next_due_us = campaign_next_due_us,
    .batch_close = batch_close,
    .batch_forget = batch_forget,
    .batch_undo = batch_undo,
    .pieces = 1,
    .save = campaign_save,
    .load = campaign_load,
};
