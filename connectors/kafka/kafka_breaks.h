/* kafka_breaks.h - how often one producer broke lately. A broken one is replaced and nothing is
 * lost; but what breaks again and again will not mend in this process. Pure; one thread at a time.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_BREAKS_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_BREAKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KAFKA_BREAKS_MAX    5
#define KAFKA_BREAKS_MIN    10 /* minutes */
#define KAFKA_BREAKS_WITHIN (INT64_C(60000000) * KAFKA_BREAKS_MIN)

struct kafka_breaks {
    int64_t at_us[KAFKA_BREAKS_MAX]; /* monotonic; the last ones, oldest first */
    size_t n;
};

/* One more. Is it more than KAFKA_BREAKS_MAX in KAFKA_BREAKS_MIN minutes? */
static inline bool kafka_breaks_add(struct kafka_breaks *breaks, int64_t now_us)
{
    bool is_full = breaks->n == KAFKA_BREAKS_MAX;
    bool is_too_often = is_full && now_us - breaks->at_us[0] < KAFKA_BREAKS_WITHIN;

    if (is_full)
        memmove(breaks->at_us, breaks->at_us + 1, sizeof breaks->at_us - sizeof *breaks->at_us);
    else
        breaks->n++;
    breaks->at_us[breaks->n - 1] = now_us;
    return is_too_often;
}

#endif
