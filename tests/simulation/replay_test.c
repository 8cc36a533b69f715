/* Replay equality: whatever was written down, and whenever, a core that loads it and folds the rest
 * of its own events is the core that folded them all. The events are those of simulated runs, each
 * cut off in the middle, when much is open. */
#include "common/buf.h"
#include "tests/simulation/world.h"
#include "tests/unit/test.h"

#include <string.h>

#define SEEDS       10
#define ROUNDS      3 /* of each slot of each core: other batches, other snapshots */
#define PIECES_MAX  256
#define READ_BYTES  (1 << 20)
#define BATCH_MAX   40
#define ARENA_BYTES ((size_t)1 << 30)

static const struct core_ops *const cores[SIM_APPS] = {&campaign_core, &retry_core, &dispatch_core};

/* A slot's own events, as they stand in the log. */
struct told {
    struct log_record *at;
    size_t n, cap;
};

/* A piece as it was last written down. */
struct written {
    struct th_buf body;
    int64_t upto;
};

struct play {
    const struct core_ops *ops;
    struct core_env env;
    const struct told *told;
    struct rng *rng;
    struct th_arena scratch; /* of one event */
    struct written written[SIM_PARTITIONS][PIECES_MAX];
};

/* --- what a run left ----------------------------------------------------------------------------
 */

static void keep(struct told *told, const struct log_records *records)
{
    for (size_t i = 0; i < records->n; i++) {
        if (told->n == told->cap) {
            told->cap = told->cap ? 2 * told->cap : 1024;
            told->at = realloc(told->at, told->cap * sizeof *told->at);
            assert_non_null(told->at);
        }
        told->at[told->n++] = records->at[i];
    }
}

static void read_own(struct world *world, const struct core_ops *ops, int slot,
                     struct th_arena *arena, struct told *told)
{
    struct log_place from[SIM_PARTITIONS];
    struct th_log_reader *reader;
    struct log_records records;
    struct th_err err = {0};
    size_t n = 0;

    for (int part = slot; part < SIM_PARTITIONS; part += SIM_SLOTS)
        from[n++] = (struct log_place){ops->own, part, 0};
    assert_int_equal(th_log_reader_open(world->log, from, n, &reader, &err), TH_OK);
    do {
        assert_int_equal(th_log_reader_read(reader, READ_BYTES, arena, &records, &err), TH_OK);
        keep(told, &records);
    } while (records.n > 0);
    th_log_reader_close(reader);
}

/* --- folding ------------------------------------------------------------------------------------
 */

static void *new_core(const struct play *play)
{
    static struct campaign_config campaign;
    static struct retry_config retry;
    static struct dispatch_config dispatch;
    const void *configs[SIM_APPS] = {&campaign, &retry, &dispatch};
    void *core = NULL;

    campaign = CAMPAIGN_CONFIG_DEFAULT;
    retry = retry_config_default();
    dispatch = dispatch_config_default();
    for (int app = 0; app < SIM_APPS; app++)
        if (cores[app] == play->ops)
            assert_int_equal(play->ops->new (configs[app], &play->env, &core), TH_OK);
    return core;
}

static void decode(struct play *play, const struct log_record *record, struct event *out)
{
    struct th_err err = {0};

    th_arena_reset(&play->scratch);
    assert_int_equal(event_decode(record->value, &play->scratch, out, &err), TH_OK);
}

static void fold(struct play *play, void *core, const struct log_record *record)
{
    struct event event;

    decode(play, record, &event);
    assert_int_equal(play->ops->evolve(core, &event), TH_OK);
}

static void settle(const struct play *play, void *core)
{
    play->ops->batch_close(core);
    play->ops->batch_forget(core);
}

static void save_all(const struct play *play, const void *core, struct th_buf *out)
{
    for (int part = play->env.slot; part < SIM_PARTITIONS; part += SIM_SLOTS)
        for (int piece = 0; piece < play->ops->pieces; piece++)
            assert_int_equal(play->ops->save(core, part, piece, out), TH_OK);
}

/* --- writing pieces down while batches come and go ----------------------------------------------
 */

static void write_piece(struct play *play, const void *core, int part, int piece,
                        const int64_t *durable_to)
{
    struct written *written = &play->written[part][piece];

    th_buf_clear(&written->body);
    assert_int_equal(play->ops->save(core, part, piece, &written->body), TH_OK);
    written->upto = durable_to[part];
}

/* Some pieces of some partition: those of a core that cannot tell them apart all at once. */
static void write_some(struct play *play, const void *core, const int64_t *durable_to)
{
    int part = play->env.slot + SIM_SLOTS * (int)rng_below(play->rng, SIM_PARTITIONS / SIM_SLOTS);
    int first = play->ops->piece ? (int)rng_below(play->rng, play->ops->pieces) : 0;
    int n = play->ops->piece ? 1 + (int)rng_below(play->rng, 64) : play->ops->pieces;

    for (int piece = first; piece < first + n && piece < play->ops->pieces; piece++)
        write_piece(play, core, part, piece, durable_to);
}

static void note_durable(const struct play *play, size_t from, size_t to, int64_t *durable_to)
{
    for (size_t i = from; i < to; i++)
        durable_to[play->told->at[i].place.part] = play->told->at[i].place.offset + 1;
}

/* The first end events, in batches of which some are undone and folded again, as a slot does that
 * gathers one behind another. */
static void fold_in_batches(struct play *play, size_t end)
{
    void *core = new_core(play);
    int64_t durable_to[SIM_PARTITIONS] = {0};
    size_t durable = 0, closed = 0, at = 0;

    while (durable < end) {
        for (int64_t n = rng_below(play->rng, BATCH_MAX); n > 0 && at < end; n--)
            fold(play, core, &play->told->at[at++]);
        if (rng_below(play->rng, 4) == 0)
            write_some(play, core, durable_to);
        if (rng_below(play->rng, 8) == 0) {
            play->ops->batch_undo(core);
            closed = at = durable;
            continue;
        }
        if (closed > durable) {
            play->ops->batch_forget(core);
            note_durable(play, durable, closed, durable_to);
            durable = closed;
        }
        if (at > closed) {
            play->ops->batch_close(core);
            closed = at;
        }
    }
    play->ops->free(core);
}

/* --- and back -----------------------------------------------------------------------------------
 */

static bool is_written(struct play *play, const struct log_record *record,
                       const struct event *event)
{
    int piece = play->ops->piece ? play->ops->piece(event) : 0;

    return piece >= 0 && record->place.offset < play->written[record->place.part][piece].upto;
}

static void *come_back(struct play *play, size_t end)
{
    void *core = new_core(play);
    struct event event;

    for (int part = play->env.slot; part < SIM_PARTITIONS; part += SIM_SLOTS)
        for (int piece = 0; piece < play->ops->pieces; piece++) {
            struct th_str body = th_buf_str(&play->written[part][piece].body);
            assert_int_equal(play->ops->load(core, part, piece, body), TH_OK);
            settle(play, core);
        }
    for (size_t i = 0; i < end; i++) {
        decode(play, &play->told->at[i], &event);
        if (!is_written(play, &play->told->at[i], &event))
            assert_int_equal(play->ops->evolve(core, &event), TH_OK);
        settle(play, core);
    }
    return core;
}

static void forget_written(struct play *play)
{
    for (int part = 0; part < SIM_PARTITIONS; part++)
        for (int piece = 0; piece < PIECES_MAX; piece++) {
            th_buf_fini(&play->written[part][piece].body);
            play->written[part][piece] = (struct written){0};
        }
}

/* Bytes of state that were compared. */
static size_t play_round(struct play *play)
{
    size_t end = play->told->n;
    TH_AUTO(th_buf) struct th_buf whole = {0};
    TH_AUTO(th_buf) struct th_buf loaded = {0};
    void *core = new_core(play);

    for (size_t i = 0; i < end; i++)
        fold(play, core, &play->told->at[i]);
    settle(play, core);
    save_all(play, core, &whole);
    play->ops->free(core);

    fold_in_batches(play, end);
    core = come_back(play, end);
    save_all(play, core, &loaded);
    play->ops->free(core);
    forget_written(play);
    assert_str_equal(th_buf_str(&loaded), th_buf_str(&whole));
    return whole.n;
}

/* --- of many runs -------------------------------------------------------------------------------
 */

static size_t compared[SIM_APPS];

static void play_slot(struct world *world, int app, int slot)
{
    struct play *play = calloc(1, sizeof *play);
    struct told told = {0};
    struct th_arena arena;

    assert_non_null(play);
    th_arena_init(&arena, ARENA_BYTES);
    read_own(world, cores[app], slot, &arena, &told);
    *play = (struct play){
        .ops = cores[app],
        .env = {.slot = slot, .slots = SIM_SLOTS, .partitions = SIM_PARTITIONS, .session = 1},
        .told = &told,
        .rng = &world->rng,
    };
    th_arena_init(&play->scratch, ARENA_BYTES);
    for (int round = 0; round < ROUNDS && told.n > 0; round++)
        compared[app] += play_round(play);
    th_arena_fini(&play->scratch);
    th_arena_fini(&arena);
    free(told.at);
    free(play);
}

static void test_a_snapshot_and_the_rest_are_all_from_the_start(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_options options;
        sim_options_of_seed(seed, &options);
        struct world *world = world_new(&options, false);
        world_begin(world);
        world_run_for(world, 1 + rng_below(&world->rng, options.faults_us));
        memory_log_set_down(world->log, 0); /* an outage that the end fell into */
        for (int app = 0; app < SIM_APPS; app++)
            for (int slot = 0; slot < SIM_SLOTS; slot++)
                play_slot(world, app, slot);
        world_free(world);
    }
    for (int app = 0; app < SIM_APPS; app++) {
        print_message("  %s: %zu bytes of state\n", cores[app]->name, compared[app]);
        assert_true(compared[app] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_and_the_rest_are_all_from_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
