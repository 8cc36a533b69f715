/* ingest.h - requests on their way into the log: gathered behind the running call.
 *
 * A lane is one writer thread. While it waits for th_log_ingest the requests that arrive queue up;
 * the next call takes all of them, up to INGEST_BATCH_BYTES. So one request alone waits for
 * nothing, and many share a commit. Callbacks have a lane of their own: the API's load does not
 * delay them.
 */
#ifndef TELEHUB_GATEWAY_INGEST_H
#define TELEHUB_GATEWAY_INGEST_H

#include "common/metrics.h"
#include "connectors/gateway/request.h"

#define INGEST_BATCH_BYTES  ((size_t)256 * 1024)
#define INGEST_BATCH_CLAIMS 1024

struct ingest;

struct ingest_config {
    struct th_log *log;
    size_t pending_bytes_max;
    int64_t pending_age_us;
    const char *name;           /* of the thread, at most 15 characters */
    struct th_series *seconds;  /* of the log's calls; these three may be NULL */
    struct th_series *claims;   /* requests of a call */
    struct th_series *failures; /* calls that failed */
    /* A request was stored, replayed, refused or failed: make its answer and finish it. failure is
     * TH_OK when its claim holds an outcome. Called in the writer's thread. */
    void (*done)(struct request *request, enum th_code failure);
};

TH_MUST_USE
enum th_code ingest_open(const struct ingest_config *config, struct ingest **out_ingest,
                         struct th_err *err);

/* Finishes what it was given. Accepts NULL. */
void ingest_close(struct ingest *ingest);

enum ingest_admission {
    INGEST_ADMITTED,   /* done will be called */
    INGEST_OVERLOADED, /* too many bytes wait, or one for too long */
    INGEST_IN_FLIGHT,  /* a request with the same key is being worked on */
};

/* To be followed by ingest_kick. The caller must own the request, which may be suspended: done can
 * be called before this returns. Not admitted: nothing happened. */
enum ingest_admission ingest_submit(struct ingest *ingest, struct request *request);

/* Have what was submitted written, if the writer is not writing anyway. Many submissions that come
 * together are kicked once, so that they share the first call and not only the second. Any thread.
 */
void ingest_kick(struct ingest *ingest);

struct ingest_figures {
    uint64_t calls;
    uint64_t claims;
    int64_t last_us; /* how long the last call took */
    bool is_failing; /* the last call failed */
    size_t waiting;  /* requests */
    size_t bytes;
};

/* Any thread. */
struct ingest_figures ingest_figures(struct ingest *ingest);

#endif
