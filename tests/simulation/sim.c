/* sim - whole runs of the spine on one seed each.
 *
 *   sim --seed N [--set NAME=VALUE,...] [--trace]
 *     one run; with --trace the whole story
 *
 *   sim --seeds FROM-TO [--jobs N] [--set NAME=VALUE,...]
 *     each of them, and what they have reached; at the first that breaks a promise, the shortest
 *     story that breaks it
 *
 *   sim --pace N PER_MINUTE
 *     N recipients at a pace, with kills, and every minute of the ledger
 *
 *   sim --plans N
 *     a slow and a fast lane in one partition, N recipients
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

static void run_one(uint64_t seed, const struct wish *wish, struct totals *totals)
{
    struct sim_options options;
    struct sim_certificate certificate;

    sim_options_of_seed(seed, &options);
    (void)sim_options_set_all(&options, wish->sets);
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
                if (WIFSIGNALED(status))
                    fprintf(stderr, "ended by signal %d, at seed %" PRIu64 "\n", WTERMSIG(status),
                            board->seed[i]);
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

/* Of the minutes that end with one of the ledger's calls: the fullest, and how many were full. */
static void print_windows(const struct execution *ledger, size_t n, int pace)
{
    size_t first = 0, fullest = 0, full = 0;
    size_t fullest_at = 0;

    for (size_t i = 0; i < n; i++) {
        while (ledger[i].at_us - ledger[first].at_us >= TH_US_PER_MIN)
            first++;
        full += i - first + 1 == (size_t)pace;
        if (i - first + 1 > fullest) {
            fullest = i - first + 1;
            fullest_at = i;
        }
    }
    printf("the fullest of %zu sliding 60 s windows has %zu calls, it ends at call %zu, %.1f min "
           "after "
           "the first; %zu windows have all %d\n",
           n, fullest, fullest_at + 1,
           n ? (double)(ledger[fullest_at].at_us - ledger[0].at_us) / (double)TH_US_PER_MIN : 0.0,
           full, pace);
}

static void print_minutes(const struct execution *ledger, size_t n)
{
    size_t at = 0;

    printf("calls of each minute of the clock:");
    for (int64_t minute = 0; at < n; minute++) {
        size_t from = at;
        while (at < n && ledger[at].at_us < ledger[0].at_us + (minute + 1) * TH_US_PER_MIN)
            at++;
        printf("%s%zu", minute % 20 ? " " : "\n  ", at - from);
    }
    printf("\n");
}

/* Each call was held against the minute before it when it was made, by checks.c. */
static int run_paced(int n, int pace)
{
    struct sim_options options;
    struct sim_certificate c;
    size_t calls;

    sim_options_paced(n, pace, &options);
    struct world *world = world_new(&options, false);
    world_begin(world);
    while (checks_count(world, SIM_RELEASES) < n)
        world_run_for(world, TH_US_PER_MIN);
    world_settle(world);
    const struct execution *ledger = checks_ledger(world, &calls);
    checks_certificate(world, 0, &c);
    printf("%d recipients at %d a minute: %zu calls in %.1f min of their time, %" PRId64
           " kills; reached %" PRId64 ", unreached %" PRId64 ", in doubt %" PRId64 "; %.1f s\n",
           n, pace, calls,
           (double)(ledger[calls - 1].at_us - ledger[0].at_us) / (double)TH_US_PER_MIN,
           world->kills, c.reached + c.accepted, c.unreached, c.in_doubt,
           (double)clock() / CLOCKS_PER_SEC);
    print_windows(ledger, calls, pace);
    print_minutes(ledger, calls);
    world_free(world);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim --seed N [--set NAME=VALUE,...] [--trace]\n"
                    "       sim --seeds FROM-TO [--jobs N] [--set NAME=VALUE,...]\n"
                    "       sim --pace N PER_MINUTE | --plans N\n");
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
    return wish->jobs > 0 && wish->jobs <= JOBS_MAX && sim_options_set_all(&probe, wish->sets);
}

int main(int argc, char **argv)
{
    struct wish wish = {.jobs = 1, .sets = ""};
    struct totals totals = {0};

    if (argc == 3 && strcmp(argv[1], "--plans") == 0 && atoi(argv[2]) > 0)
        return run_lanes(atoi(argv[2]));
    if (argc == 4 && strcmp(argv[1], "--pace") == 0 && atoi(argv[2]) > 0 && atoi(argv[3]) > 0)
        return run_paced(atoi(argv[2]), atoi(argv[3]));
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
