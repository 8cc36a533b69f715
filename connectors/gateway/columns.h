/* columns.h - which variables the audiences have that were uploaded here lately.
 *
 * So that a slip of the pen in a text is said when the campaign is created, and not when it fails
 * for everybody. A memory of this process, no truth: what is not here is not known. Any thread.
 */
#ifndef TELEHUB_GATEWAY_COLUMNS_H
#define TELEHUB_GATEWAY_COLUMNS_H

#include "common/arena.h"
#include "common/ids.h"
#include "common/template.h"

#define COLUMNS_AUDIENCES_MAX 256 /* the oldest is forgotten */

struct columns;

/* NULL when there is no memory. */
struct columns *columns_new(void);
void columns_free(struct columns *columns); /* accepts NULL */

/* A part has these columns. Parts that differ make the audience's unknown. Without memory nothing
 * is noted. */
void columns_note(struct columns *columns, struct th_str tenant, struct th_id audience,
                  const struct th_str *names, size_t n);

/* The names as variables without values; false if they are not known (or there is no memory). */
bool columns_find(struct columns *columns, struct th_str tenant, struct th_id audience,
                  struct th_arena *arena, struct th_var **out_vars, size_t *out_n);

#endif
