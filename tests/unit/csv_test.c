/* csv, csv_out */
#include "tests/unit/test.h"

#include "common/csv.h"
#include "common/csv_out.h"

#include <stdio.h>
#include <string.h>

/* All rows as text: "0:a|b" is row 0 with two fields, "2!1 reason" what is wrong with row 2. The
 * text is pushed in pieces of chunk bytes. */
static void read_all(struct th_str text, size_t chunk, struct th_buf *out)
{
    TH_AUTO(th_csv) struct th_csv csv = {0};
    enum th_csv_step step;

    while ((step = th_csv_next(&csv)) != TH_CSV_END) {
        if (step == TH_CSV_MORE) {
            size_t n = text.n < chunk ? text.n : chunk;
            assert_false(csv.is_finished);
            assert_int_equal(th_csv_push(&csv, (struct th_str){text.p, n}), TH_OK);
            text = (struct th_str){text.p + n, text.n - n};
            if (text.n == 0)
                th_csv_finish(&csv);
            continue;
        }
        if (step == TH_CSV_BAD)
            th_buf_printf(out, "%d!%zu %s", (int)csv.number, csv.column, csv.reason);
        for (size_t i = 0; step == TH_CSV_ROW && i < csv.count; i++) {
            if (i == 0)
                th_buf_printf(out, "%d:", (int)csv.number);
            th_buf_add(out, i ? TH_STR("|") : TH_STR(""));
            th_buf_add(out, csv.fields[i]);
        }
        th_buf_add_char(out, ';');
    }
}

static void test_rows(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        const char *rows;
    } cases[] = {
        {"two rows", "a,b\nc,d\n", "0:a|b;1:c|d;"},
        {"CRLF", "a,b\r\nc,d\r\n", "0:a|b;1:c|d;"},
        {"no line end at the end", "a,b\nc,d", "0:a|b;1:c|d;"},
        {"a carriage return at the end", "a\r", "0:a;"},
        {"a byte order mark",
         "\xef\xbb\xbf"
         "a\nb",
         "0:a;1:b;"},
        {"a mark, then quotes", "\xef\xbb\xbf\"a\"\n", "0:a;"},
        {"nothing", "", ""},
        {"a mark alone", "\xef\xbb\xbf", ""},
        {"empty lines", "\n\r\na\n\n\nb\n\n", "0:a;1:b;"},
        {"empty fields", ",\n,,", "0:|;1:||;"},
        {"an empty quoted field", "\"\"\n", "0:;"},
        {"quotes", "\"a,b\",\"c\"\"d\",\"e\nf\"\r\ng", "0:a,b|c\"d|e\nf;1:g;"},
        {"only doubled quotes", "\"\"\"\"\"\",x", "0:\"\"|x;"},
        {"blanks are kept", " a , b ", "0: a | b ;"},
        {"Devanagari", "\xe0\xa4\xa8,\xe0\xa4\xae", "0:\xe0\xa4\xa8|\xe0\xa4\xae;"},
        {"Latin-1", "a\ncaf\xe9,b\nc", "0:a;1!1 not UTF-8;2:c;"},
        {"the second column is wrong", "a,b\nc,\xff\nd,e", "0:a|b;1!2 not UTF-8;2:d|e;"},
        {"a quote in a plain field", "a\n5\" pipe,x\nb",
         "0:a;1!1 a quote inside a field that does "
         "not begin with one;2:b;"},
        {"doubled quotes in a plain field", "x\"\"y\nb\n",
         "0!1 a quote inside a field that does "
         "not begin with one;1:b;"},
        {"text behind quotes", "\"a\"b,c\nd", "0!1 text behind a closing quote;1:d;"},
        {"a quote that nobody closes", "h\na,\"b\nc,d\ne,f\n",
         "0:h;1!2 a quote that is not closed;2:c|d;3:e|f;"},
        {"a quote closed by another row's", "h\n\"a\nb\n\"c\nd\n",
         "0:h;1!1 text behind a closing quote;2:b;3!1 a quote that is not closed;4:d;"},
        {"a lone carriage return", "a\rb\nc", "0!1 a carriage return inside a field;1:c;"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        for (size_t chunk = 1; chunk < 64; chunk = chunk * 2 + 1) {
            TH_AUTO(th_buf) struct th_buf out = {0};
            read_all(th_str(cases[i].text), chunk, &out);
            assert_str_equal(th_buf_str(&out), th_str(cases[i].rows));
        }
    }
    TH_AUTO(th_buf) struct th_buf out = {0};
    read_all((struct th_str){"a\0b\nc", 5}, 5, &out);
    assert_str_equal(th_buf_str(&out), TH_STR("0!1 a NUL character;1:c;"));
}

static void test_bounds(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *start;
        size_t repeat; /* of middle */
        const char *middle;
        const char *end;
        const char *rows;
    } cases[] = {
        {"a line of 100 MB", "h\na,", (size_t)100 * 1024 * 1024, "x", "\nb,c\n",
         "0:h;1!2 a row of more than 65536 bytes;2:b|c;"},
        {"a line of 100 MB that is the last", "h\na,", (size_t)100 * 1024 * 1024, "x", "",
         "0:h;1!2 a row of more than 65536 bytes;"},
        {"a quoted field without end", "h\n\"a", 100000, "x", "\nb,c\n",
         "0:h;1!1 a quote that is not closed;2:b|c;"},
        {"a quoted field over many lines", "h\n\"a\nb\n", 70000, "\n", "\"\nc\n",
         "0:h;1!1 a quote that is not closed;2:b;3!1 a quote that is not closed;4:c;"},
        {"a field too long", "h\na,", TH_CSV_FIELD_MAX + 1, "x", "\nb\n",
         "0:h;1!2 a field of more than 8192 bytes;2:b;"},
        {"a field just short enough", "", TH_CSV_FIELD_MAX, "x", ",y\xff\nb\n",
         "0!2 not UTF-8;1:b;"},
        {"too many columns", "h\n", TH_CSV_FIELDS_MAX, ",", "\nb\n",
         "0:h;1!201 more than 200 columns;2:b;"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf text = {0};
        TH_AUTO(th_buf) struct th_buf out = {0};

        print_message("  %s\n", cases[i].says);
        th_buf_add(&text, th_str(cases[i].start));
        char *room = th_buf_reserve(&text, cases[i].repeat);
        assert_non_null(room);
        memset(room, cases[i].middle[0], cases[i].repeat);
        text.n += cases[i].repeat;
        th_buf_add(&text, th_str(cases[i].end));
        read_all(th_buf_str(&text), 65536, &out);
        assert_str_equal(th_buf_str(&out), th_str(cases[i].rows));
    }
}

static void test_memory_stays_small(void **unused)
{
    (void)unused;
    TH_AUTO(th_csv) struct th_csv csv = {0};
    static char chunk[65536];

    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < 200; i++) {
        while (th_csv_next(&csv) != TH_CSV_MORE)
            continue;
        assert_int_equal(th_csv_push(&csv, (struct th_str){chunk, sizeof chunk}), TH_OK);
        assert_true(csv.window.cap <= (size_t)4 * 65536);
    }
}

static void test_lines_are_counted(void **unused)
{
    (void)unused;
    TH_AUTO(th_csv) struct th_csv csv = {0};
    static const int64_t lines[] = {1, 3, 5, 6, 7};

    assert_int_equal(th_csv_push(&csv, TH_STR("h\n\n\"a\nb\"\nc\n\"d\ne\n")), TH_OK);
    th_csv_finish(&csv);
    for (size_t i = 0; i < TH_LEN(lines); i++) {
        enum th_csv_step step = th_csv_next(&csv);
        assert_int_equal(step, i == 3 ? TH_CSV_BAD : TH_CSV_ROW);
        assert_int_equal(csv.number, i);
        assert_int_equal(csv.line, lines[i]);
    }
    assert_int_equal(th_csv_next(&csv), TH_CSV_END);
    assert_int_equal(th_csv_next(&csv), TH_CSV_END);
}

static void test_cells_are_harmless(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *field;
        const char *cell;
    } cases[] = {
        {"a word", "abc", "abc"},
        {"nothing", "", ""},
        {"an E.164 number", "+919876543210", "+919876543210"},
        {"a formula", "=1+1", "'=1+1"},
        {"a formula with a comma", "=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""},
        {"a plus that is no number", "+1+cmd", "'+1+cmd"},
        {"a short plus", "+1", "'+1"},
        {"a minus", "-1", "'-1"},
        {"an at sign", "@SUM", "'@SUM"},
        {"a tab", "\t=1", "'\t=1"},
        {"a carriage return", "\r=1", "\"'\r=1\""},
        {"a line end", "a\nb", "\"a\nb\""},
        {"an equals sign inside", "a=b", "a=b"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf buf = {0};
        struct th_csv_out out = {&buf, false};
        char row[128];

        print_message("  %s\n", cases[i].says);
        th_csv_put_text(&out, "x");
        th_csv_put_text(&out, cases[i].field);
        th_csv_put_int(&out, -7);
        th_csv_end_row(&out);
        (void)snprintf(row, sizeof row, "x,%s,-7\r\n", cases[i].cell);
        assert_str_equal(th_buf_str(&buf), th_str(row));
    }
}

/* Random bytes from an alphabet that hurts: what is written is read back as it was, and whatever is
 * read ends. */
static void test_round_trips(void **unused)
{
    (void)unused;
    static const char alphabet[] = "\",\r\nab";
    uint32_t seed = 7;

    for (int round = 0; round < 5000; round++) {
        TH_AUTO(th_buf) struct th_buf buf = {0};
        TH_AUTO(th_csv) struct th_csv csv = {0};
        struct th_csv_out out = {&buf, false};
        char bytes[2][12];

        for (size_t f = 0; f < 2; f++) {
            bytes[f][0] = 'k'; /* else an empty row or an apostrophe */
            for (size_t i = 1; i < sizeof bytes[f]; i++) {
                seed = seed * 1664525 + 1013904223;
                bytes[f][i] = alphabet[(seed >> 20) % (sizeof alphabet - 1)];
            }
            th_csv_put(&out, (struct th_str){bytes[f], sizeof bytes[f]});
        }
        th_csv_end_row(&out);
        assert_int_equal(th_csv_push(&csv, th_buf_str(&buf)), TH_OK);
        th_csv_finish(&csv);
        assert_int_equal(th_csv_next(&csv), TH_CSV_ROW);
        assert_int_equal(csv.count, 2);
        for (size_t f = 0; f < 2; f++)
            assert_str_equal(csv.fields[f], ((struct th_str){bytes[f], sizeof bytes[f]}));
        assert_int_equal(th_csv_next(&csv), TH_CSV_END);

        TH_AUTO(th_buf) struct th_buf whole = {0};
        TH_AUTO(th_buf) struct th_buf pieces = {0};
        struct th_str raw = {bytes[0], sizeof bytes};
        read_all(raw, sizeof bytes, &whole);
        read_all(raw, 1, &pieces);
        assert_str_equal(th_buf_str(&whole), th_buf_str(&pieces));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_memory_stays_small),
        cmocka_unit_test(test_lines_are_counted),
        cmocka_unit_test(test_cells_are_harmless),
        cmocka_unit_test(test_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
