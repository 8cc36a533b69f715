#include "common/json_scan.h"

#include <assert.h>
#include <string.h>

/* A place in the text; p is NULL once something was wrong. */
struct place {
    const char *p;
    const char *end;
    bool is_too_deep;
};

static void fail(struct place *at)
{
    at->p = NULL;
}

static void skip_space(struct place *at)
{
    while (at->p && at->p < at->end &&
           (*at->p == ' ' || *at->p == '\n' || *at->p == '\r' || *at->p == '\t'))
        at->p++;
}

/* The next character behind space; 0 at the end. */
static char peek(struct place *at)
{
    skip_space(at);
    return at->p && at->p < at->end ? *at->p : '\0';
}

static void expect(struct place *at, char c)
{
    if (peek(at) == c)
        at->p++;
    else
        fail(at);
}

/* --- scalars ------------------------------------------------------------------------------------
 */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind "\u"; -1 when no four digits follow. */
static int32_t unit_of(const char *p, const char *end)
{
    int32_t unit = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_of(p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* p stands behind a backslash; NULL when no escape follows. */
static const char *skip_escape(const char *p, const char *end)
{
    if (p == end)
        return NULL;
    if (*p == 'u')
        return unit_of(p + 1, end) < 0 ? NULL : p + 5;
    return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
}

static void skip_string(struct place *at)
{
    expect(at, '"');
    const char *p = at->p;
    while (p && p < at->end && *p != '"') {
        if (*p == '\\')
            p = skip_escape(p + 1, at->end);
        else
            p = (unsigned char)*p < ' ' ? NULL : p + 1;
    }
    at->p = p && p < at->end ? p + 1 : NULL;
}

static const char *skip_digits(const char *p, const char *end)
{
    const char *first = p;

    while (p && p < end && *p >= '0' && *p <= '9')
        p++;
    return p == first ? NULL : p;
}

static void skip_number(struct place *at)
{
    const char *p = at->p + (*at->p == '-');
    bool has_zero = p < at->end && *p == '0';

    p = has_zero ? p + 1 : skip_digits(p, at->end);
    if (p && p < at->end && *p == '.')
        p = skip_digits(p + 1, at->end);
    if (p && p < at->end && (*p | 0x20) == 'e') {
        p++;
        p += p < at->end && (*p == '+' || *p == '-');
        p = skip_digits(p, at->end);
    }
    at->p = p;
}

static void skip_word(struct place *at, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(at->end - at->p) >= n && memcmp(at->p, word, n) == 0)
        at->p += n;
    else
        fail(at);
}

static void skip_scalar(struct place *at)
{
    switch (peek(at)) {
    case '"':
        skip_string(at);
        break;
    case 't':
        skip_word(at, "true");
        break;
    case 'f':
        skip_word(at, "false");
        break;
    case 'n':
        skip_word(at, "null");
        break;
    case '\0':
        fail(at);
        break;
    default:
        skip_number(at);
        break;
    }
}

/* --- values of any depth ------------------------------------------------------------------------
 */

struct nest {
    int depth;
    uint64_t objects; /* the lowest bit is the innermost: an object, or an array */
};

static_assert(TH_JSON_SCAN_DEPTH_MAX <= 64, "a bit each");

static void skip_key(struct place *at)
{
    skip_string(at);
    expect(at, ':');
}

/* At a bracket that opens: to the first value behind it. True: there is none. */
static bool open_nest(struct place *at, struct nest *nest)
{
    bool is_object = *at->p == '{';

    at->p++;
    if (++nest->depth > TH_JSON_SCAN_DEPTH_MAX) {
        at->is_too_deep = true;
        fail(at);
        return false;
    }
    nest->objects = nest->objects << 1 | is_object;
    if (peek(at) == (is_object ? '}' : ']'))
        return true;
    if (is_object)
        skip_key(at);
    return false;
}

/* Behind a value: past the brackets that close, to the next value. */
static void close_nests(struct place *at, struct nest *nest)
{
    while (at->p && nest->depth > 0) {
        bool is_object = nest->objects & 1;
        char c = peek(at);

        if (c == ',') {
            at->p++;
            if (is_object)
                skip_key(at);
            return;
        }
        expect(at, is_object ? '}' : ']');
        nest->depth--;
        nest->objects >>= 1;
    }
}

static void skip_value(struct place *at)
{
    struct nest nest = {0, 0};

    do {
        char c = peek(at);
        bool is_whole = true;

        if (c == '{' || c == '[')
            is_whole = open_nest(at, &nest);
        else
            skip_scalar(at);
        if (is_whole)
            close_nests(at, &nest);
    } while (at->p && nest.depth > 0);
}

/* --- objects ------------------------------------------------------------------------------------
 */

static bool note_member(struct th_json_member *members, size_t n, struct th_str name,
                        struct th_str raw)
{
    for (size_t i = 0; i < n; i++) {
        if (!th_str_eq(name, th_str(members[i].name)))
            continue;
        if (members[i].raw.n)
            return false;
        members[i].raw = raw;
    }
    return true;
}

static void scan_member(struct place *at, struct th_json_member *members, size_t n)
{
    (void)peek(at);
    const char *key = at->p;
    skip_string(at);
    const char *key_end = at->p;
    expect(at, ':');
    (void)peek(at);
    const char *value = at->p;
    skip_value(at);
    if (!at->p)
        return;
    if (!note_member(members, n, (struct th_str){key + 1, (size_t)(key_end - key) - 2},
                     (struct th_str){value, (size_t)(at->p - value)}))
        fail(at);
}

enum th_code th_json_scan(struct th_str text, struct th_json_member *members, size_t n)
{
    struct place at = {.p = text.p};

    for (size_t i = 0; i < n; i++)
        members[i].raw = (struct th_str){NULL, 0};
    if (!text.n || !th_str_is_utf8(text))
        return TH_MALFORMED;
    at.end = text.p + text.n;
    expect(&at, '{');
    if (peek(&at) != '}')
        do
            scan_member(&at, members, n);
        while (peek(&at) == ',' && at.p++);
    expect(&at, '}');
    skip_space(&at);
    if (at.p == at.end)
        return TH_OK;
    for (size_t i = 0; i < n; i++)
        members[i].raw = (struct th_str){NULL, 0};
    return at.is_too_deep ? TH_FULL : TH_MALFORMED;
}

bool th_json_scan_item(struct th_str raw, size_t *at, struct th_str *out_item)
{
    if (raw.n < 2 || raw.p[0] != '[')
        return false;
    struct place place = {.p = raw.p + *at, .end = raw.p + raw.n};
    if (*at == 0 || peek(&place) == ',')
        place.p++;
    if (peek(&place) == ']')
        return false;
    const char *first = place.p;
    skip_value(&place);
    if (!place.p)
        return false;
    *out_item = (struct th_str){first, (size_t)(place.p - first)};
    *at = (size_t)(place.p - raw.p);
    return true;
}

/* --- what a raw value says ----------------------------------------------------------------------
 */

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* *p stands behind "\u"; 0 when it names no character that a text may hold. */
static uint32_t take_unit(const char **p, const char *end)
{
    int32_t unit = unit_of(*p, end);

    if (unit < 0 || (unit >= 0xdc00 && unit < 0xe000))
        return 0;
    *p += 4;
    if (unit < 0xd800 || unit >= 0xe000)
        return (uint32_t)unit;
    int32_t low = end - *p > 2 && (*p)[0] == '\\' && (*p)[1] == 'u' ? unit_of(*p + 2, end) : -1;
    if (low < 0xdc00 || low >= 0xe000)
        return 0;
    *p += 6;
    return 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

static uint32_t take_escape(const char **p, const char *end)
{
    static const char letters[] = "bfnrt";
    static const char meanings[] = "\b\f\n\r\t";
    char c = *(*p)++;
    const char *letter = c ? strchr(letters, c) : NULL;

    if (c == 'u')
        return take_unit(p, end);
    return (uint32_t)(letter ? meanings[letter - letters] : c);
}

/* No escape is shorter than what it stands for. */
static bool decode(struct th_str s, char *out, size_t *out_n)
{
    const char *end = s.p + s.n;

    *out_n = 0;
    for (const char *p = s.p; p < end;) {
        if (*p != '\\') {
            out[(*out_n)++] = *p++;
            continue;
        }
        p++;
        uint32_t c = p < end ? take_escape(&p, end) : 0;
        if (c == 0)
            return false;
        *out_n += put_utf8(c, out + *out_n);
    }
    return true;
}

enum th_code th_json_scan_str(struct th_str raw, struct th_arena *arena, struct th_str *out_text)
{
    size_t n;

    if (raw.n < 2 || raw.p[0] != '"')
        return TH_INVALID;
    struct th_str inside = {raw.p + 1, raw.n - 2};
    if (!inside.n || !memchr(inside.p, '\\', inside.n)) {
        *out_text = inside;
        return TH_OK;
    }
    char *text = th_arena_alloc(arena, inside.n);
    if (!text)
        return TH_NOMEM;
    if (!decode(inside, text, &n))
        return TH_INVALID;
    *out_text = (struct th_str){text, n};
    return TH_OK;
}

bool th_json_scan_int(struct th_str raw, int64_t min, int64_t max, int64_t *out)
{
    return raw.n > 0 && raw.p[0] != '+' && th_str_int(raw, min, max, out);
}
