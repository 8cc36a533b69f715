/* A batch of rows: what was written is in memory for the next one, within bounds. */
#include "tests/unit/test.h"

#include <string.h>

#include "processors/materialize/batch.h"
#include "processors/materialize/memory_store.h"

#define KEEP_BYTES ((size_t)64 * 1024)

/* A store that counts the rows it was asked for. */
struct counting {
    struct view_store store;
    struct view_store *inner;
    size_t loaded_n;
};

static enum th_code load(struct view_store *store, enum view_table_id table,
                         struct view_entry *const *entries, size_t n, struct th_arena *arena,
                         struct th_err *err)
{
    struct counting *self = (struct counting *)store;

    self->loaded_n += n;
    return self->inner->ops->load(self->inner, table, entries, n, arena, err);
}

static enum th_code commit(struct view_store *store, const struct view_change *change,
                           struct th_err *err)
{
    struct view_store *inner = ((struct counting *)store)->inner;

    return inner->ops->commit(inner, change, err);
}

static const struct view_store_ops counting_ops = {.load = load, .commit = commit};

struct world {
    struct counting store;
    struct view_batch batch;
};

static void world_open(struct world *world, size_t keep_bytes)
{
    struct th_err err = {0};

    *world = (struct world){.store.store.ops = &counting_ops};
    assert_int_equal(memory_store_new(&world->store.inner, &err), TH_OK);
    view_batch_init(&world->batch, &world->store.store);
    world->batch.keep_bytes = keep_bytes;
}

static void world_close(struct world *world)
{
    view_batch_fini(&world->batch);
    world->store.inner->ops->close(world->store.inner);
}

static struct sends_row key_of(uint32_t i)
{
    struct sends_row key = {0};

    memcpy(key.send.b, &i, sizeof i);
    return key;
}

/* Lane of a send becomes that; its rows before are asked for together. */
static void touch(struct world *world, uint32_t i, int32_t lane)
{
    const struct sends_row key = key_of(i);
    void *row;

    assert_int_equal(view_batch_row(&world->batch, VIEW_TABLE_SENDS, &key, 1, &row), TH_OK);
    ((struct sends_row *)row)->lane = lane;
    assert_int_equal(
        view_batch_text(&world->batch, &((struct sends_row *)row)->reason, TH_STR("because")),
        TH_OK);
}

/* How many rows were written. */
static size_t write_batch(struct world *world)
{
    struct view_change change = {0};
    struct th_err err = {0};
    size_t n = 0;

    assert_int_equal(view_batch_change(&world->batch, &change), TH_OK);
    n = change.tables[VIEW_TABLE_SENDS].n;
    assert_int_equal(world->store.store.ops->commit(&world->store.store, &change, &err), TH_OK);
    view_batch_written(&world->batch);
    return n;
}

static int32_t lane_of(const struct world *world, uint32_t i)
{
    const struct sends_row key = key_of(i);
    const struct sends_row *row = memory_store_find(world->store.inner, VIEW_TABLE_SENDS, &key);

    assert_non_null(row);
    assert_str_equal(row->reason, TH_STR("because"));
    return row->lane;
}

static void test_what_was_written_is_not_loaded_again(void **unused)
{
    (void)unused;
    struct world world;

    world_open(&world, KEEP_BYTES);
    touch(&world, 1, 5);
    assert_int_equal(write_batch(&world), 1);
    assert_int_equal(world.store.loaded_n, 1);
    touch(&world, 1, 6);
    touch(&world, 2, 7);
    assert_int_equal(write_batch(&world), 2);
    assert_int_equal(world.store.loaded_n, 2);
    assert_int_equal(lane_of(&world, 1), 6);
    assert_int_equal(lane_of(&world, 2), 7);
    world_close(&world);
}

static void test_what_did_not_change_is_not_written(void **unused)
{
    (void)unused;
    struct world world;

    world_open(&world, KEEP_BYTES);
    touch(&world, 1, 5);
    assert_int_equal(write_batch(&world), 1);
    touch(&world, 1, 5);
    assert_int_equal(write_batch(&world), 0);
    touch(&world, 1, 6);
    assert_int_equal(view_batch_pack(&world.batch), TH_OK);
    touch(&world, 1, 5); /* and back, between two packings */
    assert_int_equal(write_batch(&world), 0);
    touch(&world, 1, 6);
    assert_int_equal(view_batch_pack(&world.batch), TH_OK);
    touch(&world, 1, 7);
    assert_int_equal(write_batch(&world), 1);
    assert_int_equal(lane_of(&world, 1), 7);
    world_close(&world);
}

static void test_after_a_failure_all_is_loaded_again(void **unused)
{
    (void)unused;
    struct world world;

    world_open(&world, KEEP_BYTES);
    touch(&world, 1, 5);
    write_batch(&world);
    touch(&world, 1, 9); /* and this is never written */
    view_batch_reset(&world.batch);
    assert_int_equal(world.batch.bytes, 0);
    touch(&world, 1, 5);
    assert_int_equal(world.store.loaded_n, 2);
    assert_int_equal(write_batch(&world), 0);
    world_close(&world);
}

static void test_no_more_is_kept_than_there_is_room_for(void **unused)
{
    (void)unused;
    struct world world;
    const uint32_t rows_n = 5000;

    world_open(&world, KEEP_BYTES);
    for (uint32_t i = 0; i < rows_n; i++) {
        touch(&world, i, 1);
        if (i % 100 == 99) {
            write_batch(&world);
            assert_true(world.batch.bytes <= KEEP_BYTES);
        }
    }
    assert_int_equal(world.store.loaded_n, rows_n);
    assert_true(world.batch.tables[VIEW_TABLE_SENDS].n > 100);
    for (uint32_t i = rows_n - 100; i < rows_n; i++) /* the newest are there */
        touch(&world, i, 2);
    assert_int_equal(world.store.loaded_n, rows_n);
    for (uint32_t i = 0; i < 100; i++) /* the oldest are not, and what came of them is right */
        touch(&world, i, 2);
    assert_int_equal(world.store.loaded_n, rows_n + 100);
    assert_int_equal(write_batch(&world), 200);
    for (uint32_t i = 0; i < rows_n; i++)
        assert_int_equal(lane_of(&world, i), i < 100 || i >= rows_n - 100 ? 2 : 1);
    world_close(&world);
}

static void test_what_is_not_touched_is_forgotten(void **unused)
{
    (void)unused;
    struct world world;

    world_open(&world, KEEP_BYTES);
    touch(&world, 1, 1);
    write_batch(&world);
    for (int32_t lane = 1; lane < 20; lane++) {
        touch(&world, 2, lane);
        write_batch(&world);
    }
    assert_int_equal(world.batch.tables[VIEW_TABLE_SENDS].n, 1);
    assert_int_equal(world.store.loaded_n, 2);
    touch(&world, 1, 2);
    assert_int_equal(world.store.loaded_n, 3);
    assert_int_equal(write_batch(&world), 1);
    assert_int_equal(lane_of(&world, 1), 2);
    assert_int_equal(lane_of(&world, 2), 19);
    world_close(&world);
}

/* A batch larger than what may be kept is written all the same. */
static void test_a_batch_may_be_larger_than_what_is_kept(void **unused)
{
    (void)unused;
    struct world world;
    const uint32_t rows_n = 2000;

    world_open(&world, KEEP_BYTES);
    for (int32_t round = 1; round < 4; round++) {
        for (uint32_t i = 0; i < rows_n; i++) {
            touch(&world, i, round);
            if (i % 100 == 99)
                assert_int_equal(view_batch_pack(&world.batch), TH_OK);
        }
        assert_int_equal(write_batch(&world), rows_n);
        assert_true(world.batch.bytes <= KEEP_BYTES);
    }
    for (uint32_t i = 0; i < rows_n; i++)
        assert_int_equal(lane_of(&world, i), 3);
    world_close(&world);
}

static void test_without_room_nothing_is_kept(void **unused)
{
    (void)unused;
    struct world world;

    world_open(&world, 0);
    touch(&world, 1, 5);
    write_batch(&world);
    assert_int_equal(world.batch.bytes, 0);
    touch(&world, 1, 6);
    write_batch(&world);
    assert_int_equal(world.store.loaded_n, 2);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_not_loaded_again),
        cmocka_unit_test(test_what_did_not_change_is_not_written),
        cmocka_unit_test(test_after_a_failure_all_is_loaded_again),
        cmocka_unit_test(test_no_more_is_kept_than_there_is_room_for),
        cmocka_unit_test(test_what_is_not_touched_is_forgotten),
        cmocka_unit_test(test_a_batch_may_be_larger_than_what_is_kept),
        cmocka_unit_test(test_without_room_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
