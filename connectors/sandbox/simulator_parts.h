/* simulator_parts.h - what the files of the simulator share; nobody else includes it.
 *
 *   simulator.c   opens, replays, loops
 *   orders.c      a POST: decided, recorded, answered when it is durable and due
 *   progress.c    what comes after: steps, ends, callbacks
 *   api.c         routes, and the resources that GET shows
 *   ledger_api.c  what tests ask: the ledger, its summary, the settings
 */
#ifndef TELEHUB_SANDBOX_SIMULATOR_PARTS_H
#define TELEHUB_SANDBOX_SIMULATOR_PARTS_H

#include "connectors/sandbox/callbacks.h"
#include "connectors/sandbox/http_server.h"
#include "connectors/sandbox/journal.h"
#include "connectors/sandbox/ledger.h"
#include "connectors/sandbox/simulator.h"
#include "connectors/sandbox/timers.h"
#include "connectors/sandbox/wire_twilio.h"

#define SCRATCH_MAX ((size_t)4 * 1024 * 1024) /* bytes that serving one request may take */

struct pending_answer;

struct simulator {
    struct settings settings;
    struct th_str account;
    struct th_str secret;
    struct th_buf authorization; /* the header that a client must send */
    struct ledger *ledger;
    struct journal *journal;
    struct http_server *server;
    struct callbacks *callbacks;
    struct timers answers;            /* what: struct pending_answer * */
    struct timers steps;              /* what: seq */
    struct timers reports;            /* what: see progress.c */
    struct pending_answer *undurable; /* in the order of the journal */
    struct pending_answer *undurable_last;
    int64_t undurable_due_us; /* the earliest of them; INT64_MAX: none */
    int64_t sync_by_us;       /* have the journal written; INT64_MAX: nothing is unwritten */
    int64_t turned_us;        /* when the loop last had its turn */
    uint32_t visible;         /* sends up to this seq are durable */
    uint32_t in_flight;
    uint32_t in_flight_max;
    int64_t clock_base_us; /* UTC minus monotonic, when the process began */
    bool is_stopping;
    struct th_arena scratch; /* of the request or callback at hand */
    struct th_buf line;
    struct th_err failure; /* not TH_OK: the loop ends */
};

/* UTC that goes on steadily, never behind the ledger. */
int64_t simulator_now_us(const struct simulator *s);

/* Remember why the loop must end. */
void simulator_fail(struct simulator *s, enum th_code code, const char *what);

/* Append a line to the ledger; *out_end, if asked for, is the offset it is durable at, which nobody
 * waits for: see simulator_sync_by. False: the simulator has failed. */
bool simulator_record(struct simulator *s, const struct line *line, uint64_t *out_end);

/* What was recorded is wanted durable at that time; the writing begins some milliseconds before. */
void simulator_sync_by(struct simulator *s, int64_t wanted_us);

/* The line of a durable send, its texts in scratch; false if it cannot be read (the simulator has
 * failed then). */
bool simulator_line(struct simulator *s, uint32_t seq, struct line_execution *out_line);

/* A send as GET shows it after that many steps; sid holds its sid. */
struct wire_resource simulator_resource(const struct simulator *s,
                                        const struct line_execution *line, unsigned steps,
                                        char sid[SID_SIZE + 1]);

/* orders.c */
void orders_take(struct simulator *s, struct http_request *request, enum channel channel);
void orders_on_durable(struct simulator *s);
void orders_on_time(struct simulator *s, int64_t now_us);
struct pending_answer *orders_forget(struct pending_answer *answer); /* frees it; its next */

/* progress.c */
void progress_begin(struct simulator *s, uint32_t seq);
void progress_resume(struct simulator *s); /* all that a replayed ledger left open */
void progress_on_time(struct simulator *s, int64_t now_us);

/* When it should be called again, which may be a little after something is due, so that much is due
 * together; INT64_MAX: nothing waits for time. */
int64_t progress_next_us(const struct simulator *s);

void progress_on_reported(void *simulator, uint64_t what, unsigned http_status);

/* api.c */
void api_handle(void *simulator, struct http_request *request);
void api_refuse(struct simulator *s, struct http_request *request, uint32_t code,
                unsigned http_status);

/* ledger_api.c; false: not one of its paths */
bool ledger_api_handle(struct simulator *s, struct http_request *request);

#endif
