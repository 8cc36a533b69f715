#include "connectors/postgres/pg_bell.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"

#define ALL_TOPICS UINT32_MAX

struct pg_bell {
    struct pg_bell_config config;
    int wake; /* eventfd: something to send, or to stop */
    atomic_uint to_notify;
    atomic_bool is_stopping;
    atomic_uint_fast64_t foreign;
    atomic_uint_fast64_t notifies;

    pthread_mutex_t lock; /* guards what follows */
    struct pg_bell_listener *listeners;
    bool is_running;
    pthread_t thread;

    /* The thread's own. */
    struct pg *pg;
    int64_t notified_us;
};

enum th_code pg_bell_new(const struct pg_bell_config *config, struct pg_bell **out_bell,
                         struct th_err *err)
{
    struct pg_bell *bell = calloc(1, sizeof *bell);

    if (!bell)
        return th_fail(err, TH_NOMEM, "a bell");
    bell->config = *config;
    bell->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell->wake < 0) {
        int failed = errno;
        free(bell);
        return th_fail(err, TH_IO, "eventfd: %s", strerror(failed));
    }
    pthread_mutex_init(&bell->lock, NULL);
    *out_bell = bell;
    return TH_OK;
}

static void wake(struct pg_bell_listener *listener)
{
    if (!listener->is_readable)
        listener->is_readable = eventfd_write(listener->fd, 1) == 0;
}

static void wake_listeners(struct pg_bell *bell, uint32_t topics)
{
    pthread_mutex_lock(&bell->lock);
    for (struct pg_bell_listener *at = bell->listeners; at; at = at->next)
        if (at->topics & topics)
            wake(at);
    pthread_mutex_unlock(&bell->lock);
}

static bool is_meant(const struct pg_bell_listener *listener, const struct pg_grown *grown)
{
    uint32_t topics = listener->topics & grown->topics;

    for (int topic = 0; topics; topic++, topics >>= 1)
        if ((topics & 1) && (listener->parts & grown->parts[topic]))
            return true;
    return false;
}

/* --- the thread --------------------------------------------------------------------------------
 */

static const struct pg_statement sql_notify = {"SELECT pg_notify('eventlog', $1::text)"};

/* Nobody knows what was missed while there was no connection. */
static void suspect_everything(struct pg_bell *bell)
{
    atomic_fetch_add(&bell->foreign, 1);
    wake_listeners(bell, ALL_TOPICS);
}

static bool listen_again(struct pg_bell *bell)
{
    pg_close(TH_TAKE(bell->pg));
    if (pg_open(&bell->config.connection, &bell->pg, NULL) != TH_OK)
        return false;
    if (pg_run(bell->pg, "LISTEN eventlog", NULL) != TH_OK)
        return false;
    suspect_everything(bell);
    return true;
}

static bool send_notify(struct pg_bell *bell)
{
    uint32_t topics = atomic_exchange(&bell->to_notify, 0);
    char text[256];
    struct pg_params params = {0};

    if (topics == 0)
        return true;
    snprintf(text, sizeof text, "%s %" PRIx32, bell->config.instance, topics);
    pg_add_bytes(&params, th_str(text));
    enum th_code code = pg_execute(bell->pg, &sql_notify, &params, NULL, NULL);
    pg_params_fini(&params);
    if (code != TH_OK)
        atomic_fetch_or(&bell->to_notify, topics);
    else
        atomic_fetch_add(&bell->notifies, 1);
    bell->notified_us = th_clock_monotonic_us(&th_clock_real);
    return code == TH_OK;
}

/* "instance mask"; what cannot be read counts as everything. */
static void hear(struct pg_bell *bell, const char *text)
{
    size_t n = strlen(bell->config.instance);
    uint32_t topics = ALL_TOPICS;

    if (strncmp(text, bell->config.instance, n) == 0 && text[n] == ' ')
        return;
    const char *mask = strchr(text, ' ');
    if (mask)
        topics = (uint32_t)strtoul(mask + 1, NULL, 16);
    atomic_fetch_add(&bell->foreign, 1);
    wake_listeners(bell, topics);
}

static bool hear_all(struct pg_bell *bell)
{
    PGconn *conn = pg_conn(bell->pg);
    PGnotify *notify;

    if (!PQconsumeInput(conn))
        return false;
    while ((notify = PQnotifies(conn))) {
        hear(bell, notify->extra);
        PQfreemem(notify);
    }
    return true;
}

/* How long until the next notification may go out; -1: there is none to send. */
static int wait_ms(const struct pg_bell *bell)
{
    if (atomic_load(&bell->to_notify) == 0)
        return -1;
    int64_t due_us = bell->notified_us + bell->config.notify_ms * TH_US_PER_MS;
    int64_t left_us = due_us - th_clock_monotonic_us(&th_clock_real);
    return left_us <= 0 ? 0 : (int)((left_us + 999) / 1000);
}

static void wait_for_something(struct pg_bell *bell, int timeout_ms)
{
    struct pollfd fds[2] = {
        {.fd = bell->wake, .events = POLLIN},
        {.fd = bell->pg ? pg_socket(bell->pg) : -1, .events = POLLIN},
    };
    eventfd_t count;

    if (poll(fds, 2, timeout_ms) > 0 && (fds[0].revents & POLLIN))
        (void)!eventfd_read(bell->wake, &count);
}

static void *run(void *argument)
{
    struct pg_bell *bell = argument;

    while (!atomic_load(&bell->is_stopping)) {
        if (!bell->pg || !pg_is_alive(bell->pg)) {
            if (!listen_again(bell)) {
                wait_for_something(bell, bell->config.relisten_ms);
                continue;
            }
        }
        int timeout_ms = wait_ms(bell);
        if (timeout_ms != 0)
            wait_for_something(bell, timeout_ms);
        if (!hear_all(bell) || (wait_ms(bell) == 0 && !send_notify(bell)))
            pg_close(TH_TAKE(bell->pg));
    }
    if (bell->pg)
        (void)send_notify(bell);
    pg_close(TH_TAKE(bell->pg));
    return NULL;
}

/* --- the others' side ---------------------------------------------------------------------------
 */

/* A thread that cannot be started leaves readers to their polling. */
static void start(struct pg_bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    if (!bell->is_running)
        bell->is_running = pthread_create(&bell->thread, NULL, run, bell) == 0;
    pthread_mutex_unlock(&bell->lock);
}

void pg_bell_free(struct pg_bell *bell)
{
    if (!bell)
        return;
    atomic_store(&bell->is_stopping, true);
    (void)!eventfd_write(bell->wake, 1);
    if (bell->is_running)
        pthread_join(bell->thread, NULL);
    close(bell->wake);
    pthread_mutex_destroy(&bell->lock);
    free(bell);
}

void pg_bell_ring(struct pg_bell *bell, const struct pg_grown *grown)
{
    pthread_mutex_lock(&bell->lock);
    for (struct pg_bell_listener *at = bell->listeners; at; at = at->next)
        if (is_meant(at, grown))
            wake(at);
    pthread_mutex_unlock(&bell->lock);
    if (atomic_fetch_or(&bell->to_notify, grown->topics) == 0) {
        start(bell);
        (void)!eventfd_write(bell->wake, 1);
    }
}

uint64_t pg_bell_foreign(const struct pg_bell *bell)
{
    return atomic_load(&bell->foreign);
}

uint64_t pg_bell_notifies(const struct pg_bell *bell)
{
    return atomic_load(&bell->notifies);
}

void pg_bell_add(struct pg_bell *bell, struct pg_bell_listener *listener)
{
    pthread_mutex_lock(&bell->lock);
    listener->next = bell->listeners;
    bell->listeners = listener;
    pthread_mutex_unlock(&bell->lock);
    start(bell);
}

void pg_bell_narrow(struct pg_bell *bell, struct pg_bell_listener *listener, uint64_t parts)
{
    pthread_mutex_lock(&bell->lock);
    listener->parts = parts;
    pthread_mutex_unlock(&bell->lock);
}

void pg_bell_clear(struct pg_bell *bell, struct pg_bell_listener *listener)
{
    eventfd_t count;

    pthread_mutex_lock(&bell->lock);
    if (listener->is_readable && eventfd_read(listener->fd, &count) == 0)
        listener->is_readable = false;
    pthread_mutex_unlock(&bell->lock);
}

void pg_bell_remove(struct pg_bell *bell, struct pg_bell_listener *listener)
{
    pthread_mutex_lock(&bell->lock);
    struct pg_bell_listener **at = &bell->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    pthread_mutex_unlock(&bell->lock);
}
