#include "connectors/gateway/server_parts.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log_line.h"

/* libmicrohttpd clears it before each request, so no more than headers of HEADERS_SIZE_MAX, and
 * what libmicrohttpd notes of 64 of them, can need. */
#define CONNECTION_MEMORY ((size_t)24 * 1024)
#define SLEEP_MS_MAX      60000
#define RETRY_MS          20 /* after libmicrohttpd could not do what it wanted */

/* The loop that this thread runs; NULL: another's. */
static _Thread_local struct loop *own;

/* --- what waits ------------------------------------------------------------------------------ */

static void list_add(struct loop *loop, struct request *request)
{
    request->deadline_us = server_now_us() + loop->server->limits.deadline_us;
    request->next = NULL;
    request->prev = loop->last;
    if (loop->last)
        loop->last->next = request;
    else
        loop->first = request;
    loop->last = request;
}

static void list_remove(struct loop *loop, struct request *request)
{
    if (request->next)
        request->next->prev = request->prev;
    else
        loop->last = request->prev;
    if (request->prev)
        request->prev->next = request->next;
    else
        loop->first = request->next;
}

static void resume_as(struct loop *loop, struct request *request, enum request_phase phase)
{
    list_remove(loop, request);
    atomic_fetch_sub(&loop->server->waiting_n, 1);
    request->phase = phase;
    MHD_resume_connection(request->connection);
}

bool loop_hand_over(struct loop *loop, struct request *request)
{
    struct server *server = loop->server;

    if (atomic_load(&server->is_closing))
        return false;
    if (atomic_fetch_add(&server->waiting_n, 1) >= server->limits.waiting_max) {
        atomic_fetch_sub(&server->waiting_n, 1);
        return false;
    }
    request_ref(request); /* the owner's */
    request->loop = loop;
    request->phase = REQUEST_WAITING;
    atomic_fetch_add(&loop->owned_n, 1);
    loop->taken = request;
    server->config.take(request);
    if (!loop->taken) { /* it is finished already */
        request->phase = REQUEST_ANSWERED;
        atomic_fetch_sub(&server->waiting_n, 1);
        return true;
    }
    loop->taken = NULL;
    loop->has_taken = true;
    list_add(loop, request);
    MHD_suspend_connection(request->connection);
    return true;
}

static void disown(struct loop *loop, struct request *request)
{
    atomic_fetch_sub(&loop->owned_n, 1);
    request_unref(request);
}

static void wake(struct loop *loop)
{
    const uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof one);

    (void)n; /* it can only fail when the counter is full, that is: readable already */
}

/* There is something that the thread must look at before it sleeps again. Releases the lock. */
static void nudge_and_unlock(struct loop *loop)
{
    bool is_asleep = loop->is_asleep;

    loop->has_news = true;
    loop->is_asleep = false;
    pthread_mutex_unlock(&loop->lock);
    if (is_asleep)
        wake(loop);
}

void loop_finish(struct loop *loop, struct request *request)
{
    /* Nobody but this thread has seen it, and libmicrohttpd's handler is still on the stack. */
    if (own == loop && loop->taken == request) {
        loop->taken = NULL;
        disown(loop, request);
        return;
    }
    request->queued = NULL;
    pthread_mutex_lock(&loop->lock);
    if (loop->finished)
        loop->finished_last->queued = request;
    else
        loop->finished = request;
    loop->finished_last = request;
    nudge_and_unlock(loop);
}

/* Resume what was finished; first is a list of it. */
static void settle(struct loop *loop, struct request *first)
{
    while (first) {
        struct request *next = first->queued;
        if (first->phase == REQUEST_WAITING)
            resume_as(loop, first, REQUEST_ANSWERED);
        disown(loop, first);
        first = next;
    }
}

static void expire(struct loop *loop, int64_t now_us)
{
    while (loop->first && loop->first->deadline_us <= now_us)
        resume_as(loop, loop->first, REQUEST_EXPIRED);
}

/* --- the thread ------------------------------------------------------------------------------ */

/* Until something is due; -1: for ever. */
static int patience_ms(const struct loop *loop)
{
    MHD_UNSIGNED_LONG_LONG wait;
    bool is_waiting = MHD_get_timeout(loop->daemon, &wait) == MHD_YES;
    int64_t least_ms = is_waiting && wait < SLEEP_MS_MAX ? (int64_t)wait : SLEEP_MS_MAX;

    if (loop->has_failed)
        return RETRY_MS;
    if (!is_waiting && !loop->first)
        return -1;
    if (loop->first) {
        int64_t left_us = loop->first->deadline_us - server_now_us();
        int64_t left_ms = left_us <= 0 ? 0 : left_us / TH_US_PER_MS + 1;
        least_ms = left_ms < least_ms ? left_ms : least_ms;
    }
    return (int)least_ms;
}

/* Sleep until libmicrohttpd or somebody else has something to do. */
static void sleep_a_while(struct loop *loop)
{
    struct pollfd fds[] = {{.fd = loop->epoll_fd, .events = POLLIN},
                           {.fd = loop->wake_fd, .events = POLLIN}};
    uint64_t count;
    int wait_ms = patience_ms(loop);

    if (wait_ms == 0)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->is_asleep = !loop->has_news;
    bool is_asleep = loop->is_asleep;
    pthread_mutex_unlock(&loop->lock);
    if (!is_asleep)
        return;
    int n = poll(fds, TH_LEN(fds), wait_ms);
    pthread_mutex_lock(&loop->lock);
    loop->is_asleep = false;
    pthread_mutex_unlock(&loop->lock);
    if (n > 0 && fds[1].revents && read(loop->wake_fd, &count, sizeof count) < 0)
        assert(errno == EAGAIN || errno == EINTR);
}

static void stop_listening(struct loop *loop)
{
    MHD_socket fd = MHD_quiesce_daemon(loop->daemon);

    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
}

/* What others have done, and what they ask of this thread. False: it is over. */
static bool take_news(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct request *finished = loop->finished;
    bool is_quiescing = loop->is_quiescing;
    bool is_hurrying = loop->is_hurrying;
    bool is_over = loop->is_over;
    loop->finished = NULL;
    loop->is_quiescing = false;
    loop->has_news = false;
    pthread_mutex_unlock(&loop->lock);
    settle(loop, finished);
    expire(loop, is_hurrying ? INT64_MAX : server_now_us());
    if (is_quiescing)
        stop_listening(loop);
    return !is_over;
}

/* What was taken is this loop's until the next take_news, so whoever has it is still there. */
static void tell_turned(struct loop *loop)
{
    const struct server_config *config = &loop->server->config;

    if (loop->has_taken && config->turned)
        config->turned(config->gateway);
    loop->has_taken = false;
}

/* MHD_run never waits: it takes up to 128 events at a time until there are no more. libmicrohttpd's
 * own threads do wait, and after exactly 128 events they wait once more before they serve any.
 * Out of descriptors it stops to listen until a connection is closed; then it listens again when it
 * is run the next time, for which nothing would wake this thread. */
static void *run(void *arg)
{
    struct loop *loop = arg;

    own = loop;
    while (take_news(loop)) {
        loop->has_closed = false;
        loop->has_failed = false;
        (void)MHD_run(loop->daemon);
        tell_turned(loop);
        if (!loop->has_closed)
            sleep_a_while(loop);
    }
    (void)MHD_run(loop->daemon);
    request_free_spare();
    return NULL;
}

/* --- open and close -------------------------------------------------------------------------- */

TH_PRINTF(2, 0) static void on_log(void *cls, const char *format, va_list args)
{
    struct loop *loop = cls;
    char text[256];

    loop->has_failed = true; /* MHD_run says nothing of it: its result is always MHD_YES */
    (void)vsnprintf(text, sizeof text, format, args);
    th_log(TH_LOG_DEBUG, "gateway.http", TH_F("detail", (const char *)text));
}

static struct MHD_Daemon *start(struct loop *loop, int fd)
{
    const struct gateway_limits *limits = &loop->server->limits;

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, server_may_connect, loop,
        intake_access, loop, MHD_OPTION_EXTERNAL_LOGGER, on_log, loop, MHD_OPTION_LISTEN_SOCKET,
        (MHD_socket)fd, MHD_OPTION_NOTIFY_COMPLETED, intake_completed, loop,
        MHD_OPTION_NOTIFY_CONNECTION, server_on_connection, loop, MHD_OPTION_URI_LOG_CALLBACK,
        intake_target, loop, MHD_OPTION_CONNECTION_LIMIT,
        (limits->connections + limits->threads - 1) / limits->threads,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(limits->keep_alive_us / TH_US_PER_SEC + 1),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
}

enum th_code loop_open(struct loop *loop, struct server *server, int fd, struct th_err *err)
{
    loop->server = server;
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->daemon = start(loop, fd);
    if (!loop->daemon) {
        (void)close(fd);
        return th_fail(err, TH_IO, "libmicrohttpd did not start");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || loop->wake_fd < 0)
        return th_fail(err, TH_IO, "no descriptor to wait for HTTP: %s", strerror(errno));
    loop->epoll_fd = info->epoll_fd;
    loop->has_thread = pthread_create(&loop->thread, NULL, run, loop) == 0;
    if (!loop->has_thread)
        return th_fail(err, TH_IO, "no thread for HTTP");
    (void)pthread_setname_np(loop->thread, "gw-http");
    return TH_OK;
}

void loop_quiesce(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->is_quiescing = true;
    nudge_and_unlock(loop);
}

void loop_hurry(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->is_hurrying = true;
    nudge_and_unlock(loop);
}

void loop_close(struct loop *loop)
{
    if (!loop->server)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->is_over = true;
    loop->is_hurrying = true;
    nudge_and_unlock(loop);
    if (loop->has_thread)
        (void)pthread_join(loop->thread, NULL);
    assert(!loop->first); /* stopping libmicrohttpd with suspended connections is not allowed */
    if (loop->daemon)
        MHD_stop_daemon(loop->daemon);
    if (loop->wake_fd >= 0)
        (void)close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
}
