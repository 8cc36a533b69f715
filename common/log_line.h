/* log_line.h - what the program says about itself: one line of key=value per event, on stderr.
 *
 *     th_log(TH_LOG_WARN, "provider.retry", TH_F("attempt", n), TH_F("wait_ms", ms));
 *     time=2026-11-02T10:00:00.123456Z level=warn id=provider.retry attempt=2 wait_ms=4000
 *
 * The id is stable: alerts and documents name it. Values never hold bodies, secrets, names, or
 * telephone numbers (th_log_mask_phone shortens those). Only shells log; libraries return errors.
 * Any thread; a line is one write(2) of at most TH_LOG_LINE_MAX bytes, so lines do not mix. A value
 * that does not fit is cut, which "…" shows. What cannot be written is lost.
 */
#ifndef TELEHUB_COMMON_LOG_LINE_H
#define TELEHUB_COMMON_LOG_LINE_H

#include "common/err.h"
#include "common/ids.h"
#include "common/str.h"

#define TH_LOG_LINE_MAX  4096 /* PIPE_BUF: what a pipe takes in one piece */
#define TH_LOG_VALUE_MAX 1024 /* bytes of a value, before escapes */

enum th_log_level {
    TH_LOG_DEBUG,
    TH_LOG_INFO,
    TH_LOG_WARN,
    TH_LOG_ERROR,
};

/* choices of a th_conf_key for enum th_log_level, in its order. */
#define TH_LOG_LEVELS "debug|info|warn|error"

enum th_log_kind {
    TH_LOG_TEXT,
    TH_LOG_SIGNED,
    TH_LOG_UNSIGNED,
    TH_LOG_REAL,
    TH_LOG_BOOL,
    TH_LOG_ID,
};

struct th_log_field {
    const char *key;
    enum th_log_kind kind;
    union {
        struct th_str text;
        int64_t i;
        uint64_t u;
        double real;
        bool is;
        struct th_id id;
    } value;
};

struct th_log_field th_log_str(const char *key, struct th_str value);
struct th_log_field th_log_text(const char *key, const char *value);
struct th_log_field th_log_int(const char *key, int64_t value);
struct th_log_field th_log_uint(const char *key, uint64_t value);
struct th_log_field th_log_real(const char *key, double value);
struct th_log_field th_log_bool(const char *key, bool value);
struct th_log_field th_log_uuid(const char *key, struct th_id value);

/* A field of whatever type the value has; text is borrowed for the call of th_log. */
#define TH_F(key, value)                                                                           \
    _Generic((value),                                                                              \
        struct th_str: th_log_str,                                                                 \
        char *: th_log_text,                                                                       \
        const char *: th_log_text,                                                                 \
        bool: th_log_bool,                                                                         \
        double: th_log_real,                                                                       \
        struct th_id: th_log_uuid,                                                                   \
        unsigned char: th_log_uint,                                                                \
        unsigned short: th_log_uint,                                                               \
        unsigned: th_log_uint,                                                                     \
        unsigned long: th_log_uint,                                                                \
        unsigned long long: th_log_uint,                                                           \
        default: th_log_int)((key), (value))

/* Levels below are not written; TH_LOG_INFO to begin with. */
void th_log_set_level(enum th_log_level level);

/* Where lines go, for tests; stderr to begin with. */
void th_log_set_fd(int fd);

bool th_log_is_on(enum th_log_level level);

void th_log_fields(enum th_log_level level, const char *id, const struct th_log_field *fields,
                   size_t count);

/* th_log(level, id, TH_F(…)…) with at least one field; they are computed only if the level is on.
 */
#define th_log(level, id, ...)                                                                     \
    do {                                                                                           \
        if (th_log_is_on(level)) {                                                                 \
            const struct th_log_field th_fields_[] = {__VA_ARGS__};                                \
            th_log_fields((level), (id), th_fields_, TH_LEN(th_fields_));                          \
        }                                                                                          \
    } while (0)

/* An id that says it all. */
void th_log_bare(enum th_log_level level, const char *id);

/* The usual end of a failed step: its code and its sentence. */
void th_log_error(enum th_log_level level, const char *id, const struct th_err *err);

#define TH_LOG_MASK_SIZE 24

/* "+919876543210" → "+91********10": what of a number may be shown, its first two digits (in India
 * the country) and the last two. Returns out_text. Anything that is not a plus and 7 to 15 digits
 * becomes "***". */
const char *th_log_mask_phone(struct th_str number, char out_text[TH_LOG_MASK_SIZE]);

#endif
