/* sim - whole runs of the spine on one seed each.
 *
 *   sim --seed N [--set NAME=VALUE,...] [--trace]   one run; with --trace the whole story
 *   sim --seeds FROM-TO [--jobs N] [--set ...]      each of them, and what they have reached; at
 * the first that breaks a promise, the shortest story that breaks it sim --plans N a slow and a
 * fast lane in one partition
 */
#include "tests/simulation/checks.h"
#include "tests/simulation/coverage.h"
#include "tests/simulation/shrink.h"
#include "tests/simulation/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64

struct totals {
    uint64_t runs, steps, kills, calls, started, returned, unknown, by_journal;
    int64_t in_flight, in_doubt;
    struct coverage coverage;
};

/* What the command line says. */
struct wish {
    uint64_t from, to;
    int jobs;
    const char *sets;
    bool is_tracing;
};

/* Shared with the processes that run the seeds; each has its own totals. */
struct board {
    _Atomic uint64_t next;
    uint64_t seed[JOBS_MAX]; /* that each is at */
    struct totals totals[JOBS_MAX];
};

static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void count_run(struct world *world, struct totals *totals)
{
    size_t calls;

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
}

static bool set_all(struct sim_options *options, const char *sets)
{
    char text[1024];
    char *rest = text;
    char *set;

    (void)snprintf(text, sizeof text, "%s", sets);
    while ((set = strsep(&rest, ",")))
        if (*set && !sim_options_set(options, set))
            return false;
    return true;
}

static void run_one(uint64_t seed, const struct wish *wish, struct totals *totals)
{
    struct sim_options options;
    struct sim_certificate certificate;

    sim_options_of_seed(seed, &options);
    (void)set_all(&options, wish->sets);
    if (wish->is_tracing)
        sim_options_print(&options, stdout);
    coverage_into(&totals->coverage);
    struct world *world = world_new(&options, wish->is_tracing);
    world_run(world);
    count_run(world, totals);
    for (int i = 0; i < options.campaigns_n; i++) {
        checks_certificate(world, i, &certificate);
        totals->in_doubt += certificate.in_doubt;
        if (wish->is_tracing)
            printf("campaign %d: reached %" PRId64 " accepted %" PRId64 " unreached %" PRId64
                   " suppressed %" PRId64 " in doubt %" PRId64 " never released %" PRId64 "\n",
                   i, certificate.reached, certificate.accepted, certificate.unreached,
                   certificate.suppressed, certificate.in_doubt, certificate.never_released);
    }
    world_free(world);
}

static void add_totals(struct totals *to, const struct totals *from)
{
    to->runs += from->runs;
    to->steps += from->steps;
    to->kills += from->kills;
    to->calls += from->calls;
    to->started += from->started;
    to->returned += from->returned;
    to->unknown += from->unknown;
    to->by_journal += from->by_journal;
    to->in_flight += from->in_flight;
    to->in_doubt += from->in_doubt;
    coverage_add(&to->coverage, &from->coverage);
}

static void print_totals(const struct totals *t, double took_s)
{
    printf("%" PRIu64 " seeds, %.1f s: %" PRIu64 " steps, %" PRIu64 " kills with %" PRId64
           " calls in flight, %" PRIu64 " attempts started, %" PRIu64 " handed back, %" PRIu64
           " unknown, %" PRIu64 " told by a journal, %" PRIu64 " executed, %" PRId64 " in doubt\n",
           t->runs, took_s, t->steps, t->kills, t->in_flight, t->started, t->returned, t->unknown,
           t->by_journal, t->calls, t->in_doubt);
}

/* --- many ------------------------------------------------------------------------------------- */

static _Noreturn void work(struct board *board, int job, const struct wish *wish)
{
    for (;;) {
        uint64_t seed = atomic_fetch_add(&board->next, 1);
        if (seed > wish->to)
            exit(0);
        board->seed[job] = seed;
        run_one(seed, wish, &board->totals[job]);
    }
}

/* The seed of the first job that failed; 0: none did. */
static uint64_t await(struct board *board, const pid_t *pids, int jobs)
{
    uint64_t failed = 0;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, 0)) > 0)
        for (int i = 0; i < jobs; i++)
            if (pids[i] == pid && status != 0 && !failed) {
                failed = board->seed[i];
                atomic_store(&board->next, UINT64_MAX / 2); /* the others end theirs */
            }
    return failed;
}

static int run_many(const struct wish *wish)
{
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct totals all = {0};
    pid_t pids[JOBS_MAX];
    double begin = seconds();

    assert(board != MAP_FAILED);
    atomic_store(&board->next, wish->from);
    for (int i = 0; i < wish->jobs; i++) {
        pids[i] = fork();
        assert(pids[i] >= 0);
        if (pids[i] == 0)
            work(board, i, wish);
    }
    uint64_t failed = await(board, pids, wish->jobs);
    if (failed) {
        shrink(failed, wish->sets, stderr);
        return 1;
    }
    for (int i = 0; i < wish->jobs; i++)
        add_totals(&all, &board->totals[i]);
    print_totals(&all, seconds() - begin);
    return coverage_report(&all.coverage, all.runs, stdout) ? 0 : 1;
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
    fprintf(stderr, "usage: sim --seed N [--set NAME=VALUE,...] [--trace]\n"
                    "       sim --seeds FROM-TO [--jobs N] [--set NAME=VALUE,...]\n"
                    "       sim --plans N\n");
    return 2;
}

static bool read_wish(int argc, char **argv, struct wish *wish)
{
    struct sim_options probe;

    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            wish->is_tracing = true;
        else if (strcmp(argv[i], "--set") == 0 && i + 1 < argc)
            wish->sets = argv[++i];
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            wish->jobs = atoi(argv[++i]);
        else
            return false;
    }
    sim_options_of_seed(1, &probe);
    return wish->jobs > 0 && wish->jobs <= JOBS_MAX && set_all(&probe, wish->sets);
}

int main(int argc, char **argv)
{
    struct wish wish = {.jobs = 1, .sets = ""};
    struct totals totals = {0};

    if (argc == 3 && strcmp(argv[1], "--plans") == 0 && atoi(argv[2]) > 0)
        return run_lanes(atoi(argv[2]));
    if (argc < 3 || !read_wish(argc, argv, &wish))
        return usage();
    if (strcmp(argv[1], "--seeds") == 0)
        return sscanf(argv[2], "%" SCNu64 "-%" SCNu64, &wish.from, &wish.to) == 2 &&
                       !wish.is_tracing
                   ? run_many(&wish)
                   : usage();
    if (strcmp(argv[1], "--seed") != 0 || sscanf(argv[2], "%" SCNu64, &wish.from) != 1)
        return usage();
    double begin = seconds();
    run_one(wish.from, &wish, &totals);
    print_totals(&totals, seconds() - begin);
    return 0;
}
