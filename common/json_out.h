/* json_out.h - JSON written straight into a buffer.
 *
 *     struct th_json_out out = {&buf};
 *     th_json_begin(&out, NULL);
 *     th_json_put_str(&out, "name", name);
 *     th_json_end(&out);
 *
 * Pure; needs no jansson. A key is NULL for the root and for items of arrays; pairing begin and end
 * is the caller's. Whether memory sufficed, th_buf_status says once at the end.
 */
#ifndef TELEHUB_COMMON_JSON_OUT_H
#define TELEHUB_COMMON_JSON_OUT_H

#include "common/buf.h"
#include "common/ids.h"
#include "common/money.h"

struct th_json_out {
    struct th_buf *buf; /* appended to; not owned */
    bool needs_comma;
};

void th_json_begin(struct th_json_out *out, const char *key);
void th_json_end(struct th_json_out *out);
void th_json_begin_array(struct th_json_out *out, const char *key);
void th_json_end_array(struct th_json_out *out);

/* A byte that belongs to no UTF-8 character becomes U+FFFD, so that the result is always JSON. */
void th_json_put_str(struct th_json_out *out, const char *key, struct th_str value);
void th_json_put_text(struct th_json_out *out, const char *key, const char *value);
void th_json_put_int(struct th_json_out *out, const char *key, int64_t value);
void th_json_put_bool(struct th_json_out *out, const char *key, bool value);
void th_json_put_null(struct th_json_out *out, const char *key);
void th_json_put_id(struct th_json_out *out, const char *key, struct th_id id);

/* RFC 3339 in UTC, of microseconds since 1970. */
void th_json_put_time(struct th_json_out *out, const char *key, int64_t us);

/* {"amount":"12.3400","currency":"INR"} */
void th_json_put_money(struct th_json_out *out, const char *key, const struct th_money *money);

/* A member whose key comes from outside: the key, escaped; the value follows with key NULL. */
void th_json_put_key(struct th_json_out *out, struct th_str key);

/* json is one value, already JSON. */
void th_json_put_raw(struct th_json_out *out, const char *key, struct th_str json);

#endif
