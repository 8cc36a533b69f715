/* The stories in which somebody could be skipped, called twice, or kept waiting for ever: each is
 * played on several seeds, and everything that checks.h promises is held against it. */
#include "tests/simulation/caller.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/world.h"
#include "tests/unit/test.h"

#define SEATS_CAMPAIGN 0x03U
#define SEATS_RETRY    0x0cU
#define SEATS_DISPATCH 0x30U
#define SEATS_ALL      0x3fU
#define MS             TH_US_PER_MS
#define SECOND         TH_US_PER_SEC
#define SEEDS          8

/* --- what a story waits for
 * ----------------------------------------------------------------------------------- */

static int64_t wanted; /* of what is counted */

static size_t executed(const struct world *world)
{
    size_t n;

    (void)checks_ledger(world, &n);
    return n;
}

static bool has_executed(struct world *world)
{
    return (int64_t)executed(world) >= wanted;
}

static bool has_started(struct world *world)
{
    return checks_count(world, SIM_STARTED) >= wanted;
}

static bool has_planned(struct world *world)
{
    return checks_count(world, SIM_PLANNED) >= wanted;
}

static bool has_requested(struct world *world)
{
    return checks_count(world, SIM_RELEASES) >= wanted;
}

static bool is_asking(struct world *world)
{
    struct campaign_counts counts;

    return world_look(world, 0, &counts) && counts.asking >= wanted;
}

static bool is_dispatch_open(struct world *world)
{
    return world_core(world, SIM_DISPATCH, 0) && world_core(world, SIM_DISPATCH, 1);
}

static void wait_for(struct world *world, bool (*done)(struct world *world), int64_t n,
                     const char *what)
{
    wanted = n;
    world_run_until(world, done, 60 * SECOND, what);
}

static size_t waiting(struct world *world)
{
    size_t n = 0;

    for (int slot = 0; slot < SIM_SLOTS; slot++) {
        const void *core = world_core(world, SIM_DISPATCH, slot);
        n += core ? dispatch_waiting(core) : 0;
    }
    return n;
}

/* --- telling one
 * --------------------------------------------------------------------------------------------- */

struct cast {
    struct process *campaign, *retry, *dispatch;
};

/* Three processes, the first campaign created and started. */
static struct world *begin(const struct sim_options *options, struct cast *cast)
{
    struct world *world = world_new(options, false);

    cast->campaign = world_start_process(world, SEATS_CAMPAIGN);
    cast->retry = world_start_process(world, SEATS_RETRY);
    cast->dispatch = world_start_process(world, SEATS_DISPATCH);
    world_command(world, 0, SIM_CREATE);
    world_command(world, 0, SIM_START);
    return world;
}

static void end(struct world *world)
{
    struct sim_certificate c;

    world_settle(world);
    checks_certificate(world, 0, &c);
    print_message("    reached %lld accepted %lld unreached %lld suppressed %lld in doubt %lld "
                  "unsent %lld\n",
                  (long long)c.reached, (long long)c.accepted, (long long)c.unreached,
                  (long long)c.suppressed, (long long)c.in_doubt, (long long)c.never_released);
    world_free(world);
}

static struct effects *hands(struct world *world, int slot)
{
    struct process *process = world_owner(world, SIM_DISPATCH, slot);

    return process->runners[SIM_DISPATCH * SIM_SLOTS + slot]->effects;
}

/* --- the stories
 * --------------------------------------------------------------------------------------------- */

static void test_two_lanes_in_one_partition(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  plans of a lane wait while the other lane of the partition starts; kill\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 40, &options);
        options.lanes_n = 2;
        options.lanes[0] = (struct sim_lane){
            .number = 1, .weight = 1, .rate_per_s = 1, .reconciliation = PROVIDER_CALLBACK};
        options.lanes[1] =
            (struct sim_lane){.number = 5, .weight = 1, .reconciliation = PROVIDER_CALLBACK};
        struct world *world = begin(&options, &cast);
        wait_for(world, has_executed, 2 + (int64_t)(3 * seed) % 20, "some are called");
        assert_true(waiting(world) > 0);
        world_kill(world, cast.dispatch, 50 * MS);
        world_run_for(world, 200 * MS);
        world_kill(world, world_owner(world, SIM_DISPATCH, 0), 10 * MS);
        end(world);
    }
}

static void test_rollback_and_rival(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  a transaction is rolled back while a rival commits one of the same number; "
                  "then the first re-opens\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 30, &options);
        struct world *world = begin(&options, &cast);
        memory_log_plan(world->log, LOG_APP_DISPATCH, 1, seed % 4, MEMORY_HOLD);
        wait_for(world, has_planned, 20, "plans are made");
        world_run_for(world, 30 * MS);
        struct process *rival = world_start_process(world, SEATS_DISPATCH);
        world_run_for(world, (int64_t)(20 + 10 * seed) * MS);
        memory_log_settle(world->log, LOG_APP_DISPATCH, 1, MEMORY_COMMIT); /* too late */
        world_run_for(world, 400 * MS); /* they take the slot from each other */
        world_kill(world, seed % 2 ? rival : cast.dispatch, 20 * MS);
        if (world_owner(world, SIM_DISPATCH, 0) == rival)
            world_kill(world, cast.dispatch, -1);
        else
            world_run_for(world, 100 * MS);
        end(world);
    }
}

static void test_an_older_sessions_journal(void **unused)
{
    struct sim_options options;
    struct cast cast;
    int64_t by_journal = 0;

    (void)unused;
    print_message("  the owner dies with calls not sent; the next dies before it commits; the one "
                  "after that reads the first one's journal\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 40, &options);
        options.latency_max_us = 300 * MS;
        struct world *world = begin(&options, &cast);
        wait_for(world, has_executed, 2, "somebody is called");
        caller_hold(hands(world, 0), 1 * SECOND);
        caller_hold(hands(world, 1), 1 * SECOND);
        wait_for(world, has_started, checks_count(world, SIM_STARTED) + 3, "more are started");
        world_kill(world, cast.dispatch, -1);
        for (int slot = 0; slot < SIM_SLOTS; slot++)
            memory_log_plan(world->log, LOG_APP_DISPATCH, slot, 0, MEMORY_HOLD);
        struct process *second = world_start_process(world, SEATS_DISPATCH);
        wait_for(world, is_dispatch_open, 0, "the second is open");
        world_run_for(world, 20 * MS);
        world_kill(world, second, -1);
        world_start_process(world, SEATS_DISPATCH);
        for (int slot = 0; slot < SIM_SLOTS; slot++)
            memory_log_settle(world->log, LOG_APP_DISPATCH, slot, MEMORY_ABORT);
        world_run_for(world, 300 * MS);
        by_journal += checks_count(world, SIM_BY_JOURNAL);
        end(world);
    }
    assert_true(by_journal >= INT64_C(3) * SEEDS);
}

static void test_late_hand_backs_at_the_pace(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  half of a minute's releases come back late; the pace holds all the same\n");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        sim_options_quiet(seed, 90, &options);
        options.campaigns[0].pace_per_min = 60;
        struct world *world = begin(&options, &cast);
        wait_for(world, has_executed, 8, "eight are called");
        for (int i = 0; i < 5; i++) {
            world_freeze(world, cast.dispatch, 10 * SECOND, false);
            world_run_for(world, 11 * SECOND + (int64_t)seed * 100 * MS);
        }
        int64_t late = checks_count(world, SIM_RETURNED_LATE);
        print_message("    %lld of %lld plans came back late\n", (long long)late,
                      (long long)checks_count(world, SIM_PLANNED));
        assert_true(2 * late >= checks_count(world, SIM_PLANNED));
        end(world);
    }
}

/* Enough people for full minutes. The lane is slower than the look-ahead, so that who was let go
 * without a limit is there for a while. */
static void test_the_pace_is_changed_while_processes_die(void **unused)
{
    static const int paces[] = {60, 600, 0, 90, 1200, 30, 0, 120, 300};
    struct sim_options options;

    (void)unused;
    print_message("  the pace goes up and down while processes die; no minute has more than the "
                  "greatest of its paces\n");
    for (uint64_t seed = 1; seed <= 3; seed++) {
        sim_options_paced(3000, 240, &options);
        options.seed = seed;
        options.fault_every_us = 10 * SECOND;
        options.look_ahead = 100;
        options.lanes[0].rate_per_s = 20;
        struct world *world = world_new(&options, false);
        world_begin(world);
        for (size_t i = 0; i < TH_LEN(paces); i++) {
            world_run_for(world, 30 * SECOND);
            world_set_pace(world, 0, paces[i]);
        }
        int64_t released = checks_count(world, SIM_RELEASES);
        world_run_for(world, 120 * SECOND);
        assert_int_equal(checks_count(world, SIM_PACE_CHANGES), TH_LEN(paces));
        assert_true(checks_count(world, SIM_RELEASES) > released + 300);
        print_message("    %zu calls, %lld kills\n", executed(world), (long long)world->kills);
        assert_true(world->kills > 3);
        world_command(world, 0, SIM_CANCEL);
        world_settle(world);
        world_free(world);
    }
}

static void test_pause_opt_out_and_stop_race_with_starts(void **unused)
{
    struct sim_options options;
    struct cast cast;
    size_t n;

    (void)unused;
    print_message("  a pause, an opt-out and a stop arrive while attempts are being started\n");
    for (uint64_t seed = 1; seed <= UINT64_C(3) * SEEDS; seed++) {
        sim_options_quiet(seed, 40, &options);
        options.lanes[0].rate_per_s = 40;
        struct world *world = begin(&options, &cast);
        wait_for(world, has_started, 1 + (int64_t)seed % 15, "attempts are started");
        switch (seed % 3) {
        case 0:
            world_command(world, 0, SIM_PAUSE);
            break;
        case 1:
            world_stop_tenant(world, 0, true);
            break;
        default:
            (void)checks_ledger(world, &n);
            world_opt_out(world, 0, TH_STR("+919000000033"));
            break;
        }
        world_run_for(world, 2 * SECOND);
        if (seed % 3 < 2) { /* nothing leaves after it was applied */
            n = executed(world);
            world_run_for(world, 2 * SECOND);
            assert_int_equal(executed(world), n);
        }
        end(world);
    }
}

static void test_hand_back_races_with_a_new_plan(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  pause and resume follow each other faster than hand-backs and plans\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 40, &options);
        options.lanes[0].rate_per_s = 30;
        struct world *world = begin(&options, &cast);
        wait_for(world, has_started, 3, "attempts are started");
        for (int i = 0; i < 12; i++) {
            world_command(world, 0, i % 2 ? SIM_RESUME : SIM_PAUSE);
            world_run_for(world, (int64_t)(5 + 17 * seed % 90) * MS);
        }
        end(world);
    }
}

static void test_result_committed_or_not_before_the_journal_goes(void **unused)
{
    static const enum memory_fate fates[] = {MEMORY_COMMIT, MEMORY_ABORT, MEMORY_LOST_COMMITTED,
                                             MEMORY_LOST_ABORTED, MEMORY_HOLD};
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  the transaction that settles a dead session's attempts has every fate, and "
                  "its owner dies with it\n");
    for (uint64_t seed = 0; seed < 4 * TH_LEN(fates); seed++) {
        sim_options_quiet(seed, 40, &options);
        options.latency_max_us = 400 * MS;
        struct world *world = begin(&options, &cast);
        wait_for(world, has_executed, 3 + (int64_t)seed % 7, "some are called");
        world_kill(world, cast.dispatch, -1);
        for (int slot = 0; slot < SIM_SLOTS; slot++)
            memory_log_plan(world->log, LOG_APP_DISPATCH, slot, 0, fates[seed % TH_LEN(fates)]);
        struct process *second = world_start_process(world, SEATS_DISPATCH);
        world_run_for(world, (int64_t)(seed * 3) * MS);
        world_kill(world, second, -1);
        for (int slot = 0; slot < SIM_SLOTS; slot++)
            memory_log_settle(world->log, LOG_APP_DISPATCH, slot,
                              seed % 2 ? MEMORY_COMMIT : MEMORY_ABORT);
        world_start_process(world, SEATS_DISPATCH);
        world_run_for(world, 300 * MS);
        for (int slot = 0; slot < SIM_SLOTS; slot++) /* the second may have died before it */
            memory_log_settle(world->log, LOG_APP_DISPATCH, slot, MEMORY_COMMIT);
        end(world);
    }
}

static void test_release_consumed_and_killed_before_send_at(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  retry has read releases whose time has not come, and is killed\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 20, &options);
        options.campaigns[0].pace_per_min = 60;
        struct world *world = begin(&options, &cast);
        wait_for(world, has_requested, 5, "releases are made ahead");
        world_run_for(world, 50 * MS);
        assert_true(executed(world) < 5);
        world_kill(world, cast.retry, (int64_t)(seed * 400) * MS);
        end(world);
    }
}

static void test_cancel_while_sends_wait_for_releases(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  a cancel finds sends that asked for another release\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 40, &options);
        options.campaigns[0].pace_per_min = 240; /* asks wait for their time */
        options.odds.throttled = 900;
        struct world *world = begin(&options, &cast);
        world->has_faults = true; /* so that the provider throttles */
        wait_for(world, is_asking, 2, "sends ask");
        world_command(world, 0, SIM_CANCEL);
        world_run_for(world, 5 * SECOND);
        struct campaign_counts counts;
        assert_true(world_look(world, 0, &counts));
        assert_int_equal(counts.phase, CAMPAIGN_CANCELLED);
        end(world);
    }
}

static bool has_granted(struct world *world)
{
    return checks_count(world, SIM_GRANTS) >= wanted;
}

/* What happens while repeats ask for releases, or have got one. */
static void meet_a_repeat(struct world *world, const struct cast *cast, uint64_t seed)
{
    switch (seed % 6) {
    case 0:
        world_kill(world, cast->dispatch, 200 * MS);
        break;
    case 1:
        world_kill(world, cast->retry, 200 * MS);
        break;
    case 2:
        world_kill(world, cast->campaign, 200 * MS);
        break;
    case 3:
        world_command(world, 0, SIM_PAUSE);
        world_run_for(world, 20 * SECOND);
        world_command(world, 0, SIM_RESUME);
        break;
    case 4:
        world_freeze(world, cast->dispatch, 5 * SECOND, false); /* releases are missed */
        break;
    default:
        world_command(world, 0, SIM_CANCEL);
        break;
    }
}

/* Of a minute's releases most lose their requests, so they are all repeated in the next one. */
static void test_late_repeats_at_the_pace(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  requests are lost, and repeated under their keys: the pace holds all the "
                  "same\n");
    for (uint64_t seed = 0; seed < 12; seed++) {
        sim_options_quiet(seed, 60, &options);
        options.campaigns[0].pace_per_min = 30;
        options.odds.dropped_before = 800;
        options.lanes[0].reconciliation = PROVIDER_IDEMPOTENT;
        struct world *world = begin(&options, &cast);
        world->has_faults = true; /* so that requests are lost */
        wait_for(world, seed < 6 ? is_asking : has_granted, 1, "a repeat asks, or is granted");
        meet_a_repeat(world, &cast, seed);
        world_run_for(world, 20 * SECOND);
        world->has_faults = false;
        world_run_for(world, 10 * SECOND);
        if (seed % 6 != 5)
            wait_for(world, has_executed, 30, "half are called");
        assert_true(checks_count(world, SIM_GRANTS) > 0 || seed % 6 == 5);
        end(world);
    }
}

static void test_grant_meets_a_cancel(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  a send is granted its release and cancelled before retry reads either: the "
                  "release is used up all the same\n");
    for (uint64_t seed = 1; seed <= UINT64_C(2) * SEEDS; seed++) {
        sim_options_quiet(seed, 30, &options);
        options.odds.throttled = 900;
        options.campaigns[0].pace_per_min = 240;
        options.poll_us = 60 * MS; /* the reference is read more often than the inputs */
        options.follow_max_us = 20 * MS;
        struct world *world = begin(&options, &cast);
        world->has_faults = true;
        wait_for(world, is_asking, 2, "sends ask");
        wait_for(world, has_granted, checks_count(world, SIM_GRANTS) + 1, "one is granted");
        world_command(world, 0, SIM_CANCEL);
        world_run_for(world, 4 * SECOND);
        end(world);
    }
}

static void test_slow_and_fast_lane_share_a_partition(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  a slow lane's plans wait for hundreds of a fast lane's, and all are called\n");
    sim_options_quiet(1, 1500, &options);
    options.campaigns[0].part_rows = 500;
    options.campaigns[0].allow_duplicates = true;
    options.lanes_n = 2;
    options.lanes[0] = (struct sim_lane){
        .number = 1, .weight = 5, .rate_per_s = 5, .reconciliation = PROVIDER_CALLBACK};
    options.lanes[1] =
        (struct sim_lane){.number = 5, .weight = 95, .reconciliation = PROVIDER_CALLBACK};
    struct world *world = begin(&options, &cast);
    wait_for(world, has_executed, 700, "the fast lane runs");
    assert_true(world_now(world) < 20 * SECOND); /* not at the slow lane's pace */
    world_kill(world, cast.dispatch, 50 * MS);
    end(world);
}

static void test_circuit_half_open_that_nobody_heard(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  the account is refused, and the commits that publish the circuit come to "
                  "nothing\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 30, &options);
        options.odds.account_refused = 300;
        options.odds.abort = 400;
        struct world *world = begin(&options, &cast);
        world->has_faults = true;
        world_run_for(world, 3 * SECOND);
        if (seed % 2)
            world_kill(world, cast.dispatch, 20 * MS);
        end(world);
    }
}

static void test_cancel_overtakes_a_result(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  results are read after the cancel was applied: nobody is left parked\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 30, &options);
        options.odds.throttled = 500;
        options.latency_max_us = 400 * MS;
        struct world *world = begin(&options, &cast);
        world->has_faults = true;
        wait_for(world, has_started, 4, "attempts are started");
        world_command(world, 0, SIM_CANCEL);
        end(world);
    }
}

static void test_last_rows_are_duplicates(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  when the last rows are looked at, nobody is left whose report would wake the "
                  "campaign\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 6, &options);
        options.shared_numbers = 1000; /* all have the first one's number */
        options.campaigns[0].part_rows = 1;
        options.campaigns[0].pace_per_min = 120;
        options.look_ahead = 1;
        end(begin(&options, &cast));
    }
}

static void test_accepted_without_an_id(void **unused)
{
    struct sim_options options;
    struct cast cast;

    (void)unused;
    print_message("  the provider said yes and not to what: nobody is called again, not even where "
                  "duplicates are allowed\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 30, &options);
        options.campaigns[0].is_at_least_once = true;
        options.callback_window_us = 2 * SECOND;
        options.odds.callback_lost = 900;
        options.odds.no_id = 500;
        struct world *world = begin(&options, &cast);
        world->has_faults = true;
        wait_for(world, has_executed, 10, "some are called");
        if (seed % 2)
            world_kill(world, cast.dispatch, 20 * MS);
        world_run_for(world, 10 * SECOND);
        end(world);
    }
}

static void test_in_doubt_called_again_and_cancelled(void **unused)
{
    struct sim_options options;
    struct sim_certificate certificate;
    struct cast cast;
    int64_t in_doubt = 0;

    (void)unused;
    print_message("  at least once: who was in doubt is called again, or cancelled before that; "
                  "nobody who may have been called is reported as unreached\n");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        sim_options_quiet(seed, 40, &options);
        options.campaigns[0].is_at_least_once = true;
        options.campaigns[0].attempts_max = 2;
        options.callback_window_us = 1 * SECOND;
        options.odds.callback_lost = 1000;
        options.odds.dropped_before = 250;
        options.odds.dropped_after = 250;
        struct world *world = begin(&options, &cast);
        world->has_faults = true;
        wait_for(world, has_started, 10 + 4 * (int64_t)seed, "attempts are started");
        if (seed % 2)
            world_command(world, 0, SIM_CANCEL);
        world_run_for(world, 20 * SECOND);
        checks_certificate(world, 0, &certificate);
        in_doubt += certificate.in_doubt;
        end(world);
    }
    assert_true(in_doubt > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_lanes_in_one_partition),
        cmocka_unit_test(test_rollback_and_rival),
        cmocka_unit_test(test_an_older_sessions_journal),
        cmocka_unit_test(test_late_hand_backs_at_the_pace),
        cmocka_unit_test(test_the_pace_is_changed_while_processes_die),
        cmocka_unit_test(test_pause_opt_out_and_stop_race_with_starts),
        cmocka_unit_test(test_hand_back_races_with_a_new_plan),
        cmocka_unit_test(test_result_committed_or_not_before_the_journal_goes),
        cmocka_unit_test(test_release_consumed_and_killed_before_send_at),
        cmocka_unit_test(test_cancel_while_sends_wait_for_releases),
        cmocka_unit_test(test_late_repeats_at_the_pace),
        cmocka_unit_test(test_grant_meets_a_cancel),
        cmocka_unit_test(test_slow_and_fast_lane_share_a_partition),
        cmocka_unit_test(test_circuit_half_open_that_nobody_heard),
        cmocka_unit_test(test_cancel_overtakes_a_result),
        cmocka_unit_test(test_last_rows_are_duplicates),
        cmocka_unit_test(test_accepted_without_an_id),
        cmocka_unit_test(test_in_doubt_called_again_and_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
