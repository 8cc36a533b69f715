#include "tests/unit/test.h"

#include "processors/retry/route.h"

#include <stdio.h>

static void configure(struct reference *ref, const char *name, int32_t lane, int32_t weight)
{
    struct event event = {.type = EVENT_ACCOUNT_CONFIGURED};
    struct account_configured *account = &event.as.account_configured;

    account->meta.tenant = TH_STR("pratham");
    account->name = th_str(name);
    account->lane = lane;
    account->weight = weight;
    account->wire = TH_STR("twilio");
    assert_int_equal(reference_apply(ref, TOPIC_CONFIG, &event), TH_OK);

    event = (struct event){.type = EVENT_ACCOUNT_ENABLED};
    event.as.account_enabled.meta.tenant = TH_STR("pratham");
    event.as.account_enabled.name = th_str(name);
    event.as.account_enabled.is_enabled = true;
    assert_int_equal(reference_apply(ref, TOPIC_CONFIG, &event), TH_OK);
}

static void set_circuit(struct reference *ref, int32_t lane, enum circuit circuit, int32_t health)
{
    struct event event = {.type = EVENT_LANE_HEALTH_CHANGED};

    event.as.lane_health_changed.meta.tenant = TH_STR("pratham");
    event.as.lane_health_changed.lane = lane;
    event.as.lane_health_changed.circuit = circuit;
    event.as.lane_health_changed.health_permille = health;
    assert_int_equal(reference_apply(ref, TOPIC_LANE_HEALTH, &event), TH_OK);
}

static int32_t entries_of(const struct route_table *table, int32_t lane)
{
    int32_t n = 0;

    for (int i = 0; i < ROUTE_ENTRIES; i++)
        n += table->entries[i] == lane;
    return n;
}

static const struct string_array everybody = {NULL, 0};

static void test_weights_are_exact_over_any_hundred(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        int32_t weights[3];
        int32_t entries[3];
    } cases[] = {
        {"80, 15, 5 are taken as they are", {80, 15, 5}, {80, 15, 5}},
        {"thirds: the rest goes to the earliest", {1, 1, 1}, {34, 33, 33}},
        {"one lane takes everything", {7, 0, 0}, {100, 0, 0}},
        {"a tiny weight gets its rounded share", {1000, 1, 0}, {100, 0, 0}},
        {"two to one", {2, 1, 0}, {67, 33, 0}},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct reference *ref = reference_new();
        struct route_table table;
        print_message("  %s\n", cases[i].says);
        for (int k = 0; k < 3; k++) {
            char name[8];
            (void)snprintf(name, sizeof name, "p%d", k);
            configure(ref, name, k + 1, cases[i].weights[k]);
        }
        route_table_make(ref, TH_STR("pratham"), &everybody, &table);
        for (int k = 0; k < 3; k++)
            assert_int_equal(entries_of(&table, k + 1), cases[i].entries[k]);
        for (int64_t from = 0; from < 3; from++) { /* wherever the hundred begins */
            int32_t n = 0;
            for (int64_t k = from; k < from + 100; k++)
                n += route_first(&table, k) == 1;
            assert_int_equal(n, cases[i].entries[0]);
        }
        reference_free(ref);
    }
}

static void test_a_small_share_is_spread_not_bunched(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    struct route_table table;
    int last = -1;

    configure(ref, "big", 1, 90);
    configure(ref, "small", 2, 10);
    route_table_make(ref, TH_STR("pratham"), &everybody, &table);
    for (int i = 0; i < ROUTE_ENTRIES; i++) {
        if (table.entries[i] != 2)
            continue;
        assert_true(last < 0 || i - last == 10);
        last = i;
    }
    reference_free(ref);
}

static void test_closed_lanes_get_nothing(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    struct route_table table;
    const uint16_t excluded[] = {1};

    configure(ref, "a", 1, 50);
    configure(ref, "b", 2, 50);
    set_circuit(ref, 1, CIRCUIT_OPEN, 50);
    route_table_make(ref, TH_STR("pratham"), &everybody, &table);
    assert_int_equal(entries_of(&table, 2), 100);
    assert_false(route_is_open(&table, 1));
    assert_int_equal(route_other(&table, excluded, 1), 2);

    set_circuit(ref, 1, CIRCUIT_HALF_OPEN, 50); /* a trickle comes back to probe it */
    route_table_make(ref, TH_STR("pratham"), &everybody, &table);
    assert_int_equal(entries_of(&table, 1), 5);

    set_circuit(ref, 1, CIRCUIT_OPEN, 50);
    set_circuit(ref, 2, CIRCUIT_OPEN, 50);
    route_table_make(ref, TH_STR("pratham"), &everybody, &table);
    assert_int_equal(route_first(&table, 3), 0);
    assert_int_equal(route_other(&table, NULL, 0), 0);
    reference_free(ref);
}

static void test_nobody_gets_another_tenants_lane(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    struct route_table table;
    const struct th_str only[] = {TH_STR("b")};
    const struct string_array b = {only, 1};

    configure(ref, "a", 1, 50);
    configure(ref, "b", 2, 50);
    route_table_make(ref, TH_STR("somebody"), &everybody, &table);
    assert_int_equal(table.lanes_n, 0);
    route_table_make(ref, TH_STR("pratham"), &b, &table);
    assert_int_equal(entries_of(&table, 2), 100);
    reference_free(ref);
}

static void test_a_contact_keeps_its_caller(void **unused)
{
    (void)unused;
    const struct th_str all[] = {TH_STR("+911"), TH_STR("+912"), TH_STR("+913")};
    const struct account_configured three = {.senders = {all, 3}};
    const struct account_configured two = {.senders = {all, 2}};
    int moved = 0;

    for (int64_t contact = 0; contact < 3000; contact++) {
        struct th_str of_three = route_sender(&three, contact);
        struct th_str of_two = route_sender(&two, contact);
        if (!th_str_eq(of_three, all[2]))
            assert_str_equal(of_two, of_three); /* only the lost one's contacts move */
        else
            moved++;
    }
    assert_in_range(moved, 900, 1100);
    assert_int_equal(route_sender(&(struct account_configured){0}, 1).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_are_exact_over_any_hundred),
        cmocka_unit_test(test_a_small_share_is_spread_not_bunched),
        cmocka_unit_test(test_closed_lanes_get_nothing),
        cmocka_unit_test(test_nobody_gets_another_tenants_lane),
        cmocka_unit_test(test_a_contact_keeps_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
