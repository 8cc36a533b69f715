#include "connectors/sandbox/curl_post.h"

#include "common/buf.h"
#include "common/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_AT_ONCE   64
#define ANSWER_MAX       ((size_t)256 * 1024) /* bytes of a client's answer, all ignored */
#define CONNECT_TIMEOUT  5000L                /* ms */
#define KEPT_CONNECTIONS 256L
#define SIGNATURE_HEADER "X-Twilio-Signature: "

struct transfer {
    struct curl_post *posts;
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

struct curl_post {
    CURLM *multi;
    int fd; /* epoll */
    post_done_fn *done;
    void *owner;
    struct curl_slist *common;
    struct transfer *spare;
    struct transfer *all;
    size_t active;
    int64_t wake_us; /* monotonic; INT64_MAX: libcurl waits for nothing */
};

static size_t swallow(char *bytes, size_t size, size_t n, void *cls)
{
    struct transfer *transfer = cls;

    (void)bytes;
    transfer->answer_size += size * n;
    return transfer->answer_size > ANSWER_MAX ? 0 : size * n;
}

/* libcurl keeps socket_cls for us: not NULL once epoll knows the socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *cls, void *socket_cls)
{
    struct curl_post *posts = cls;
    struct epoll_event event = {
        .events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                  (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0),
        .data.fd = fd,
    };
    int how = socket_cls ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    (void)easy;
    if (what == CURL_POLL_REMOVE)
        how = EPOLL_CTL_DEL;
    if (epoll_ctl(posts->fd, how, fd, &event) != 0 && how != EPOLL_CTL_DEL)
        return -1;
    (void)curl_multi_assign(posts->multi, fd, how == EPOLL_CTL_DEL ? NULL : posts);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *cls)
{
    struct curl_post *posts = cls;

    (void)multi;
    posts->wake_us = timeout_ms < 0
                         ? INT64_MAX
                         : th_clock_monotonic_us(&th_clock_real) + timeout_ms * TH_US_PER_MS;
    return 0;
}

enum th_code curl_post_open(post_done_fn *done, void *owner, struct curl_post **out_posts,
                            struct th_err *err)
{
    TH_AUTO(curl_post) struct curl_post *posts = calloc(1, sizeof *posts);

    if (!posts)
        return th_fail(err, TH_NOMEM, "posts");
    *posts = (struct curl_post){.done = done, .owner = owner, .wake_us = INT64_MAX, .fd = -1};
    posts->fd = epoll_create1(EPOLL_CLOEXEC);
    if (posts->fd < 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    posts->multi = curl_multi_init();
    posts->common = curl_slist_append(NULL, "Content-Type: " POST_CONTENT_TYPE);
    if (!posts->multi || !posts->common ||
        !curl_slist_append(posts->common, "User-Agent: " POST_USER_AGENT) ||
        !curl_slist_append(posts->common, "Accept: */*") ||
        !curl_slist_append(posts->common, "Expect:"))
        return th_fail(err, TH_NOMEM, "libcurl");
    (void)curl_multi_setopt(posts->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(posts->multi, CURLMOPT_SOCKETDATA, posts);
    (void)curl_multi_setopt(posts->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(posts->multi, CURLMOPT_TIMERDATA, posts);
    (void)curl_multi_setopt(posts->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    *out_posts = TH_TAKE(posts);
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

void curl_post_close(struct curl_post *posts)
{
    if (!posts)
        return;
    while (posts->all) {
        struct transfer *transfer = posts->all;
        posts->all = transfer->next_of_all;
        if (posts->multi)
            (void)curl_multi_remove_handle(posts->multi, transfer->easy);
        free_transfer(transfer);
    }
    if (posts->multi)
        (void)curl_multi_cleanup(posts->multi);
    curl_slist_free_all(posts->common);
    if (posts->fd >= 0)
        (void)close(posts->fd);
    free(posts);
}

static void set_up(struct transfer *transfer)
{
    CURL *easy = transfer->easy;

    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)POST_TIMEOUT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static struct transfer *new_transfer(struct curl_post *posts)
{
    struct transfer *transfer = posts->spare;

    if (transfer) {
        posts->spare = transfer->next;
        return transfer;
    }
    transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->posts = posts;
    transfer->easy = curl_easy_init();
    if (!transfer->easy) {
        free_transfer(transfer);
        return NULL;
    }
    set_up(transfer);
    transfer->next_of_all = posts->all;
    posts->all = transfer;
    return transfer;
}

static void put_back(struct transfer *transfer)
{
    transfer->next = transfer->posts->spare;
    transfer->posts->spare = transfer;
}

static enum th_code fill(struct th_buf *buf, struct th_str head, struct th_str text)
{
    th_buf_clear(buf);
    th_buf_add(buf, head);
    th_buf_add(buf, text);
    th_buf_add_char(buf, '\0');
    return th_buf_status(buf);
}

static enum th_code prepare(struct transfer *transfer, const struct post *post)
{
    TH_TRY(fill(&transfer->url, TH_STR(""), post->url));
    TH_TRY(fill(&transfer->body, TH_STR(""), post->body));
    TH_TRY(fill(&transfer->header, TH_STR(SIGNATURE_HEADER), post->signature));
    transfer->own =
        (struct curl_slist){.data = transfer->header.p, .next = transfer->posts->common};
    transfer->answer_size = 0;
    transfer->what = post->what;
    CURL *easy = transfer->easy;
    if (curl_easy_setopt(easy, CURLOPT_URL, transfer->url.p) != CURLE_OK)
        return TH_NOMEM;
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, &transfer->own);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body.p);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)post->body.n);
    return TH_OK;
}

enum th_code curl_post_begin(struct curl_post *posts, const struct post *post)
{
    struct transfer *transfer = new_transfer(posts);

    if (!transfer)
        return TH_NOMEM;
    enum th_code code = prepare(transfer, post);
    if (code == TH_OK && curl_multi_add_handle(posts->multi, transfer->easy) != CURLM_OK)
        code = TH_INVALID;
    if (code != TH_OK) {
        put_back(transfer);
        return code;
    }
    posts->active++;
    return TH_OK;
}

size_t curl_post_active(const struct curl_post *posts)
{
    return posts->active;
}

int curl_post_fd(const struct curl_post *posts)
{
    return posts->fd;
}

static void collect(struct curl_post *posts)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(posts->multi, &left))) {
        struct transfer *transfer = NULL;
        long status = 0;

        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        if (message->data.result == CURLE_OK)
            (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
        (void)curl_multi_remove_handle(posts->multi, easy);
        posts->active--;
        uint64_t what = transfer->what;
        put_back(transfer);
        posts->done(posts->owner, what, (unsigned)status);
    }
}

static void serve_socket(struct curl_post *posts, const struct epoll_event *event)
{
    int fd = event->data.fd;
    int still;
    int what = (event->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (event->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (event->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

    (void)curl_multi_socket_action(posts->multi, fd, what, &still);
}

void curl_post_run(struct curl_post *posts)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int still;

    if (!posts->active)
        return;
    if (posts->wake_us <= th_clock_monotonic_us(&th_clock_real)) {
        posts->wake_us = INT64_MAX;
        (void)curl_multi_socket_action(posts->multi, CURL_SOCKET_TIMEOUT, 0, &still);
    }
    int n = epoll_wait(posts->fd, events, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++)
        serve_socket(posts, &events[i]);
    collect(posts);
}

int curl_post_wait_ms(const struct curl_post *posts)
{
    if (!posts->active || posts->wake_us == INT64_MAX)
        return -1;
    int64_t left = posts->wake_us - th_clock_monotonic_us(&th_clock_real);
    if (left <= 0)
        return 0;
    return left > 60 * TH_US_PER_SEC ? 60000 : (int)((left + TH_US_PER_MS - 1) / TH_US_PER_MS);
}
