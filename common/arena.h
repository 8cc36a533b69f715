/* arena.h - memory that is given back all at once.
 *
 * One batch, one arena: everything decoded from a poll and everything emitted because of it lives
 * there and is gone at th_arena_reset. Bounded: past the limit an allocation answers NULL.
 * Not thread-safe.
 */
#ifndef TELEHUB_COMMON_ARENA_H
#define TELEHUB_COMMON_ARENA_H

#include "common/err.h"
#include "common/str.h"

struct th_arena_chunk;

struct th_arena {
    struct th_arena_chunk *chunks; /* newest first */
    size_t used;                   /* bytes handed out since the last reset, padding included */
    size_t limit;                  /* bytes */
};

/* Allocates nothing yet. */
void th_arena_init(struct th_arena *arena, size_t limit);

/* Frees everything; the arena may be used again. */
void th_arena_fini(struct th_arena *arena);

/* Forget what was handed out; keep one chunk for the next batch. */
void th_arena_reset(struct th_arena *arena);

/* size bytes, zeroed, aligned for any type. NULL past the limit or when malloc fails. */
void *th_arena_alloc(struct th_arena *arena, size_t size);

/* n things of size bytes each, zeroed; NULL also when n * size overflows. */
void *th_arena_array(struct th_arena *arena, size_t n, size_t size);

/* A copy of s in the arena, followed by a NUL that the view does not count.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code th_arena_copy(struct th_arena *arena, struct th_str s, struct th_str *out_copy);

/* printf into the arena; p is NULL when there is no memory. */
struct th_str th_arena_printf(struct th_arena *arena, const char *fmt, ...) TH_PRINTF(2, 3);

#endif
