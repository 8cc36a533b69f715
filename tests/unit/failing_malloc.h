/* failing_malloc.h - allocations that fail on order, and are counted.
 *
 * For a test that is linked with th_failing_malloc(TARGET): what the libraries under test allocate
 * through malloc, calloc, realloc and reallocarray comes here first. One thread.
 */
#ifndef TELEHUB_TESTS_UNIT_FAILING_MALLOC_H
#define TELEHUB_TESTS_UNIT_FAILING_MALLOC_H

#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void __wrap_free(void *p);

/* Allocations that still succeed; negative: all of them. */
static long mallocs_left = -1;

/* Pieces of memory that are allocated now. */
static long mallocs_live;

static int malloc_fails(void)
{
    if (mallocs_left < 0)
        return 0;
    if (mallocs_left == 0)
        return 1;
    mallocs_left--;
    return 0;
}

static void *counted(void *p)
{
    mallocs_live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t size)
{
    return malloc_fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return malloc_fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (malloc_fails())
        return NULL;
    return p ? __real_realloc(p, size) : counted(__real_realloc(p, size));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    if (malloc_fails())
        return NULL;
    return p ? __real_reallocarray(p, n, size) : counted(__real_reallocarray(p, n, size));
}

void __wrap_free(void *p)
{
    mallocs_live -= p != NULL;
    __real_free(p);
}

#endif
