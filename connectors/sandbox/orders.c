#include "connectors/sandbox/simulator_parts.h"

#include "common/clock.h"

#include <string.h>

/* A request that was decided on and now waits for its line to be durable, then for its moment. */
struct pending_answer {
    struct pending_answer *next;
    struct http_request *request;
    uint64_t durable_at; /* offset in the journal */
    int64_t due_us;
    uint32_t seq; /* 0: refused */
    unsigned status;
    uint32_t retry_after_s;
    struct th_buf body;
};

/* What has been decided about one request. */
struct decision {
    int64_t at_us;
    struct trial trial;
    struct behaviour behaviour;
    struct wire_order order;
    struct wire_refusal refusal; /* its code or status is not 0 where the request is refused */
    bool is_refused;
    struct th_str key; /* that the request names itself by; "" none */
};

struct pending_answer *orders_forget(struct pending_answer *answer)
{
    struct pending_answer *next = answer->next;

    th_buf_fini(&answer->body);
    free(answer);
    return next;
}

/* Executed or not, and if not, why. */
static void decide(const struct simulator *s, enum channel channel, struct decision *d)
{
    d->trial = (struct trial){.seed = s->settings.seed,
                              .number = d->order.to,
                              .tries = ledger_tries(s->ledger, d->order.to) + 1};
    d->behaviour = behaviour_choose(&d->trial, &s->settings.rates);

    const struct answer_facts *answer = answer_facts(d->behaviour.answer);
    struct outcome_facts outcome = outcome_facts(d->behaviour.outcome, channel);
    if (!answer->is_executed) {
        uint32_t code = answer->http_status == 429 ? 20429 : 20500;
        d->is_refused = true;
        d->refusal = wire_refusal_of(code, answer->http_status);
    } else if (outcome.refused_code) {
        d->is_refused = true;
        d->refusal = wire_refusal_of((uint32_t)outcome.refused_code, 400);
        if (d->behaviour.answer != ANSWER_SLOW)
            d->behaviour.answer = ANSWER_NORMAL;
    }
}

static int64_t price_of(const struct settings *settings, const struct decision *d)
{
    struct outcome_facts facts = outcome_facts(d->behaviour.outcome, d->order.channel);
    int64_t price;

    if (d->order.channel == CHANNEL_CALL)
        price =
            facts.error_code == 200 ? settings->call_price_micro * ((d->order.units + 59) / 60) : 0;
    else
        price =
            strcmp(facts.status, "failed") != 0 ? settings->sms_price_micro * d->order.units : 0;
    return price > UINT32_MAX ? UINT32_MAX : price;
}

static struct line execution_line(const struct simulator *s, const struct decision *d)
{
    const struct wire_order *order = &d->order;
    struct range_ms delay = s->settings.delay_ms;

    return (struct line){.kind = LINE_EXECUTION,
                         .execution = {
                             .seq = ledger_size(s->ledger) + 1,
                             .at_us = d->at_us,
                             .tries = d->trial.tries,
                             .channel = order->channel,
                             .to = order->to,
                             .answer = d->behaviour.answer,
                             .outcome = d->behaviour.outcome,
                             .report = d->behaviour.report,
                             .delay_ms = behaviour_draw(&d->trial, FOR_DELAY, delay.min, delay.max),
                             .events = order->events ? order->events : s->settings.message_events,
                             .units = order->units,
                             .price_micro = price_of(&s->settings, d),
                             .from = order->from,
                             .service = order->service,
                             .currency = th_str(s->settings.currency),
                             .callback_url = order->callback_url,
                             .text = order->text,
                             .key = d->key,
                         }};
}

static struct line refusal_line(const struct simulator *s, const struct decision *d)
{
    bool is_dropped = d->behaviour.answer == ANSWER_DROP_BEFORE;

    return (struct line){.kind = LINE_REFUSAL,
                         .refusal = {
                             .at_us = d->at_us,
                             .tries = ledger_tries(s->ledger, d->order.to) + 1,
                             .channel = d->order.channel,
                             .to = d->order.to,
                             .code = is_dropped ? 0 : d->refusal.code,
                             .callback_url = d->order.callback_url,
                         }};
}

static int64_t latency_us(const struct simulator *s, const struct decision *d)
{
    bool is_slow = d->behaviour.answer == ANSWER_SLOW;
    struct range_ms range = is_slow ? s->settings.slow_ms : s->settings.latency_ms;
    enum purpose purpose = is_slow ? FOR_SLOWNESS : FOR_LATENCY;

    return TH_US_PER_MS * behaviour_draw(&d->trial, purpose, range.min, range.max);
}

static void print_answer(const struct simulator *s, const struct decision *d,
                         const struct line *line, struct pending_answer *answer)
{
    char sid[SID_SIZE + 1];

    answer->due_us = d->at_us + latency_us(s, d);
    if (d->is_refused) {
        answer->status = d->refusal.http_status;
        wire_print_refusal(&d->refusal, &answer->body);
        if (d->behaviour.answer == ANSWER_429_RETRY_AFTER)
            answer->retry_after_s = s->settings.retry_after_s;
        return;
    }
    answer->seq = line->execution.seq;
    answer->status = answer_facts(d->behaviour.answer)->http_status;
    if (answer->status == 500) {
        struct wire_refusal failure = wire_refusal_of(20500, 500);
        wire_print_refusal(&failure, &answer->body);
    } else if (answer->status) {
        struct wire_resource resource = simulator_resource(s, &line->execution, 0, sid);
        wire_print_resource(&resource, &answer->body);
    }
}

static void enqueue(struct simulator *s, struct pending_answer *answer)
{
    if (s->undurable)
        s->undurable_last->next = answer;
    else
        s->undurable = answer;
    s->undurable_last = answer;
    if (answer->due_us < s->undurable_due_us)
        s->undurable_due_us = answer->due_us;
    simulator_sync_by(s, answer->due_us);
    if (++s->in_flight > s->in_flight_max)
        s->in_flight_max = s->in_flight;
}

/* The first answer again, without a second execution. What is not durable yet cannot be told. */
static void repeat(struct simulator *s, struct http_request *request, uint32_t seq)
{
    char sid[SID_SIZE + 1];
    struct line_execution line;
    struct th_buf body = {0};

    if (seq > s->visible) {
        api_refuse(s, request, 20409, 409);
        return;
    }
    if (!simulator_line(s, seq, &line)) {
        api_refuse(s, request, 20500, 500);
        return;
    }
    struct wire_resource resource =
        simulator_resource(s, &line, ledger_send(s->ledger, seq)->steps, sid);
    wire_print_resource(&resource, &body);
    http_answer(request, &(struct http_answer){
                             .status = 200, .content_type = "application/json", .body = &body});
}

void orders_take(struct simulator *s, struct http_request *request, enum channel channel)
{
    struct decision d = {.at_us = simulator_now_us(s)};
    struct pending_answer *answer = calloc(1, sizeof *answer);

    if (!answer || ledger_size(s->ledger) == LEDGER_SENDS_MAX) {
        free(answer);
        api_refuse(s, request, 20500, 503);
        return;
    }
    th_arena_reset(&s->scratch);
    d.is_refused = !wire_read_order(channel, http_body(request), &s->scratch, &d.order, &d.refusal);
    d.key = http_header(request, "Idempotency-Key");
    uint32_t seq = d.is_refused ? 0 : ledger_keyed(s->ledger, d.order.to, d.key);
    if (seq) {
        free(answer);
        repeat(s, request, seq);
        return;
    }
    if (!d.key.n)
        d.key = http_header(request, "Reference");
    if (!d.is_refused)
        decide(s, channel, &d);

    struct line line = d.is_refused ? refusal_line(s, &d) : execution_line(s, &d);
    if (!simulator_record(s, &line, &answer->durable_at)) {
        free(answer);
        http_drop(request);
        return;
    }
    answer->request = request;
    print_answer(s, &d, &line, answer);
    enqueue(s, answer);
}

static void finish(struct simulator *s, struct pending_answer *answer)
{
    struct http_answer http = {.status = answer->status,
                               .content_type = "application/json",
                               .body = &answer->body,
                               .retry_after_s = answer->retry_after_s,
                               .concurrent = s->in_flight};

    s->in_flight--;
    if (answer->status)
        http_answer(answer->request, &http);
    else
        http_drop(answer->request);
    (void)orders_forget(answer);
}

void orders_on_durable(struct simulator *s)
{
    uint64_t durable = journal_durable(s->journal);

    if (!s->undurable || s->undurable->durable_at > durable)
        return;
    while (s->undurable && s->undurable->durable_at <= durable) {
        struct pending_answer *answer = s->undurable;
        s->undurable = answer->next;
        if (answer->seq) {
            s->visible = answer->seq;
            progress_begin(s, answer->seq);
        }
        if (timers_add(&s->answers, answer->due_us, (uintptr_t)answer) != TH_OK) {
            simulator_fail(s, TH_NOMEM, "answers");
            finish(s, answer);
        }
    }
    s->undurable_due_us = INT64_MAX;
    for (const struct pending_answer *answer = s->undurable; answer; answer = answer->next)
        if (answer->due_us < s->undurable_due_us)
            s->undurable_due_us = answer->due_us;
}

void orders_on_time(struct simulator *s, int64_t now_us)
{
    uint64_t what;

    while (timers_pop(&s->answers, s->is_stopping ? INT64_MAX : now_us, &what))
        finish(s, (struct pending_answer *)(uintptr_t)what);
}
