#include "common/http.h"

#include <arpa/inet.h>
#include <string.h>

static const struct th_str https = {"https://", 8};
static const struct th_str http = {"http://", 7};

static bool is_visible_ascii(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
            return false;
    }
    return true;
}

/* A field value (RFC 9110, section 5.5): what would end the line early is refused. */
static bool is_field_value(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return false;
    }
    return true;
}

static bool is_token(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return s.n > 0;
}

/* The host of url without its port and brackets. Of what an authority may hold only names and
 * addresses are let through, so that no two parsers can disagree on where a request goes. */
static bool cut_host(struct th_str url, bool *is_plain, struct th_str *out_host)
{
    *is_plain = th_str_starts(url, http);
    if (!url.p || (!*is_plain && !th_str_starts(url, https)))
        return false;
    size_t at = *is_plain ? http.n : https.n;
    size_t end = at;
    while (end < url.n && !strchr("/?#", url.p[end]))
        end++;

    struct th_str host = {url.p + at, end - at};
    struct th_str port = {NULL, 0};
    if (host.n && host.p[0] == '[') {
        struct th_str rest;
        if (!th_str_cut((struct th_str){host.p + 1, host.n - 1}, ']', &host, &rest))
            return false;
        if (rest.n && rest.p[0] != ':')
            return false;
        port = rest.n ? (struct th_str){rest.p + 1, rest.n - 1} : rest;
    } else {
        (void)th_str_cut(host, ':', &host, &port);
    }
    int64_t number;
    if (port.p && !th_str_int(port, 1, 65535, &number))
        return false;
    for (size_t i = 0; i < host.n; i++) {
        if (!is_token((struct th_str){host.p + i, 1}) && host.p[i] != '.' && host.p[i] != ':')
            return false;
    }
    *out_host = host;
    return host.n > 0;
}

static bool is_loopback(struct th_str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;

    if (host.n >= sizeof text)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (strcmp(text, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool http_url_is_loopback(struct th_str url)
{
    struct th_str host;
    bool is_plain;

    return is_visible_ascii(url) && cut_host(url, &is_plain, &host) && is_loopback(host);
}

static enum th_code check_url(struct th_str url, struct th_err *err)
{
    struct th_str host;
    bool is_plain;

    if (url.n > HTTP_URL_MAX)
        return th_fail(err, TH_INVALID, "URL is longer than %d bytes", HTTP_URL_MAX);
    if (!is_visible_ascii(url) || memchr(url.p ? url.p : "", '\\', url.n) ||
        !cut_host(url, &is_plain, &host))
        return th_fail(err, TH_INVALID, "URL is not of the form https://host[:port]/path");
    if (is_plain && !is_loopback(host))
        return th_fail(err, TH_INVALID, "http is allowed to loopback only: use https");
    return TH_OK;
}

static enum th_code check_headers(const struct http_req *req, struct th_err *err)
{
    if (req->n_headers > HTTP_HEADERS_MAX)
        return th_fail(err, TH_INVALID, "more than %d headers", HTTP_HEADERS_MAX);
    for (size_t i = 0; i < req->n_headers; i++) {
        if (!is_token(req->headers[i].name) || !is_field_value(req->headers[i].value))
            return th_fail(err, TH_INVALID, "header %zu breaks the line", i);
    }
    if (!is_field_value(req->content_type) || !is_field_value(req->user) ||
        !is_field_value(req->secret))
        return th_fail(err, TH_INVALID, "content type or credentials break the line");
    if (memchr(req->user.p ? req->user.p : "", ':', req->user.n))
        return th_fail(err, TH_INVALID, "a user of Basic authentication holds no colon");
    return TH_OK;
}

enum th_code http_req_check(const struct http_req *req, struct th_err *err)
{
    bool may_have_body = req->method == HTTP_POST || req->method == HTTP_PUT;

    TH_TRY(check_url(req->url, err));
    TH_TRY(check_headers(req, err));
    if (req->body.n && !may_have_body)
        return th_fail(err, TH_INVALID, "a body goes with POST and PUT only");
    if (req->body.n > HTTP_BODY_MAX)
        return th_fail(err, TH_INVALID, "body is longer than %d bytes", HTTP_BODY_MAX);
    if (req->connect_timeout_ms < 0 || req->timeout_ms < 0 || req->timeout_ms > HTTP_TIMEOUT_MAX_MS)
        return th_fail(err, TH_INVALID, "timeout is not within 0..%d ms", HTTP_TIMEOUT_MAX_MS);
    return TH_OK;
}
