/* query_settled.h - are the views past the end of a campaign?
 *
 * That a campaign ended and what became of its sends lie in different partitions, folded by
 * different slots. So the first who sees that it ended notes where the log's partitions of sends
 * end at that moment: everything that led to the end lies before. Once the views are past those
 * places, no later event is needed for the certificate.
 *
 * Any thread. What is forgotten (a restart, many campaigns) is noted anew and only takes longer.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERY_SETTLED_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERY_SETTLED_H

#include <pthread.h>

#include "common/eventlog/log.h"
#include "common/ids.h"

#define SETTLED_CAMPAIGNS_MAX 128

struct settled_campaign {
    struct th_id campaign;
    int64_t *ends; /* owned; topic by topic, partition by partition */
    uint64_t used;
};

struct settled {
    pthread_mutex_t mutex; /* guards the rest */
    uint64_t asked;
    struct settled_campaign at[SETTLED_CAMPAIGNS_MAX];
};

void settled_init(struct settled *settled);
void settled_fini(struct settled *settled);

/* The campaign has ended by the views, which stood at these places (offset: of the next record to
 * fold) in the same snapshot.
 * Errors: as th_log_end; TH_NOMEM */
TH_MUST_USE
enum th_code settled_ask(struct settled *settled, struct th_log *log, struct th_id campaign,
                         const struct log_place *next, size_t n, bool *out_is_past,
                         struct th_err *err);

#endif
