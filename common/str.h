/* str.h - text and bytes as a view that owns nothing.
 *
 * Bytes outlive the view by the caller's care; p may be NULL when n is 0.
 */
#ifndef TELEHUB_COMMON_STR_H
#define TELEHUB_COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct th_str {
    const char *p;
    size_t n;
};

#define TH_STR(literal) ((struct th_str){"" literal, sizeof(literal) - 1})

/* printf("%.*s", TH_ARG(s)) */
#define TH_ARG(s) (int)(s).n, (s).p ? (s).p : ""

/* The view of a C string; of NULL, the empty one. */
struct th_str th_str(const char *text);

bool th_str_eq(struct th_str a, struct th_str b);

/* Byte order; <0, 0, >0. */
int th_str_cmp(struct th_str a, struct th_str b);

bool th_str_starts(struct th_str s, struct th_str prefix);

/* Without ASCII white space at both ends. */
struct th_str th_str_trim(struct th_str s);

/* Cut s at the first separator: *head is what stood before it, *tail what follows.
 * False, head = s and tail empty, if there is none. */
bool th_str_cut(struct th_str s, char separator, struct th_str *head, struct th_str *tail);

/* Whole of s as a decimal integer within [min, max]; false otherwise, *out untouched. */
bool th_str_int(struct th_str s, int64_t min, int64_t max, int64_t *out);

/* Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
bool th_str_is_utf8(struct th_str s);

/* Bytes of the well-formed UTF-8 character that s begins with; 0 if it begins with none. */
size_t th_str_char_size(struct th_str s);

/* Cut the first character off *s, which is not empty; U+FFFD for a byte that belongs to none. */
uint32_t th_str_take_char(struct th_str *s);

/* Characters (code points) of well-formed UTF-8. */
size_t th_str_chars(struct th_str s);

/* Compares in time that depends on the lengths only. */
bool th_str_eq_secret(struct th_str a, struct th_str b);

#endif
