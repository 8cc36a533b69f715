#include "common/str.h"

#include <endian.h>
#include <string.h>

struct th_str th_str(const char *text)
{
    return (struct th_str){text, text ? strlen(text) : 0};
}

bool th_str_eq(struct th_str a, struct th_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int th_str_cmp(struct th_str a, struct th_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

bool th_str_starts(struct th_str s, struct th_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct th_str th_str_trim(struct th_str s)
{
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

bool th_str_cut(struct th_str s, char separator, struct th_str *head, struct th_str *tail)
{
    const char *at = s.n ? memchr(s.p, separator, s.n) : NULL;

    if (!at) {
        *head = s;
        *tail = (struct th_str){NULL, 0};
        return false;
    }
    size_t before = (size_t)(at - s.p);
    *head = (struct th_str){s.p, before};
    *tail = (struct th_str){at + 1, s.n - before - 1};
    return true;
}

bool th_str_int(struct th_str s, int64_t min, int64_t max, int64_t *out)
{
    bool is_negative = s.n && s.p[0] == '-';
    size_t i = is_negative ? 1 : 0;
    int64_t value = 0;

    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        int digit = s.p[i] - '0';
        if (digit < 0 || digit > 9)
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* negative: INT64_MIN fits */
            return false;
    }
    if (!is_negative && __builtin_sub_overflow(0, value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

/* Length of the sequence that lead begins, 0 if none may; *low and *high bound its second byte
 * (RFC 3629, section 4). */
static size_t utf8_sequence(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        *low = lead == 0xe0 ? 0xa0 : 0x80;
        *high = lead == 0xed ? 0x9f : 0xbf;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *low = lead == 0xf0 ? 0x90 : 0x80;
        *high = lead == 0xf4 ? 0x8f : 0xbf;
        return 4;
    }
    return 0;
}

size_t th_str_char_size(struct th_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char low;
    unsigned char high;
    size_t n = s.n ? utf8_sequence(p[0], &low, &high) : 0;

    if (n > s.n)
        return 0;
    for (size_t k = 1; k < n; k++) {
        if (p[k] < low || p[k] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

/* The same bytes everywhere: the first is the lowest. */
static uint64_t load64(const unsigned char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Characters from U+0800 to U+0FFF, where the Indian scripts are, one and two of them: e0, a0 to
 * bf, 80 to bf. */
#define INDIAN_MASK_1 UINT64_C(0xc0e0ff)
#define INDIAN_1      UINT64_C(0x80a0e0)
#define INDIAN_MASK_2 UINT64_C(0xc0e0ffc0e0ff)
#define INDIAN_2      UINT64_C(0x80a0e080a0e0)

/* How many of the 8 bytes at p are surely whole characters; 0 says nothing. */
static size_t utf8_leap(const unsigned char *p)
{
    uint64_t word = load64(p);
    uint64_t high = word & HIGH_BITS;

    if (!high)
        return 8;
    if (!(word & 0x80))
        return (size_t)__builtin_ctzll(high) / 8; /* ASCII up to the first high bit */
    if ((word & INDIAN_MASK_2) == INDIAN_2)
        return 6;
    return (word & INDIAN_MASK_1) == INDIAN_1 ? 3 : 0;
}

static bool is_ascii32(const unsigned char *p)
{
    return ((load64(p) | load64(p + 8) | load64(p + 16) | load64(p + 24)) & HIGH_BITS) == 0;
}

/* Fewer than 8 bytes, at least one: are all of them ASCII? */
static bool is_short_ascii(const unsigned char *p, size_t n)
{
    uint32_t first;
    uint32_t last;

    if (n < 4) /* first, middle and last are all there are */
        return ((p[0] | p[n / 2] | p[n - 1]) & 0x80) == 0;
    memcpy(&first, p, sizeof first);
    memcpy(&last, p + n - 4, sizeof last);
    return ((first | last) & (uint32_t)HIGH_BITS) == 0;
}

bool th_str_is_utf8(struct th_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;

    while (s.n - i >= 32 && is_ascii32(p + i))
        i += 32;
    while (i < s.n) {
        size_t left = s.n - i;
        size_t step = left >= 8 ? utf8_leap(p + i) : 0;
        if (left < 8 && is_short_ascii(p + i, left))
            return true;
        if (step == 0)
            step = th_str_char_size((struct th_str){s.p + i, left});
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

uint32_t th_str_take_char(struct th_str *s)
{
    size_t n = th_str_char_size(*s);
    const unsigned char *p = (const unsigned char *)s->p;
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n); /* n > 1: behind n ones and a zero */

    for (size_t k = 1; k < n; k++)
        code = code << 6 | (p[k] & 0x3f);
    s->p += n ? n : 1;
    s->n -= n ? n : 1;
    return n ? code : 0xfffd;
}

size_t th_str_chars(struct th_str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.n; i++)
        count += ((unsigned char)s.p[i] & 0xc0) != 0x80; /* not a continuation */
    return count;
}

bool th_str_eq_secret(struct th_str a, struct th_str b)
{
    if (a.n != b.n)
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < a.n; i++)
        difference |= (unsigned char)(a.p[i] ^ b.p[i]);
    /* The compiler must not turn the loop into an early exit. */
    __asm__ volatile("" : "+r"(difference));
    return difference == 0;
}
