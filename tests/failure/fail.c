#include "tests/failure/fail.h"

#include "tests/failure/fail_parts.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What fails from then on works again after so many failures, so that nobody who tries again and
 * again does so for ever. */
#define FAILURES_MAX 1000

static struct {
    unsigned kinds;
    enum fail_manner manner;
    long nth;
    atomic_long calls;
    atomic_bool is_armed;
    atomic_bool is_hit;
    atomic_long calls_ever;
    atomic_bool is_reached; /* the n-th call was made; it failed, or was spared */
} plan;

unsigned fail_kinds_too;
bool (*fail_is_spared)(enum fail_kind kind);
void (*fail_say_where)(void);

static _Thread_local int exempt;

void fail_exempt(bool is_exempt)
{
    exempt += is_exempt ? 1 : -1;
}

void fail_arm(void)
{
    atomic_store(&plan.is_armed, true);
}

void fail_disarm(void)
{
    atomic_store(&plan.is_armed, false);
}

bool fail_was_hit(void)
{
    return atomic_load(&plan.is_hit);
}

void fail_plan(unsigned kinds, long n, enum fail_manner manner)
{
    plan.kinds = kinds | fail_kinds_too;
    plan.nth = n;
    plan.manner = manner;
    atomic_store(&plan.calls, 0);
    atomic_store(&plan.is_hit, false);
    atomic_store(&plan.is_reached, false);
}

long fail_calls(void)
{
    return atomic_load(&plan.calls);
}

void __sanitizer_print_stack_trace(void) __attribute__((weak));

/* With TELEHUB_FAILURE_SAY in the environment each failure is said: which call, where. */
static void say(long call, enum fail_kind kind)
{
    if (!getenv("TELEHUB_FAILURE_SAY"))
        return;
    dprintf(STDERR_FILENO, "    call %ld, of kind %#x, fails in manner %d\n", call, kind,
            (int)plan.manner);
    if (fail_say_where)
        fail_say_where();
    else if (__sanitizer_print_stack_trace)
        __sanitizer_print_stack_trace();
}

bool fail_here(enum fail_kind kind, int error)
{
    if (exempt || !atomic_load(&plan.is_armed) || !(plan.kinds & kind))
        return false;
    long call = atomic_fetch_add(&plan.calls, 1) + 1;
    atomic_fetch_add(&plan.calls_ever, 1);
    long last = plan.manner == FAIL_FROM_THEN_ON ? plan.nth + FAILURES_MAX : plan.nth;
    if (call < plan.nth || call > last)
        return false;
    atomic_store(&plan.is_reached, true);
    exempt++; /* what looking and saying need */
    bool is_spared = fail_is_spared && fail_is_spared(kind);
    if (!is_spared) {
        atomic_store(&plan.is_hit, true);
        say(call, kind);
    }
    exempt--;
    errno = error;
    return !is_spared;
}

static long play(unsigned kinds, enum fail_manner manner, long stride, void (*run)(void *arg),
                 void *arg)
{
    long n = 1;

    for (;; n += stride) {
        fail_plan(kinds, n, manner);
        run(arg);
        assert_false(atomic_load(&plan.is_armed));
        if (!atomic_load(&plan.is_reached))
            return fail_calls();
    }
}

long fail_stride(long ours, long inside)
{
    const char *stride = getenv("TELEHUB_FAILURE_STRIDE");

    if (stride)
        return strtol(stride, NULL, 10);
    return fail_kinds_too ? inside : ours;
}

void fail_each_stride(const char *says, unsigned kinds, long stride, void (*run)(void *arg),
                      void *arg)
{
    print_message("  %s\n", says);
    long calls = play(kinds, FAIL_ONCE, stride, run, arg);
    assert_true(calls > 0 || fail_is_spared);
    (void)play(kinds, FAIL_FROM_THEN_ON, stride, run, arg);
    if ((kinds | fail_kinds_too) & FAIL_WRITE)
        (void)play(kinds, FAIL_HALF, stride, run, arg);
    print_message("    %ld calls\n", calls);
}

void fail_each(const char *says, unsigned kinds, void (*run)(void *arg), void *arg)
{
    fail_each_stride(says, kinds, 1, run, arg);
}

/* --- what both ways share --------------------------------------------------------------------- */

bool fail_is_exempt(void)
{
    return exempt > 0;
}

long fail_calls_ever(void)
{
    return atomic_load(&plan.calls_ever);
}

bool fail_by_half(size_t n)
{
    return plan.manner == FAIL_HALF && n > 1;
}

bool fail_is_counter(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

struct start {
    void *(*run)(void *arg);
    void *arg;
};

static void *start_exempt(void *arg)
{
    struct start start = *(struct start *)arg;

    free(arg);
    exempt = 1;
    return start.run(start.arg);
}

int fail_start(fail_start_fn *start, pthread_t *thread, const pthread_attr_t *attr,
               void *(*run)(void *arg), void *arg)
{
    if (!exempt)
        return fail_here(FAIL_EVENT, EAGAIN) ? EAGAIN : start(thread, attr, run, arg);
    struct start *what = malloc(sizeof *what);
    if (!what)
        return EAGAIN;
    *what = (struct start){run, arg};
    int code = start(thread, attr, start_exempt, what);
    if (code != 0)
        free(what);
    return code;
}
