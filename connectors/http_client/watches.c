#include "connectors/http_client/watches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_FIRST 64

void watches_init(struct watches *watches, int epoll_fd)
{
    *watches = (struct watches){.epoll_fd = epoll_fd};
}

void watches_fini(struct watches *watches)
{
    free(watches->all);
    watches->all = NULL;
    watches->n = 0;
}

/* NULL: it is not one of ours. */
static struct watch *watch_of(const struct watches *watches, int fd)
{
    struct watch *watch = (size_t)fd < watches->n ? &watches->all[fd] : NULL;

    return watch && watch->is_ours ? watch : NULL;
}

static bool has_room(struct watches *watches, int fd)
{
    size_t n = watches->n ? watches->n : FDS_FIRST;

    while (n <= (size_t)fd)
        n *= 2;
    if (n == watches->n)
        return true;
    struct watch *all = realloc(watches->all, n * sizeof *all);
    if (!all)
        return false;
    memset(all + watches->n, 0, (n - watches->n) * sizeof *all);
    watches->all = all;
    watches->n = n;
    return true;
}

/* Without memory to note it, it goes in and out of epoll as libcurl asks. */
int watches_open(struct watches *watches, int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);

    if (fd >= 0 && has_room(watches, fd))
        watches->all[fd] = (struct watch){.is_ours = true};
    return fd;
}

int watches_close(struct watches *watches, int fd)
{
    struct watch *watch = watch_of(watches, fd);

    if (watch)
        *watch = (struct watch){0};
    return close(fd); /* takes it out of epoll as well */
}

/* Whether epoll knows fd is a guess: it is told in the other way if that was wrong. */
static bool tell(const struct watches *watches, int fd, bool is_known, uint32_t events,
                 uint32_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};
    int failed = epoll_ctl(watches->epoll_fd, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);

    if (failed && errno == ENOENT)
        failed = epoll_ctl(watches->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    else if (failed && errno == EEXIST)
        failed = epoll_ctl(watches->epoll_fd, EPOLL_CTL_MOD, fd, &event);
    return !failed;
}

bool watches_want(struct watches *watches, int fd, uint32_t events, uint32_t tag)
{
    struct watch *watch = watch_of(watches, fd);

    if (!watch && !events) {
        (void)epoll_ctl(watches->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* gone already if closed */
        return true;
    }
    if (!watch)
        return tell(watches, fd, false, events, tag);
    watch->wanted = events;
    if (!events || events == watch->set)
        return true;
    bool is_told = tell(watches, fd, watch->set != 0, events, tag);
    watch->set = is_told ? events : 0;
    return is_told;
}

bool watches_heard(struct watches *watches, int fd)
{
    struct watch *watch = watch_of(watches, fd);

    if (!watch || watch->wanted)
        return true;
    (void)epoll_ctl(watches->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    watch->set = 0;
    return false;
}
