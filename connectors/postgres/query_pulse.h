/* query_pulse.h - how fast a campaign has started sends, of late.
 *
 * Counting the newest starts reads some thousand rows, and many people may look at one campaign:
 * the answer is kept for a second.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERY_PULSE_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERY_PULSE_H

#include <pthread.h>

#include "common/ids.h"
#include "connectors/postgres/pg_pool.h"

#define PULSES_MAX 64 /* campaigns that are looked at; the oldest answer makes room */

/* Of the minute that ends with the last start. */
struct pulse {
    int64_t starts;
    int64_t first_us; /* 0: none */
    int64_t last_us;
};

/* What was felt, of any campaign. Any thread. */
struct pulses {
    pthread_mutex_t mutex; /* guards what follows */
    struct {
        struct th_id campaign;
        int64_t felt_us; /* 0: free */
        struct pulse pulse;
    } at[PULSES_MAX];
};

void pulses_init(struct pulses *pulses);
void pulses_fini(struct pulses *pulses);

/* As it was at now_us or up to a second before. The campaign is the tenant's: the caller has
 * looked. Errors: as the pool's */
TH_MUST_USE
enum th_code pulse_feel(struct pulses *pulses, struct pg_pool *pool, struct th_str tenant,
                        struct th_id campaign, int64_t now_us, struct pulse *out,
                        struct th_err *err);

#endif
