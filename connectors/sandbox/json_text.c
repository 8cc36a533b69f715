#include "connectors/sandbox/json_text.h"

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

static void add_escape(struct th_buf *out, char c)
{
    if (c == '"' || c == '\\') {
        th_buf_add_char(out, '\\');
        th_buf_add_char(out, c);
    } else if (c == '\n') {
        th_buf_add(out, TH_STR("\\n"));
    } else {
        th_buf_printf(out, "\\u%04x", (unsigned char)c);
    }
}

void json_text_add(struct th_buf *out, struct th_str text)
{
    size_t from = 0;

    th_buf_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (is_plain(text.p[i]))
            continue;
        th_buf_add(out, (struct th_str){text.p + from, i - from});
        add_escape(out, text.p[i]);
        from = i + 1;
    }
    if (text.n > from)
        th_buf_add(out, (struct th_str){text.p + from, text.n - from});
    th_buf_add_char(out, '"');
}

void json_text_or_null_add(struct th_buf *out, struct th_str text)
{
    if (text.p)
        json_text_add(out, text);
    else
        th_buf_add(out, TH_STR("null"));
}
