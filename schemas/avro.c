#include "schemas/avro.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define VARINT_LEN_MAX 10
#define LIST_CAP_MIN   16

/* ---- the frame ---- */

enum th_code avro_read_frame(struct th_str value, struct avro_frame *out, struct th_err *err)
{
    const uint8_t *p = (const uint8_t *)value.p;

    if (value.n < AVRO_FRAME_LEN)
        return th_fail(err, TH_MALFORMED, "%zu bytes are too short for a frame", value.n);
    if (p[0] != 0)
        return th_fail(err, TH_MALFORMED, "the frame begins with 0x%02x, not 0x00", p[0]);
    uint32_t id = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if ((id & 0xff) == 0)
        return th_fail(err, TH_MALFORMED, "schema id %" PRIu32 " has no version", id);
    *out = (struct avro_frame){
        .schema_id = id,
        .record = id >> 8,
        .version = id & 0xff,
        .body = {value.p + AVRO_FRAME_LEN, value.n - AVRO_FRAME_LEN},
    };
    return TH_OK;
}

void avro_write_frame(struct th_buf *buf, uint32_t schema_id)
{
    const char head[AVRO_FRAME_LEN] = {0, (char)(schema_id >> 24), (char)(schema_id >> 16),
                                       (char)(schema_id >> 8), (char)schema_id};

    th_buf_add(buf, (struct th_str){head, sizeof head});
}

enum th_code avro_fail_unknown(const struct avro_frame *frame, struct th_err *err)
{
    return th_fail(err, TH_UNSUPPORTED, "schema id %" PRIu32 " (record %" PRIu32 ") is not known",
                   frame->schema_id, frame->record);
}

/* ---- reading ---- */

/* Put more before the text that err holds; what does not fit falls off the end. */
static void prepend(struct th_err *err, const char *more)
{
    size_t n = strlen(more);
    size_t old = strlen(err->text);

    if (n > sizeof err->text - 1)
        n = sizeof err->text - 1;
    if (old > sizeof err->text - 1 - n)
        old = sizeof err->text - 1 - n;
    memmove(err->text + n, err->text, old);
    memcpy(err->text, more, n);
    err->text[n + old] = '\0';
}

bool avro_fail(struct avro_reader *r, enum th_code code, const char *fmt, ...)
{
    va_list args;

    r->code = code;
    if (!r->err)
        return false;
    va_start(args, fmt);
    (void)vsnprintf(r->err->text, sizeof r->err->text, fmt, args);
    va_end(args);
    r->err->code = code;
    prepend(r->err, ": ");
    return false;
}

bool avro_in(struct avro_reader *r, const char *field)
{
    if (r->err) {
        prepend(r->err, field);
        prepend(r->err, ".");
    }
    return false;
}

bool avro_in_item(struct avro_reader *r, size_t i)
{
    char text[32];

    (void)snprintf(text, sizeof text, "[%zu]", i);
    if (r->err)
        prepend(r->err, text);
    return false;
}

bool avro_read_end(struct avro_reader *r, bool is_newer)
{
    if (r->p == r->end || is_newer)
        return true;
    return avro_fail(r, TH_MALFORMED, "%zu bytes behind the end", (size_t)(r->end - r->p));
}

enum th_code avro_finish(struct avro_reader *r, const char *record)
{
    if (r->code != TH_OK && r->err)
        prepend(r->err, record);
    return r->code;
}

bool avro_read_long_varint(struct avro_reader *r, uint64_t *out)
{
    size_t left = (size_t)(r->end - r->p);
    size_t max = left < VARINT_LEN_MAX ? left : VARINT_LEN_MAX;
    uint64_t v = 0;

    for (size_t i = 0; i < max; i++) {
        uint8_t byte = r->p[i];
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80)
            continue;
        if (i == VARINT_LEN_MAX - 1 && byte > 1) /* the 64th bit is all that is left */
            break;
        r->p += i + 1;
        *out = v;
        return true;
    }
    if (max < VARINT_LEN_MAX)
        return avro_fail(r, TH_MALFORMED, "ends within a number");
    return avro_fail(r, TH_MALFORMED, "a number of more than 64 bits");
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

void avro_fail_int(struct avro_reader *r)
{
    (void)avro_fail(r, TH_MALFORMED, "a number of more than 32 bits");
}

void avro_fail_length(struct avro_reader *r, uint64_t zigzag)
{
    (void)avro_fail(r, TH_MALFORMED, "%" PRId64 " bytes are announced, %zu are left",
                    unzigzag(zigzag), (size_t)(r->end - r->p));
}

void avro_fail_text(struct avro_reader *r)
{
    (void)avro_fail(r, TH_MALFORMED, "not UTF-8");
}

void avro_fail_short(struct avro_reader *r, size_t need)
{
    (void)avro_fail(r, TH_MALFORMED, "%zu bytes are needed, %zu are left", need,
                    (size_t)(r->end - r->p));
}

void avro_fail_boolean(struct avro_reader *r)
{
    (void)avro_fail(r, TH_MALFORMED, "a boolean of 0x%02x", *r->p);
}

void avro_fail_index(struct avro_reader *r, const char *what, uint32_t n, uint64_t zigzag)
{
    (void)avro_fail(r, TH_MALFORMED, "%s %" PRId64 " of %" PRIu32, what, unzigzag(zigzag), n);
}

/* Grow at least to twice, so that many small blocks cost no more than one large. */
static bool make_room(struct avro_reader *r, struct avro_list *list, size_t n)
{
    if (n <= list->cap)
        return true;
    size_t cap = list->cap * 2 > n ? list->cap * 2 : n;
    if (list->cap == 0 && cap < LIST_CAP_MIN && list->n > 0)
        cap = LIST_CAP_MIN;
    void *at = th_arena_array(r->arena, cap, list->item_size);
    if (!at)
        return avro_fail(r, TH_NOMEM, "no memory for %zu items", n);
    if (list->n)
        memcpy(at, list->at, list->n * list->item_size);
    list->at = at;
    list->cap = cap;
    return true;
}

bool avro_read_block(struct avro_reader *r, struct avro_list *list)
{
    int64_t count = 0;
    int64_t size = 0;

    if (r->code != TH_OK || !avro_read_long(r, &count) || count == 0)
        return false;
    /* A negative count is followed by the block's size, for those that skip. */
    if (count < 0 && !avro_read_long(r, &size))
        return false;
    size_t left = (size_t)(r->end - r->p);
    if (size < 0 || (uint64_t)size > left)
        return avro_fail(r, TH_MALFORMED, "a block of %" PRId64 " bytes, %zu are left", size, left);
    uint64_t n = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (n > AVRO_ELEMENTS_MAX - r->elements)
        return avro_fail(r, TH_MALFORMED, "%" PRIu64 " items, %" PRIu32 " more are allowed", n,
                         AVRO_ELEMENTS_MAX - r->elements);
    if (n * list->wire_min > left)
        return avro_fail(r, TH_MALFORMED, "%" PRIu64 " items are announced, %zu bytes are left", n,
                         left);
    if (!make_room(r, list, list->n + n))
        return false;
    r->elements += (uint32_t)n;
    list->n += n;
    return true;
}

/* ---- writing ---- */

enum th_code avro_begin(struct th_buf *buf, const struct avro_size *size, uint8_t **out_p)
{
    if (size->is_invalid || size->elements > AVRO_ELEMENTS_MAX)
        return TH_INVALID;
    *out_p = (uint8_t *)th_buf_reserve(buf, size->bytes);
    return *out_p ? TH_OK : TH_NOMEM;
}

/* ---- copies ---- */

enum th_code avro_own(struct th_arena *arena, struct th_str *s)
{
    return th_arena_copy(arena, *s, s);
}

void *avro_own_items(struct th_arena *arena, const void *items, size_t n, size_t size)
{
    void *copy = n ? th_arena_array(arena, n, size) : NULL;

    if (copy)
        memcpy(copy, items, n * size);
    return copy;
}

/* ---- JSON ---- */

void avro_json_null(struct th_buf *buf, struct avro_null v)
{
    (void)v;
    th_buf_add(buf, TH_STR("null"));
}

void avro_json_boolean(struct th_buf *buf, bool v)
{
    th_buf_add(buf, v ? TH_STR("true") : TH_STR("false"));
}

void avro_json_long(struct th_buf *buf, int64_t v)
{
    th_buf_printf(buf, "%" PRId64, v);
}

/* True if that was all there is to say. */
static bool say_special(struct th_buf *buf, double v)
{
    if (isfinite(v))
        return false;
    avro_json_symbol(buf, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
    return true;
}

void avro_json_float(struct th_buf *buf, float v)
{
    char text[64];

    if (say_special(buf, (double)v))
        return;
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v)
            break;
    }
    th_buf_add(buf, th_str(text));
}

void avro_json_double(struct th_buf *buf, double v)
{
    char text[64];

    if (say_special(buf, v))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    th_buf_add(buf, th_str(text));
}

static void escape(struct th_buf *buf, char c)
{
    switch (c) {
    case '"':
    case '\\':
        th_buf_add_char(buf, '\\');
        th_buf_add_char(buf, c);
        return;
    case '\n':
        th_buf_add(buf, TH_STR("\\n"));
        return;
    case '\r':
        th_buf_add(buf, TH_STR("\\r"));
        return;
    case '\t':
        th_buf_add(buf, TH_STR("\\t"));
        return;
    default:
        th_buf_printf(buf, "\\u%04x", (unsigned char)c);
    }
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

void avro_json_string(struct th_buf *buf, struct th_str s)
{
    size_t from = 0;

    th_buf_add_char(buf, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (is_plain(s.p[i]))
            continue;
        th_buf_add(buf, (struct th_str){s.p + from, i - from});
        escape(buf, s.p[i]);
        from = i + 1;
    }
    if (from < s.n)
        th_buf_add(buf, (struct th_str){s.p + from, s.n - from});
    th_buf_add_char(buf, '"');
}

void avro_json_bytes(struct th_buf *buf, struct th_str s)
{
    avro_json_fixed(buf, (const uint8_t *)s.p, s.n);
}

void avro_json_fixed(struct th_buf *buf, const uint8_t *b, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    th_buf_add_char(buf, '"');
    for (size_t i = 0; i < n; i++) {
        th_buf_add_char(buf, digits[b[i] >> 4]);
        th_buf_add_char(buf, digits[b[i] & 15]);
    }
    th_buf_add_char(buf, '"');
}

void avro_json_id(struct th_buf *buf, struct th_id id)
{
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(id, text);
    avro_json_symbol(buf, text);
}

void avro_json_symbol(struct th_buf *buf, const char *name)
{
    th_buf_add_char(buf, '"');
    th_buf_add(buf, th_str(name));
    th_buf_add_char(buf, '"');
}

/* ---- names ---- */

const char *avro_name(const char *const *names, size_t n, size_t i)
{
    return i < n ? names[i] : "?";
}

bool avro_parse(const char *const *names, size_t n, struct th_str text, size_t *out_i)
{
    for (size_t i = 0; i < n; i++)
        if (th_str_eq(th_str(names[i]), text)) {
            *out_i = i;
            return true;
        }
    return false;
}
