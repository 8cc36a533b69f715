#include "common/conf_value.h"

#include <assert.h>
#include <string.h>

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit durations[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"min", INT64_C(60) * 1000000},
    {"h", INT64_C(3600) * 1000000},
    {"d", INT64_C(86400) * 1000000},
};

static const struct unit sizes[] = {
    {"B", 1},
    {"kB", 1024},
    {"MB", INT64_C(1024) * 1024},
    {"GB", INT64_C(1024) * 1024 * 1024},
};

static const char *const nouns[] = {
    [TH_CONF_STRING] = "text",
    [TH_CONF_PATH] = "a path",
    [TH_CONF_INT] = "a whole number",
    [TH_CONF_BOOL] = "yes or no",
    [TH_CONF_DURATION] = "a duration like 250ms, 5s, 2min, 8h, 3d",
    [TH_CONF_SIZE] = "a size like 512B, 64kB, 16MB, 2GB",
    [TH_CONF_ENUM] = "one of",
};

/* A plain 0 needs no unit. */
static bool parse_with_unit(struct th_str text, const struct unit *units, size_t count,
                            int64_t *out)
{
    size_t n = 0;
    int64_t value;

    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    if (!th_str_int((struct th_str){text.p, n}, 0, INT64_MAX, &value))
        return false;
    struct th_str suffix = {text.p + n, text.n - n};
    for (size_t i = 0; i < count; i++)
        if (th_str_eq(suffix, th_str(units[i].suffix)))
            return !__builtin_mul_overflow(value, units[i].factor, out);
    *out = 0;
    return value == 0 && suffix.n == 0;
}

static bool parse_bool(struct th_str text, int64_t *out)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

    for (size_t i = 0; i < TH_LEN(words); i++)
        if (th_str_eq(text, th_str(words[i]))) {
            *out = (int64_t)(i % 2);
            return true;
        }
    return false;
}

static bool parse_choice(const char *choices, struct th_str text, int64_t *out)
{
    struct th_str rest = th_str(choices);
    struct th_str choice;
    bool is_more = true;

    for (int64_t i = 0; is_more; i++) {
        is_more = th_str_cut(rest, '|', &choice, &rest);
        if (th_str_eq(choice, text)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool is_plain_text(struct th_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return false;
    return text.n <= TH_CONF_VALUE_MAX && th_str_is_utf8(text);
}

/* The number that is compared with min and max, which for text count bytes. */
static bool parse_number(enum th_conf_type type, struct th_str text, int64_t *out)
{
    if (type == TH_CONF_DURATION)
        return parse_with_unit(text, durations, TH_LEN(durations), out);
    if (type == TH_CONF_SIZE)
        return parse_with_unit(text, sizes, TH_LEN(sizes), out);
    return th_str_int(text, INT64_MIN, INT64_MAX, out);
}

static bool parse(const struct th_conf_key *key, struct th_str text, int64_t *out)
{
    switch (key->type) {
    case TH_CONF_STRING:
    case TH_CONF_PATH:
        *out = (int64_t)text.n;
        return is_plain_text(text);
    case TH_CONF_INT:
    case TH_CONF_DURATION:
    case TH_CONF_SIZE:
        return parse_number(key->type, text, out);
    case TH_CONF_BOOL:
        return parse_bool(text, out);
    case TH_CONF_ENUM:
        return parse_choice(key->choices, text, out);
    }
    return false;
}

/* A bound that cannot be read is a bug in the table. */
static int64_t bound(const struct th_conf_key *key, const char *text, int64_t unbounded)
{
    int64_t value = unbounded;

    if (text) {
        bool is_number = parse_number(key->type, th_str(text), &value);
        assert(is_number);
    }
    return value;
}

enum th_code conf_value_parse(const struct th_conf_key *key, struct th_str text, int64_t *out,
                              struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf allowed = {0};
    int64_t value;

    if (parse(key, text, &value) && value >= bound(key, key->min, INT64_MIN) &&
        value <= bound(key, key->max, INT64_MAX)) {
        *out = value;
        return TH_OK;
    }
    conf_value_describe(key, &allowed);
    return th_fail(err, TH_INVALID, "must be %.*s", TH_ARG(th_buf_str(&allowed)));
}

void conf_value_describe(const struct th_conf_key *key, struct th_buf *out)
{
    bool is_text = key->type == TH_CONF_STRING || key->type == TH_CONF_PATH;
    const char *of = is_text ? " bytes" : "";

    th_buf_add(out, th_str(nouns[key->type]));
    if (key->type == TH_CONF_ENUM)
        th_buf_printf(out, " %s", key->choices);
    if (key->unit)
        th_buf_printf(out, " of %s", key->unit);
    if (is_text && (key->min || key->max))
        th_buf_add(out, TH_STR(" of"));
    if (key->min && key->max)
        th_buf_printf(out, "%s %s to %s%s", is_text ? "" : " from", key->min, key->max, of);
    else if (key->min)
        th_buf_printf(out, " at least %s%s", key->min, of);
    else if (key->max)
        th_buf_printf(out, " at most %s%s", key->max, of);
}
