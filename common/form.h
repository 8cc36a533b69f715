/* form.h - application/x-www-form-urlencoded, both ways (the URL Standard, section 5).
 *
 * Pure and bounded. Order and repetition are kept: a signature covers them.
 */
#ifndef TELEHUB_COMMON_FORM_H
#define TELEHUB_COMMON_FORM_H

#include "common/arena.h"

#define FORM_SIZE_MAX  65536
#define FORM_PAIRS_MAX 200

struct form_pair {
    struct th_str name;
    struct th_str value;
};

struct form {
    struct form_pair *pairs;
    size_t n;
};

/* Decode body; '+' is a space, an empty value counts, an empty piece between two '&' does not.
 * Errors: TH_MALFORMED  a broken %XX, a NUL, or text that is not UTF-8
 *         TH_FULL       more than FORM_SIZE_MAX bytes or FORM_PAIRS_MAX pairs
 *         TH_NOMEM */
TH_MUST_USE
enum th_code form_parse(struct th_str body, struct th_arena *arena, struct form *out_form);

/* The first value of name; false, and an empty view, if there is none. */
bool form_get(const struct form *form, const char *name, struct th_str *out_value);

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code form_encode(const struct form_pair *pairs, size_t n, struct th_arena *arena,
                         struct th_str *out_body);

/* s as one segment of a path or one value of a query: all but RFC 3986's unreserved as %XX.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code form_escape_url(struct th_str s, struct th_arena *arena, struct th_str *out_text);

#endif
