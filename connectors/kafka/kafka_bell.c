#include "connectors/kafka/kafka_bell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/kafka/kafka_consumers.h"
#include "connectors/kafka/kafka_internal.h"

#define ALL_PARTS   UINT64_MAX
#define QUIET_LOOKS 50 /* that found nothing, one after the other … */
#define QUIET_TIMES 3  /* … and it is looked so much less often, until one finds something */

struct listener {
    struct th_log_listener base;
    struct listener *next;
    uint32_t topics;
    uint64_t parts; /* of each topic, as in kafka_grown */
    bool is_readable;
};

struct kafka_bell {
    struct kafka_log *log;
    int stop; /* eventfd */

    pthread_mutex_t lock; /* guards what follows */
    struct listener *listeners;
    bool is_running;
    pthread_t thread;

    atomic_int *followed; /* side by side with kafka_log.committed: how many readers follow */
    int64_t *ends;        /* the thread's own: as last seen, side by side likewise */
    bool *asked;          /* likewise: the last look asks for it */
};

/* --- ringing ---------------------------------------------------------------------------------- */

static bool is_meant(const struct listener *listener, const struct kafka_grown *grown)
{
    uint32_t topics = listener->topics & grown->topics;

    for (int topic = 0; topics; topic++, topics >>= 1)
        if ((topics & 1) && (listener->parts & grown->parts[topic]))
            return true;
    return false;
}

void kafka_bell_ring(struct kafka_bell *bell, const struct kafka_grown *grown)
{
    pthread_mutex_lock(&bell->lock);
    for (struct listener *at = bell->listeners; at; at = at->next)
        if (!at->is_readable && is_meant(at, grown))
            at->is_readable = eventfd_write(at->base.fd, 1) == 0;
    pthread_mutex_unlock(&bell->lock);
}

/* --- watching --------------------------------------------------------------------------------- */

static uint32_t watched(struct kafka_bell *bell)
{
    uint32_t topics = 0;

    pthread_mutex_lock(&bell->lock);
    for (const struct listener *at = bell->listeners; at; at = at->next)
        topics |= at->topics;
    pthread_mutex_unlock(&bell->lock);
    return topics;
}

void kafka_bell_follow(struct kafka_bell *bell, const struct log_place *place, int by)
{
    atomic_fetch_add(&bell->followed[bell->log->first[place->topic] + (size_t)place->part], by);
}

static bool is_asked(const struct kafka_bell *bell, uint32_t topics, int topic, size_t at)
{
    return (topics >> topic & 1) && atomic_load(&bell->followed[at]) == 0;
}

static rd_kafka_topic_partition_list_t *list_of(struct kafka_bell *bell, uint32_t topics)
{
    const struct kafka_log *log = bell->log;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < log->base.partitions[topic]; part++) {
            size_t at = log->first[topic] + (size_t)part;
            bell->asked[at] = is_asked(bell, topics, topic, at);
            if (bell->asked[at])
                rd_kafka_topic_partition_list_add(list, log->topics[topic], part);
        }
    return list;
}

/* The list is in the order in which list_of made it. What this process itself has committed was
 * told already. */
static void compare(struct kafka_bell *bell, const rd_kafka_topic_partition_list_t *list,
                    struct kafka_grown *grown)
{
    const struct kafka_log *log = bell->log;
    int i = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < log->base.partitions[topic]; part++) {
            size_t at = log->first[topic] + (size_t)part;
            if (!bell->asked[at])
                continue;
            int64_t end = list->elems[i++].offset;
            if (end > bell->ends[at] && end > atomic_load(&log->committed[at])) {
                grown->topics |= UINT32_C(1) << topic;
                grown->parts[topic] |= UINT64_C(1) << (part % 64);
            }
            if (end > bell->ends[at])
                bell->ends[at] = end;
        }
}

/* Has anything grown? */
static bool look(struct kafka_bell *bell)
{
    uint32_t topics = watched(bell);
    struct kafka_grown grown = {0};

    if (topics == 0)
        return false;
    TH_AUTO(kafka_list) rd_kafka_topic_partition_list_t *list = list_of(bell, topics);
    atomic_fetch_add(&bell->log->asked, (unsigned)list->cnt);
    if (list->cnt == 0 || kafka_scout_stable(bell->log->scout, list, NULL) != TH_OK)
        return false; /* a hint may be lost */
    compare(bell, list, &grown);
    kafka_bell_ring(bell, &grown);
    return grown.topics != 0;
}

/* A look is a question about hundreds of partitions, and most of what an idle installation does. */
static void *run(void *arg)
{
    struct kafka_bell *bell = arg;
    struct pollfd stop = {.fd = bell->stop, .events = POLLIN};

    int watch_ms = bell->log->config.watch_ms;
    int quiet = 0;

    while (poll(&stop, 1, quiet < QUIET_LOOKS ? watch_ms : watch_ms * QUIET_TIMES) == 0) {
        if (look(bell))
            quiet = 0;
        else if (quiet < QUIET_LOOKS)
            quiet++;
        kafka_consumers_retire(bell->log);
    }
    return NULL;
}

static void free_arrays(struct kafka_bell *bell)
{
    free(bell->ends);
    free(bell->followed);
    free(bell->asked);
}

enum th_code kafka_bell_new(struct kafka_log *log, struct kafka_bell **out_bell, struct th_err *err)
{
    size_t n = log->first[TOPIC_COUNT - 1] + (size_t)log->base.partitions[TOPIC_COUNT - 1];
    struct kafka_bell *bell = calloc(1, sizeof *bell);

    if (!bell)
        return th_fail(err, TH_NOMEM, "a bell");
    bell->log = log;
    bell->ends = calloc(n, sizeof *bell->ends);
    bell->followed = calloc(n, sizeof *bell->followed);
    bell->asked = calloc(n, sizeof *bell->asked);
    bell->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!bell->ends || !bell->followed || !bell->asked || bell->stop < 0) {
        int failed = errno;
        if (bell->stop >= 0)
            close(bell->stop);
        free_arrays(bell);
        free(bell);
        return th_fail(err, TH_IO, "a bell: %s", strerror(failed));
    }
    pthread_mutex_init(&bell->lock, NULL);
    *out_bell = bell;
    return TH_OK;
}

void kafka_bell_free(struct kafka_bell *bell)
{
    if (!bell)
        return;
    if (bell->is_running) {
        (void)eventfd_write(bell->stop, 1);
        pthread_join(bell->thread, NULL);
    }
    close(bell->stop);
    pthread_mutex_destroy(&bell->lock);
    free_arrays(bell);
    free(bell);
}

/* --- listeners -------------------------------------------------------------------------------- */

static enum th_code add(struct kafka_bell *bell, struct listener *listener, struct th_err *err)
{
    pthread_mutex_lock(&bell->lock);
    int failed = bell->is_running ? 0 : pthread_create(&bell->thread, NULL, run, bell);
    if (!failed) {
        bell->is_running = true;
        listener->next = bell->listeners;
        bell->listeners = listener;
    }
    pthread_mutex_unlock(&bell->lock);
    return failed ? th_fail(err, TH_NOMEM, "a thread: %s", strerror(failed)) : TH_OK;
}

enum th_code kafka_listener_open(struct th_log *base, uint32_t topics,
                                 struct th_log_listener **out_listener, struct th_err *err)
{
    struct listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return th_fail(err, TH_NOMEM, "a listener");
    listener->base = (struct th_log_listener){base, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    listener->topics = topics;
    listener->parts = ALL_PARTS;
    enum th_code code = listener->base.fd < 0 ? th_fail(err, TH_IO, "eventfd: %s", strerror(errno))
                                              : add(kafka_of(base)->bell, listener, err);
    if (code != TH_OK) {
        if (listener->base.fd >= 0)
            close(listener->base.fd);
        free(listener);
        return code;
    }
    *out_listener = &listener->base;
    return TH_OK;
}

void kafka_listener_narrow(struct th_log_listener *base, int slot, int slots)
{
    struct kafka_bell *bell = kafka_of(base->log)->bell;
    uint64_t parts = 0;

    for (int part = slot; part < LOG_PARTITIONS_MAX; part += slots)
        parts |= UINT64_C(1) << (part % 64);
    pthread_mutex_lock(&bell->lock);
    ((struct listener *)base)->parts = parts;
    pthread_mutex_unlock(&bell->lock);
}

void kafka_listener_clear(struct th_log_listener *base)
{
    struct listener *listener = (struct listener *)base;
    struct kafka_bell *bell = kafka_of(base->log)->bell;
    eventfd_t count;

    pthread_mutex_lock(&bell->lock);
    if (listener->is_readable && eventfd_read(base->fd, &count) == 0)
        listener->is_readable = false;
    pthread_mutex_unlock(&bell->lock);
}

void kafka_listener_close(struct th_log_listener *base)
{
    struct kafka_bell *bell = kafka_of(base->log)->bell;

    pthread_mutex_lock(&bell->lock);
    struct listener **at = &bell->listeners;
    while (*at != (struct listener *)base)
        at = &(*at)->next;
    *at = (*at)->next;
    pthread_mutex_unlock(&bell->lock);
    close(base->fd);
    free(base);
}
