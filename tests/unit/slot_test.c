#include "tests/unit/slot_world.h"

#include <string.h>

#include "tests/unit/test.h"

/* --- one thing after another
 * ----------------------------------------------------------------------
 */

static void test_every_request_is_carried_out_once(void **unused)
{
    (void)unused;
    struct world world;

    world_init(&world, 1, &toy_core);
    for (int i = 0; i < 1000; i++)
        world_request(&world, CHANNEL_SMS);
    world_settle(&world);
    world_check(&world, false);
    for (int i = 0; i < world.requests; i++)
        assert_int_equal(world.calls[i], 1);
    world_fini(&world);
}

/* --- faults, on many seeds
 * ------------------------------------------------------------------------
 */

static const struct {
    const char *says;
    struct world_odds odds;
    bool has_rival;
    bool is_unknown_allowed;
    bool by_piece;
    size_t snapshot_bytes_min;
} storms[] = {
    {"commits abort", {.abort = 300}, false, false, false, 1 << 30},
    {"answers to commits are lost",
     {.lost_committed = 200, .lost_aborted = 200},
     false,
     false,
     true,
     1 << 30},
    {"commits hang", {.hold = 500, .abort = 50}, false, false, false, 2000},
    {"slots are taken away", {.fence = 30, .abort = 50}, false, false, false, 2000},
    {"two processes want one slot", {.abort = 50, .hold = 100}, true, true, true, 2000},
    {"processes die", {.crash = 30}, false, true, false, 1 << 30},
    {"the log goes away now and then", {.down = 200}, false, false, true, 2000},
    {"memory runs out", {.nomem_per = 7, .abort = 50}, false, false, false, 1 << 30},
    {"everything at once",
     {.abort = 100,
      .lost_committed = 50,
      .lost_aborted = 50,
      .hold = 100,
      .fence = 10,
      .crash = 10,
      .down = 30,
      .nomem_per = 50},
     true,
     true,
     true,
     500},
};

static void weather(size_t storm, uint64_t seed)
{
    struct world world;

    world_init(&world, seed, storms[storm].by_piece ? &toy_core_by_piece : &toy_core);
    world.odds = storms[storm].odds;
    world.has_rival = storms[storm].has_rival;
    world.snapshot_bytes_min = storms[storm].snapshot_bytes_min;
    for (int turn = 0; turn < 300; turn++) {
        if (world_roll(&world, 4) == 0) {
            memory_log_set_down(world.log, 0);
            for (unsigned i = world_roll(&world, 6); i > 0; i--)
                world_request(&world, CHANNEL_SMS);
        }
        world_turn(&world);
    }
    world_settle(&world);
    world_check(&world, storms[storm].is_unknown_allowed);
    world_fini(&world);
}

static void test_faults_repeat_nothing_and_lose_nothing(void **unused)
{
    (void)unused;
    for (size_t storm = 0; storm < TH_LEN(storms); storm++) {
        print_message("  %s\n", storms[storm].says);
        for (uint64_t seed = 1; seed <= 20; seed++)
            weather(storm, seed * 1000 + storm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_is_carried_out_once),
        cmocka_unit_test(test_faults_repeat_nothing_and_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
