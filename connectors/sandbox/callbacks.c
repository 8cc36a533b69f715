#include "connectors/sandbox/callbacks.h"

#include "common/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_AT_ONCE   64
#define ANSWER_MAX       ((size_t)256 * 1024) /* bytes of a client's answer, all ignored */
#define CONNECT_TIMEOUT  5000L                /* ms */
#define TOTAL_TIMEOUT    15000L               /* ms, as Twilio waits */
#define KEPT_CONNECTIONS 256L
#define SIGNATURE_HEADER "X-Twilio-Signature: "

struct transfer {
    struct callbacks *callbacks;
    CURL *easy;
    struct curl_slist own; /* the head, its text in header.p */
    struct th_buf header;
    struct th_buf url;
    struct th_buf body;
    size_t answer_size;
    uint64_t what;
    struct transfer *next; /* among the spare, or all */
    struct transfer *next_of_all;
};

/* What epoll has been told about a socket, and what libcurl wants. Between two transfers on a
 * kept connection libcurl wants nothing for a moment; saying so to epoll each time would cost two
 * system calls per callback. */
struct socket_state {
    uint8_t registered; /* CURL_POLL_… */
    uint8_t wanted;
};

struct callbacks {
    CURLM *multi;
    int fd; /* epoll */
    callbacks_done_fn *done;
    void *owner;
    struct curl_slist *common;
    struct transfer *spare;
    struct transfer *all;
    size_t active;
    int64_t wake_us; /* monotonic; INT64_MAX: libcurl waits for nothing */
    struct socket_state *sockets;
    size_t sockets_n;
};

static size_t swallow(char *bytes, size_t size, size_t n, void *cls)
{
    struct transfer *transfer = cls;

    (void)bytes;
    transfer->answer_size += size * n;
    return transfer->answer_size > ANSWER_MAX ? 0 : size * n;
}

static enum th_code room_for(struct callbacks *callbacks, int fd)
{
    if ((size_t)fd < callbacks->sockets_n)
        return TH_OK;
    size_t n = 2 * (size_t)fd + 64;
    struct socket_state *sockets = reallocarray(callbacks->sockets, n, sizeof *sockets);
    if (!sockets)
        return TH_NOMEM;
    memset(sockets + callbacks->sockets_n, 0, (n - callbacks->sockets_n) * sizeof *sockets);
    callbacks->sockets = sockets;
    callbacks->sockets_n = n;
    return TH_OK;
}

static void tell_epoll(struct callbacks *callbacks, int fd, uint8_t wanted)
{
    struct socket_state *state = &callbacks->sockets[fd];
    struct epoll_event event = {
        .events = (wanted & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                  (wanted & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0),
        .data.fd = fd,
    };
    int how = !wanted ? EPOLL_CTL_DEL : state->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (state->registered == wanted)
        return;
    (void)epoll_ctl(callbacks->fd, how, fd, &event);
    state->registered = wanted;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *cls, void *socket_cls)
{
    struct callbacks *callbacks = cls;

    (void)easy;
    (void)socket_cls;
    if (room_for(callbacks, fd) != TH_OK)
        return -1;
    uint8_t wanted = what == CURL_POLL_REMOVE ? 0 : (uint8_t)what;
    callbacks->sockets[fd].wanted = wanted;
    if (wanted)
        tell_epoll(callbacks, fd, wanted);
    return 0;
}

/* The kernel forgets a closed socket by itself; so must we, for its number will come again. */
static int on_close(void *cls, curl_socket_t fd)
{
    struct callbacks *callbacks = cls;

    if ((size_t)fd < callbacks->sockets_n)
        callbacks->sockets[fd] = (struct socket_state){0, 0};
    return close(fd);
}

static int on_timer(CURLM *multi, long timeout_ms, void *cls)
{
    struct callbacks *callbacks = cls;

    (void)multi;
    callbacks->wake_us = timeout_ms < 0
                             ? INT64_MAX
                             : th_clock_monotonic_us(&th_clock_real) + timeout_ms * TH_US_PER_MS;
    return 0;
}

enum th_code callbacks_open(callbacks_done_fn *done, void *owner, struct callbacks **out_callbacks,
                            struct th_err *err)
{
    TH_AUTO(callbacks) struct callbacks *callbacks = calloc(1, sizeof *callbacks);

    if (!callbacks)
        return th_fail(err, TH_NOMEM, "callbacks");
    *callbacks = (struct callbacks){.done = done, .owner = owner, .wake_us = INT64_MAX, .fd = -1};
    callbacks->fd = epoll_create1(EPOLL_CLOEXEC);
    if (callbacks->fd < 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    callbacks->multi = curl_multi_init();
    callbacks->common =
        curl_slist_append(NULL, "Content-Type: application/x-www-form-urlencoded; charset=UTF-8");
    if (!callbacks->multi || !callbacks->common ||
        !curl_slist_append(callbacks->common, "User-Agent: TwilioProxy/1.1") ||
        !curl_slist_append(callbacks->common, "Accept: */*") ||
        !curl_slist_append(callbacks->common, "Expect:"))
        return th_fail(err, TH_NOMEM, "libcurl");
    (void)curl_multi_setopt(callbacks->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(callbacks->multi, CURLMOPT_SOCKETDATA, callbacks);
    (void)curl_multi_setopt(callbacks->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(callbacks->multi, CURLMOPT_TIMERDATA, callbacks);
    (void)curl_multi_setopt(callbacks->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    *out_callbacks = TH_TAKE(callbacks);
    return TH_OK;
}

static void free_transfer(struct transfer *transfer)
{
    if (transfer->easy)
        curl_easy_cleanup(transfer->easy);
    th_buf_fini(&transfer->header);
    th_buf_fini(&transfer->url);
    th_buf_fini(&transfer->body);
    free(transfer);
}

void callbacks_close(struct callbacks *callbacks)
{
    if (!callbacks)
        return;
    while (callbacks->all) {
        struct transfer *transfer = callbacks->all;
        callbacks->all = transfer->next_of_all;
        if (callbacks->multi)
            (void)curl_multi_remove_handle(callbacks->multi, transfer->easy);
        free_transfer(transfer);
    }
    if (callbacks->multi)
        (void)curl_multi_cleanup(callbacks->multi);
    curl_slist_free_all(callbacks->common);
    if (callbacks->fd >= 0)
        (void)close(callbacks->fd);
    free(callbacks->sockets);
    free(callbacks);
}

static void set_up(struct transfer *transfer)
{
    CURL *easy = transfer->easy;

    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TOTAL_TIMEOUT);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    (void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->callbacks);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static struct transfer *new_transfer(struct callbacks *callbacks)
{
    struct transfer *transfer = callbacks->spare;

    if (transfer) {
        callbacks->spare = transfer->next;
        return transfer;
    }
    transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->callbacks = callbacks;
    transfer->easy = curl_easy_init();
    if (!transfer->easy) {
        free_transfer(transfer);
        return NULL;
    }
    set_up(transfer);
    transfer->next_of_all = callbacks->all;
    callbacks->all = transfer;
    return transfer;
}

static void put_back(struct transfer *transfer)
{
    transfer->next = transfer->callbacks->spare;
    transfer->callbacks->spare = transfer;
}

static enum th_code fill(struct th_buf *buf, struct th_str head, struct th_str text)
{
    th_buf_clear(buf);
    th_buf_add(buf, head);
    th_buf_add(buf, text);
    th_buf_add_char(buf, '\0');
    return th_buf_status(buf);
}

static enum th_code prepare(struct transfer *transfer, struct th_str url, struct th_str signature,
                            struct th_str body)
{
    TH_TRY(fill(&transfer->url, TH_STR(""), url));
    TH_TRY(fill(&transfer->body, TH_STR(""), body));
    TH_TRY(fill(&transfer->header, TH_STR(SIGNATURE_HEADER), signature));
    transfer->own =
        (struct curl_slist){.data = transfer->header.p, .next = transfer->callbacks->common};
    transfer->answer_size = 0;
    CURL *easy = transfer->easy;
    if (curl_easy_setopt(easy, CURLOPT_URL, transfer->url.p) != CURLE_OK)
        return TH_NOMEM;
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, &transfer->own);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body.p);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.n);
    return TH_OK;
}

enum th_code callbacks_post(struct callbacks *callbacks, struct th_str url, struct th_str signature,
                            struct th_str body, uint64_t what)
{
    struct transfer *transfer = new_transfer(callbacks);

    if (!transfer)
        return TH_NOMEM;
    enum th_code code = prepare(transfer, url, signature, body);
    if (code == TH_OK && curl_multi_add_handle(callbacks->multi, transfer->easy) != CURLM_OK)
        code = TH_INVALID;
    if (code != TH_OK) {
        put_back(transfer);
        return code;
    }
    transfer->what = what;
    callbacks->active++;
    return TH_OK;
}

size_t callbacks_active(const struct callbacks *callbacks)
{
    return callbacks->active;
}

int callbacks_fd(const struct callbacks *callbacks)
{
    return callbacks->fd;
}

static void collect(struct callbacks *callbacks)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(callbacks->multi, &left))) {
        struct transfer *transfer = NULL;
        long status = 0;

        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        if (message->data.result == CURLE_OK)
            (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
        (void)curl_multi_remove_handle(callbacks->multi, easy);
        callbacks->active--;
        uint64_t what = transfer->what;
        put_back(transfer);
        callbacks->done(callbacks->owner, what, (unsigned)status);
    }
}

static void serve_socket(struct callbacks *callbacks, const struct epoll_event *event)
{
    int fd = event->data.fd;
    int still;
    int what = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

    if (!callbacks->sockets[fd].wanted) {
        tell_epoll(callbacks, fd, 0); /* the far side closed a connection that nobody uses */
        return;
    }
    (void)curl_multi_socket_action(callbacks->multi, fd, what, &still);
}

void callbacks_run(struct callbacks *callbacks)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int still;

    if (callbacks->wake_us <= th_clock_monotonic_us(&th_clock_real)) {
        callbacks->wake_us = INT64_MAX;
        (void)curl_multi_socket_action(callbacks->multi, CURL_SOCKET_TIMEOUT, 0, &still);
    }
    int n = epoll_wait(callbacks->fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++)
        serve_socket(callbacks, &events[i]);
    collect(callbacks);
}

int callbacks_wait_ms(const struct callbacks *callbacks)
{
    if (callbacks->wake_us == INT64_MAX)
        return -1;
    int64_t left = callbacks->wake_us - th_clock_monotonic_us(&th_clock_real);
    if (left <= 0)
        return 0;
    return left > 60 * TH_US_PER_SEC ? 60000 : (int)((left + TH_US_PER_MS - 1) / TH_US_PER_MS);
}
