/* The gateway over real HTTP, on a log of this process: what each route does when all is well. */
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

static struct world world;

static int start(void **unused)
{
    const struct world_options options = world_options_default();

    (void)unused;
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

#define SEND "{\"channel\":\"sms\",\"to\":\"09876543210\",\"text\":\"Hello\"}"

static void test_send(void **unused)
{
    (void)unused;
    struct call call = {"POST", "/api/v1/sends", world.key, "first", .body = SEND};
    struct http_answer answer = world_call(&world, &call);
    char id[64];

    assert_int_equal(answer.status, 202);
    (void)snprintf(id, sizeof id, "%s", answer_member(&answer, "id"));
    assert_int_equal(strlen(id), 36);
    assert_string_equal(answer_header(&answer, "X-Event-Id"), answer_member(&answer, "command"));
    assert_int_equal(strlen(answer_header(&answer, "TeleHub-Token")), 64);
    answer_free(&answer);

    answer = world_call(&world, &call);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Idempotency-Replayed"), "true");
    assert_string_equal(answer_member(&answer, "id"), id);
    answer_free(&answer);

    call.body = "{\"channel\":\"sms\",\"to\":\"09876543210\",\"text\":\"Another\"}";
    answer = world_call(&world, &call);
    assert_int_equal(answer.status, 422);
    assert_non_null(strstr(answer.body, "idempotency_mismatch"));
    answer_free(&answer);
    assert_int_equal(world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
