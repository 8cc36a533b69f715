/* A request is stored once per idempotency key, whoever repeats it, and however many at once. */
#include <pthread.h>
#include <string.h>

#include "tests/conformance/fixture.h"

static struct log_claim make_claim(const char *key, uint8_t body_mark, const char *answer,
                                   const struct log_output *output)
{
    return (struct log_claim){
        .tenant = TH_STR("pratham"),
        .route = TH_STR("POST /api/v1/sends"),
        .key = th_str(key),
        .fingerprint = {body_mark},
        .status = 202,
        .body = th_str(answer),
        .outputs = output,
        .outputs_n = output ? 1 : 0,
    };
}

static void ingest(struct fixture *f, struct log_claim *claim)
{
    SUCCEEDS(f, th_log_ingest(f->log, claim, 1, &f->arena, &f->err));
}

static void test_a_repeat_gets_the_first_answer(void **state)
{
    static const struct {
        const char *says;
        const char *key;
        uint8_t body;
        const char *answer;
        enum log_claim_outcome outcome;
        const char *replayed;
    } steps[] = {
        {"a new key is stored", "k1", 1, "{\"id\":1}", LOG_CLAIM_STORED, NULL},
        {"its repeat is answered as before", "k1", 1, "{\"id\":2}", LOG_CLAIM_REPLAYED,
         "{\"id\":1}"},
        {"another body under it is refused", "k1", 2, "{\"id\":3}", LOG_CLAIM_MISMATCH, NULL},
        {"which changes nothing for the first", "k1", 1, "{\"id\":4}", LOG_CLAIM_REPLAYED,
         "{\"id\":1}"},
        {"another key is another request", "k2", 1, "{\"id\":5}", LOG_CLAIM_STORED, NULL},
        {"with an answer of its own", "k2", 1, "", LOG_CLAIM_REPLAYED, "{\"id\":5}"},
    };
    struct fixture *f = FIXTURE(state);
    const struct log_output output = lane_output(0, TH_STR("sent"));
    size_t stored = 0;

    for (size_t i = 0; i < TH_LEN(steps); i++) {
        struct log_claim claim = make_claim(steps[i].key, steps[i].body, steps[i].answer, &output);

        print_message("  %s\n", steps[i].says);
        ingest(f, &claim);
        assert_int_equal(claim.outcome, steps[i].outcome);
        if (claim.outcome == LOG_CLAIM_STORED)
            assert_nth(f, claim.places[0].offset, stored++);
        if (claim.outcome == LOG_CLAIM_REPLAYED) {
            assert_int_equal(claim.replayed_status, 202);
            assert_str_equal(claim.replayed_body, th_str(steps[i].replayed));
        }
        if (i == 2)
            reopen(f); /* answers are as durable as records */
    }
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, stored);
}

static void test_keys_belong_to_tenant_and_route(void **state)
{
    static const char *const tenants[] = {"a", "ab", "a"};
    static const char *const routes[] = {"bc", "c", "b"};
    static const char *const keys[] = {"d", "d", "cd"}; /* the same letters in a row each time */
    struct fixture *f = FIXTURE(state);
    const struct log_output output = lane_output(0, TH_STR("sent"));

    for (size_t i = 0; i < TH_LEN(keys); i++) {
        struct log_claim claim = make_claim(keys[i], 1, "ok", &output);
        claim.tenant = th_str(tenants[i]);
        claim.route = th_str(routes[i]);
        ingest(f, &claim);
        assert_int_equal(claim.outcome, LOG_CLAIM_STORED);
        ingest(f, &claim);
        assert_int_equal(claim.outcome, LOG_CLAIM_REPLAYED);
    }
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, TH_LEN(keys));
}

static void test_many_requests_in_one_transaction(void **state)
{
    struct fixture *f = FIXTURE(state);
    const struct log_output two[] = {lane_output(0, TH_STR("one")), lane_output(1, TH_STR("two"))};
    const struct log_output later = lane_output(0, TH_STR("later"));
    struct log_claim claims[] = {
        make_claim("k1", 1, "first", two),
        make_claim("k1", 1, "its repeat", &later),
        make_claim("k1", 9, "not it", &later),
        make_claim("k2", 1, "second", &later),
        make_claim("", 1, "no key", &later),
        make_claim("", 1, "no key either", &later),
        make_claim("k3", 1, "nothing to store", NULL),
    };

    claims[0].outputs_n = TH_LEN(two);
    SUCCEEDS(f, th_log_ingest(f->log, claims, TH_LEN(claims), &f->arena, &f->err));
    assert_int_equal(claims[0].outcome, LOG_CLAIM_STORED);
    assert_nth(f, claims[0].places[0].offset, 0);
    assert_int_equal(claims[0].places[1].part, 1);
    assert_nth(f, claims[0].places[1].offset, 0);
    assert_int_equal(claims[1].outcome, LOG_CLAIM_REPLAYED);
    assert_str_equal(claims[1].replayed_body, TH_STR("first"));
    assert_int_equal(claims[2].outcome, LOG_CLAIM_MISMATCH);
    assert_int_equal(claims[3].outcome, LOG_CLAIM_STORED);
    assert_nth(f, claims[3].places[0].offset, 1);
    assert_int_equal(claims[4].outcome, LOG_CLAIM_STORED);
    assert_int_equal(claims[5].outcome, LOG_CLAIM_STORED);
    assert_nth(f, claims[5].places[0].offset, 3);
    assert_int_equal(claims[6].outcome, LOG_CLAIM_STORED);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0,
                 (const char *const[]){"one", "later", "later", "later"}, 4);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 1, (const char *const[]){"two"}, 1);

    ingest(f, &claims[6]);
    assert_int_equal(claims[6].outcome, LOG_CLAIM_REPLAYED);
    assert_str_equal(claims[6].replayed_body, TH_STR("nothing to store"));
}

static void test_one_bad_request_stores_none(void **state)
{
    struct fixture *f = FIXTURE(state);
    const struct log_output good = lane_output(0, TH_STR("good"));
    const struct log_output bad = lane_output(-1, TH_STR("bad"));
    static char long_key[LOG_IDEM_KEY_MAX + 2];
    struct log_claim claims[] = {make_claim("k1", 1, "a", &good), make_claim("k2", 1, "b", &bad)};

    assert_int_equal(th_log_ingest(f->log, claims, 2, &f->arena, &f->err), TH_INVALID);
    memset(long_key, 'k', sizeof long_key - 1);
    claims[1] = make_claim(long_key, 1, "b", &good);
    assert_int_equal(th_log_ingest(f->log, claims, 2, &f->arena, &f->err), TH_INVALID);
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, 0);
    ingest(f, &claims[0]);
    assert_int_equal(claims[0].outcome, LOG_CLAIM_STORED);
}

/* --- many at once ----------------------------------------------------------------------- */

#define CLAIMERS   6
#define CLAIM_KEYS 20

struct claimer {
    struct th_log *log;
    struct th_arena arena;
    struct th_err err;
    enum th_code code;
    struct log_claim claims[CLAIM_KEYS];
    char answers[CLAIM_KEYS][24];
};

static char claim_keys[CLAIM_KEYS][16];
static const struct log_output claim_output = {
    TOPIC_DISPATCH_ATTEMPTS, 0, {"t/lane", 6}, .value = {"once", 4}};

/* Keys from the last to the first in every other thread, in calls of different sizes: so that
 * locks taken in the order of arrival would meet crosswise. */
static void *run_claimer(void *arg)
{
    struct claimer *c = arg;

    for (size_t i = 0; i < CLAIM_KEYS && c->code == TH_OK;) {
        size_t n = 1 + i % 4;
        n = n < CLAIM_KEYS - i ? n : CLAIM_KEYS - i;
        c->code = th_log_ingest(c->log, &c->claims[i], n, &c->arena, &c->err);
        i += n;
    }
    return NULL;
}

static void begin_claimer(struct claimer *c, struct th_log *log, size_t number)
{
    *c = (struct claimer){.log = log};
    th_arena_init(&c->arena, (size_t)1 << 20);
    for (size_t i = 0; i < CLAIM_KEYS; i++) {
        size_t key = number % 2 ? CLAIM_KEYS - 1 - i : i;
        snprintf(c->answers[i], sizeof c->answers[i], "%zu for %zu", number, key);
        c->claims[i] = make_claim(claim_keys[key], 1, c->answers[i], &claim_output);
    }
}

/* The answer of the one that stored the key. */
static struct th_str winner_of(const struct claimer *claimers, const char *key)
{
    struct th_str winner = {0};
    size_t n = 0;

    for (size_t i = 0; i < CLAIMERS; i++)
        for (size_t k = 0; k < CLAIM_KEYS; k++)
            if (claimers[i].claims[k].key.p == key &&
                claimers[i].claims[k].outcome == LOG_CLAIM_STORED) {
                winner = claimers[i].claims[k].body;
                n++;
            }
    assert_int_equal(n, 1);
    return winner;
}

static void test_of_claims_at_once_one_is_stored(void **state)
{
    static struct claimer claimers[CLAIMERS];
    struct fixture *f = FIXTURE(state);
    struct th_log *other = f->log;
    pthread_t threads[CLAIMERS];

    if (f->with->open_other)
        SUCCEEDS(f, f->with->open_other(f->with->arg, &other, &f->err));
    for (size_t i = 0; i < CLAIM_KEYS; i++)
        snprintf(claim_keys[i], sizeof claim_keys[i], "key-%zu", i);
    for (size_t i = 0; i < CLAIMERS; i++)
        begin_claimer(&claimers[i], i < CLAIMERS / 2 ? f->log : other, i);
    for (size_t i = 0; i < CLAIMERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_claimer, &claimers[i]), 0);
    for (size_t i = 0; i < CLAIMERS; i++)
        pthread_join(threads[i], NULL);

    for (size_t i = 0; i < CLAIMERS; i++)
        if (claimers[i].code != TH_OK)
            fail_msg("%s: %s", th_code_name(claimers[i].code), claimers[i].err.text);
    for (size_t i = 0; i < CLAIMERS; i++)
        for (size_t k = 0; k < CLAIM_KEYS; k++) {
            const struct log_claim *claim = &claimers[i].claims[k];
            struct th_str winner = winner_of(claimers, claim->key.p);
            assert_true(claim->outcome != LOG_CLAIM_MISMATCH);
            if (claim->outcome == LOG_CLAIM_REPLAYED)
                assert_str_equal(claim->replayed_body, winner);
        }
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, CLAIM_KEYS);
    for (size_t i = 0; i < CLAIMERS; i++)
        th_arena_fini(&claimers[i].arena);
    if (other != f->log)
        f->with->close(f->with->arg, other);
}

const struct CMUnitTest conformance_ingest_tests[] = {
    cmocka_unit_test(test_a_repeat_gets_the_first_answer),
    cmocka_unit_test(test_keys_belong_to_tenant_and_route),
    cmocka_unit_test(test_many_requests_in_one_transaction),
    cmocka_unit_test(test_one_bad_request_stores_none),
    cmocka_unit_test(test_of_claims_at_once_one_is_stored),
};
const size_t conformance_ingest_tests_n = TH_LEN(conformance_ingest_tests);
