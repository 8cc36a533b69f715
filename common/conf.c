#include "common/conf.h"

#include "common/conf_value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 64

struct setting {
    const struct th_conf_key *key;
    char *text; /* owned; NULL: the preset */
    int64_t number;
};

struct th_conf {
    size_t count;
    struct setting settings[];
};

static struct setting *find(const struct th_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->count; i++)
        if (strcmp(conf->settings[i].key->name, name) == 0)
            return (struct setting *)&conf->settings[i];
    return NULL;
}

static void add(struct th_conf *conf, const struct th_conf_key *key)
{
    struct setting *setting = &conf->settings[conf->count];
    struct th_err err = {0};

    assert(strlen(key->name) < NAME_MAX_LEN);
    assert(!find(conf, key->name));
    *setting = (struct setting){.key = key};
    if (*key->preset) { /* none: a text is empty, a number 0 */
        enum th_code code = conf_value_parse(key, th_str(key->preset), &setting->number, &err);
        assert(code == TH_OK);
    }
    conf->count++;
}

enum th_code th_conf_new(const struct th_conf_key *const *tables, struct th_conf **out_conf,
                         struct th_err *err)
{
    size_t total = 0;

    for (size_t i = 0; tables[i]; i++)
        for (const struct th_conf_key *key = tables[i]; key->name; key++)
            total++;
    struct th_conf *conf = calloc(1, sizeof *conf + total * sizeof conf->settings[0]);
    if (!conf)
        return th_fail(err, TH_NOMEM, "configuration");
    for (size_t i = 0; tables[i]; i++)
        for (const struct th_conf_key *key = tables[i]; key->name; key++)
            add(conf, key);
    *out_conf = conf;
    return TH_OK;
}

void th_conf_free(struct th_conf *conf)
{
    for (size_t i = 0; conf && i < conf->count; i++)
        free(conf->settings[i].text);
    free(conf);
}

static char upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/* "http_port" → "TELEHUB_HTTP_PORT" */
static const char *full_name(const char *name, char out[sizeof TH_CONF_PREFIX + NAME_MAX_LEN])
{
    size_t n = sizeof TH_CONF_PREFIX - 1;

    memcpy(out, TH_CONF_PREFIX, n);
    while (*name)
        out[n++] = upper(*name++);
    out[n] = '\0';
    return out;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein's distance, row by row; of what is too long to be a slip, a large number. */
static size_t distance(struct th_str a, struct th_str b)
{
    size_t row[sizeof TH_CONF_PREFIX + NAME_MAX_LEN];

    if (a.n >= TH_LEN(row) || b.n >= TH_LEN(row))
        return SIZE_MAX;
    for (size_t k = 0; k <= b.n; k++)
        row[k] = k;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t above = row[k];
            size_t change = diagonal + (upper(a.p[i - 1]) != upper(b.p[k - 1]));
            row[k] = min3(change, above + 1, row[k - 1] + 1);
            diagonal = above;
        }
    }
    return row[b.n];
}

static enum th_code fail_unknown(const struct th_conf *conf, struct th_str full, struct th_err *err)
{
    char name[sizeof TH_CONF_PREFIX + NAME_MAX_LEN];
    char nearest[sizeof name] = "";
    size_t least = 1 + full.n / 3; /* further away is another word */

    for (size_t i = 0; i < conf->count; i++) {
        size_t away = distance(full, th_str(full_name(conf->settings[i].key->name, name)));
        if (away < least) {
            least = away;
            memcpy(nearest, name, sizeof name);
        }
    }
    int shown = full.n < 100 ? (int)full.n : 100;
    if (*nearest)
        return th_fail(err, TH_INVALID, "%.*s is not a setting; did you mean %s?", shown, full.p,
                       nearest);
    return th_fail(err, TH_INVALID, "%.*s is not a setting", shown, full.p);
}

static enum th_code set(struct setting *setting, struct th_str value, struct th_err *err)
{
    char name[sizeof TH_CONF_PREFIX + NAME_MAX_LEN];
    int64_t number;

    if (conf_value_parse(setting->key, value, &number, err) != TH_OK)
        return th_wrap(err, "%s", full_name(setting->key->name, name));
    char *text = malloc(value.n + 1);
    if (!text)
        return th_fail(err, TH_NOMEM, "%s", full_name(setting->key->name, name));
    if (value.n)
        memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    free(setting->text);
    setting->text = text;
    setting->number = number;
    return TH_OK;
}

enum th_code th_conf_set(struct th_conf *conf, const char *name, struct th_str value,
                         struct th_err *err)
{
    struct setting *setting = find(conf, name);

    return setting ? set(setting, value, err)
                   : th_fail(err, TH_INVALID, "%s is not a setting", name);
}

/* full is a name with the prefix, in capitals: exactly as documented, or it is unknown. */
static enum th_code set_full(struct th_conf *conf, struct th_str full, struct th_str value,
                             struct th_err *err)
{
    char name[sizeof TH_CONF_PREFIX + NAME_MAX_LEN];

    for (size_t i = 0; i < conf->count; i++)
        if (th_str_eq(full, th_str(full_name(conf->settings[i].key->name, name))))
            return set(&conf->settings[i], value, err);
    return fail_unknown(conf, full, err);
}

static struct th_str unquote(struct th_str value)
{
    if (value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
        value.p[value.n - 1] == value.p[0])
        return (struct th_str){value.p + 1, value.n - 2};
    return value;
}

static enum th_code apply_line(struct th_conf *conf, struct th_str line, struct th_err *err)
{
    struct th_str name;
    struct th_str value;

    line = th_str_trim(line);
    if (line.n == 0 || line.p[0] == '#')
        return TH_OK;
    if (!th_str_cut(line, '=', &name, &value))
        return th_fail(err, TH_INVALID, "a line must read KEY=value");
    return set_full(conf, th_str_trim(name), unquote(th_str_trim(value)), err);
}

enum th_code th_conf_apply_text(struct th_conf *conf, struct th_str text, const char *name,
                                struct th_err *err)
{
    struct th_str line;
    bool is_more = true;

    for (int number = 1; is_more; number++) {
        is_more = th_str_cut(text, '\n', &line, &text);
        if (apply_line(conf, line, err) != TH_OK)
            return th_wrap(err, "%s line %d", name, number);
    }
    return TH_OK;
}

static void close_file(FILE *file)
{
    if (file)
        (void)fclose(file);
}
TH_AUTO_DEFINE(file, FILE *, close_file)

enum th_code th_conf_apply_file(struct th_conf *conf, const char *path, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    TH_AUTO(file) FILE *file = fopen(path, "re");

    if (!file)
        return th_fail(err, errno == ENOENT ? TH_NOT_FOUND : TH_IO, "%s: %s", path,
                       strerror(errno));
    char *room = th_buf_reserve(&text, TH_CONF_FILE_SIZE_MAX + 1);
    if (!room)
        return th_fail(err, TH_NOMEM, "%s", path);
    text.n = fread(room, 1, TH_CONF_FILE_SIZE_MAX + 1, file);
    if (ferror(file))
        return th_fail(err, TH_IO, "%s: cannot be read", path);
    if (text.n > TH_CONF_FILE_SIZE_MAX)
        return th_fail(err, TH_FULL, "%s: more than %d bytes", path, TH_CONF_FILE_SIZE_MAX);
    return th_conf_apply_text(conf, th_buf_str(&text), path, err);
}

enum th_code th_conf_apply_environment(struct th_conf *conf, char *const *environment,
                                       struct th_err *err)
{
    struct th_str name;
    struct th_str value;

    for (; *environment; environment++)
        if (th_str_cut(th_str(*environment), '=', &name, &value) &&
            th_str_starts(name, TH_STR(TH_CONF_PREFIX)) &&
            set_full(conf, name, value, err) != TH_OK)
            return th_wrap(err, "environment");
    return TH_OK;
}

static const struct setting *get(const struct th_conf *conf, const char *name,
                                 enum th_conf_type type)
{
    const struct setting *setting = find(conf, name);

    assert(setting);
    assert(setting->key->type == type);
    return setting;
}

int64_t th_conf_int(const struct th_conf *conf, const char *name)
{
    return get(conf, name, TH_CONF_INT)->number;
}

bool th_conf_bool(const struct th_conf *conf, const char *name)
{
    return get(conf, name, TH_CONF_BOOL)->number != 0;
}

int64_t th_conf_duration_us(const struct th_conf *conf, const char *name)
{
    return get(conf, name, TH_CONF_DURATION)->number;
}

size_t th_conf_size(const struct th_conf *conf, const char *name)
{
    return (size_t)get(conf, name, TH_CONF_SIZE)->number;
}

const char *th_conf_str(const struct th_conf *conf, const char *name)
{
    const struct setting *setting = find(conf, name);

    assert(setting);
    assert(setting->key->type == TH_CONF_STRING || setting->key->type == TH_CONF_PATH);
    return setting->text ? setting->text : setting->key->preset;
}

size_t th_conf_enum(const struct th_conf *conf, const char *name)
{
    return (size_t)get(conf, name, TH_CONF_ENUM)->number;
}

void th_conf_print_example(const struct th_conf *conf, struct th_buf *out)
{
    char name[sizeof TH_CONF_PREFIX + NAME_MAX_LEN];

    for (size_t i = 0; i < conf->count; i++) {
        const struct th_conf_key *key = conf->settings[i].key;

        th_buf_printf(out, "%s# %s\n# ", i ? "\n" : "", key->help);
        conf_value_describe(key, out);
        th_buf_printf(out, "\n# %s=%s\n", full_name(key->name, name), key->preset);
    }
}

void th_conf_print_help(const struct th_conf *conf, struct th_buf *out)
{
    char name[sizeof TH_CONF_PREFIX + NAME_MAX_LEN];

    for (size_t i = 0; i < conf->count; i++) {
        const struct th_conf_key *key = conf->settings[i].key;

        th_buf_printf(out, "  %s\n      %s\n      ", full_name(key->name, name), key->help);
        conf_value_describe(key, out);
        if (*key->preset)
            th_buf_printf(out, "; default %s", key->preset);
        th_buf_add_char(out, '\n');
    }
}
