#include "processors/campaign/pace.h"
#include "processors/campaign/turn.h"

#include <stdio.h>

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
    if (c->is_draining)
        return 0; /* who was let go without a limit may still start at any moment */
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
    return campaign_emit(turn, TOPIC_SEND_REQUESTS, tenant, id, &event);
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
    return campaign_say(turn, c, &event);
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

enum th_code campaign_part_read(struct turn *turn, const struct answer *answer)
{
    const struct campaign *c = campaign_of(turn, answer->as.part_read.campaign);
    struct reading *reading;

    if (!c)
        return TH_OK;
    TH_TRY(campaign_reading(turn, c->id, &reading));
    if (answer->as.part_read.code == TH_OK) {
        reading->is_read = true;
        reading->part = answer->as.part_read.part;
        reading->rows = answer->as.part_read.rows;
        for (size_t i = 0; i < sizeof reading->duplicates; i++)
            reading->duplicates[i] = answer->as.part_read.duplicates[i];
        reading->not_before_us = 0;
        return campaign_wake(turn, c->id, turn->in->now_us);
    }
    /* Damaged or not there yet: nobody may be skipped, so it is asked for until it is there. */
    reading->not_before_us = turn->in->now_us + turn->cs->config.ask_again_us;
    return campaign_wake(turn, c->id, reading->not_before_us);
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
        TH_TRY(campaign_emit(turn, TOPIC_SEND_REQUESTS, tenant, at, &event));
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
    return campaign_say(turn, c, &event);
}

/* When a paced campaign may make its next release. */
static int64_t next_release_us(const struct turn *turn, const struct campaign *c)
{
    if (c->pace_per_min == 0)
        return turn->in->now_us;
    return pace_send_at(c->pace_per_min, c->last_send_at_us, 1, turn->in->now_us) -
           turn->cs->config.look_ahead_us;
}

bool campaign_has_work(const struct campaign *c)
{
    return c->asking > 0 || c->part < c->parts;
}

enum th_code campaign_release(struct turn *turn, const struct campaign *c)
{
    struct release release;
    struct reading *reading;
    int32_t n = permitted(turn, c, CAMPAIGN_TURN_ROWS, &release);

    if (n > 0 && c->asking > 0)
        return grant(turn, c, n < c->asking ? n : (int32_t)c->asking, &release);
    if (n == 0)
        return TH_OK;
    TH_TRY(campaign_reading(turn, c->id, &reading));
    if (reading->is_read && reading->part == c->part)
        return release_rows(turn, c, reading, n, &release);
    if (turn->in->now_us < reading->not_before_us)
        return campaign_wake(turn, c->id, reading->not_before_us);
    return ask_part(turn, c);
}

enum th_code campaign_plan_next(struct turn *turn, const struct campaign *c, bool has_progressed)
{
    bool is_draining = c->is_draining && c->pace_per_min != 0;

    if (c->phase != CAMPAIGN_RUNNING || !campaign_has_work(c) || is_draining ||
        campaign_open(c) >= turn->cs->config.look_ahead)
        return TH_OK;
    int64_t due = next_release_us(turn, c);
    if (due <= turn->in->now_us && !has_progressed)
        return TH_OK; /* an answer, or its timer, comes */
    return campaign_wake(turn, c->id, due);
}
