#include "tests/unit/test.h"

#include "common/log_line.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int pipe_fds[2];

static int open_pipe(void **unused)
{
    (void)unused;
    if (pipe(pipe_fds) != 0)
        return -1;
    th_log_set_fd(pipe_fds[1]);
    return 0;
}

static int close_pipe(void **unused)
{
    (void)unused;
    th_log_set_fd(STDERR_FILENO);
    return close(pipe_fds[0]) || close(pipe_fds[1]);
}

/* What one call wrote, behind its time. */
static const char *written(void)
{
    static char text[2 * TH_LOG_LINE_MAX];
    ssize_t n = read(pipe_fds[0], text, sizeof text - 1);
    const size_t time_size = strlen("time=2026-11-02T10:00:00.123456Z ");

    assert_true(n > (ssize_t)time_size);
    text[n] = '\0';
    assert_memory_equal(text, "time=20", 7);
    return text + time_size;
}

static void test_every_type_has_a_form(void **unused)
{
    (void)unused;
    const uint64_t large = UINT64_MAX;
    const int64_t small = INT64_MIN;
    const char *name = "x";

    th_log(TH_LOG_WARN, "provider.retry", TH_F("attempt", 2), TH_F("large", large),
           TH_F("small", small), TH_F("name", name), TH_F("view", TH_STR("v")), TH_F("share", 0.25),
           TH_F("is", (bool)true), TH_F("send", ((struct th_id){.b = {0xab}})));
    assert_string_equal(written(), "level=warn id=provider.retry attempt=2 "
                                   "large=18446744073709551615 small=-9223372036854775808 name=x "
                                   "view=v share=0.25 is=yes "
                                   "send=ab000000-0000-0000-0000-000000000000\n");
    th_log_bare(TH_LOG_INFO, "run.ready");
    assert_string_equal(written(), "level=info id=run.ready\n");
    struct th_err err = {TH_IO, "disk is full"};
    th_log_error(TH_LOG_ERROR, "run.stop", &err);
    assert_string_equal(written(), "level=error id=run.stop code=TH_IO error=\"disk is full\"\n");
}

static void test_values_cannot_break_out(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *value;
        const char *text;
    } cases[] = {
        {"a plain word", "a-b_c.d/e", "a-b_c.d/e"},
        {"nothing", "", "\"\""},
        {"a space", "a b", "\"a b\""},
        {"an equals sign", "a=b", "\"a=b\""},
        {"quotes", "say \"x\\y\"", "\"say \\\"x\\\\y\\\"\""},
        {"a forged line", "a\nlevel=error", "\"a\\nlevel=error\""},
        {"a terminal's escape", "\x1b[2J", "\"\\x1b[2J\""},
        {"Devanagari", "\xe0\xa4\xa8\xe0\xa4\xae", "\"\xe0\xa4\xa8\xe0\xa4\xae\""},
        {"broken UTF-8", "a\xe0\xa4", "\"a\\xe0\\xa4\""},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char expected[128];
        print_message("  %s\n", cases[i].says);
        th_log(TH_LOG_INFO, "x", TH_F("v", cases[i].value));
        (void)snprintf(expected, sizeof expected, "level=info id=x v=%s\n", cases[i].text);
        assert_string_equal(written(), expected);
    }
}

static void test_what_is_too_long_is_cut(void **unused)
{
    (void)unused;
    char value[3 * TH_LOG_VALUE_MAX + 1];

    /* Characters of three bytes: none may be cut in two. */
    for (size_t i = 0; i + 3 < sizeof value; i += 3)
        memcpy(value + i, "\xe0\xa4\xa8", 3);
    value[sizeof value - 1] = '\0';
    th_log(TH_LOG_INFO, "x", TH_F("v", value));
    struct th_str line = th_str(written());
    assert_true(th_str_is_utf8(line));
    assert_true(line.n <= TH_LOG_VALUE_MAX + 40);
    assert_memory_equal(line.p + line.n - 8, "\xe0\xa4\xa8\xe2\x80\xa6\"\n", 8);

    th_log(TH_LOG_INFO, "x", TH_F("a", value), TH_F("b", value), TH_F("c", value), TH_F("d", value),
           TH_F("e", value));
    line = th_str(written());
    assert_true(th_str_is_utf8(line));
    assert_true(line.n <= TH_LOG_LINE_MAX);
    assert_memory_equal(line.p + line.n - 5, "\xe2\x80\xa6\"\n", 5);
    memset(value, '\x01', sizeof value - 1);
    th_log(TH_LOG_INFO, "x", TH_F("a", value), TH_F("b", 1));
    line = th_str(written());
    assert_true(line.n <= TH_LOG_LINE_MAX);
    assert_memory_equal(line.p + line.n - 5, "\xe2\x80\xa6\"\n", 5);
}

static int asked;

static int ask(void)
{
    return ++asked;
}

static void test_levels(void **unused)
{
    (void)unused;
    th_log_set_level(TH_LOG_WARN);
    th_log(TH_LOG_INFO, "x", TH_F("n", ask()));
    th_log(TH_LOG_WARN, "y", TH_F("n", ask()));
    assert_string_equal(written(), "level=warn id=y n=1\n");
    th_log_set_level(TH_LOG_INFO);
}

static void *log_often(void *name)
{
    for (int i = 0; i < 50; i++)
        th_log(TH_LOG_INFO, "thread", TH_F("name", (const char *)name), TH_F("i", i));
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void **unused)
{
    (void)unused;
    static char names[4][64];
    pthread_t threads[4];
    static char text[65536];

    for (size_t i = 0; i < TH_LEN(threads); i++) {
        memset(names[i], (int)('a' + i), sizeof names[i] - 1);
        assert_int_equal(pthread_create(&threads[i], NULL, log_often, names[i]), 0);
    }
    for (size_t i = 0; i < TH_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    struct th_str rest = {text, (size_t)read(pipe_fds[0], text, sizeof text)};
    struct th_str line;
    int count = 0;
    for (; th_str_cut(rest, '\n', &line, &rest); count++) {
        const char *name = memmem(line.p, line.n, "name=", 5);
        assert_true(th_str_starts(line, TH_STR("time=")));
        assert_non_null(name);
        for (size_t i = 0; i < sizeof names[0] - 1; i++)
            assert_int_equal(name[5 + i], name[5]);
    }
    assert_int_equal(count, 200);
}

static void test_numbers_are_masked(void **unused)
{
    (void)unused;
    static const struct {
        const char *number;
        const char *masked;
    } cases[] = {
        {"+919876543210", "+91********10"},
        {"+4930123456", "+49******56"},
        {"+1234567", "+12***67"},
        {"+123456", "***"},
        {"9876543210", "***"},
        {"+91987654321012345", "***"},
        {"whatsapp:+919876543210", "***"},
        {"", "***"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char text[TH_LOG_MASK_SIZE];
        assert_string_equal(th_log_mask_phone(th_str(cases[i].number), text), cases[i].masked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_has_a_form),
        cmocka_unit_test(test_values_cannot_break_out),
        cmocka_unit_test(test_what_is_too_long_is_cut),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_lines_of_threads_do_not_mix),
        cmocka_unit_test(test_numbers_are_masked),
    };
    return cmocka_run_group_tests(tests, open_pipe, close_pipe);
}
