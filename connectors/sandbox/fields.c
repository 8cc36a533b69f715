#include "connectors/sandbox/fields.h"

#include <assert.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the two digits at p stand for; -1 if they are not two digits. */
static int escaped_byte(const char *p, size_t n)
{
    int high = n > 1 ? hex_digit(p[0]) : -1;
    int low = n > 1 ? hex_digit(p[1]) : -1;

    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Writes at most raw.n bytes. */
static bool decode(struct th_str raw, char *to, size_t *out_n)
{
    size_t n = 0;

    for (size_t i = 0; i < raw.n; i++) {
        int c = (unsigned char)raw.p[i];

        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            c = escaped_byte(raw.p + i + 1, raw.n - i - 1);
            if (c < 0)
                return false;
            i += 2;
        }
        if (c == 0)
            return false;
        to[n++] = (char)c;
    }
    *out_n = n;
    return th_str_is_utf8((struct th_str){to, n});
}

static enum th_code parse_field(struct th_str raw, struct th_arena *arena, struct fields *fields,
                                struct th_err *err)
{
    struct th_str name;
    struct th_str value;

    if (fields->n == FIELDS_MAX)
        return th_fail(err, TH_FULL, "more than %d form fields", FIELDS_MAX);
    (void)th_str_cut(raw, '=', &name, &value);

    char *bytes = th_arena_alloc(arena, raw.n + 1);
    if (!bytes)
        return th_fail(err, TH_NOMEM, "form");

    struct field *field = &fields->at[fields->n];
    field->name.p = bytes;
    field->value.p = bytes + name.n;
    if (!decode(name, bytes, &field->name.n) || !decode(value, bytes + name.n, &field->value.n))
        return th_fail(err, TH_MALFORMED, "form field %zu is not percent-encoded UTF-8",
                       fields->n + 1);
    fields->n++;
    return TH_OK;
}

enum th_code fields_parse(struct th_str body, struct th_arena *arena, struct fields *out_fields,
                          struct th_err *err)
{
    out_fields->n = 0;
    while (body.n) {
        struct th_str raw;

        (void)th_str_cut(body, '&', &raw, &body);
        if (raw.n)
            TH_TRY(parse_field(raw, arena, out_fields, err));
    }
    return TH_OK;
}

struct th_str fields_get(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->n; i++)
        if (th_str_eq(fields->at[i].name, th_str(name)))
            return fields->at[i].value;
    return (struct th_str){NULL, 0};
}

static bool is_unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '*';
}

void fields_add(struct fields *fields, const char *name, struct th_str value)
{
    assert(fields->n < FIELDS_MAX);
    fields->at[fields->n++] = (struct field){th_str(name), value};
}

static void print_escaped(struct th_buf *out, struct th_str text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = th_buf_reserve(out, 3 * text.n);
    size_t n = 0;

    if (!to)
        return;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_unreserved(c)) {
            to[n++] = (char)c;
        } else if (c == ' ') {
            to[n++] = '+';
        } else {
            to[n++] = '%';
            to[n++] = digits[c >> 4];
            to[n++] = digits[c & 15];
        }
    }
    out->n += n;
}

void fields_print(struct th_buf *out, struct th_str name, struct th_str value)
{
    if (out->n)
        th_buf_add_char(out, '&');
    print_escaped(out, name);
    th_buf_add_char(out, '=');
    print_escaped(out, value);
}
