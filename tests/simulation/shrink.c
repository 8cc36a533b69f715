#include "tests/simulation/shrink.h"

#include "tests/simulation/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES_MAX   600
#define SALTS       4  /* runs of each smaller set of options: chance makes of each another story */
#define RUN_MAX_S   20 /* a run that takes longer counts as one that went well */
#define STORY_LINES 60
#define LINE_MAX    600

/* How a run ended: the promise that it broke, without figures; "" when it broke none. */
struct verdict {
    char broken[LINE_MAX];
    size_t lines; /* of its story */
};

static void play(uint64_t seed, const char *sets)
{
    struct sim_options options;

    (void)alarm(RUN_MAX_S);
    sim_options_of_seed(seed, &options);
    if (!sim_options_set_all(&options, sets))
        _exit(0);
    struct world *world = world_new(&options, true);
    world_run(world);
    world_free(world);
    _exit(0);
}

static void keep_letters(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++)
        if (*from < '0' || *from > '9')
            *to++ = *from;
    *to = '\0';
}

/* The last lines of the story, oldest first, as long as there are any. */
struct ending {
    char lines[STORY_LINES][LINE_MAX];
    size_t n;
};

static void read_story(FILE *from, struct verdict *out, struct ending *ending)
{
    static const char word[] = "BROKEN: ";
    char line[LINE_MAX];

    *out = (struct verdict){0};
    ending->n = 0;
    while (fgets(line, sizeof line, from)) {
        memcpy(ending->lines[ending->n++ % STORY_LINES], line, sizeof line);
        if (strncmp(line, word, sizeof word - 1) == 0) {
            memcpy(out->broken, line, sizeof line);
            keep_letters(out->broken);
        }
    }
    out->lines = ending->n;
}

/* In a process of its own, for a run that goes wrong ends its process. */
static struct verdict try(uint64_t seed, const char *sets, struct ending *ending)
{
    struct verdict verdict;
    int pipes[2];
    int status = 0;
    int bad = pipe(pipes);

    assert(bad == 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        (void)close(pipes[0]);
        (void)dup2(pipes[1], STDOUT_FILENO);
        (void)dup2(pipes[1], STDERR_FILENO);
        play(seed, sets);
    }
    (void)close(pipes[1]);
    FILE *from = fdopen(pipes[0], "r");
    assert(from);
    read_story(from, &verdict, ending);
    (void)fclose(from);
    (void)waitpid(pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM && !verdict.broken[0])
        (void)snprintf(verdict.broken, sizeof verdict.broken, "ended by a signal");
    return verdict;
}

/* sets with one more; the later one counts. */
static void with(const char *sets, const char *name, int64_t value, char out[SIM_SETS_MAX])
{
    size_t size = strlen(name);
    const char *at = sets;
    size_t n = 0;

    out[0] = '\0';
    while (*at) {
        size_t length = strcspn(at, ",");
        bool is_same = length > size && memcmp(at, name, size) == 0 && at[size] == '=';
        if (!is_same)
            n += (size_t)snprintf(out + n, SIM_SETS_MAX - n, "%.*s,", (int)length, at);
        at += length + (at[length] == ',');
    }
    assert(n < SIM_SETS_MAX - 64);
    (void)snprintf(out + n, SIM_SETS_MAX - n, "%s=%" PRId64, name, value);
}

struct hunt {
    uint64_t seed;
    struct verdict first, best;
    struct ending ending, tried;
    char sets[SIM_SETS_MAX];
    int tries;
};

/* Kept if it still goes wrong, and takes no longer. */
static bool try_sets(struct hunt *hunt, const char *sets)
{
    hunt->tries++;
    struct verdict verdict = try(hunt->seed, sets, &hunt->tried);
    if (strcmp(verdict.broken, hunt->first.broken) != 0 || verdict.lines > hunt->best.lines)
        return false;
    (void)snprintf(hunt->sets, sizeof hunt->sets, "%s", sets);
    hunt->best = verdict;
    hunt->ending = hunt->tried;
    return true;
}

/* Less of one thing. */
static bool try_less(struct hunt *hunt, const char *name, int64_t value)
{
    char less[SIM_SETS_MAX];
    char salted[SIM_SETS_MAX];

    with(hunt->sets, name, value, less);
    if (try_sets(hunt, less))
        return true;
    for (int salt = 1; salt <= SALTS; salt++) {
        with(less, "salt", salt, salted);
        if (strcmp(salted, less) != 0 && try_sets(hunt, salted))
            return true;
    }
    return false;
}

static bool try_knob(struct hunt *hunt, size_t knob, const char *name, int64_t least)
{
    struct sim_options options;

    sim_options_of_seed(hunt->seed, &options);
    (void)sim_options_set_all(&options, hunt->sets);
    int64_t now = sim_options_value(&options, knob);
    if (now <= least || strcmp(name, "salt") == 0)
        return false;
    return try_less(hunt, name, least) || (now / 2 > least && try_less(hunt, name, now / 2)) ||
           (now - 1 > least && now - 1 != now / 2 && try_less(hunt, name, now - 1));
}

static void shrink_all(struct hunt *hunt)
{
    bool has_shrunk = true;
    int64_t least;
    const char *name;

    while (has_shrunk && hunt->tries < TRIES_MAX) {
        has_shrunk = false;
        for (size_t i = 0; (name = sim_options_knob(i, &least)) && hunt->tries < TRIES_MAX; i++)
            has_shrunk = try_knob(hunt, i, name, least) || has_shrunk;
    }
}

static void tell_how(const struct hunt *hunt, const char *sets, FILE *out)
{
    fprintf(out, "sim --seed %" PRIu64 "%s%s --trace\n", hunt->seed, *sets ? " --set " : "", sets);
}

void shrink(uint64_t seed, const char *sets, FILE *out)
{
    struct hunt *hunt = calloc(1, sizeof *hunt);

    assert(hunt);
    hunt->seed = seed;
    (void)snprintf(hunt->sets, sizeof hunt->sets, "%s", sets);
    fprintf(out, "again: ");
    tell_how(hunt, sets, out);
    hunt->first = hunt->best = try(seed, sets, &hunt->ending);
    if (!hunt->first.broken[0]) {
        fprintf(out, "and it does not go wrong when it is played again: either something outside "
                     "ended the process, or sim is at fault\n");
        free(hunt);
        return;
    }
    shrink_all(hunt);
    size_t n = hunt->ending.n;
    fprintf(out, "the shortest story found, %zu lines instead of %zu, its last ones:\n", n,
            hunt->first.lines);
    for (size_t i = n > STORY_LINES ? n - STORY_LINES : 0; i < n; i++)
        fprintf(out, "  %s", hunt->ending.lines[i % STORY_LINES]);
    fprintf(out, "shorter: ");
    tell_how(hunt, hunt->sets, out);
    free(hunt);
}
