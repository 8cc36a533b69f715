#include "connectors/sandbox/callbacks.h"

#include "connectors/sandbox/curl_post.h"
#include "connectors/sandbox/plain_post.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct callbacks {
    int fd; /* epoll, over the two below */
    struct plain_post *plain;
    struct curl_post *curl;
};

static enum th_code watch(struct callbacks *callbacks, int fd, struct th_err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(callbacks->fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    return TH_OK;
}

enum th_code callbacks_open(post_done_fn *done, void *owner, struct callbacks **out_callbacks,
                            struct th_err *err)
{
    TH_AUTO(callbacks) struct callbacks *callbacks = calloc(1, sizeof *callbacks);

    if (!callbacks)
        return th_fail(err, TH_NOMEM, "callbacks");
    callbacks->fd = epoll_create1(EPOLL_CLOEXEC);
    if (callbacks->fd < 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    TH_TRY(plain_post_open(done, owner, &callbacks->plain, err));
    TH_TRY(curl_post_open(done, owner, &callbacks->curl, err));
    TH_TRY(watch(callbacks, plain_post_fd(callbacks->plain), err));
    TH_TRY(watch(callbacks, curl_post_fd(callbacks->curl), err));
    *out_callbacks = TH_TAKE(callbacks);
    return TH_OK;
}

void callbacks_close(struct callbacks *callbacks)
{
    if (!callbacks)
        return;
    plain_post_close(callbacks->plain);
    curl_post_close(callbacks->curl);
    if (callbacks->fd >= 0)
        (void)close(callbacks->fd);
    free(callbacks);
}

enum th_code callbacks_post(struct callbacks *callbacks, const struct post *post)
{
    enum th_code code = plain_post_begin(callbacks->plain, post);

    return code == TH_UNSUPPORTED ? curl_post_begin(callbacks->curl, post) : code;
}

size_t callbacks_active(const struct callbacks *callbacks)
{
    return plain_post_active(callbacks->plain) + curl_post_active(callbacks->curl);
}

int callbacks_fd(const struct callbacks *callbacks)
{
    return callbacks->fd;
}

void callbacks_run(struct callbacks *callbacks)
{
    plain_post_run(callbacks->plain);
    curl_post_run(callbacks->curl);
}

int callbacks_wait_ms(const struct callbacks *callbacks)
{
    int plain = plain_post_wait_ms(callbacks->plain);
    int curl = curl_post_wait_ms(callbacks->curl);

    if (plain < 0 || curl < 0)
        return plain < 0 ? curl : plain;
    return plain < curl ? plain : curl;
}
