#include "connectors/gateway/connections.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/clock.h"

void connections_init(struct connections *all)
{
    *all = (struct connections){0};
    pthread_mutex_init(&all->lock, NULL);
}

void connections_fini(struct connections *all)
{
    while (all->first) {
        struct connection *one = all->first;
        all->first = one->next;
        free(one);
    }
    pthread_mutex_destroy(&all->lock);
}

struct connection *connections_add(struct connections *all, int fd, uint32_t address,
                                   int64_t now_us)
{
    struct connection *one = calloc(1, sizeof *one);

    if (!one)
        return NULL;
    one->fd = fd;
    one->address = address;
    connection_enter(one, CONNECTION_HEADERS, now_us);
    pthread_mutex_lock(&all->lock);
    one->next = all->first;
    if (one->next)
        one->next->prev = one;
    all->first = one;
    all->count++;
    pthread_mutex_unlock(&all->lock);
    return one;
}

unsigned connections_from(struct connections *all, uint32_t address)
{
    unsigned n = 0;

    pthread_mutex_lock(&all->lock);
    for (const struct connection *one = all->first; one; one = one->next)
        n += one->address == address;
    pthread_mutex_unlock(&all->lock);
    return n;
}

void connections_remove(struct connections *all, struct connection *one)
{
    if (!one)
        return;
    pthread_mutex_lock(&all->lock);
    if (one->next)
        one->next->prev = one->prev;
    if (one->prev)
        one->prev->next = one->next;
    else
        all->first = one->next;
    all->count--;
    pthread_mutex_unlock(&all->lock);
    free(one);
}

void connection_enter(struct connection *one, enum connection_state state, int64_t now_us)
{
    if (!one)
        return;
    atomic_store_explicit(&one->since_us, now_us, memory_order_relaxed);
    atomic_store_explicit(&one->body_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&one->state, (int)state, memory_order_release);
}

void connection_read(struct connection *one, size_t bytes)
{
    if (one)
        atomic_fetch_add_explicit(&one->body_bytes, (int64_t)bytes, memory_order_relaxed);
}

bool connection_is_late(const struct connection *one, const struct connection_limits *limits,
                        int64_t now_us)
{
    /* The state first: what is read of the time then belongs to it or to a later one, so that
     * nobody is late for having begun something new. */
    int state = atomic_load_explicit(&one->state, memory_order_acquire);
    int64_t spent_us = now_us - atomic_load_explicit(&one->since_us, memory_order_relaxed);
    int64_t bytes = atomic_load_explicit(&one->body_bytes, memory_order_relaxed);

    switch ((enum connection_state)state) {
    case CONNECTION_IDLE:
        return spent_us > limits->idle_us;
    case CONNECTION_HEADERS:
        return spent_us > limits->header_us;
    case CONNECTION_BODY:
        return spent_us > limits->body_us ||
               (spent_us > 2 * TH_US_PER_SEC &&
                bytes < limits->body_bytes_per_s * (spent_us / TH_US_PER_SEC - 1));
    case CONNECTION_ANSWERING:
        return false;
    }
    return false;
}

unsigned connections_sweep(struct connections *all, const struct connection_limits *limits,
                           int64_t now_us)
{
    unsigned late = 0;

    pthread_mutex_lock(&all->lock);
    for (struct connection *one = all->first; one; one = one->next)
        if (connection_is_late(one, limits, now_us)) {
            (void)shutdown(one->fd, SHUT_RDWR);
            connection_enter(one, CONNECTION_ANSWERING, now_us); /* once is enough */
            late++;
        }
    pthread_mutex_unlock(&all->lock);
    return late;
}
