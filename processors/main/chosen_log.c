#include "processors/main/chosen_log.h"

#include "common/clock.h"
#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/archive_joined.h"
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

static bool is_kafka_at(const char *location)
{
    return strncmp(location, KAFKA_SCHEME, strlen(KAFKA_SCHEME)) == 0;
}

static enum th_code kafka_at(const struct th_conf *conf, const char *location,
                             struct chosen_kafka *out, struct th_err *err)
{
    if (!is_kafka_at(location) || strlen(location) >= sizeof out->text)
        return th_fail(err, TH_INVALID,
                       "log=%s: leave it empty, or say " KAFKA_SCHEME "HOST:PORT[,…][/PREFIX]",
                       location);
    out->config = (struct kafka_log_config){
        .idem_kept_s = (int)(th_conf_duration_us(conf, "log_idempotency") / TH_US_PER_SEC)};
    snprintf(out->text, sizeof out->text, "%s", location + strlen(KAFKA_SCHEME));
    char *slash = strchr(out->text, '/');
    if (slash)
        *slash = '\0';
    out->config.brokers = out->text;
    out->config.prefix = slash && slash[1] ? slash + 1 : NULL;
    out->security = security_of(conf);
    TH_TRY(kafka_security_load(&out->security, &out->secured, err));
    out->config.settings = out->secured.settings;
    out->config.settings_n = out->secured.n;
    return TH_OK;
}

enum th_code chosen_log_kafka(const struct th_conf *conf, bool *out_is_kafka,
                              struct chosen_kafka *out, struct th_err *err)
{
    const char *given = th_conf_str(conf, "log");

    *out_is_kafka = *given;
    return *given ? kafka_at(conf, given, out, err) : TH_OK;
}

static enum th_code open_kafka_at(const struct th_conf *conf, const char *location,
                                  struct th_log **out_log, struct th_err *err)
{
    TH_AUTO(chosen_kafka) struct chosen_kafka kafka = {0};

    TH_TRY(kafka_at(conf, location, &kafka, err));
    return kafka_log_open(&kafka.config, out_log, err);
}

enum th_code chosen_log_at(const struct th_conf *conf, const char *conninfo, const char *location,
                           struct th_log **out_log, struct th_err *err)
{
    if (strcmp(location, CHOSEN_LOG_THIS) == 0)
        return chosen_log_open(conf, conninfo, true, out_log, err);
    if (is_kafka_at(location))
        return open_kafka_at(conf, location, out_log, err);
    struct pg_log_config config = settings_log(conf, location);
    config.is_guest = true;
    return pg_log_open(&config, out_log, err);
}

static enum th_code make_at(const struct th_conf *conf, const char *location, int partitions,
                            int replication, struct th_err *err)
{
    TH_AUTO(chosen_kafka) struct chosen_kafka kafka = {0};
    int applied;

    if (!is_kafka_at(location)) {
        TH_TRY(pg_log_upgrade(location, &applied, err));
        return pg_log_create(location, partitions, err);
    }
    TH_TRY(kafka_at(conf, location, &kafka, err));
    return kafka_log_create(&kafka.config, partitions, replication, err);
}

enum th_code chosen_log_make_at(const struct th_conf *conf, const char *location, int partitions,
                                int replication, struct th_err *err)
{
    if (strcmp(location, CHOSEN_LOG_THIS) == 0)
        return TH_OK;
    enum th_code code = make_at(conf, location, partitions, replication, err);
    return code == TH_CONFLICT ? TH_OK : code;
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

enum th_code chosen_log_join(const struct th_conf *conf, const char *dir, struct th_log **log,
                             struct th_err *err)
{
    char path[4096];

    settings_archive(conf, dir, path, sizeof path);
    return archive_joined_open(*log, path, log, err);
}

enum th_code chosen_log_join_with(const char *path, struct th_log **log, struct th_err *err)
{
    struct archive_manifest manifest = {0};

    enum th_code code = archive_load_manifest(path, &manifest, err);
    if (code == TH_OK && strcmp(manifest.log_id, th_log_id(*log)) != 0)
        code = th_fail(err, TH_CONFLICT, "%s holds the archive of the log %s, and this one is %s",
                       path, manifest.log_id, th_log_id(*log));
    archive_manifest_fini(&manifest);
    return code == TH_OK ? archive_joined_open(*log, path, log, err) : code;
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
