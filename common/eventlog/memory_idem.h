/* memory_idem.h - the idempotency keys that a memory log has seen, and the answers it gave.
 * Part of the memory log, used under its mutex.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_MEMORY_IDEM_H
#define TELEHUB_COMMON_EVENTLOG_MEMORY_IDEM_H

#include "common/eventlog/memory_store.h"

struct memory_answer {
    struct memory_answer *next_in_bucket;
    struct memory_answer *newer; /* by first_seen_us */
    struct memory_answer *older;
    uint64_t hash;
    int64_t first_seen_us;
    int status;
    uint8_t fingerprint[32];
    struct th_str tenant, route, key, body; /* in the bytes below */
    size_t cost;
    char bytes[];
};

struct memory_idem {
    struct memory_store *store; /* pays for what is kept */
    struct memory_answer **buckets;
    size_t buckets_n; /* a power of two, or 0 */
    size_t n;
    struct memory_answer *oldest;
    struct memory_answer *newest;
};

void memory_idem_init(struct memory_idem *idem, struct memory_store *store);
void memory_idem_fini(struct memory_idem *idem);

/* Forget what is older than 48 h. */
void memory_idem_expire(struct memory_idem *idem, int64_t now_us);

/* NULL if the claim's key was not seen. */
const struct memory_answer *memory_idem_find(const struct memory_idem *idem,
                                             const struct log_claim *claim);

/* Keep the answer of a claim whose key was not seen. Errors: TH_FULL, TH_NOMEM. */
TH_MUST_USE
enum th_code memory_idem_add(struct memory_idem *idem, const struct log_claim *claim,
                             int64_t now_us);

/* The claim that was kept; borrows the answer's bytes. */
struct log_claim memory_idem_claim(const struct memory_answer *answer);

/* Undo the last n additions. */
void memory_idem_remove_newest(struct memory_idem *idem, size_t n);

#endif
