/* The calls that our own objects make, caught by the linker (--wrap). For tests made with
 * th_failing. */
#include "tests/failure/fail_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* --- what is called instead. WRAP(type of result, function, parameters, arguments, kind, errno,
 * result when it fails) ----------------------------------------------------------------------- */

#define WRAP(type, name, parameters, arguments, kind, error, failed)                               \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fail_here(kind, error) ? (failed) : __real_##name arguments;                        \
    }

WRAP(void *, malloc, (size_t size), (size), FAIL_MEMORY, ENOMEM, NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), FAIL_MEMORY, ENOMEM, NULL)
WRAP(void *, realloc, (void *p, size_t size), (p, size), FAIL_MEMORY, ENOMEM, NULL)
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), FAIL_MEMORY, ENOMEM,
     NULL)
WRAP(char *, strdup, (const char *text), (text), FAIL_MEMORY, ENOMEM, NULL)
WRAP(char *, strndup, (const char *text, size_t n), (text, n), FAIL_MEMORY, ENOMEM, NULL)

WRAP(ssize_t, pread, (int fd, void *p, size_t n, off_t at), (fd, p, n, at), FAIL_READ, EIO, -1)
WRAP(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), FAIL_READ,
     ECONNRESET, -1)
WRAP(char *, fgets, (char *p, int n, FILE *file), (p, n, file), FAIL_READ, EIO, NULL)

WRAP(int, fflush, (FILE * file), (file), FAIL_WRITE, ENOSPC, EOF)
WRAP(int, ftruncate, (int fd, off_t size), (fd, size), FAIL_WRITE, EIO, -1)
WRAP(int, fputs, (const char *text, FILE *file), (text, file), FAIL_WRITE, ENOSPC, EOF)

WRAP(int, fsync, (int fd), (fd), FAIL_SYNC, EIO, -1)
WRAP(int, fdatasync, (int fd), (fd), FAIL_SYNC, EIO, -1)

WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), FAIL_OPEN, EMFILE, NULL)
WRAP(FILE *, fdopen, (int fd, const char *mode), (fd, mode), FAIL_OPEN, ENOMEM, NULL)
WRAP(DIR *, opendir, (const char *path), (path), FAIL_OPEN, EMFILE, NULL)
WRAP(int, mkstemp, (char *path), (path), FAIL_OPEN, ENOSPC, -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), FAIL_OPEN, ENOSPC, -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), FAIL_OPEN, ENOSPC, -1)

WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), FAIL_CONNECT,
     EMFILE, -1)
WRAP(int, connect, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n), FAIL_CONNECT,
     ECONNREFUSED, -1)
WRAP(int, bind, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n), FAIL_CONNECT,
     EADDRINUSE, -1)
WRAP(int, listen, (int fd, int n), (fd, n), FAIL_CONNECT, EADDRINUSE, -1)

WRAP(int, epoll_create1, (int flags), (flags), FAIL_EVENT, EMFILE, -1)
WRAP(int, epoll_ctl, (int fd, int op, int of, struct epoll_event *event), (fd, op, of, event),
     FAIL_EVENT, ENOMEM, -1)
WRAP(int, eventfd, (unsigned count, int flags), (count, flags), FAIL_EVENT, EMFILE, -1)
WRAP(int, timerfd_create, (int clock, int flags), (clock, flags), FAIL_EVENT, EMFILE, -1)
/* --- those with more to them ------------------------------------------------------------------ */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    return fail_start(__real_pthread_create, thread, attr, run, arg);
}

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
size_t __real_fread(void *p, size_t size, size_t n, FILE *file);
size_t __wrap_fread(void *p, size_t size, size_t n, FILE *file);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
size_t __real_fwrite(const void *p, size_t size, size_t n, FILE *file);
size_t __wrap_fwrite(const void *p, size_t size, size_t n, FILE *file);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);

/* A file that cannot be read says so: ferror holds from then on, errno is EBADF. */
size_t __wrap_fread(void *p, size_t size, size_t n, FILE *file)
{
    if (!fail_here(FAIL_READ, EIO))
        return __real_fread(p, size, n, file);
    int fd = dup(fileno(file));
    int nowhere = __real_open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, fileno(file));
    size_t got = __real_fread(p, size, n, file);
    dup2(fd, fileno(file));
    close(fd);
    close(nowhere);
    return got;
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
    return !fail_is_counter(fd) && fail_here(FAIL_READ, EIO) ? -1 : __real_read(fd, p, n);
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (fail_is_counter(fd) || !fail_here(FAIL_WRITE, ENOSPC))
        return __real_write(fd, p, n);
    return fail_by_half(n) ? __real_write(fd, p, n / 2) : -1;
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
    if (!fail_here(FAIL_WRITE, EPIPE))
        return __real_send(fd, p, n, flags);
    return fail_by_half(n) ? __real_send(fd, p, n / 2, flags) : -1;
}

size_t __wrap_fwrite(const void *p, size_t size, size_t n, FILE *file)
{
    if (!fail_here(FAIL_WRITE, ENOSPC))
        return __real_fwrite(p, size, n, file);
    return fail_by_half(n * size) ? __real_fwrite(p, 1, size * n / 2, file) / size : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fail_here(FAIL_OPEN, flags & O_CREAT ? ENOSPC : EMFILE) ? -1
                                                                   : __real_open(path, flags, mode);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fail_here(FAIL_OPEN, flags & O_CREAT ? ENOSPC : EMFILE)
               ? -1
               : __real_openat(dir, path, flags, mode);
}
