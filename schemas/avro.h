/* avro.h - what generated code is made of: Avro binary, the frame, JSON for people.
 *
 * Reading trusts nothing: every length is held against what is left, every text is UTF-8, every
 * count is bounded. Writing trusts the walk that measured: avro_begin reserves what that walk found
 * and refuses what a reader would refuse, so the avro_write functions check nothing.
 */
#ifndef TELEHUB_SCHEMAS_AVRO_H
#define TELEHUB_SCHEMAS_AVRO_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/ids.h"
#include "common/str.h"

#include <endian.h>
#include <string.h>

#define AVRO_ELEMENTS_MAX 10000 /* of all arrays and maps of one body */
#define AVRO_FRAME_LEN    5

/* Avro's null, where C needs a member. */
struct avro_null {
    bool nothing;
};

/* ---- the frame: 0x00, the schema id as 4 bytes big-endian, the body ---- */

struct avro_frame {
    uint32_t schema_id; /* record * 256 + version */
    uint32_t record;
    unsigned version; /* 1 to 255 */
    struct th_str body;
};

/* err may be NULL. Errors: TH_MALFORMED */
TH_MUST_USE
enum th_code avro_read_frame(struct th_str value, struct avro_frame *out, struct th_err *err);

/* Append a frame's head. */
void avro_write_frame(struct th_buf *buf, uint32_t schema_id);

/* Returns TH_UNSUPPORTED. */
enum th_code avro_fail_unknown(const struct avro_frame *frame, struct th_err *err);

/* ---- reading ---- */

struct avro_reader {
    const uint8_t *p;
    const uint8_t *end;
    struct th_arena *arena;
    struct th_err *err; /* may be NULL; its text grows from the inside out: "a.b[3]: not UTF-8" */
    enum th_code code;  /* TH_OK until something failed */
    uint32_t elements;  /* of arrays and maps, so far */
};

static inline struct avro_reader avro_reader(struct th_str bytes, struct th_arena *arena,
                                             struct th_err *err)
{
    const uint8_t *p = (const uint8_t *)(bytes.p ? bytes.p : "");

    return (struct avro_reader){.p = p, .end = p + bytes.n, .arena = arena, .err = err};
}

/* All avro_read functions answer false after they called this. */
bool avro_fail(struct avro_reader *r, enum th_code code, const char *fmt, ...) TH_PRINTF(3, 4)
    __attribute__((cold));

/* Say in which field or item it failed; answer false. */
bool avro_in(struct avro_reader *r, const char *field) __attribute__((cold));
bool avro_in_item(struct avro_reader *r, size_t i) __attribute__((cold));

/* Nothing may stand behind the body, unless a newer version wrote it. */
bool avro_read_end(struct avro_reader *r, bool is_newer);

/* The reader's code; if it failed, the record's name is put before the path. */
TH_MUST_USE
enum th_code avro_finish(struct avro_reader *r, const char *record);

/* Of two bytes and more. */
bool avro_read_long_varint(struct avro_reader *r, uint64_t *out);

static inline bool avro_read_varint(struct avro_reader *r, uint64_t *out)
{
    if (r->p < r->end && *r->p < 0x80) {
        *out = *r->p++;
        return true;
    }
    return avro_read_long_varint(r, out);
}

/* Failures of the functions below: those return a false that the compiler can see. */
void avro_fail_int(struct avro_reader *r) __attribute__((cold));
void avro_fail_length(struct avro_reader *r, uint64_t zigzag) __attribute__((cold));
void avro_fail_text(struct avro_reader *r) __attribute__((cold));
void avro_fail_short(struct avro_reader *r, size_t need) __attribute__((cold));
void avro_fail_boolean(struct avro_reader *r) __attribute__((cold));
void avro_fail_index(struct avro_reader *r, const char *what, uint32_t n, uint64_t zigzag)
    __attribute__((cold));

static inline bool avro_read_null(struct avro_reader *r, struct avro_null *out)
{
    (void)r;
    out->nothing = false;
    return true;
}

static inline bool avro_read_boolean(struct avro_reader *r, bool *out)
{
    if (r->p == r->end) {
        avro_fail_short(r, 1);
        return false;
    }
    if (*r->p > 1) {
        avro_fail_boolean(r);
        return false;
    }
    *out = *r->p++ == 1;
    return true;
}

static inline bool avro_read_long(struct avro_reader *r, int64_t *out)
{
    uint64_t zigzag = 0;

    if (!avro_read_varint(r, &zigzag))
        return false;
    *out = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
    return true;
}

static inline bool avro_read_int(struct avro_reader *r, int32_t *out)
{
    uint64_t zigzag = 0;

    if (!avro_read_varint(r, &zigzag))
        return false;
    if (zigzag > UINT32_MAX) {
        avro_fail_int(r);
        return false;
    }
    *out = (int32_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
    return true;
}

/* The symbol of an enum or the branch of a union: 0 <= *out < n. */
static inline bool avro_read_index(struct avro_reader *r, const char *what, uint32_t n,
                                   uint32_t *out)
{
    uint64_t zigzag = 0;

    if (!avro_read_varint(r, &zigzag))
        return false;
    if ((zigzag & 1) || zigzag >> 1 >= n) {
        avro_fail_index(r, what, n, zigzag);
        return false;
    }
    *out = (uint32_t)(zigzag >> 1);
    return true;
}

static inline bool avro_read_fixed(struct avro_reader *r, uint8_t *out, size_t n)
{
    if ((size_t)(r->end - r->p) < n) {
        avro_fail_short(r, n);
        return false;
    }
    memcpy(out, r->p, n);
    r->p += n;
    return true;
}

static inline bool avro_read_float(struct avro_reader *r, float *out)
{
    uint32_t bits = 0;

    if (!avro_read_fixed(r, (uint8_t *)&bits, sizeof bits))
        return false;
    bits = le32toh(bits);
    memcpy(out, &bits, sizeof bits);
    return true;
}

static inline bool avro_read_double(struct avro_reader *r, double *out)
{
    uint64_t bits = 0;

    if (!avro_read_fixed(r, (uint8_t *)&bits, sizeof bits))
        return false;
    bits = le64toh(bits);
    memcpy(out, &bits, sizeof bits);
    return true;
}

static inline bool avro_read_bytes(struct avro_reader *r, struct th_str *out)
{
    uint64_t zigzag = 0;

    if (!avro_read_varint(r, &zigzag))
        return false;
    if ((zigzag & 1) || zigzag >> 1 > (uint64_t)(r->end - r->p)) {
        avro_fail_length(r, zigzag);
        return false;
    }
    *out = (struct th_str){(const char *)r->p, (size_t)(zigzag >> 1)};
    r->p += zigzag >> 1;
    return true;
}

static inline bool avro_read_string(struct avro_reader *r, struct th_str *out)
{
    if (!avro_read_bytes(r, out))
        return false;
    if (!th_str_is_utf8(*out)) {
        avro_fail_text(r);
        return false;
    }
    return true;
}

/* An array or map while its blocks are read. */
struct avro_list {
    void *at;         /* room for n items, in the reader's arena */
    size_t n;         /* items of the blocks so far */
    size_t cap;       /* items */
    size_t item_size; /* bytes in memory; set by the caller */
    size_t wire_min;  /* bytes on the wire, at least; set by the caller */
};

/* The head of the next block: n grows by its items, for which there is room then. False at the end
 * of the list and on failure, which r->code tells apart. */
bool avro_read_block(struct avro_reader *r, struct avro_list *list);

/* ---- writing ---- */

struct avro_size {
    size_t bytes;    /* at most */
    size_t elements; /* of arrays and maps */
    bool is_invalid; /* no reader would take it */
};

static inline void avro_measure_bytes(struct avro_size *size, struct th_str s)
{
    size->bytes += s.n;
}

static inline void avro_measure_string(struct avro_size *size, struct th_str s)
{
    size->bytes += s.n;
    size->is_invalid |= !th_str_is_utf8(s);
}

static inline void avro_measure_index(struct avro_size *size, uint32_t index, uint32_t n)
{
    size->is_invalid |= index >= n;
}

static inline void avro_measure_items(struct avro_size *size, size_t n, size_t item_max)
{
    size->elements += n;
    size->bytes += n * item_max;
}

/* Room for what was measured.
 * Errors: TH_INVALID, TH_NOMEM */
TH_MUST_USE
enum th_code avro_begin(struct th_buf *buf, const struct avro_size *size, uint8_t **out_p);

/* Count in what was written up to end. */
static inline void avro_end(struct th_buf *buf, const uint8_t *end)
{
    buf->n = (size_t)(end - (const uint8_t *)buf->p);
}

static inline uint8_t *avro_write_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline uint8_t *avro_write_boolean(uint8_t *p, bool v)
{
    *p = v;
    return p + 1;
}

static inline uint8_t *avro_write_long(uint8_t *p, int64_t v)
{
    return avro_write_varint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static inline uint8_t *avro_write_int(uint8_t *p, int32_t v)
{
    return avro_write_long(p, v);
}

static inline uint8_t *avro_write_fixed(uint8_t *p, const uint8_t *b, size_t n)
{
    memcpy(p, b, n);
    return p + n;
}

static inline uint8_t *avro_write_float(uint8_t *p, float v)
{
    uint32_t bits = 0;

    memcpy(&bits, &v, sizeof bits);
    bits = htole32(bits);
    return avro_write_fixed(p, (const uint8_t *)&bits, sizeof bits);
}

static inline uint8_t *avro_write_double(uint8_t *p, double v)
{
    uint64_t bits = 0;

    memcpy(&bits, &v, sizeof bits);
    bits = htole64(bits);
    return avro_write_fixed(p, (const uint8_t *)&bits, sizeof bits);
}

static inline uint8_t *avro_write_bytes(uint8_t *p, struct th_str s)
{
    p = avro_write_varint(p, (uint64_t)s.n << 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

/* ---- copies ---- */

/* Make the view one of the arena's own memory. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code avro_own(struct th_arena *arena, struct th_str *s);

/* n items as a plain copy; NULL when n is 0 or there is no memory. */
void *avro_own_items(struct th_arena *arena, const void *items, size_t n, size_t size);

/* ---- JSON for people ---- */

void avro_json_null(struct th_buf *buf, struct avro_null v);
void avro_json_boolean(struct th_buf *buf, bool v);
void avro_json_long(struct th_buf *buf, int64_t v);

/* The shortest that reads back the same; what JSON cannot say as "NaN", "Infinity", "-Infinity". */
void avro_json_float(struct th_buf *buf, float v);
void avro_json_double(struct th_buf *buf, double v);

/* Quoted; control characters, quote and backslash escaped. */
void avro_json_string(struct th_buf *buf, struct th_str s);

/* Hexadecimal, quoted. */
void avro_json_bytes(struct th_buf *buf, struct th_str s);
void avro_json_fixed(struct th_buf *buf, const uint8_t *b, size_t n);

void avro_json_id(struct th_buf *buf, struct th_id id);

/* A name that needs no escapes. */
void avro_json_symbol(struct th_buf *buf, const char *name);

/* ---- names of enums ---- */

/* names[i], or "?" if i >= n. */
const char *avro_name(const char *const *names, size_t n, size_t i);

bool avro_parse(const char *const *names, size_t n, struct th_str text, size_t *out_i);

#endif
