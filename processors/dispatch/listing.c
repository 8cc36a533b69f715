#include "processors/dispatch/listing.h"

#include "common/clock.h"
#include "common/hash.h"

#include <stdlib.h>

#define HALVES_MAX 16
#define OTHERS_MAX 3 /* records of others for each that is asked for */

void listing_init(struct listing *listing)
{
    *listing = (struct listing){0};
    job_list_init(&listing->gathered);
}

void listing_count_call(struct listing *listing, int64_t now_us)
{
    list_map_count(&listing->map, now_us);
}

void listing_fini(struct listing *listing)
{
    free(listing->jobs);
    name_index_fini(&listing->index);
}

/* --- gathering ----------------------------------------------------------------------------------
 */

void listing_gather(struct listing *listing, struct job *job)
{
    job_list_put(&listing->gathered, job);
    listing->gathered_n++;
}

bool listing_is_due(const struct listing *listing, int64_t boot_us, int64_t wait_us)
{
    const struct job *first = listing->gathered.first;

    return first && !listing->is_running &&
           (boot_us - first->taken_boot_us >= wait_us ||
            listing->gathered_n >= LISTING_GATHERED_MAX);
}

static uint64_t hash_of(struct th_str provider_id)
{
    return th_hash64(provider_id, 0);
}

/* False: there is no memory. */
static bool add(struct listing *listing, struct job *job)
{
    if (listing->jobs_n == listing->jobs_cap) {
        size_t cap = listing->jobs_cap ? 2 * listing->jobs_cap : 64;
        struct job **jobs = reallocarray(listing->jobs, cap, sizeof(struct job *));
        if (!jobs)
            return false;
        listing->jobs = jobs;
        listing->jobs_cap = cap;
    }
    if (name_index_reserve(&listing->index) != TH_OK)
        return false;
    name_index_add(&listing->index, hash_of(job->as.lookup.provider_id), listing->jobs_n);
    listing->jobs[listing->jobs_n++] = job;
    listing->open_n++;
    return true;
}

/* What cannot be listed is asked for by itself. */
static void take_alike(struct listing *listing, struct job_list *singles)
{
    struct job_list all = listing->gathered;
    struct job *job;

    if (!all.first)
        all.last = &all.first;
    job_list_init(&listing->gathered);
    listing->gathered_n = 0;
    while ((job = job_list_take(&all))) {
        if (job->as.lookup.lane != listing->lane || job->as.lookup.channel != listing->channel)
            listing_gather(listing, job);
        else if (!add(listing, job))
            job_list_put(singles, job);
    }
}

struct span {
    int64_t oldest_us; /* when the attempts that are open were started */
    int64_t newest_us;
};

static struct span span_of(const struct listing *listing)
{
    struct span span = {INT64_MAX, 0};

    for (size_t i = 0; i < listing->jobs_n; i++) {
        const struct job *job = listing->jobs[i];
        if (job && job->as.lookup.started_us < span.oldest_us)
            span.oldest_us = job->as.lookup.started_us;
        if (job && job->as.lookup.started_us > span.newest_us)
            span.newest_us = job->as.lookup.started_us;
    }
    return span;
}

static void set_aside(struct listing *listing, int64_t until_us, struct job_list *singles)
{
    for (size_t i = 0; i < listing->jobs_n; i++) {
        struct job *job = listing->jobs[i];
        if (!job || job->as.lookup.started_us > until_us)
            continue;
        listing->jobs[i] = NULL;
        listing->open_n--;
        job_list_put(singles, job);
    }
}

/* How much the list holds from the nearest place in front of them to the oldest. False: unknown. */
static bool measure(struct listing *listing, struct span span, size_t *out_sent)
{
    const struct list_place *place =
        list_map_place(&listing->map, listing->lane, listing->channel, span.newest_us);

    listing->place = place ? *place : (struct list_place){0};
    return list_map_sent(&listing->map, span.oldest_us, place ? place->from_us : listing->begun_us,
                         listing->begun_us, out_sent);
}

/* A few that were started long before the others would make the list so long that nobody could ask
 * for it: they are asked for by themselves, the older half of the time first. False: too few are
 * left. */
static bool narrow(struct listing *listing, struct job_list *singles, size_t *out_sent)
{
    for (int halves = 0; halves < HALVES_MAX && listing->open_n >= LISTING_JOBS_MIN; halves++) {
        struct span span = span_of(listing);
        if (measure(listing, span, out_sent) && *out_sent <= (OTHERS_MAX + 1) * listing->open_n)
            return true;
        set_aside(listing, span.oldest_us + (span.newest_us - span.oldest_us) / 2, singles);
    }
    return false;
}

/* All are asked for by themselves. Of many, the first page is read nevertheless: its end is a place
 * for those to come. */
static bool look_around(struct listing *listing, struct job_list *singles)
{
    size_t jobs_n = listing->jobs_n;

    set_aside(listing, INT64_MAX, singles);
    listing->pages_left = 1;
    if (jobs_n >= PROVIDER_PAGE_MAX)
        return true;
    listing_end(listing, true, singles);
    return false;
}

bool listing_begin(struct listing *listing, int64_t now_us, struct job_list *singles)
{
    size_t n = 0;

    listing->lane = listing->gathered.first->as.lookup.lane;
    listing->channel = listing->gathered.first->as.lookup.channel;
    take_alike(listing, singles);
    listing->is_running = listing->is_first = true;
    listing->begun_us = now_us;
    if (!narrow(listing, singles, &n))
        return look_around(listing, singles);
    /* Others may use the account, too; that much of theirs is read past, and no more. */
    listing->pages_left = 2 * (n + listing->open_n) / PROVIDER_PAGE_MAX + 3;
    return true;
}

/* --- asking -------------------------------------------------------------------------------------
 */

struct job *listing_find(struct listing *listing, struct th_str provider_id)
{
    size_t at = 0;
    size_t position;

    while (name_index_next(&listing->index, hash_of(provider_id), &at, &position)) {
        struct job *job = listing->jobs[position];
        if (!job || !th_str_eq(job->as.lookup.provider_id, provider_id))
            continue;
        listing->jobs[position] = NULL;
        listing->open_n--;
        return job;
    }
    return NULL;
}

struct th_str listing_go_on(struct listing *listing, struct th_str next)
{
    if (!listing->is_first)
        return next;
    listing->is_first = false;
    list_map_keep(&listing->map, listing->lane, listing->channel, listing->begun_us, next);
    if (listing->place.from_us == 0 || next.n == 0)
        return next;
    return (struct th_str){listing->place.next, listing->place.next_n};
}

bool listing_wants_page(struct listing *listing)
{
    if (listing->pages_left == 0 || (listing->open_n == 0 && !listing->is_first))
        return false;
    listing->pages_left--;
    return true;
}

void listing_end(struct listing *listing, bool was_read, struct job_list *rest)
{
    if (!was_read)
        list_map_drop(&listing->map, listing->lane, listing->channel);
    for (size_t i = 0; i < listing->jobs_n; i++)
        if (listing->jobs[i])
            job_list_put(rest, listing->jobs[i]);
    listing->jobs_n = listing->open_n = 0;
    name_index_fini(&listing->index);
    listing->index = (struct name_index){0};
    listing->is_running = false;
}

struct job *listing_take_all(struct listing *listing)
{
    struct job *job = job_list_take(&listing->gathered);

    if (job)
        return job;
    while (listing->jobs_n > 0)
        if ((job = listing->jobs[--listing->jobs_n]))
            return job;
    return NULL;
}
