#include "tests/simulation/provider.h"

#include "tests/simulation/caller.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/coverage.h"
#include "tests/simulation/wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum fate {
    FATE_ACCEPTED,
    FATE_INVALID,
    FATE_THROTTLED,
    FATE_ACCOUNT_REFUSED,
    FATE_ERROR_BEFORE,
    FATE_ERROR_AFTER,
    FATE_DROPPED_BEFORE,
    FATE_DROPPED_AFTER,
    FATE_WITHOUT_ID,
};

struct message {
    struct sim_request request;
    enum fate fate;
    bool is_lost; /* on its way, with its sender */
    bool has_arrived;
    bool is_executed;
    int64_t number;
    enum provider_status now; /* as a look-up tells */
    enum provider_status last;
    enum provider_class last_class;
    int64_t final_at_us;
};

struct callback {
    size_t message;
    enum provider_status status;
};

struct provider {
    struct message *messages;
    size_t messages_n, messages_cap;
    struct callback *callbacks;
    size_t callbacks_n, callbacks_cap;
    size_t *executed; /* message by number */
    size_t executed_n, executed_cap;
};

struct provider *provider_new(void)
{
    struct provider *provider = calloc(1, sizeof *provider);

    assert(provider);
    return provider;
}

void provider_free(struct provider *provider)
{
    if (!provider)
        return;
    free(provider->messages);
    free(provider->callbacks);
    free(provider->executed);
    free(provider);
}

/* --- reports
 * ------------------------------------------------------------------------------------------ */

static enum provider_status final_status(struct world *world, bool is_call, bool is_negative)
{
    static const enum provider_status unreached[] = {PROVIDER_CALL_BUSY, PROVIDER_CALL_NO_ANSWER,
                                                     PROVIDER_CALL_FAILED};

    if (is_call)
        return is_negative ? unreached[rng_below(&world->rng, TH_LEN(unreached))]
                           : PROVIDER_CALL_COMPLETED;
    return is_negative ? PROVIDER_SMS_UNDELIVERED : PROVIDER_SMS_DELIVERED;
}

static const struct provider_ops *wire_of(const struct world *world, const struct message *m)
{
    return sim_wire_of(world_reconciliation(world, m->request.lane));
}

static void call_back(struct world *world, int64_t arg)
{
    struct provider *provider = world->provider;
    struct callback callback = provider->callbacks[arg];
    struct message *m = &provider->messages[callback.message];
    struct sim_report report = {callback.status, m->last_class, m->number};
    struct event event = {
        .type = EVENT_CALLBACK_RECEIVED,
        .as.callback_received = {.meta = {.event_id = world_id(world),
                                          .tenant = th_str(m->request.tenant),
                                          .time_us = world_utc(world),
                                          .actor = TH_STR("gateway")},
                                 .lane = m->request.lane,
                                 .send = m->request.attempt.send,
                                 .n = m->request.attempt.n,
                                 .channel = m->request.is_call ? CHANNEL_CALL : CHANNEL_SMS,
                                 .wire = th_str(wire_of(world, m)->name)},
    };
    char key[32];

    world_done(world);
    th_arena_reset(&world->scratch);
    event.as.callback_received.body.as.string = sim_wire_body(&report, &world->scratch);
    (void)snprintf(key, sizeof key, "%s/lane%d", m->request.tenant, m->request.lane);
    if (provider_status_is_final(callback.status))
        checks_told(world, m->number);
    if (provider_status_is_positive(callback.status))
        m->last = callback.status; /* whatever was said before */
    world_say(world, "provider calls back: message %lld is %s", (long long)m->number,
              provider_status_text(callback.status));
    world_append(world, TOPIC_PROVIDER_CALLBACKS, m->request.lane % SIM_PARTITIONS, th_str(key),
                 &event);
}

static void plan_callback(struct world *world, size_t message, enum provider_status status,
                          int64_t delay_us)
{
    struct provider *provider = world->provider;

    if (provider->callbacks_n == provider->callbacks_cap) {
        provider->callbacks_cap = provider->callbacks_cap ? 2 * provider->callbacks_cap : 256;
        provider->callbacks =
            reallocarray(provider->callbacks, provider->callbacks_cap, sizeof *provider->callbacks);
        assert(provider->callbacks);
    }
    provider->callbacks[provider->callbacks_n] = (struct callback){message, status};
    world_after_counted(world, delay_us, call_back, (int64_t)provider->callbacks_n++);
}

/* Where an attempt can be settled otherwise, no callback may help. */
static bool calls_back(struct world *world, int lane)
{
    switch (world_reconciliation(world, lane)) {
    case PROVIDER_CALLBACK:
        return true;
    case PROVIDER_LOOKUP:
        return rng_permille(&world->rng, 500);
    case PROVIDER_IDEMPOTENT:
    case PROVIDER_NONE:
        break;
    }
    return false;
}

/* Somebody was reached after all, it says, mostly later than it said the opposite. */
static void plan_contradiction(struct world *world, size_t message)
{
    bool is_call = world->provider->messages[message].request.is_call;

    coverage_trouble(TROUBLE_REPORT_TURNED);
    plan_callback(world, message, final_status(world, is_call, false),
                  rng_below(&world->rng, 4 * world->options.callback_max_us));
}

/* Chance decides whether and when each report comes, so that they overtake each other. */
static void plan_callbacks(struct world *world, size_t message)
{
    struct message *m = &world->provider->messages[message];
    const struct sim_odds *odds = &world->options.odds;
    enum provider_status way[] = {
        m->request.is_call ? PROVIDER_CALL_INITIATED : PROVIDER_SMS_QUEUED,
        m->request.is_call ? PROVIDER_CALL_RINGING : PROVIDER_SMS_SENT, m->last};

    for (size_t i = 0; i < TH_LEN(way); i++) {
        int64_t delay = rng_below(&world->rng, world->options.callback_max_us);
        if (rng_permille(&world->rng, odds->callback_late)) {
            coverage_trouble(TROUBLE_CALLBACK_LATE);
            delay *= 5;
        }
        if (way[i] == m->last)
            m->final_at_us = world_now(world) + delay;
        if (!calls_back(world, m->request.lane))
            continue;
        if (way[i] == m->last && !provider_status_is_positive(m->last) && odds->report_turns &&
            rng_permille(&world->rng, odds->report_turns))
            plan_contradiction(world, message);
        if (rng_permille(&world->rng, odds->callback_lost)) {
            coverage_trouble(TROUBLE_CALLBACK_LOST);
            continue;
        }
        plan_callback(world, message, way[i], delay);
        if (rng_permille(&world->rng, odds->callback_twice)) {
            coverage_trouble(TROUBLE_CALLBACK_TWICE);
            plan_callback(world, message, way[i],
                          delay + rng_below(&world->rng, world->options.callback_max_us));
        }
    }
}

bool provider_look_attempt(struct world *world, struct attempt_ref attempt, struct th_arena *arena,
                           struct provider_report *out)
{
    return provider_look(world, checks_line(world, attempt), arena, out);
}

bool provider_look(struct world *world, int64_t number, struct th_arena *arena,
                   struct provider_report *out)
{
    if (number < 0 || (size_t)number >= world->provider->executed_n)
        return false;
    const struct message *m = &world->provider->messages[world->provider->executed[number]];
    bool is_over = world_now(world) >= m->final_at_us;
    struct sim_report report = {is_over ? m->last : m->now, m->last_class, number};
    if (sim_wire_report(&report, arena, out) != TH_OK)
        return false;
    if (is_over)
        checks_told(world, number);
    if (is_over && rng_permille(&world->rng, 500)) {
        out->has_price = true;
        out->price = (struct th_money){830000, "INR"};
    }
    return true;
}

size_t provider_search(struct world *world, int lane, const char *phone, int64_t from_us,
                       int64_t to_us, struct th_arena *arena, struct provider_report *out,
                       size_t max)
{
    size_t ledger_n;
    const struct execution *ledger = checks_ledger(world, &ledger_n);
    int64_t utc_us = world_utc(world) - world_now(world);
    size_t n = 0;

    for (size_t i = 0; i < ledger_n && n < max; i++) {
        const struct execution *e = &ledger[i];
        int64_t at_us = utc_us + e->at_us;

        if (e->lane == lane && strcmp(e->phone, phone) == 0 && at_us >= from_us && at_us <= to_us)
            n += provider_look(world, (int64_t)i, arena, &out[n]);
    }
    return n;
}

/* --- requests
 * ----------------------------------------------------------------------------------------- */

static bool does_execute(enum fate fate)
{
    return fate == FATE_ACCEPTED || fate == FATE_ERROR_AFTER || fate == FATE_DROPPED_AFTER ||
           fate == FATE_WITHOUT_ID;
}

/* Numbers are given in the order of execution. */
static void remember(struct provider *provider, size_t message)
{
    if (provider->executed_n == provider->executed_cap) {
        provider->executed_cap = provider->executed_cap ? 2 * provider->executed_cap : 256;
        provider->executed =
            reallocarray(provider->executed, provider->executed_cap, sizeof *provider->executed);
        assert(provider->executed);
    }
    provider->executed[provider->executed_n++] = message;
}

static void execute(struct world *world, size_t message)
{
    struct message *m = &world->provider->messages[message];
    const struct sim_odds *odds = &world->options.odds;
    struct execution execution = {.attempt = m->request.attempt,
                                  .campaign = m->request.campaign,
                                  .lane = m->request.lane,
                                  .is_call = m->request.is_call,
                                  .at_us = world_now(world)};

    execution.is_negative = rng_permille(&world->rng, odds->report_fails);
    execution.is_transient =
        execution.is_negative && rng_permille(&world->rng, odds->report_transient);
    memcpy(execution.phone, m->request.phone, sizeof execution.phone);
    m->is_executed = true;
    m->now = m->request.is_call ? PROVIDER_CALL_RINGING : PROVIDER_SMS_SENT;
    m->last = final_status(world, m->request.is_call, execution.is_negative);
    m->last_class = PROVIDER_PERMANENT;
    if (execution.is_transient)
        m->last_class = m->last == PROVIDER_CALL_BUSY || m->last == PROVIDER_CALL_NO_ANSWER
                            ? PROVIDER_TRANSIENT_SLOW
                            : PROVIDER_TRANSIENT;
    m->number = checks_executed(world, &execution);
    remember(world->provider, message);
    plan_callbacks(world, message);
}

/* The request came before, under the same key: it is answered as that one was, and nobody is
 * called. */
static bool knows_key(struct world *world, struct message *m)
{
    int64_t line = checks_line(world, m->request.attempt);

    if (world_reconciliation(world, m->request.lane) != PROVIDER_IDEMPOTENT || line < 0)
        return false;
    m->number = line;
    coverage_trouble(TROUBLE_REPEAT_DROPPED);
    return true;
}

static struct call_answer answer_of(struct world *world, const struct message *m)
{
    struct call_answer answer = {.retry_after_us = -1};

    switch (m->fate) {
    case FATE_ACCEPTED:
        answer.result = PROVIDER_ACCEPTED;
        answer.reason = "";
        answer.http_status = 201;
        answer.number = m->number;
        break;
    case FATE_INVALID:
        answer.result = PROVIDER_REJECTED;
        answer.error_class = PROVIDER_PERMANENT;
        answer.reason = "invalid_number";
        answer.http_status = 400;
        break;
    case FATE_THROTTLED:
        answer.result = PROVIDER_THROTTLED;
        answer.error_class = PROVIDER_TRANSIENT;
        answer.reason = "throttled";
        answer.http_status = 429;
        if (rng_permille(&world->rng, 500))
            answer.retry_after_us = rng_between(&world->rng, 0, 3) * TH_US_PER_SEC;
        break;
    case FATE_ACCOUNT_REFUSED:
        answer.result = PROVIDER_REJECTED;
        answer.error_class = PROVIDER_ACCOUNT;
        answer.reason = "account_refused";
        answer.http_status = 401;
        answer.is_account_refused = true;
        break;
    case FATE_ERROR_BEFORE:
    case FATE_ERROR_AFTER:
        answer.result = PROVIDER_UNKNOWN;
        answer.error_class = PROVIDER_TRANSIENT;
        answer.reason = "server_error";
        answer.http_status = 500;
        break;
    case FATE_WITHOUT_ID:
        answer.result = PROVIDER_UNKNOWN;
        answer.reason = "accepted_without_id";
        answer.http_status = 201;
        answer.is_accepted_without_id = true;
        break;
    case FATE_DROPPED_BEFORE:
    case FATE_DROPPED_AFTER:
        answer.result = PROVIDER_UNKNOWN;
        answer.error_class = PROVIDER_TRANSIENT;
        answer.reason = "timeout";
        break;
    }
    return answer;
}

static void answer(struct world *world, int64_t arg)
{
    const struct message *m = &world->provider->messages[arg];
    struct call_answer a = answer_of(world, m);

    world_done(world);
    caller_answer(world, m->request.transfer, &a);
}

static void arrive(struct world *world, int64_t arg)
{
    struct message *m = &world->provider->messages[arg];
    bool is_dropped = m->fate == FATE_DROPPED_BEFORE || m->fate == FATE_DROPPED_AFTER;

    world_done(world);
    m->has_arrived = true;
    if (!m->is_lost && does_execute(m->fate) && !knows_key(world, m))
        execute(world, (size_t)arg);
    if (m->is_executed && world->has_faults &&
        rng_permille(&world->rng, world->options.odds.executed_twice))
        execute(world, (size_t)arg);
    world_after_counted(world,
                        is_dropped ? CALL_TIMEOUT_US
                                   : rng_below(&world->rng, world->options.latency_max_us + 1),
                        answer, arg);
}

static enum fate draw_fate(struct world *world, const struct sim_request *request)
{
    const struct sim_odds *odds = &world->options.odds;
    const struct {
        int permille;
        enum fate fate;
        enum trouble trouble;
    } fates[] = {{odds->throttled, FATE_THROTTLED, TROUBLE_THROTTLES},
                 {odds->account_refused, FATE_ACCOUNT_REFUSED, TROUBLE_REFUSES_ACCOUNT},
                 {odds->error_before, FATE_ERROR_BEFORE, TROUBLE_ERROR_BEFORE},
                 {odds->error_after, FATE_ERROR_AFTER, TROUBLE_ERROR_AFTER},
                 {odds->dropped_before, FATE_DROPPED_BEFORE, TROUBLE_DROPPED_BEFORE},
                 {odds->dropped_after, FATE_DROPPED_AFTER, TROUBLE_DROPPED_AFTER},
                 {odds->no_id, FATE_WITHOUT_ID, TROUBLE_TOOK_WITHOUT_ID}};

    for (size_t i = 0; world->has_faults && i < TH_LEN(fates); i++)
        if (rng_permille(&world->rng, fates[i].permille)) {
            coverage_trouble(fates[i].trouble);
            return fates[i].fate;
        }
    if (request->phone[4] != '1')
        return FATE_ACCEPTED;
    coverage_trouble(TROUBLE_REFUSES_NUMBER);
    return FATE_INVALID;
}

void provider_take(struct world *world, const struct sim_request *request)
{
    struct provider *provider = world->provider;

    if (provider->messages_n == provider->messages_cap) {
        provider->messages_cap = provider->messages_cap ? 2 * provider->messages_cap : 256;
        provider->messages =
            reallocarray(provider->messages, provider->messages_cap, sizeof *provider->messages);
        assert(provider->messages);
    }
    provider->messages[provider->messages_n] =
        (struct message){.request = *request, .fate = draw_fate(world, request)};
    world_after_counted(world, rng_below(&world->rng, world->options.way_max_us + 1), arrive,
                        (int64_t)provider->messages_n++);
}

void provider_sender_died(struct world *world, int64_t transfer)
{
    struct provider *provider = world->provider;

    for (size_t i = provider->messages_n; i-- > 0;)
        if (provider->messages[i].request.transfer == transfer) {
            if (!provider->messages[i].has_arrived)
                provider->messages[i].is_lost = rng_permille(&world->rng, 300);
            if (provider->messages[i].is_lost)
                coverage_trouble(TROUBLE_LOST_WITH_SENDER);
            return;
        }
}
