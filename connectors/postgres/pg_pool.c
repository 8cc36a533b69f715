#include "connectors/postgres/pg_pool.h"

#include <assert.h>
#include <pthread.h>

struct pg_pool {
    const struct pg_config *config;
    int max;
    pthread_mutex_t lock;     /* guards what follows */
    pthread_cond_t was_given; /* one came back */
    struct pg *idle[PG_POOL_MAX];
    int idle_n;
    int lent_n;
};

enum th_code pg_pool_new(const struct pg_config *config, int max, struct pg_pool **out_pool,
                         struct th_err *err)
{
    struct pg_pool *pool = calloc(1, sizeof *pool);

    assert(max >= 1 && max <= PG_POOL_MAX);
    if (!pool)
        return th_fail(err, TH_NOMEM, "a pool of connections");
    pool->config = config;
    pool->max = max;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->was_given, NULL);
    *out_pool = pool;
    return TH_OK;
}

void pg_pool_free(struct pg_pool *pool)
{
    if (!pool)
        return;
    assert(pool->lent_n == 0);
    for (int i = 0; i < pool->idle_n; i++)
        pg_close(pool->idle[i]);
    pthread_cond_destroy(&pool->was_given);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

enum th_code pg_pool_take(struct pg_pool *pool, struct pg **out_pg, struct th_err *err)
{
    struct pg *pg = NULL;

    pthread_mutex_lock(&pool->lock);
    while (pool->lent_n == pool->max)
        pthread_cond_wait(&pool->was_given, &pool->lock);
    pool->lent_n++;
    if (pool->idle_n > 0)
        pg = pool->idle[--pool->idle_n];
    pthread_mutex_unlock(&pool->lock);

    enum th_code code = pg ? TH_OK : pg_open(pool->config, &pg, err);
    if (code != TH_OK)
        pg_pool_give(pool, NULL);
    else
        *out_pg = pg;
    return code;
}

void pg_pool_give(struct pg_pool *pool, struct pg *pg)
{
    if (pg && !pg_is_alive(pg)) {
        pg_close(pg);
        pg = NULL;
    }
    pthread_mutex_lock(&pool->lock);
    pool->lent_n--;
    if (pg)
        pool->idle[pool->idle_n++] = pg;
    pthread_cond_signal(&pool->was_given);
    pthread_mutex_unlock(&pool->lock);
}

/* When the server was restarted all idle connections are dead together. */
static void drop_idle(struct pg_pool *pool)
{
    struct pg *dropped[PG_POOL_MAX];
    int n = 0;

    pthread_mutex_lock(&pool->lock);
    while (pool->idle_n > 0)
        dropped[n++] = pool->idle[--pool->idle_n];
    pthread_mutex_unlock(&pool->lock);
    while (n > 0)
        pg_close(dropped[--n]);
}

enum th_code pg_pool_execute(struct pg_pool *pool, const struct pg_statement *statement,
                             struct pg_params *params, PGresult **out_result, struct th_err *err)
{
    enum th_code code = TH_OK;

    for (int tries = 0; tries < 2; tries++) {
        struct pg *pg = NULL;
        TH_TRY(pg_pool_take(pool, &pg, err));
        code = pg_execute(pg, statement, params, out_result, err);
        bool is_alive = pg_is_alive(pg);
        pg_pool_give(pool, pg);
        if (code == TH_OK || is_alive)
            return code;
        drop_idle(pool);
    }
    return code;
}
