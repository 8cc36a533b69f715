/* kafka_security.h - what keeps the connection from others, and as whom we log in.
 *
 * TLS always verifies: an authority vouches for the broker's certificate, and the certificate is of
 * the host that was dialled. Nothing turns that off. A password lies in a file of its own, and
 * PLAIN, which sends it as it is, is refused without TLS.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_SECURITY_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_SECURITY_H

#include "connectors/kafka/kafka_examine.h"

#define KAFKA_PASSWORD_MAX      1024
#define KAFKA_SECURITY_SETTINGS 12
#define KAFKA_LOGINS            "none|plain|scram-sha-256|scram-sha-512"

enum kafka_login { /* in the order of KAFKA_LOGINS */
                   KAFKA_LOGIN_NONE,
                   KAFKA_LOGIN_PLAIN,
                   KAFKA_LOGIN_SCRAM_SHA_256,
                   KAFKA_LOGIN_SCRAM_SHA_512,
};

/* As the settings kafka_tls, kafka_ca, … say it; NULL or "": not given. Strings are borrowed. */
struct kafka_security {
    bool is_tls;
    const char *ca;          /* PEM file of authorities; not given: the system's */
    const char *certificate; /* PEM file: ours, where brokers want one */
    const char *key;         /* PEM file: its key; nobody else may read it */
    enum kafka_login login;
    const char *user;
    const char *password; /* file with one line; nobody else may read it */
};

/* The same for librdkafka. Borrows the strings of the above; holds the password. */
struct kafka_secured {
    struct kafka_setting settings[KAFKA_SECURITY_SETTINGS];
    size_t n;
    char secret[KAFKA_PASSWORD_MAX + 1];
};

/* Errors, each a sentence that names the setting or the file:
 *         TH_INVALID  settings that do not go together, or a password that is not one line
 *         TH_DENIED   others may read the key or the password
 *         TH_IO       a file cannot be read */
TH_MUST_USE
enum th_code kafka_security_load(const struct kafka_security *security, struct kafka_secured *out,
                                 struct th_err *err);

/* Wipes the password. */
void kafka_secured_fini(struct kafka_secured *secured);

/* Says for `telehub doctor` how the connection is kept, and what threatens it. brokers:
 * "host:port,…" */
void kafka_security_examine(const struct kafka_security *security, const char *brokers,
                            finding_say *say, void *arg);

/* Does this librdkafka's SCRAM fail at Kafka 4.1 and later, whatever the password? Its answer does
 * not begin with the nonce that the broker asks for; mended in 2.6.1. */
bool kafka_security_has_old_scram(void);

#endif
