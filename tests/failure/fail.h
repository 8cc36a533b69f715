/* fail.h - calls that fail on order: the n-th allocation, read, write, sync, open, connect.
 *
 * For a test made with th_failing(NAME …): what the code under test calls of the C library comes
 * here first. A test describes one operation; fail_each plays it again and again, with the first,
 * the second, the third … of those calls failing, until a run in which none was left to fail:
 * once each, then with all that follow failing too, and writes also half done.
 *
 *     static void store(void *arg)
 *     {
 *         … make a world, where nothing fails …
 *         fail_arm();
 *         code = secrets_set(…);
 *         fail_disarm();
 *         … if (!fail_was_hit()) assert_int_equal(code, TH_OK); nothing is half done …
 *     }
 *     fail_each("a secret is stored", FAIL_ALL, store, NULL);
 *
 * What our own objects call fails in failure_…_test, what libraries call (libcurl, libpq,
 * libmicrohttpd, lz4, OpenSSL, the C library for them) in inside_…_test, made of the same stories
 * by th_failing_inside; jansson's memory, which common/json.c gives, counts as ours. Inside, all
 * kinds fail, whatever a story names. Leaks are found by the sanitizer when the test ends.
 */
#ifndef TELEHUB_TESTS_FAILURE_FAIL_H
#define TELEHUB_TESTS_FAILURE_FAIL_H

#include <stdbool.h>

enum fail_kind {
    FAIL_MEMORY = 1 << 0,  /* malloc and its relatives: NULL, ENOMEM */
    FAIL_READ = 1 << 1,    /* read, pread, recv, fread, fgets: EIO */
    FAIL_WRITE = 1 << 2,   /* write, send, fwrite, fputs, fflush, ftruncate: ENOSPC */
    FAIL_SYNC = 1 << 3,    /* fsync, fdatasync: EIO */
    FAIL_OPEN = 1 << 4,    /* open, fopen, opendir, mkstemp, mkdir, rename: EMFILE, ENOSPC */
    FAIL_CONNECT = 1 << 5, /* socket, connect, bind, listen: ECONNREFUSED */
    FAIL_EVENT = 1 << 6,   /* epoll_*, eventfd, timerfd_*, pthread_create: EMFILE, EAGAIN */
};

#define FAIL_FILES (FAIL_READ | FAIL_WRITE | FAIL_SYNC | FAIL_OPEN)
#define FAIL_ALL   0x7f

/* How a run goes wrong. */
enum fail_manner {
    FAIL_ONCE,
    FAIL_FROM_THEN_ON,
    FAIL_HALF, /* once; a write is done by half, anything else is not done */
};

/* From fail_arm to fail_disarm calls are counted and fail, in every thread but exempt ones. */
void fail_arm(void);
void fail_disarm(void);

/* Something failed since the run began. */
bool fail_was_hit(void);

/* This thread is the test's own, or a peer: nothing fails in it, nor in threads that it starts
 * meanwhile. Calls nest. */
void fail_exempt(bool is_exempt);

/* Play run(arg) until nothing fails any more, in each manner. Says how many calls there were;
 * fails when there was none. stride: 1, or where a run is long every stride-th call. */
void fail_each(const char *says, unsigned kinds, void (*run)(void *arg), void *arg);
void fail_each_stride(const char *says, unsigned kinds, long stride, void (*run)(void *arg),
                      void *arg);

/* So many: of a story over our own calls, and over those inside of libraries. What the environment
 * has as TELEHUB_FAILURE_STRIDE counts instead. */
long fail_stride(long ours, long inside);

/* For what else stands in front of something: is this call one that fails? errno is set then. */
bool fail_here(enum fail_kind kind, int error);

/* For runs that are not a loop: the n-th call from now on fails, n from 1. */
void fail_plan(unsigned kinds, long n, enum fail_manner manner);

/* Calls counted since the plan was made. */
long fail_calls(void);

#endif
