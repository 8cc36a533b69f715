/* Packed rows: what was packed comes back, equal rows have equal bytes, and no others. */
#include "tests/unit/test.h"

#include <string.h>

#include "common/view_pack.h"

/* --- rows of every kind -------------------------------------------------------------------------
 */

/* A value for each column, from almost nothing (0) to the largest (3). */
static void fill_column(const struct view_column *column, int size, void *row)
{
    static const int32_t narrow[] = {0, -1, 64, INT32_MIN};
    static const int64_t wide[] = {0, -1, INT64_C(1780000000000000), INT64_MIN};
    static const char long_text[300] = {'x', 0, 'y'};
    const struct th_str texts[] = {
        {NULL, 0}, TH_STR("a"), TH_STR("delivered"), {long_text, sizeof long_text}};
    struct th_id id = {{0}};
    char *at = (char *)row + column->at;
    bool flag = size > 0;

    switch (column->type) {
    case VIEW_UUID:
        memset(id.b, size * 0x55, sizeof id.b);
        memcpy(at, &id, sizeof id);
        return;
    case VIEW_TEXT:
    case VIEW_BYTES:
        memcpy(at, &texts[size], sizeof texts[size]);
        return;
    case VIEW_INT4:
        memcpy(at, &narrow[size], sizeof narrow[size]);
        return;
    case VIEW_INT8:
    case VIEW_TIME:
        memcpy(at, &wide[size], sizeof wide[size]);
        return;
    case VIEW_BOOL:
        memcpy(at, &flag, sizeof flag);
        return;
    }
}

static void fill(const struct view_table *table, int size, union view_any_row *row)
{
    memset(row, 0, sizeof *row);
    for (size_t i = 0; i < table->columns_n; i++)
        fill_column(&table->columns[i], size, row);
}

static void assert_comes_back(const struct view_table *table, const union view_any_row *row)
{
    TH_AUTO(th_buf) struct th_buf packed = {0};
    TH_AUTO(th_buf) struct th_buf key = {0};
    union view_any_row back;

    view_pack(table, row, &packed);
    view_pack_key(table, row, &key);
    assert_int_equal(th_buf_status(&packed), TH_OK);
    memset(&back, 0xff, sizeof back);
    view_unpack(table, th_buf_str(&packed), &back);
    assert_true(view_row_equal(table, row, &back));
    assert_true(packed.n >= key.n);
    assert_memory_equal(packed.p, key.p, key.n);
}

static void test_rows_come_back(void **unused)
{
    (void)unused;
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        const struct view_table *table = view_table(id);

        print_message("  %s\n", table->name);
        for (int size = 0; size < 4; size++) {
            union view_any_row row;
            fill(table, size, &row);
            assert_comes_back(table, &row);
        }
        for (size_t i = 0; i < table->columns_n; i++) { /* each column alone */
            union view_any_row row;
            fill(table, 0, &row);
            fill_column(&table->columns[i], 2, &row);
            assert_comes_back(table, &row);
        }
    }
}

/* --- equality ------------------------------------------------------------------------------- */

static bool same_bytes(const struct view_table *table, const void *a, const void *b)
{
    TH_AUTO(th_buf) struct th_buf packed_a = {0};
    TH_AUTO(th_buf) struct th_buf packed_b = {0};

    view_pack(table, a, &packed_a);
    view_pack(table, b, &packed_b);
    bool is_same = th_str_eq(th_buf_str(&packed_a), th_buf_str(&packed_b));
    assert_int_equal(view_packed_cmp(th_buf_str(&packed_a), th_buf_str(&packed_b)) == 0, is_same);
    return is_same;
}

static void test_every_column_makes_a_difference(void **unused)
{
    (void)unused;
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        const struct view_table *table = view_table(id);
        union view_any_row row;
        union view_any_row other;

        fill(table, 2, &row);
        for (size_t i = 0; i < table->columns_n; i++)
            for (int size = 0; size < 4; size++) {
                fill(table, 2, &other);
                fill_column(&table->columns[i], size, &other);
                assert_int_equal(same_bytes(table, &row, &other),
                                 view_row_equal(table, &row, &other));
            }
    }
}

static void test_an_empty_text_is_none(void **unused)
{
    (void)unused;
    const struct sends_row none = {.lane = 1};
    const struct sends_row empty = {.lane = 1, .reason = TH_STR("")};

    assert_true(same_bytes(view_table(VIEW_TABLE_SENDS), &none, &empty));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back),
        cmocka_unit_test(test_every_column_makes_a_difference),
        cmocka_unit_test(test_an_empty_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
