#include "connectors/kafka/kafka_security.h"

#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"

#define SCRAM_MENDED 0x02060100 /* librdkafka 2.6.1 */
#define HOST_MAX     256
#define SENTENCE_MAX 400

static const char *const mechanisms[] = {
    [KAFKA_LOGIN_PLAIN] = "PLAIN",
    [KAFKA_LOGIN_SCRAM_SHA_256] = "SCRAM-SHA-256",
    [KAFKA_LOGIN_SCRAM_SHA_512] = "SCRAM-SHA-512",
};

static bool is_given(const char *text)
{
    return text && *text;
}

bool kafka_security_has_old_scram(void)
{
    return rd_kafka_version() < SCRAM_MENDED;
}

/* --- what goes together ----------------------------------------------------------------------- */

static enum th_code check_login(const struct kafka_security *security, struct th_err *err)
{
    bool has_login = security->login != KAFKA_LOGIN_NONE;

    if (!has_login && (is_given(security->user) || is_given(security->password)))
        return th_fail(err, TH_INVALID,
                       "kafka_user or kafka_password is set, but kafka_login is none: set it to "
                       "plain, scram-sha-256 or scram-sha-512");
    if (has_login && (!is_given(security->user) || !is_given(security->password)))
        return th_fail(err, TH_INVALID,
                       "kafka_login needs kafka_user, and kafka_password: the file that holds the "
                       "password");
    if (security->login == KAFKA_LOGIN_PLAIN && !security->is_tls)
        return th_fail(err, TH_INVALID,
                       "kafka_login=plain without kafka_tls would show the password to everybody "
                       "on the way: set kafka_tls=yes, or use scram-sha-512");
    return TH_OK;
}

static enum th_code check_together(const struct kafka_security *security, struct th_err *err)
{
    if (!security->is_tls &&
        (is_given(security->ca) || is_given(security->certificate) || is_given(security->key)))
        return th_fail(err, TH_INVALID,
                       "kafka_ca, kafka_certificate or kafka_key is set, but nothing would be "
                       "encrypted: set kafka_tls=yes");
    if (is_given(security->certificate) != is_given(security->key))
        return th_fail(err, TH_INVALID,
                       "kafka_certificate and kafka_key belong together: one of them is missing");
    return check_login(security, err);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Opened, so that what cannot be read is known before a broker is asked. */
static enum th_code open_file(const char *setting, const char *path, bool is_secret, int *out_fd,
                              struct th_err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return th_fail(err, TH_IO, "%s=%s: %s", setting, path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return th_fail(err, TH_IO, "%s=%s is not a file", setting, path);
    }
    if (is_secret && (info.st_mode & (S_IRWXG | S_IRWXO))) {
        close(fd);
        return th_fail(err, TH_DENIED, "%s=%s may be read by others: chmod go= it", setting, path);
    }
    *out_fd = fd;
    return TH_OK;
}

static enum th_code check_file(const char *setting, const char *path, bool is_secret,
                               struct th_err *err)
{
    int fd;

    if (!is_given(path))
        return TH_OK;
    TH_TRY(open_file(setting, path, is_secret, &fd, err));
    close(fd);
    return TH_OK;
}

static enum th_code read_password(const char *path, char out[KAFKA_PASSWORD_MAX + 1],
                                  struct th_err *err)
{
    char bytes[KAFKA_PASSWORD_MAX + 3]; /* a line's end, and one that is too many */
    int fd;

    TH_TRY(open_file("kafka_password", path, true, &fd, err));
    ssize_t n = read(fd, bytes, sizeof bytes);
    close(fd);
    struct th_str line = th_str_trim((struct th_str){bytes, n > 0 ? (size_t)n : 0});
    bool is_line = line.n > 0 && line.n <= KAFKA_PASSWORD_MAX && !memchr(line.p, '\n', line.n) &&
                   !memchr(line.p, '\0', line.n);
    if (is_line) {
        memcpy(out, line.p, line.n);
        out[line.n] = '\0';
    }
    explicit_bzero(bytes, sizeof bytes);
    return is_line ? TH_OK
                   : th_fail(err, TH_INVALID,
                             "kafka_password=%s: a password is one line of 1 to %d bytes", path,
                             KAFKA_PASSWORD_MAX);
}

/* --- for librdkafka --------------------------------------------------------------------------- */

static void put(struct kafka_secured *out, const char *name, const char *value)
{
    if (is_given(value))
        out->settings[out->n++] = (struct kafka_setting){name, value};
}

static const char *protocol_of(const struct kafka_security *security)
{
    if (security->login == KAFKA_LOGIN_NONE)
        return security->is_tls ? "ssl" : "plaintext";
    return security->is_tls ? "sasl_ssl" : "sasl_plaintext";
}

static void put_tls(const struct kafka_security *security, struct kafka_secured *out)
{
    put(out, "enable.ssl.certificate.verification", "true");
    put(out, "ssl.endpoint.identification.algorithm", "https");
    put(out, "ssl.ca.location", security->ca);
    put(out, "ssl.certificate.location", security->certificate);
    put(out, "ssl.key.location", security->key);
}

enum th_code kafka_security_load(const struct kafka_security *security, struct kafka_secured *out,
                                 struct th_err *err)
{
    *out = (struct kafka_secured){0};
    TH_TRY(check_together(security, err));
    TH_TRY(check_file("kafka_ca", security->ca, false, err));
    TH_TRY(check_file("kafka_certificate", security->certificate, false, err));
    TH_TRY(check_file("kafka_key", security->key, true, err));
    put(out, "security.protocol", protocol_of(security));
    if (security->is_tls)
        put_tls(security, out);
    if (security->login == KAFKA_LOGIN_NONE)
        return TH_OK;
    TH_TRY(read_password(security->password, out->secret, err));
    put(out, "sasl.mechanism", mechanisms[security->login]);
    put(out, "sasl.username", security->user);
    put(out, "sasl.password", out->secret);
    return TH_OK;
}

void kafka_secured_fini(struct kafka_secured *secured)
{
    explicit_bzero(secured, sizeof *secured);
}

/* --- for the doctor --------------------------------------------------------------------------- */

static bool is_this_machine(struct th_str host)
{
    return th_str_eq(host, TH_STR("localhost")) || th_str_eq(host, TH_STR("[::1]")) ||
           (host.n > 4 && memcmp(host.p, "127.", 4) == 0);
}

/* The first broker that is reached over a network; false: none is. */
static bool find_remote(const char *brokers, struct th_str *out_host)
{
    for (const char *at = brokers; *at;) {
        size_t n = strcspn(at, ",");
        struct th_str host = {at, n};
        for (size_t i = n; i-- > 0;)
            if (at[i] == ':') {
                host.n = i;
                break;
            }
        if (!is_this_machine(host)) {
            *out_host = host;
            return true;
        }
        at += n + (at[n] == ',');
    }
    return false;
}

static void examine_connection(const struct kafka_security *security, const char *brokers,
                               finding_say *say, void *arg)
{
    struct th_str host = {NULL, 0};
    char sentence[SENTENCE_MAX];

    if (security->is_tls) {
        snprintf(sentence, sizeof sentence,
                 "is TLS; %s vouches for the brokers, and their names are verified",
                 is_given(security->ca) ? security->ca : "the system's list of authorities");
        say(arg, FINDING_FINE, "kafka connection", sentence);
    } else if (find_remote(brokers, &host)) {
        snprintf(sentence, sizeof sentence,
                 "to %.*s is not encrypted: whoever is on the way reads numbers and texts, and can "
                 "change them; set kafka_tls=yes",
                 (int)(host.n < HOST_MAX ? host.n : HOST_MAX), host.p);
        say(arg, FINDING_RISKY, "kafka connection", sentence);
    } else {
        say(arg, FINDING_FINE, "kafka connection", "is not encrypted, and stays on this machine");
    }
}

void kafka_security_examine(const struct kafka_security *security, const char *brokers,
                            finding_say *say, void *arg)
{
    char sentence[SENTENCE_MAX];
    bool is_scram = security->login == KAFKA_LOGIN_SCRAM_SHA_256 ||
                    security->login == KAFKA_LOGIN_SCRAM_SHA_512;

    examine_connection(security, brokers, say, arg);
    if (security->login == KAFKA_LOGIN_NONE) {
        say(arg, FINDING_FINE, "kafka login",
            is_given(security->certificate) ? "is our certificate" : "is not asked for");
        return;
    }
    if (is_scram && kafka_security_has_old_scram()) {
        snprintf(sentence, sizeof sentence,
                 "is %s: Kafka 4.1 and later refuse it of librdkafka %s; before the brokers are "
                 "upgraded, change to plain over TLS or to a certificate, or install librdkafka "
                 "2.6.1",
                 mechanisms[security->login], rd_kafka_version_str());
        say(arg, FINDING_RISKY, "kafka login", sentence);
        return;
    }
    snprintf(sentence, sizeof sentence, "is %s as %s", mechanisms[security->login], security->user);
    say(arg, FINDING_FINE, "kafka login", sentence);
}
