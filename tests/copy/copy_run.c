/* The first process: it makes the others, ends them, and the servers, where chance says so. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/copy/copy_internal.h"

#define STRIKES_MAX   10000
#define LOOK_MS       1
#define SLACK         (INT64_C(2) * COPY_SLOTS * COPY_BATCH) /* events copied beyond the next strike's */
#define DOOM_US       (300 * TH_US_PER_MS) /* who runs no transaction is ended all the same */
#define DOWN_MS_MAX   500 /* a server that fell stays down, besides what its start takes */
#define STUCK_US      (180 * TH_US_PER_SEC)
#define STRIKE_WITHIN 95 /* percent of the events: then there is something left to do */

enum strike_kind {
    STRIKE_KILL,  /* SIGKILL to a process that copies */
    STRIKE_END,   /* SIGTERM */
    STRIKE_RIVAL, /* another process begins to own the same slot */
    STRIKE_FALL,  /* a server is killed */
    STRIKE_STOP,  /* a server is stopped in order */
};
#define STRIKES (STRIKE_STOP + 1)

struct strike {
    int64_t at; /* when so many events were witnessed */
    enum strike_kind kind;
    uint64_t chance;
};

struct run {
    struct copy_job job;
    struct strike strikes[STRIKES_MAX];
    size_t strikes_n;
    size_t next;
    int struck[STRIKES];
    pid_t owner[COPY_SLOTS]; /* the newest process that copies it */
    pid_t older[COPY_SLOTS]; /* its rival, if there is one; else 0 */
    int64_t doomed_us[COPY_SLOTS];
    pid_t witness;
    bool has_failed;
    int64_t moved_us; /* when the witness last saw something new */
    int64_t moved_to;
};

/* --- the plan of strikes ---------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct strike *x = a;
    const struct strike *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

/* Kinds by turns, so that a short run has each. */
static void plan_strikes(struct run *run)
{
    static const enum strike_kind kills[] = {STRIKE_KILL, STRIKE_END, STRIKE_KILL, STRIKE_RIVAL};
    const struct copy_plan *plan = run->job.plan;
    uint64_t state = plan->seed;

    for (int i = 0; i < plan->kills + plan->falls && run->strikes_n < STRIKES_MAX; i++) {
        struct strike *strike = &run->strikes[run->strikes_n++];
        strike->at =
            (int64_t)(copy_random(&state) % (uint64_t)(plan->events * STRIKE_WITHIN / 100 + 1));
        strike->kind = i < plan->kills         ? kills[(size_t)i % TH_LEN(kills)]
                       : (i - plan->kills) % 2 ? STRIKE_STOP
                                               : STRIKE_FALL;
        strike->chance = copy_random(&state);
    }
    qsort(run->strikes, run->strikes_n, sizeof *run->strikes, by_place);
}

/* --- processes that copy ---------------------------------------------------------------------- */

static void fail(struct run *run, const char *what)
{
    fprintf(stderr, "%s\n", what);
    run->has_failed = true;
}

static void begin_owner(struct run *run, int slot)
{
    run->older[slot] = run->owner[slot];
    run->owner[slot] = copy_spawn(&run->job, copy_work, slot);
}

static void note_end(struct run *run, int slot, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) != COPY_ENDED &&
        WEXITSTATUS(status) != COPY_OUSTED)
        fail(run, "a process that copies has failed");
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM)
        fail(run, "a process that copies has crashed");
    if (run->owner[slot] == 0) { /* the older one, if it is there, may own it again */
        run->owner[slot] = run->older[slot];
        run->older[slot] = 0;
    }
}

static bool reap(pid_t *pid, int *status)
{
    if (*pid == 0 || waitpid(*pid, status, WNOHANG) != *pid)
        return false;
    *pid = 0;
    return true;
}

static void look_after(struct run *run)
{
    int status;

    for (int slot = 0; slot < COPY_SLOTS; slot++) {
        if (reap(&run->older[slot], &status))
            note_end(run, slot, status);
        if (reap(&run->owner[slot], &status))
            note_end(run, slot, status);
        if (run->owner[slot] == 0 && !run->has_failed)
            begin_owner(run, slot);
    }
    if (reap(&run->witness, &status))
        fail(run, "the witness saw something that must not be");
}

/* --- strikes ---------------------------------------------------------------------------------- */

static int slot_of(const struct strike *strike)
{
    return (int)(strike->chance % COPY_SLOTS);
}

static void strike_server(struct run *run, const struct strike *strike)
{
    const struct copy_world *world = run->job.world;
    bool is_hard = strike->kind == STRIKE_FALL;
    uint64_t state = strike->chance;
    int slot = (int)(copy_random(&state) % COPY_SLOTS);

    const char *what = world->fell(world->arg, is_hard, strike->chance);
    printf("  at %" PRId64 ": %s %s\n", strike->at, what, is_hard ? "killed" : "stopped");
    fflush(stdout);
    copy_sleep_ms((int)(copy_random(&state) % DOWN_MS_MAX));
    if (copy_random(&state) % 2 && run->owner[slot]) { /* who then begins finds no log at first */
        kill(run->owner[slot], SIGKILL);
        run->struck[STRIKE_KILL]++;
    }
    world->raise(world->arg);
}

/* 0: the process has met its doom, or there was none. */
static bool is_doomed(struct run *run, int slot)
{
    struct copy_shared *shared = run->job.shared;
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);

    if (atomic_load(&shared->doom[slot]) == 0)
        return false;
    if (now_us - run->doomed_us[slot] < DOOM_US)
        return true;
    uint64_t doom = atomic_exchange(&shared->doom[slot], 0);
    if (doom && run->owner[slot])
        kill(run->owner[slot], (int)(doom & 0xff));
    return false;
}

static void doom(struct run *run, int slot, int signal_number, uint64_t chance)
{
    run->doomed_us[slot] = th_clock_monotonic_us(&th_clock_real);
    atomic_store(&run->job.shared->doom[slot], chance << 8 | (uint64_t)signal_number);
}

static void strike(struct run *run, const struct strike *strike)
{
    int slot = slot_of(strike);

    run->struck[strike->kind]++;
    switch (strike->kind) {
    case STRIKE_KILL:
        doom(run, slot, SIGKILL, strike->chance);
        break;
    case STRIKE_END:
        doom(run, slot, SIGTERM, strike->chance);
        break;
    case STRIKE_RIVAL:
        if (run->older[slot] == 0)
            begin_owner(run, slot);
        break;
    case STRIKE_FALL:
    case STRIKE_STOP:
        strike_server(run, strike);
        break;
    }
}

/* How far the processes may go: so that the next strike finds them at work, and a server's fall,
 * which takes its time, too. */
static void set_limit(struct run *run, int64_t witnessed)
{
    struct copy_shared *shared = run->job.shared;
    const struct strike *next = &run->strikes[run->next];

    if (atomic_load(&shared->copied) < witnessed)
        atomic_store(&shared->copied, witnessed);
    bool is_free =
        run->next == run->strikes_n || (next->kind >= STRIKE_FALL && next->at <= witnessed);
    atomic_store(&shared->rest_ms,
                 is_free && run->next < run->strikes_n ? run->job.world->rest_ms : 0);
    atomic_store(&shared->limit, is_free ? INT64_MAX : next->at + SLACK);
}

static void strike_if_due(struct run *run, int64_t witnessed)
{
    set_limit(run, witnessed);
    if (run->next == run->strikes_n || run->strikes[run->next].at > witnessed)
        return;
    int slot = slot_of(&run->strikes[run->next]);
    if (run->owner[slot] == 0 || is_doomed(run, slot))
        return; /* one begins in a moment, or ends */
    strike(run, &run->strikes[run->next++]);
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool is_stuck(struct run *run, int64_t witnessed)
{
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);

    if (witnessed != run->moved_to || run->moved_us == 0) {
        run->moved_to = witnessed;
        run->moved_us = now_us;
    }
    return now_us - run->moved_us > STUCK_US;
}

static void copy_all(struct run *run)
{
    int64_t events = run->job.plan->events;
    int64_t witnessed = 0;

    for (int slot = 0; slot < COPY_SLOTS; slot++)
        begin_owner(run, slot);
    run->witness = copy_spawn(&run->job, copy_witness, 0);
    while (!run->has_failed && (witnessed < events || run->next < run->strikes_n)) {
        copy_sleep_ms(LOOK_MS);
        look_after(run);
        witnessed = atomic_load(&run->job.shared->witnessed);
        strike_if_due(run, witnessed);
        if (witnessed < events && is_stuck(run, witnessed)) {
            fprintf(stderr, "%" PRId64 " were seen, about %" PRIdFAST64 " copied\n", witnessed,
                    atomic_load(&run->job.shared->copied));
            fail(run, "nothing new was seen for 180 s");
        }
    }
}

static void end_one(struct run *run, pid_t pid, int signal_number)
{
    if (pid == 0)
        return;
    if (signal_number)
        kill(pid, signal_number);
    int status = copy_wait(pid);
    if (status != COPY_ENDED && status != COPY_OUSTED && status != 128 + SIGKILL &&
        status != 128 + SIGTERM) /* before it minded */
        fail(run, signal_number ? "a process that copies did not end as it should"
                                : "the witness saw something that must not be");
}

static void end_all(struct run *run)
{
    for (int slot = 0; slot < COPY_SLOTS; slot++) {
        end_one(run, run->older[slot], run->has_failed ? SIGKILL : SIGTERM);
        end_one(run, run->owner[slot], run->has_failed ? SIGKILL : SIGTERM);
    }
    atomic_store(&run->job.shared->is_over, true);
    end_one(run, run->witness, run->has_failed ? SIGKILL : 0);
}

static void report(const struct run *run, int64_t took_us)
{
    const struct copy_shared *shared = run->job.shared;
    const struct copy_plan *plan = run->job.plan;

    printf("%s: %" PRId64 " events copied in %.1f s, %" PRIdFAST64 " transactions of at most %d, "
           "while %d of the processes that copy were killed, %d ended, %d given a rival, "
           "and servers killed %d times, stopped %d times\n",
           run->job.world->name, plan->events, (double)took_us / 1e6,
           atomic_load(&shared->transactions), COPY_BATCH, run->struck[STRIKE_KILL],
           run->struck[STRIKE_END], run->struck[STRIKE_RIVAL], run->struck[STRIKE_FALL],
           run->struck[STRIKE_STOP]);
    printf("%d openings of slots; %d commits without an answer were found to have happened, %d "
           "commits did not happen and were repeated; %d owners were ousted\n",
           atomic_load(&shared->openings), atomic_load(&shared->found),
           atomic_load(&shared->aborted), atomic_load(&shared->ousted));
    printf("seed %" PRIu64 ": %s\n", plan->seed,
           run->has_failed ? "FAILED"
                           : "the output is the input, each event once, in order; so saw the "
                             "reader that read along");
}

int copy_run(const struct copy_world *world, const struct copy_plan *plan)
{
    static struct run run; /* large */

    run = (struct run){.job = {world, plan, copy_share()}};
    printf("%s: seed %" PRIu64 ", %" PRId64 " events\n", world->name, plan->seed, plan->events);
    plan_strikes(&run);
    if (copy_wait(copy_spawn(&run.job, copy_feed, 0)) != COPY_ENDED)
        return 1;
    int64_t begun_us = th_clock_monotonic_us(&th_clock_real);
    copy_all(&run);
    int64_t took_us = th_clock_monotonic_us(&th_clock_real) - begun_us;
    end_all(&run);
    if (copy_wait(copy_spawn(&run.job, copy_check, 0)) != COPY_ENDED)
        fail(&run, "what lies on the log is not what it should be");
    report(&run, took_us);
    return run.has_failed;
}
