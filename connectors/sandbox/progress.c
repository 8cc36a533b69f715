#include "connectors/sandbox/simulator_parts.h"

#include "common/clock.h"
#include "connectors/sandbox/signature.h"

#define REPEAT_AFTER_US   (30 * TH_US_PER_MS) /* the second of a duplicated callback */
#define REORDER_GAP_US    (40 * TH_US_PER_MS)
#define BACKOFF_US        (500 * TH_US_PER_MS)
#define BACKOFF_DOUBLINGS 6
#define TOGETHER_US       (5 * TH_US_PER_MS) /* what is due within it is served together */

/* One callback, as a timer and libcurl carry it: seq, step, whether it is the repetition of a
 * duplicated one, and how often it was refused. */
struct report_id {
    uint32_t seq;
    unsigned step;
    bool is_repeat;
    unsigned refusals;
};

static uint64_t pack(struct report_id id)
{
    return (uint64_t)id.seq << 16 | (uint64_t)id.step << 12 | (uint64_t)id.is_repeat << 11 |
           (id.refusals & 0x7ff);
}

static struct report_id unpack(uint64_t what)
{
    return (struct report_id){.seq = (uint32_t)(what >> 16),
                              .step = what >> 12 & 15,
                              .is_repeat = what >> 11 & 1,
                              .refusals = what & 0x7ff};
}

static struct timeline timeline_of_send(const struct send *send)
{
    return timeline_of((enum channel)send->channel, (enum outcome)send->outcome);
}

static int64_t step_us(const struct send *send, const struct timeline *timeline, unsigned step)
{
    return send->at_us + (int64_t)send->delay_ms * TH_US_PER_MS * timeline->at[step].percent / 100;
}

static void schedule_report(struct simulator *s, int64_t due_us, struct report_id id)
{
    if (timers_add(&s->reports, due_us, pack(id)) != TH_OK)
        simulator_fail(s, TH_NOMEM, "callbacks");
}

static int64_t lateness_us(const struct simulator *s, const struct send *send)
{
    struct trial trial = {s->settings.seed, send->to, (uint32_t)(send->at_us / TH_US_PER_MS)};

    return TH_US_PER_MS *
           behaviour_draw(&trial, FOR_LATENESS, s->settings.late_ms.min, s->settings.late_ms.max);
}

/* Schedule the callback of a step that has just come, unless nobody asked for it. */
static void report(struct simulator *s, const struct send *send, uint32_t seq, unsigned step)
{
    struct timeline timeline = timeline_of_send(send);
    struct report_id id = {.seq = seq, .step = step};
    int64_t due = step_us(send, &timeline, step);
    unsigned steps_after = timeline.n - 1 - step;

    if (!(send->events & timeline.at[step].event))
        return;
    switch ((enum report)send->report) {
    case REPORT_NONE:
        return;
    case REPORT_DUPLICATED:
        schedule_report(s, due + REPEAT_AFTER_US,
                        (struct report_id){.seq = seq, .step = step, .is_repeat = true});
        break;
    case REPORT_LATE:
        due += lateness_us(s, send);
        break;
    case REPORT_REORDERED:
        if (steps_after)
            due = step_us(send, &timeline, timeline.n - 1) + steps_after * REORDER_GAP_US;
        break;
    case REPORT_NORMAL:
        break;
    }
    schedule_report(s, due, id);
}

static void schedule_step(struct simulator *s, const struct send *send, uint32_t seq)
{
    struct timeline timeline = timeline_of_send(send);

    if (send->steps < timeline.n &&
        timers_add(&s->steps, step_us(send, &timeline, send->steps), seq) != TH_OK)
        simulator_fail(s, TH_NOMEM, "steps");
}

void progress_begin(struct simulator *s, uint32_t seq)
{
    schedule_step(s, ledger_send(s->ledger, seq), seq);
}

static void take_step(struct simulator *s, uint32_t seq, int64_t now_us)
{
    struct send *send = ledger_send(s->ledger, seq);
    unsigned step = send->steps;

    if (step + 1 == timeline_of_send(send).n) {
        struct line line = {.kind = LINE_END, .end = {seq, now_us}};
        if (!simulator_record(s, &line, NULL))
            return;
    } else {
        send->steps++;
    }
    /* After a restart the steps of a send that had not ended come again. */
    if (!((send->delivered | send->gone) & 1U << step))
        report(s, send, seq, step);
    schedule_step(s, send, seq);
}

void progress_resume(struct simulator *s)
{
    for (uint32_t seq = 1; seq <= ledger_size(s->ledger); seq++) {
        const struct send *send = ledger_send(s->ledger, seq);
        if (!send->is_ended) {
            progress_begin(s, seq);
            continue;
        }
        for (unsigned step = 0; step < send->steps; step++)
            if (!((send->delivered | send->gone) & 1U << step))
                report(s, send, seq, step);
    }
}

static void record_report(struct simulator *s, struct report_id id, bool is_delivered,
                          unsigned http_status)
{
    struct line line = {.kind = LINE_REPORT,
                        .report = {.seq = id.seq,
                                   .step = id.step,
                                   .is_delivered = is_delivered,
                                   .http_status = http_status,
                                   .at_us = simulator_now_us(s)}};

    (void)simulator_record(s, &line, NULL);
}

void progress_on_reported(void *simulator, uint64_t what, unsigned http_status)
{
    struct simulator *s = simulator;
    struct report_id id = unpack(what);

    if (http_status >= 200 && http_status < 300) {
        record_report(s, id, true, http_status);
    } else if (id.refusals >= s->settings.callback_retries) {
        record_report(s, id, false, http_status);
    } else {
        unsigned doublings = id.refusals < BACKOFF_DOUBLINGS ? id.refusals : BACKOFF_DOUBLINGS;
        id.refusals++;
        schedule_report(s, simulator_now_us(s) + (BACKOFF_US << doublings), id);
    }
}

static enum th_code build_report(struct simulator *s, struct report_id id, struct th_str *out_url,
                                 struct th_buf *signature, struct th_buf *body)
{
    struct line_execution line;
    struct fields fields;
    char sid[SID_SIZE + 1];

    th_arena_reset(&s->scratch);
    if (!simulator_line(s, id.seq, &line))
        return TH_CORRUPT;

    struct timeline timeline = timeline_of(line.channel, line.outcome);
    struct wire_resource resource = simulator_resource(s, &line, id.step + 1, sid);
    resource.status = timeline.at[id.step].status; /* "initiated" is no status of a GET */
    int sip_code = outcome_facts(line.outcome, line.channel).error_code;
    TH_TRY(wire_callback(&resource, id.step, sip_code, &s->scratch, &fields));
    TH_TRY(signature_add(s->secret, line.callback_url, &fields, signature));
    for (size_t i = 0; i < fields.n; i++)
        fields_print(body, fields.at[i].name, fields.at[i].value);
    *out_url = line.callback_url;
    return th_buf_status(body);
}

static void send_report(struct simulator *s, struct report_id id)
{
    TH_AUTO(th_buf) struct th_buf signature = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    struct th_str url;
    enum th_code code = build_report(s, id, &url, &signature, &body);

    if (code == TH_OK)
        code = callbacks_post(s->callbacks, &(struct post){.url = url,
                                                           .signature = th_buf_str(&signature),
                                                           .body = th_buf_str(&body),
                                                           .what = pack(id)});
    if (code == TH_INVALID)
        record_report(s, id, false, 0);
    else if (code != TH_OK)
        simulator_fail(s, code, "callbacks");
}

void progress_on_time(struct simulator *s, int64_t now_us)
{
    uint64_t what;

    while (s->failure.code == TH_OK && timers_pop(&s->steps, now_us, &what))
        take_step(s, (uint32_t)what, now_us);
    while (s->failure.code == TH_OK && !s->is_stopping &&
           callbacks_active(s->callbacks) < s->settings.callback_connections &&
           timers_pop(&s->reports, now_us, &what))
        send_report(s, unpack(what));
}

int64_t progress_next_us(const struct simulator *s)
{
    int64_t steps = timers_next_us(&s->steps);
    bool is_full = callbacks_active(s->callbacks) >= s->settings.callback_connections;
    int64_t reports = is_full || s->is_stopping ? INT64_MAX : timers_next_us(&s->reports);
    int64_t next = steps < reports ? steps : reports;

    return next == INT64_MAX ? next : (next / TOGETHER_US + 1) * TOGETHER_US;
}
