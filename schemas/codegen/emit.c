#include "schemas/codegen/emit.h"

#include <string.h>

#define LINE_MAX_LEN 96

void emit_prologue(const char *header, const char *says, struct th_buf *out)
{
    PUT("/* Made by codegen: %s. Not to be edited. */\n", says);
    PUT("#include \"%s\"\n\n", header);
}

/* A comment cannot hold the end of a comment. */
static void put_word(const char *word, size_t n, struct th_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        th_buf_add_char(out, word[i]);
        if (i + 1 < n && (word[i] == '*' || word[i] == '/') &&
            (word[i + 1] == '/' || word[i + 1] == '*'))
            th_buf_add_char(out, ' ');
    }
}

void emit_comment(const char *indent, const char *text, struct th_buf *out)
{
    if (!text || !*text)
        return;
    PUT("%s/*", indent);
    size_t column = strlen(indent) + 2;

    while (*text) {
        size_t n = strcspn(text, " \n\t");
        if (n && column + 1 + n + 3 > LINE_MAX_LEN) {
            PUT("\n%s *", indent);
            column = strlen(indent) + 2;
        }
        if (n) {
            PUT(" ");
            put_word(text, n, out);
            column += n + 1;
        }
        text += n;
        text += strspn(text, " \n\t");
    }
    PUT(" */\n");
}

void emit_literal(const char *bytes, size_t n, struct th_buf *out)
{
    PUT("\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\')
            PUT("\\%c", c);
        else if (c >= 0x20 && c < 0x7f && c != '?') /* "??=" would be a trigraph */
            PUT("%c", c);
        else
            PUT("\\%03o", c);
    }
    PUT("\"");
}
