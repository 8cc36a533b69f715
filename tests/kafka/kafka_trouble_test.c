/* What librdkafka's log says of a failure becomes a sentence that says what to do. The lines are of
 * 2.0.2 against real brokers. */
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_trouble.h"
#include "tests/unit/test.h"

#define THREAD "[thrd:sasl_ssl://k:9092/bootstrap]: "
#define BROKER "sasl_ssl://k:9092/bootstrap: "
#define REFUSED                                                                                    \
    BROKER "SASL authentication error: Authentication failed during authentication "               \
           "due to invalid credentials with SASL mechanism SCRAM-SHA-256"

static const struct {
    const char *says;
    bool is_old_scram;
    const char *versions; /* of Fetch; NULL: the broker did not say */
    const char *line;
    const char *sentence;
} cases[] = {
    {"a certificate that nobody vouches for", false, NULL,
     THREAD BROKER "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
     BROKER
     "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: kafka_ca "
     "must name its authority, and the host be called as its certificate calls it"},
    {"our certificate is missing", false, NULL,
     THREAD BROKER "Receive failed: SSL routines::sslv3 alert bad certificate: SSL alert number 42 "
                   "(after 1ms in state APIVERSION_QUERY)",
     BROKER "Receive failed: SSL routines::sslv3 alert bad certificate: SSL alert number 42: it "
            "wants a certificate of ours: set kafka_certificate and kafka_key"},
    {"plain text to a TLS port", false, NULL, BROKER "Disconnected while requesting ApiVersion",
     BROKER "Disconnected while requesting ApiVersion: if it speaks TLS, set kafka_tls=yes"},
    {"a wrong password", false, "4..18", THREAD REFUSED " (after 324ms in state AUTH_REQ)",
     REFUSED ": kafka_user or kafka_password is wrong"},
    {"a wrong password, and a Kafka that knows the old SCRAM", true, "0..17", THREAD REFUSED,
     REFUSED ": kafka_user or kafka_password is wrong"},
    {"the right password, and a Kafka that refuses the old SCRAM", true, "4..18", THREAD REFUSED,
     REFUSED ": Kafka 4.1 and later refuse SCRAM of librdkafka before 2.6.1 even with the right "
             "password: set kafka_login=plain with kafka_tls=yes, or kafka_certificate"},
    {"what nobody knows is told as it is", false, NULL, THREAD BROKER "Connect refused",
     BROKER "Connect refused"},
};

static void test_lines_become_sentences(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct kafka_trouble trouble;
        char line[128], said[2 * KAFKA_TROUBLE_MAX];

        print_message("  %s\n", cases[i].says);
        kafka_trouble_init(&trouble, cases[i].is_old_scram);
        if (cases[i].versions) {
            snprintf(line, sizeof line, THREAD BROKER "  ApiKey Fetch (1) Versions %s",
                     cases[i].versions);
            kafka_trouble_note(&trouble, "APIVERSION", line);
        }
        kafka_trouble_say(&trouble, said, sizeof said);
        assert_string_equal(said, "");
        kafka_trouble_note(&trouble, "FAIL", cases[i].line);
        kafka_trouble_say(&trouble, said, sizeof said);
        assert_string_equal(said, cases[i].sentence);
        kafka_trouble_fini(&trouble);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_become_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
