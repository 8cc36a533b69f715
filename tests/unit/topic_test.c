#include "tests/unit/test.h"

#include "common/eventlog/topic.h"

/* The vectors of Kafka's own UtilsTest.testMurmur2, as the Java client computes them. */
static const struct {
    const char *key;
    int32_t murmur2;
} vectors[] = {
    {"21", -973932308},
    {"foobar", -790332482},
    {"a-little-bit-long-string", -985981536},
    {"a-little-bit-longer-string", -1486304829},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    {"abc", 479470107},
};

static void test_keys_lie_where_kafka_puts_them(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(vectors); i++) {
        uint32_t positive = (uint32_t)vectors[i].murmur2 & INT32_MAX;
        struct th_str key = th_str(vectors[i].key);

        print_message("  %s\n", vectors[i].key);
        assert_int_equal(topic_partition_of_key(key, INT32_MAX), positive % INT32_MAX);
        assert_int_equal(topic_partition_of_key(key, 4), positive % 4);
        assert_int_equal(topic_partition_of_key(key, 32), positive % 32);
    }
    assert_int_equal(topic_partition_of_key((struct th_str){0}, 1), 0);
}

/* Numbers are in logs: this list only grows at its end. */
static void test_topics_keep_their_numbers(void **unused)
{
    static const char *const names[] = {
        "campaign.commands",
        "campaign.audience",
        "campaign.events",
        "campaign.progress",
        "send.requests",
        "send.events",
        "dispatch.requests",
        "dispatch.attempts",
        "send.outcomes",
        "provider.callbacks",
        "config",
        "consent.events",
        "campaign.control",
        "lane.health",
        "dead.letters",
    };
    (void)unused;
    assert_int_equal(TH_LEN(names), TOPIC_COUNT);
    for (unsigned i = 0; i < TH_LEN(names); i++) {
        enum topic topic;
        assert_string_equal(topic_name((enum topic)i), names[i]);
        assert_true(topic_by_name(th_str(names[i]), &topic));
        assert_int_equal(topic, i);
        assert_true(topic_key_noun(topic)[0] != '\0');
    }
    enum topic untouched = TOPIC_CONFIG;
    assert_false(topic_by_name(TH_STR("send.request"), &untouched));
    assert_int_equal(untouched, TOPIC_CONFIG);
}

static void test_kinds(void **unused)
{
    (void)unused;
    assert_int_equal(topic_kind(TOPIC_SEND_EVENTS), TOPIC_KEYED);
    assert_int_equal(topic_kind(TOPIC_DISPATCH_REQUESTS), TOPIC_BY_LANE);
    assert_int_equal(topic_kind(TOPIC_CONSENT_EVENTS), TOPIC_REFERENCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_lie_where_kafka_puts_them),
        cmocka_unit_test(test_topics_keep_their_numbers),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
