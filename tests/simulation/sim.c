/* sim - whole runs of the spine on one seed each.
 *
 *   sim --seed N [--trace]        one run; with --trace the whole story
 *   sim --seeds FROM-TO           each of them; ends at the first that breaks a promise
 *   sim --plans N                 a slow and a fast lane in one partition, N recipients
 */
#include "tests/simulation/checks.h"
#include "tests/simulation/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct totals {
    uint64_t runs, steps, kills, calls, started, returned, unknown, by_journal;
    int64_t in_flight, in_doubt;
};

static void run_one(uint64_t seed, bool is_tracing, struct totals *totals)
{
    struct sim_options options;
    struct sim_certificate certificate;
    size_t calls;

    sim_options_of_seed(seed, &options);
    if (is_tracing)
        sim_options_print(&options, stdout);
    struct world *world = world_new(&options, is_tracing);
    world_run(world);
    (void)checks_ledger(world, &calls);
    totals->runs++;
    totals->steps += world->steps;
    totals->kills += (uint64_t)world->kills;
    totals->calls += calls;
    totals->started += (uint64_t)checks_count(world, SIM_STARTED);
    totals->returned += (uint64_t)checks_count(world, SIM_RETURNED);
    totals->unknown += (uint64_t)checks_count(world, SIM_UNKNOWN);
    totals->by_journal += (uint64_t)checks_count(world, SIM_BY_JOURNAL);
    totals->in_flight += world->in_flight_at_kills;
    for (int i = 0; i < options.campaigns_n; i++) {
        checks_certificate(world, i, &certificate);
        totals->in_doubt += certificate.in_doubt;
        if (is_tracing)
            printf("campaign %d: reached %" PRId64 " accepted %" PRId64 " unreached %" PRId64
                   " suppressed %" PRId64 " in doubt %" PRId64 " never released %" PRId64 "\n",
                   i, certificate.reached, certificate.accepted, certificate.unreached,
                   certificate.suppressed, certificate.in_doubt, certificate.never_released);
    }
    world_free(world);
}

static int run_lanes(int n)
{
    struct sim_options options;
    struct rusage usage;

    sim_options_lanes(n, &options);
    struct world *world = world_new(&options, false);
    world_run(world);
    getrusage(RUSAGE_SELF, &usage);
    printf("%d recipients in %" PRId64 " s of their time: %" PRId64 " plans, %" PRId64
           " handed back late, %" PRId64 " started; %.1f s, %ld MB\n",
           n, world_now(world) / TH_US_PER_SEC, checks_count(world, SIM_PLANNED),
           checks_count(world, SIM_RETURNED_LATE), checks_count(world, SIM_STARTED),
           (double)clock() / CLOCKS_PER_SEC, usage.ru_maxrss / 1024);
    world_free(world);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim --seed N [--trace] | --seeds FROM-TO | --plans N\n");
    return 2;
}

int main(int argc, char **argv)
{
    uint64_t from;
    uint64_t to;
    struct totals t = {0};
    bool is_tracing = argc == 4 && strcmp(argv[3], "--trace") == 0;

    if (argc == 3 && strcmp(argv[1], "--plans") == 0 && atoi(argv[2]) > 0)
        return run_lanes(atoi(argv[2]));
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        if (sscanf(argv[2], "%" SCNu64 "-%" SCNu64, &from, &to) != 2)
            return usage();
    } else if ((argc == 3 || is_tracing) && strcmp(argv[1], "--seed") == 0) {
        if (sscanf(argv[2], "%" SCNu64, &from) != 1)
            return usage();
        to = from;
    } else {
        return usage();
    }
    clock_t begin = clock();
    for (uint64_t seed = from; seed <= to; seed++)
        run_one(seed, is_tracing, &t);
    printf("%" PRIu64 " seeds, %.1f s: %" PRIu64 " steps, %" PRIu64 " kills with %" PRId64
           " calls in flight, %" PRIu64 " attempts started, %" PRIu64 " handed back, %" PRIu64
           " unknown, %" PRIu64 " told by a journal, %" PRIu64 " executed, %" PRId64 " in doubt\n",
           t.runs, (double)(clock() - begin) / CLOCKS_PER_SEC, t.steps, t.kills, t.in_flight,
           t.started, t.returned, t.unknown, t.by_journal, t.calls, t.in_doubt);
    return 0;
}
