#include "common/json_out.h"

#include "common/date.h"

#include <inttypes.h>

static void add_escaped(struct th_buf *buf, unsigned char c)
{
    static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                   ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    if (c < sizeof letters && letters[c])
        th_buf_printf(buf, "\\%c", letters[c]);
    else
        th_buf_printf(buf, "\\u%04x", c);
}

/* Bytes from the start of s that may stand in a JSON string as they are. */
static size_t plain_prefix(struct th_str s)
{
    size_t n = 0;

    while (n < s.n) {
        unsigned char c = (unsigned char)s.p[n];
        if (c < ' ' || c == '"' || c == '\\')
            break;
        size_t size = c < 0x80 ? 1 : th_str_char_size((struct th_str){s.p + n, s.n - n});
        if (size == 0)
            break;
        n += size;
    }
    return n;
}

static void add_string(struct th_buf *buf, struct th_str s)
{
    th_buf_add_char(buf, '"');
    for (;;) {
        size_t n = plain_prefix(s);

        th_buf_add(buf, (struct th_str){s.p, n});
        if (n == s.n)
            break;
        unsigned char c = (unsigned char)s.p[n];
        if (c < 0x80)
            add_escaped(buf, c);
        else
            th_buf_add(buf, TH_STR("\xef\xbf\xbd"));
        s = (struct th_str){s.p + n + 1, s.n - n - 1};
    }
    th_buf_add_char(buf, '"');
}

void th_json_put_key(struct th_json_out *out, struct th_str key)
{
    if (out->needs_comma)
        th_buf_add_char(out->buf, ',');
    add_string(out->buf, key);
    th_buf_add_char(out->buf, ':');
    out->needs_comma = false;
}

/* What stands before a value; a value is then written, so the next one needs a comma. */
static void lead(struct th_json_out *out, const char *key)
{
    if (key)
        th_json_put_key(out, th_str(key));
    else if (out->needs_comma)
        th_buf_add_char(out->buf, ',');
    out->needs_comma = true;
}

static void begin(struct th_json_out *out, const char *key, char bracket)
{
    lead(out, key);
    th_buf_add_char(out->buf, bracket);
    out->needs_comma = false;
}

static void end(struct th_json_out *out, char bracket)
{
    th_buf_add_char(out->buf, bracket);
    out->needs_comma = true;
}

void th_json_begin(struct th_json_out *out, const char *key)
{
    begin(out, key, '{');
}

void th_json_end(struct th_json_out *out)
{
    end(out, '}');
}

void th_json_begin_array(struct th_json_out *out, const char *key)
{
    begin(out, key, '[');
}

void th_json_end_array(struct th_json_out *out)
{
    end(out, ']');
}

void th_json_put_str(struct th_json_out *out, const char *key, struct th_str value)
{
    lead(out, key);
    add_string(out->buf, value);
}

void th_json_put_text(struct th_json_out *out, const char *key, const char *value)
{
    th_json_put_str(out, key, th_str(value));
}

void th_json_put_int(struct th_json_out *out, const char *key, int64_t value)
{
    lead(out, key);
    th_buf_printf(out->buf, "%" PRId64, value);
}

void th_json_put_bool(struct th_json_out *out, const char *key, bool value)
{
    th_json_put_raw(out, key, value ? TH_STR("true") : TH_STR("false"));
}

void th_json_put_null(struct th_json_out *out, const char *key)
{
    th_json_put_raw(out, key, TH_STR("null"));
}

void th_json_put_id(struct th_json_out *out, const char *key, struct th_id id)
{
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(id, text);
    th_json_put_text(out, key, text);
}

void th_json_put_time(struct th_json_out *out, const char *key, int64_t us)
{
    char text[TH_DATE_TEXT_LEN + 1];

    th_date_text(us, text);
    th_json_put_text(out, key, text);
}

void th_json_put_money(struct th_json_out *out, const char *key, const struct th_money *money)
{
    char amount[TH_MONEY_TEXT_MAX];

    th_money_text(money->micros, amount);
    th_json_begin(out, key);
    th_json_put_text(out, "amount", amount);
    th_json_put_text(out, "currency", money->currency);
    th_json_end(out);
}

void th_json_put_raw(struct th_json_out *out, const char *key, struct th_str json)
{
    lead(out, key);
    th_buf_add(out->buf, json);
}
