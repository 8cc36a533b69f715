/* The log over TLS, with our certificate, and with logins, on a real broker; and what is said when
 * the authority, the name, the password or the mechanism is wrong.
 *
 * TELEHUB_TEST_KAFKA_VERSION chooses the broker (3.9.1 by default). Skipped, saying so, where no
 * Kafka can be had. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <librdkafka/rdkafka.h>

#include "connectors/kafka/kafka_examine.h"
#include "connectors/kafka/kafka_security.h"
#include "tests/kafka/test_broker.h"
#include "tests/unit/test.h"

#define GIVE_UP_MS 1500 /* what is wrong is told after that */
#define USER       "telehub"

static struct test_broker broker;
static char ca[96], other[96], certificate[96], key[96], right[96], wrong[96];

static void name_file(char out[96], const char *name, const char *text)
{
    snprintf(out, 96, "%s/tls/%s", broker.folder, name);
    if (text) {
        FILE *file = fopen(out, "w");
        assert_non_null(file);
        fputs(text, file);
        assert_int_equal(fclose(file), 0);
    }
    assert_int_equal(chmod(out, 0600), 0);
}

static void name_files(void)
{
    name_file(ca, "ca.crt", NULL);
    name_file(other, "other.crt", NULL);
    name_file(certificate, "ours.crt", NULL);
    name_file(key, "ours.key", NULL);
    name_file(right, "right", "right\n");
    name_file(wrong, "wrong", "wrong\n");
}

static bool is_kafka_4(void)
{
    return atoi(broker.version) >= 4;
}

/* --- what works --------------------------------------------------------------------------------
 */

struct way {
    struct kafka_secured secured;
    struct kafka_log_config config;
    char brokers[64];
    char prefix[8]; /* each a log of its own */
};

static void make_way(struct way *way, const char *host, int port,
                     const struct kafka_security *security)
{
    static int logs;
    struct th_err err = {0};

    snprintf(way->prefix, sizeof way->prefix, "s%d.", ++logs);
    snprintf(way->brokers, sizeof way->brokers, "%s:%d", host, port);
    if (kafka_security_load(security, &way->secured, &err) != TH_OK)
        fail_msg("%s", err.text);
    way->config = (struct kafka_log_config){.brokers = way->brokers,
                                            .prefix = way->prefix,
                                            .settings = way->secured.settings,
                                            .settings_n = way->secured.n};
}

#define WORKS(err, call)                                                                           \
    do {                                                                                           \
        if ((call) != TH_OK)                                                                       \
            fail_msg("%s", (err)->text);                                                           \
    } while (0)

/* Each kind of client once: appender, ingest writer, session, reader, scout. */
static void use(struct th_log *log, struct th_err *err)
{
    const struct log_output output = {
        .topic = TOPIC_DISPATCH_ATTEMPTS, .key = TH_STR("k"), .value = TH_STR("v")};
    const struct log_cursor cursor = {.next = {TOPIC_DISPATCH_REQUESTS, 0, 0}};
    const struct log_txn txn = {&output, 1, &cursor, 1, NULL};
    struct log_claim claim = {.tenant = TH_STR("t"),
                              .route = TH_STR("r"),
                              .key = TH_STR("key"),
                              .status = 202,
                              .outputs = &output,
                              .outputs_n = 1};
    struct log_place place = {TOPIC_DISPATCH_ATTEMPTS, 0, 0};
    struct th_log_session *session;
    struct th_log_reader *reader;
    struct log_records records = {0};
    struct th_arena arena;
    bool is_answered;
    enum log_commit outcome;

    th_arena_init(&arena, 1 << 20);
    WORKS(err, th_log_append(log, &output, 1, NULL, err));
    WORKS(err, th_log_ingest(log, &claim, 1, &arena, err));
    WORKS(err, th_log_session_open(log, LOG_APP_DISPATCH, 0, &session, err));
    WORKS(err, th_log_commit_start(session, &txn, err));
    while ((outcome = th_log_commit_poll(session, NULL, &is_answered, err)) == LOG_COMMIT_PENDING)
        continue;
    assert_int_equal(outcome, LOG_COMMITTED);
    th_log_session_close(session, true);
    place.part = claim.places[0].part;
    WORKS(err, th_log_reader_open(log, &place, 1, &reader, err));
    WORKS(err, th_log_reader_read(reader, 4096, &arena, &records, err));
    assert_int_equal(records.n, 3);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
}

static void say_nothing(void *arg, enum finding finding, const char *check, const char *sentence)
{
    (void)finding, (void)check, (void)sentence;
    ++*(int *)arg;
}

static void test_what_works(void **unused)
{
    const struct {
        const char *says;
        int port;
        struct kafka_security security;
        bool is_old_scram;
    } cases[] = {
        {"TLS", broker.tls_port, {.is_tls = true, .ca = ca}, false},
        {"TLS with our certificate",
         broker.mutual_port,
         {.is_tls = true, .ca = ca, .certificate = certificate, .key = key},
         false},
        {"PLAIN over TLS",
         broker.login_port,
         {true, ca, NULL, NULL, KAFKA_LOGIN_PLAIN, USER, right},
         false},
        {"SCRAM-SHA-256 over TLS",
         broker.login_port,
         {true, ca, NULL, NULL, KAFKA_LOGIN_SCRAM_SHA_256, USER, right},
         true},
        {"SCRAM-SHA-512 over TLS",
         broker.login_port,
         {true, ca, NULL, NULL, KAFKA_LOGIN_SCRAM_SHA_512, USER, right},
         true},
        {"SCRAM-SHA-512 without",
         broker.open_login_port,
         {false, NULL, NULL, NULL, KAFKA_LOGIN_SCRAM_SHA_512, USER, right},
         true},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct way way;
        struct th_log *log;
        struct th_err err = {0};
        int said = 0;

        if (cases[i].is_old_scram && is_kafka_4() && kafka_security_has_old_scram())
            continue; /* is refused, below */
        print_message("  %s\n", cases[i].says);
        make_way(&way, "127.0.0.1", cases[i].port, &cases[i].security);
        WORKS(&err, kafka_log_create(&way.config, 1, 1, &err));
        WORKS(&err, kafka_log_open(&way.config, &log, &err));
        use(log, &err);
        th_log_close(log);
        WORKS(&err, kafka_log_examine(&way.config, say_nothing, &said, &err));
        assert_true(said > 5);
        WORKS(&err, kafka_log_drop(&way.config, &err));
        kafka_secured_fini(&way.secured);
    }
}

/* --- what is refused ---------------------------------------------------------------------------
 */

static void test_what_is_refused(void **unused)
{
    const struct {
        const char *says;
        const char *host;
        int port;
        struct kafka_security security;
        enum th_code code;
        const char *parts[2]; /* of the sentence */
    } cases[] = {
        {"an authority that did not sign",
         "127.0.0.1",
         broker.tls_port,
         {.is_tls = true, .ca = other},
         TH_UNAVAILABLE,
         {"certificate verify failed", "kafka_ca"}},
        {"a name that is not the certificate's",
         "localhost",
         broker.tls_port,
         {.is_tls = true, .ca = ca},
         TH_UNAVAILABLE,
         {"certificate verify failed", "as its certificate calls it"}},
        {"no certificate of ours",
         "127.0.0.1",
         broker.mutual_port,
         {.is_tls = true, .ca = ca},
         TH_UNAVAILABLE,
         {"certificate", "kafka_certificate and kafka_key"}},
        {"plain text to a TLS port",
         "127.0.0.1",
         broker.tls_port,
         {0},
         TH_UNAVAILABLE,
         {"Disconnected", "kafka_tls=yes"}},
        {"TLS to a plain port",
         "127.0.0.1",
         broker.port,
         {.is_tls = true, .ca = ca},
         TH_UNAVAILABLE,
         {"SSL", "does it speak TLS?"}},
        {"a wrong password",
         "127.0.0.1",
         broker.login_port,
         {true, ca, NULL, NULL, KAFKA_LOGIN_PLAIN, USER, wrong},
         TH_DENIED,
         {"SASL authentication error", "kafka_password is wrong"}},
        {"an unknown user",
         "127.0.0.1",
         broker.login_port,
         {true, ca, NULL, NULL, KAFKA_LOGIN_PLAIN, "nobody", right},
         TH_DENIED,
         {"SASL authentication error", "kafka_user"}},
        {"a wrong password by SCRAM",
         "127.0.0.1",
         broker.login_port,
         {true, ca, NULL, NULL, KAFKA_LOGIN_SCRAM_SHA_512, USER, wrong},
         TH_DENIED,
         {"SASL authentication error", ""}},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct way way;
        struct th_log *log;
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        make_way(&way, cases[i].host, cases[i].port, &cases[i].security);
        way.config.call_timeout_ms = GIVE_UP_MS;
        assert_int_equal(kafka_log_open(&way.config, &log, &err), cases[i].code);
        print_message("    %s\n", err.text);
        for (size_t k = 0; k < TH_LEN(cases[i].parts); k++)
            assert_non_null(strstr(err.text, cases[i].parts[k]));
        kafka_secured_fini(&way.secured);
    }
}

/* Brokers of 4.1 and later refuse the right password; the sentence must not blame it. */
static void test_old_scram_and_kafka_4(void **unused)
{
    const struct kafka_security security = {true, ca,   NULL, NULL, KAFKA_LOGIN_SCRAM_SHA_256,
                                            USER, right};
    struct way way;
    struct th_log *log;
    struct th_err err = {0};

    (void)unused;
    if (!is_kafka_4() || !kafka_security_has_old_scram()) {
        print_message("  Kafka %s, librdkafka %s: SCRAM works\n", broker.version,
                      rd_kafka_version_str());
        return;
    }
    make_way(&way, "127.0.0.1", broker.login_port, &security);
    assert_int_equal(kafka_log_open(&way.config, &log, &err), TH_DENIED);
    print_message("    %s\n", err.text);
    assert_non_null(strstr(err.text, "refuse SCRAM of librdkafka before 2.6.1"));
    kafka_secured_fini(&way.secured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_works),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_old_scram_and_kafka_4),
    };
    int status = test_broker_start_secure(&broker);

    if (status)
        return status;
    name_files();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_broker_stop(&broker);
    return failed;
}
