#include "common/json.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* jansson allows a depth of 2048 and any number of values, so the brackets and commas outside of
 * strings are counted before it sees the text. Text that is no JSON may be miscounted; jansson
 * refuses it afterwards. */
static enum th_code check_bounds(struct th_str text, struct th_err *err)
{
    size_t depth = 0;
    size_t containers = 0;
    size_t commas = 0;
    bool is_string = false;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '"')
            is_string = !is_string;
        else if (is_string)
            i += c == '\\';
        else if (c == '{' || c == '[') {
            containers++;
            depth++;
        } else if ((c == '}' || c == ']') && depth)
            depth--;
        else if (c == ',')
            commas++;
        if (depth > TH_JSON_DEPTH_MAX)
            return th_fail(err, TH_FULL, "JSON nested deeper than %d", TH_JSON_DEPTH_MAX);
        if (containers > TH_JSON_CONTAINERS_MAX || containers + commas > TH_JSON_VALUES_MAX)
            return th_fail(err, TH_FULL, "JSON with too many values");
    }
    return TH_OK;
}

/* --- memory: jansson 2.14 ignores that its token buffer cannot grow, and then reads beyond it. So
 * it never sees an allocation that failed: reading ends there and then, and what it had allocated
 * for the document is given back. ----------------------------------------------------------------
 */

/* In front of each piece: the others of its document, in a ring. */
struct piece {
    alignas(max_align_t) struct piece *next;
    struct piece *prev;
};

struct parsing {
    struct piece ring; /* of what was allocated so far */
    jmp_buf no_memory;
};

static _Thread_local struct parsing *parsing; /* NULL: nothing is being read */

static void *allocate(size_t size)
{
    struct piece *piece = size <= SIZE_MAX - sizeof *piece ? malloc(sizeof *piece + size) : NULL;

    if (!piece && parsing)
        longjmp(parsing->no_memory, 1);
    if (!piece)
        return NULL;
    piece->next = piece->prev = piece;
    if (parsing) {
        piece->next = parsing->ring.next;
        piece->prev = &parsing->ring;
        piece->next->prev = piece->prev->next = piece;
    }
    return piece + 1;
}

static void take_out(struct piece *piece)
{
    piece->next->prev = piece->prev;
    piece->prev->next = piece->next;
}

static void give_back(void *p)
{
    if (!p)
        return;
    struct piece *piece = (struct piece *)p - 1;
    take_out(piece);
    free(piece);
}

/* Before anything of jansson's is allocated, by whomever in this process. */
__attribute__((constructor)) static void set_memory(void)
{
    json_set_alloc_funcs(allocate, give_back);
}

static json_t *load(struct th_str text, json_error_t *error, bool *out_has_memory)
{
    struct parsing here = {.ring = {&here.ring, &here.ring}};

    parsing = &here;
    *out_has_memory = setjmp(here.no_memory) == 0;
    if (!*out_has_memory) {
        while (here.ring.next != &here.ring)
            give_back(here.ring.next + 1);
        parsing = NULL;
        return NULL;
    }
    json_t *document = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, error);
    take_out(&here.ring);
    parsing = NULL;
    return document;
}

enum th_code th_json_parse(struct th_str text, size_t size_max, struct json_t **out_document,
                           struct th_err *err)
{
    json_error_t error = {0};
    bool has_memory;

    if (text.n > size_max)
        return th_fail(err, TH_FULL, "JSON of more than %zu bytes", size_max);
    if (!th_str_is_utf8(text))
        return th_fail(err, TH_MALFORMED, "JSON that is not UTF-8");
    TH_TRY(check_bounds(text, err));

    json_t *document = load(text, &error, &has_memory);
    if (document) {
        *out_document = document;
        return TH_OK;
    }
    if (!has_memory)
        return th_fail(err, TH_NOMEM, "JSON");
    enum json_error_code code = json_error_code(&error);
    return th_fail(err, TH_MALFORMED, "%s at line %d column %d",
                   code == json_error_duplicate_key ? "JSON with a member twice" : "not JSON",
                   error.line, error.column);
}

void th_json_free(struct json_t *document)
{
    json_decref(document);
}

struct th_json th_json_root(struct json_t *document)
{
    return (struct th_json){.value = document};
}

/* RFC 6901, section 3: "~" and "/" are written "~0" and "~1". */
static void add_token(char place[TH_JSON_PLACE_MAX], struct th_str token)
{
    size_t n = strlen(place);

    if (n + 1 < TH_JSON_PLACE_MAX)
        place[n++] = '/';
    for (size_t i = 0; i < token.n && n + 2 < TH_JSON_PLACE_MAX; i++) {
        char c = token.p[i];
        bool is_special = c == '~' || c == '/';

        place[n++] = is_special ? '~' : c;
        if (is_special)
            place[n++] = c == '~' ? '0' : '1';
    }
    if (n + 2 >= TH_JSON_PLACE_MAX) /* perhaps cut: not in the middle of a character */
        while (n && !th_str_is_utf8((struct th_str){place, n}))
            n--;
    place[n] = '\0';
}

static struct th_json child(struct th_json parent, struct th_str token, json_t *value)
{
    struct th_json result = parent;

    result.value = value;
    add_token(result.place, token);
    return result;
}

struct th_json th_json_at(struct th_json parent, const char *key)
{
    /* json_object_get answers NULL for NULL and for what is no object. */
    return child(parent, th_str(key), json_object_get(parent.value, key));
}

bool th_json_is_given(struct th_json value)
{
    return value.value && !json_is_null(value.value);
}

enum th_code th_json_fail(struct th_json value, struct th_err *err, const char *fmt, ...)
{
    char text[TH_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return th_fail(err, TH_INVALID, "%s: %s", *value.place ? value.place : "(document)", text);
}

enum th_code th_json_str(struct th_json value, size_t min, size_t max, struct th_str *out_str,
                         struct th_err *err)
{
    struct th_str s = {json_string_value(value.value), json_string_length(value.value)};
    size_t count = th_str_chars(s);

    if (json_is_string(value.value) && count >= min && count <= max) {
        *out_str = s;
        return TH_OK;
    }
    if (min == 0)
        return th_json_fail(value, err, "must be a string of at most %zu characters", max);
    if (min == max)
        return th_json_fail(value, err, "must be a string of %zu characters", max);
    return th_json_fail(value, err, "must be a string of %zu to %zu characters", min, max);
}

enum th_code th_json_int(struct th_json value, int64_t min, int64_t max, int64_t *out_int,
                         struct th_err *err)
{
    json_int_t i = json_integer_value(value.value);

    if (!json_is_integer(value.value) || i < min || i > max)
        return th_json_fail(value, err, "must be a whole number from %" PRId64 " to %" PRId64, min,
                            max);
    *out_int = i;
    return TH_OK;
}

enum th_code th_json_bool(struct th_json value, bool *out_bool, struct th_err *err)
{
    if (!json_is_boolean(value.value))
        return th_json_fail(value, err, "must be true or false");
    *out_bool = json_is_true(value.value);
    return TH_OK;
}

static bool is_known(const char *const *known, const char *key)
{
    for (; *known; known++)
        if (strcmp(*known, key) == 0)
            return true;
    return false;
}

enum th_code th_json_object(struct th_json value, const char *const *known, struct th_err *err)
{
    if (!json_is_object(value.value))
        return th_json_fail(value, err, "must be an object");
    for (void *at = json_object_iter(value.value); at;
         at = json_object_iter_next(value.value, at)) {
        const char *key = json_object_iter_key(at);
        if (!is_known(known, key))
            return th_json_fail(child(value, th_str(key), NULL), err, "is not known here");
    }
    return TH_OK;
}

enum th_code th_json_array(struct th_json value, size_t min, size_t max, size_t *out_count,
                           struct th_err *err)
{
    size_t count = json_array_size(value.value);

    if (!json_is_array(value.value) || count < min || count > max)
        return th_json_fail(value, err, "must be an array of %zu to %zu items", min, max);
    *out_count = count;
    return TH_OK;
}

struct th_json th_json_item(struct th_json array, size_t index)
{
    char token[24];

    assert(index < json_array_size(array.value));
    (void)snprintf(token, sizeof token, "%zu", index);
    return child(array, th_str(token), json_array_get(array.value, index));
}

bool th_json_next(struct th_json object, void **iterator, struct th_str *out_key,
                  struct th_json *out_value)
{
    *iterator =
        *iterator ? json_object_iter_next(object.value, *iterator) : json_object_iter(object.value);
    if (!*iterator)
        return false;
    *out_key = th_str(json_object_iter_key(*iterator));
    *out_value = child(object, *out_key, json_object_iter_value(*iterator));
    return true;
}
