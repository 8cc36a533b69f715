/* views_world.h - a log with the stories of two tenants, and all that the gateway asks of it. */
#ifndef TELEHUB_TESTS_INTEGRATION_VIEWS_WORLD_H
#define TELEHUB_TESTS_INTEGRATION_VIEWS_WORLD_H

#include "common/eventlog/reference.h"
#include "connectors/postgres/audience.h"
#include "connectors/postgres/queries.h"
#include "tests/integration/log_cluster.h"

#define OURS   0 /* seeds of the two stories: of pratham, */
#define THEIRS 1 /* and of other-tenant */

struct views_world {
    struct log_cluster logs;
    struct th_log *log;
    struct reference *reference;
    struct audience *audience;
    struct views *views;
};

/* Both stories are told and folded. Ends the test on failure. */
void views_world_open(struct views_world *world);
void views_world_close(struct views_world *world);

/* What was told since goes into the views. */
void views_world_fold(struct views_world *world);

#endif
