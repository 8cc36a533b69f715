#include "connectors/http_client/transfer.h"

#include "common/encode.h"
#include "connectors/http_client/transfer_faults.h"
#include "connectors/http_client/watches.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TRANSFER_MAGIC     0x74726678u
#define ANSWER_HEADERS_MAX 65536  /* bytes, of all header lines together */
#define UPLOAD_BUFFER_SIZE 16384L /* libcurl's least; it keeps one per easy handle */
#define ANSWER_BUFFER_SIZE 2048L  /* one per request in flight; answers are about so large */
#define KEPT_MAX           8192   /* bytes of a body, from one request to the next */
#define IDLE_MAX_S         20
#define LOW_SPEED_S        10

static struct transfer *checked(void *arg)
{
    struct transfer *transfer = arg;

    assert(transfer && transfer->magic == TRANSFER_MAGIC);
    return transfer;
}

struct transfer *transfer_of(CURL *easy)
{
    char *arg = NULL;

    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &arg);
    return checked(arg);
}

/* Called when a connection stands and the first byte is about to leave, at every time that libcurl
 * begins the request. It begins it again by itself on a connection that turned out dead, which the
 * peer may have heard before it died: only what is safe to repeat is begun twice. */
static int on_begin(void *arg, char *peer, char *local, int peer_port, int local_port)
{
    struct transfer *transfer = checked(arg);

    (void)peer, (void)local, (void)peer_port, (void)local_port;
    transfer_faults_enter(transfer);
    if (transfer->is_begun)
        return transfer->is_repeatable ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
    if (transfer->body.n && TH_FAULT(request_begun))
        return CURL_PREREQFUNC_ABORT;
    if (transfer->permit.may_send && transfer->body.n &&
        !transfer->permit.may_send(transfer->permit.arg)) {
        transfer->reply.is_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->is_begun = true;
    return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = checked(arg);

    (void)purpose;
    if (!transfer_faults_connect(transfer))
        return CURL_SOCKET_BAD;
    return watches_open(transfer->watches, address->family, address->socktype, address->protocol);
}

/* The connection may have outlived the transfer that made it. */
static int on_close(void *arg, curl_socket_t fd)
{
    return watches_close(arg, fd);
}

static size_t on_answer(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = checked(arg);
    size_t n = size * count;

    if (n > HTTP_REPLY_MAX - transfer->answer.n)
        return 0;
    th_buf_add(&transfer->answer, (struct th_str){bytes, n});
    return th_buf_status(&transfer->answer) == TH_OK ? n : 0;
}

/* Keep the value of line if its field has this name. */
static bool keep_field(struct th_str line, const char *name, char *out_value, size_t size)
{
    struct th_str field;
    struct th_str value;

    if (!th_str_cut(line, ':', &field, &value) || field.n != strlen(name) ||
        strncasecmp(field.p, name, field.n) != 0)
        return false;
    value = th_str_trim(value);
    if (value.n >= size)
        return false;
    memcpy(out_value, value.p, value.n);
    out_value[value.n] = '\0';
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = checked(arg);
    struct th_str line = {bytes, size * count};

    transfer->header_size += line.n;
    if (transfer->header_size > ANSWER_HEADERS_MAX)
        return 0;
    if (th_str_starts(line, TH_STR("HTTP/"))) { /* 1xx may stand before the answer itself */
        transfer_faults_enter(transfer);
        if (transfer->body.n && TH_FAULT(answer_begun))
            return 0;
        transfer->has_retry_after = false;
        transfer->date[0] = '\0';
        (void)curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 0L);
    }
    if (keep_field(line, "Retry-After", transfer->retry_after, sizeof transfer->retry_after))
        transfer->has_retry_after = true;
    (void)keep_field(line, "Date", transfer->date, sizeof transfer->date);
    return line.n;
}

/* Set an option of easy; failed keeps the first refusal. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_code_ = curl_easy_setopt(easy, option, value);                                \
        if (failed == CURLE_OK)                                                                    \
            failed = set_code_;                                                                    \
    } while (0)

/* What is the same for every request. */
static CURLcode set_once(struct transfer *transfer, const struct http_client_conf *conf)
{
    CURL *easy = transfer->easy;
    CURLcode failed = CURLE_OK;

    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (conf->ca_file)
        SET(CURLOPT_CAINFO, conf->ca_file);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)(conf->low_speed_s ? conf->low_speed_s : LOW_SPEED_S));
    SET(CURLOPT_MAXAGE_CONN, (long)(conf->idle_max_s ? conf->idle_max_s : IDLE_MAX_S));
    SET(CURLOPT_BUFFERSIZE, ANSWER_BUFFER_SIZE);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_SIZE);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, transfer);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
    SET(CURLOPT_CLOSESOCKETDATA, transfer->watches);
    SET(CURLOPT_PREREQFUNCTION, on_begin);
    SET(CURLOPT_PREREQDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, on_answer);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, transfer);
    return failed;
}

enum th_code transfer_new(const struct http_client_conf *conf, struct watches *watches,
                          struct transfer **out_transfer, struct th_err *err)
{
    CURL *easy = curl_easy_init();
    struct transfer *transfer = easy ? calloc(1, sizeof *transfer) : NULL;

    if (!transfer) {
        curl_easy_cleanup(easy);
        return th_fail(err, TH_NOMEM, "HTTP transfer");
    }
    transfer->magic = TRANSFER_MAGIC;
    transfer->watches = watches;
    transfer->easy = easy;
    transfer_faults_watch(transfer);
    CURLcode code = set_once(transfer, conf);
    if (code != CURLE_OK) {
        transfer_free(transfer);
        return th_fail(err, TH_IO, "libcurl refuses a setting: %s", curl_easy_strerror(code));
    }
    *out_transfer = transfer;
    return TH_OK;
}

static void wipe(struct th_buf *buf)
{
    if (buf->p)
        explicit_bzero(buf->p, buf->cap);
    th_buf_clear(buf);
}

/* A header may hold a secret. */
static void drop_headers(struct transfer *transfer)
{
    for (struct curl_slist *header = transfer->headers; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data));
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    wipe(&transfer->credentials);
    th_buf_clear(&transfer->content_type);
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->easy);
    curl_url_cleanup(transfer->parsed);
    drop_headers(transfer);
    th_buf_fini(&transfer->url);
    th_buf_fini(&transfer->content_type);
    th_buf_fini(&transfer->credentials);
    th_buf_fini(&transfer->body);
    th_buf_fini(&transfer->answer);
    free(transfer);
}

static bool append_header(struct transfer *transfer, struct th_buf *line)
{
    th_buf_add_char(line, '\0');
    struct curl_slist *longer =
        th_buf_status(line) == TH_OK ? curl_slist_append(transfer->headers, line->p) : NULL;
    if (longer)
        transfer->headers = longer;
    return longer != NULL;
}

static bool add_header(struct transfer *transfer, struct th_str name, struct th_str value)
{
    struct th_buf line __attribute__((cleanup(th_buf_auto))) = {0};

    th_buf_printf(&line, "%.*s: %.*s", TH_ARG(name), TH_ARG(value));
    return append_header(transfer, &line);
}

/* RFC 7617. libcurl would make it anew for every request. */
static bool add_credentials(struct transfer *transfer, const struct http_req *req)
{
    struct th_buf line __attribute__((cleanup(th_buf_auto))) = {0};

    if (!req->user.n)
        return true;
    th_buf_add(&transfer->credentials, req->user);
    th_buf_add_char(&transfer->credentials, ':');
    th_buf_add(&transfer->credentials, req->secret);
    th_buf_add(&line, TH_STR("Authorization: Basic "));
    th_base64_add(&line, th_buf_str(&transfer->credentials));
    bool is_added =
        th_buf_status(&transfer->credentials) == TH_OK && append_header(transfer, &line);
    wipe(&line);
    return is_added;
}

static bool has_credentials(const struct transfer *transfer, const struct http_req *req)
{
    struct th_str kept = th_buf_str(&transfer->credentials);
    struct th_str user;
    struct th_str secret;

    if (!req->user.n)
        return kept.n == 0;
    return th_str_cut(kept, ':', &user, &secret) && th_str_eq(user, req->user) &&
           th_str_eq(secret, req->secret);
}

/* Most requests of a lane have the same few headers: they are kept from the one before. */
static enum th_code load_headers(struct transfer *transfer, const struct http_req *req)
{
    if (transfer->headers && !transfer->has_own_headers && req->n_headers == 0 &&
        th_str_eq(th_buf_str(&transfer->content_type), req->content_type) &&
        has_credentials(transfer, req))
        return TH_OK;

    drop_headers(transfer);
    transfer->has_own_headers = req->n_headers > 0;
    th_buf_add(&transfer->content_type, req->content_type);
    TH_TRY(th_buf_status(&transfer->content_type));
    /* Without the empty one libcurl waits a second for "100 Continue" before a longer body. */
    if (!add_header(transfer, TH_STR("Expect"), (struct th_str){0}) ||
        !add_header(transfer, TH_STR("User-Agent"), TH_STR("telehub")) ||
        !add_credentials(transfer, req))
        return TH_NOMEM;
    if (req->content_type.n && !add_header(transfer, TH_STR("Content-Type"), req->content_type))
        return TH_NOMEM;
    for (size_t i = 0; i < req->n_headers; i++) {
        if (!add_header(transfer, req->headers[i].name, req->headers[i].value))
            return TH_NOMEM;
    }
    return TH_OK;
}

/* libcurl parses and composes a text again for every request, but copies what is parsed. */
static CURLcode parse_url(struct transfer *transfer, struct th_str url)
{
    char text[HTTP_URL_MAX + 1];

    assert(url.n < sizeof text);
    memcpy(text, url.p, url.n);
    text[url.n] = '\0';
    if (!transfer->parsed)
        transfer->parsed = curl_url();
    if (!transfer->parsed)
        return CURLE_OUT_OF_MEMORY;
    CURLUcode code = curl_url_set(transfer->parsed, CURLUPART_URL, text, 0);
    if (code != CURLUE_OK)
        return code == CURLUE_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_URL_MALFORMAT;
    return CURLE_OK;
}

/* Given apart from the URL, because libcurl 7.88 overlooks that it had no memory for the query it
 * takes out of that, and asks without: a provider's list would be read as if nobody were on it. */
static CURLcode set_target(CURL *easy, struct th_str url)
{
    char target[HTTP_URL_MAX + 2];
    const char *end = memchr(url.p, '#', url.n);
    const char *at = memmem(url.p, url.n, "://", 3);

    if (!end)
        end = url.p + url.n;
    assert(at && url.n <= HTTP_URL_MAX);
    at += 3;
    while (at < end && *at != '/' && *at != '?')
        at++;
    const char *slash = at < end && *at == '/' ? "" : "/";
    (void)snprintf(target, sizeof target, "%s%.*s", slash, (int)(end - at), at);
    CURLcode code = curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, target);
    explicit_bzero(target, sizeof target);
    return code;
}

static CURLcode load_url(struct transfer *transfer, const struct http_req *req)
{
    CURL *easy = transfer->easy;
    bool is_local = http_url_is_loopback(req->url);

    if (transfer->url.n && th_str_eq(th_buf_str(&transfer->url), req->url))
        return CURLE_OK;
    th_buf_clear(&transfer->url);
    CURLcode failed = parse_url(transfer, req->url);
    SET(CURLOPT_URL, NULL); /* else libcurl goes on showing the text of the one before */
    SET(CURLOPT_CURLU, transfer->parsed);
    SET(CURLOPT_PROTOCOLS_STR, is_local ? "http,https" : "https");
    SET(CURLOPT_NOPROXY, is_local ? "*" : NULL);
    if (failed == CURLE_OK)
        failed = set_target(easy, req->url);
    if (failed == CURLE_OK)
        th_buf_add(&transfer->url, req->url); /* lost for want of memory it is parsed again */
    return failed;
}

/* Given as a whole, a short body leaves with its header, in one segment. */
static CURLcode load_method(const struct transfer *transfer, enum http_method method)
{
    static const char *const customs[] = {
        [HTTP_GET] = NULL, [HTTP_POST] = NULL, [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE"};
    CURL *easy = transfer->easy;
    CURLcode failed = CURLE_OK;

    if (method == HTTP_POST || method == HTTP_PUT) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body.n);
        SET(CURLOPT_POSTFIELDS, transfer->body.n ? transfer->body.p : "");
    } else {
        SET(CURLOPT_POSTFIELDS, NULL); /* makes it a POST, even so: comes first */
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, customs[method]);
    return failed;
}

static CURLcode load_destination(struct transfer *transfer, const struct http_req *req)
{
    CURL *easy = transfer->easy;
    CURLcode failed = load_url(transfer, req);
    bool is_fresh = req->fresh_connection || (req->body.n == 0 && !transfer->is_repeatable);

    SET(CURLOPT_FRESH_CONNECT, is_fresh ? 1L : 0L);
    /* Until it answers: 7.88 keeps a connection on which a request could not be written. */
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(req->connect_timeout_ms ? req->connect_timeout_ms : HTTP_CONNECT_TIMEOUT_MS));
    SET(CURLOPT_TIMEOUT_MS, (long)(req->timeout_ms ? req->timeout_ms : HTTP_TIMEOUT_MS));
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    return failed;
}
#undef SET

enum th_code transfer_load(struct transfer *transfer, const struct http_req *req,
                           struct http_permit permit, uint64_t tag, struct th_err *err)
{
    th_buf_clear(&transfer->body);
    th_buf_add(&transfer->body, req->body);
    th_buf_clear(&transfer->answer);
    transfer->tag = tag;
    transfer->permit = permit;
    transfer->is_begun = false;
    transfer->is_repeatable = req->method == HTTP_GET && !permit.may_send;
    transfer->header_size = 0;
    transfer->has_retry_after = false;
    transfer->date[0] = '\0';
    transfer->reply = (struct http_reply){.started_us = th_clock_realtime_us(&th_clock_real),
                                          .retry_after_s = -1};
    if (th_buf_status(&transfer->body) != TH_OK || load_headers(transfer, req) != TH_OK) {
        transfer->has_own_headers = true; /* half made */
        return th_fail(err, TH_NOMEM, "HTTP request");
    }
    CURLcode code = load_method(transfer, req->method);
    if (code == CURLE_OK)
        code = load_destination(transfer, req);
    if (code != CURLE_OK)
        return th_fail(err, code == CURLE_OUT_OF_MEMORY ? TH_NOMEM : TH_IO,
                       "libcurl refuses the request: %s", curl_easy_strerror(code));
    transfer_faults_load(transfer);
    return TH_OK;
}

static enum http_phase phase_of(const struct transfer *transfer, CURLcode result)
{
    if (result == CURLE_OK)
        return HTTP_COMPLETE;
    if (transfer->header_size || transfer->answer.n)
        return HTTP_ANSWERING;
    if (transfer->is_begun)
        return HTTP_BEGUN;
    return transfer->reply.is_refused ? HTTP_CONNECTED : HTTP_NOT_STARTED;
}

/* Retry-After is a number of seconds or a date (RFC 9110, section 10.2.3). A date is measured
 * against the answer's own Date, since the peer's clock made both. */
static int64_t retry_after_s(const struct transfer *transfer)
{
    int64_t seconds;

    if (!transfer->has_retry_after)
        return -1;
    if (!th_str_int(th_str(transfer->retry_after), 0, INT64_MAX, &seconds)) {
        time_t until = curl_getdate(transfer->retry_after, NULL);
        time_t since = transfer->date[0] ? curl_getdate(transfer->date, NULL) : -1;
        if (until == -1)
            return -1;
        if (since == -1)
            since = (time_t)(transfer->reply.finished_us / TH_US_PER_SEC);
        seconds = until > since ? until - since : 0;
    }
    return seconds < HTTP_RETRY_AFTER_MAX_S ? seconds : HTTP_RETRY_AFTER_MAX_S;
}

/* Only libcurl's fixed sentence and the system's: whatever else libcurl knows may name numbers. */
static void describe(struct transfer *transfer, CURLcode result)
{
    struct http_reply *reply = &transfer->reply;
    long os_errno = 0;

    if (reply->is_refused) {
        (void)snprintf(reply->error, sizeof reply->error, "not permitted any more");
        return;
    }
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (os_errno)
        (void)snprintf(reply->error, sizeof reply->error, "%s: %s", curl_easy_strerror(result),
                       strerror((int)os_errno));
    else
        (void)snprintf(reply->error, sizeof reply->error, "%s", curl_easy_strerror(result));
}

static void shrink(struct th_buf *buf)
{
    if (buf->cap > KEPT_MAX)
        th_buf_fini(buf);
}

void transfer_rest(struct transfer *transfer)
{
    shrink(&transfer->body);
    shrink(&transfer->answer);
}

void transfer_conclude(struct transfer *transfer, CURLcode result)
{
    struct http_reply *reply = &transfer->reply;

    reply->finished_us = th_clock_realtime_us(&th_clock_real);
    reply->phase = phase_of(transfer, result);
    reply->may_have_left = transfer->is_begun;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &reply->status);
    reply->body = th_buf_str(&transfer->answer);
    reply->retry_after_s = retry_after_s(transfer);
    if (result != CURLE_OK)
        describe(transfer, result);
}
