#include "connectors/sandbox/plain_post.h"

#include "common/buf.h"
#include "common/clock.h"
#include "connectors/sandbox/http_reply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64
#define ANSWER_MAX     ((size_t)64 * 1024) /* bytes; a longer answer costs its connection */
#define IDLE_MAX       1024
#define TIMEOUT_US     (POST_TIMEOUT_MS * TH_US_PER_MS)

enum connection_state { IDLE, BUSY, OVER };

struct connection {
    enum connection_state state;
    int fd;
    uint64_t host; /* address and port */
    bool is_reused;
    struct th_buf request;
    size_t sent;
    struct th_buf answer;
    int64_t deadline_us; /* monotonic */
    uint64_t what;
    struct connection *next; /* among the idle, the busy (oldest first), or the finished */
    struct connection *previous;
};

struct list {
    struct connection *first;
    struct connection *last;
    size_t n;
};

struct plain_post {
    int fd; /* epoll */
    post_done_fn *done;
    void *owner;
    struct list idle; /* the most recently used last */
    struct list busy;
    struct list over;   /* closed; freed when no event can speak of them any more */
    struct list failed; /* could not even be begun: told at the next run */
};

static void append(struct list *list, struct connection *c)
{
    c->next = NULL;
    c->previous = list->last;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
    list->n++;
}

static void take_out(struct list *list, struct connection *c)
{
    if (c->previous)
        c->previous->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    else
        list->last = c->previous;
    list->n--;
}

static void free_all(struct list *list)
{
    while (list->first) {
        struct connection *c = list->first;
        take_out(list, c);
        if (c->fd >= 0)
            (void)close(c->fd);
        th_buf_fini(&c->request);
        th_buf_fini(&c->answer);
        free(c);
    }
}

enum th_code plain_post_open(post_done_fn *done, void *owner, struct plain_post **out_posts,
                             struct th_err *err)
{
    TH_AUTO(plain_post) struct plain_post *posts = calloc(1, sizeof *posts);

    if (!posts)
        return th_fail(err, TH_NOMEM, "callbacks");
    posts->done = done;
    posts->owner = owner;
    posts->fd = epoll_create1(EPOLL_CLOEXEC);
    if (posts->fd < 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    *out_posts = TH_TAKE(posts);
    return TH_OK;
}

void plain_post_close(struct plain_post *posts)
{
    if (!posts)
        return;
    free_all(&posts->idle);
    free_all(&posts->busy);
    free_all(&posts->over);
    free_all(&posts->failed);
    if (posts->fd >= 0)
        (void)close(posts->fd);
    free(posts);
}

/* Where a URL leads. */
struct place {
    struct sockaddr_in address;
    struct th_str authority; /* as written */
    struct th_str target;    /* path and query; may be empty or begin with '?' */
};

static bool find_place(struct th_str url, struct place *place)
{
    static const struct th_str scheme = {"http://", 7};
    struct th_str host;
    struct th_str port;
    int64_t number = 80;
    char text[INET_ADDRSTRLEN];
    size_t n = scheme.n;

    if (!th_str_starts(url, scheme))
        return false;
    while (n < url.n && url.p[n] != '/' && url.p[n] != '?')
        n++;
    place->authority = (struct th_str){url.p + scheme.n, n - scheme.n};
    place->target = (struct th_str){url.p + n, url.n - n};
    if (th_str_cut(place->authority, ':', &host, &port) && !th_str_int(port, 1, 65535, &number))
        return false;
    if (host.n >= sizeof text)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    place->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    return inet_pton(AF_INET, text, &place->address.sin_addr) == 1;
}

static uint64_t host_of(const struct place *place)
{
    return (uint64_t)place->address.sin_addr.s_addr << 16 | place->address.sin_port;
}

static enum th_code write_request(struct th_buf *out, const struct place *place,
                                  const struct post *post)
{
    th_buf_clear(out);
    th_buf_add(out, TH_STR("POST "));
    if (!th_str_starts(place->target, TH_STR("/")))
        th_buf_add_char(out, '/');
    th_buf_add(out, place->target);
    th_buf_add(out, TH_STR(" HTTP/1.1\r\nHost: "));
    th_buf_add(out, place->authority);
    th_buf_add(out, TH_STR("\r\nContent-Type: " POST_CONTENT_TYPE "\r\nUser-Agent: " POST_USER_AGENT
                           "\r\nAccept: */*\r\nX-Twilio-Signature: "));
    th_buf_add(out, post->signature);
    th_buf_printf(out, "\r\nContent-Length: %zu\r\n\r\n", post->body.n);
    th_buf_add(out, post->body);
    return th_buf_status(out);
}

/* Connect without waiting, and have epoll tell every change from now on: what an edge-triggered
 * registration says once need never be said again. */
static bool connect_to(struct plain_post *posts, struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = (in_port_t)(c->host & 0xffff),
                                  .sin_addr = {.s_addr = (in_addr_t)(c->host >> 16)}};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    int one = 1;

    c->is_reused = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return false;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
        errno != EINPROGRESS)
        return false;
    return epoll_ctl(posts->fd, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

static void hang_up(struct connection *c)
{
    if (c->fd >= 0)
        (void)close(c->fd); /* epoll forgets it by itself */
    c->fd = -1;
}

/* An event that was already fetched may still name it, so it is freed only later. */
static void discard(struct plain_post *posts, struct connection *c)
{
    hang_up(c);
    c->state = OVER;
    append(&posts->over, c);
}

static void finish(struct plain_post *posts, struct connection *c, unsigned status, bool is_kept)
{
    uint64_t what = c->what;

    take_out(&posts->busy, c);
    if (is_kept && posts->idle.n < IDLE_MAX) {
        c->state = IDLE;
        append(&posts->idle, c);
    } else {
        discard(posts, c);
    }
    posts->done(posts->owner, what, status);
}

/* The connection broke. A kept one may have been closed while it lay idle: try a new one, once. */
static void lose(struct plain_post *posts, struct connection *c)
{
    hang_up(c);
    if (!c->is_reused || c->answer.n) {
        finish(posts, c, 0, false);
        return;
    }
    c->sent = 0;
    if (!connect_to(posts, c))
        finish(posts, c, 0, false);
}

/* False: the connection broke. */
static bool send_rest(struct connection *c)
{
    while (c->sent < c->request.n) {
        ssize_t n = send(c->fd, c->request.p + c->sent, c->request.n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN))
            return true; /* epoll will tell when */
        if (n < 0 && errno != EINTR)
            return false;
        c->sent += n > 0 ? (size_t)n : 0;
    }
    return true;
}

enum reading { READ_MORE, READ_DONE, READ_BROKEN };

static enum reading receive(struct connection *c)
{
    for (;;) {
        size_t room = 4096;
        char *to = th_buf_reserve(&c->answer, room);
        if (!to || c->answer.n > ANSWER_MAX)
            return READ_BROKEN;
        ssize_t n = recv(c->fd, to, room, 0);
        if (n < 0 && errno == EAGAIN)
            return READ_MORE;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return READ_BROKEN;
        c->answer.n += (size_t)n;
        if (http_reply_read(th_buf_str(&c->answer)).state != REPLY_PARTIAL)
            return READ_DONE;
    }
}

static void serve(struct plain_post *posts, struct connection *c, uint32_t events)
{
    if (c->state == OVER)
        return;
    if (c->state == IDLE) {
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            take_out(&posts->idle, c);
            discard(posts, c);
        }
        return;
    }
    if (events & EPOLLOUT && !send_rest(c)) {
        lose(posts, c);
        return;
    }
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return;
    switch (receive(c)) {
    case READ_MORE:
        return;
    case READ_BROKEN:
        lose(posts, c);
        return;
    case READ_DONE:
        break;
    }
    struct http_reply reply = http_reply_read(th_buf_str(&c->answer));
    bool is_kept = reply.state == REPLY_WHOLE && !reply.is_final && reply.size == c->answer.n;
    finish(posts, c, reply.state == REPLY_BROKEN ? 0 : reply.status, is_kept);
}

static struct connection *idle_one(struct plain_post *posts, uint64_t host)
{
    struct connection *c = posts->idle.last;

    while (c && c->host != host)
        c = c->previous;
    if (c) {
        take_out(&posts->idle, c);
        c->is_reused = true;
    }
    return c;
}

static struct connection *new_one(uint64_t host)
{
    struct connection *c = calloc(1, sizeof *c);

    if (c) {
        c->fd = -1;
        c->host = host;
    }
    return c;
}

enum th_code plain_post_begin(struct plain_post *posts, const struct post *post)
{
    struct place place;

    if (!find_place(post->url, &place))
        return TH_UNSUPPORTED;
    struct connection *c = idle_one(posts, host_of(&place));
    if (!c)
        c = new_one(host_of(&place));
    if (!c)
        return TH_NOMEM;
    c->state = BUSY;
    c->sent = 0;
    c->what = post->what;
    c->deadline_us = th_clock_monotonic_us(&th_clock_real) + TIMEOUT_US;
    th_buf_clear(&c->answer);
    if (write_request(&c->request, &place, post) != TH_OK) {
        discard(posts, c);
        return TH_NOMEM;
    }
    bool is_begun = (c->fd >= 0 || connect_to(posts, c)) && (!c->is_reused || send_rest(c));
    append(is_begun ? &posts->busy : &posts->failed, c);
    return TH_OK;
}

/* What broke before it began is told, or tried anew, outside of plain_post_begin. */
static void serve_failed(struct plain_post *posts)
{
    while (posts->failed.first) {
        struct connection *c = posts->failed.first;
        take_out(&posts->failed, c);
        append(&posts->busy, c);
        lose(posts, c);
    }
}

static void serve_late(struct plain_post *posts, int64_t now_us)
{
    while (posts->busy.first && posts->busy.first->deadline_us <= now_us)
        finish(posts, posts->busy.first, 0, false);
}

size_t plain_post_active(const struct plain_post *posts)
{
    return posts->busy.n + posts->failed.n;
}

int plain_post_fd(const struct plain_post *posts)
{
    return posts->fd;
}

void plain_post_run(struct plain_post *posts)
{
    struct epoll_event events[EVENTS_AT_ONCE];

    serve_failed(posts);
    int n = epoll_wait(posts->fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++)
        serve(posts, events[i].data.ptr, events[i].events);
    serve_late(posts, th_clock_monotonic_us(&th_clock_real));
    free_all(&posts->over);
}

int plain_post_wait_ms(const struct plain_post *posts)
{
    if (posts->failed.n)
        return 0;
    if (!posts->busy.first)
        return -1;
    int64_t left = posts->busy.first->deadline_us - th_clock_monotonic_us(&th_clock_real);
    return left <= 0 ? 0 : (int)(left / TH_US_PER_MS) + 1;
}
