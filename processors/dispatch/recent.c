#include "processors/dispatch/recent.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

#define PLACES    16384
#define KEPT      2 /* the newest starts of a place: whether it is alone, the one before tells */
#define HASH_BITS 24

/* Times are in seconds since 1970. */
struct start {
    uint32_t at_s;    /* 0: none */
    uint32_t attempt; /* a part of its hash; above it the piece */
};

struct recent {
    uint32_t newest_s;
    struct start places[PLACES][KEPT]; /* newest first */
};

struct recent *recent_new(void)
{
    return calloc(1, sizeof(struct recent));
}

void recent_free(struct recent *recent)
{
    free(recent);
}

static uint32_t name_of(uint64_t attempt, int piece)
{
    return (uint32_t)piece << HASH_BITS | (uint32_t)(attempt & ((1U << HASH_BITS) - 1));
}

static bool is_within(uint32_t a_s, uint32_t b_s)
{
    return (a_s > b_s ? a_s - b_s : b_s - a_s) < RECENT_SPAN_S;
}

static bool is_newer(struct start a, struct start b)
{
    return a.at_s != b.at_s ? a.at_s > b.at_s : a.attempt > b.attempt;
}

/* What is kept are the newest two of all that were ever noted, in whatever order: so it is the same
 * after a restart, which notes some again, and some from pieces of different moments. */
static void note(struct recent *recent, uint32_t number, struct start start)
{
    struct start *kept = recent->places[number];

    for (int i = 0; i < KEPT; i++)
        if (kept[i].at_s && kept[i].attempt == start.attempt)
            return;
    if (is_newer(start, kept[0])) {
        kept[1] = kept[0];
        kept[0] = start;
    } else if (is_newer(start, kept[1])) {
        kept[1] = start;
    }
    if (start.at_s > recent->newest_s)
        recent->newest_s = start.at_s;
}

void recent_note(struct recent *recent, uint64_t party, uint64_t attempt, int piece, int64_t at_us)
{
    note(recent, (uint32_t)(party % PLACES),
         (struct start){(uint32_t)(at_us / TH_US_PER_SEC), name_of(attempt, piece)});
}

bool recent_is_alone(const struct recent *recent, uint64_t party, uint64_t attempt, int piece)
{
    const struct start *kept = recent->places[party % PLACES];

    return kept[0].at_s && kept[0].attempt == name_of(attempt, piece) &&
           !(kept[1].at_s && is_within(kept[0].at_s, kept[1].at_s));
}

/* Starts are saved with the number of their place; those that are older than the span cannot matter
 * any more to a start to come, and an attempt that old is no longer searched for. */
struct saved_start {
    uint32_t number;
    struct start start;
};

enum th_code recent_save(const struct recent *recent, int piece, struct th_buf *out)
{
    for (uint32_t i = 0; i < PLACES * KEPT; i++) {
        struct saved_start saved = {i / KEPT, recent->places[i / KEPT][i % KEPT]};

        if (saved.start.at_s && (int)(saved.start.attempt >> HASH_BITS) == piece &&
            is_within(saved.start.at_s, recent->newest_s))
            th_buf_add(out, (struct th_str){(const char *)&saved, sizeof saved});
    }
    return th_buf_status(out);
}

enum th_code recent_load(struct recent *recent, struct th_str bytes)
{
    struct saved_start saved;

    if (bytes.n % sizeof saved)
        return TH_CORRUPT;
    for (size_t at = 0; at < bytes.n; at += sizeof saved) {
        memcpy(&saved, bytes.p + at, sizeof saved);
        if (saved.number >= PLACES)
            return TH_CORRUPT;
        note(recent, saved.number, saved.start);
    }
    return TH_OK;
}
