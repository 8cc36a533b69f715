/* fuzz.h - what every fuzz target has in common.
 *
 * A target is one file with LLVMFuzzerTestOneInput. It asserts what must hold of any bytes, not
 * only that nothing crashes: what was read can be written and read again, pieces give what the
 * whole gives, views lie within what was given. Linked with libFuzzer it looks for new inputs;
 * linked with replay.c it goes through its corpus, as a test.
 */
#ifndef TELEHUB_TESTS_FUZZ_FUZZ_H
#define TELEHUB_TESTS_FUZZ_FUZZ_H

#include "common/arena.h"
#include "common/str.h"

#include <assert.h>

#define FUZZ_ARENA_MAX ((size_t)64 * 1024 * 1024) /* bytes that one input may cost */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct th_str fuzz_input(const uint8_t *data, size_t size)
{
    return (struct th_str){(const char *)data, size};
}

/* The first byte, cut off; 0 when there is none. */
static inline uint8_t fuzz_byte(struct th_str *in)
{
    uint8_t byte = 0;

    if (in->n == 0)
        return byte;
    byte = (uint8_t)in->p[0];
    *in = (struct th_str){in->p + 1, in->n - 1};
    return byte;
}

/* Up to the first separator, cut off with it; all of it when there is none. */
static inline struct th_str fuzz_field(struct th_str *in, char separator)
{
    struct th_str head;
    struct th_str tail;

    th_str_cut(*in, separator, &head, &tail);
    *in = tail;
    return head;
}

#endif
