/* conf.h - settings: one table says all there is to know about each.
 *
 * A setting `http_port` is TELEHUB_HTTP_PORT in a file and in the environment. Modules contribute
 * tables; the table parses, checks, and prints the documentation. An unknown TELEHUB_ key is an
 * error that names the nearest known one, so that a slip of the pen never means a default.
 */
#ifndef TELEHUB_COMMON_CONF_H
#define TELEHUB_COMMON_CONF_H

#include "common/buf.h"

#define TH_CONF_PREFIX        "TELEHUB_"
#define TH_CONF_FILE_SIZE_MAX 65536
#define TH_CONF_VALUE_MAX     4096 /* bytes */

enum th_conf_type {
    TH_CONF_STRING,   /* UTF-8 without control characters; min and max bound its bytes */
    TH_CONF_PATH,     /* the same, a file or folder */
    TH_CONF_INT,      /* decimal */
    TH_CONF_BOOL,     /* yes, true, on, 1 or no, false, off, 0 */
    TH_CONF_DURATION, /* 250ms, 5s, 2min, 8h, 3d; in microseconds (us) within */
    TH_CONF_SIZE,     /* 512B, 64kB, 16MB, 2GB: powers of 1024; in bytes within */
    TH_CONF_ENUM,     /* one of choices */
};

/* Texts are written as a user would write the value. */
struct th_conf_key {
    const char *name; /* lower case, as code asks for it */
    enum th_conf_type type;
    const char *preset;  /* the default; "" where there is none */
    const char *min;     /* inclusive; NULL: no bound */
    const char *max;     /* inclusive; NULL: no bound */
    const char *unit;    /* of an int, for humans ("connections"); NULL: none */
    const char *choices; /* of an enum: "debug|info|warn|error" */
    const char *help;    /* one sentence */
};

struct th_conf;

/* A configuration of presets. tables ends at NULL, each table at .name == NULL and must outlive the
 * result; a name in two tables, or a preset that its own row refuses, is a bug and asserts.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code th_conf_new(const struct th_conf_key *const *tables, struct th_conf **out_conf,
                         struct th_err *err);

void th_conf_free(struct th_conf *conf);
TH_AUTO_DEFINE(th_conf, struct th_conf *, th_conf_free)

/* Of the next four the later call wins: read the file first, then the environment.
 * After an error conf is as before, or holds some of the new values; do not go on with it.
 * Errors of all: TH_INVALID with key, value and what is allowed; TH_NOMEM */

/* Lines KEY=value with the full name; '#' begins a comment line, white space around value and one
 * pair of quotes around all of it are dropped. name is what errors call the text. */
TH_MUST_USE
enum th_code th_conf_apply_text(struct th_conf *conf, struct th_str text, const char *name,
                                struct th_err *err);

/* Errors also: TH_NOT_FOUND, TH_IO, TH_FULL (more than TH_CONF_FILE_SIZE_MAX) */
TH_MUST_USE
enum th_code th_conf_apply_file(struct th_conf *conf, const char *path, struct th_err *err);

/* environment is that of environ(7); what does not begin with TELEHUB_ is not ours. */
TH_MUST_USE
enum th_code th_conf_apply_environment(struct th_conf *conf, char *const *environment,
                                       struct th_err *err);

/* One setting by its short name, e.g. from a command line. */
TH_MUST_USE
enum th_code th_conf_set(struct th_conf *conf, const char *name, struct th_str value,
                         struct th_err *err);

/* Getters. The name must be in a table and of that type; views live as long as conf, unchanged.
 * Any thread, once nothing is applied any more. */
int64_t th_conf_int(const struct th_conf *conf, const char *name);
bool th_conf_bool(const struct th_conf *conf, const char *name);
int64_t th_conf_duration_us(const struct th_conf *conf, const char *name);
size_t th_conf_size(const struct th_conf *conf, const char *name);
const char *th_conf_str(const struct th_conf *conf, const char *name); /* string and path */

/* Index of the value within choices. */
size_t th_conf_enum(const struct th_conf *conf, const char *name);

/* Append the documentation: a file that sets every key to its preset, in comments; and a list for
 * --help. */
void th_conf_print_example(const struct th_conf *conf, struct th_buf *out);
void th_conf_print_help(const struct th_conf *conf, struct th_buf *out);

#endif
