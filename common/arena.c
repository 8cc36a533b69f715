#include "common/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Thousands of arenas hold one small event each; the batches' grow to the larger size at once. */
#define CHUNK_SIZE_FIRST ((size_t)1024)
#define CHUNK_SIZE_MAX   ((size_t)64 * 1024)
#define ALIGNMENT        _Alignof(max_align_t)

struct th_arena_chunk {
    struct th_arena_chunk *older;
    size_t size; /* of bytes */
    size_t used;
    _Alignas(max_align_t) unsigned char bytes[];
};

void th_arena_init(struct th_arena *arena, size_t limit)
{
    *arena = (struct th_arena){.limit = limit};
}

static void free_chunks(struct th_arena_chunk *chunk)
{
    while (chunk) {
        struct th_arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
}

void th_arena_fini(struct th_arena *arena)
{
    free_chunks(arena->chunks);
    arena->chunks = NULL;
    arena->used = 0;
}

void th_arena_reset(struct th_arena *arena)
{
    struct th_arena_chunk *kept = arena->chunks;

    arena->used = 0;
    if (!kept)
        return;
    free_chunks(kept->older);
    kept->older = NULL;
    kept->used = 0;
}

static struct th_arena_chunk *add_chunk(struct th_arena *arena, size_t size_min)
{
    size_t size = arena->chunks ? 8 * arena->chunks->size : CHUNK_SIZE_FIRST;

    if (size > CHUNK_SIZE_MAX)
        size = CHUNK_SIZE_MAX;
    if (size < size_min)
        size = size_min;
    struct th_arena_chunk *chunk = malloc(sizeof *chunk + size);

    if (!chunk)
        return NULL;
    *chunk = (struct th_arena_chunk){.older = arena->chunks, .size = size};
    arena->chunks = chunk;
    return chunk;
}

void *th_arena_alloc(struct th_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t padded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (padded > arena->limit - arena->used)
        return NULL;

    struct th_arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < padded)
        chunk = add_chunk(arena, padded);
    if (!chunk)
        return NULL;

    void *p = chunk->bytes + chunk->used;
    chunk->used += padded;
    arena->used += padded;
    return memset(p, 0, padded);
}

void *th_arena_array(struct th_arena *arena, size_t n, size_t size)
{
    size_t total;

    return __builtin_mul_overflow(n, size, &total) ? NULL : th_arena_alloc(arena, total);
}

enum th_code th_arena_copy(struct th_arena *arena, struct th_str s, struct th_str *out_copy)
{
    char *p = s.n < SIZE_MAX ? th_arena_alloc(arena, s.n + 1) : NULL;

    if (!p)
        return TH_NOMEM;
    if (s.n)
        memcpy(p, s.p, s.n);
    *out_copy = (struct th_str){p, s.n};
    return TH_OK;
}

struct th_str th_arena_printf(struct th_arena *arena, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);

    char *p = th_arena_alloc(arena, (size_t)n + 1);
    if (!p)
        return (struct th_str){NULL, 0};
    va_start(args, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return (struct th_str){p, (size_t)n};
}
