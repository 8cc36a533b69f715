#include "common/csv_out.h"

#include <inttypes.h>
#include <string.h>

static bool is_number(struct th_str field)
{
    if (field.n < 8 || field.n > 16 || field.p[0] != '+')
        return false;
    for (size_t i = 1; i < field.n; i++)
        if (field.p[i] < '0' || field.p[i] > '9')
            return false;
    return true;
}

static bool is_formula(struct th_str field)
{
    static const char beginnings[] = {'=', '+', '-', '@', '\t', '\r'};

    return field.n && memchr(beginnings, field.p[0], sizeof beginnings) && !is_number(field);
}

static bool needs_quotes(struct th_str field)
{
    static const char special[] = {'"', ',', '\r', '\n'};

    for (size_t i = 0; i < field.n; i++)
        if (memchr(special, field.p[i], sizeof special))
            return true;
    return false;
}

static void lead(struct th_csv_out *out)
{
    if (out->needs_comma)
        th_buf_add_char(out->buf, ',');
    out->needs_comma = true;
}

void th_csv_put(struct th_csv_out *out, struct th_str field)
{
    bool is_quoted = needs_quotes(field);
    const char *apostrophe = is_formula(field) ? "'" : "";

    lead(out);
    th_buf_printf(out->buf, "%s%s", is_quoted ? "\"" : "", apostrophe);
    if (!is_quoted) {
        th_buf_add(out->buf, field);
        return;
    }
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] == '"')
            th_buf_add_char(out->buf, '"');
        th_buf_add_char(out->buf, field.p[i]);
    }
    th_buf_add_char(out->buf, '"');
}

void th_csv_put_text(struct th_csv_out *out, const char *field)
{
    th_csv_put(out, th_str(field));
}

void th_csv_put_int(struct th_csv_out *out, int64_t value)
{
    lead(out);
    th_buf_printf(out->buf, "%" PRId64, value);
}

void th_csv_end_row(struct th_csv_out *out)
{
    th_buf_add(out->buf, TH_STR("\r\n"));
    out->needs_comma = false;
}
