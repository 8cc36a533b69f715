/* match.h - our sends and a ledger's executions, attempt by attempt. Pure but for malloc.
 *
 * An attempt that we call accepted must have been executed once; one whose outcome nobody knows may
 * have been; any other must not. A send agrees if all its attempts do, and each was for its number.
 */
#ifndef TELEHUB_PROCESSORS_CLI_MATCH_H
#define TELEHUB_PROCESSORS_CLI_MATCH_H

#include "common/ids.h"

#define MATCH_PHONE_MAX 20
#define MATCH_ATTEMPTS_MAX                                                                         \
    64 /* of one send; those beyond are as if executed for another number                          \
        */

struct match_send {
    struct th_id send;
    char phone[MATCH_PHONE_MAX];
    uint64_t must; /* attempts that were executed, bit n-1 */
    uint64_t may;  /* attempts of which nobody knows */
    uint64_t there;
    bool is_other; /* executed for another number, or one attempt twice */
};

/* Zero-initialise. */
struct match {
    struct match_send *sends; /* owned; sorted once executions are taken */
    size_t n;
    size_t cap;
    bool is_sorted;
    int64_t strangers; /* executions of sends that we do not have */
};

enum match_verdict {
    MATCH_AGREES,
    MATCH_ONLY_HERE,  /* accepted here, and never executed */
    MATCH_ONLY_THERE, /* executed, though nothing here says so */
    MATCH_DIFFERENT,
};

void match_fini(struct match *match);

/* Bit of an attempt; 0 beyond MATCH_ATTEMPTS_MAX. */
uint64_t match_bit(int64_t n);

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code match_add(struct match *match, const struct match_send *send);

/* After the last match_add. */
void match_execution(struct match *match, struct th_id send, int64_t n, struct th_str to);

enum match_verdict match_judge(const struct match_send *send);

/* The attempt that a callback URL names (common/callback_token.h); whether it is signed is the
 * gateway's business. */
bool match_attempt_of_url(struct th_str url, struct th_id *out_send, int64_t *out_n);

#endif
