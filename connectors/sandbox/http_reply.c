#include "connectors/sandbox/http_reply.h"

#include <string.h>
#include <strings.h>

#define BODY_MAX INT64_C(1000000000)

static bool is_name(struct th_str a, const char *b)
{
    return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

/* What the head says about the body. */
struct head {
    unsigned status;
    int64_t length; /* -1: not said */
    bool is_coded;  /* Transfer-Encoding */
    bool is_final;
};

/* "HTTP/1.1 204 No Content" */
static bool read_status(struct th_str line, struct head *head)
{
    int64_t status;

    if (line.n < 12 || !th_str_starts(line, TH_STR("HTTP/1.")) || line.p[8] != ' ' ||
        !th_str_int((struct th_str){line.p + 9, 3}, 100, 599, &status))
        return false;
    head->status = (unsigned)status;
    head->is_final = line.p[7] == '0';
    return true;
}

static bool read_field(struct th_str line, struct head *head)
{
    struct th_str name;
    struct th_str value;

    if (!th_str_cut(line, ':', &name, &value))
        return false;
    value = th_str_trim(value);
    if (is_name(name, "Content-Length"))
        return th_str_int(value, 0, BODY_MAX, &head->length);
    if (is_name(name, "Transfer-Encoding"))
        head->is_coded = true;
    if (is_name(name, "Connection") && is_name(value, "close"))
        head->is_final = true;
    return true;
}

/* text ends with the empty line. */
static bool read_head(struct th_str text, struct head *head)
{
    struct th_str line;

    *head = (struct head){.length = -1};
    (void)th_str_cut(text, '\n', &line, &text);
    if (!read_status(th_str_trim(line), head))
        return false;
    while (th_str_cut(text, '\n', &line, &text)) {
        line = th_str_trim(line);
        if (line.n && !read_field(line, head))
            return false;
    }
    return true;
}

static bool is_bodiless(unsigned status)
{
    return status == 204 || status == 304;
}

struct http_reply http_reply_read(struct th_str received)
{
    struct http_reply reply = {.state = REPLY_PARTIAL};
    struct head head;

    do {
        struct th_str rest = {received.p + reply.size, received.n - reply.size};
        const char *end = rest.n ? memmem(rest.p, rest.n, "\r\n\r\n", 4) : NULL;
        if (!end)
            return reply;
        size_t size = (size_t)(end - rest.p) + 4;
        if (!read_head((struct th_str){rest.p, size}, &head)) {
            reply.state = REPLY_BROKEN;
            return reply;
        }
        reply.size += size;
    } while (head.status < 200);

    reply.status = head.status;
    reply.is_final = head.is_final;
    reply.state = REPLY_WHOLE;
    if (is_bodiless(head.status))
        return reply;
    if (head.is_coded || head.length < 0)
        reply.state = REPLY_ENDLESS;
    else
        reply.size += (size_t)head.length;
    if (reply.state == REPLY_WHOLE && received.n < reply.size)
        reply.state = REPLY_PARTIAL;
    return reply;
}
