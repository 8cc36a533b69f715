/* cli.h - a command as data: what it is called, what it takes, what it says about itself.
 *
 * Data goes to stdout, progress and errors to stderr. Exit status 0: done; 1: not done, and the
 * sentence says what to do; 2: the command line is wrong.
 */
#ifndef TELEHUB_PROCESSORS_CLI_CLI_H
#define TELEHUB_PROCESSORS_CLI_CLI_H

#include "common/err.h"
#include "common/str.h"

#define CLI_OPTIONS_MAX 64 /* given on one command line */
#define CLI_WORDS_MAX   32

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_BROKEN = 70, /* sysexits.h: EX_SOFTWARE; a new process may do better */
};

struct cli_option {
    const char *name;  /* "--pace" */
    const char *value; /* "N|max"; NULL: a flag */
    const char *help;
    bool is_required;
};

struct cli;

struct cli_command {
    const char *name;  /* "campaign create" */
    const char *words; /* "ID"; "" when it takes none */
    int words_min;
    int words_max;
    const char *help; /* one sentence */
    const char *examples;
    const struct cli_option *options; /* ends at .name == NULL; NULL: none */
    /* Errors: what it was; the caller prints the text. CLI_USAGE is for TH_INVALID of the line
     * itself, by cli_usage. */
    enum th_code (*run)(struct cli *cli, struct th_err *err);
};

struct cli_given {
    const struct cli_option *option;
    const char *value; /* "" of a flag */
};

/* One invocation. */
struct cli {
    const struct cli_command *command;
    struct cli_given given[CLI_OPTIONS_MAX];
    int given_n;
    const char *words[CLI_WORDS_MAX];
    int words_n;
    const char *dir;    /* TELEHUB_DIR, --dir, or the default */
    const char *tenant; /* TELEHUB_TENANT, --tenant; NULL: the only one there is a key of */
    bool is_json;
    bool is_quiet_input; /* --no-input: nothing is asked */
    bool has_color;      /* of stderr */
    bool is_usage_error;
    bool is_broken; /* the failure is CLI_BROKEN */
    char dir_room[4096];
};

/* The last value of an option; NULL: not given. */
const char *cli_value(const struct cli *cli, const char *name);
bool cli_has(const struct cli *cli, const char *name);

/* The i-th value of one that may be repeated; NULL: no more. */
const char *cli_value_at(const struct cli *cli, const char *name, int i);

/* The value as a number within bounds; fallback when it is not given.
 * Errors: a usage error */
TH_MUST_USE
enum th_code cli_int(struct cli *cli, const char *name, int64_t min, int64_t max, int64_t fallback,
                     int64_t *out, struct th_err *err);

/* The command line is wrong: fails with TH_INVALID, and the exit status will be CLI_USAGE. */
enum th_code cli_usage(struct cli *cli, struct th_err *err, const char *fmt, ...) TH_PRINTF(3, 4);

/* Find the command of argv in a table that ends at .name == NULL, parse the rest, run it, print
 * what failed; the exit status. */
int cli_main(const struct cli_command *const *tables, int argc, char **argv);

/* The commands of this folder, by file; each ends at .name == NULL. */
extern const struct cli_command cli_operator_commands[];
extern const struct cli_command cli_audience_commands[];
extern const struct cli_command cli_campaign_commands[];
extern const struct cli_command cli_recipients_commands[];
extern const struct cli_command cli_consent_commands[];
extern const struct cli_command cli_compare_commands[];
extern const struct cli_command cli_top_commands[];
extern const struct cli_command cli_why_commands[];
extern const struct cli_command cli_dead_letter_commands[];

#endif
