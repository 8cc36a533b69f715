#include "processors/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIR_OF_ROOT "/var/lib/telehub"
#define DIR_OF_USER ".local/share/telehub"

static const struct cli_option common_options[] = {
    {"--dir", "DIR", "the installation (default: $TELEHUB_DIR, else as deploy/up chooses it)",
     false},
    {"--tenant", "NAME", "for whom (default: $TELEHUB_TENANT, else the only one)", false},
    {"--json", NULL, "one JSON object on standard output", false},
    {"--no-input", NULL, "ask nothing", false},
    {"--help", NULL, "say what the command does", false},
    {NULL, NULL, NULL, false},
};

/* --- what was given --------------------------------------------------------------------------- */

const char *cli_value_at(const struct cli *cli, const char *name, int i)
{
    for (int k = 0; k < cli->given_n; k++)
        if (strcmp(cli->given[k].option->name, name) == 0 && i-- == 0)
            return cli->given[k].value;
    return NULL;
}

const char *cli_value(const struct cli *cli, const char *name)
{
    for (int k = cli->given_n - 1; k >= 0; k--)
        if (strcmp(cli->given[k].option->name, name) == 0)
            return cli->given[k].value;
    return NULL;
}

bool cli_has(const struct cli *cli, const char *name)
{
    return cli_value(cli, name) != NULL;
}

enum th_code cli_usage(struct cli *cli, struct th_err *err, const char *fmt, ...)
{
    char text[TH_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cli->is_usage_error = true;
    return th_fail(err, TH_INVALID, "%s", text);
}

enum th_code cli_int(struct cli *cli, const char *name, int64_t min, int64_t max, int64_t fallback,
                     int64_t *out, struct th_err *err)
{
    const char *value = cli_value(cli, name);

    *out = fallback;
    if (value && !th_str_int(th_str(value), min, max, out))
        return cli_usage(cli, err, "%s %s: must be a number from %lld to %lld", name, value,
                         (long long)min, (long long)max);
    return TH_OK;
}

/* --- help ------------------------------------------------------------------------------------- */

static void print_options(FILE *to, const struct cli_option *options)
{
    for (; options && options->name; options++) {
        char left[64];

        snprintf(left, sizeof left, "%s%s%s", options->name, options->value ? " " : "",
                 options->value ? options->value : "");
        fprintf(to, "  %-28s %s%s\n", left, options->help,
                options->is_required ? " (required)" : "");
    }
}

static void print_command_help(FILE *to, const struct cli_command *command)
{
    fprintf(to, "usage: telehub %s%s%s%s\n\n%s\n", command->name, *command->words ? " " : "",
            command->words, command->options ? " [options]" : "", command->help);
    if (command->options) {
        fprintf(to, "\noptions:\n");
        print_options(to, command->options);
    }
    fprintf(to, "\ncommon options:\n");
    print_options(to, common_options);
    fprintf(to, "\nexamples:\n%s\n", command->examples);
}

static void print_help(FILE *to, const struct cli_command *const *tables, const char *prefix)
{
    fprintf(to, "usage: telehub COMMAND [options]\n\n");
    for (; *tables; tables++)
        for (const struct cli_command *c = *tables; c->name; c++)
            if (!prefix || strncmp(c->name, prefix, strlen(prefix)) == 0)
                fprintf(to, "  %-20s %s\n", c->name, c->help);
    fprintf(to, "\ntelehub COMMAND --help says more, with examples.\n");
}

/* --- parsing ---------------------------------------------------------------------------------- */

/* How many of argv's words name the command; 0: they do not. */
static int words_of_name(const char *name, int argc, char **argv)
{
    int n = 0;

    for (struct th_str rest = th_str(name), word; rest.n > 0; n++) {
        th_str_cut(rest, ' ', &word, &rest);
        if (n == argc || !th_str_eq(word, th_str(argv[n])))
            return 0;
    }
    return n;
}

static const struct cli_command *find_command(const struct cli_command *const *tables, int argc,
                                              char **argv, int *out_words)
{
    for (; *tables; tables++)
        for (const struct cli_command *c = *tables; c->name; c++)
            if ((*out_words = words_of_name(c->name, argc, argv)) > 0)
                return c;
    return NULL;
}

static const struct cli_option *find_in(const struct cli_option *options, struct th_str name)
{
    for (; options && options->name; options++)
        if (th_str_eq(th_str(options->name), name))
            return options;
    return NULL;
}

/* One "--name value", "--name=value" or "--flag"; moves *i past it. */
static enum th_code take_option(struct cli *cli, int argc, char **argv, int *i, struct th_err *err)
{
    struct th_str name;
    struct th_str value;
    bool has_value = th_str_cut(th_str(argv[*i]), '=', &name, &value);
    const struct cli_option *option = find_in(cli->command->options, name);

    if (!option)
        option = find_in(common_options, name);
    if (!option)
        return cli_usage(cli, err, "unknown option %.*s", TH_ARG(name));
    if (cli->given_n == CLI_OPTIONS_MAX)
        return cli_usage(cli, err, "more than %d options", CLI_OPTIONS_MAX);
    if (has_value && !option->value)
        return cli_usage(cli, err, "%s takes no value", option->name);
    if (option->value && !has_value && *i + 1 == argc)
        return cli_usage(cli, err, "%s needs a value: %s", option->name, option->value);
    struct cli_given *given = &cli->given[cli->given_n++];
    given->option = option;
    given->value = has_value ? value.p : option->value ? argv[++*i] : "";
    return TH_OK;
}

static enum th_code parse(struct cli *cli, int argc, char **argv, struct th_err *err)
{
    bool is_rest = false;

    for (int i = 0; i < argc; i++) {
        if (!is_rest && strcmp(argv[i], "--") == 0) {
            is_rest = true;
        } else if (!is_rest && argv[i][0] == '-' && argv[i][1] != '\0') {
            TH_TRY(take_option(cli, argc, argv, &i, err));
        } else {
            if (cli->words_n == CLI_WORDS_MAX)
                return cli_usage(cli, err, "more than %d words", CLI_WORDS_MAX);
            cli->words[cli->words_n++] = argv[i];
        }
    }
    return TH_OK;
}

static enum th_code check(struct cli *cli, struct th_err *err)
{
    const struct cli_command *command = cli->command;

    if (cli->words_n < command->words_min)
        return cli_usage(cli, err, "%s is missing", command->words);
    if (cli->words_n > command->words_max)
        return cli_usage(cli, err, "unexpected: %s", cli->words[command->words_max]);
    for (const struct cli_option *o = command->options; o && o->name; o++)
        if (o->is_required && !cli_has(cli, o->name))
            return cli_usage(cli, err, "%s %s is missing", o->name, o->value ? o->value : "");
    return TH_OK;
}

static void settle_common(struct cli *cli)
{
    const char *dir = cli_value(cli, "--dir");
    const char *home = getenv("HOME");

    if (!dir)
        dir = getenv("TELEHUB_DIR");
    if (!dir || !*dir) {
        if (geteuid() == 0 || !home)
            snprintf(cli->dir_room, sizeof cli->dir_room, "%s", DIR_OF_ROOT);
        else
            snprintf(cli->dir_room, sizeof cli->dir_room, "%s/%s", home, DIR_OF_USER);
        dir = cli->dir_room;
    }
    cli->dir = dir;
    cli->tenant = cli_value(cli, "--tenant");
    if (!cli->tenant)
        cli->tenant = getenv("TELEHUB_TENANT");
    if (cli->tenant && !*cli->tenant)
        cli->tenant = NULL;
    cli->is_json = cli_has(cli, "--json");
    cli->is_quiet_input = cli_has(cli, "--no-input") || !isatty(STDIN_FILENO);
    const char *no_color = getenv("NO_COLOR");
    cli->has_color = isatty(STDERR_FILENO) && !(no_color && *no_color);
}

static void print_error(const struct cli *cli, const struct th_err *err)
{
    const char *red = cli->has_color ? "\033[31m" : "";
    const char *plain = cli->has_color ? "\033[0m" : "";

    fprintf(stderr, "%stelehub %s:%s %s\n", red, cli->command->name, plain,
            err->text[0] ? err->text : th_code_text(err->code));
    if (cli->is_usage_error)
        fprintf(stderr, "telehub %s --help says how to use it\n", cli->command->name);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct th_err err = {0};
    enum th_code code = parse(cli, argc, argv, &err);

    if (cli_has(cli, "--help")) {
        print_command_help(stdout, cli->command);
        return CLI_DONE;
    }
    settle_common(cli);
    if (code == TH_OK)
        code = check(cli, &err);
    if (code == TH_OK)
        code = cli->command->run(cli, &err);
    if (fflush(stdout) != 0 && code == TH_OK)
        code = th_fail(&err, TH_IO, "standard output cannot be written");
    if (code == TH_OK)
        return CLI_DONE;
    err.code = code;
    print_error(cli, &err);
    return cli->is_usage_error ? CLI_USAGE : cli->is_broken ? CLI_BROKEN : CLI_FAILED;
}

int cli_main(const struct cli_command *const *tables, int argc, char **argv)
{
    int words = 0;
    const char *first = argc > 1 ? argv[1] : NULL;

    if (first && (strcmp(first, "--help") == 0 || strcmp(first, "help") == 0)) {
        print_help(stdout, tables, NULL);
        return CLI_DONE;
    }
    if (!first) {
        print_help(stderr, tables, NULL);
        return CLI_USAGE;
    }
    struct cli *cli = calloc(1, sizeof *cli);
    if (!cli)
        return CLI_FAILED;
    cli->command = find_command(tables, argc - 1, argv + 1, &words);
    int status = CLI_USAGE;
    if (cli->command) {
        status = run(cli, argc - 1 - words, argv + 1 + words);
    } else {
        bool asks = argc > 2 && strcmp(argv[2], "--help") == 0;

        if (!asks)
            fprintf(stderr, "telehub: no such command: %s%s%s\n", first, argc > 2 ? " " : "",
                    argc > 2 ? argv[2] : "");
        print_help(asks ? stdout : stderr, tables, asks ? first : NULL);
        status = asks ? CLI_DONE : CLI_USAGE;
    }
    free(cli);
    return status;
}
