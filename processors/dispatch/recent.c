#include "processors/dispatch/recent.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

#define PLACES 16384

/* Times are in seconds since 1970. */
struct place {
    uint32_t at_s;      /* the newest start here; 0: none */
    uint32_t attempt;   /* of it; a part of its hash */
    uint32_t crowded_s; /* the newest start that came within the span of another; 0: none */
};

struct recent {
    uint32_t newest_s;
    struct place places[PLACES];
};

struct recent *recent_new(void)
{
    return calloc(1, sizeof(struct recent));
}

void recent_free(struct recent *recent)
{
    free(recent);
}

static bool is_within(uint32_t a_s, uint32_t b_s)
{
    return (a_s > b_s ? a_s - b_s : b_s - a_s) < RECENT_SPAN_S;
}

void recent_note(struct recent *recent, uint64_t party, uint64_t attempt, int64_t at_us)
{
    struct place *place = &recent->places[party % PLACES];
    uint32_t at_s = (uint32_t)(at_us / TH_US_PER_SEC);

    if (place->at_s && place->attempt == (uint32_t)attempt)
        return;
    if (place->at_s && is_within(place->at_s, at_s))
        place->crowded_s = at_s > place->at_s ? at_s : place->at_s;
    place->at_s = at_s;
    place->attempt = (uint32_t)attempt;
    if (at_s > recent->newest_s)
        recent->newest_s = at_s;
}

bool recent_is_alone(const struct recent *recent, uint64_t party, uint64_t attempt)
{
    const struct place *place = &recent->places[party % PLACES];

    return place->attempt == (uint32_t)attempt &&
           !(place->crowded_s && is_within(place->crowded_s, place->at_s));
}

/* Places are saved with their number; those that are older than the span cannot matter any more to
 * a start to come, and an attempt that old is no longer searched for. */
struct saved_place {
    uint32_t number;
    struct place place;
};

enum th_code recent_save(const struct recent *recent, struct th_buf *out)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        struct saved_place saved = {i, recent->places[i]};

        if (saved.place.at_s && is_within(saved.place.at_s, recent->newest_s))
            th_buf_add(out, (struct th_str){(const char *)&saved, sizeof saved});
    }
    return th_buf_status(out);
}

enum th_code recent_load(struct recent *recent, struct th_str bytes)
{
    struct saved_place saved;

    if (bytes.n % sizeof saved)
        return TH_CORRUPT;
    for (size_t at = 0; at < bytes.n; at += sizeof saved) {
        memcpy(&saved, bytes.p + at, sizeof saved);
        if (saved.number >= PLACES)
            return TH_CORRUPT;
        recent->places[saved.number] = saved.place;
        if (saved.place.at_s > recent->newest_s)
            recent->newest_s = saved.place.at_s;
    }
    return TH_OK;
}
