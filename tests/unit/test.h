/* test.h - what cmocka wants included before itself, and what our tables of sentences use. */
#ifndef TELEHUB_TESTS_UNIT_TEST_H
#define TELEHUB_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/str.h"

/* Two views hold the same bytes. */
#define assert_str_equal(a, b)                                                                     \
    do {                                                                                           \
        struct th_str a_ = (a);                                                                    \
        struct th_str b_ = (b);                                                                    \
        assert_int_equal(a_.n, b_.n);                                                              \
        if (a_.n)                                                                                  \
            assert_memory_equal(a_.p, b_.p, a_.n);                                                 \
    } while (0)

#endif
