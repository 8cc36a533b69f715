/* watches.h - which of libcurl's sockets epoll watches.
 *
 * libcurl forgets a socket when a request ends and asks for it again when the next one begins on
 * the same connection. Nothing comes in between, so a connection that is kept stays in epoll: that
 * saves two calls of the system for every request. Only what epoll reports although nobody waits
 * for it (the peer closed) is taken out.
 *
 * A number that the system gave to another socket meanwhile must not pass for the one before: only
 * sockets that were opened and will be closed through this file stay.
 */
#ifndef TELEHUB_CONNECTORS_HTTP_WATCHES_H
#define TELEHUB_CONNECTORS_HTTP_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch {
    uint32_t wanted; /* events of epoll that libcurl waits for */
    uint32_t set;    /* events that epoll was told */
    bool is_ours;    /* opened here, not yet closed */
};

struct watches {
    int epoll_fd;      /* borrowed */
    struct watch *all; /* owned; by descriptor */
    size_t n;
};

void watches_init(struct watches *watches, int epoll_fd);
void watches_fini(struct watches *watches);

/* A socket, as socket(2); -1 if there is none. */
int watches_open(struct watches *watches, int family, int type, int protocol);
int watches_close(struct watches *watches, int fd);

/* Wait for these events of fd; of none: not any more. tag comes back in what epoll reports, above
 * the descriptor's 32 bits. False: epoll refused, nobody will hear of fd. */
bool watches_want(struct watches *watches, int fd, uint32_t events, uint32_t tag);

/* epoll reported fd. False: nobody waits for it; epoll will not report it again. */
bool watches_heard(struct watches *watches, int fd);

#endif
