/* The Postgres log keeps the contract: with its ring of committed batches, and without. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/conformance.h"
#include "tests/integration/log_cluster.h"

#define PROXY_PORT 6001

struct postgres {
    struct log_cluster logs;
    struct pg_proxy *proxy; /* between the log and its first opener */
    bool has_no_ring;
};

/* A commit inserts into the journal while it holds all its locks; there it can be made to wait. */
static const struct pg_statement sql_gate[] = {
    {"CREATE OR REPLACE FUNCTION public.gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
     " PERFORM pg_advisory_xact_lock_shared(7999, new.app * 256 + new.slot); RETURN new; END $$"},
    {"CREATE OR REPLACE TRIGGER gate BEFORE INSERT ON eventlog.journal"
     " FOR EACH ROW EXECUTE FUNCTION public.gate()"},
};

static enum th_code create(void *arg, struct th_err *err)
{
    struct postgres *postgres = arg;

    (void)err;
    log_cluster_make(&postgres->logs, CONFORMANCE_PARTITIONS);
    for (size_t i = 0; i < TH_LEN(sql_gate); i++)
        log_cluster_admin(&postgres->logs, &sql_gate[i], NULL);
    postgres->proxy = pg_proxy_start(PQhost(pg_conn(postgres->logs.admin)), PROXY_PORT);
    return TH_OK;
}

static void destroy(void *arg)
{
    struct postgres *postgres = arg;
    pg_proxy_stop(postgres->proxy);
}

static enum th_code open_it(void *arg, struct th_log **out_log, struct th_err *err)
{
    struct postgres *postgres = arg;
    struct pg_log_config config = log_cluster_config(&postgres->logs);
    char conninfo[LOG_CLUSTER_CONNINFO_MAX];

    log_cluster_through(&postgres->logs, PROXY_PORT, conninfo);
    config.conninfo = conninfo;
    config.has_no_ring = postgres->has_no_ring;
    return pg_log_open(&config, out_log, err);
}

static enum th_code open_other(void *arg, struct th_log **out_log, struct th_err *err)
{
    struct postgres *postgres = arg;
    struct pg_log_config config = log_cluster_config(&postgres->logs);

    config.has_no_ring = postgres->has_no_ring;
    return pg_log_open(&config, out_log, err);
}

static void close_it(void *arg, struct th_log *log)
{
    (void)arg;
    th_log_close(log);
}

static void slot_name(enum log_app app, int slot, char out[64])
{
    snprintf(out, 64, "telehub slot %d/%d", (int)app, slot);
}

static void lose_answer(void *arg, struct th_log *log, enum log_app app, int slot, bool happens)
{
    struct postgres *postgres = arg;
    char name[64];

    (void)log; /* the first opener's: only that one goes through the proxy */
    slot_name(app, slot, name);
    pg_proxy_lose_answer(postgres->proxy, name, happens);
}

static void gate(void *arg, enum log_app app, int slot, const struct pg_statement *statement)
{
    struct postgres *postgres = arg;
    struct pg_params params = {0};

    pg_add_int4(&params, (int)app * 256 + slot);
    log_cluster_admin(&postgres->logs, statement, &params);
    pg_params_fini(&params);
}

static void hold(void *arg, struct th_log *log, enum log_app app, int slot)
{
    static const struct pg_statement sql_close = {"SELECT pg_advisory_lock(7999, $1::int4)"};

    (void)log;
    gate(arg, app, slot, &sql_close);
}

static void let_go(void *arg, struct th_log *log, enum log_app app, int slot)
{
    static const struct pg_statement sql_open = {"SELECT pg_advisory_unlock(7999, $1::int4)"};

    (void)log;
    gate(arg, app, slot, &sql_open);
}

static void kill_connection(void *arg, struct th_log *log, enum log_app app, int slot)
{
    struct postgres *postgres = arg;
    char name[64];

    (void)log;
    slot_name(app, slot, name);
    if (log_cluster_kill(&postgres->logs, name, 5000) == 0)
        abort();
}

static void damage_snapshot(void *arg, struct th_log *log, enum log_app app, int part, int piece)
{
    static const struct pg_statement sql_damage = {
        "WITH d AS (UPDATE eventlog.snapshot SET body = set_byte(body, 0, get_byte(body, 0) # 1)"
        " WHERE app = $1::int2 AND part = $2::int2 AND piece = $3::int4"
        " AND upto_offset = (SELECT max(upto_offset) FROM eventlog.snapshot"
        "   WHERE app = $1::int2 AND part = $2::int2 AND piece = $3::int4) RETURNING 1)"
        " SELECT count(*) FROM d",
    };
    struct postgres *postgres = arg;
    struct pg_params params = {0};

    (void)log;
    pg_add_int2(&params, (int16_t)app);
    pg_add_int2(&params, (int16_t)part);
    pg_add_int4(&params, piece);
    if (log_cluster_admin(&postgres->logs, &sql_damage, &params) != 1)
        abort();
    pg_params_fini(&params);
}

int main(void)
{
    struct postgres postgres = {0};
    struct log_conformance it = {
        .name = "postgres",
        .arg = &postgres,
        .create = create,
        .destroy = destroy,
        .open = open_it,
        .close = close_it,
        .open_other = open_other,
        .lose_answer = lose_answer,
        .hold = hold,
        .let_go = let_go,
        .kill_connection = kill_connection,
        .damage_snapshot = damage_snapshot,
    };

    log_cluster_start(&postgres.logs);
    int failed = log_conformance_run(&it);
    it.name = "postgres without ring";
    postgres.has_no_ring = true;
    failed += log_conformance_run(&it);
    log_cluster_stop(&postgres.logs);
    return failed;
}
