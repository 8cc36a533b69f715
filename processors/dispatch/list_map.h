/* list_map.h - where in a provider's list, newest first, that lies which was sent at some time: how
 * much this slot sent when, and places at which a page of the newest ended.
 *
 * Prices are asked for seconds after the calls. By then thousands stand in front of those that are
 * looked for, and from a place that is as old as they are nobody has to read past them. Whoever is
 * not behind the place after all is asked for by itself: a place may be wrong, not harmful. Pure,
 * one thread, no memory but its own. All times are UTC by our clock.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_LIST_MAP_H
#define TELEHUB_PROCESSORS_DISPATCH_LIST_MAP_H

#include "common/eventlog/effect.h"

#define LIST_TICK_US   INT64_C(125000)
#define LIST_TICKS     512 /* of which what was sent is remembered: 64 s */
#define LIST_PLACES    16
#define LIST_PLACE_MAX 256 /* bytes of what a page is asked for with; a longer one is not kept */

struct list_place {
    int32_t lane;
    enum channel channel;
    int64_t from_us;   /* what was sent after that stands in front of it; 0: none is kept here */
    int64_t covers_us; /* what was started until then stands behind it */
    size_t next_n;
    char next[LIST_PLACE_MAX]; /* what the page there is asked for with */
};

/* Zero-initialise. */
struct list_map {
    struct {
        int64_t tick;
        size_t n;
    } sent[LIST_TICKS];
    struct list_place places[LIST_PLACES];
    size_t oldest; /* the place that is given up next */
};

/* A call leaves now. */
void list_map_count(struct list_map *map, int64_t now_us);

/* How many left in that time. False: that is longer ago than is remembered. */
bool list_map_sent(const struct list_map *map, int64_t from_us, int64_t until_us, int64_t now_us,
                   size_t *out_n);

/* A page of the newest, asked for at asked_us, ended where the next one is asked for with next. */
void list_map_keep(struct list_map *map, int32_t lane, enum channel channel, int64_t asked_us,
                   struct th_str next);

/* The place nearest in front of what was started until newest_us. NULL: none, begin at the newest.
 */
const struct list_place *list_map_place(const struct list_map *map, int32_t lane,
                                        enum channel channel, int64_t newest_us);

/* The provider did not know a place. */
void list_map_drop(struct list_map *map, int32_t lane, enum channel channel);

#endif
