#include "connectors/gateway/header_check.h"

#include <string.h>
#include <strings.h>

static void refuse(struct header_check *check, unsigned status, const char *wrong)
{
    if (check->wrong)
        return;
    check->wrong = wrong;
    check->status = status;
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           (c && strchr("!#$%&'*+.^_`|~", c));
}

static bool is_token(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

static bool is_longer(struct th_str name, struct th_str start)
{
    return name.n > start.n && strncasecmp(name.p, start.p, start.n) == 0;
}

/* A line that begins with a blank goes on the one before (RFC 9112, 5.2, and a server may refuse
 * it). libmicrohttpd writes it behind the name of the header instead of behind its value, and then
 * knows of no length: what was the body becomes the next request. */
static bool is_folded(struct th_str name)
{
    return is_longer(name, TH_STR("Content-Length")) ||
           is_longer(name, TH_STR("Transfer-Encoding"));
}

/* RFC 9110, 5.5: visible characters, blank, tab, and bytes above ASCII. */
static bool is_field_value(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

void header_check_begin(struct header_check *check, struct th_str method, struct th_str version)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    bool is_known = false;

    *check = (struct header_check){.content_length = -1};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        is_known = is_known || th_str_eq(method, th_str(methods[i]));
    if (!is_known)
        refuse(check, 400, "this method is not served");
    if (!th_str_eq(version, TH_STR("HTTP/1.1")) && !th_str_eq(version, TH_STR("HTTP/1.0")))
        refuse(check, 400, "this version of HTTP is not served");
}

void header_check_add(struct header_check *check, struct th_str name, struct th_str value)
{
    check->count++;
    check->size += name.n + value.n + 4;
    if (check->count > HEADERS_MAX)
        refuse(check, 400, "too many headers");
    if (check->size > HEADERS_SIZE_MAX)
        refuse(check, 431, "the headers are too large");
    if (!is_token(name))
        refuse(check, 400, "the name of a header holds a character that is not allowed");
    if (is_folded(name))
        refuse(check, 400, "a length or an encoding goes on in the next line");
    if (!is_field_value(value))
        refuse(check, 400, "a header holds a control character");
    if (header_is(name, "Host")) {
        check->hosts++;
    } else if (header_is(name, "Content-Length")) {
        check->lengths++;
        if (!th_str_int(value, 0, INT64_MAX, &check->content_length) || value.p[0] == '-')
            refuse(check, 400, "Content-Length is no length");
    } else if (header_is(name, "Transfer-Encoding")) {
        check->encodings++;
        if (!header_is(value, "chunked"))
            refuse(check, 400, "Transfer-Encoding must be chunked");
    }
}

const char *header_check_end(struct header_check *check)
{
    if (check->lengths && check->encodings)
        refuse(check, 400, "Content-Length and Transfer-Encoding exclude each other");
    if (check->lengths > 1)
        refuse(check, 400, "more than one Content-Length");
    if (check->encodings > 1)
        refuse(check, 400, "more than one Transfer-Encoding");
    if (check->hosts != 1)
        refuse(check, 400, "there must be one Host");
    return check->wrong;
}
