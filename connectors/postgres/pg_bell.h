/* pg_bell.h - wakes listeners when topics grow: those of this process at once, those of others by
 * NOTIFY from a thread and connection of its own.
 *
 * Never from inside an appending transaction: NOTIFY takes a lock over the whole database until
 * its transaction ends, so that commits would queue behind each other. A lost hint costs no more
 * than the readers' own polling interval. Any thread.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_BELL_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_BELL_H

#include "common/eventlog/log.h"
#include "connectors/postgres/pg.h"

struct pg_bell;

/* What has grown: topics as a mask, and of each the partitions, p as bit p % 64. */
struct pg_grown {
    uint32_t topics;
    uint64_t parts[TOPIC_COUNT];
};

struct pg_bell_config {
    struct pg_config connection; /* borrowed as long as the bell lives */
    const char *instance; /* likewise; no spaces: how own notifications are told from others' */
    int notify_ms;
    int relisten_ms;
};

/* Its thread begins with the first listener or the first ring. */
TH_MUST_USE
enum th_code pg_bell_new(const struct pg_bell_config *config, struct pg_bell **out_bell,
                         struct th_err *err);

/* Sends what is still to be sent, if the server is there. Accepts NULL. */
void pg_bell_free(struct pg_bell *bell);

/* This has grown through this process. */
void pg_bell_ring(struct pg_bell *bell, const struct pg_grown *grown);

/* Grows with every hint from another process and whenever one may have been lost. */
uint64_t pg_bell_foreign(const struct pg_bell *bell);

uint64_t pg_bell_notifies(const struct pg_bell *bell);

struct pg_bell_listener {
    struct pg_bell_listener *next;
    uint32_t topics;
    uint64_t parts; /* of each topic, as in pg_grown */
    int fd;         /* an eventfd, of the caller */
    bool is_readable;
};

/* The listener is linked until removed; its fd becomes readable with its topics. */
void pg_bell_narrow(struct pg_bell *bell, struct pg_bell_listener *listener, uint64_t parts);
void pg_bell_add(struct pg_bell *bell, struct pg_bell_listener *listener);
void pg_bell_clear(struct pg_bell *bell, struct pg_bell_listener *listener);
void pg_bell_remove(struct pg_bell *bell, struct pg_bell_listener *listener);

#endif
