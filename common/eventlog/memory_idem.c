#include "common/eventlog/memory_idem.h"

#include <assert.h>
#include <string.h>

#include "common/hash.h"

#define KEPT_US       (INT64_C(48) * 3600 * 1000000)
#define BUCKETS_FIRST 64

void memory_idem_init(struct memory_idem *idem, struct memory_store *store)
{
    *idem = (struct memory_idem){.store = store};
}

static uint64_t hash_claim(const struct log_claim *claim)
{
    uint64_t hash = th_hash64(claim->tenant, 0);

    return th_hash64(claim->key, th_hash64(claim->route, hash));
}

static struct memory_answer **bucket_of(const struct memory_idem *idem, uint64_t hash)
{
    return &idem->buckets[hash & (idem->buckets_n - 1)];
}

static void remove_answer(struct memory_idem *idem, struct memory_answer *answer)
{
    struct memory_answer **at = bucket_of(idem, answer->hash);

    while (*at != answer)
        at = &(*at)->next_in_bucket;
    *at = answer->next_in_bucket;
    if (answer->older)
        answer->older->newer = answer->newer;
    else
        idem->oldest = answer->newer;
    if (answer->newer)
        answer->newer->older = answer->older;
    else
        idem->newest = answer->older;
    idem->n--;
    memory_store_refund(idem->store, answer->cost);
    free(answer);
}

void memory_idem_fini(struct memory_idem *idem)
{
    while (idem->oldest)
        remove_answer(idem, idem->oldest);
    free(idem->buckets);
    *idem = (struct memory_idem){0};
}

void memory_idem_expire(struct memory_idem *idem, int64_t now_us)
{
    while (idem->oldest && now_us - idem->oldest->first_seen_us > KEPT_US)
        remove_answer(idem, idem->oldest);
}

const struct memory_answer *memory_idem_find(const struct memory_idem *idem,
                                             const struct log_claim *claim)
{
    if (idem->n == 0)
        return NULL;
    uint64_t hash = hash_claim(claim);
    const struct memory_answer *at = *bucket_of(idem, hash);

    for (; at; at = at->next_in_bucket)
        if (at->hash == hash && th_str_eq(at->key, claim->key) &&
            th_str_eq(at->route, claim->route) && th_str_eq(at->tenant, claim->tenant))
            return at;
    return NULL;
}

static enum th_code grow(struct memory_idem *idem)
{
    size_t n = idem->buckets_n ? idem->buckets_n * 2 : BUCKETS_FIRST;
    struct memory_answer **buckets = calloc(n, sizeof(struct memory_answer *));

    if (!buckets)
        return TH_NOMEM;
    free(idem->buckets);
    idem->buckets = buckets;
    idem->buckets_n = n;
    for (struct memory_answer *at = idem->oldest; at; at = at->newer) {
        struct memory_answer **bucket = bucket_of(idem, at->hash);
        at->next_in_bucket = *bucket;
        *bucket = at;
    }
    return TH_OK;
}

static struct th_str keep(char **at, struct th_str s)
{
    struct th_str kept = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

static struct memory_answer *new_answer(const struct log_claim *claim, size_t size)
{
    struct memory_answer *answer = malloc(size);

    if (!answer)
        return NULL;
    *answer = (struct memory_answer){.status = claim->status, .cost = size};
    memcpy(answer->fingerprint, claim->fingerprint, sizeof answer->fingerprint);
    char *at = answer->bytes;
    answer->tenant = keep(&at, claim->tenant);
    answer->route = keep(&at, claim->route);
    answer->key = keep(&at, claim->key);
    answer->body = keep(&at, claim->body);
    return answer;
}

static void link_newest(struct memory_idem *idem, struct memory_answer *answer)
{
    struct memory_answer **bucket = bucket_of(idem, answer->hash);

    answer->next_in_bucket = *bucket;
    *bucket = answer;
    answer->older = idem->newest;
    if (idem->newest)
        idem->newest->newer = answer;
    else
        idem->oldest = answer;
    idem->newest = answer;
    idem->n++;
}

enum th_code memory_idem_add(struct memory_idem *idem, const struct log_claim *claim,
                             int64_t now_us)
{
    size_t size = sizeof(struct memory_answer) + claim->tenant.n + claim->route.n + claim->key.n +
                  claim->body.n;

    if (idem->n == idem->buckets_n)
        TH_TRY(grow(idem));
    if (!memory_store_charge(idem->store, size))
        return TH_FULL;
    struct memory_answer *answer = new_answer(claim, size);
    if (!answer) {
        memory_store_refund(idem->store, size);
        return TH_NOMEM;
    }
    answer->hash = hash_claim(claim);
    answer->first_seen_us = now_us;
    link_newest(idem, answer);
    return TH_OK;
}

struct log_claim memory_idem_claim(const struct memory_answer *answer)
{
    struct log_claim claim = {
        .tenant = answer->tenant,
        .route = answer->route,
        .key = answer->key,
        .status = answer->status,
        .body = answer->body,
    };

    memcpy(claim.fingerprint, answer->fingerprint, sizeof claim.fingerprint);
    return claim;
}

void memory_idem_remove_newest(struct memory_idem *idem, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(idem->newest && !idem->newest->newer);
        remove_answer(idem, idem->newest);
    }
}
