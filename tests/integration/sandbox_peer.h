/* sandbox_peer.h - the world around a telehub-sandbox under test: the process itself, a client
 * that asks it, and a receiver that takes its callbacks and checks their signatures.
 */
#ifndef TELEHUB_TESTS_SANDBOX_PEER_H
#define TELEHUB_TESTS_SANDBOX_PEER_H

#include "common/buf.h"

#include <stdbool.h>
#include <sys/types.h>

#define PEER_ACCOUNT "AC00000000000000000000000000000001"
#define PEER_SECRET  "0123456789abcdef0123456789abcdef"

/* A running (or killed) sandbox and its folder. */
struct sandbox {
    pid_t pid; /* 0: not running */
    unsigned port;
    char folder[64];
};

/* Make an empty folder with a secret. */
void sandbox_prepare(struct sandbox *sandbox);

/* Start with these further options (ends with NULL) and wait until it serves; on the port it had
 * before, if it had one. */
void sandbox_start(struct sandbox *sandbox, const char *const *options);

/* Start and wait for its end; its exit status. */
int sandbox_run(struct sandbox *sandbox, const char *const *options);

/* Send the signal and wait; the exit status, or -1 if the signal ended it. */
int sandbox_stop(struct sandbox *sandbox, int signal);

/* Stop if need be, and remove the folder. */
void sandbox_remove(struct sandbox *sandbox);

struct answer {
    long status;      /* 0: no answer */
    long retry_after; /* -1: no such header */
    struct th_buf body;
};

/* form NULL: GET. path from the root, or for the account from "@". Any thread. */
void sandbox_ask(const struct sandbox *sandbox, const char *path, const char *form,
                 struct answer *out_answer);
void answer_fini(struct answer *answer);

/* One callback as it came in. */
struct callback {
    char target[128]; /* path and query */
    char status[32];  /* MessageStatus or CallStatus */
    char sid[40];
    int sequence; /* SequenceNumber; -1: none */
    bool is_signed;
};

/* An HTTP server of its own thread. */
struct receiver;
struct receiver *receiver_open(unsigned port);  /* 0: any free one */
void receiver_close(struct receiver *receiver); /* accepts NULL */
unsigned receiver_port(const struct receiver *receiver);

/* What it answers from now on. */
void receiver_answer(struct receiver *receiver, unsigned status);

/* Wait until n callbacks were accepted (2xx), at most that long; how many there are. */
size_t receiver_wait(struct receiver *receiver, size_t n, int timeout_ms);

/* The i-th accepted one; and how many were refused. */
struct callback receiver_at(struct receiver *receiver, size_t i);
size_t receiver_refused(struct receiver *receiver);

#endif
