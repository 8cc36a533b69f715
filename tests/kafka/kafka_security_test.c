/* Which settings of TLS and logins go together, and what the files must be like: refused before any
 * broker is asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/kafka/kafka_security.h"
#include "tests/unit/test.h"

#define SECRET "hunter2 with spaces"

static char folder[] = "/tmp/telehub-security.XXXXXX";
static char ours[64], open_to_all[64], two_lines[64], empty[64], none[64];

static void write_file(char *path, const char *name, const char *text, mode_t mode)
{
    snprintf(path, 64, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_files(void **unused)
{
    (void)unused;
    assert_non_null(mkdtemp(folder));
    write_file(ours, "ours", SECRET "\n", 0600);
    write_file(open_to_all, "open", SECRET "\n", 0644);
    write_file(two_lines, "two", "one\ntwo\n", 0600);
    write_file(empty, "empty", "\n", 0600);
    snprintf(none, sizeof none, "%s/none", folder);
    return 0;
}

static int drop_files(void **unused)
{
    (void)unused;
    unlink(ours);
    unlink(open_to_all);
    unlink(two_lines);
    unlink(empty);
    return rmdir(folder);
}

#define LOGIN(kind, file) .login = (kind), .user = "telehub", .password = (file)

static void test_what_is_refused(void **unused)
{
    const struct {
        const char *says;
        struct kafka_security security;
        enum th_code code;
        const char *part; /* of the sentence */
    } cases[] = {
        {"nothing at all is fine", {0}, TH_OK, ""},
        {"empty is not given",
         {.ca = "", .certificate = "", .key = "", .user = "", .password = ""},
         TH_OK,
         ""},
        {"TLS by the system's authorities", {.is_tls = true}, TH_OK, ""},
        {"a login over TLS", {.is_tls = true, LOGIN(KAFKA_LOGIN_PLAIN, ours)}, TH_OK, ""},
        {"SCRAM shows nobody the password", {LOGIN(KAFKA_LOGIN_SCRAM_SHA_512, ours)}, TH_OK, ""},
        {"PLAIN without TLS", {LOGIN(KAFKA_LOGIN_PLAIN, ours)}, TH_INVALID, "kafka_tls=yes"},
        {"an authority, but no TLS", {.ca = ours}, TH_INVALID, "kafka_tls=yes"},
        {"a certificate without a key",
         {.is_tls = true, .certificate = ours},
         TH_INVALID,
         "belong together"},
        {"a key without a certificate",
         {.is_tls = true, .key = ours},
         TH_INVALID,
         "belong together"},
        {"a password without a login",
         {.is_tls = true, .password = ours},
         TH_INVALID,
         "kafka_login"},
        {"a login without a user",
         {.is_tls = true, .login = KAFKA_LOGIN_PLAIN, .password = ours},
         TH_INVALID,
         "kafka_user"},
        {"a login without a password",
         {.is_tls = true, .login = KAFKA_LOGIN_PLAIN, .user = "telehub"},
         TH_INVALID,
         "kafka_password"},
        {"an authority that is not there", {.is_tls = true, .ca = none}, TH_IO, none},
        {"an authority that is a folder", {.is_tls = true, .ca = folder}, TH_IO, "not a file"},
        {"an authority may be read by all", {.is_tls = true, .ca = open_to_all}, TH_OK, ""},
        {"a key that others may read",
         {.is_tls = true, .certificate = open_to_all, .key = open_to_all},
         TH_DENIED,
         "chmod"},
        {"a password that others may read",
         {LOGIN(KAFKA_LOGIN_SCRAM_SHA_256, open_to_all)},
         TH_DENIED,
         "chmod"},
        {"a password that is not there", {LOGIN(KAFKA_LOGIN_SCRAM_SHA_256, none)}, TH_IO, none},
        {"a password of two lines",
         {LOGIN(KAFKA_LOGIN_SCRAM_SHA_256, two_lines)},
         TH_INVALID,
         "one line"},
        {"an empty password", {LOGIN(KAFKA_LOGIN_SCRAM_SHA_256, empty)}, TH_INVALID, "one line"},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct kafka_secured secured;
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(kafka_security_load(&cases[i].security, &secured, &err), cases[i].code);
        assert_non_null(strstr(err.text, cases[i].part));
        assert_null(strstr(err.text, SECRET));
        kafka_secured_fini(&secured);
    }
}

static const char *value_of(const struct kafka_secured *secured, const char *name)
{
    for (size_t i = 0; i < secured->n; i++)
        if (strcmp(secured->settings[i].name, name) == 0)
            return secured->settings[i].value;
    return "";
}

static void test_what_librdkafka_is_told(void **unused)
{
    struct kafka_security all = {.is_tls = true,
                                 .ca = open_to_all,
                                 .certificate = open_to_all,
                                 .key = ours,
                                 LOGIN(KAFKA_LOGIN_SCRAM_SHA_512, ours)};
    struct kafka_secured secured;

    (void)unused;
    assert_int_equal(kafka_security_load(&all, &secured, NULL), TH_OK);
    assert_true(secured.n <= KAFKA_SECURITY_SETTINGS);
    assert_string_equal(value_of(&secured, "security.protocol"), "sasl_ssl");
    assert_string_equal(value_of(&secured, "enable.ssl.certificate.verification"), "true");
    assert_string_equal(value_of(&secured, "ssl.endpoint.identification.algorithm"), "https");
    assert_string_equal(value_of(&secured, "sasl.mechanism"), "SCRAM-SHA-512");
    assert_string_equal(value_of(&secured, "sasl.password"), SECRET);
    kafka_secured_fini(&secured);
    for (size_t i = 0; i < sizeof secured.secret; i++)
        assert_int_equal(secured.secret[i], 0);
}

/* A value that librdkafka does not take is not repeated in the error. */
static void test_no_error_quotes_a_password(void **unused)
{
    const struct kafka_setting wrong = {"sasl.password.that.is.none", SECRET};
    struct kafka_log_config config = {
        .brokers = "127.0.0.1:1", .settings = &wrong, .settings_n = 1};
    struct th_log *log;
    struct th_err err = {0};

    (void)unused;
    assert_int_equal(kafka_log_open(&config, &log, &err), TH_INVALID);
    assert_non_null(strstr(err.text, "sasl.password.that.is.none"));
    assert_null(strstr(err.text, SECRET));
}

/* --- the doctor ------------------------------------------------------------------------------- */

struct findings {
    enum finding connection;
    enum finding login;
};

static void note(void *arg, enum finding finding, const char *check, const char *sentence)
{
    struct findings *findings = arg;

    assert_null(strstr(sentence, SECRET));
    if (strcmp(check, "kafka connection") == 0)
        findings->connection = finding;
    else if (strcmp(check, "kafka login") == 0)
        findings->login = finding;
}

static void test_what_the_doctor_says(void **unused)
{
    enum finding scram = kafka_security_has_old_scram() ? FINDING_RISKY : FINDING_FINE;
    const struct {
        const char *says;
        const char *brokers;
        struct kafka_security security;
        struct findings wanted;
    } cases[] = {
        {"this machine needs no TLS",
         "127.0.0.1:9092,localhost:9093",
         {0},
         {FINDING_FINE, FINDING_FINE}},
        {"a network does",
         "127.0.0.1:9092,kafka.example.org:9092",
         {0},
         {FINDING_RISKY, FINDING_FINE}},
        {"a name that begins like this machine's",
         "localhost.example.org:9092",
         {0},
         {FINDING_RISKY, FINDING_FINE}},
        {"TLS", "kafka.example.org:9092", {.is_tls = true}, {FINDING_FINE, FINDING_FINE}},
        {"PLAIN over TLS",
         "kafka.example.org:9092",
         {.is_tls = true, LOGIN(KAFKA_LOGIN_PLAIN, ours)},
         {FINDING_FINE, FINDING_FINE}},
        {"SCRAM of an old librdkafka bars the way to Kafka 4",
         "kafka.example.org:9092",
         {.is_tls = true, LOGIN(KAFKA_LOGIN_SCRAM_SHA_256, ours)},
         {FINDING_FINE, scram}},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct findings is = {FINDING_BAD, FINDING_BAD};

        print_message("  %s\n", cases[i].says);
        kafka_security_examine(&cases[i].security, cases[i].brokers, note, &is);
        assert_int_equal(is.connection, cases[i].wanted.connection);
        assert_int_equal(is.login, cases[i].wanted.login);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_what_librdkafka_is_told),
        cmocka_unit_test(test_no_error_quotes_a_password),
        cmocka_unit_test(test_what_the_doctor_says),
    };
    return cmocka_run_group_tests(tests, make_files, drop_files);
}
