/* http_outcome: what is a proof and what is a doubt */
#include "tests/unit/test.h"

#include "common/http_outcome.h"

static void test_what_a_reply_proves(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct http_reply reply;
        bool is_503_not_executed;
        enum http_outcome outcome;
    } cases[] = {
        {"no connection", {.phase = HTTP_NOT_STARTED}, false, HTTP_OUTCOME_NOT_SENT},
        {"refused in front of the body",
         {.phase = HTTP_CONNECTED, .is_refused = true},
         false,
         HTTP_OUTCOME_NOT_SENT},
        {"the header left, the body did not",
         {.phase = HTTP_CONNECTED},
         false,
         HTTP_OUTCOME_NOT_SENT},
        {"a look-up left",
         {.phase = HTTP_CONNECTED, .may_have_left = true},
         false,
         HTTP_OUTCOME_UNKNOWN},
        {"cut off behind the first byte of the body",
         {.phase = HTTP_BEGUN, .may_have_left = true},
         false,
         HTTP_OUTCOME_UNKNOWN},
        {"half an answer, though it says 200",
         {.phase = HTTP_ANSWERING, .may_have_left = true, .status = 200},
         false,
         HTTP_OUTCOME_UNKNOWN},
        {"half an answer, though it says 429",
         {.phase = HTTP_ANSWERING, .may_have_left = true, .status = 429},
         false,
         HTTP_OUTCOME_UNKNOWN},
        {"503 where nobody documents it",
         {.phase = HTTP_COMPLETE, .may_have_left = true, .status = 503},
         false,
         HTTP_OUTCOME_UNKNOWN},
        {"503 where it is documented as not executed",
         {.phase = HTTP_COMPLETE, .may_have_left = true, .status = 503},
         true,
         HTTP_OUTCOME_THROTTLED},
        {"500 stays a doubt there",
         {.phase = HTTP_COMPLETE, .may_have_left = true, .status = 500},
         true,
         HTTP_OUTCOME_UNKNOWN},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_string_equal(
            http_outcome_text(http_outcome(&cases[i].reply, cases[i].is_503_not_executed)),
            http_outcome_text(cases[i].outcome));
    }
}

static enum http_outcome of_status(long status)
{
    struct http_reply reply = {.phase = HTTP_COMPLETE, .may_have_left = true, .status = status};

    return http_outcome(&reply, false);
}

/* Every status there may be: those not listed are doubts. */
static void test_every_status(void **unused)
{
    (void)unused;
    static const long rejected[] = {400, 401, 403, 404, 405, 410, 413, 415, 422, 451};

    for (long status = 0; status < 1000; status++) {
        enum http_outcome expected = HTTP_OUTCOME_UNKNOWN;
        if (status / 100 == 2)
            expected = HTTP_OUTCOME_SUCCESS;
        if (status / 100 == 3)
            expected = HTTP_OUTCOME_REJECTED;
        if (status == 429)
            expected = HTTP_OUTCOME_THROTTLED;
        for (size_t i = 0; i < TH_LEN(rejected); i++) {
            if (status == rejected[i])
                expected = HTTP_OUTCOME_REJECTED;
        }
        if (of_status(status) != expected)
            fail_msg("%ld", status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_reply_proves),
        cmocka_unit_test(test_every_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
