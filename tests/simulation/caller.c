#include "tests/simulation/caller.h"

#include "tests/simulation/checks.h"
#include "tests/simulation/coverage.h"

#include "tests/simulation/journal.h"
#include "tests/simulation/people.h"
#include "tests/simulation/provider.h"
#include "tests/simulation/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A call or a look-up that was committed, from then to its answer. */
struct transfer {
    struct caller *caller; /* NULL: its process is gone */
    bool is_lookup;
    bool is_repeat;
    bool has_left;
    bool is_over;
    uint64_t session;
    int64_t committed_us; /* when that was begun */
    struct attempt_ref attempt;
    int lane;
    bool is_call;
    bool has_campaign;
    struct th_id campaign;
    int64_t contact;
    int64_t send_by_us;
    int64_t number; /* looked up; -1: searched for by phone and time */
    int64_t started_us;
    char tenant[8];
    char phone[16];
};

struct caller {
    struct effects effects;
    struct world *world;
    struct runner *runner;
    uint64_t session;
    int64_t held_until_us;
    struct answered {
        size_t transfer;
        struct call_answer call;
    } * answers;
    size_t answers_n, answers_cap, answers_first;
};

/* All transfers of all callers, so that a number on the agenda names one for ever. */
struct transfers {
    struct transfer *at;
    size_t n, cap;
};

struct transfers *transfers_new(void)
{
    struct transfers *transfers = calloc(1, sizeof *transfers);

    assert(transfers);
    return transfers;
}

void transfers_free(struct transfers *transfers)
{
    if (transfers)
        free(transfers->at);
    free(transfers);
}

static size_t add_transfer(struct world *world, const struct transfer *transfer)
{
    struct transfers *all = world->transfers;

    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 256;
        all->at = reallocarray(all->at, all->cap, sizeof *all->at);
        assert(all->at);
    }
    all->at[all->n] = *transfer;
    return all->n++;
}

/* --- answers
 * -------------------------------------------------------------------------------------------- */

static void queue_answer(struct caller *caller, size_t transfer, const struct call_answer *answer)
{
    if (caller->answers_n == caller->answers_cap) {
        caller->answers_cap = caller->answers_cap ? 2 * caller->answers_cap : 64;
        caller->answers =
            reallocarray(caller->answers, caller->answers_cap, sizeof *caller->answers);
        assert(caller->answers);
    }
    caller->answers[caller->answers_n++] = (struct answered){transfer, *answer};
    world_wake(caller->world, caller->runner);
}

static void end(struct world *world, size_t i, const struct call_answer *answer)
{
    struct transfer *transfer = &world->transfers->at[i];

    if (transfer->is_over)
        return;
    transfer->is_over = true;
    if (transfer->caller)
        queue_answer(transfer->caller, i, answer);
}

void caller_answer(struct world *world, int64_t transfer, const struct call_answer *answer)
{
    end(world, (size_t)transfer, answer);
}

static void tell_call(struct world *world, const struct transfer *transfer,
                      const struct call_answer *call, struct th_arena *arena, struct answer *out)
{
    if (transfer->is_repeat && call->result != PROVIDER_ACCEPTED)
        checks_repeat_failed(world, transfer->attempt);
    *out = (struct answer){
        .type = transfer->is_repeat ? ANSWER_REPEAT_ENDED : ANSWER_CALL_ENDED,
        .as.call_ended = {.attempt = transfer->attempt,
                          .outcome = {.result = call->result,
                                      .error_class = call->error_class,
                                      .is_account_refused = call->is_account_refused,
                                      .is_accepted_without_id = call->is_accepted_without_id,
                                      .provider_code = TH_STR(""),
                                      .reason = th_str(call->reason),
                                      .retry_after_us = call->retry_after_us},
                          .http_status = call->http_status,
                          .call_us = world_now(world) - transfer->committed_us},
    };
    if (call->result == PROVIDER_ACCEPTED)
        out->as.call_ended.outcome.provider_id = sim_wire_id(call->number, arena);
}

#define SEARCH_MAX 4

static void tell_search(struct world *world, const struct transfer *transfer,
                        struct th_arena *arena, struct provider_lookup *out)
{
    out->reports = th_arena_array(arena, SEARCH_MAX, sizeof *out->reports);
    if (!out->reports)
        return;
    if (world_reconciliation(world, transfer->lane) == PROVIDER_LOOKUP) {
        out->n_reports = provider_look_attempt(world, transfer->attempt, arena, out->reports);
        out->result = out->n_reports ? PROVIDER_FOUND : PROVIDER_ABSENT;
        return;
    }
    out->n_reports = provider_search(
        world, transfer->lane, transfer->phone, transfer->started_us - DISPATCH_SEARCH_BEFORE_US,
        transfer->started_us + DISPATCH_SEARCH_AFTER_US, arena, out->reports, SEARCH_MAX);
    out->result = out->n_reports ? PROVIDER_FOUND : PROVIDER_ABSENT;
}

/* Too many of them wait, says the caller; here there is room for all. */
static bool is_put_off(struct world *world)
{
    bool is = world->has_faults && world->options.odds.put_off &&
              rng_permille(&world->rng, world->options.odds.put_off);

    if (is)
        coverage_trouble(TROUBLE_PUT_OFF);
    return is;
}

static void tell_lookup(struct world *world, const struct transfer *transfer,
                        struct th_arena *arena, struct answer *out)
{
    struct provider_report *report = th_arena_alloc(arena, sizeof *report);

    *out = (struct answer){
        .type = ANSWER_LOOKUP_ENDED,
        .as.lookup_ended = {.attempt = transfer->attempt,
                            .lookup = {.result = PROVIDER_ASK_AGAIN, .retry_after_us = -1}}};
    out->as.lookup_ended.is_put_off = is_put_off(world);
    if (!report || out->as.lookup_ended.is_put_off ||
        (world->has_faults && rng_permille(&world->rng, 200)))
        return;
    if (transfer->number < 0) {
        tell_search(world, transfer, arena, &out->as.lookup_ended.lookup);
        return;
    }
    if (!provider_look(world, transfer->number, arena, report)) {
        out->as.lookup_ended.lookup.result = PROVIDER_ABSENT;
        return;
    }
    out->as.lookup_ended.lookup.result = PROVIDER_FOUND;
    out->as.lookup_ended.lookup.reports = report;
    out->as.lookup_ended.lookup.n_reports = 1;
}

static bool poll_answer(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    struct caller *caller = (struct caller *)effects;

    if (caller->answers_first == caller->answers_n) {
        caller->answers_first = caller->answers_n = 0;
        return false;
    }
    const struct answered *answered = &caller->answers[caller->answers_first++];
    const struct transfer *transfer = &caller->world->transfers->at[answered->transfer];
    if (transfer->is_lookup)
        tell_lookup(caller->world, transfer, arena, out);
    else
        tell_call(caller->world, transfer, &answered->call, arena, out);
    return true;
}

/* --- leaving
 * --------------------------------------------------------------------------------------------- */

/* UTC as the process believes it. */
static int64_t believed_utc(const struct caller *caller)
{
    return caller->runner->watch.believed_us + world_now(caller->world);
}

/* The last check before the first byte; NULL: it may leave. */
static const char *refusal(const struct caller *caller, const struct transfer *transfer)
{
    struct world *world = caller->world;
    const struct reference *ref = caller->runner->process->reference;

    if (transfer->session != caller->session)
        return "permit";
    if (world_now(world) - transfer->committed_us >= SEND_WINDOW_US)
        return "window";
    const char *reason = dispatch_forbids(
        ref, th_str(transfer->tenant), transfer->has_campaign ? &transfer->campaign : NULL,
        transfer->contact, transfer->send_by_us, believed_utc(caller));
    if (reason)
        return reason;
    if (reference_is_opted_out(ref, transfer->contact))
        world_fail(world, "%s opted out, this process knows it, and may be called all the same",
                   transfer->phone);
    if (transfer->is_repeat)
        return NULL; /* its attempt is listed as unknown: there is nothing to prove */
    bool must_fail =
        world->has_faults && rng_permille(&world->rng, world->options.odds.journal_fails);
    if (must_fail)
        coverage_trouble(TROUBLE_JOURNAL_FAILS);
    return journal_write(world->journals, transfer->session, transfer->attempt, must_fail)
               ? NULL
               : "journal";
}

static int campaign_of(const struct world *world, const struct transfer *transfer)
{
    for (int i = 0; transfer->has_campaign && i < world->options.campaigns_n; i++)
        if (th_id_eq(world->campaigns[i].id, transfer->campaign))
            return i;
    return -1;
}

static void leave(struct world *world, size_t i)
{
    struct transfer *transfer = &world->transfers->at[i];
    struct sim_request request = {.attempt = transfer->attempt,
                                  .transfer = (int64_t)i,
                                  .lane = transfer->lane,
                                  .campaign = campaign_of(world, transfer),
                                  .is_call = transfer->is_call};

    memcpy(request.tenant, transfer->tenant, sizeof request.tenant);
    memcpy(request.phone, transfer->phone, sizeof request.phone);
    transfer->has_left = true;
    provider_take(world, &request);
}

static void try_to_leave(struct world *world, int64_t arg)
{
    struct transfer *transfer = &world->transfers->at[arg];
    struct caller *caller = transfer->caller;

    world_done(world);
    if (!caller)
        return;
    int64_t held_us = caller->held_until_us - world_now(world);
    if (caller->runner->process->is_frozen)
        held_us = 5 * TH_US_PER_MS;
    if (held_us > 0) {
        world_after_counted(world, held_us, try_to_leave, arg);
        return;
    }
    const char *reason = refusal(caller, transfer);
    if (world->has_faults && !reason &&
        rng_permille(&world->rng, world->options.odds.connect_fails)) {
        coverage_trouble(TROUBLE_NOT_CONNECTED);
        end(world, (size_t)arg,
            &(struct call_answer){.result = PROVIDER_NOT_SENT,
                                  .error_class = PROVIDER_TRANSIENT,
                                  .reason = "connect",
                                  .retry_after_us = -1});
        return;
    }
    if (reason) {
        world_say(world, "process %d does not call %s: %s", caller->runner->process->number,
                  transfer->phone, reason);
        end(world, (size_t)arg,
            &(struct call_answer){
                .result = PROVIDER_NOT_SENT, .reason = reason, .retry_after_us = -1});
        return;
    }
    leave(world, (size_t)arg);
}

/* A moment passes between commit and first byte; now and then a long one. */
static int64_t hesitation(struct world *world)
{
    if (world->has_faults && rng_permille(&world->rng, 20))
        return rng_below(&world->rng, 2 * SEND_WINDOW_US);
    return rng_below(&world->rng, 3 * TH_US_PER_MS);
}

static void copy(char *to, size_t size, struct th_str from)
{
    (void)snprintf(to, size, "%.*s", TH_ARG(from));
}

static void run_call(struct caller *caller, const struct effect_call *call, int64_t commit_boot_us,
                     bool is_repeat)
{
    struct transfer transfer = {.caller = caller,
                                .session = caller->session,
                                .is_repeat = is_repeat,
                                .committed_us = commit_boot_us,
                                .attempt = call->attempt,
                                .lane = call->lane,
                                .is_call = call->channel == CHANNEL_CALL,
                                .has_campaign = call->has_campaign,
                                .campaign = call->campaign,
                                .contact = call->contact,
                                .send_by_us = call->send_by_us};

    copy(transfer.tenant, sizeof transfer.tenant, call->tenant);
    copy(transfer.phone, sizeof transfer.phone, call->to);
    world_after_counted(caller->world, hesitation(caller->world), try_to_leave,
                        (int64_t)add_transfer(caller->world, &transfer));
}

static void look_up(struct world *world, int64_t arg)
{
    end(world, (size_t)arg, &(struct call_answer){.retry_after_us = -1});
}

/* Prices are asked for long after everything has ended: the world may rest meanwhile. */
static void run_lookup(struct caller *caller, const struct effect_lookup *lookup)
{
    struct transfer transfer = {.caller = caller,
                                .is_lookup = true,
                                .committed_us = world_now(caller->world),
                                .attempt = lookup->attempt,
                                .lane = lookup->lane,
                                .number = -1,
                                .started_us = lookup->started_us};
    char text[24];

    copy(text, sizeof text, lookup->provider_id);
    copy(transfer.phone, sizeof transfer.phone, lookup->to);
    if (text[0] && sscanf(text, "SIM%" SCNd64, &transfer.number) != 1)
        world_fail(caller->world, "a look-up of '%s'", text);
    world_after(caller->world,
                rng_below(&caller->world->rng, caller->world->options.latency_max_us), look_up,
                (int64_t)add_transfer(caller->world, &transfer));
}

/* --- the table of effects
 * ------------------------------------------------------------------------------- */

static enum th_code ask(struct effects *effects, const struct effect *effect,
                        struct th_arena *arena, struct answer *out)
{
    struct caller *caller = (struct caller *)effects;

    (void)arena;
    if (effect->type != EFFECT_ASK_JOURNAL)
        world_fail(caller->world, "dispatch asks an effect of type %d", (int)effect->type);
    *out = (struct answer){
        .type = ANSWER_JOURNAL_TOLD,
        .as.journal_told = {.attempt = effect->as.ask_journal.attempt,
                            .is_silent = journal_is_silent(
                                caller->world->journals, caller->runner->process, caller->session,
                                effect->as.ask_journal.session, effect->as.ask_journal.attempt)},
    };
    return TH_OK;
}

static void run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    struct caller *caller = (struct caller *)effects;

    switch (effect->type) {
    case EFFECT_CALL:
        run_call(caller, &effect->as.call, commit_boot_us, false);
        return;
    case EFFECT_REPEAT:
        run_call(caller, &effect->as.call, commit_boot_us, true);
        return;
    case EFFECT_LOOKUP:
        run_lookup(caller, &effect->as.lookup);
        return;
    case EFFECT_DROP_JOURNAL:
        journal_drop(caller->world->journals, caller->runner->slot_number,
                     effect->as.drop_journal.keep);
        return;
    case EFFECT_OPEN_AUDIENCE:
    case EFFECT_READ_PART:
    case EFFECT_READ_RECIPIENT:
    case EFFECT_ASK_JOURNAL:
        break;
    }
    world_fail(caller->world, "dispatch runs an effect of type %d", (int)effect->type);
}

static int no_fd(const struct effects *effects)
{
    (void)effects;
    return -1;
}

static void session(struct effects *effects, uint64_t number)
{
    struct caller *caller = (struct caller *)effects;

    caller->session = number;
    if (number)
        journal_open(caller->world->journals, caller->runner->process, caller->runner->slot_number,
                     number);
}

static const struct effects_ops caller_ops = {
    .ask = ask, .run = run, .poll = poll_answer, .fd = no_fd, .session = session};

struct effects *caller_new(struct world *world, struct runner *runner)
{
    struct caller *caller = calloc(1, sizeof *caller);

    assert(caller);
    *caller = (struct caller){.effects = {&caller_ops}, .world = world, .runner = runner};
    return &caller->effects;
}

void caller_free(struct effects *effects)
{
    struct caller *caller = (struct caller *)effects;
    struct transfers *all = caller->world->transfers;

    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i].caller != caller)
            continue;
        all->at[i].caller = NULL;
        if (all->at[i].has_left && !all->at[i].is_over)
            provider_sender_died(caller->world, (int64_t)i);
    }
    free(caller->answers);
    free(caller);
}

int caller_in_flight(const struct effects *effects)
{
    const struct caller *caller = (const struct caller *)effects;
    const struct transfers *all = caller->world->transfers;
    int n = 0;

    for (size_t i = 0; i < all->n; i++)
        n += all->at[i].caller == caller && !all->at[i].is_lookup && !all->at[i].is_over;
    return n;
}

void caller_hold(struct effects *effects, int64_t us)
{
    struct caller *caller = (struct caller *)effects;

    caller->held_until_us = world_now(caller->world) + us;
}
