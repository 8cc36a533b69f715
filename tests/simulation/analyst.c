#include "tests/simulation/analyst.h"

#include "processors/materialize/materialize.h"
#include "processors/materialize/memory_store.h"
#include "tests/simulation/checks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define READ_BYTES_MAX 6000 /* so that batches are cut everywhere */
#define STEP_MAX_US    (60 * TH_US_PER_MS)

/* Tables outlive whoever opened them. */
struct lent_store {
    struct view_store store; /* first */
    struct view_store *tables;
};

struct analyst {
    struct view_store *tables;
    struct lent_store lent;
    struct materialize *reader;
    int steps_to_live; /* then the reader dies */
};

/* --- tables that stay
 * ------------------------------------------------------------------------------------------ */

static struct view_store *tables_of(struct view_store *store)
{
    return ((struct lent_store *)store)->tables;
}

static enum th_code progress(struct view_store *store, struct view_step *steps, size_t n,
                             struct th_err *err)
{
    return tables_of(store)->ops->progress(tables_of(store), steps, n, err);
}

static enum th_code load(struct view_store *store, enum view_table_id table,
                         struct view_entry *const *entries, size_t n, struct th_arena *arena,
                         struct th_err *err)
{
    return tables_of(store)->ops->load(tables_of(store), table, entries, n, arena, err);
}

static enum th_code commit(struct view_store *store, const struct view_change *change,
                           struct th_err *err)
{
    return tables_of(store)->ops->commit(tables_of(store), change, err);
}

static void close_nothing(struct view_store *store)
{
    (void)store;
}

static const struct view_store_ops lent_ops = {
    .progress = progress, .load = load, .commit = commit, .close = close_nothing};

static enum th_code open_store(void *context, struct view_store **out_store, struct th_err *err)
{
    struct lent_store *lent = context;

    (void)err;
    *out_store = &lent->store;
    return TH_OK;
}

/* --- reading
 * --------------------------------------------------------------------------------------------- */

static struct materialize *new_reader(struct world *world, struct lent_store *lent,
                                      size_t read_bytes)
{
    struct materialize_config config = {.log = world->log,
                                        .clock = &world->clock.clock,
                                        .open_store = open_store,
                                        .context = lent,
                                        .idle_us = 1,
                                        .load_us = 1,
                                        .poll_us = TH_US_PER_MS,
                                        .retry_wait_us = TH_US_PER_MS,
                                        .read_bytes = read_bytes};
    struct materialize *reader;
    struct th_err err = {0};

    if (materialize_new(&config, &reader, &err) != TH_OK)
        world_fail(world, "%s", err.text);
    return reader;
}

static void begin_reading(struct world *world, struct analyst *analyst)
{
    materialize_free(analyst->reader);
    analyst->reader =
        new_reader(world, &analyst->lent, (size_t)rng_between(&world->rng, 200, READ_BYTES_MAX));
    analyst->steps_to_live = (int)rng_between(&world->rng, 1, 300);
}

static void read_on(struct world *world, int64_t arg)
{
    struct analyst *analyst = world->analyst;
    struct th_err err = {0};
    int64_t next_us;

    (void)arg;
    if (world->has_faults && rng_permille(&world->rng, 10))
        memory_store_fail(analyst->tables, 1, rng_permille(&world->rng, 500));
    if (world->has_faults && analyst->steps_to_live-- == 0)
        begin_reading(world, analyst);
    if (materialize_step(analyst->reader, &next_us, &err) == TH_CORRUPT)
        world_fail(world, "views: %s", err.text);
    world_after(world, rng_below(&world->rng, STEP_MAX_US), read_on, 0);
}

struct analyst *analyst_new(struct world *world)
{
    struct analyst *analyst = calloc(1, sizeof *analyst);
    struct th_err err = {0};

    assert(analyst);
    world->analyst = analyst;
    if (memory_store_new(&analyst->tables, &err) != TH_OK)
        world_fail(world, "%s", err.text);
    analyst->lent = (struct lent_store){{&lent_ops}, analyst->tables};
    begin_reading(world, analyst);
    read_on(world, 0);
    return analyst;
}

void analyst_free(struct analyst *analyst)
{
    if (!analyst)
        return;
    materialize_free(analyst->reader);
    analyst->tables->ops->close(analyst->tables);
    free(analyst);
}

/* --- what they must say
 * ------------------------------------------------------------------------------------- */

static void check_fresh(struct world *world)
{
    struct lent_store lent = {{&lent_ops}, NULL};
    TH_AUTO(th_buf) struct th_buf why = {0};
    struct th_err err = {0};

    if (memory_store_new(&lent.tables, &err) != TH_OK)
        world_fail(world, "%s", err.text);
    struct materialize *reader = new_reader(world, &lent, 0);
    if (materialize_drain(reader, &err) != TH_OK)
        world_fail(world, "views: %s", err.text);
    if (!memory_store_equal(world->analyst->tables, lent.tables, &why)) {
        th_buf_add_char(&why, '\0');
        world_fail(world, "the views differ from a fresh fold of the log: %s", th_buf_str(&why).p);
    }
    materialize_free(reader);
    lent.tables->ops->close(lent.tables);
}

static void check_sends(struct world *world)
{
    const struct view_store *tables = world->analyst->tables;
    size_t n = memory_store_count(tables, VIEW_TABLE_SENDS);

    if (n != checks_sends(world))
        world_fail(world, "the views have %zu sends, the log %zu", n, checks_sends(world));
    for (size_t i = 0; i < n; i++) {
        const struct sends_row *row = memory_store_row(tables, VIEW_TABLE_SENDS, i);
        const char *set = checks_set(world, row->send);
        if (!th_str_eq(row->outcome, th_str(set)))
            world_fail(world, "the views say '%.*s' of recipient %d of part %d, which is '%s'",
                       TH_ARG(row->outcome), row->row, row->part, set);
    }
}

static int64_t count_rows(const struct view_store *tables, const struct campaign_counters_row *c)
{
    size_t n = memory_store_count(tables, VIEW_TABLE_SENDS);
    int64_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sends_row *row = memory_store_row(tables, VIEW_TABLE_SENDS, i);
        char text[TH_ID_TEXT_LEN + 1];
        char key[64];
        th_id_text(row->send, text);
        int m = snprintf(key, sizeof key, "%.*s/%s", TH_ARG(row->tenant), text);
        found +=
            th_id_eq(row->campaign, c->campaign) && th_str_eq(row->outcome, c->outcome) &&
            th_str_eq(row->reason, c->reason) &&
            topic_partition_of_key((struct th_str){key, (size_t)m}, SIM_PARTITIONS) == c->log_part;
    }
    return found;
}

static void check_counters(struct world *world)
{
    const struct view_store *tables = world->analyst->tables;
    size_t n = memory_store_count(tables, VIEW_TABLE_CAMPAIGN_COUNTERS);

    for (size_t i = 0; i < n; i++) {
        const struct campaign_counters_row *row =
            memory_store_row(tables, VIEW_TABLE_CAMPAIGN_COUNTERS, i);
        if (row->source != VIEW_COUNTED_SENDS)
            continue;
        int64_t recount = count_rows(tables, row);
        if (row->n != recount)
            world_fail(world, "a counter of '%.*s %.*s' says %" PRId64 ", the rows %" PRId64,
                       TH_ARG(row->outcome), TH_ARG(row->reason), row->n, recount);
    }
}

void analyst_end(struct world *world)
{
    struct th_err err = {0};

    memory_store_fail(world->analyst->tables, 0, false);
    if (materialize_drain(world->analyst->reader, &err) != TH_OK)
        world_fail(world, "views: %s", err.text);
    check_fresh(world);
    check_sends(world);
    check_counters(world);
}
