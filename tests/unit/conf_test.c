#include "tests/unit/test.h"

#include "common/conf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct th_conf_key net_keys[] = {
    {"http_port", TH_CONF_INT, "8080", "0", "65535", NULL, NULL, "Port that is listened on."},
    {"http_tls", TH_CONF_BOOL, "no", NULL, NULL, NULL, NULL, "Speak TLS."},
    {"http_timeout", TH_CONF_DURATION, "5s", "100ms", "60s", NULL, NULL, "Longest wait."},
    {"http_body_max", TH_CONF_SIZE, "1MB", "1kB", "8MB", NULL, NULL, "Largest body."},
    {0},
};

static const struct th_conf_key base_keys[] = {
    {"dir", TH_CONF_PATH, "", NULL, NULL, NULL, NULL, "Folder of the data."},
    {"log_level", TH_CONF_ENUM, "info", NULL, NULL, NULL, "debug|info|warn|error",
     "Least level that is written."},
    {"name", TH_CONF_STRING, "hub", "1", "8", NULL, NULL, "What it is called."},
    {"connections", TH_CONF_INT, "4", "1", NULL, "connections", NULL, "How many."},
    {0},
};

static struct th_conf *new_conf(void)
{
    const struct th_conf_key *const tables[] = {net_keys, base_keys, NULL};
    struct th_conf *conf;

    assert_int_equal(th_conf_new(tables, &conf, NULL), TH_OK);
    return conf;
}

static void test_presets(void **unused)
{
    (void)unused;
    TH_AUTO(th_conf) struct th_conf *conf = new_conf();

    assert_int_equal(th_conf_int(conf, "http_port"), 8080);
    assert_false(th_conf_bool(conf, "http_tls"));
    assert_int_equal(th_conf_duration_us(conf, "http_timeout"), 5000000);
    assert_int_equal(th_conf_size(conf, "http_body_max"), 1024 * 1024);
    assert_string_equal(th_conf_str(conf, "dir"), "");
    assert_int_equal(th_conf_enum(conf, "log_level"), 1);
    assert_string_equal(th_conf_str(conf, "name"), "hub");
}

static void test_the_environment_wins_over_the_file(void **unused)
{
    (void)unused;
    TH_AUTO(th_conf) struct th_conf *conf = new_conf();
    char *const environment[] = {"PATH=/bin", "TELEHUB_HTTP_PORT=0", "TELEHUB_DIR=/tmp/a=b", NULL};

    assert_int_equal(th_conf_apply_text(conf,
                                        TH_STR("# how we run it\r\n"
                                               "TELEHUB_HTTP_PORT=81\r\n"
                                               "\n"
                                               "  TELEHUB_NAME = ' a b ' \n"
                                               "TELEHUB_HTTP_TLS=\"on\"\n"
                                               "TELEHUB_LOG_LEVEL=error"),
                                        "env", NULL),
                     TH_OK);
    assert_int_equal(th_conf_apply_environment(conf, environment, NULL), TH_OK);
    assert_int_equal(th_conf_int(conf, "http_port"), 0);
    assert_string_equal(th_conf_str(conf, "name"), " a b ");
    assert_string_equal(th_conf_str(conf, "dir"), "/tmp/a=b");
    assert_true(th_conf_bool(conf, "http_tls"));
    assert_int_equal(th_conf_enum(conf, "log_level"), 3);
    assert_int_equal(th_conf_set(conf, "http_port", TH_STR("7"), NULL), TH_OK);
    assert_int_equal(th_conf_int(conf, "http_port"), 7);
}

static void test_units(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        const char *text;
        int64_t value;
    } cases[] = {
        {"http_timeout", "100000us", 100000}, {"http_timeout", "250ms", 250000},
        {"http_timeout", "1min", 60000000},   {"http_body_max", "2048B", 2048},
        {"http_body_max", "64kB", 65536},
    };
    TH_AUTO(th_conf) struct th_conf *conf = new_conf();

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].text);
        assert_int_equal(th_conf_set(conf, cases[i].name, th_str(cases[i].text), NULL), TH_OK);
        assert_int_equal(*cases[i].name == 'h' && cases[i].name[5] == 't'
                             ? th_conf_duration_us(conf, cases[i].name)
                             : (int64_t)th_conf_size(conf, cases[i].name),
                         cases[i].value);
    }
}

static void test_what_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *line;
        const char *error;
    } cases[] = {
        {"a slip of the pen", "TELEHUB_HTP_PORT=1",
         "f line 1: TELEHUB_HTP_PORT is not a setting; did you mean TELEHUB_HTTP_PORT?"},
        {"a forgotten prefix", "HTTP_PORT=1", "f line 1: HTTP_PORT is not a setting"},
        {"small letters", "telehub_dir=/",
         "f line 1: telehub_dir is not a setting; did you mean "
         "TELEHUB_DIR?"},
        {"another word", "\nTELEHUB_ZEBRA_CROSSING=1",
         "f line 2: TELEHUB_ZEBRA_CROSSING is not a setting"},
        {"no equals sign", "TELEHUB_DIR", "f line 1: a line must read KEY=value"},
        {"a port too high", "TELEHUB_HTTP_PORT=65536",
         "f line 1: TELEHUB_HTTP_PORT: must be a whole number from 0 to 65535"},
        {"no number", "TELEHUB_HTTP_PORT=",
         "f line 1: TELEHUB_HTTP_PORT: must be a whole number "
         "from 0 to 65535"},
        {"a number too low", "TELEHUB_CONNECTIONS=0",
         "f line 1: TELEHUB_CONNECTIONS: must be a whole number of connections at least 1"},
        {"a duration without a unit", "TELEHUB_HTTP_TIMEOUT=5",
         "f line 1: TELEHUB_HTTP_TIMEOUT: must be a duration like 250ms, 5s, 2min, 8h, 3d from "
         "100ms to 60s"},
        {"a duration past all bounds", "TELEHUB_HTTP_TIMEOUT=9223372036854775807d",
         "f line 1: TELEHUB_HTTP_TIMEOUT: must be a duration like 250ms, 5s, 2min, 8h, 3d from "
         "100ms to 60s"},
        {"no choice", "TELEHUB_LOG_LEVEL=loud",
         "f line 1: TELEHUB_LOG_LEVEL: must be one of debug|info|warn|error"},
        {"all choices", "TELEHUB_LOG_LEVEL=debug|info",
         "f line 1: TELEHUB_LOG_LEVEL: must be one of debug|info|warn|error"},
        {"maybe", "TELEHUB_HTTP_TLS=maybe", "f line 1: TELEHUB_HTTP_TLS: must be yes or no"},
        {"a long text", "TELEHUB_NAME=123456789",
         "f line 1: TELEHUB_NAME: must be text of 1 to 8 bytes"},
        {"no UTF-8", "TELEHUB_NAME=\xff", "f line 1: TELEHUB_NAME: must be text of 1 to 8 bytes"},
        {"a control character", "TELEHUB_NAME=a\x01",
         "f line 1: TELEHUB_NAME: must be text of 1 to 8 bytes"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_conf) struct th_conf *conf = new_conf();
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_conf_apply_text(conf, th_str(cases[i].line), "f", &err), TH_INVALID);
        assert_string_equal(err.text, cases[i].error);
    }
}

static void test_an_unknown_variable_of_the_environment_is_refused(void **unused)
{
    (void)unused;
    TH_AUTO(th_conf) struct th_conf *conf = new_conf();
    char *const environment[] = {"TELEHUB_DIRR=/", NULL};
    struct th_err err = {0};

    assert_int_equal(th_conf_apply_environment(conf, environment, &err), TH_INVALID);
    assert_string_equal(err.text,
                        "environment: TELEHUB_DIRR is not a setting; did you mean TELEHUB_DIR?");
    assert_int_equal(th_conf_set(conf, "dirr", TH_STR("/"), &err), TH_INVALID);
}

static void test_files(void **unused)
{
    (void)unused;
    TH_AUTO(th_conf) struct th_conf *conf = new_conf();
    char path[] = "/tmp/conf_test.XXXXXX";
    const char text[] = "TELEHUB_HTTP_PORT=99\n";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(th_conf_apply_file(conf, path, NULL), TH_OK);
    assert_int_equal(th_conf_int(conf, "http_port"), 99);
    assert_int_equal(ftruncate(fd, TH_CONF_FILE_SIZE_MAX + 1), 0);
    assert_int_equal(th_conf_apply_file(conf, path, NULL), TH_FULL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(th_conf_apply_file(conf, path, NULL), TH_NOT_FOUND);
}

/* The printed example, its comment signs of settings removed, must be read back. */
static void test_the_example_can_be_used(void **unused)
{
    (void)unused;
    TH_AUTO(th_conf) struct th_conf *conf = new_conf();
    TH_AUTO(th_buf) struct th_buf example = {0};
    TH_AUTO(th_buf) struct th_buf settings = {0};

    th_conf_print_example(conf, &example);
    assert_true(
        th_str_starts(th_buf_str(&example), TH_STR("# Port that is listened on.\n"
                                                   "# a whole number from 0 to 65535\n"
                                                   "# TELEHUB_HTTP_PORT=8080\n\n# Speak TLS.\n")));
    struct th_str rest = th_buf_str(&example);
    struct th_str line;
    while (th_str_cut(rest, '\n', &line, &rest))
        if (th_str_starts(line, TH_STR("# TELEHUB_")))
            th_buf_printf(&settings, "%.*s\n", (int)line.n - 2, line.p + 2);
    assert_int_equal(th_conf_apply_text(conf, th_buf_str(&settings), "example", NULL), TH_OK);
    th_buf_clear(&example);
    th_conf_print_help(conf, &example);
    assert_true(th_str_starts(th_buf_str(&example),
                              TH_STR("  TELEHUB_HTTP_PORT\n      Port that is listened on.\n"
                                     "      a whole number from 0 to 65535; default 8080\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_the_environment_wins_over_the_file),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_an_unknown_variable_of_the_environment_is_refused),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_the_example_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
