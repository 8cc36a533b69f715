#include "common/form.h"

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

/* Decode raw to *at, which has room for raw.n bytes, and move *at behind the result. */
static bool decode(struct th_str raw, char **at, struct th_str *out)
{
    char *start = *at;
    char *to = start;

    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            if (raw.n - i < 3)
                return false;
            int high = hex_digit(raw.p[i + 1]);
            int low = hex_digit(raw.p[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return false;
        *to++ = c;
    }
    *at = to;
    *out = (struct th_str){start, (size_t)(to - start)};
    return th_str_is_utf8(*out);
}

static size_t count_pieces(struct th_str body)
{
    size_t n = 0;
    bool is_inside = false;

    for (size_t i = 0; i < body.n; i++) {
        if (body.p[i] == '&') {
            is_inside = false;
        } else if (!is_inside) {
            is_inside = true;
            n++;
        }
    }
    return n;
}

enum th_code form_parse(struct th_str body, struct th_arena *arena, struct form *out_form)
{
    size_t n_max = count_pieces(body);

    if (body.n > FORM_SIZE_MAX || n_max > FORM_PAIRS_MAX)
        return TH_FULL;
    struct form_pair *pairs = th_arena_array(arena, n_max + 1, sizeof *pairs);
    char *at = th_arena_alloc(arena, body.n + 1);
    if (!pairs || !at)
        return TH_NOMEM;

    size_t n = 0;
    while (body.n) {
        struct th_str piece;
        struct th_str name;
        struct th_str value;
        (void)th_str_cut(body, '&', &piece, &body);
        if (piece.n == 0)
            continue;
        (void)th_str_cut(piece, '=', &name, &value);
        if (!decode(name, &at, &pairs[n].name) || !decode(value, &at, &pairs[n].value))
            return TH_MALFORMED;
        n++;
    }
    *out_form = (struct form){pairs, n};
    return TH_OK;
}

bool form_get(const struct form *form, const char *name, struct th_str *out_value)
{
    struct th_str wanted = th_str(name);

    for (size_t i = 0; i < form->n; i++) {
        if (th_str_eq(form->pairs[i].name, wanted)) {
            *out_value = form->pairs[i].value;
            return true;
        }
    }
    *out_value = (struct th_str){NULL, 0};
    return false;
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What may stand as it is, besides letters and digits. */
#define PLAIN_IN_FORMS "*-._"
#define PLAIN_IN_URLS  "-._~"

static bool is_plain(char c, const char *plain)
{
    return is_alphanumeric(c) || (c != '\0' && strchr(plain, c));
}

static size_t escaped_size(struct th_str s, const char *plain, bool has_plus)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += is_plain(s.p[i], plain) || (has_plus && s.p[i] == ' ') ? 1 : 3;
    return n;
}

static char *escape(struct th_str s, const char *plain, bool has_plus, char *to)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_plain((char)c, plain)) {
            *to++ = (char)c;
        } else if (has_plus && c == ' ') {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    return to;
}

enum th_code form_encode(const struct form_pair *pairs, size_t n, struct th_arena *arena,
                         struct th_str *out_body)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += escaped_size(pairs[i].name, PLAIN_IN_FORMS, true) +
                escaped_size(pairs[i].value, PLAIN_IN_FORMS, true) + 2;
    char *text = th_arena_alloc(arena, size + 1);
    if (!text)
        return TH_NOMEM;

    char *to = text;
    for (size_t i = 0; i < n; i++) {
        if (i)
            *to++ = '&';
        to = escape(pairs[i].name, PLAIN_IN_FORMS, true, to);
        *to++ = '=';
        to = escape(pairs[i].value, PLAIN_IN_FORMS, true, to);
    }
    *out_body = (struct th_str){text, (size_t)(to - text)};
    return TH_OK;
}

enum th_code form_escape_url(struct th_str s, struct th_arena *arena, struct th_str *out_text)
{
    size_t size = escaped_size(s, PLAIN_IN_URLS, false);
    char *text = th_arena_alloc(arena, size + 1);

    if (!text)
        return TH_NOMEM;
    (void)escape(s, PLAIN_IN_URLS, false, text);
    *out_text = (struct th_str){text, size};
    return TH_OK;
}
