/* json_scan.h - members of a JSON object where they stand in its text: nothing is built.
 *
 * For answers that come by the thousand, of which a few members are wanted. Views point into the
 * text, but for strings with escapes, which are decoded into an arena. Pure.
 */
#ifndef TELEHUB_COMMON_JSON_SCAN_H
#define TELEHUB_COMMON_JSON_SCAN_H

#include "common/arena.h"
#include "common/err.h"
#include "common/str.h"

#define TH_JSON_SCAN_DEPTH_MAX 32

/* A member that is wanted. A name written with escapes is another name. */
struct th_json_member {
    const char *name;
    struct th_str raw; /* its value as written; n is 0 when the object has none */
};

/* text is one object, well-formed throughout and in UTF-8: fill the raw of the n members.
 * Errors: TH_MALFORMED  it is not, or one of the members stands in it twice
 *         TH_FULL       nested deeper than TH_JSON_SCAN_DEPTH_MAX */
TH_MUST_USE
enum th_code th_json_scan(struct th_str text, struct th_json_member *members, size_t n);

/* The items of an array, one after another: raw is the value of a scanned member, *at is 0 to begin
 * with. False at the end, and at once of what is no array. */
bool th_json_scan_item(struct th_str raw, size_t *at, struct th_str *out_item);

/* The text of a string.
 * Errors: TH_INVALID  no string, or one with a NUL or half a surrogate pair
 *         TH_NOMEM */
TH_MUST_USE
enum th_code th_json_scan_str(struct th_str raw, struct th_arena *arena, struct th_str *out_text);

/* A whole number within [min, max]; false otherwise, *out untouched. */
bool th_json_scan_int(struct th_str raw, int64_t min, int64_t max, int64_t *out);

#endif
