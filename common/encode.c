#include "common/encode.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char base64[] = ALPHABET "+/";
static const char base64url[] = ALPHABET "-_";

void th_hex(struct th_str bytes, char *out_text)
{
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char byte = (unsigned char)bytes.p[i];
        *out_text++ = digits[byte >> 4];
        *out_text++ = digits[byte & 15];
    }
    *out_text = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool th_hex_parse(struct th_str text, size_t n, uint8_t *out_bytes)
{
    if (text.n / 2 != n || text.n % 2)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text.p[2 * i]);
        int low = hex_value(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void add(struct th_buf *out, struct th_str bytes, const char *alphabet, bool is_padded)
{
    const unsigned char *p = (const unsigned char *)bytes.p;

    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;

        if (n > 1)
            bits |= (uint32_t)p[i + 1] << 8;
        if (n > 2)
            bits |= p[i + 2];
        char four[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], '=', '='};
        if (n > 1)
            four[2] = alphabet[bits >> 6 & 63];
        if (n > 2)
            four[3] = alphabet[bits & 63];
        th_buf_add(out, (struct th_str){four, is_padded ? 4 : n + 1});
    }
}

void th_base64_add(struct th_buf *out, struct th_str bytes)
{
    add(out, bytes, base64, true);
}

void th_base64url_add(struct th_buf *out, struct th_str bytes)
{
    add(out, bytes, base64url, false);
}

/* text has no padding any more. */
static enum th_code parse(struct th_str text, const char *alphabet, struct th_buf *out)
{
    uint32_t bits = 0;
    unsigned held = 0; /* bits not yet written, < 8 between digits */
    char *room = th_buf_reserve(out, text.n / 4 * 3 + 3);
    size_t n = 0;

    if (!room)
        return TH_NOMEM;
    if (text.n % 4 == 1)
        return TH_MALFORMED;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;

        if (!at)
            return TH_MALFORMED;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            room[n++] = (char)(bits >> held);
        }
    }
    if (bits & ((1u << held) - 1)) /* else two texts would mean the same bytes */
        return TH_MALFORMED;
    out->n += n;
    return TH_OK;
}

enum th_code th_base64_parse(struct th_str text, struct th_buf *out)
{
    if (text.n % 4)
        return TH_MALFORMED;
    for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
        text.n--;
    return parse(text, base64, out);
}

enum th_code th_base64url_parse(struct th_str text, struct th_buf *out)
{
    return parse(text, base64url, out);
}
