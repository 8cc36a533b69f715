/* split.c: a file of any size in parts, and each row keeps its number. */
#include "tests/unit/test.h"

#include "processors/cli/split.h"

#include <string.h>

static struct split *split_of(FILE *file)
{
    struct split *split = calloc(1, sizeof *split);

    assert_non_null(split);
    rewind(file);
    split->file = file;
    return split;
}

static void end(struct split *split)
{
    (void)fclose(split->file);
    split_fini(split);
    free(split);
}

static void test_rows(void **state)
{
    struct split *split;
    struct th_err err = {0};
    FILE *file = tmpfile();

    (void)state;
    fputs("phone,name\n", file);
    for (int i = 1; i <= 2345; i++)
        fprintf(file, "+9198%08d,n%d\n", i, i);
    split = split_of(file);
    print_message("  1,000 rows a part, each with the header, numbered over the file\n");
    assert_int_equal(split_next(split, &err), TH_OK);
    assert_int_equal(split->first_row, 1);
    assert_int_equal(split->rows, 1000);
    assert_memory_equal(split->part.p, "phone,name\n+919800000001,n1\n", 28);
    assert_int_equal(split_next(split, &err), TH_OK);
    assert_int_equal(split->first_row, 1001);
    assert_memory_equal(split->part.p, "phone,name\n+919800001001,n1001\n", 31);
    assert_int_equal(split_next(split, &err), TH_OK);
    assert_int_equal(split->first_row, 2001);
    assert_int_equal(split->rows, 345);
    assert_int_equal(split_next(split, &err), TH_NOT_FOUND);
    end(split);
}

static void test_bytes(void **state)
{
    struct split *split;
    struct th_err err = {0};
    FILE *file = tmpfile();
    int64_t next = 1;
    char text[2001];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fputs("phone,text\n", file);
    for (int i = 0; i < 900; i++)
        fprintf(file, "+91980000%04d,%s\n", i, text);
    split = split_of(file);
    print_message("  a part is at most 400 kB, and no row is lost between two\n");
    while (split_next(split, &err) == TH_OK) {
        assert_true(split->part.n <= SPLIT_BYTES_MAX);
        assert_int_equal(split->first_row, next);
        next += split->rows;
    }
    assert_int_equal(next, 901);
    end(split);
}

static void test_quoting(void **state)
{
    struct split *split;
    struct th_err err = {0};
    FILE *file = tmpfile();

    (void)state;
    fputs("\xEF\xBB\xBFphone,name\r\n+911,\"a,\"\"b\"\"\nc\"\r\n+912,=1+1\r\n\r\n+913,\"\"\r\n",
          file);
    split = split_of(file);
    print_message("  what a field holds is not changed\n");
    assert_int_equal(split_next(split, &err), TH_OK);
    assert_str_equal(th_buf_str(&split->part),
                     TH_STR("phone,name\n+911,\"a,\"\"b\"\"\nc\"\n+912,=1+1\n+913,\"\"\n"));
    end(split);
}

static void test_bad_rows(void **state)
{
    struct split *split;
    struct th_err err = {0};
    FILE *file = tmpfile();

    (void)state;
    fputs("phone,name\n+911,a\n+912,\xff\xfe\n+913,c\n+914,", file);
    for (int i = 0; i < 300000; i++)
        fputc('x', file);
    fputs("\n+915,e\n", file);
    split = split_of(file);
    print_message("  a row that is none keeps its place, and says what is wrong with it\n");
    assert_int_equal(split_next(split, &err), TH_OK);
    assert_int_equal(split->rows, 5);
    assert_int_equal(split->bad_n, 2);
    assert_int_equal(split->bad[0].row, 2);
    assert_string_equal(split->bad[0].column, "name");
    assert_int_equal(split->bad[1].row, 4);
    assert_str_equal(th_buf_str(&split->part),
                     TH_STR("phone,name\n+911,a\n\"\"\n+913,c\n\"\"\n+915,e\n"));
    end(split);
}

static void test_headers(void **state)
{
    static const struct {
        const char *says;
        const char *text;
        enum th_code code;
    } cases[] = {
        {"an empty file has no header", "", TH_INVALID},
        {"a header that is not UTF-8 is refused", "ph\xffone\n+911\n", TH_INVALID},
        {"a header alone has no parts", "phone\n", TH_NOT_FOUND},
    };

    (void)state;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_err err = {0};
        FILE *file = tmpfile();
        struct split *split;

        print_message("  %s\n", cases[i].says);
        fputs(cases[i].text, file);
        split = split_of(file);
        assert_int_equal(split_next(split, &err), cases[i].code);
        end(split);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),    cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_quoting), cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
