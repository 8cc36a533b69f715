/* json.h - JSON from outside: bounded when it is read, typed when it is asked.
 *
 * A value is asked for by walking from the root; what is wrong with it is said with its place, a
 * JSON pointer (RFC 6901): "/name: must be a string of 1 to 100 characters".
 *
 *     TH_TRY(th_json_str(th_json_at(root, "name"), 1, 100, &name, err));
 *
 * Target th_json (jansson). A document may be read by any thread, by one at a time.
 */
#ifndef TELEHUB_COMMON_JSON_H
#define TELEHUB_COMMON_JSON_H

#include "common/err.h"
#include "common/str.h"

#define TH_JSON_DEPTH_MAX      32
#define TH_JSON_VALUES_MAX     100000
#define TH_JSON_CONTAINERS_MAX 10000 /* objects and arrays; each takes a hundred times its text */
#define TH_JSON_PLACE_MAX      128

struct json_t; /* jansson's */

/* A place in a document, and the value there if there is one. Plain data; lives as long as the
 * document. */
struct th_json {
    struct json_t *value;          /* NULL: absent */
    char place[TH_JSON_PLACE_MAX]; /* JSON pointer, "" for the root; cut if too long */
};

/* Read a document whose root is an object or an array: at most size_max bytes, depth and values
 * bounded as above, strict UTF-8, no member twice, no NUL, nothing behind it. Errors never quote
 * what was read.
 * Errors: TH_FULL       past a bound
 *         TH_MALFORMED  anything else that is wrong with it
 *         TH_NOMEM */
TH_MUST_USE
enum th_code th_json_parse(struct th_str text, size_t size_max, struct json_t **out_document,
                           struct th_err *err);

void th_json_free(struct json_t *document);
TH_AUTO_DEFINE(th_json, struct json_t *, th_json_free)

struct th_json th_json_root(struct json_t *document);

/* The member of an object. Absent if parent is absent or no object. */
struct th_json th_json_at(struct th_json parent, const char *key);

/* Present and not null: what an optional member is asked first. */
bool th_json_is_given(struct th_json value);

/* Errors of all that follow: TH_INVALID with the place; results are then untouched. Views live as
 * long as the document. */

/* A string of min to max characters (code points, not bytes). */
TH_MUST_USE
enum th_code th_json_str(struct th_json value, size_t min, size_t max, struct th_str *out_str,
                         struct th_err *err);

TH_MUST_USE
enum th_code th_json_int(struct th_json value, int64_t min, int64_t max, int64_t *out_int,
                         struct th_err *err);

TH_MUST_USE
enum th_code th_json_bool(struct th_json value, bool *out_bool, struct th_err *err);

/* It is an object that has no other members than these; known ends at NULL. */
TH_MUST_USE
enum th_code th_json_object(struct th_json value, const char *const *known, struct th_err *err);

/* It is an array of min to max items. */
TH_MUST_USE
enum th_code th_json_array(struct th_json value, size_t min, size_t max, size_t *out_count,
                           struct th_err *err);

/* index is below the count of the array. */
struct th_json th_json_item(struct th_json array, size_t index);

/* Go through an object's members: *iterator is NULL to begin with; false at the end. Of anything
 * but an object there are none. */
bool th_json_next(struct th_json object, void **iterator, struct th_str *out_key,
                  struct th_json *out_value);

/* A failure of the caller's own, with the place: th_json_fail(v, err, "must be a UUID"). */
enum th_code th_json_fail(struct th_json value, struct th_err *err, const char *fmt, ...)
    TH_PRINTF(3, 4);

#endif
