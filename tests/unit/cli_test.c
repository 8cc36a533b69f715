/* cli.c: what a command line means, and how it ends. */
#include "tests/unit/test.h"

#include "processors/cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct cli seen; /* what the command saw */

static enum th_code note(struct cli *cli, struct th_err *err)
{
    int64_t pace;

    seen = *cli;
    TH_TRY(cli_int(cli, "--pace", 1, 100, 7, &pace, err));
    return pace == 13 ? th_fail(err, TH_DENIED, "thirteen") : TH_OK;
}

static const struct cli_option options[] = {
    {"--pace", "N", "how fast", false},
    {"--name", "S", "for people", true},
    {"--all", NULL, "everybody", false},
    {0},
};

static const struct cli_command commands[] = {
    {"campaign create", "[ID]...", 0, 2, "Create one.", "  telehub campaign create", options, note},
    {"stop", "", 0, 0, "Stop.", "  telehub stop", NULL, note},
    {0},
};

static const struct cli_command *const tables[] = {commands, NULL};

static int run(const char *line)
{
    static char text[256]; /* what was seen points into it */
    char *argv[16] = {"telehub"};
    int argc = 1;
    char *save = NULL;

    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    memset(&seen, 0, sizeof seen);
    return cli_main(tables, argc, argv);
}

static void test_lines(void **state)
{
    static const struct {
        const char *says;
        const char *line;
        enum cli_exit status;
        bool is_run;
    } cases[] = {
        {"a command with its option", "campaign create --name x", CLI_DONE, true},
        {"a value behind an equals sign", "campaign create --name=x --pace=3", CLI_DONE, true},
        {"words anywhere", "campaign create a --name x b", CLI_DONE, true},
        {"two dashes end the options", "campaign create --name x -- --all", CLI_DONE, true},
        {"a command that fails", "campaign create --name x --pace 13", CLI_FAILED, true},
        {"a required option is missing", "campaign create", CLI_USAGE, false},
        {"an unknown option", "campaign create --name x --fast", CLI_USAGE, false},
        {"an option without its value", "campaign create --name", CLI_USAGE, false},
        {"a value for a flag", "campaign create --name x --all=yes", CLI_USAGE, false},
        {"a number out of bounds", "campaign create --name x --pace 101", CLI_USAGE, true},
        {"too many words", "campaign create --name x a b c", CLI_USAGE, false},
        {"an unknown command", "campaign delete", CLI_USAGE, false},
        {"no command at all", "", CLI_USAGE, false},
        {"help for a command, whatever is missing", "campaign create --help", CLI_DONE, false},
        {"help for all", "--help", CLI_DONE, false},
        {"help for a group", "campaign --help", CLI_DONE, false},
    };
    int out = dup(STDOUT_FILENO);
    int err = dup(STDERR_FILENO);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)state;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        (void)fflush(NULL);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        int status = run(cases[i].line);
        (void)fflush(NULL);
        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        assert_int_equal(status, cases[i].status);
        assert_int_equal(seen.command != NULL, cases[i].is_run);
    }
    close(out);
    close(err);
    close(null);
}

static void test_values(void **state)
{
    (void)state;
    print_message("  the last value holds, and all of them can be asked for\n");
    assert_int_equal(run("campaign create --name a --name b w --dir /x --tenant t"), CLI_DONE);
    assert_int_equal(seen.words_n, 1);
    assert_string_equal(seen.words[0], "w");
    assert_int_equal(seen.given_n, 4);
    print_message("  the folder and the tenant come from the environment, too\n");
    setenv("TELEHUB_DIR", "/from-environment", 1);
    setenv("TELEHUB_TENANT", "", 1);
    assert_int_equal(run("stop"), CLI_DONE);
    assert_string_equal(seen.dir, "/from-environment");
    assert_null(seen.tenant);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
