/* Which sockets epoll watches for libcurl: kept while nobody waits, never taken for another. */
#include "connectors/http_client/watches.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/test.h"

struct scene {
    struct watches watches;
    int epoll_fd;
    int listener;
};

static struct scene scene_make(void)
{
    struct scene scene = {.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                          .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    assert_int_equal(bind(scene.listener, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(listen(scene.listener, 8), 0);
    watches_init(&scene.watches, scene.epoll_fd);
    return scene;
}

static void scene_end(struct scene *scene)
{
    watches_fini(&scene->watches);
    (void)close(scene->listener);
    (void)close(scene->epoll_fd);
}

/* A connection; its other end is *out_peer. */
static int link_up(struct scene *scene, int *out_peer)
{
    struct sockaddr_in there;
    socklen_t size = sizeof there;
    int fd = watches_open(&scene->watches, AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(getsockname(scene->listener, (struct sockaddr *)&there, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&there, size), 0);
    *out_peer = accept(scene->listener, NULL, NULL);
    assert_true(*out_peer >= 0);
    return fd;
}

/* What epoll reports now, -1: nothing. */
static int64_t reported(const struct scene *scene)
{
    struct epoll_event event;

    return epoll_wait(scene->epoll_fd, &event, 1, 0) == 1 ? (int64_t)event.data.u64 : -1;
}

static int64_t name(uint32_t tag, int fd)
{
    return (int64_t)((uint64_t)tag << 32 | (uint32_t)fd);
}

static void test_a_kept_connection_is_heard_again(void **unused)
{
    struct scene scene = scene_make();
    int peer;
    int fd = link_up(&scene, &peer);

    (void)unused;
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 3));
    assert_true(watches_want(&scene.watches, fd, 0, 3));
    assert_int_equal(reported(&scene), -1);
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 3));
    assert_int_equal(write(peer, "x", 1), 1);
    assert_int_equal(reported(&scene), name(3, fd));
    assert_true(watches_heard(&scene.watches, fd));

    (void)close(peer);
    assert_int_equal(watches_close(&scene.watches, fd), 0);
    scene_end(&scene);
}

static void test_what_nobody_waits_for_is_reported_once(void **unused)
{
    struct scene scene = scene_make();
    int peer;
    int fd = link_up(&scene, &peer);

    (void)unused;
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 0));
    assert_true(watches_want(&scene.watches, fd, 0, 0));
    (void)close(peer);
    assert_int_equal(reported(&scene), name(0, fd));
    assert_false(watches_heard(&scene.watches, fd));
    assert_int_equal(reported(&scene), -1);
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 0)); /* asked for again, it is told */
    assert_int_equal(reported(&scene), name(0, fd));

    assert_int_equal(watches_close(&scene.watches, fd), 0);
    scene_end(&scene);
}

static void test_other_events_are_told(void **unused)
{
    struct scene scene = scene_make();
    int peer;
    int fd = link_up(&scene, &peer);

    (void)unused;
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 0));
    assert_int_equal(reported(&scene), -1);
    assert_true(watches_want(&scene.watches, fd, EPOLLIN | EPOLLOUT, 0));
    assert_int_equal(reported(&scene), name(0, fd)); /* it can be written to */
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 0));
    assert_int_equal(reported(&scene), -1);

    (void)close(peer);
    assert_int_equal(watches_close(&scene.watches, fd), 0);
    scene_end(&scene);
}

/* The system gives the lowest free number to the next socket. */
static void test_a_number_that_comes_back_is_another_socket(void **unused)
{
    struct scene scene = scene_make();
    int peer;
    int fd = link_up(&scene, &peer);
    int other;

    (void)unused;
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 1));
    assert_true(watches_want(&scene.watches, fd, 0, 1));
    assert_int_equal(watches_close(&scene.watches, fd), 0);
    assert_int_equal(link_up(&scene, &other), fd);
    assert_true(watches_want(&scene.watches, fd, EPOLLIN, 2));
    assert_int_equal(write(other, "x", 1), 1);
    assert_int_equal(reported(&scene), name(2, fd));

    (void)close(peer);
    (void)close(other);
    assert_int_equal(watches_close(&scene.watches, fd), 0);
    scene_end(&scene);
}

/* libcurl's resolver opens and closes by itself: what it does not wait for leaves at once. */
static void test_strangers_come_and_go_at_once(void **unused)
{
    struct scene scene = scene_make();
    int pair[2];

    (void)unused;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(watches_want(&scene.watches, pair[0], EPOLLIN, 0));
    assert_true(watches_want(&scene.watches, pair[0], EPOLLIN, 0));
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(reported(&scene), name(0, pair[0]));
    assert_true(watches_heard(&scene.watches, pair[0]));
    assert_true(watches_want(&scene.watches, pair[0], 0, 0));
    assert_int_equal(reported(&scene), -1);
    assert_false(watches_want(&scene.watches, -1, EPOLLIN, 0)); /* epoll refuses it */

    (void)close(pair[0]);
    (void)close(pair[1]);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kept_connection_is_heard_again),
        cmocka_unit_test(test_what_nobody_waits_for_is_reported_once),
        cmocka_unit_test(test_other_events_are_told),
        cmocka_unit_test(test_a_number_that_comes_back_is_another_socket),
        cmocka_unit_test(test_strangers_come_and_go_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
