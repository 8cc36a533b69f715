/* listing.h - look-ups that can wait gather, and are asked for together: as pages of the list of
 * what the account has sent lately, newest first.
 *
 * One request brings hundreds of answers instead of one. That pays while much of what is read is
 * asked for: reading begins at the nearest place in front of it that is known (list_map.h), and
 * where the list would still hold much else the look-ups are asked one by one. Pure, one thread;
 * jobs are lent to it.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_LISTING_H
#define TELEHUB_PROCESSORS_DISPATCH_LISTING_H

#include "common/eventlog/name_index.h"
#include "processors/dispatch/job.h"
#include "processors/dispatch/list_map.h"

#define LISTING_GATHERED_MAX 2000 /* then it is time, however long they have waited */
#define LISTING_JOBS_MIN     8    /* fewer are asked one by one */

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
    int64_t begun_us;        /* UTC; the first page is that of the newest */
    bool is_first;           /* that page is the one being asked for */
    struct list_place place; /* where reading goes on behind it; from_us 0: where it ended */

    struct list_map map;
};

void listing_init(struct listing *listing);

/* Memory of its own only: take the jobs out first (listing_take_all). */
void listing_fini(struct listing *listing);

/* A call leaves now. */
void listing_count_call(struct listing *listing, int64_t now_us);

void listing_gather(struct listing *listing, struct job *job);

/* None is being asked for, and the first has waited for wait_us or there are too many to wait. */
bool listing_is_due(const struct listing *listing, int64_t boot_us, int64_t wait_us);

/* Begin, at now_us (UTC), with those of the first one's lane and channel. True: ask for pages,
 * first for that of the newest. False: those jobs were put into singles, to be asked one by one. */
bool listing_begin(struct listing *listing, int64_t now_us, struct job_list *singles);

/* The job that asked for this id; it is taken out. NULL: nobody does. */
struct job *listing_find(struct listing *listing, struct th_str provider_id);

/* A page was read and said that the next one is asked for with next, "" for none. What to go on
 * with, "" for no more; it lives as long as next and the listing do. */
struct th_str listing_go_on(struct listing *listing, struct th_str next);

/* Is another page worth asking for? Counts it. */
bool listing_wants_page(struct listing *listing);

/* No more pages: those that were not found go into rest. was_read: every page could be read. */
void listing_end(struct listing *listing, bool was_read, struct job_list *rest);

/* Everything that is left, gathered or being asked for. */
struct job *listing_take_all(struct listing *listing);

#endif
