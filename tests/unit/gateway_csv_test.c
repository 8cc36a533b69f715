/* A part of an audience: what is wrong costs a row, is named, and never more than that. */
#include "connectors/gateway/audience_csv.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *says;
    const char *csv;
    size_t rows;
    struct {
        int64_t row;
        const char *column;
        const char *reason; /* a piece of it */
    } rejected[4];
} cases[] = {
    {"numbers as people write them",
     "phone\n+919876543210\n98765 43210\n09876543210\n0091-98765-43210\n",
     4,
     {{0}}},
    {"a number that is none", "phone,name\n12,a\n9876543210,b\n", 1, {{1, "phone", ""}}},
    {"an empty number", "name,phone\na,\nb,9876543210\n", 1, {{1, "phone", ""}}},
    {"a missing column",
     "phone,name\n9876543210\n9876543211,b\n",
     1,
     {{1, "name", "this column is missing"}}},
    {"a column too many",
     "phone,name\n9876543210,a,b\n9876543211,b\n",
     1,
     {{1, "3", "more fields than columns"}}},
    {"Latin-1 in the middle",
     "phone,name\n9876543210,caf\xe9\n9876543211,caf\xc3\xa9\n",
     1,
     {{1, "name", "UTF-8"}}},
    {"a language that is none",
     "phone,lang\n9876543210,hindi!\n9876543211,hi\n9876543212,\n",
     2,
     {{1, "lang", "language"}}},
    {"a separator in a value",
     "phone,name\n9876543210,a\x1f"
     "b\n",
     0,
     {{1, "name", "control character"}}},
    {"a quote that nobody closed",
     "phone,name\n9876543210,\"a\n9876543211,b\n",
     1,
     {{1, "name", ""}}},
    {"several at once",
     "phone,name\n1,a\n9876543210,b\n2,c\n9876543211\n",
     1,
     {{1, "phone", ""}, {3, "phone", ""}, {4, "name", ""}}},
    {"a header in capitals, with blanks and a byte order mark",
     "\xef\xbb\xbf Phone , Name\r\n9876543210,a\r\n",
     1,
     {{0}}},
    {"no rows", "phone\n", 0, {{0}}},
};

static void test_rows(void **unused)
{
    struct th_arena arena;

    (void)unused;
    th_arena_init(&arena, (size_t)16 << 20);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct audience_csv csv = {0};
        struct th_err err = {0};
        size_t rejected = 0;
        print_message("  %s\n", cases[i].says);
        th_arena_reset(&arena);
        assert_int_equal(audience_csv_read(th_str(cases[i].csv), "IN", 1, &arena, &csv, &err),
                         TH_OK);
        assert_int_equal(csv.rows_n, cases[i].rows);
        for (; rejected < 4 && cases[i].rejected[rejected].row; rejected++) {
            assert_true(rejected < csv.rejected_n);
            const struct rejected_row *row = &csv.rejected[rejected];
            assert_int_equal(row->row, cases[i].rejected[rejected].row);
            assert_str_equal(row->column, th_str(cases[i].rejected[rejected].column));
            assert_non_null(strstr(row->reason.p, cases[i].rejected[rejected].reason));
        }
        assert_int_equal(csv.rejected_total, rejected);
    }
    th_arena_fini(&arena);
}

static const struct {
    const char *says;
    const char *csv;
    const char *sentence;
} headers[] = {
    {"no column phone", "name\na\n", "no column phone"},
    {"a column twice", "phone,a,a\n", "twice"},
    {"phone twice, in another case", "phone,Phone\n9876543210,1\n", "twice"},
    {"a column without a name", "phone,\n", "column 2"},
    {"a brace in a name", "phone,{a}\n", "column 2"},
    {"nothing", "", "no header"},
    {"bytes that are no text", "ph\xffone\n", "header"},
};

static void test_headers(void **unused)
{
    struct th_arena arena;

    (void)unused;
    th_arena_init(&arena, (size_t)16 << 20);
    for (size_t i = 0; i < TH_LEN(headers); i++) {
        struct audience_csv csv = {0};
        struct th_err err = {0};
        print_message("  %s\n", headers[i].says);
        assert_int_equal(audience_csv_read(th_str(headers[i].csv), "IN", 1, &arena, &csv, &err),
                         TH_MALFORMED);
        assert_non_null(strstr(err.text, headers[i].sentence));
    }
    th_arena_fini(&arena);
}

/* Variables stand in the order of their columns, phone and lang left out, wherever those are. */
static void test_variables(void **unused)
{
    struct audience_csv csv = {0};
    struct th_err err = {0};
    struct th_arena arena;

    (void)unused;
    th_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(audience_csv_read(TH_STR("a,lang,b,phone,c\n1,hi,,9876543210,3\n"), "IN", 500,
                                       &arena, &csv, &err),
                     TH_OK);
    assert_int_equal(csv.columns.n, 3);
    assert_str_equal(csv.columns.at[2], TH_STR("c"));
    assert_str_equal(csv.rows[0].variables.as.string, TH_STR("1\x1f\x1f"
                                                             "3"));
    assert_str_equal(csv.rows[0].lang, TH_STR("hi"));
    assert_int_equal(csv.rows[0].source_row, 500);
    th_arena_fini(&arena);
}

/* One line without an end costs itself; what follows is kept. */
static void test_long_line(void **unused)
{
    enum { LONG = 300000 };
    static char text[LONG + 100];
    struct audience_csv csv = {0};
    struct th_err err = {0};
    struct th_arena arena;

    (void)unused;
    size_t n = (size_t)snprintf(text, sizeof text, "phone,name\n9876543210,");
    memset(text + n, 'a', LONG);
    n += LONG;
    n += (size_t)snprintf(text + n, sizeof text - n, "\n9876543211,b\n");
    th_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(audience_csv_read((struct th_str){text, n}, "IN", 1, &arena, &csv, &err),
                     TH_OK);
    assert_int_equal(csv.rows_n, 1);
    assert_int_equal(csv.rejected_total, 1);
    assert_int_equal(csv.rejected[0].row, 1);
    assert_int_equal(csv.rows[0].source_row, 2);
    th_arena_fini(&arena);
}

static void test_too_many(void **unused)
{
    static char text[20000];
    struct audience_csv csv = {0};
    struct th_err err = {0};
    struct th_arena arena;
    size_t n = (size_t)snprintf(text, sizeof text, "phone\n");

    (void)unused;
    for (int i = 0; i < AUDIENCE_ROWS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "98765%05d\n", i);
    th_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(audience_csv_read((struct th_str){text, n}, "IN", 1, &arena, &csv, &err),
                     TH_OK);
    assert_int_equal(csv.rows_n, AUDIENCE_ROWS_MAX);
    n += (size_t)snprintf(text + n, sizeof text - n, "no\n");
    assert_int_equal(audience_csv_read((struct th_str){text, n}, "IN", 1, &arena, &csv, &err),
                     TH_FULL);
    th_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_headers),
        cmocka_unit_test(test_variables), cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
