/* ledger.h - what the provider did, folded from the lines of the ledger file.
 *
 * Pure; one thread. Numbers and counters only (about 120 bytes per send): texts and URLs stay in
 * the file, and a send knows where its line lies. Live and replayed lines go through the same
 * ledger_fold, so a restart cannot remember anything else than what was there before.
 */
#ifndef TELEHUB_SANDBOX_LEDGER_H
#define TELEHUB_SANDBOX_LEDGER_H

#include "connectors/sandbox/ledger_line.h"
#include "connectors/sandbox/timeline.h"

#define LEDGER_SENDS_MAX 10000000U
#define REFUSED_CODES_N  32

/* One execution. */
struct send {
    uint64_t to;
    uint64_t line_at; /* offset of its line in the file */
    int64_t at_us;
    uint32_t line_size; /* bytes, without the newline */
    uint32_t delay_ms;
    uint32_t units; /* segments, or seconds */
    uint32_t price_micro;
    uint32_t key_hash; /* 0: it has no key */
    uint32_t previous; /* seq of the one before it to the same number; 0: it is the first */
    uint8_t channel;
    uint8_t outcome;
    uint8_t report;
    uint8_t events;
    uint8_t steps; /* of its timeline, gone through so far */
    uint8_t is_ended;
    uint8_t delivered; /* bit per step whose callback was delivered */
    uint8_t gone;      /* bit per step whose callback was given up */
};

struct refused {
    uint32_t code;
    uint64_t count;
};

struct ledger_counts {
    uint64_t executions;
    uint64_t recipients;       /* distinct numbers that were executed */
    uint64_t recipients_again; /* of them, more than once */
    uint64_t ended;
    uint64_t callbacks_delivered;
    uint64_t callbacks_gone;
    uint64_t refusals;
    int64_t spent_micro;                     /* of ended sends */
    struct refused refused[REFUSED_CODES_N]; /* codes beyond are counted under the last entry */
    size_t refused_n;
};

struct ledger;

/* NULL when there is no memory. */
struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);

TH_AUTO_DEFINE(ledger, struct ledger *, ledger_free)

/* Apply a line that lies at that offset of the file; texts in it are not kept.
 * Errors: TH_CORRUPT  it does not follow from the lines before it
 *         TH_FULL     LEDGER_SENDS_MAX
 *         TH_NOMEM; nothing was applied */
TH_MUST_USE
enum th_code ledger_fold(struct ledger *ledger, const struct line *line, uint64_t at, uint32_t size,
                         struct th_err *err);

/* Of the header; 0 before it was folded. */
uint64_t ledger_id(const struct ledger *ledger);

/* Sends have seq 1 … ledger_size. */
uint32_t ledger_size(const struct ledger *ledger);

/* NULL if there is none of that seq. Valid until ledger_free. */
struct send *ledger_send(const struct ledger *ledger, uint32_t seq);

/* How often that number was tried, refused tries included. */
uint32_t ledger_tries(const struct ledger *ledger, uint64_t number);

/* seq of the newest send to that number; 0 if there is none. */
uint32_t ledger_newest(const struct ledger *ledger, uint64_t number);

/* seq of the send to that number with that key; 0 if there is none. */
uint32_t ledger_keyed(const struct ledger *ledger, uint64_t number, struct th_str key);

/* Time of the newest line about a request; the next must not be older. */
int64_t ledger_last_us(const struct ledger *ledger);

const struct ledger_counts *ledger_counts(const struct ledger *ledger);

/* "SM" or "CA", 16 digits of the ledger's id, 16 of seq, NUL. */
#define SID_SIZE 34
void ledger_sid(const struct ledger *ledger, uint32_t seq, char out_sid[SID_SIZE + 1]);

/* seq of a sid; 0 if no send of this ledger has it. */
uint32_t ledger_seq(const struct ledger *ledger, struct th_str sid);

#endif
