/* Arenas that fail: one that was used before has memory, so that malloc is not asked. For tests
 * made with th_failing_arena. */
#include "tests/failure/fail.h"

#include "common/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void *__real_th_arena_alloc(struct th_arena *arena, size_t size);
void *__wrap_th_arena_alloc(struct th_arena *arena, size_t size);
void *__real_th_arena_array(struct th_arena *arena, size_t n, size_t size);
void *__wrap_th_arena_array(struct th_arena *arena, size_t n, size_t size);
enum th_code __real_th_arena_copy(struct th_arena *arena, struct th_str s, struct th_str *out_copy);
enum th_code __wrap_th_arena_copy(struct th_arena *arena, struct th_str s, struct th_str *out_copy);
struct th_str __wrap_th_arena_printf(struct th_arena *arena, const char *fmt, ...) TH_PRINTF(2, 3);

void *__wrap_th_arena_alloc(struct th_arena *arena, size_t size)
{
    return fail_here(FAIL_MEMORY, ENOMEM) ? NULL : __real_th_arena_alloc(arena, size);
}

void *__wrap_th_arena_array(struct th_arena *arena, size_t n, size_t size)
{
    return fail_here(FAIL_MEMORY, ENOMEM) ? NULL : __real_th_arena_array(arena, n, size);
}

enum th_code __wrap_th_arena_copy(struct th_arena *arena, struct th_str s, struct th_str *out_copy)
{
    return fail_here(FAIL_MEMORY, ENOMEM) ? TH_NOMEM : __real_th_arena_copy(arena, s, out_copy);
}

struct th_str __wrap_th_arena_printf(struct th_arena *arena, const char *fmt, ...)
{
    char text[4096];
    struct th_str copy = {NULL, 0};
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (fail_here(FAIL_MEMORY, ENOMEM) || n < 0 || (size_t)n >= sizeof text)
        return copy;
    (void)!__real_th_arena_copy(arena, (struct th_str){text, (size_t)n}, &copy);
    return copy;
}
