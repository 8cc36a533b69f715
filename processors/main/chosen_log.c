#include "processors/main/chosen_log.h"

#include "common/clock.h"
#include "processors/main/settings.h"

#include <stdio.h>
#include <string.h>

#define KAFKA_SCHEME "kafka://"

static struct kafka_security security_of(const struct th_conf *conf)
{
    return (struct kafka_security){
        .is_tls = th_conf_bool(conf, "kafka_tls"),
        .ca = th_conf_str(conf, "kafka_ca"),
        .certificate = th_conf_str(conf, "kafka_certificate"),
        .key = th_conf_str(conf, "kafka_key"),
        .login = (enum kafka_login)th_conf_enum(conf, "kafka_login"),
        .user = th_conf_str(conf, "kafka_user"),
        .password = th_conf_str(conf, "kafka_password"),
    };
}

enum th_code chosen_log_kafka(const struct th_conf *conf, bool *out_is_kafka,
                              struct chosen_kafka *out, struct th_err *err)
{
    const char *given = th_conf_str(conf, "log");

    *out_is_kafka = false;
    if (!*given)
        return TH_OK;
    if (strncmp(given, KAFKA_SCHEME, strlen(KAFKA_SCHEME)) != 0 ||
        strlen(given) >= sizeof out->text)
        return th_fail(err, TH_INVALID,
                       "log=%s: leave it empty, or say " KAFKA_SCHEME "HOST:PORT[,…][/PREFIX]",
                       given);
    out->config = (struct kafka_log_config){
        .idem_kept_s = (int)(th_conf_duration_us(conf, "log_idempotency") / TH_US_PER_SEC)};
    snprintf(out->text, sizeof out->text, "%s", given + strlen(KAFKA_SCHEME));
    char *slash = strchr(out->text, '/');
    if (slash)
        *slash = '\0';
    out->config.brokers = out->text;
    out->config.prefix = slash && slash[1] ? slash + 1 : NULL;
    out->security = security_of(conf);
    TH_TRY(kafka_security_load(&out->security, &out->secured, err));
    out->config.settings = out->secured.settings;
    out->config.settings_n = out->secured.n;
    *out_is_kafka = true;
    return TH_OK;
}

enum th_code chosen_log_open(const struct th_conf *conf, const char *conninfo, bool is_guest,
                             struct th_log **out_log, struct th_err *err)
{
    TH_AUTO(chosen_kafka) struct chosen_kafka kafka = {0};
    bool is_kafka;

    TH_TRY(chosen_log_kafka(conf, &is_kafka, &kafka, err));
    if (is_kafka)
        return kafka_log_open(&kafka.config, out_log, err);
    struct pg_log_config config = settings_log(conf, conninfo);
    config.is_guest = is_guest;
    return pg_log_open(&config, out_log, err);
}

enum th_code chosen_log_create(const struct th_conf *conf, const char *conninfo, bool *out_is_new,
                               struct th_err *err)
{
    int partitions = (int)th_conf_int(conf, "partitions");
    TH_AUTO(chosen_kafka) struct chosen_kafka kafka = {0};
    bool is_kafka;

    TH_TRY(chosen_log_kafka(conf, &is_kafka, &kafka, err));
    enum th_code code = is_kafka ? kafka_log_create(&kafka.config, partitions,
                                                    (int)th_conf_int(conf, "replication"), err)
                                 : pg_log_create(conninfo, partitions, err);
    if (code != TH_OK && code != TH_CONFLICT)
        return code;
    *out_is_new = code == TH_OK;
    return TH_OK;
}
