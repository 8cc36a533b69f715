/* The calls that libraries make (libcurl, libpq, libmicrohttpd, OpenSSL, the C library for them):
 * this executable defines the functions itself, which the dynamic linker finds first. Calls of our
 * own objects pass; those are fail_ours.c's. For tests made with th_failing_inside. */
#include "tests/failure/fail_parts.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAMES_MAX 48

extern const char __executable_start;
extern const char etext;

/* A return address outside of this executable. */
static bool is_inside(const void *from)
{
    return (const char *)from < &__executable_start || (const char *)from >= &etext;
}

/* The function that would have been called, were this file not here. */
static void *next_of(const char *name)
{
    void *next = dlsym(RTLD_NEXT, name);

    if (!next)
        abort();
    return next;
}

#define CALLER __builtin_return_address(0)

/* --- which call, and which are left alone ----------------------------------------------------- */

static _Thread_local size_t wanted; /* bytes, by the call that may fail */

static const struct {
    const char *library;
    const char *beneath; /* a function of its that is being called, or how its name begins */
    size_t size;         /* the memory that it asks for; 0: any */
    const char *why;
} spared[] = {
    {"libcurl.so", "curl_multi_", 416, "7.88, singlesocket: divides by zero without this table"},
    {"libcurl.so", "curl_multi_", 56, "7.88, singlesocket: divides by zero without its entry"},
    {"libc.so", "pthread_getattr_np", 0, "is called by the sanitizer, which ends without it"},
};

static bool is_at(void *frame, const char *library, const char *function)
{
    Dl_info at;

    return dladdr(frame, &at) && at.dli_fname && strstr(at.dli_fname, library) && at.dli_sname &&
           strncmp(at.dli_sname, function, strlen(function)) == 0;
}

/* Said once. */
static bool spare(size_t i)
{
    static atomic_bool is_said[sizeof spared / sizeof spared[0]];

    if (!atomic_exchange(&is_said[i], true))
        dprintf(STDERR_FILENO, "    left alone: %zu bytes in %s*, %s: %s\n", spared[i].size,
                spared[i].beneath, spared[i].library, spared[i].why);
    return true;
}

static bool is_spared(enum fail_kind kind)
{
    void *frames[FRAMES_MAX];
    int n = kind == FAIL_MEMORY ? backtrace(frames, FRAMES_MAX) : 0;

    for (size_t i = 0; i < sizeof spared / sizeof spared[0] && n > 0; i++) {
        for (int k = 0; k < n && (!spared[i].size || spared[i].size == wanted); k++)
            if (is_at(frames[k], spared[i].library, spared[i].beneath))
                return spare(i);
    }
    return false;
}

static void say_where(void)
{
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);

    dprintf(STDERR_FILENO, "    memory: %zu\n", wanted);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
}

void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

__attribute__((constructor)) static void begin(void)
{
    void *frames[1];

    if (__lsan_disable)
        __lsan_disable(); /* what the dynamic linker keeps */
    (void)backtrace(frames, 1);
    if (__lsan_enable)
        __lsan_enable();
    fail_kinds_too = FAIL_ALL;
    fail_is_spared = is_spared;
    fail_say_where = say_where;
}

/* A story may have no such call, but not all of a program's. */
__attribute__((destructor)) static void end(void)
{
    static const char text[] = "no library's call was seen\n";

    if (fail_calls_ever() > 0)
        return;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EXIT_FAILURE);
}

/* The C library names its parameters with underscores. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

/* --- memory: asked for before there is anything else, so not by dlsym, which asks for some ------
 */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t n, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t size) __attribute__((weak));

static bool is_short(const void *from, size_t size)
{
    if (!fail_is_exempt())
        wanted = size;
    return is_inside(from) && fail_here(FAIL_MEMORY, ENOMEM);
}

static void *give(size_t size)
{
    return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *malloc(size_t size)
{
    return is_short(CALLER, size) ? NULL : give(size);
}

void *calloc(size_t n, size_t size)
{
    if (is_short(CALLER, n * size))
        return NULL;
    return __interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    if (is_short(CALLER, size))
        return NULL;
    return __interceptor_realloc ? __interceptor_realloc(p, size) : __libc_realloc(p, size);
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = is_short(CALLER, size) ? NULL : give(size);

    return copy ? memcpy(copy, text, size) : NULL;
}

/* --- the rest. INSIDE(type of result, function, parameters, arguments, kind, errno, result when it
 * fails) ----------------------------------------------------------------------------------------
 */

#define NEXT(name)                                                                                 \
    static void *_Atomic next;                                                                     \
    __typeof__(&(name)) real;                                                                      \
    if (!next)                                                                                     \
        next = next_of(#name);                                                                     \
    void *next_ = next;                                                                            \
    memcpy(&real, &next_, sizeof real)

#define INSIDE(type, name, parameters, arguments, kind, error, failed)                             \
    type name parameters                                                                           \
    {                                                                                              \
        NEXT(name);                                                                                \
        return is_inside(CALLER) && fail_here(kind, error) ? (failed) : real arguments;            \
    }

INSIDE(FILE *, fopen, (const char *restrict path, const char *restrict mode), (path, mode),
       FAIL_OPEN, EMFILE, NULL)
INSIDE(FILE *, fopen64, (const char *restrict path, const char *restrict mode), (path, mode),
       FAIL_OPEN, EMFILE, NULL)

INSIDE(int, socket, (int domain, int type, int protocol), (domain, type, protocol), FAIL_CONNECT,
       EMFILE, -1)
INSIDE(int, socketpair, (int domain, int type, int protocol, int fds[2]),
       (domain, type, protocol, fds), FAIL_CONNECT, EMFILE, -1)
INSIDE(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t n), (fd, to, n), FAIL_CONNECT,
       ECONNREFUSED, -1)
INSIDE(int, bind, (int fd, __CONST_SOCKADDR_ARG to, socklen_t n), (fd, to, n), FAIL_CONNECT,
       EADDRINUSE, -1)
INSIDE(int, listen, (int fd, int n), (fd, n), FAIL_CONNECT, EADDRINUSE, -1)
INSIDE(int, accept4, (int fd, __SOCKADDR_ARG from, socklen_t *restrict n, int flags),
       (fd, from, n, flags), FAIL_CONNECT, EMFILE, -1)
INSIDE(int, getsockopt, (int fd, int level, int name, void *restrict value, socklen_t *restrict n),
       (fd, level, name, value, n), FAIL_CONNECT, ENOBUFS, -1)
INSIDE(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t n),
       (fd, level, name, value, n), FAIL_CONNECT, ENOBUFS, -1)
INSIDE(int, getaddrinfo,
       (const char *restrict host, const char *restrict port, const struct addrinfo *restrict hints,
        struct addrinfo **restrict found),
       (host, port, hints, found), FAIL_CONNECT, ENOMEM, EAI_MEMORY)

INSIDE(int, poll, (struct pollfd * fds, nfds_t n, int wait_ms), (fds, n, wait_ms), FAIL_EVENT,
       ENOMEM, -1)
INSIDE(int, epoll_create1, (int flags), (flags), FAIL_EVENT, EMFILE, -1)
INSIDE(int, eventfd, (unsigned count, int flags), (count, flags), FAIL_EVENT, EMFILE, -1)

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
                   void *(*run)(void *arg), void *restrict arg)
{
    NEXT(pthread_create);
    bool is_ours = !is_inside(CALLER);

    if (is_ours && !fail_is_exempt())
        return real(thread, attr, run, arg);
    return fail_start(real, thread, attr, run, arg);
}

ssize_t read(int fd, void *p, size_t n)
{
    NEXT(read);
    return is_inside(CALLER) && !fail_is_counter(fd) && fail_here(FAIL_READ, EIO) ? -1
                                                                                  : real(fd, p, n);
}

ssize_t write(int fd, const void *p, size_t n)
{
    NEXT(write);
    if (!is_inside(CALLER) || fail_is_counter(fd) || !fail_here(FAIL_WRITE, ENOSPC))
        return real(fd, p, n);
    return fail_by_half(n) ? real(fd, p, n / 2) : -1;
}

/* Taking away cannot fail. */
int epoll_ctl(int fd, int op, int of, struct epoll_event *event)
{
    NEXT(epoll_ctl);
    return is_inside(CALLER) && op != EPOLL_CTL_DEL && fail_here(FAIL_EVENT, ENOMEM)
               ? -1
               : real(fd, op, of, event);
}

/* A connection that broke stays so: who fails to write may wait for what is to be read. */
static ssize_t break_off(int fd, int error)
{
    (void)shutdown(fd, SHUT_RDWR);
    errno = error;
    return -1;
}

static bool is_broken(const void *from, enum fail_kind kind)
{
    return is_inside(from) && fail_here(kind, 0);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    NEXT(recv);
    return is_broken(CALLER, FAIL_READ) ? break_off(fd, ECONNRESET) : real(fd, p, n, flags);
}

ssize_t recvfrom(int fd, void *restrict p, size_t n, int flags, __SOCKADDR_ARG from,
                 socklen_t *restrict size)
{
    NEXT(recvfrom);
    return is_broken(CALLER, FAIL_READ) ? break_off(fd, ECONNRESET)
                                        : real(fd, p, n, flags, from, size);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    NEXT(send);
    if (!is_broken(CALLER, FAIL_WRITE))
        return real(fd, p, n, flags);
    return fail_by_half(n) ? real(fd, p, n / 2, flags) : break_off(fd, EPIPE);
}

ssize_t sendto(int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t size)
{
    NEXT(sendto);
    if (!is_broken(CALLER, FAIL_WRITE))
        return real(fd, p, n, flags, to, size);
    return fail_by_half(n) ? real(fd, p, n / 2, flags, to, size) : break_off(fd, EPIPE);
}

/* By half: what its first piece holds. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg);
    struct msghdr half = *message;

    if (!is_broken(CALLER, FAIL_WRITE))
        return real(fd, message, flags);
    half.msg_iovlen = 1;
    return fail_by_half(message->msg_iovlen) ? real(fd, &half, flags) : break_off(fd, EPIPE);
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return is_inside(CALLER) && fail_here(FAIL_OPEN, flags & O_CREAT ? ENOSPC : EMFILE)
               ? -1
               : real(path, flags, mode);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
