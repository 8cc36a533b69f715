#include "connectors/http_client/http_client.h"

#include "connectors/http_client/transfer.h"
#include "connectors/http_client/watches.h"

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
#define SHARE_SIZE   64 /* requests in flight that one multi handle does well with */
#define SHARES_MAX   ((HTTP_IN_FLIGHT_MAX + SHARE_SIZE - 1) / SHARE_SIZE)
#define TIMER_TAG    UINT32_MAX

/* For every request libcurl walks through all connections of its multi handle, twice. So many
 * requests are shared out among a few of them. */
struct share {
    struct curl_client *client;
    CURLM *multi;
    int64_t due_us;        /* when libcurl wants to be called, CLOCK_MONOTONIC; NEVER_US */
    size_t n_taken;        /* transfers in flight or lent */
    struct transfer *idle; /* to be used again, in this multi */
};

struct curl_client {
    struct http_client base; /* first, so that one pointer is both */
    uint32_t magic;
    struct http_client_conf conf;
    struct share shares[SHARES_MAX];
    size_t n_shares;
    int epoll_fd; /* libcurl's sockets and the timer */
    int timer_fd;
    struct watches watches;
    int64_t armed_us;      /* when the timer fires */
    bool is_blind;         /* some socket or deadline of libcurl's may be watched by nobody */
    size_t n_in_flight;    /* started, not yet polled */
    struct transfer **all; /* owned; as many as were ever needed at once */
    size_t n_all;
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

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct share *share = arg;
    struct curl_client *client = checked(share->client);
    uint32_t events = 0;

    (void)easy, (void)unused;
    if (what != CURL_POLL_REMOVE && what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what != CURL_POLL_REMOVE && what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    /* Not -1: libcurl would then fail every transfer that there is, and every later one. */
    if (!watches_want(&client->watches, fd, events, (uint32_t)(share - client->shares)))
        client->is_blind = true;
    return 0;
}

static int on_timer(CURLM *multi, long wait_ms, void *arg)
{
    struct share *share = arg;

    (void)multi;
    share->due_us =
        wait_ms < 0 ? NEVER_US : th_clock_monotonic_us(&th_clock_real) + wait_ms * TH_US_PER_MS;
    return 0;
}

static int64_t due_us(const struct curl_client *client)
{
    int64_t due_us = NEVER_US;

    for (size_t i = 0; i < client->n_shares; i++)
        if (client->shares[i].due_us < due_us)
            due_us = client->shares[i].due_us;
    return due_us;
}

/* The timer may fire too early, which costs an empty poll, but never too late. So it is touched
 * only when libcurl's next deadline is earlier than what it is set to. */
static void arm_timer(struct curl_client *client)
{
    /* What is finished and was not polled for want of room keeps the fd readable. */
    int64_t at_us = client->finished ? 1 : due_us(client);
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

static struct share *least_share(struct curl_client *client)
{
    struct share *least = &client->shares[0];

    for (size_t i = 1; i < client->n_shares; i++)
        if (client->shares[i].n_taken < least->n_taken)
            least = &client->shares[i];
    return least;
}

/* No share has more than its part of those in flight and of those lent, rounded up. */
static size_t all_max(const struct curl_client *client)
{
    return 2 * client->conf.in_flight_max + client->n_shares;
}

/* Errors: TH_NOMEM, TH_IO */
static enum th_code take_idle(struct curl_client *client, struct transfer **out_transfer,
                              struct th_err *err)
{
    struct share *share = least_share(client);

    if (share->idle) {
        *out_transfer = share->idle;
        share->idle = share->idle->next;
        share->n_taken++;
        return TH_OK;
    }
    assert(client->n_all < all_max(client));
    TH_TRY(transfer_new(&client->conf, &client->watches, out_transfer, err));
    (*out_transfer)->share = share;
    share->n_taken++;
    client->all[client->n_all++] = *out_transfer;
    return TH_OK;
}

static void put_idle(struct transfer *transfer)
{
    struct share *share = transfer->share;

    transfer_rest(transfer);
    transfer->next = share->idle;
    share->idle = transfer;
    share->n_taken--;
}

static enum th_code add(struct transfer *transfer, const struct http_req *req,
                        struct http_permit permit, uint64_t tag, struct th_err *err)
{
    TH_TRY(transfer_load(transfer, req, permit, tag, err));
    if (req->body.n == 0 && permit.may_send && !permit.may_send(permit.arg))
        return th_fail(err, TH_DENIED, "not permitted any more");
    CURLMcode code = curl_multi_add_handle(transfer->share->multi, transfer->easy);
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
    enum th_code code = add(transfer, req, permit, tag, err);
    if (code != TH_OK) {
        put_idle(transfer);
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
    client->is_blind = false;
    for (size_t i = 0; i < client->n_shares; i++) {
        int n_running = 1;
        (void)curl_multi_perform(client->shares[i].multi, &n_running);
        client->is_blind = client->is_blind || n_running > 0;
    }
}

static void drive_socket(struct curl_client *client, const struct epoll_event *event)
{
    const struct share *share = &client->shares[event->data.u64 >> 32];
    int fd = (int)(uint32_t)event->data.u64;
    int n_running;
    int what = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

    if (watches_heard(&client->watches, fd))
        note(client, curl_multi_socket_action(share->multi, fd, what, &n_running));
}

static void drive_deadlines(struct curl_client *client)
{
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);
    int n_running;

    for (size_t i = 0; i < client->n_shares; i++) {
        struct share *share = &client->shares[i];
        if (share->due_us > now_us)
            continue;
        share->due_us = NEVER_US; /* libcurl names the next deadline if there is one */
        note(client, curl_multi_socket_action(share->multi, CURL_SOCKET_TIMEOUT, 0, &n_running));
    }
}

static void drive(struct curl_client *client)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(client->epoll_fd, events, EVENTS_MAX, 0);

    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 >> 32 == TIMER_TAG)
            disarm_fired_timer(client);
        else
            drive_socket(client, &events[i]);
    }
    drive_deadlines(client);
    if (client->is_blind)
        look_at_all(client);
}

static void collect_from(struct curl_client *client, struct share *share)
{
    CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(share->multi, &n_left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result; /* message dies with the next call */
        struct transfer *transfer = transfer_of(message->easy_handle);
        CURLMcode code = curl_multi_remove_handle(share->multi, transfer->easy);
        assert(code == CURLM_OK && transfer->share == share);
        transfer_conclude(transfer, result);
        transfer->next = NULL;
        *client->finished_end = transfer;
        client->finished_end = &transfer->next;
    }
}

static void collect(struct curl_client *client)
{
    for (size_t i = 0; i < client->n_shares; i++)
        collect_from(client, &client->shares[i]);
}

static void take_back_lent(struct curl_client *client)
{
    while (client->lent) {
        struct transfer *transfer = client->lent;
        client->lent = transfer->next;
        put_idle(transfer);
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
        (void)curl_multi_remove_handle(client->all[i]->share->multi, client->all[i]->easy);
        transfer_free(client->all[i]);
    }
    free(client->all);
    for (size_t i = 0; i < client->n_shares; i++)
        (void)curl_multi_cleanup(client->shares[i].multi); /* closes sockets: before the fds go */
    watches_fini(&client->watches);
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

static CURLMcode set_multi(const struct curl_client *client, struct share *share)
{
    CURLM *multi = share->multi;
    long n_max = (long)client->conf.in_flight_max;
    CURLMcode code = curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);

    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, share);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_TIMERDATA, share);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, n_max);
    if (code == CURLM_OK)
        code = curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return code;
}

/* Errors: TH_NOMEM, TH_IO */
static enum th_code open_shares(struct curl_client *client, struct th_err *err)
{
    for (size_t i = 0; i < client->n_shares; i++) {
        struct share *share = &client->shares[i];
        *share = (struct share){.client = client, .multi = curl_multi_init(), .due_us = NEVER_US};
        if (!share->multi)
            return th_fail(err, TH_NOMEM, "HTTP client");
        CURLMcode code = set_multi(client, share);
        if (code != CURLM_OK)
            return th_fail(err, TH_IO, "libcurl refuses a setting: %s", curl_multi_strerror(code));
    }
    return TH_OK;
}

/* Errors: TH_NOMEM, TH_IO */
static enum th_code open_parts(struct curl_client *client, struct th_err *err)
{
    client->n_shares = (client->conf.in_flight_max + SHARE_SIZE - 1) / SHARE_SIZE;
    client->all = calloc(all_max(client), sizeof(struct transfer *));
    if (!client->all)
        return th_fail(err, TH_NOMEM, "HTTP client");

    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)TIMER_TAG << 32};
    if (client->epoll_fd < 0 || client->timer_fd < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->timer_fd, &event) != 0)
        return th_fail(err, TH_IO, "HTTP client: %s", strerror(errno));
    watches_init(&client->watches, client->epoll_fd);
    return open_shares(client, err);
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
        .armed_us = NEVER_US,
    };
    client->finished_end = &client->finished;
    TH_AUTO(http_client) struct http_client *base = &client->base;
    TH_TRY(open_parts(client, err));
    *out_client = TH_TAKE(base);
    return TH_OK;
}
