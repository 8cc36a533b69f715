/* The commands' side of HTTP, and files in parts, when memory and files fail: the right answer, or
 * an error that says something and blames nobody else. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "processors/cli/client.h"
#include "processors/cli/split.h"
#include "tests/integration/peer.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAUSES_BROKE 2 /* then the machine recovers */
#define LINES        3

#define OK                                                                                         \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTeleHub-Token: t1\r\n"                   \
    "Content-Length: 12\r\n\r\n{\"a\":\"word\"}"
#define REFUSED                                                                                    \
    "HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\n"                          \
    "Content-Length: 28\r\n\r\n{\"detail\":\"it runs already\"}"
#define LEDGER                                                                                     \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\none\ntwo\nthree\n"

struct world {
    char dir[64];
    struct peer peer;
    int pauses;
};

static struct world world;

int __wrap_nanosleep(const struct timespec *wait, struct timespec *left);

/* Nobody waits here. */
int __wrap_nanosleep(const struct timespec *wait, struct timespec *left)
{
    (void)wait, (void)left;
    if (++world.pauses >= PAUSES_BROKE)
        fail_disarm();
    return 0;
}

static void assert_excused(enum th_code code, const struct th_err *err)
{
    if (!fail_was_hit())
        fail_msg("%s: %s", th_code_name(code), err->text);
    assert_true(code == TH_NOMEM || code == TH_IO || code == TH_UNAVAILABLE);
    assert_true(err->text[0] != '\0');
}

/* --- the gateway ------------------------------------------------------------------------------ */

static void use_peer(const char *answer)
{
    char path[128];

    fail_exempt(true);
    peer_start(&world.peer, PEER_ANSWERS, answer);
    fail_exempt(false);
    snprintf(path, sizeof path, "%s/url", world.dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "http://127.0.0.1:%d\n", world.peer.port);
    assert_int_equal(fclose(file), 0);
}

/* Everything between opening a client and its answer. */
static enum th_code ask_once(enum client_as as, const char *method, struct client_reply *reply,
                             struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    static struct cli cli;
    struct client_ask ask = {.method = method,
                             .path = "/api/v1/campaigns",
                             .as = as,
                             .body = strcmp(method, "GET") == 0 ? (struct th_str){NULL, 0}
                                                                : TH_STR("{}")};

    cli = (struct cli){.dir = world.dir};
    TH_TRY(client_open(&cli, &client, err));
    return client_ask(client, &ask, reply, err);
}

static enum th_code ask(const char *method, enum client_as as, struct client_reply *reply,
                        struct th_err *err)
{
    world.pauses = 0;
    fail_arm();
    enum th_code code = ask_once(as, method, reply, err);
    fail_disarm();
    return code;
}

static void get(void *unused)
{
    __attribute__((cleanup(client_reply_auto))) struct client_reply reply = {0};
    struct th_err err = {0};

    (void)unused;
    enum th_code code = ask("GET", CLIENT_TENANT, &reply, &err);
    if (code == TH_OK)
        assert_str_equal(th_buf_str(&reply.body), TH_STR("{\"a\":\"word\"}"));
    else
        assert_excused(code, &err);
}

static void post(void *unused)
{
    __attribute__((cleanup(client_reply_auto))) struct client_reply reply = {0};
    struct th_err err = {0};

    (void)unused;
    enum th_code code = ask("POST", CLIENT_OPERATOR, &reply, &err);
    if (code != TH_OK)
        assert_excused(code, &err);
}

static void be_refused(void *unused)
{
    __attribute__((cleanup(client_reply_auto))) struct client_reply reply = {0};
    struct th_err err = {0};

    (void)unused;
    enum th_code code = ask("POST", CLIENT_TENANT, &reply, &err);
    if (code == TH_CONFLICT)
        assert_non_null(strstr(err.text, fail_was_hit() ? "" : "it runs already"));
    else
        assert_excused(code, &err);
}

/* A folder of keys that could not be looked into was called empty, and whoever had a tenant was
 * told to make one. */
static void test_a_folder_that_cannot_be_read_is_not_empty(void **unused)
{
    __attribute__((cleanup(client_reply_auto))) struct client_reply reply = {0};
    struct th_err err = {0};

    (void)unused;
    use_peer(OK);
    fail_plan(FAIL_OPEN, 2, FAIL_ONCE); /* the first is the file with the gateway's address */
    assert_int_equal(ask("GET", CLIENT_TENANT, &reply, &err), TH_IO);
    assert_non_null(strstr(err.text, "/keys"));
    peer_stop(&world.peer);
}

static void test_a_gateway_is_asked(void **unused)
{
    (void)unused;
    use_peer(OK);
    fail_each("something is asked for, by the only tenant", FAIL_ALL, get, NULL);
    fail_each("something is written", FAIL_ALL, post, NULL);
    peer_stop(&world.peer);
    use_peer(REFUSED);
    fail_each("something is refused", FAIL_ALL, be_refused, NULL);
    peer_stop(&world.peer);
}

/* --- lines ------------------------------------------------------------------------------------ */

static enum th_code take_line(void *arg, struct th_str line, struct th_err *err)
{
    static const char *const lines[LINES] = {"one", "two", "three"};
    int *n = arg;

    (void)err;
    assert_true(*n < LINES);
    assert_str_equal(line, th_str(lines[*n]));
    ++*n;
    return TH_OK;
}

static void read_lines(void *unused)
{
    struct th_err err = {0};
    char url[64];
    int n = 0;

    (void)unused;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/ledger", world.peer.port);
    fail_arm();
    enum th_code code = client_lines(url, take_line, &n, &err);
    fail_disarm();
    if (code == TH_OK)
        assert_int_equal(n, LINES);
    else
        assert_excused(code, &err);
}

static void test_lines_are_read(void **unused)
{
    (void)unused;
    use_peer(LEDGER);
    fail_each("a ledger is read, line by line", FAIL_ALL, read_lines, NULL);
    peer_stop(&world.peer);
}

/* --- a file in parts -------------------------------------------------------------------------- */

static FILE *file;

static enum th_code take_parts(struct split *split, struct th_buf *all, struct th_err *err)
{
    enum th_code code;

    while ((code = split_next(split, err)) == TH_OK) {
        fail_exempt(true);
        th_buf_add(all, th_buf_str(&split->part));
        fail_exempt(false);
    }
    return code;
}

static void split_file(void *arg)
{
    const struct th_buf *whole = arg;
    TH_AUTO(th_buf) struct th_buf all = {0};
    static struct split split;
    struct th_err err = {0};

    split = (struct split){.file = file};
    rewind(file);
    fail_arm();
    enum th_code code = take_parts(&split, &all, &err);
    fail_disarm();
    split_fini(&split);
    if (code != TH_NOT_FOUND)
        assert_excused(code, &err);
    else
        assert_str_equal(th_buf_str(&all), th_buf_str(whole));
    assert_true(all.n <= whole->n && memcmp(all.p ? all.p : "", whole->p, all.n) == 0);
}

/* A file that cannot be read to its end is never taken for a shorter one. */
static void test_a_file_is_split(void **unused)
{
    TH_AUTO(th_buf) struct th_buf whole = {0};
    static struct split split;
    struct th_err err = {0};

    (void)unused;
    file = tmpfile();
    assert_non_null(file);
    fputs("phone,name\n", file);
    for (int i = 0; i < 8000; i++)
        fprintf(file, "+91980000%04d,\"a, %d\"\n", i, i);
    split = (struct split){.file = file};
    rewind(file);
    assert_int_equal(take_parts(&split, &whole, &err), TH_NOT_FOUND);
    split_fini(&split);
    fail_each("a file becomes parts", FAIL_ALL, split_file, &whole);
    (void)fclose(file);
}

/* --- the world -------------------------------------------------------------------------------- */

static void write_key(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/keys/%s", world.dir, name);
    FILE *key = fopen(path, "we");
    assert_non_null(key);
    fputs("secret\n", key);
    assert_int_equal(fclose(key), 0);
}

static int set_up(void **unused)
{
    char path[96];

    (void)unused;
    snprintf(world.dir, sizeof world.dir, "/tmp/telehub-failure.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    snprintf(path, sizeof path, "%s/keys", world.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    write_key("operator");
    write_key("pratham");
    return 0;
}

static int tear_down(void **unused)
{
    char command[96];

    (void)unused;
    snprintf(command, sizeof command, "rm -rf %s", world.dir);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_folder_that_cannot_be_read_is_not_empty),
        cmocka_unit_test(test_a_gateway_is_asked),
        cmocka_unit_test(test_lines_are_read),
        cmocka_unit_test(test_a_file_is_split),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
