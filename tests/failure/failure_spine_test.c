/* The cores and the slot shell without memory: the n-th allocation of a slot's steps fails, for
 * every n, once and for a while; then everything that the simulation promises is held against what
 * became of it. Nobody is skipped, nobody called twice, and at rest all counts are what they would
 * have been. */
#include "tests/failure/fail.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/world.h"
#include "tests/unit/test.h"

#include <stdlib.h>

#define PEOPLE      6
#define KILL_AT     40  /* steps */
#define SHORT_STEPS 150 /* so long memory is short */
#define SEEDS       8

/* --- only what a slot does by itself lacks memory: its effects are the test's ------------------
 */

struct lent_effects {
    struct effects is; /* first */
    struct effects *behind;
};

#define LENT_MAX 4096

static struct lent_effects *lent[LENT_MAX];
static size_t lent_n;

static struct effects *behind(struct effects *effects)
{
    return ((struct lent_effects *)effects)->behind;
}

static enum th_code lent_ask(struct effects *effects, const struct effect *effect,
                             struct th_arena *arena, struct answer *out)
{
    fail_exempt(true);
    enum th_code code = behind(effects)->ops->ask(behind(effects), effect, arena, out);
    fail_exempt(false);
    return code;
}

static void lent_run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    fail_exempt(true);
    behind(effects)->ops->run(behind(effects), effect, commit_boot_us);
    fail_exempt(false);
}

static bool lent_poll(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    fail_exempt(true);
    bool is_there = behind(effects)->ops->poll(behind(effects), arena, out);
    fail_exempt(false);
    return is_there;
}

static int lent_fd(const struct effects *effects)
{
    const struct lent_effects *of = (const struct lent_effects *)effects;

    return of->behind->ops->fd(of->behind);
}

static void lent_session(struct effects *effects, uint64_t session)
{
    fail_exempt(true);
    behind(effects)->ops->session(behind(effects), session);
    fail_exempt(false);
}

static const struct effects_ops lent_ops = {
    .ask = lent_ask, .run = lent_run, .poll = lent_poll, .fd = lent_fd, .session = lent_session};

enum th_code __real_slot_new(const struct slot_config *config, struct slot **out_slot,
                             struct th_err *err);
enum th_code __wrap_slot_new(const struct slot_config *config, struct slot **out_slot,
                             struct th_err *err);
enum th_code __real_slot_step(struct slot *slot, int64_t *out_next_us, struct th_err *err);
enum th_code __wrap_slot_step(struct slot *slot, int64_t *out_next_us, struct th_err *err);

enum th_code __wrap_slot_new(const struct slot_config *config, struct slot **out_slot,
                             struct th_err *err)
{
    struct slot_config mine = *config;
    struct lent_effects *effects = malloc(sizeof *effects);

    assert_non_null(effects);
    assert_true(lent_n < LENT_MAX);
    *effects = (struct lent_effects){{&lent_ops}, config->effects};
    lent[lent_n++] = effects;
    if (config->effects)
        mine.effects = &effects->is;
    return __real_slot_new(&mine, out_slot, err);
}

static long steps;
static long short_until; /* step from which on there is memory again */

/* Every other step lacks memory, from somewhere on, while there is trouble. */
static struct chance {
    struct world *world; /* NULL: nothing is left to chance */
    uint64_t rng;
    long hits;
} chance;

static uint64_t draw(uint64_t below)
{
    chance.rng = chance.rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (chance.rng >> 33) % below;
}

static enum th_code step_by_chance(struct slot *slot, int64_t *out_next_us, struct th_err *err)
{
    if (!chance.world->has_faults || draw(2) != 0)
        return __real_slot_step(slot, out_next_us, err);
    fail_plan(FAIL_MEMORY, 1 + (long)draw(1 + draw(12)), draw(2) ? FAIL_ONCE : FAIL_FROM_THEN_ON);
    fail_arm();
    enum th_code code = __real_slot_step(slot, out_next_us, err);
    fail_disarm();
    chance.hits += fail_was_hit();
    return code;
}

enum th_code __wrap_slot_step(struct slot *slot, int64_t *out_next_us, struct th_err *err)
{
    if (chance.world)
        return step_by_chance(slot, out_next_us, err);
    bool is_short = steps++ < short_until;

    if (is_short)
        fail_arm();
    enum th_code code = __real_slot_step(slot, out_next_us, err);
    if (is_short)
        fail_disarm();
    /* When memory fails from then on, it comes back after a while. */
    if (fail_was_hit() && short_until > steps + SHORT_STEPS)
        short_until = steps + SHORT_STEPS;
    return code;
}

static void give_back(void)
{
    while (lent_n > 0)
        free(lent[--lent_n]);
}

/* --- a small story, again and again ------------------------------------------------------------
 */

static bool has_stepped(struct world *world)
{
    (void)world;
    return steps >= KILL_AT;
}

/* Six people, a snapshot every few events; the process dies in the middle and another goes on. */
static void tell(void *arg)
{
    struct sim_options options;
    struct sim_certificate c;

    (void)arg;
    sim_options_quiet(1, PEOPLE, &options);
    options.snapshot_bytes_min = 512;
    options.has_no_views = true;
    steps = 0;
    short_until = INT32_MAX;
    struct world *world = world_new(&options, false);
    world_start_process(world, 0x3f);
    world_command(world, 0, SIM_CREATE);
    world_command(world, 0, SIM_START);
    world_run_until(world, has_stepped, 60 * TH_US_PER_SEC, "there were some steps");
    world_kill(world, world_owner(world, SIM_CAMPAIGN, 0), 0);
    world_settle(world);
    checks_certificate(world, 0, &c);
    assert_int_equal(c.never_released, 0);
    assert_int_equal(c.reached + c.accepted + c.unreached + c.suppressed + c.in_doubt, PEOPLE);
    world_free(world);
    give_back();
}

static void test_a_small_story(void **unused)
{
    (void)unused;
    const char *stride = getenv("TELEHUB_FAILURE_STRIDE"); /* 1: every n, in half a minute */

    fail_each_stride("a campaign of six, and a kill", FAIL_MEMORY,
                     stride ? strtol(stride, NULL, 10) : 7, tell, NULL);
}

/* --- stories in which everything else goes wrong, too
 * -------------------------------------------- */

static void test_seeds(void **unused)
{
    (void)unused;
    long hits = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_options options;

        print_message("  seed %d\n", (int)seed);
        sim_options_of_seed(seed, &options);
        options.has_no_views = true;
        if (options.faults_us == 0)
            options.faults_us = 5 * TH_US_PER_SEC;
        if (options.fault_every_us == 0)
            options.fault_every_us = TH_US_PER_SEC;
        chance = (struct chance){.world = world_new(&options, false), .rng = seed};
        world_run(chance.world);
        hits += chance.hits;
        world_free(chance.world);
        chance.world = NULL;
        give_back();
    }
    print_message("  %ld times there was no memory\n", hits);
    assert_true(hits > 20L * SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_small_story),
                                       cmocka_unit_test(test_seeds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
