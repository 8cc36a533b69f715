#include "processors/dispatch/list_map.h"

#include "common/provider.h"

#include <string.h>

/* From our event to the provider's record of it: the commit, the way, its work. */
#define STARTING_US INT64_C(250000)

void list_map_count(struct list_map *map, int64_t now_us)
{
    int64_t tick = now_us / LIST_TICK_US;
    size_t at = (size_t)(tick % LIST_TICKS);

    if (map->sent[at].tick != tick) {
        map->sent[at].tick = tick;
        map->sent[at].n = 0;
    }
    map->sent[at].n++;
}

static size_t sent_in(const struct list_map *map, int64_t tick)
{
    size_t at = (size_t)(tick % LIST_TICKS);

    return map->sent[at].tick == tick ? map->sent[at].n : 0;
}

bool list_map_sent(const struct list_map *map, int64_t from_us, int64_t until_us, int64_t now_us,
                   size_t *out_n)
{
    int64_t first = from_us / LIST_TICK_US;

    *out_n = 0;
    if (from_us < 0 || first <= now_us / LIST_TICK_US - LIST_TICKS)
        return false;
    for (int64_t tick = first; tick <= until_us / LIST_TICK_US && tick < first + LIST_TICKS; tick++)
        *out_n += sent_in(map, tick);
    return true;
}

/* When the oldest on a page of the newest was sent; if others use the account, later. 0: the page
 * holds all that is remembered. */
static int64_t page_begins_us(const struct list_map *map, int64_t asked_us)
{
    int64_t newest = asked_us / LIST_TICK_US;
    size_t n = 0;

    for (int64_t tick = newest; tick >= 0 && tick > newest - LIST_TICKS; tick--)
        if ((n += sent_in(map, tick)) >= PROVIDER_PAGE_MAX)
            return tick * LIST_TICK_US;
    return 0;
}

void list_map_keep(struct list_map *map, int32_t lane, enum channel channel, int64_t asked_us,
                   struct th_str next)
{
    int64_t from_us = page_begins_us(map, asked_us);

    if (from_us == 0 || next.n == 0 || next.n > LIST_PLACE_MAX)
        return;
    struct list_place *place = &map->places[map->oldest];
    map->oldest = (map->oldest + 1) % LIST_PLACES;
    *place = (struct list_place){.lane = lane,
                                 .channel = channel,
                                 .from_us = from_us,
                                 .covers_us = from_us - STARTING_US,
                                 .next_n = next.n};
    memcpy(place->next, next.p, next.n);
}

static bool is_of(const struct list_place *place, int32_t lane, enum channel channel)
{
    return place->from_us != 0 && place->lane == lane && place->channel == channel;
}

const struct list_place *list_map_place(const struct list_map *map, int32_t lane,
                                        enum channel channel, int64_t newest_us)
{
    const struct list_place *best = NULL;

    for (size_t i = 0; i < LIST_PLACES; i++) {
        const struct list_place *place = &map->places[i];
        if (is_of(place, lane, channel) && place->covers_us >= newest_us &&
            (!best || place->covers_us < best->covers_us))
            best = place;
    }
    return best;
}

void list_map_drop(struct list_map *map, int32_t lane, enum channel channel)
{
    for (size_t i = 0; i < LIST_PLACES; i++)
        if (is_of(&map->places[i], lane, channel))
            map->places[i].from_us = 0;
}
