#include "tests/simulation/world.h"

#include "tests/simulation/analyst.h"
#include "tests/simulation/caller.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/coverage.h"
#include "tests/simulation/journal.h"
#include "tests/simulation/people.h"
#include "tests/simulation/prose.h"
#include "tests/simulation/provider.h"
#include "tests/simulation/trouble.h"
#include "tests/simulation/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UTC_AT_START       (INT64_C(1767225600) * TH_US_PER_SEC) /* 2026-01-01 */
#define TRACE_LINES        400
#define LOG_BYTES_MIN      ((size_t)1 << 30)
#define LOG_BYTES_PER_SEND 16384
#define SCRATCH_MAX        ((size_t)64 << 20)
#define FOLLOW_MAX_US      (250 * TH_US_PER_MS)
#define REOPEN_WAIT_US     (50 * TH_US_PER_MS)
#define SETTLE_TURN_US     (500 * TH_US_PER_MS)
#define SETTLE_MAX_US      (60 * TH_US_PER_MIN)
#define QUIET_US           (3 * TH_US_PER_SEC)
#define START_WAIT_US      (10 * TH_US_PER_MS)

static const struct core_ops *const cores[SIM_APPS] = {
    [SIM_CAMPAIGN] = &campaign_core, [SIM_RETRY] = &retry_core, [SIM_DISPATCH] = &dispatch_core};

/* --- telling
 * ---------------------------------------------------------------------------------------------- */

static void say_line(struct world *world, const char *line)
{
    if (world->is_tracing)
        puts(line);
    char **slot = &world->trace[world->trace_n++ % TRACE_LINES];
    free(*slot);
    *slot = strdup(line);
}

void world_say(struct world *world, const char *fmt, ...)
{
    char line[512];
    int64_t now = world_now(world);
    int n = snprintf(line, sizeof line, "%4" PRId64 ".%06" PRId64 "  ", now / TH_US_PER_SEC,
                     now % TH_US_PER_SEC);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(line + n, sizeof line - (size_t)n, fmt, args);
    va_end(args);
    say_line(world, line);
    if (world->prose)
        prose_said(world, line + n);
}

void world_fail(struct world *world, const char *fmt, ...)
{
    size_t first = world->trace_n > TRACE_LINES ? world->trace_n - TRACE_LINES : 0;
    va_list args;

    fflush(stdout);
    if (!world->is_tracing)
        for (size_t i = first; i < world->trace_n; i++)
            fprintf(stderr, "%s\n", world->trace[i % TRACE_LINES]);
    fprintf(stderr, "\n");
    sim_options_print(&world->options, stderr);
    fprintf(stderr, "BROKEN: ");
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    exit(1);
}

/* --- time
 * ---------------------------------------------------------------------------------------------------
 */

int64_t world_now(const struct world *world)
{
    return th_clock_boottime_us(&world->clock.clock);
}

int64_t world_utc(const struct world *world)
{
    return UTC_AT_START + world_now(world);
}

void world_after(struct world *world, int64_t us, agenda_fn *fn, int64_t arg)
{
    agenda_add(&world->agenda, world_now(world) + us, rng_next(&world->rng), fn, arg);
}

void world_after_counted(struct world *world, int64_t us, agenda_fn *fn, int64_t arg)
{
    world->pending++;
    world_after(world, us, fn, arg);
}

void world_done(struct world *world)
{
    assert(world->pending > 0);
    world->pending--;
}

bool world_turn(struct world *world)
{
    struct agenda_item item;

    if (!agenda_pop(&world->agenda, &item))
        return false;
    if (item.due_us > world_now(world))
        th_virtual_clock_advance(&world->clock, item.due_us - world_now(world));
    item.fn(world, item.arg);
    return true;
}

void world_run_for(struct world *world, int64_t us)
{
    int64_t end = world_now(world) + us;

    while (world->agenda.n > 0 && world->agenda.at[0].due_us <= end)
        world_turn(world);
    th_virtual_clock_advance(&world->clock, end - world_now(world));
}

void world_run_until(struct world *world, bool (*done)(struct world *world), int64_t us,
                     const char *what)
{
    int64_t end = world_now(world) + us;

    while (!done(world)) {
        if (world_now(world) > end)
            world_fail(world, "waited %" PRId64 " s in vain until %s", us / TH_US_PER_SEC, what);
        world_turn(world);
    }
}

enum provider_reconciliation world_reconciliation(const struct world *world, int lane)
{
    for (int i = 0; i < world->options.lanes_n; i++)
        if (world->options.lanes[i].number == lane)
            return world->options.lanes[i].reconciliation;
    return PROVIDER_NONE;
}

struct th_id world_id(struct world *world)
{
    uint64_t n = ++world->ids;

    return th_id_derive(TH_PARTS(TH_STR("sim"), {(const char *)&n, sizeof n},
                                 {(const char *)&world->options.seed, sizeof(uint64_t)}));
}

const char *world_tenant(int tenant)
{
    return tenant ? "beta" : "alpha";
}

/* --- runners
 * ------------------------------------------------------------------------------------------------
 */

static void schedule(struct world *world, struct runner *runner, int64_t wait_us);

static void step(struct world *world, int64_t index)
{
    struct runner *runner = world->runners[index];
    struct th_err err = {0};
    int64_t next_us;

    if (!runner || runner->due_us != world_now(world))
        return; /* gone, or stepped since */
    runner->due_us = INT64_MAX;
    if (runner->process->is_frozen) {
        schedule(world, runner, 5 * TH_US_PER_MS);
        return;
    }
    int64_t boot = world_now(world);
    int64_t real = th_clock_realtime_us(&world->clock.clock);
    if (!runner->is_watching)
        clock_watch_init(&runner->watch, real, boot);
    runner->is_watching = true;
    int64_t believed = clock_watch_now_us(&runner->watch, real, boot);

    enum th_code code = slot_step(runner->slot, &next_us, &err);
    world->steps++;
    if (code != TH_OK)
        world_say(world, "process %d: %s", runner->process->number, err.text);
    if (next_us == INT64_MAX || code == TH_CORRUPT)
        world_fail(world, "a slot is stuck: %s", err.text);
    checks_step(world);
    int64_t jitter = rng_below(&world->rng, TH_US_PER_MS);
    schedule(world, runner, (next_us > believed ? next_us - believed : 0) + jitter);
}

static void schedule(struct world *world, struct runner *runner, int64_t wait_us)
{
    int64_t due_us = world_now(world) + wait_us;

    if (due_us >= runner->due_us)
        return;
    runner->due_us = due_us;
    world_after(world, wait_us, step, runner->index);
}

void world_wake(struct world *world, struct runner *runner)
{
    schedule(world, runner, rng_below(&world->rng, TH_US_PER_MS));
}

static void make_slot(struct world *world, struct runner *runner)
{
    const struct sim_options *o = &world->options;
    struct campaign_config campaign = CAMPAIGN_CONFIG_DEFAULT;
    struct retry_config retry = retry_config_default();
    struct dispatch_config dispatch = dispatch_config_default();
    struct th_err err = {0};

    campaign.look_ahead = o->look_ahead;
    campaign.ask_again_us = 50 * TH_US_PER_MS;
    retry.backoff_base_us = 200 * TH_US_PER_MS;
    retry.backoff_cap_us = 2 * TH_US_PER_SEC;
    retry.slow_wait_us = 3 * TH_US_PER_SEC;
    retry.report_wait_us = o->report_wait_us;
    retry.room_wait_us = 200 * TH_US_PER_MS;
    retry.behind_wait_us = 50 * TH_US_PER_MS;
    retry.lane_plans_free = o->lane_plans;
    retry.lane_plans_min =
        o->lane_plans < retry.lane_plans_min ? o->lane_plans : retry.lane_plans_min;
    dispatch.wires = sim_wires;
    dispatch.send_window_ms = (int32_t)(SEND_WINDOW_US / TH_US_PER_MS);
    dispatch.call_timeout_ms = (int32_t)(CALL_TIMEOUT_US / TH_US_PER_MS);
    dispatch.callback_window_call_us = dispatch.callback_window_sms_us = o->callback_window_us;
    dispatch.search_wait_us = 400 * TH_US_PER_MS;
    dispatch.price_wait_us = 300 * TH_US_PER_MS;
    dispatch.price_tries = 4;
    dispatch.report_wait_us = 2 * TH_US_PER_SEC;
    dispatch.behind_wait_us = 50 * TH_US_PER_MS;
    dispatch.probe_wait_us = 500 * TH_US_PER_MS;
    dispatch.window_min = 4;
    dispatch.open_max = 8;
    const void *configs[] = {
        [SIM_CAMPAIGN] = &campaign, [SIM_RETRY] = &retry, [SIM_DISPATCH] = &dispatch};
    static const size_t sizes[] = {[SIM_CAMPAIGN] = sizeof(struct campaign_config),
                                   [SIM_RETRY] = sizeof(struct retry_config),
                                   [SIM_DISPATCH] = sizeof(struct dispatch_config)};
    runner->config = malloc(sizes[runner->app]);
    assert(runner->config);
    memcpy(runner->config, configs[runner->app], sizes[runner->app]);
    runner->effects = runner->app == SIM_DISPATCH ? caller_new(world, runner)
                                                  : people_effects_new(world, runner->process);
    struct slot_config config = {
        .log = world->log,
        .clock = &world->clock.clock,
        .reference = runner->process->reference,
        .core = coverage_watch(cores[runner->app]),
        .core_config = runner->config,
        .effects = runner->effects,
        .slot = runner->slot_number,
        .slots = SIM_SLOTS,
        .poll_us = o->poll_us,
        .reopen_wait_us = REOPEN_WAIT_US,
        .snapshot_bytes_min = (size_t)o->snapshot_bytes_min,
    };
    if (slot_new(&config, &runner->slot, &err) != TH_OK)
        world_fail(world, "%s", err.text);
}

static struct runner *new_runner(struct world *world, struct process *process, int seat)
{
    struct runner *runner = calloc(1, sizeof *runner);

    assert(runner);
    *runner = (struct runner){.world = world,
                              .process = process,
                              .index = (int)world->runners_n,
                              .app = (enum sim_app)(seat / SIM_SLOTS),
                              .slot_number = seat % SIM_SLOTS,
                              .due_us = INT64_MAX};
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what it holds */
    world->runners = reallocarray(world->runners, world->runners_n + 1, sizeof(struct runner *));
    assert(world->runners);
    world->runners[world->runners_n++] = runner;
    make_slot(world, runner);
    world_wake(world, runner);
    return runner;
}

static void kill_runner(struct world *world, struct runner *runner)
{
    slot_crash(runner->slot);
    if (runner->app == SIM_DISPATCH)
        caller_free(runner->effects);
    else
        people_effects_free(runner->effects);
    world->runners[runner->index] = NULL;
    free(runner->config);
    free(runner);
}

/* --- processes
 * --------------------------------------------------------------------------------------------- */

static void follow(struct world *world, int64_t number)
{
    struct process *process = world->processes[number];
    struct th_err err = {0};
    bool is_caught_up;

    if (!process->is_alive)
        return;
    if (!process->is_frozen &&
        reference_follower_step(process->follower, &is_caught_up, &err) != TH_OK && !world->down)
        world_fail(world, "following: %s", err.text);
    world_after(world, rng_below(&world->rng, world->options.follow_max_us), follow, number);
}

struct process *world_start_process(struct world *world, unsigned seats)
{
    struct process *process = calloc(1, sizeof *process);
    struct th_err err = {0};

    if (world->processes_n == SIM_PROCESSES_MAX)
        world_fail(world, "too many processes");
    assert(process);
    *process = (struct process){.number = world->processes_n, .is_alive = true, .seats = seats};
    world->processes[world->processes_n++] = process;
    process->reference = reference_new();
    assert(process->reference);
    memory_log_set_down(world->log, 0);
    if (reference_follower_open(world->log, process->reference, &process->follower, &err) != TH_OK)
        world_fail(world, "%s", err.text);
    memory_log_set_down(world->log, world->down);
    for (int seat = 0; seat < SIM_SEATS; seat++) {
        if (!(seats & 1U << seat))
            continue;
        process->runners[seat] = new_runner(world, process, seat);
        world->owners[seat] = process;
    }
    world_say(world, "process %d starts, seats %02x", process->number, seats);
    follow(world, process->number);
    return process;
}

static void start_again(struct world *world, int64_t seats)
{
    unsigned free_seats = 0;

    world_done(world);
    for (int seat = 0; seat < SIM_SEATS; seat++)
        if (seats & 1 << seat && !world->owners[seat])
            free_seats |= 1U << seat;
    if (free_seats)
        world_start_process(world, free_seats);
}

void world_kill(struct world *world, struct process *process, int64_t after_us)
{
    unsigned seats = 0;

    if (!process->is_alive)
        return;
    process->is_alive = false;
    for (int seat = 0; seat < SIM_SEATS; seat++) {
        if (!process->runners[seat])
            continue;
        if (seat / SIM_SLOTS == SIM_DISPATCH)
            world->in_flight_at_kills += caller_in_flight(process->runners[seat]->effects);
        kill_runner(world, process->runners[seat]);
        process->runners[seat] = NULL;
        if (world->owners[seat] == process) {
            world->owners[seat] = NULL;
            seats |= 1U << seat;
        }
    }
    reference_follower_close(process->follower);
    reference_free(process->reference);
    process->follower = NULL;
    process->reference = NULL;
    world->kills++;
    world_say(world, "process %d is killed", process->number);
    if (seats && after_us >= 0)
        world_after_counted(world, after_us, start_again, seats);
}

static void kill_zombie(struct world *world, int64_t number)
{
    world_done(world);
    world_kill(world, world->processes[number], 20 * TH_US_PER_MS);
}

static void thaw(struct world *world, int64_t number)
{
    struct process *process = world->processes[number];

    world_done(world);
    if (!process->is_alive)
        return;
    process->is_frozen = false;
    world_say(world, "process %d goes on", number > 0 ? (int)number : 0);
    for (int seat = 0; seat < SIM_SEATS; seat++)
        if (process->runners[seat] && world->owners[seat] != process) {
            world_after_counted(world, rng_below(&world->rng, 300 * TH_US_PER_MS), kill_zombie,
                                number);
            return;
        }
}

void world_freeze(struct world *world, struct process *process, int64_t us, bool has_rival)
{
    process->is_frozen = true;
    coverage_trouble(has_rival ? TROUBLE_RIVALLED : TROUBLE_FROZEN);
    world_say(world, "process %d freezes%s", process->number, has_rival ? ", a rival comes" : "");
    world_after_counted(world, us, thaw, process->number);
    if (has_rival)
        world_start_process(world, process->seats);
}

struct process *world_owner(struct world *world, enum sim_app app, int slot)
{
    return world->owners[(int)app * SIM_SLOTS + slot];
}

const void *world_core(struct world *world, enum sim_app app, int slot)
{
    int seat = (int)app * SIM_SLOTS + slot;
    const struct process *process = world->owners[seat];

    return process && process->runners[seat] ? slot_core(process->runners[seat]->slot) : NULL;
}

/* --- commits
 * ---------------------------------------------------------------------------------------------- */

static const enum log_app apps[SIM_APPS] = {[SIM_CAMPAIGN] = LOG_APP_CAMPAIGN,
                                            [SIM_RETRY] = LOG_APP_RETRY,
                                            [SIM_DISPATCH] = LOG_APP_DISPATCH};

static enum memory_fate draw_fate(struct world *world)
{
    const struct sim_odds *odds = &world->options.odds;
    const struct {
        int permille;
        enum memory_fate fate;
        enum trouble trouble;
    } fates[] = {{odds->abort, MEMORY_ABORT, TROUBLE_COMMIT_ABORTED},
                 {odds->lost_committed, MEMORY_LOST_COMMITTED, TROUBLE_COMMIT_LOST_DONE},
                 {odds->lost_aborted, MEMORY_LOST_ABORTED, TROUBLE_COMMIT_LOST_UNDONE}};

    for (size_t i = 0; world->has_faults && i < TH_LEN(fates); i++)
        if (rng_permille(&world->rng, fates[i].permille)) {
            coverage_trouble(fates[i].trouble);
            return fates[i].fate;
        }
    return MEMORY_COMMIT;
}

static void let_go(struct world *world, int64_t seat)
{
    world_done(world);
    memory_log_settle(world->log, apps[seat / SIM_SLOTS], (int)(seat % SIM_SLOTS),
                      draw_fate(world));
    checks_step(world);
}

static enum memory_fate fate(void *arg, enum log_app app, int slot, uint64_t seq)
{
    struct world *world = arg;
    int seat = 0;

    (void)seq;
    if (!world->has_faults || !rng_permille(&world->rng, world->options.odds.hold))
        return draw_fate(world);
    while (apps[seat / SIM_SLOTS] != app || seat % SIM_SLOTS != slot)
        seat++;
    world_after_counted(world, rng_below(&world->rng, 200 * TH_US_PER_MS), let_go, seat);
    coverage_trouble(TROUBLE_COMMIT_HELD);
    return MEMORY_HOLD;
}

/* --- beginning
 * ---------------------------------------------------------------------------------------------- */

static size_t log_size(const struct world *world)
{
    size_t n = 0;

    for (int i = 0; i < world->options.campaigns_n; i++)
        n += (size_t)world->options.campaigns[i].audience;
    return LOG_BYTES_MIN + n * LOG_BYTES_PER_SEND;
}

static void open_log(struct world *world)
{
    struct th_err err = {0};
    struct memory_log_options options = {.partitions = SIM_PARTITIONS,
                                         .bytes_max = log_size(world),
                                         .clock = &world->clock.clock,
                                         .seed = rng_next(&world->rng),
                                         .is_quiet = true,
                                         .fate = fate,
                                         .fate_arg = world};

    if (memory_log_new(&options, &world->log, &err) != TH_OK)
        world_fail(world, "%s", err.text);
    for (int app = 0; app < SIM_APPS; app++)
        if (slot_init_cursors(world->log, cores[app], SIM_SLOTS, &err) != TH_OK)
            world_fail(world, "%s", err.text);
}

struct world *world_new(const struct sim_options *options, bool is_tracing)
{
    struct world *world = calloc(1, sizeof *world);

    assert(world);
    world->options = *options;
    world->is_tracing = is_tracing;
    world->rng.state = options->seed ^ UINT64_C(0x5eed) ^ (uint64_t)options->salt << 32;
    world->trace = calloc(TRACE_LINES, sizeof *world->trace);
    assert(world->trace);
    th_virtual_clock_init(&world->clock, UTC_AT_START);
    th_arena_init(&world->scratch, SCRATCH_MAX);
    open_log(world);
    world->provider = provider_new();
    world->transfers = transfers_new();
    world->journals = journals_new();
    people_new(world);
    for (int i = 0; i < options->campaigns_n; i++)
        world->campaigns[i] = (struct campaign_plan){world_id(world), world_id(world)};
    checks_new(world);
    coverage_pretend_unread(0);
    trouble_configure(world);
    if (!options->has_no_views)
        analyst_new(world);
    return world;
}

void world_free(struct world *world)
{
    if (!world)
        return;
    for (int i = 0; i < world->processes_n; i++) {
        world_kill(world, world->processes[i], -1);
        free(world->processes[i]);
    }
    analyst_free(world->analyst);
    checks_free(world->checks);
    people_free(world->people);
    provider_free(world->provider);
    transfers_free(world->transfers);
    journals_free(world->journals);
    agenda_fini(&world->agenda);
    world_forget_unsent(world);
    th_log_close(world->log);
    th_arena_fini(&world->scratch);
    for (size_t i = 0; i < TRACE_LINES; i++)
        free(world->trace[i]);
    free(world->trace);
    free(world->runners);
    free(world);
}

/* --- a whole run
 * ------------------------------------------------------------------------------------------------
 */

bool world_look(struct world *world, int campaign, struct campaign_counts *out)
{
    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        const void *core = world_core(world, SIM_CAMPAIGN, slot);
        if (core && campaign_look(core, world->campaigns[campaign].id, out))
            return true;
    }
    return false;
}

static bool has_ended(struct world *world, int campaign)
{
    struct campaign_counts counts;

    return world_look(world, campaign, &counts) &&
           (counts.phase == CAMPAIGN_COMPLETED || counts.phase == CAMPAIGN_CANCELLED);
}

static bool is_at_rest(struct world *world)
{
    if (world->pending > 0)
        return false;
    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        const void *retry = world_core(world, SIM_RETRY, slot);
        const void *dispatch = world_core(world, SIM_DISPATCH, slot);
        if (!retry || !dispatch || retry_live(retry) || dispatch_in_flight(dispatch) ||
            dispatch_waiting(dispatch))
            return false;
    }
    for (int i = 0; i < world->options.campaigns_n; i++)
        if (!has_ended(world, i))
            return false;
    return true;
}

/* As somebody has read it: an append that was repeated may have overtaken a later one. */
static bool is_stopped(const struct world *world, int tenant)
{
    const struct process *process = world->owners[0];

    if (!process)
        return false;
    const struct ref_tenant *known =
        reference_tenant(process->reference, th_str(world_tenant(tenant)));
    return known && known->is_stopped;
}

static bool is_switched_off(const struct world *world, int lane)
{
    const struct process *process = world->owners[0];
    const struct ref_lane *known =
        process ? reference_lane(process->reference, world->options.lanes[lane].number) : NULL;

    return known && !known->is_enabled;
}

/* Whoever commanded a pause or a stop takes it back. */
static void release_all(struct world *world)
{
    struct campaign_counts counts;

    for (int i = 0; i < world->options.tenants; i++)
        if (is_stopped(world, i))
            world_stop_tenant(world, i, false);
    for (int i = 0; i < world->options.lanes_n; i++)
        if (is_switched_off(world, i))
            world_enable_lane(world, i, true);
    for (int i = 0; i < world->options.campaigns_n; i++)
        if (world_look(world, i, &counts)) {
            if (counts.phase == CAMPAIGN_PAUSED || counts.phase == CAMPAIGN_PAUSING)
                world_command(world, i, SIM_RESUME);
            if (counts.phase == CAMPAIGN_DRAFT)
                world_command(world, i, SIM_START);
        }
}

static void report_unrest(struct world *world)
{
    struct campaign_counts c;

    for (int i = 0; i < world->options.campaigns_n; i++)
        if (world_look(world, i, &c))
            world_say(world,
                      "campaign %d is %s: requested %lld duplicates %lld open %lld accepted %lld "
                      "awaiting %lld unknown %lld suppressed %lld ended %lld asking %lld",
                      i, campaign_phase_name(c.phase), (long long)c.requested,
                      (long long)c.duplicates, (long long)c.open, (long long)c.accepted,
                      (long long)c.awaiting_report, (long long)c.unknown, (long long)c.suppressed,
                      (long long)c.ended, (long long)c.asking);
    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        const void *retry = world_core(world, SIM_RETRY, slot);
        const void *dispatch = world_core(world, SIM_DISPATCH, slot);
        world_say(world, "slot %d: retry %lld live, dispatch %lld in flight, %lld waiting", slot,
                  retry ? (long long)retry_live(retry) : -1,
                  dispatch ? (long long)dispatch_in_flight(dispatch) : -1,
                  dispatch ? (long long)dispatch_waiting(dispatch) : -1);
    }
    world_say(world, "%lld things pending", (long long)world->pending);
}

void world_settle(struct world *world)
{
    int64_t end = world_now(world) + SETTLE_MAX_US;

    world->has_faults = false;
    trouble_end(world);
    world_say(world, "no more faults");
    /* An owner that slept may yet find that it was fenced: at rest is who stays so for a while. */
    for (int64_t rest_us = 0; rest_us < QUIET_US; rest_us += SETTLE_TURN_US) {
        if (world_now(world) > end) {
            report_unrest(world);
            world_fail(world, "it does not come to rest");
        }
        release_all(world);
        world_run_for(world, SETTLE_TURN_US);
        if (!is_at_rest(world))
            rest_us = 0;
    }
    checks_step(world);
    checks_end(world);
    if (world->analyst)
        analyst_end(world);
}

void world_begin(struct world *world)
{
    int n = world->options.processes;

    world->has_faults = world->options.faults_us > 0;
    for (int i = 0; i < n; i++) {
        unsigned seats = 0;
        for (int seat = 0; seat < SIM_SEATS; seat++)
            if (seat * n / SIM_SEATS == i)
                seats |= 1U << seat;
        world_start_process(world, seats);
    }
    trouble_plan(world);
}

void world_run(struct world *world)
{
    world_begin(world);
    world_run_for(world, world->options.faults_us);
    world_settle(world);
}
