/* match.c: what it means that a ledger agrees with us. */
#include "tests/unit/test.h"

#include "common/callback_token.h"
#include "processors/cli/match.h"

#include <stdio.h>
#include <string.h>

#define TO "+919812345678"

struct execution {
    uint8_t send;
    int64_t n;
    const char *to;
};

static struct th_id id(uint8_t k)
{
    return (struct th_id){.b = {1, 2, 3, k}};
}

static const struct {
    const char *says;
    uint64_t must;
    uint64_t may;
    struct execution there[3]; /* ends at .n == 0 */
    enum match_verdict verdict;
    int64_t strangers;
} cases[] = {
    {"accepted and executed", 1, 0, {{7, 1, TO}}, MATCH_AGREES, 0},
    {"the second attempt was, the first was not", 2, 0, {{7, 2, TO}}, MATCH_AGREES, 0},
    {"never accepted, never executed", 0, 0, {{0}}, MATCH_AGREES, 0},
    {"in doubt, and not executed", 0, 1, {{0}}, MATCH_AGREES, 0},
    {"in doubt, and executed", 0, 1, {{7, 1, TO}}, MATCH_AGREES, 0},
    {"accepted, but nobody executed it", 1, 0, {{0}}, MATCH_ONLY_HERE, 0},
    {"executed, but we know of nothing", 0, 0, {{7, 1, TO}}, MATCH_ONLY_THERE, 0},
    {"executed twice", 1, 0, {{7, 1, TO}, {7, 1, TO}}, MATCH_DIFFERENT, 0},
    {"executed for another number", 1, 0, {{7, 1, "+919800000000"}}, MATCH_DIFFERENT, 0},
    {"two attempts executed, one accepted", 1, 0, {{7, 1, TO}, {7, 2, TO}}, MATCH_DIFFERENT, 0},
    {"another attempt was executed", 1, 0, {{7, 2, TO}}, MATCH_DIFFERENT, 0},
    {"an attempt that nobody could have made", 1, 0, {{7, 1, TO}, {7, 65, TO}}, MATCH_DIFFERENT, 0},
    {"a send that we do not have", 0, 0, {{8, 1, TO}}, MATCH_AGREES, 1},
};

static void test_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct match match = {0};
        struct match_send other = {.send = id(1), .phone = TO};
        struct match_send send = {
            .send = id(7), .phone = TO, .must = cases[i].must, .may = cases[i].may};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(match_add(&match, &send), TH_OK);
        assert_int_equal(match_add(&match, &other), TH_OK);
        for (size_t k = 0; k < TH_LEN(cases[i].there) && cases[i].there[k].n; k++)
            match_execution(&match, id(cases[i].there[k].send), cases[i].there[k].n,
                            th_str(cases[i].there[k].to));
        for (size_t k = 0; k < match.n; k++)
            assert_int_equal(match_judge(&match.sends[k]), th_id_eq(match.sends[k].send, id(7))
                                                               ? cases[i].verdict
                                                               : MATCH_AGREES);
        assert_int_equal(match.strangers, cases[i].strangers);
        match_fini(&match);
    }
}

static void test_urls(void **state)
{
    struct callback_token token = {
        .send = id(7), .lane = 3, .attempt_no = 259, .tenant_size = 7, .tenant = "pratham"};
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];
    char url[256];
    struct th_id send;
    int64_t n;

    (void)state;
    print_message("  a callback's address names the attempt\n");
    assert_int_equal(callback_token_make(&token, TH_STR("0123456789abcdef"), text), TH_OK);
    snprintf(url, sizeof url, "https://hub.example/webhooks/twilio/%s", text);
    assert_true(match_attempt_of_url(th_str(url), &send, &n));
    assert_true(th_id_eq(send, id(7)));
    assert_int_equal(n, 259);
    print_message("  anything else does not\n");
    assert_false(match_attempt_of_url(TH_STR(""), &send, &n));
    assert_false(match_attempt_of_url(TH_STR("https://hub.example/"), &send, &n));
    assert_false(match_attempt_of_url(TH_STR("https://hub.example/AQ"), &send, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
