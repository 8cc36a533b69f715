/* How requests gather behind the running call of the log, and what keeps them out. The log here is
 * one that answers when the test lets it. */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/eventlog/log_driver.h"
#include "connectors/gateway/ingest.h"
#include "tests/unit/test.h"

#define REQUESTS_MAX 64

/* A log that waits to be let go at each call, and remembers how many claims each had. */
struct slow_log {
    struct th_log log; /* first member */
    sem_t entered;
    sem_t may_go;
    size_t calls;
    size_t claims[REQUESTS_MAX];
    enum th_code code; /* what calls answer */
    const char *bad;   /* a call with this key is refused as TH_INVALID */
};

static bool has_key(const struct log_claim *claims, size_t n, const char *key)
{
    for (size_t i = 0; key && i < n; i++)
        if (th_str_eq(claims[i].key, th_str(key)))
            return true;
    return false;
}

static enum th_code slow_ingest(struct th_log *log, struct log_claim *claims, size_t n,
                                struct th_arena *arena, struct th_err *err)
{
    struct slow_log *slow = (struct slow_log *)log;

    (void)arena;
    (void)sem_post(&slow->entered);
    (void)sem_wait(&slow->may_go);
    slow->claims[slow->calls++] = n;
    if (has_key(claims, n, slow->bad))
        return th_fail(err, TH_INVALID, "a bad record");
    for (size_t i = 0; i < n; i++)
        claims[i].outcome = LOG_CLAIM_STORED;
    return slow->code;
}

static const struct th_log_ops slow_ops = {.name = "slow", .ingest = slow_ingest};

/* --- the world -----------------------------------------------------------------------------------
 */

static struct slow_log slow;
static struct ingest *ingest;
static struct request requests[REQUESTS_MAX];
static char keys[REQUESTS_MAX][16];
static enum th_code outcomes[REQUESTS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards done_n and outcomes */
static size_t done_n;

static void done(struct request *request, enum th_code failure)
{
    pthread_mutex_lock(&lock);
    outcomes[request - requests] = failure;
    done_n++;
    pthread_mutex_unlock(&lock);
}

static void wait_done(size_t n)
{
    for (int ms = 0; ms < 5000; ms++) {
        pthread_mutex_lock(&lock);
        bool is_there = done_n >= n;
        pthread_mutex_unlock(&lock);
        if (is_there)
            return;
        (void)usleep(1000);
    }
    fail_msg("only %zu of %zu are done", done_n, n);
}

static void let_go(void)
{
    (void)sem_post(&slow.may_go);
}

static void wait_entered(void)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    assert_int_equal(sem_timedwait(&slow.entered, &until), 0);
}

static int open_all(size_t bytes_max, int64_t age_us)
{
    const struct ingest_config config = {.log = &slow.log,
                                         .pending_bytes_max = bytes_max,
                                         .pending_age_us = age_us,
                                         .name = "test",
                                         .done = done};
    struct th_err err = {0};

    slow = (struct slow_log){.log = {.ops = &slow_ops}};
    (void)sem_init(&slow.entered, 0, 0);
    (void)sem_init(&slow.may_go, 0, 0);
    done_n = 0;
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "key-%zu", i);
        requests[i] = (struct request){
            .outputs_size = 1000,
            .claim = {.tenant = TH_STR("t"), .route = TH_STR("r"), .key = th_str(keys[i])}};
        th_arena_init(&requests[i].arena, 65536);
    }
    return ingest_open(&config, &ingest, &err) == TH_OK ? 0 : -1;
}

static int open_wide(void **unused)
{
    (void)unused;
    return open_all((size_t)1 << 30, INT64_C(60000000));
}

static int open_narrow(void **unused)
{
    (void)unused;
    return open_all(4000, INT64_C(60000000));
}

static int open_hasty(void **unused)
{
    (void)unused;
    return open_all((size_t)1 << 30, 20000);
}

static int close_all(void **unused)
{
    (void)unused;
    ingest_close(ingest);
    (void)sem_destroy(&slow.entered);
    (void)sem_destroy(&slow.may_go);
    for (size_t i = 0; i < REQUESTS_MAX; i++)
        th_arena_fini(&requests[i].arena);
    return 0;
}

static enum ingest_admission submit(size_t i)
{
    enum ingest_admission admission = ingest_submit(ingest, &requests[i]);

    ingest_kick(ingest);
    return admission;
}

/* --- the tests
 * ------------------------------------------------------------------------------------- */

static void test_gathers(void **unused)
{
    (void)unused;
    assert_int_equal(submit(0), INGEST_ADMITTED);
    wait_entered();
    print_message("  nine arrive while the first is being written\n");
    for (size_t i = 1; i < 10; i++)
        assert_int_equal(submit(i), INGEST_ADMITTED);
    let_go();
    wait_entered();
    let_go();
    wait_done(10);
    assert_int_equal(slow.calls, 2);
    assert_int_equal(slow.claims[0], 1);
    assert_int_equal(slow.claims[1], 9);
    struct ingest_figures figures = ingest_figures(ingest);
    assert_int_equal(figures.claims, 10);
    assert_int_equal(figures.bytes, 0);
    assert_false(figures.is_failing);
}

static void test_batch_is_bounded(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 5; i++)
        requests[i].outputs_size = INGEST_BATCH_BYTES / 2;
    assert_int_equal(submit(0), INGEST_ADMITTED);
    wait_entered();
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(submit(i), INGEST_ADMITTED);
    for (int i = 0; i < 3; i++)
        let_go();
    wait_done(5);
    assert_int_equal(slow.calls, 3);
    assert_int_equal(slow.claims[1], 2);
    assert_int_equal(slow.claims[2], 2);
}

static void test_same_key(void **unused)
{
    (void)unused;
    assert_int_equal(submit(0), INGEST_ADMITTED);
    wait_entered();
    requests[1].claim.key = requests[0].claim.key;
    assert_int_equal(submit(1), INGEST_IN_FLIGHT);
    print_message("  another tenant's key is another key\n");
    requests[1].claim.tenant = TH_STR("u");
    assert_int_equal(submit(1), INGEST_ADMITTED);
    print_message("  no key is never the same\n");
    requests[2].claim.key = requests[3].claim.key = (struct th_str){0};
    assert_int_equal(submit(2), INGEST_ADMITTED);
    assert_int_equal(submit(3), INGEST_ADMITTED);
    let_go();
    let_go();
    wait_done(4);
    print_message("  once written, the log itself knows it\n");
    requests[4].claim.key = requests[0].claim.key;
    assert_int_equal(submit(4), INGEST_ADMITTED);
    let_go();
    wait_done(5);
}

/* One record that the log cannot take costs nobody else's. */
static void test_bad_record(void **unused)
{
    (void)unused;
    slow.bad = "key-2";
    assert_int_equal(submit(0), INGEST_ADMITTED);
    wait_entered();
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(submit(i), INGEST_ADMITTED);
    for (int i = 0; i < 5; i++)
        let_go();
    wait_done(4);
    assert_int_equal(outcomes[1], TH_OK);
    assert_int_equal(outcomes[2], TH_INVALID);
    assert_int_equal(outcomes[3], TH_OK);
}

static void test_log_fails(void **unused)
{
    (void)unused;
    slow.code = TH_UNAVAILABLE;
    assert_int_equal(submit(0), INGEST_ADMITTED);
    let_go();
    wait_done(1);
    assert_int_equal(outcomes[0], TH_UNAVAILABLE);
    assert_true(ingest_figures(ingest).is_failing);
}

static void test_too_many_bytes(void **unused)
{
    size_t admitted = 0;

    (void)unused;
    while (admitted < REQUESTS_MAX && submit(admitted) == INGEST_ADMITTED)
        admitted++;
    assert_in_range(admitted, 2, 5);
    for (int i = 0; i < 5; i++)
        let_go();
    wait_done(admitted);
    print_message("  it recovers by itself\n");
    assert_int_equal(submit(admitted), INGEST_ADMITTED);
    let_go();
    wait_done(admitted + 1);
}

static void test_too_old(void **unused)
{
    (void)unused;
    assert_int_equal(submit(0), INGEST_ADMITTED);
    wait_entered();
    (void)usleep(40000);
    assert_int_equal(submit(1), INGEST_OVERLOADED);
    let_go();
    wait_done(1);
    assert_int_equal(submit(2), INGEST_ADMITTED);
    let_go();
    wait_done(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gathers, open_wide, close_all),
        cmocka_unit_test_setup_teardown(test_batch_is_bounded, open_wide, close_all),
        cmocka_unit_test_setup_teardown(test_same_key, open_wide, close_all),
        cmocka_unit_test_setup_teardown(test_bad_record, open_wide, close_all),
        cmocka_unit_test_setup_teardown(test_log_fails, open_wide, close_all),
        cmocka_unit_test_setup_teardown(test_too_many_bytes, open_narrow, close_all),
        cmocka_unit_test_setup_teardown(test_too_old, open_hasty, close_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
