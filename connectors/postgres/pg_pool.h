/* pg_pool.h - a few connections that threads borrow for a statement that may be repeated.
 *
 * Any thread.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_POOL_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_POOL_H

#include "connectors/postgres/pg.h"

#define PG_POOL_MAX 16

struct pg_pool;

/* config is borrowed as long as the pool lives; connects at the first use. max <= PG_POOL_MAX. */
TH_MUST_USE
enum th_code pg_pool_new(const struct pg_config *config, int max, struct pg_pool **out_pool,
                         struct th_err *err);

/* Nobody borrows any more. Accepts NULL. */
void pg_pool_free(struct pg_pool *pool);

/* Borrow one; waits while all are lent. Give it back with pg_pool_give, dead or alive. */
TH_MUST_USE
enum th_code pg_pool_take(struct pg_pool *pool, struct pg **out_pg, struct th_err *err);
void pg_pool_give(struct pg_pool *pool, struct pg *pg);

/* Borrow, execute, give back. The statement must be one that may run twice: it is repeated once
 * when the connection turns out to have died since its last use. */
TH_MUST_USE
enum th_code pg_pool_execute(struct pg_pool *pool, const struct pg_statement *statement,
                             struct pg_params *params, PGresult **out_result, struct th_err *err);

#endif
