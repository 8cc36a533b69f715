#include "common/template.h"

#include <string.h>

static enum th_code fail_unknown(struct th_str name, const struct th_var *vars, size_t count,
                                 struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf known = {0};

    if (count == 0)
        return th_fail(err, TH_INVALID, "{%.*s} is not known; there are no variables",
                       TH_ARG(name));
    for (size_t i = 0; i < count; i++)
        th_buf_printf(&known, "%s{%.*s}", i ? ", " : "", TH_ARG(vars[i].name));
    return th_fail(err, TH_INVALID, "{%.*s} is not known; known are %.*s", TH_ARG(name),
                   TH_ARG(th_buf_str(&known)));
}

static void add(struct th_buf *out, struct th_str bytes)
{
    if (out)
        th_buf_add(out, bytes);
}

/* rest begins behind a "{" that is not doubled; it is then behind the "}". */
static enum th_code add_variable(struct th_str *rest, const struct th_var *vars, size_t count,
                                 struct th_buf *out, struct th_err *err)
{
    struct th_str name;

    if (!th_str_cut(*rest, '}', &name, rest) || (name.n && memchr(name.p, '{', name.n)))
        return th_fail(err, TH_INVALID, "a { without its }; a brace itself is written {{");
    name = th_str_trim(name);
    for (size_t i = 0; i < count; i++)
        if (th_str_eq(vars[i].name, name)) {
            add(out, vars[i].value);
            return TH_OK;
        }
    return fail_unknown(name, vars, count, err);
}

/* Bytes before the next character that means something. */
static size_t plain_prefix(struct th_str text)
{
    size_t n = 0;

    while (n < text.n && text.p[n] != '{' && text.p[n] != '}' && text.p[n] != '\r')
        n++;
    return n;
}

enum th_code th_template_render(struct th_str text, const struct th_var *vars, size_t count,
                                struct th_buf *out, struct th_err *err)
{
    while (text.n) {
        size_t n = plain_prefix(text);

        add(out, (struct th_str){text.p, n});
        text = (struct th_str){text.p + n, text.n - n};
        if (text.n == 0)
            break;
        char c = text.p[0];
        char next = text.n > 1 ? text.p[1] : '\0';
        text = (struct th_str){text.p + 1, text.n - 1};
        if (c == '\r') {
            if (next != '\n')
                add(out, TH_STR("\r"));
        } else if (next == c) {
            add(out, (struct th_str){text.p, 1});
            text = (struct th_str){text.p + 1, text.n - 1};
        } else if (c == '}')
            return th_fail(err, TH_INVALID, "a } without its {; a brace itself is written }}");
        else
            TH_TRY(add_variable(&text, vars, count, out, err));
    }
    return out ? th_buf_status(out) : TH_OK;
}
