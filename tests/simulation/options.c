#include "tests/simulation/options.h"

#include "common/clock.h"
#include "tests/simulation/rng.h"

#include <stddef.h>
#include <string.h>

void sim_options_quiet(uint64_t seed, int n, struct sim_options *out)
{
    memset(out, 0, sizeof *out);
    *out = (struct sim_options){
        .seed = seed,
        .tenants = 1,
        .lanes_n = 1,
        .lanes = {{.number = 1, .weight = 1, .reconciliation = PROVIDER_CALLBACK}},
        .campaigns_n = 1,
        .campaigns = {{.audience = n, .part_rows = 50, .attempts_max = 4}},
        .processes = 1,
        .way_max_us = 5 * TH_US_PER_MS,
        .latency_max_us = 20 * TH_US_PER_MS,
        .callback_max_us = 200 * TH_US_PER_MS,
        .callback_window_us = 60 * TH_US_PER_SEC,
        .report_wait_us = 5 * TH_US_PER_SEC,
        .poll_us = 5 * TH_US_PER_MS,
        .follow_max_us = 250 * TH_US_PER_MS,
        .look_ahead = 1000,
        .lane_plans = 4096,
        .snapshot_bytes_min = 1 << 20,
    };
}

void sim_options_lanes(int n, struct sim_options *out)
{
    sim_options_quiet(1, n, out);
    out->campaigns[0].part_rows = 1000;
    out->campaigns[0].allow_duplicates = true;
    out->lanes_n = 2;
    out->lanes[0] = (struct sim_lane){
        .number = 1, .weight = 2, .rate_per_s = 10, .reconciliation = PROVIDER_CALLBACK};
    out->lanes[1] =
        (struct sim_lane){.number = 5, .weight = 98, .reconciliation = PROVIDER_CALLBACK};
    out->look_ahead = 8000;
    out->lane_plans = 4096;
    out->has_no_views = true;
    out->snapshot_bytes_min = 8 << 20;
}

void sim_options_paced(int n, int pace_per_min, struct sim_options *out)
{
    sim_options_quiet(1, n, out);
    out->campaigns[0].part_rows = 1000;
    out->campaigns[0].pace_per_min = pace_per_min;
    out->campaigns[0].is_call = true;
    out->processes = 3;
    out->poll_us = 20 * TH_US_PER_MS;
    out->has_no_views = true;
    out->snapshot_bytes_min = 1 << 20;
    out->faults_us = TH_US_PER_SEC; /* in which it begins; they go on until it is released */
    out->fault_every_us = 60 * TH_US_PER_SEC;
    out->odds.kill = 200;
    out->odds.freeze = 100;
    out->odds.throttled = 10;
    out->odds.report_fails = 50;
    out->odds.report_transient = 500;
}

/* Often none, sometimes some, rarely many. */
static int some(struct rng *rng, int most)
{
    switch (rng_below(rng, 4)) {
    case 0:
    case 1:
        return 0;
    case 2:
        return (int)rng_below(rng, most / 4 + 1);
    default:
        return (int)rng_below(rng, most + 1);
    }
}

static enum provider_reconciliation draw_reconciliation(struct rng *rng)
{
    static const enum provider_reconciliation some_of[] = {
        PROVIDER_CALLBACK, PROVIDER_CALLBACK, PROVIDER_CALLBACK,   PROVIDER_LOOKUP,
        PROVIDER_LOOKUP,   PROVIDER_NONE,     PROVIDER_IDEMPOTENT, PROVIDER_IDEMPOTENT};

    return some_of[rng_below(rng, (int64_t)(sizeof some_of / sizeof some_of[0]))];
}

static void draw_lanes(struct rng *rng, struct sim_options *out)
{
    int first = (int)rng_between(rng, 1, 4);
    int second = first + (int)rng_between(rng, 1, 4);
    int third = second + (int)rng_between(rng, 1, 4);

    out->tenants = rng_permille(rng, 300) ? 2 : 1;
    out->lanes_n = (int)rng_between(rng, out->tenants, 3);
    for (int i = 0; i < out->lanes_n; i++)
        out->lanes[i] = (struct sim_lane){
            .number = i == 0   ? first
                      : i == 1 ? second
                               : third,
            .tenant = i % out->tenants,
            .weight = (int)rng_between(rng, 1, 5),
            .rate_per_s = rng_permille(rng, 400) ? (int)rng_between(rng, 5, 60) : 0,
            .concurrency = rng_permille(rng, 300) ? (int)rng_between(rng, 1, 8) : 0,
            .reconciliation = draw_reconciliation(rng),
        };
}

static void draw_campaigns(struct rng *rng, struct sim_options *out)
{
    out->campaigns_n = rng_permille(rng, 300) ? 2 : 1;
    for (int i = 0; i < out->campaigns_n; i++) {
        int n = (int)(rng_permille(rng, 20) ? rng_between(rng, 200, 400) : rng_between(rng, 5, 45));
        out->campaigns[i] = (struct sim_campaign){
            .tenant = i % out->tenants,
            .audience = n,
            .part_rows = (int)rng_between(rng, 3, 50),
            .pace_per_min = rng_permille(rng, 300) ? (int)rng_between(rng, 20, 400) : 0,
            .is_call = rng_permille(rng, 500),
            .allow_duplicates = rng_permille(rng, 300),
            .attempts_max = (int)rng_between(rng, 1, 5),
            .is_at_least_once = rng_permille(rng, 150),
            .opens_min = rng_permille(rng, 100) ? 1 : 0,
        };
    }
}

static void draw_odds(struct rng *rng, struct sim_odds *odds)
{
    *odds = (struct sim_odds){
        .abort = some(rng, 60),
        .lost_committed = some(rng, 40),
        .lost_aborted = some(rng, 40),
        .hold = some(rng, 150),
        .kill = some(rng, 300),
        .freeze = some(rng, 150),
        .fence = some(rng, 100),
        .down = some(rng, 150),
        .jump = some(rng, 60),
        .reboot = some(rng, 20),
        .connect_fails = some(rng, 60),
        .throttled = some(rng, 120),
        .error_before = some(rng, 50),
        .error_after = some(rng, 50),
        .dropped_before = some(rng, 50),
        .dropped_after = some(rng, 50),
        .account_refused = some(rng, 4),
        .no_id = some(rng, 40),
        .report_fails = some(rng, 300),
        .report_transient = (int)rng_below(rng, 1001),
        .callback_twice = some(rng, 300),
        .callback_late = some(rng, 200),
        .unavailable = some(rng, 100),
        .journal_fails = some(rng, 20),
        .invalid_number = some(rng, 200),
    };
}

/* A final no can be taken back only where it is said, and matters only where a call follows it. */
static void draw_turns(struct rng *rng, struct sim_odds *odds)
{
    if (!rng_permille(rng, 150))
        return;
    odds->report_turns = (int)rng_between(rng, 100, 800);
    odds->report_fails = (int)rng_between(rng, 200, 700);
    odds->report_transient = (int)rng_between(rng, 500, 1000);
}

void sim_options_of_seed(uint64_t seed, struct sim_options *out)
{
    struct rng rng = {seed};

    sim_options_quiet(seed, 0, out);
    draw_lanes(&rng, out);
    draw_campaigns(&rng, out);
    draw_odds(&rng, &out->odds);
    out->shared_numbers = some(&rng, 300);
    out->api_sends = some(&rng, 12);
    out->commands = some(&rng, 14);
    out->processes = (int)((const int[]){1, 1, 3, 6}[rng_below(&rng, 4)]);
    out->faults_us = rng_between(&rng, 1, 12) * TH_US_PER_SEC;
    out->fault_every_us = rng_between(&rng, 20, 800) * TH_US_PER_MS;
    out->way_max_us = rng_between(&rng, 1, 200) * TH_US_PER_MS;
    out->latency_max_us = rng_between(&rng, 1, 400) * TH_US_PER_MS;
    out->callback_max_us = rng_between(&rng, 1, 3000) * TH_US_PER_MS;
    out->poll_us = rng_between(&rng, 2, rng_permille(&rng, 300) ? 60 : 10) * TH_US_PER_MS;
    out->follow_max_us = rng_between(&rng, 5, 250) * TH_US_PER_MS;
    out->look_ahead = rng_permille(&rng, 500) ? 1000 : rng_between(&rng, 1, 20);
    out->lane_plans = rng_permille(&rng, 500) ? 4096 : (int)rng_between(&rng, 2, 20);
    out->snapshot_bytes_min =
        rng_permille(&rng, 500) ? 1 << 20 : (int)rng_between(&rng, 500, 20000);
    if (rng_permille(&rng, 250)) { /* callbacks may be lost only where nobody waits long for them */
        out->odds.callback_lost = (int)rng_between(&rng, 1, 300);
        out->callback_window_us = rng_between(&rng, 1, 8) * TH_US_PER_SEC;
    }
    out->pace_changes = some(&rng, 8);
    draw_turns(&rng, &out->odds);
    out->odds.behind = some(&rng, 200);
    out->odds.put_off = some(&rng, 300);
}

#define KNOB(name, field, least)                                                                   \
    {                                                                                              \
        name, offsetof(struct sim_options, field), sizeof(((struct sim_options *)NULL)->field),    \
            least                                                                                  \
    }

static const struct knob {
    const char *name;
    size_t offset;
    size_t size; /* of an int or an int64_t */
    int64_t least;
} knobs[] = {
    KNOB("salt", salt, 0),
    KNOB("campaigns", campaigns_n, 1),
    KNOB("api_sends", api_sends, 0),
    KNOB("commands", commands, 0),
    KNOB("pace_changes", pace_changes, 0),
    KNOB("audience", campaigns[0].audience, 1),
    KNOB("reboot", odds.reboot, 0),
    KNOB("jump", odds.jump, 0),
    KNOB("down", odds.down, 0),
    KNOB("fence", odds.fence, 0),
    KNOB("freeze", odds.freeze, 0),
    KNOB("kill", odds.kill, 0),
    KNOB("abort", odds.abort, 0),
    KNOB("lost_committed", odds.lost_committed, 0),
    KNOB("lost_aborted", odds.lost_aborted, 0),
    KNOB("hold", odds.hold, 0),
    KNOB("connect_fails", odds.connect_fails, 0),
    KNOB("throttled", odds.throttled, 0),
    KNOB("error_before", odds.error_before, 0),
    KNOB("error_after", odds.error_after, 0),
    KNOB("dropped_before", odds.dropped_before, 0),
    KNOB("dropped_after", odds.dropped_after, 0),
    KNOB("account_refused", odds.account_refused, 0),
    KNOB("no_id", odds.no_id, 0),
    KNOB("report_fails", odds.report_fails, 0),
    KNOB("report_turns", odds.report_turns, 0),
    KNOB("callback_lost", odds.callback_lost, 0),
    KNOB("callback_twice", odds.callback_twice, 0),
    KNOB("callback_late", odds.callback_late, 0),
    KNOB("unavailable", odds.unavailable, 0),
    KNOB("journal_fails", odds.journal_fails, 0),
    KNOB("behind", odds.behind, 0),
    KNOB("put_off", odds.put_off, 0),
    KNOB("executed_twice", odds.executed_twice, 0),
    KNOB("invalid_number", odds.invalid_number, 0),
    KNOB("shared_numbers", shared_numbers, 0),
    KNOB("processes", processes, 1),
    KNOB("pace", campaigns[0].pace_per_min, 0),
    KNOB("audience2", campaigns[1].audience, 1),
    KNOB("pace2", campaigns[1].pace_per_min, 0),
    KNOB("faults_us", faults_us, 1000000),
};

bool sim_options_set_all(struct sim_options *options, const char *sets)
{
    char text[SIM_SETS_MAX];
    char *rest = text;
    char *set;

    if (snprintf(text, sizeof text, "%s", sets) >= (int)sizeof text)
        return false;
    while ((set = strsep(&rest, ",")))
        if (*set && !sim_options_set(options, set))
            return false;
    return true;
}

const char *sim_options_knob(size_t i, int64_t *out_least)
{
    if (i >= sizeof knobs / sizeof knobs[0])
        return NULL;
    *out_least = knobs[i].least;
    return knobs[i].name;
}

int64_t sim_options_value(const struct sim_options *options, size_t knob)
{
    const char *at = (const char *)options + knobs[knob].offset;
    int64_t wide;
    int narrow;

    memcpy(&wide, at, knobs[knob].size == sizeof wide ? sizeof wide : 0);
    memcpy(&narrow, at, sizeof narrow);
    return knobs[knob].size == sizeof wide ? wide : narrow;
}

static void set_knob(struct sim_options *options, const struct knob *knob, int64_t value)
{
    char *at = (char *)options + knob->offset;
    int narrow = (int)value;

    if (knob->size == sizeof value)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

bool sim_options_set(struct sim_options *options, const char *text)
{
    const char *value = strchr(text, '=');
    long long number;
    char rest;

    if (!value || sscanf(value + 1, "%lld%c", &number, &rest) != 1 || number > INT32_MAX)
        return false;
    for (size_t i = 0; i < sizeof knobs / sizeof knobs[0]; i++)
        if (strlen(knobs[i].name) == (size_t)(value - text) &&
            memcmp(knobs[i].name, text, (size_t)(value - text)) == 0 && number >= knobs[i].least) {
            set_knob(options, &knobs[i], number);
            return true;
        }
    return false;
}

static void print_odds(const struct sim_odds *o, FILE *to)
{
    fprintf(to,
            "  commits: abort %d lost_committed %d lost_aborted %d hold %d\n"
            "  faults: kill %d freeze %d fence %d down %d jump %d reboot %d\n"
            "  provider: connect %d throttled %d 5xx_before %d 5xx_after %d dropped_before %d "
            "dropped_after %d account %d no_id %d report_fails %d transient %d turns %d\n"
            "  callbacks: lost %d twice %d late %d; unavailable %d journal %d invalid %d behind %d "
            "put_off %d\n",
            o->abort, o->lost_committed, o->lost_aborted, o->hold, o->kill, o->freeze, o->fence,
            o->down, o->jump, o->reboot, o->connect_fails, o->throttled, o->error_before,
            o->error_after, o->dropped_before, o->dropped_after, o->account_refused, o->no_id,
            o->report_fails, o->report_transient, o->report_turns, o->callback_lost,
            o->callback_twice, o->callback_late, o->unavailable, o->journal_fails,
            o->invalid_number, o->behind, o->put_off);
}

void sim_options_print(const struct sim_options *o, FILE *to)
{
    fprintf(to, "seed %llu: %d tenants, %d processes, faults for %lld ms every %lld ms\n",
            (unsigned long long)o->seed, o->tenants, o->processes, (long long)(o->faults_us / 1000),
            (long long)(o->fault_every_us / 1000));
    for (int i = 0; i < o->campaigns_n; i++)
        fprintf(to, "  campaign %d: tenant %d, %d %s, parts of %d, pace %d, attempts %d%s%s%s\n", i,
                o->campaigns[i].tenant, o->campaigns[i].audience,
                o->campaigns[i].is_call ? "calls" : "messages", o->campaigns[i].part_rows,
                o->campaigns[i].pace_per_min, o->campaigns[i].attempts_max,
                o->campaigns[i].allow_duplicates ? ", duplicates allowed" : "",
                o->campaigns[i].is_at_least_once ? ", at least once" : "",
                o->campaigns[i].opens_min ? ", opens later" : "");
    for (int i = 0; i < o->lanes_n; i++)
        fprintf(to, "  lane %d: tenant %d, weight %d, rate %d, concurrency %d, class %c\n",
                o->lanes[i].number, o->lanes[i].tenant, o->lanes[i].weight, o->lanes[i].rate_per_s,
                o->lanes[i].concurrency, "ILC0"[o->lanes[i].reconciliation]);
    fprintf(to,
            "  api sends %d, commands %d, changes of pace %d, shared numbers %d, look-ahead %lld, "
            "lane plans %d, "
            "snapshots from %d bytes\n"
            "  way %lld ms, latency %lld ms, callbacks %lld ms, window %lld ms\n",
            o->api_sends, o->commands, o->pace_changes, o->shared_numbers, (long long)o->look_ahead,
            o->lane_plans, o->snapshot_bytes_min, (long long)(o->way_max_us / 1000),
            (long long)(o->latency_max_us / 1000), (long long)(o->callback_max_us / 1000),
            (long long)(o->callback_window_us / 1000));
    print_odds(&o->odds, to);
}
