#include "connectors/sandbox/segments.h"

#include "common/err.h"

/* What GSM 03.38's basic table has beyond the ASCII that it shares; "@", "$" and "_" are ASCII but
 * not "`", "^", "{", "}", "\\", "[", "~", "]", "|". */
static const uint16_t gsm_basic[] = {
    0x00a3, 0x00a5, 0x00e8, 0x00e9, 0x00f9, 0x00ec, 0x00f2, 0x00c7, 0x00d8, 0x00f8,
    0x00c5, 0x00e5, 0x0394, 0x03a6, 0x0393, 0x039b, 0x03a9, 0x03a0, 0x03a8, 0x03a3,
    0x0398, 0x039e, 0x00c6, 0x00e6, 0x00df, 0x00c9, 0x00a4, 0x00a1, 0x00c4, 0x00d6,
    0x00d1, 0x00dc, 0x00a7, 0x00bf, 0x00e4, 0x00f6, 0x00f1, 0x00fc, 0x00e0,
};

/* Septets that c takes: 1, 2 (escape and extension), or 0 if GSM 03.38 does not have it. */
static uint32_t gsm_units(uint32_t c)
{
    switch (c) {
    case '\f':
    case '^':
    case '{':
    case '}':
    case '\\':
    case '[':
    case '~':
    case ']':
    case '|':
    case 0x20ac:
        return 2;
    case '`':
        return 0;
    case '\n':
    case '\r':
        return 1;
    default:
        break;
    }
    if (c >= ' ' && c <= '~')
        return 1;
    for (size_t i = 0; i < TH_LEN(gsm_basic); i++)
        if (gsm_basic[i] == c)
            return 1;
    return 0;
}

static uint32_t ucs2_units(uint32_t c)
{
    return c > 0xffff ? 2 : 1;
}

/* The code point at *at, which moves behind it. */
static uint32_t next_character(struct th_str text, size_t *at)
{
    unsigned char lead = (unsigned char)text.p[(*at)++];
    uint32_t more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t c = more == 0 ? lead : lead & (0x3fU >> more);

    for (; more && *at < text.n; more--)
        c = c << 6 | ((unsigned char)text.p[(*at)++] & 0x3fU);
    return c;
}

/* Parts of room units each, filled in order, a character never split. */
static uint32_t parts_of(struct th_str text, bool is_gsm7, uint32_t room)
{
    uint32_t parts = 0;
    uint32_t left = 0;

    for (size_t at = 0; at < text.n;) {
        uint32_t c = next_character(text, &at);
        uint32_t units = is_gsm7 ? gsm_units(c) : ucs2_units(c);
        if (units > left) {
            parts++;
            left = room;
        }
        left -= units;
    }
    return parts;
}

struct segments segments_count(struct th_str text)
{
    struct segments count = {.is_gsm7 = true};

    for (size_t at = 0; at < text.n; count.characters++)
        if (gsm_units(next_character(text, &at)) == 0)
            count.is_gsm7 = false;

    count.parts = parts_of(text, count.is_gsm7, count.is_gsm7 ? 160 : 70);
    if (count.parts > 1)
        count.parts = parts_of(text, count.is_gsm7, count.is_gsm7 ? 153 : 67);
    return count;
}
