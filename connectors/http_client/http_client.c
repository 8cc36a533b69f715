#include "connectors/http_client/http_client.h"

#include "connectors/http_client/transfer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_MAX   64
#define NEVER_US     INT64_MAX
#define BLIND_US     (10 * TH_US_PER_MS)
#define CLIENT_MAGIC 0x68747463u

struct curl_client {
    struct http_client base; /* first, so that one pointer is both */
    uint32_t magic;
    struct http_client_conf conf;
    CURLM *multi;
    int epoll_fd; /* libcurl's sockets and the timer */
    int timer_fd;
    int64_t due_us;        /* when libcurl wants to be called, CLOCK_MONOTONIC; NEVER_US */
    int64_t armed_us;      /* when the timer fires */
    bool is_blind;         /* some socket or deadline of libcurl's may be watched by nobody */
    size_t n_in_flight;    /* started, not yet polled */
    struct transfer **all; /* owned; as many as were ever needed at once */
    size_t n_all;
    struct transfer *idle; /* to be used again */
    struct transfer *lent; /* polled; their bodies live until the next poll */
    struct transfer *finished;
    struct transfer **finished_end;
};

static struct curl_client *checked(void *arg)
{
    struct curl_client *client = arg;

    assert(client && client->magic == CLIENT_MAGIC);
    return client;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *is_known)
{
    struct curl_client *client = checked(arg);
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(client->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* gone already if closed */
        return 0;
    }
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    int failed = epoll_ctl(client->epoll_fd, is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (failed && errno == ENOENT)
        failed = epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    else if (failed && errno == EEXIST)
        failed = epoll_ctl(client->epoll_fd, EPOLL_CTL_MOD, fd, &event);
    if (!is_known)
        (void)curl_multi_assign(client->multi, fd, client);
    /* Not -1: libcurl would then fail every transfer that there is, and every later one. */
    if (failed)
        client->is_blind = true;
    return 0;
}

static int on_timer(CURLM *multi, long wait_ms, void *arg)
{
    struct curl_client *client = checked(arg);

    (void)multi;
    client->due_us =
        wait_ms < 0 ? NEVER_US : th_clock_monotonic_us(&th_clock_real) + wait_ms * TH_US_PER_MS;
    return 0;
}

/* The timer may fire too early, which costs an empty poll, but never too late. So it is touched
 * only when libcurl's next deadline is earlier than what it is set to. */
static void arm_timer(struct curl_client *client)
{
    /* What is finished and was not polled for want of room keeps the fd readable. */
    int64_t at_us = client->finished ? 1 : client->due_us;
    if (client->is_blind && !client->finished) {
        int64_t look_us = th_clock_monotonic_us(&th_clock_real) + BLIND_US;
        at_us = look_us < at_us ? look_us : at_us;
    }

    if (at_us >= client->armed_us)
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = at_us / TH_US_PER_SEC, .tv_nsec = at_us % TH_US_PER_SEC * 1000},
    };

    int failed = timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    assert(!failed);
    client->armed_us = at_us;
}

static void disarm_fired_timer(struct curl_client *client)
{
    uint64_t n_fired;
    ssize_t n = read(client->timer_fd, &n_fired, sizeof n_fired);

    if (n == (ssize_t)sizeof n_fired)
        client->armed_us = NEVER_US;
}

/* Errors: TH_NOMEM, TH_IO */
static enum th_code take_idle(struct curl_client *client, struct transfer **out_transfer,
                              struct th_err *err)
{
    if (client->idle) {
        *out_transfer = client->idle;
        client->idle = client->idle->next;
        return TH_OK;
    }
    /* Of those in flight and those lent there are never more. */
    assert(client->n_all < 2 * client->conf.in_flight_max);
    TH_TRY(transfer_new(&client->conf, out_transfer, err));
    client->all[client->n_all++] = *out_transfer;
    return TH_OK;
}

static void put_idle(struct curl_client *client, struct transfer *transfer)
{
    transfer_rest(transfer);
    transfer->next = client->idle;
    client->idle = transfer;
}

static enum th_code add(struct curl_client *client, struct transfer *transfer,
                        const struct http_req *req, struct http_permit permit, uint64_t tag,
                        struct th_err *err)
{
    TH_TRY(transfer_load(transfer, req, permit, tag, err));
    if (req->body.n == 0 && permit.may_send && !permit.may_send(permit.arg))
        return th_fail(err, TH_DENIED, "not permitted any more");
    CURLMcode code = curl_multi_add_handle(client->multi, transfer->easy);
    if (code != CURLM_OK)
        return th_fail(err, code == CURLM_OUT_OF_MEMORY ? TH_NOMEM : TH_IO, "libcurl: %s",
                       curl_multi_strerror(code));
    return TH_OK;
}

static enum th_code client_start(struct http_client *base, const struct http_req *req,
                                 struct http_permit permit, uint64_t tag, struct th_err *err)
{
    struct curl_client *client = checked(base);
    struct transfer *transfer;

    if (client->n_in_flight == client->conf.in_flight_max)
        return th_fail(err, TH_FULL, "%zu requests are in flight", client->n_in_flight);
    TH_TRY(http_req_check(req, err));
    TH_TRY(take_idle(client, &transfer, err));
    enum th_code code = add(client, transfer, req, permit, tag, err);
    if (code != TH_OK) {
        put_idle(client, transfer);
        return code;
    }
    client->n_in_flight++;
    arm_timer(client);
    return TH_OK;
}

/* Without memory libcurl may have forgotten to ask for a socket or for a deadline. */
static void note(struct curl_client *client, CURLMcode code)
{
    if (code != CURLM_OK)
        client->is_blind = true;
}

/* So it is called every few milliseconds, until nothing runs any more that was there then. */
static void look_at_all(struct curl_client *client)
{
    int n_running = 1;

    (void)curl_multi_perform(client->multi, &n_running);
    client->is_blind = n_running > 0;
}

static void drive(struct curl_client *client)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(client->epoll_fd, events, EVENTS_MAX, 0);
    int n_running;

    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == client->timer_fd) {
            disarm_fired_timer(client);
            continue;
        }
        int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        note(client, curl_multi_socket_action(client->multi, events[i].data.fd, what, &n_running));
    }
    if (client->due_us <= th_clock_monotonic_us(&th_clock_real)) {
        client->due_us = NEVER_US; /* libcurl names the next deadline if there is one */
        note(client, curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running));
    }
    if (client->is_blind)
        look_at_all(client);
}

static void collect(struct curl_client *client)
{
    CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(client->multi, &n_left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result; /* message dies with the next call */
        struct transfer *transfer = transfer_of(message->easy_handle);
        CURLMcode code = curl_multi_remove_handle(client->multi, transfer->easy);
        assert(code == CURLM_OK);
        transfer_conclude(transfer, result);
        transfer->next = NULL;
        *client->finished_end = transfer;
        client->finished_end = &transfer->next;
    }
}

static void take_back_lent(struct curl_client *client)
{
    while (client->lent) {
        struct transfer *transfer = client->lent;
        client->lent = transfer->next;
        put_idle(client, transfer);
    }
}

static size_t hand_out(struct curl_client *client, struct http_done *out_done, size_t max)
{
    size_t n = 0;

    while (n < max && client->finished) {
        struct transfer *transfer = client->finished;
        client->finished = transfer->next;
        if (!client->finished)
            client->finished_end = &client->finished;
        out_done[n++] = (struct http_done){.tag = transfer->tag, .reply = transfer->reply};
        transfer->next = client->lent;
        client->lent = transfer;
        client->n_in_flight--;
    }
    return n;
}

static size_t client_poll(struct http_client *base, struct http_done *out_done, size_t max)
{
    struct curl_client *client = checked(base);

    take_back_lent(client);
    drive(client);
    collect(client);
    size_t n = hand_out(client, out_done, max);
    arm_timer(client);
    return n;
}

static int client_fd(const struct http_client *base)
{
    return ((const struct curl_client *)base)->epoll_fd;
}

static size_t client_in_flight(const struct http_client *base)
{
    return ((const struct curl_client *)base)->n_in_flight;
}

static void client_close(struct http_client *base)
{
    struct curl_client *client = checked(base);

    for (size_t i = 0; i < client->n_all; i++) {
        (void)curl_multi_remove_handle(client->multi, client->all[i]->easy);
        transfer_free(client->all[i]);
    }
    free(client->all);
    if (client->multi)
        (void)curl_multi_cleanup(client->multi); /* calls on_socket: before the fds go */
    if (client->timer_fd >= 0)
        (void)close(client->timer_fd);
    if (client->epoll_fd >= 0)
        (void)close(client->epoll_fd);
    free(client);
}

static const struct http_client_ops ops = {
    .start = client_start,
    .poll = client_poll,
    .fd = client_fd,
    .in_flight = client_in_flight,
    .close = client_close,
};

static CURLcode global_code;

/* With NOSIGNAL, which any program with threads needs, libcurl does not shield us from SIGPIPE: one
 * TLS record written to a dead connection would end the process. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now = (struct sigaction){.sa_handler = SIG_IGN};
        (void)sigaction(SIGPIPE, &now, NULL);
    }
}

static void init_global(void)
{
    ignore_sigpipe();
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static CURLMcode set_multi(struct curl_client *client)
{
    CURLM *multi = client->multi;
    long n_max = (long)client->conf.in_flight_max;
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);

    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, n_max);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return code;
}

/* Errors: TH_NOMEM, TH_IO */
static enum th_code open_parts(struct curl_client *client, struct th_err *err)
{
    client->all = calloc(2 * client->conf.in_flight_max, sizeof(struct transfer *));
    client->multi = curl_multi_init();
    if (!client->all || !client->multi)
        return th_fail(err, TH_NOMEM, "HTTP client");

    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = client->timer_fd};
    if (client->epoll_fd < 0 || client->timer_fd < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->timer_fd, &event) != 0)
        return th_fail(err, TH_IO, "HTTP client: %s", strerror(errno));

    CURLMcode code = set_multi(client);
    if (code != CURLM_OK)
        return th_fail(err, TH_IO, "libcurl refuses a setting: %s", curl_multi_strerror(code));
    return TH_OK;
}

enum th_code http_client_open(const struct http_client_conf *conf, struct http_client **out_client,
                              struct th_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (conf->in_flight_max < 1 || conf->in_flight_max > HTTP_IN_FLIGHT_MAX ||
        conf->idle_max_s < 0 || conf->low_speed_s < 0)
        return th_fail(err, TH_INVALID, "HTTP client: 1..%d requests in flight",
                       HTTP_IN_FLIGHT_MAX);
    (void)pthread_once(&once, init_global);
    if (global_code != CURLE_OK)
        return th_fail(err, TH_IO, "libcurl: %s", curl_easy_strerror(global_code));

    struct curl_client *client = calloc(1, sizeof *client);
    if (!client)
        return th_fail(err, TH_NOMEM, "HTTP client");
    *client = (struct curl_client){
        .base.ops = &ops,
        .magic = CLIENT_MAGIC,
        .conf = *conf,
        .epoll_fd = -1,
        .timer_fd = -1,
        .due_us = NEVER_US,
        .armed_us = NEVER_US,
    };
    client->finished_end = &client->finished;
    TH_AUTO(http_client) struct http_client *base = &client->base;
    TH_TRY(open_parts(client, err));
    *out_client = TH_TAKE(base);
    return TH_OK;
}
