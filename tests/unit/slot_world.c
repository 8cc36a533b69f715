#include "tests/unit/slot_world.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

#include "tests/unit/failing_malloc.h"

#define QUEUE_MAX    WORLD_REQUESTS_MAX
#define SESSIONS_MAX 4096

/* --- chance ------------------------------------------------------------------------------------
 */

unsigned world_roll(struct world *world, unsigned n)
{
    world->rng += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = world->rng;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((x ^ (x >> 31)) % n);
}

static bool is_hit(struct world *world, unsigned of_1000)
{
    return of_1000 && world_roll(world, 1000) < of_1000;
}

static int64_t now_us(const struct world *world)
{
    return th_clock_realtime_us(&world->clock.clock);
}

/* --- the exchange: makes calls, and answers some time later
 * --------------------------------------- */

struct world_call {
    struct th_id send;
    bool is_made;
    bool is_void; /* its session went before it was made */
    int64_t due_us;
};

struct world_effects {
    struct effects effects; /* first */
    struct world *world;
    int slot;
    uint64_t session;
    uint64_t sessions[SESSIONS_MAX]; /* every one there was */
    size_t sessions_n;
    struct world_call calls[QUEUE_MAX];
    size_t calls_n;
};

static bool had_session(const struct world_effects *exchange, uint64_t session)
{
    for (size_t i = 0; exchange && i < exchange->sessions_n; i++)
        if (exchange->sessions[i] == session)
            return true;
    return false;
}

/* Nobody can be called any more by what that session announced: its process is dead, or it is this
 * one and has forgotten. */
static bool is_over(const struct world_effects *exchange, uint64_t session, struct th_id send)
{
    for (int i = 0; i < WORLD_RUNNERS; i++) {
        const struct world_effects *other = exchange->world->runners[i].effects;
        if (other != exchange && had_session(other, session))
            return false;
    }
    for (size_t i = 0; i < exchange->calls_n; i++)
        if (th_id_eq(exchange->calls[i].send, send))
            return false;
    return true;
}

static enum th_code exchange_ask(struct effects *effects, const struct effect *effect,
                                 struct th_arena *arena, struct answer *out)
{
    struct world_effects *exchange = (struct world_effects *)effects;
    struct world *world = exchange->world;

    world->asks++;
    if (effect->type == EFFECT_ASK_JOURNAL) {
        struct th_id send = effect->as.ask_journal.attempt.send;
        *out = (struct answer){.type = ANSWER_JOURNAL_TOLD,
                               .as.journal_told = {.attempt = effect->as.ask_journal.attempt}};
        out->as.journal_told.is_silent = is_over(exchange, effect->as.ask_journal.session, send) &&
                                         !world->calls[world_request_of(send)];
        return TH_OK;
    }
    assert_int_equal(effect->type, EFFECT_READ_RECIPIENT);
    assert_str_equal(effect->as.read_recipient.tenant, TH_STR("ngo"));
    *out = (struct answer){.type = ANSWER_RECIPIENT_READ,
                           .as.recipient_read = {.send = effect->as.read_recipient.send}};
    return th_arena_copy(arena, TH_STR("+911234567890"),
                         &out->as.recipient_read.row.phone.as.string);
}

static bool is_admitted(const struct log_record *record, const struct event *event,
                        struct th_id send)
{
    (void)record;
    return event->type == EVENT_SEND_NOTED && th_id_eq(event->as.send_noted.send, send);
}

struct search {
    struct th_id send;
    int found;
};

static void look_for(void *arg, const struct log_record *record, const struct event *event)
{
    struct search *search = arg;

    search->found += is_admitted(record, event, search->send);
}

static void exchange_run(struct effects *effects, const struct effect *effect,
                         int64_t commit_boot_us)
{
    struct world_effects *exchange = (struct world_effects *)effects;
    struct world *world = exchange->world;
    struct th_id send = effect->as.call.attempt.send;
    bool is_at_once = world_roll(world, 2) == 0;

    assert_int_equal(effect->type, EFFECT_CALL);
    assert_true(commit_boot_us <= th_clock_boottime_us(&world->clock.clock));
    if (world->odds.hold && !world->odds.fence && !world->odds.down && !world->odds.crash)
        assert_int_equal(commit_boot_us, world->begun_us[exchange->slot]);
    assert_str_equal(effect->as.call.to, TH_STR("+911234567890"));
    assert_true(exchange->session != 0);
    if (world->requests < 200) { /* what is called was announced durably before */
        struct search search = {.send = send};
        long left = mallocs_left;
        mallocs_left = -1;
        world_read(world, TOPIC_SEND_EVENTS, look_for, &search);
        mallocs_left = left;
        assert_int_equal(search.found, 1);
    }
    world->calls[world_request_of(send)] += is_at_once;
    exchange->calls[exchange->calls_n++] = (struct world_call){
        .send = send, .is_made = is_at_once, .due_us = now_us(world) + world_roll(world, 20000)};
}

static bool exchange_poll(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    struct world_effects *exchange = (struct world_effects *)effects;
    struct world *world = exchange->world;

    for (size_t i = 0; i < exchange->calls_n; i++) {
        struct world_call call = exchange->calls[i];
        if (call.due_us > now_us(world))
            continue;
        *out = (struct answer){.type = ANSWER_CALL_ENDED,
                               .as.call_ended = {.attempt = {call.send, 1}}};
        struct provider_outcome *outcome = &out->as.call_ended.outcome;
        if (th_arena_copy(arena, TH_STR("SM123"), &outcome->provider_id) != TH_OK)
            return false;
        world->calls[world_request_of(call.send)] += !call.is_made && !call.is_void;
        world->refused_calls += call.is_void;
        exchange->calls[i] = exchange->calls[--exchange->calls_n];
        outcome->result = call.is_void ? PROVIDER_NOT_SENT : PROVIDER_ACCEPTED;
        return true;
    }
    return false;
}

/* What was not made when its session went will not be made. */
static void exchange_session(struct effects *effects, uint64_t session)
{
    struct world_effects *exchange = (struct world_effects *)effects;

    exchange->session = session;
    if (session) {
        assert_true(exchange->sessions_n < SESSIONS_MAX);
        exchange->sessions[exchange->sessions_n++] = session;
    }
    for (size_t i = 0; i < exchange->calls_n; i++)
        exchange->calls[i].is_void = !exchange->calls[i].is_made;
}

static int exchange_fd(const struct effects *effects)
{
    (void)effects;
    return -1;
}

static const struct effects_ops exchange_ops = {
    .ask = exchange_ask,
    .run = exchange_run,
    .poll = exchange_poll,
    .fd = exchange_fd,
    .session = exchange_session,
};

/* --- making ----------------------------------------------------------------------------------- */

static enum memory_fate fate(void *arg, enum log_app app, int slot, uint64_t seq)
{
    struct world *world = arg;
    const struct world_odds *odds = &world->odds;

    (void)app;
    (void)seq;
    world->begun_us[slot] = th_clock_boottime_us(&world->clock.clock);
    if (is_hit(world, odds->abort))
        return MEMORY_ABORT;
    if (is_hit(world, odds->lost_committed))
        return MEMORY_LOST_COMMITTED;
    if (is_hit(world, odds->lost_aborted))
        return MEMORY_LOST_ABORTED;
    return is_hit(world, odds->hold) ? MEMORY_HOLD : MEMORY_COMMIT;
}

static void start(struct runner *runner)
{
    struct world *world = runner->world;

    runner->config =
        (struct toy_config){.process = ++world->processes, .nomem_per = world->odds.nomem_per};
    runner->effects = calloc(1, sizeof *runner->effects);
    runner->effects->effects.ops = &exchange_ops;
    runner->effects->world = world;
    runner->effects->slot = runner->slot;
    struct slot_config config = {
        .log = world->log,
        .clock = &world->clock.clock,
        .reference = world->ref,
        .core = world->core,
        .core_config = &runner->config,
        .effects = &runner->effects->effects,
        .slot = runner->slot,
        .slots = WORLD_SLOTS,
        .poll_us = 1000,
        .reopen_wait_us = 5000,
        .snapshot_bytes_min = world->snapshot_bytes_min,
    };
    assert_int_equal(slot_new(&config, &runner->is, NULL), TH_OK);
    runner->next_us = 0;
}

void world_init(struct world *world, uint64_t seed, const struct core_ops *core)
{
    *world = (struct world){.seed = seed, .rng = seed, .core = core, .snapshot_bytes_min = 1 << 30};
    th_virtual_clock_init(&world->clock, INT64_C(1800000000) * TH_US_PER_SEC);
    struct memory_log_options options = {
        .partitions = WORLD_PARTITIONS,
        .bytes_max = (size_t)256 << 20,
        .clock = &world->clock.clock,
        .seed = seed,
        .is_quiet = true,
        .fate = fate,
        .fate_arg = world,
    };
    assert_int_equal(memory_log_new(&options, &world->log, NULL), TH_OK);
    world->ref = reference_new();
    assert_int_equal(reference_follower_open(world->log, world->ref, &world->follower, NULL),
                     TH_OK);
    assert_int_equal(slot_init_cursors(world->log, core, WORLD_SLOTS, NULL), TH_OK);
}

void world_fini(struct world *world)
{
    for (int i = 0; i < WORLD_RUNNERS; i++) {
        slot_free(world->runners[i].is);
        free(world->runners[i].effects);
    }
    reference_follower_close(world->follower);
    reference_free(world->ref);
    th_log_close(world->log);
}

static struct runner *runner_at(struct world *world, int i)
{
    struct runner *runner = &world->runners[i];

    if (!runner->is) {
        runner->world = world;
        runner->slot = i % WORLD_SLOTS;
        start(runner);
    }
    return runner;
}

void world_crash(struct world *world, int i)
{
    struct runner *runner = runner_at(world, i);

    slot_crash(runner->is);
    runner->is = NULL;
    free(runner->effects);
    runner->effects = NULL;
    start(runner);
}

/* --- requests -----------------------------------------------------------------------------------
 */

struct th_id world_send(int request)
{
    struct th_id id = {.b = {(uint8_t)(request * 37)}};

    id.b[14] = (uint8_t)(request >> 8);
    id.b[15] = (uint8_t)request;
    return id;
}

int world_request_of(struct th_id send)
{
    return send.b[14] << 8 | send.b[15];
}

void world_append(struct world *world, enum topic topic, struct th_str key, struct th_str value)
{
    struct log_output output = {.topic = topic, .part = -1, .key = key, .value = value};

    assert_int_equal(th_log_append(world->log, &output, 1, NULL, NULL), TH_OK);
}

void world_request(struct world *world, enum channel channel)
{
    struct th_id send = world_send(world->requests);
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {.meta = {.tenant = TH_STR("ngo")}, .send = send, .channel = channel}};
    TH_AUTO(th_buf) struct th_buf value = {0};
    char text[TH_ID_TEXT_LEN + 1];
    char key[64];

    assert_true(world->requests < WORLD_REQUESTS_MAX);
    event.as.send_requested.meta.event_id = send;
    th_id_text(send, text);
    snprintf(key, sizeof key, "ngo/%s", text);
    assert_int_equal(event_encode(&event, &value), TH_OK);
    world_append(world, TOPIC_SEND_REQUESTS, th_str(key), th_buf_str(&value));
    world->requests++;
}

/* --- turns ------------------------------------------------------------------------------------ */

static void step(struct world *world, int i)
{
    struct runner *runner = runner_at(world, i);
    struct th_err err = {0};

    if (is_hit(world, world->odds.oom))
        mallocs_left = world_roll(world, 40);
    enum th_code code = slot_step(runner->is, &runner->next_us, &err);
    mallocs_left = -1;
    if (code == TH_CORRUPT && runner->next_us == INT64_MAX)
        fail_msg("seed %lu: %s", (unsigned long)world->seed, err.text);
}

void world_step(struct world *world, int i)
{
    for (int n = 0; n < 200; n++) {
        bool is_caught_up;
        assert_int_equal(reference_follower_step(world->follower, &is_caught_up, NULL), TH_OK);
        step(world, i);
        th_virtual_clock_advance(&world->clock, 1000);
    }
}

void world_step_all(struct world *world, int turns)
{
    for (int n = 0; n < turns; n++)
        for (int i = 0; i < WORLD_SLOTS; i++)
            world_step(world, i);
}

static void something_happens(struct world *world)
{
    const struct world_odds *odds = &world->odds;
    int i = (int)world_roll(world, world->has_rival ? WORLD_RUNNERS : WORLD_SLOTS);
    static const enum memory_fate ends[] = {MEMORY_COMMIT, MEMORY_ABORT, MEMORY_LOST_COMMITTED,
                                            MEMORY_LOST_ABORTED};

    if (is_hit(world, odds->fence))
        memory_log_fence(world->log, world->core->app, i % WORLD_SLOTS);
    if (is_hit(world, odds->crash))
        world_crash(world, i);
    memory_log_set_down(world->log, is_hit(world, odds->down) ? 1 + world_roll(world, 15) : 0);
    if (world_roll(world, 4) == 0)
        memory_log_settle(world->log, world->core->app, i % WORLD_SLOTS,
                          ends[odds->hold ? world_roll(world, TH_LEN(ends)) : 0]);
}

void world_turn(struct world *world)
{
    bool is_caught_up;
    struct th_err ignored = {0};

    something_happens(world);
    (void)!reference_follower_step(world->follower, &is_caught_up, &ignored);
    step(world, (int)world_roll(world, world->has_rival ? WORLD_RUNNERS : WORLD_SLOTS));
    th_virtual_clock_advance(&world->clock, world_roll(world, 2000));
}

static bool is_quiet(struct world *world)
{
    for (int i = 0; i < WORLD_SLOTS; i++) {
        struct runner *runner = runner_at(world, i);
        struct slot_status status = slot_status(runner->is);
        if (!status.is_open || slot_lag(&status) > 0 || runner->effects->calls_n)
            return false;
    }
    return true;
}

void world_settle(struct world *world)
{
    int quiet = 0;

    world->odds = (struct world_odds){0};
    for (int i = 0; i < WORLD_SLOTS; i++)
        runner_at(world, i)->config.nomem_per = 0;
    if (world->has_rival) { /* one owner is left in peace */
        slot_free(world->runners[WORLD_RUNNERS - 1].is);
        world->runners[WORLD_RUNNERS - 1].is = NULL;
        free(world->runners[WORLD_RUNNERS - 1].effects);
        world->runners[WORLD_RUNNERS - 1].effects = NULL;
        world->has_rival = false;
    }
    for (int turn = 0; quiet < 20; turn++) {
        if (turn > 20000)
            fail_msg("seed %lu: it does not come to rest", (unsigned long)world->seed);
        for (int i = 0; i < WORLD_SLOTS; i++) {
            memory_log_settle(world->log, world->core->app, i, MEMORY_COMMIT);
            world_turn(world);
        }
        th_virtual_clock_advance(&world->clock, 200000);
        quiet = is_quiet(world) ? quiet + 1 : 0;
    }
}

/* --- looking back -------------------------------------------------------------------------------
 */

void world_read(struct world *world, enum topic topic, world_visit *visit, void *arg)
{
    struct log_place from[WORLD_PARTITIONS];
    struct th_log_reader *reader;
    struct th_arena arena;
    struct th_arena scratch;
    struct log_records records = {0};

    for (int part = 0; part < WORLD_PARTITIONS; part++)
        from[part] = (struct log_place){topic, part, 0};
    memory_log_set_down(world->log, 0);
    th_arena_init(&arena, (size_t)64 << 20);
    th_arena_init(&scratch, (size_t)64 << 20);
    assert_int_equal(th_log_reader_open(world->log, from, WORLD_PARTITIONS, &reader, NULL), TH_OK);
    do {
        th_arena_reset(&arena);
        assert_int_equal(th_log_reader_read(reader, 1 << 20, &arena, &records, NULL), TH_OK);
        for (size_t i = 0; i < records.n; i++) {
            struct event event;
            bool is_event = event_decode(records.at[i].value, &scratch, &event, NULL) == TH_OK;
            visit(arg, &records.at[i], is_event ? &event : NULL);
            th_arena_reset(&scratch);
        }
    } while (records.n > 0);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    th_arena_fini(&scratch);
}

void world_save(struct world *world, struct th_buf *out)
{
    for (int i = 0; i < WORLD_SLOTS; i++)
        for (int part = i; part < WORLD_PARTITIONS; part += WORLD_SLOTS)
            for (int piece = 0; piece < world->core->pieces; piece++)
                assert_int_equal(
                    world->core->save(slot_core(world->runners[i].is), part, piece, out), TH_OK);
}

struct tally {
    struct world *world;
    int admitted[WORLD_REQUESTS_MAX];
    int released[WORLD_REQUESTS_MAX];
    int accepted[WORLD_REQUESTS_MAX];
    int not_sent[WORLD_REQUESTS_MAX];
    int unknown[WORLD_REQUESTS_MAX];
    int copied[WORLD_REQUESTS_MAX];
    int64_t moved;
};

static void tally_event(void *arg, const struct log_record *record, const struct event *event)
{
    struct tally *tally = arg;

    (void)record;
    assert_non_null(event);
    if (event->type == EVENT_SEND_ADMITTED)
        tally->admitted[world_request_of(event->as.send_admitted.send)]++;
    if (event->type == EVENT_SEND_NOTED)
        tally->released[world_request_of(event->as.send_noted.send)]++;
    if (event->type == EVENT_SEND_RELEASED)
        tally->copied[world_request_of(event->as.send_released.send)]++;
    if (event->type == EVENT_SENDS_MOVED)
        tally->moved += event->as.sends_moved.accepted;
    if (event->type != EVENT_SEND_ENDED)
        return;
    int request = world_request_of(event->as.send_ended.send);
    struct th_str reason = event->as.send_ended.reason;
    tally->accepted[request] += th_str_eq(reason, TH_STR("accepted"));
    tally->not_sent[request] += th_str_eq(reason, TH_STR("not_sent"));
    tally->unknown[request] += th_str_eq(reason, TH_STR("unknown"));
}

static void check_one(const struct tally *tally, int i, bool is_unknown_allowed)
{
    const struct world *world = tally->world;
    int ended = tally->accepted[i] + tally->not_sent[i] + tally->unknown[i];
    bool is_right =
        tally->admitted[i] == 1 && tally->copied[i] == 1 && tally->released[i] == 1 && ended == 1 &&
        world->calls[i] <= 1 && (!tally->accepted[i] || world->calls[i] == 1) &&
        (!tally->not_sent[i] || world->calls[i] == 0) && (!tally->unknown[i] || is_unknown_allowed);

    if (!is_right)
        fail_msg("seed %lu request %d: admitted %d copied %d released %d accepted %d not sent %d "
                 "unknown %d, called %d times",
                 (unsigned long)world->seed, i, tally->admitted[i], tally->copied[i],
                 tally->released[i], tally->accepted[i], tally->not_sent[i], tally->unknown[i],
                 world->calls[i]);
}

void world_check(struct world *world, bool is_unknown_allowed)
{
    struct tally *tally = calloc(1, sizeof *tally);

    tally->world = world;
    world_read(world, TOPIC_SEND_EVENTS, tally_event, tally);
    world_read(world, TOPIC_CAMPAIGN_PROGRESS, tally_event, tally);
    for (int i = 0; i < world->requests; i++)
        check_one(tally, i, is_unknown_allowed);
    assert_int_equal(tally->moved, world->requests);
    free(tally);
}
