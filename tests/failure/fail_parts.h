/* fail_parts.h - what the two ways to stand in front of a call share: fail_ours.c (the calls of our
 * own objects, by the linker) and fail_inside.c (those that libraries make, by interposition). */
#ifndef TELEHUB_TESTS_FAILURE_FAIL_PARTS_H
#define TELEHUB_TESTS_FAILURE_FAIL_PARTS_H

#include "tests/failure/fail.h"

#include <pthread.h>
#include <stddef.h>

/* The calling thread is. */
bool fail_is_exempt(void);

/* Calls counted since the program began. */
long fail_calls_ever(void);

/* A write that fails now is to be done by half. */
bool fail_by_half(size_t n);

/* A counter or a timer of the kernel's: reading and writing it cannot fail. */
bool fail_is_counter(int fd);

/* Start a thread, exempt as its starter is; or fail. */
typedef int fail_start_fn(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *arg),
                          void *arg);
int fail_start(fail_start_fn *start, pthread_t *thread, const pthread_attr_t *attr,
               void *(*run)(void *arg), void *arg);

/* Kinds that fail besides those that a story names: libraries call other things than we do. */
extern unsigned fail_kinds_too;

/* Called where a call would fail, before anything else: true leaves it alone. NULL: none is. */
extern bool (*fail_is_spared)(enum fail_kind kind);

/* Say where a call that fails was made; NULL: the sanitizer does, if there is one. */
extern void (*fail_say_where)(void);

#endif
