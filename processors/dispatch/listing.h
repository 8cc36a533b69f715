/* listing.h - look-ups that can wait gather, and are asked for together: as pages of the list of
 * what the account has sent lately, newest first.
 *
 * One request brings a hundred answers instead of one. That pays while many of the newest are among
 * those asked for: what was sent meanwhile is counted, and where the list would hold much else the
 * look-ups are asked one by one. Pure, one thread; jobs are lent to it.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_LISTING_H
#define TELEHUB_PROCESSORS_DISPATCH_LISTING_H

#include "common/eventlog/name_index.h"
#include "processors/dispatch/job.h"

#define LISTING_GATHERED_MAX 2000 /* then it is time, however long they have waited */
#define LISTING_JOBS_MIN     8    /* fewer are asked one by one */
#define LISTING_SECONDS      64   /* of which what was sent is remembered */

struct listing {
    struct job_list gathered; /* in the order of their coming */
    size_t gathered_n;

    /* what is being asked for; jobs that were found are NULL */
    bool is_running;
    int32_t lane;
    enum channel channel;
    struct job **jobs;
    size_t jobs_n;
    size_t jobs_cap;
    size_t open_n; /* not found yet */
    size_t pages_left;
    struct name_index index;

    struct {
        int64_t second; /* UTC */
        size_t n;
    } sent[LISTING_SECONDS];
};

void listing_init(struct listing *listing);

/* Memory of its own only: take the jobs out first (listing_take_all). */
void listing_fini(struct listing *listing);

/* A call leaves now. */
void listing_count_call(struct listing *listing, int64_t now_us);

void listing_gather(struct listing *listing, struct job *job);

/* None is being asked for, and the first has waited for wait_us or there are too many to wait. */
bool listing_is_due(const struct listing *listing, int64_t boot_us, int64_t wait_us);

/* Begin with those of the first one's lane and channel. True: ask for pages. False: those jobs were
 * put into singles, to be asked one by one. */
bool listing_begin(struct listing *listing, struct job_list *singles);

/* The job that asked for this id; it is taken out. NULL: nobody does. */
struct job *listing_find(struct listing *listing, struct th_str provider_id);

/* Is another page worth asking for? Counts it. */
bool listing_wants_page(struct listing *listing);

/* No more pages: those that were not found go into rest. */
void listing_end(struct listing *listing, struct job_list *rest);

/* Everything that is left, gathered or being asked for. */
struct job *listing_take_all(struct listing *listing);

#endif
