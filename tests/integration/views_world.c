#include "tests/integration/views_world.h"

#include "connectors/postgres/view_store.h"
#include "tests/integration/fold_log.h"
#include "tests/integration/views_story.h"
#include "tests/unit/test.h"

void views_world_fold(struct views_world *world)
{
    fold_log(world->log, pg_view_store_open_current, world->logs.conninfo);
}

void views_world_open(struct views_world *world)
{
    struct log_cluster *logs = &world->logs;
    struct th_err err = {0};

    log_cluster_start(logs);
    log_cluster_make(logs, 4);
    struct pg_log_config config = log_cluster_config(logs);
    world->reference = reference_new();
    if (!world->reference || pg_log_open(&config, &world->log, &err) != TH_OK ||
        pg_audience_open(logs->conninfo, world->log, world->reference, "/tmp", &world->audience,
                         &err) != TH_OK ||
        pg_views_open(logs->conninfo, world->log, world->audience, &world->views, &err) != TH_OK)
        fail_msg("%s", err.text);
    story_append(world->log, "pratham", OURS);
    story_append(world->log, "other-tenant", THEIRS);
    views_world_fold(world);
}

void views_world_close(struct views_world *world)
{
    pg_views_close(world->views);
    pg_audience_close(world->audience);
    th_log_close(world->log);
    reference_free(world->reference);
    log_cluster_stop(&world->logs);
}
