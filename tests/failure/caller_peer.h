/* caller_peer.h - a provider on loopback that answers as Twilio would, and knows what it heard.
 *
 * Everybody in a test has a place, and in every run a number of his own, so that what an earlier
 * run left on the wire is not counted in a later one. One thread, raw sockets.
 */
#ifndef TELEHUB_TESTS_CALLER_PEER_H
#define TELEHUB_TESTS_CALLER_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define CALLER_PEER_PLACES 32
#define CALLER_PEER_TEXT   64

struct caller_peer {
    int port;
    int statuses[CALLER_PEER_PLACES]; /* what a POST to a place is answered */
    int listed_from;                  /* the list's first page holds these, and */
    int listed_until;                 /* the second those from here on, */
    int listed_end;                   /* to here */
    atomic_long run;
    atomic_int heard[CALLER_PEER_PLACES]; /* whole POSTs of this run */

    int listen_fd;
    pthread_t thread;
    atomic_int n_open;
    atomic_bool is_stopping;
};

/* The table's members are set. */
void caller_peer_start(struct caller_peer *peer);
void caller_peer_stop(struct caller_peer *peer);

/* The next run: nothing is heard yet. */
void caller_peer_next(struct caller_peer *peer);

/* After the clients are closed: everything that they sent is counted. */
void caller_peer_settle(struct caller_peer *peer);

/* In the present run: a place's number, and the id of its message. */
void caller_peer_number(const struct caller_peer *peer, int place, char out[CALLER_PEER_TEXT]);
void caller_peer_sid(const struct caller_peer *peer, int place, char out[CALLER_PEER_TEXT]);

#endif
