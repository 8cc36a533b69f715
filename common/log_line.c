#include "common/log_line.h"

#include "common/clock.h"
#include "common/date.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_int least_level = TH_LOG_INFO;
static atomic_int output_fd = STDERR_FILENO;

static const char *const level_names[] = {
    [TH_LOG_DEBUG] = "debug",
    [TH_LOG_INFO] = "info",
    [TH_LOG_WARN] = "warn",
    [TH_LOG_ERROR] = "error",
};

static const char ellipsis[] = "\xe2\x80\xa6";

/* The end of a line is kept free for the ellipsis, a quote and the newline. */
#define ROOM_AT_END (sizeof ellipsis - 1 + 2)

struct line {
    char bytes[TH_LOG_LINE_MAX];
    size_t n;
    bool is_full;
};

static void add(struct line *line, const char *bytes, size_t n)
{
    if (n > sizeof line->bytes - ROOM_AT_END - line->n)
        line->is_full = true;
    if (line->is_full)
        return;
    memcpy(line->bytes + line->n, bytes, n);
    line->n += n;
}

/* Not bounded by the room at the end: that is what it is for. */
static void add_at_end(struct line *line, const char *bytes, size_t n)
{
    assert(n <= sizeof line->bytes - line->n);
    memcpy(line->bytes + line->n, bytes, n);
    line->n += n;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static bool is_plain(struct th_str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
            return false;
    }
    return value.n > 0;
}

static void add_escaped(struct line *line, unsigned char c)
{
    char escape[8];

    if (c == '"' || c == '\\')
        (void)snprintf(escape, sizeof escape, "\\%c", c);
    else if (c == '\n')
        (void)snprintf(escape, sizeof escape, "\\n");
    else
        (void)snprintf(escape, sizeof escape, "\\x%02x", c);
    add_text(line, escape);
}

static void add_quoted(struct line *line, struct th_str value)
{
    bool is_cut = false;

    add_text(line, "\"");
    for (size_t i = 0, n; i < value.n && !line->is_full && !is_cut; i += n) {
        unsigned char c = (unsigned char)value.p[i];

        n = th_str_char_size((struct th_str){value.p + i, value.n - i});
        n += n == 0; /* a byte that belongs to no character is escaped alone */
        is_cut = i + n > TH_LOG_VALUE_MAX;
        if (is_cut)
            break;
        if (n > 1 || (c >= ' ' && c < 0x7f && c != '"' && c != '\\'))
            add(line, value.p + i, n);
        else
            add_escaped(line, c);
    }
    if (is_cut)
        add_text(line, ellipsis);
    if (line->is_full)
        add_at_end(line, ellipsis, sizeof ellipsis - 1);
    add_at_end(line, "\"", 1);
}

static void add_value(struct line *line, struct th_str value)
{
    if (is_plain(value) && value.n <= TH_LOG_VALUE_MAX &&
        value.n <= sizeof line->bytes - ROOM_AT_END - line->n)
        add(line, value.p, value.n);
    else
        add_quoted(line, value);
}

static void add_field(struct line *line, const struct th_log_field *field)
{
    char text[TH_ID_TEXT_LEN + 1] = "";

    add_text(line, " ");
    add_text(line, field->key);
    add_text(line, "=");
    if (line->is_full)
        return;
    switch (field->kind) {
    case TH_LOG_TEXT:
        add_value(line, field->value.text);
        return;
    case TH_LOG_SIGNED:
        (void)snprintf(text, sizeof text, "%" PRId64, field->value.i);
        break;
    case TH_LOG_UNSIGNED:
        (void)snprintf(text, sizeof text, "%" PRIu64, field->value.u);
        break;
    case TH_LOG_REAL:
        (void)snprintf(text, sizeof text, "%.6g", field->value.real);
        break;
    case TH_LOG_BOOL:
        (void)snprintf(text, sizeof text, "%s", field->value.is ? "yes" : "no");
        break;
    case TH_LOG_ID:
        th_id_text(field->value.id, text);
        break;
    }
    add_text(line, text);
}

void th_log_fields(enum th_log_level level, const char *id, const struct th_log_field *fields,
                   size_t count)
{
    struct line line = {.n = 0};
    char time[TH_DATE_TEXT_LEN + 1];

    if (!th_log_is_on(level))
        return;
    th_date_text(th_clock_realtime_us(&th_clock_real), time);
    add_text(&line, "time=");
    add_text(&line, time);
    add_text(&line, " level=");
    add_text(&line, level_names[level]);
    add_text(&line, " id=");
    add_text(&line, id);
    for (size_t i = 0; i < count && !line.is_full; i++)
        add_field(&line, &fields[i]);
    add_at_end(&line, "\n", 1);
    ssize_t written = write(atomic_load(&output_fd), line.bytes, line.n);
    (void)written; /* there is nobody left to tell */
}

void th_log_bare(enum th_log_level level, const char *id)
{
    th_log_fields(level, id, NULL, 0);
}

void th_log_error(enum th_log_level level, const char *id, const struct th_err *err)
{
    th_log(level, id, TH_F("code", th_code_name(err->code)), TH_F("error", err->text));
}

void th_log_set_level(enum th_log_level level)
{
    atomic_store(&least_level, (int)level);
}

void th_log_set_fd(int fd)
{
    atomic_store(&output_fd, fd);
}

bool th_log_is_on(enum th_log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

struct th_log_field th_log_str(const char *key, struct th_str value)
{
    return (struct th_log_field){.key = key, .kind = TH_LOG_TEXT, .value.text = value};
}

struct th_log_field th_log_text(const char *key, const char *value)
{
    return th_log_str(key, th_str(value));
}

struct th_log_field th_log_int(const char *key, int64_t value)
{
    return (struct th_log_field){.key = key, .kind = TH_LOG_SIGNED, .value.i = value};
}

struct th_log_field th_log_uint(const char *key, uint64_t value)
{
    return (struct th_log_field){.key = key, .kind = TH_LOG_UNSIGNED, .value.u = value};
}

struct th_log_field th_log_real(const char *key, double value)
{
    return (struct th_log_field){.key = key, .kind = TH_LOG_REAL, .value.real = value};
}

struct th_log_field th_log_bool(const char *key, bool value)
{
    return (struct th_log_field){.key = key, .kind = TH_LOG_BOOL, .value.is = value};
}

struct th_log_field th_log_uuid(const char *key, struct th_id value)
{
    return (struct th_log_field){.key = key, .kind = TH_LOG_ID, .value.id = value};
}

const char *th_log_mask_phone(struct th_str number, char out_text[TH_LOG_MASK_SIZE])
{
    bool is_number = number.n >= 8 && number.n <= 16 && number.p[0] == '+';

    for (size_t i = 1; is_number && i < number.n; i++)
        is_number = number.p[i] >= '0' && number.p[i] <= '9';
    if (!is_number)
        return memcpy(out_text, "***", sizeof "***");
    memset(out_text, '*', number.n);
    memcpy(out_text, number.p, 3);
    memcpy(out_text + number.n - 2, number.p + number.n - 2, 2);
    out_text[number.n] = '\0';
    return out_text;
}
