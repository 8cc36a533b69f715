/* Each path of a send and of a campaign as a story in words, compared byte for byte with what is
 * kept in stories/. A change of a core that changes what is decided shows here as a change of
 * prose.
 *
 *   golden_test            compare
 *   golden_test --renew    write what is told now; then read it, for it is what users get
 */
#include "tests/simulation/caller.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/world.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND    TH_US_PER_SEC
#define MS        TH_US_PER_MS
#define STORY_MAX ((size_t)1 << 20)

#define SEATS_CAMPAIGN 0x03U
#define SEATS_RETRY    0x0cU
#define SEATS_DISPATCH 0x30U

/* What happens while it runs; NULL: nothing. */
typedef void middle_fn(struct world *world, struct process *dispatch);

struct story {
    const char *name;
    const char *says;
    void (*prepare)(struct sim_options *options);
    middle_fn *middle;
    int people;
    bool is_troubled; /* the provider's faults happen until the middle is over */
};

static bool has_executed_one(struct world *world)
{
    size_t n;

    (void)checks_ledger(world, &n);
    return n >= 1;
}

static bool has_started_one(struct world *world)
{
    return checks_count(world, SIM_STARTED) >= 1;
}

static void wait_until_called(struct world *world)
{
    world_run_until(world, has_executed_one, 60 * SECOND, "somebody is called");
}

/* --- what they are made of ---------------------------------------------------------------------
 */

static void as_calls(struct sim_options *o)
{
    o->campaigns[0].is_call = true;
}

static void not_answered(struct sim_options *o)
{
    as_calls(o);
    o->campaigns[0].attempts_max = 3;
    o->odds.report_fails = 1000;
    o->odds.report_transient = 1000;
}

static void answered_after_all(struct sim_options *o)
{
    not_answered(o);
    o->odds.report_turns = 1000;
}

static void answered_too_late(struct sim_options *o)
{
    answered_after_all(o);
    o->callback_max_us = 400 * MS;
    o->latency_max_us = 3 * SECOND;
    o->way_max_us = SECOND;
}

static void invalid_numbers(struct sim_options *o)
{
    o->odds.invalid_number = 1000;
}

static void shared_numbers(struct sim_options *o)
{
    o->shared_numbers = 1000;
}

static void throttled(struct sim_options *o)
{
    o->lanes_n = 2;
    o->lanes[1] = (struct sim_lane){.number = 2, .weight = 1, .reconciliation = PROVIDER_CALLBACK};
    o->odds.throttled = 1000;
}

static void account_refused(struct sim_options *o)
{
    throttled(o);
    o->odds.throttled = 0;
    o->odds.account_refused = 1000;
}

static void answers_lost(struct sim_options *o)
{
    o->odds.dropped_after = 1000;
}

static void all_lost(struct sim_options *o)
{
    o->odds.dropped_after = 1000;
    o->odds.callback_lost = 1000;
    o->callback_window_us = 8 * SECOND;
    o->lanes[0].reconciliation = PROVIDER_NONE;
}

static void requests_lost_looked_up(struct sim_options *o)
{
    o->odds.dropped_before = 1000;
    o->lanes[0].reconciliation = PROVIDER_LOOKUP;
}

static void answers_lost_looked_up(struct sim_options *o)
{
    o->odds.dropped_after = 1000;
    o->lanes[0].reconciliation = PROVIDER_LOOKUP;
}

static void answers_lost_repeated(struct sim_options *o)
{
    o->odds.dropped_after = 1000;
    o->lanes[0].reconciliation = PROVIDER_IDEMPOTENT;
}

static void requests_lost_repeated(struct sim_options *o)
{
    o->campaigns[0].pace_per_min = 30;
    o->odds.dropped_before = 1000;
    o->lanes[0].reconciliation = PROVIDER_IDEMPOTENT;
}

static void at_least_once(struct sim_options *o)
{
    all_lost(o);
    o->campaigns[0].is_at_least_once = true;
    o->campaigns[0].attempts_max = 2;
}

static void slowly(struct sim_options *o)
{
    o->lanes[0].rate_per_s = 2;
}

static void at_a_pace(struct sim_options *o)
{
    o->campaigns[0].pace_per_min = 30;
}

static void two_at_a_time(struct sim_options *o)
{
    slowly(o);
    o->look_ahead = 2;
}

/* --- what happens ------------------------------------------------------------------------------
 */

static void wait_4_s(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    world_run_for(world, 4 * SECOND);
}

static void wait_a_moment(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    world_run_for(world, 300 * MS);
}

static void pause_and_resume(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_command(world, 0, SIM_PAUSE);
    world_run_for(world, 2 * SECOND);
    world_command(world, 0, SIM_RESUME);
    world_run_for(world, SECOND);
}

static void faster_then_slower(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_set_pace(world, 0, 120);
    world_run_for(world, 300 * MS);
    world_set_pace(world, 0, 12);
}

static void set_a_pace(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_set_pace(world, 0, 60);
}

static void lift_the_pace(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_set_pace(world, 0, 0);
}

static void cancel(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_command(world, 0, SIM_CANCEL);
}

static void stop_and_release(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_stop_tenant(world, 0, true);
    world_run_for(world, 2 * SECOND);
    world_stop_tenant(world, 0, false);
    world_run_for(world, SECOND);
}

static void opt_out(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    wait_until_called(world);
    world_opt_out(world, 0, TH_STR("+919000000003"));
}

static void kill_before_it_leaves(struct world *world, struct process *dispatch)
{
    for (int slot = 0; slot < SIM_SLOTS; slot++)
        caller_hold(dispatch->runners[SIM_DISPATCH * SIM_SLOTS + slot]->effects, SECOND);
    world_run_until(world, has_started_one, 60 * SECOND, "an attempt is started");
    world_kill(world, dispatch, 200 * MS);
}

static void kill_while_it_is_called(struct world *world, struct process *dispatch)
{
    wait_until_called(world);
    world_kill(world, dispatch, 200 * MS);
}

static void freeze_until_it_is_late(struct world *world, struct process *dispatch)
{
    wait_until_called(world);
    world_freeze(world, dispatch, 8 * SECOND, false);
}

static void send_from_the_api(struct world *world, struct process *dispatch)
{
    (void)dispatch;
    world_send_api(world, 0, false);
}

static const struct story stories[] = {
    {"message", "a message is delivered", NULL, NULL, 1, false},
    {"call", "a call is answered", as_calls, NULL, 1, false},
    {"call_not_answered", "a call is not answered, and made again until the tries are used up",
     not_answered, NULL, 1, false},
    {"answered_after_all", "a call is not answered, says the provider, and then: it was",
     answered_after_all, NULL, 1, false},
    {"answered_too_late", "the same, while the next call is being made: nothing follows it",
     answered_too_late, NULL, 1, false},
    {"invalid_number", "the provider says that there is no such number", invalid_numbers, NULL, 1,
     false},
    {"duplicate", "two recipients have one number", shared_numbers, NULL, 2, false},
    {"throttled", "one provider throttles, then the other, then both are well", throttled,
     wait_a_moment, 1, true},
    {"account_refused", "a provider refuses the account: its circuit opens", account_refused,
     wait_a_moment, 2, true},
    {"answer_lost", "the answer is lost, and a callback tells", answers_lost, wait_4_s, 1, true},
    {"nobody_tells", "the answer is lost, and nobody can tell: in doubt", all_lost, wait_4_s, 1,
     true},
    {"looked_up_absent", "the request is lost; the provider, asked three times, does not know it",
     requests_lost_looked_up, wait_4_s, 1, true},
    {"looked_up_found", "the answer is lost; the provider, asked, has it", answers_lost_looked_up,
     wait_4_s, 1, true},
    {"repeated", "the answer is lost; the request is repeated under its key", answers_lost_repeated,
     wait_4_s, 1, true},
    {"repeated_late", "the request is lost; what is repeated too late has a release of its own",
     requests_lost_repeated, wait_4_s, 1, true},
    {"at_least_once", "in doubt, and called again where that is allowed", at_least_once, wait_4_s,
     1, true},
    {"pace", "three a minute apart by two seconds", at_a_pace, NULL, 3, false},
    {"pace_changed", "thirty a minute, then 120, then twelve", at_a_pace, faster_then_slower, 6,
     false},
    {"pace_set", "a pace is set where there was none: it waits for those that were let go",
     two_at_a_time, set_a_pace, 5, false},
    {"pace_lifted", "the pace is lifted: all who are left go at once", at_a_pace, lift_the_pace, 5,
     false},
    {"pause", "a pause hands back what has not started, a resume goes on", slowly, pause_and_resume,
     3, false},
    {"cancel", "a cancel ends who was not called", slowly, cancel, 3, false},
    {"stop", "the tenant stops everything, and releases it", slowly, stop_and_release, 3, false},
    {"opt_out", "the last one opts out before the turn has come", slowly, opt_out, 3, false},
    {"killed_before", "the owner dies before the request has left: the journal tells", NULL,
     kill_before_it_leaves, 1, false},
    {"killed_after", "the owner dies while the provider is at it: a callback tells", as_calls,
     kill_while_it_is_called, 1, false},
    {"late", "the owner sleeps until the release is too old", at_a_pace, freeze_until_it_is_late, 3,
     false},
    {"api", "a send comes from the API while a campaign runs", NULL, send_from_the_api, 1, false},
};

static char *tell(const struct story *story, size_t *out_n)
{
    struct sim_options options;
    struct sim_certificate c;
    char *text = NULL;

    sim_options_quiet(1, story->people, &options);
    if (story->prepare)
        story->prepare(&options);
    struct world *world = world_new(&options, false);
    world->prose = open_memstream(&text, out_n);
    assert_non_null(world->prose);
    fprintf(world->prose, "# %s\n", story->says);
    world_start_process(world, SEATS_CAMPAIGN);
    world_start_process(world, SEATS_RETRY);
    struct process *dispatch = world_start_process(world, SEATS_DISPATCH);
    world->has_faults = story->is_troubled;
    world_command(world, 0, SIM_CREATE);
    world_command(world, 0, SIM_START);
    if (story->middle)
        story->middle(world, dispatch);
    world_settle(world);
    checks_certificate(world, 0, &c);
    fprintf(
        world->prose,
        "reached %lld, accepted without a report %lld, unreached %lld, suppressed %lld, in doubt "
        "%lld, never released %lld\n",
        (long long)c.reached, (long long)c.accepted, (long long)c.unreached,
        (long long)c.suppressed, (long long)c.in_doubt, (long long)c.never_released);
    fclose(world->prose);
    world->prose = NULL;
    world_free(world);
    return text;
}

static void path_of(const struct story *story, char out[512])
{
    (void)snprintf(out, 512, "%s/%s.txt", GOLDEN_DIR, story->name);
}

static void renew(const struct story *story)
{
    char path[512];
    size_t n;
    char *now = tell(story, &n);

    path_of(story, path);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(now, 1, n, file) != n || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    free(now);
}

/* Prints the first line that differs. */
static bool is_as_kept(const struct story *story)
{
    static char kept[STORY_MAX];
    char path[512];
    size_t now_n;
    char *now = tell(story, &now_n);

    path_of(story, path);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(kept, 1, sizeof kept, file) : 0;
    if (file)
        (void)fclose(file);
    size_t at = 0, line = 0;
    while (at < n && at < now_n && kept[at] == now[at])
        if (now[at++] == '\n')
            line = at;
    bool is_same = at == n && at == now_n;
    if (!is_same)
        print_message("%s.txt, from byte %zu on:\n  kept: %.*s\n  now:  %.*s\n", story->name, at,
                      (int)strcspn(kept + line, "\n"), kept + line, (int)strcspn(now + line, "\n"),
                      now + line);
    free(now);
    return is_same;
}

static void test_stories(void **unused)
{
    size_t different = 0;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(stories); i++) {
        print_message("  %s\n", stories[i].says);
        different += !is_as_kept(&stories[i]);
    }
    if (different)
        print_message("golden_test --renew writes what is told now; read the difference first\n");
    assert_int_equal(different, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
    };

    if (argc == 2 && strcmp(argv[1], "--renew") == 0) {
        for (size_t i = 0; i < TH_LEN(stories); i++)
            renew(&stories[i]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
