#include "connectors/gateway/workers.h"

#include <pthread.h>

struct workers {
    void (*run)(struct request *request);
    pthread_t threads[WORKERS_MAX];
    unsigned threads_n;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    struct request *first, *last;
    unsigned queued_n;
    bool is_closing;
};

static struct request *take(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    while (!workers->first && !workers->is_closing)
        pthread_cond_wait(&workers->wake, &workers->lock);
    struct request *request = workers->first;
    if (request) {
        workers->first = request->queued;
        workers->queued_n--;
        if (!workers->first)
            workers->last = NULL;
    }
    pthread_mutex_unlock(&workers->lock);
    return request;
}

static void *work(void *arg)
{
    struct workers *workers = arg;

    for (struct request *request = take(workers); request; request = take(workers))
        workers->run(request);
    return NULL;
}

enum th_code workers_open(unsigned count, void (*run)(struct request *request),
                          struct workers **out_workers, struct th_err *err)
{
    struct workers *workers = calloc(1, sizeof *workers);

    if (!workers)
        return th_fail(err, TH_NOMEM, "workers");
    workers->run = run;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    for (unsigned i = 0; i < count && i < WORKERS_MAX; i++) {
        if (pthread_create(&workers->threads[i], NULL, work, workers) != 0) {
            workers_close(workers);
            return th_fail(err, TH_IO, "no thread for a worker");
        }
        workers->threads_n++;
        (void)pthread_setname_np(workers->threads[i], "gw-worker");
    }
    *out_workers = workers;
    return TH_OK;
}

void workers_close(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->is_closing = true;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->threads_n; i++)
        (void)pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->wake);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

bool workers_submit(struct workers *workers, struct request *request)
{
    pthread_mutex_lock(&workers->lock);
    bool has_room = workers->queued_n < WORKERS_QUEUED_MAX && !workers->is_closing;
    if (has_room) {
        request->queued = NULL;
        if (workers->last)
            workers->last->queued = request;
        else
            workers->first = request;
        workers->last = request;
        workers->queued_n++;
        pthread_cond_signal(&workers->wake);
    }
    pthread_mutex_unlock(&workers->lock);
    return has_room;
}
