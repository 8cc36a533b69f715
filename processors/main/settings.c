#include "processors/main/settings.h"

#include "common/clock.h"
#include "common/log_line.h"
#include "connectors/gateway/gateway.h"
#include "connectors/kafka/kafka_security.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DURATION(name, preset, min, max, help)                                                     \
    {                                                                                              \
        name, TH_CONF_DURATION, preset, min, max, NULL, NULL, help                                 \
    }
#define COUNT(name, preset, min, max, unit, help)                                                  \
    {                                                                                              \
        name, TH_CONF_INT, preset, min, max, unit, NULL, help                                      \
    }

static const struct th_conf_key installation_keys[] = {
    {"dir", TH_CONF_PATH, "", NULL, NULL, NULL, NULL,
     "The installation's folder; empty: /var/lib/telehub for root, else ~/.local/share/telehub."},
    {"tenant", TH_CONF_STRING, "", NULL, "63", NULL, NULL,
     "For whom commands speak that do not say so; empty: the only tenant there is a key of."},
    {"database", TH_CONF_STRING, "", NULL, NULL, NULL, NULL,
     "Conninfo of the Postgres database; empty: the private cluster in the installation's folder."},
    {"listen", TH_CONF_STRING, "127.0.0.1", "1", "64", NULL, NULL,
     "IPv4 address that the gateway listens on."},
    COUNT("port", "8080", "0", "65535", NULL, "The gateway's port; 0: any that is free."),
    {"public_url", TH_CONF_STRING, "", NULL, "500", NULL, NULL,
     "What providers call back, without a slash at its end; empty: the gateway's own address."},
    {"log", TH_CONF_STRING, "", NULL, "1000", NULL, NULL,
     "Empty: the log lies in the database. Or kafka://HOST:PORT[,HOST:PORT...][/PREFIX]."},
    {"kafka_tls", TH_CONF_BOOL, "no", NULL, NULL, NULL, NULL,
     "Encrypt the connection to Kafka, and verify the brokers' certificates."},
    {"kafka_ca", TH_CONF_PATH, "", NULL, NULL, NULL, NULL,
     "PEM file of the authorities that vouch for the brokers; empty: the system's."},
    {"kafka_certificate", TH_CONF_PATH, "", NULL, NULL, NULL, NULL,
     "PEM file of our certificate, where brokers want one."},
    {"kafka_key", TH_CONF_PATH, "", NULL, NULL, NULL, NULL, "PEM file of its key, mode 0600."},
    {"kafka_login", TH_CONF_ENUM, "none", NULL, NULL, NULL, KAFKA_LOGINS,
     "How to log in at the brokers; plain needs kafka_tls."},
    {"kafka_user", TH_CONF_STRING, "", NULL, "255", NULL, NULL, "As whom to log in."},
    {"kafka_password", TH_CONF_PATH, "", NULL, NULL, NULL, NULL,
     "File with the password on one line, mode 0600."},
    COUNT("replication", "3", "1", "15", "copies",
          "Of each Kafka topic; chosen once, when the log is made. 1 on a single broker."),
    COUNT("partitions", "4", "1", "64", "partitions",
          "Of every topic; chosen once, when the log is made."),
    COUNT("slots", "2", "1", "64", "slots",
          "Threads of each processor; change it only while nothing runs."),
    {"log_level", TH_CONF_ENUM, "info", NULL, NULL, NULL, TH_LOG_LEVELS,
     "What is written to standard error."},
    DURATION("stop_time", "5s", "100ms", "1min", "What has not stopped after this is left behind."),
    {.name = NULL},
};

static const struct th_conf_key log_keys[] = {
    DURATION("slot_poll", "250ms", "1ms", "10s", "How often a slot looks for input unasked."),
    DURATION("slot_reopen_wait", "500ms", "1ms", "1min",
             "After a slot was lost, before it is taken again."),
    {"slot_snapshot", TH_CONF_SIZE, "16MB", "1kB", "1GB", NULL, NULL,
     "A slot's state is saved after so much of its own log."},
    COUNT("log_readers", "8", "1", "16", "connections", "Shared by readers of the log."),
    {"log_ring", TH_CONF_SIZE, "4MB", "64kB", "1GB", NULL, NULL,
     "Committed batches kept in memory for readers of this process."},
    DURATION("log_connect_timeout", "5s", "100ms", "1min", "To connect to Postgres."),
    DURATION("log_statement_timeout", "30s", "100ms", "10min", "Of one statement."),
    DURATION("log_lock_timeout", "5s", "10ms", "10min", "For a lock."),
    DURATION("log_commit_timeout", "40s", "100ms", "10min",
             "A commit without an answer for so long is asked about."),
    DURATION("log_resolve_retry", "200ms", "1ms", "1min", "Between two tries to ask."),
    DURATION("log_takeover", "10s", "10ms", "10min",
             "How long taking a slot tries to end its previous owner."),
    DURATION("log_grace", "2s", "1ms", "1min", "How long that one's commit may still take."),
    DURATION("log_heartbeat", "5s", "10ms", "1min", "Between two signs of life."),
    DURATION("log_stale", "20s", "100ms", "10min",
             "Without a sign of life an owner on another host is dead."),
    DURATION("log_notify", "10ms", "1ms", "1s", "At least so long between two hints to others."),
    DURATION("log_house", "5s", "10ms", "10min", "Between two rounds of pruning."),
    DURATION("log_idempotency", "2d", "1s", "30d", "How long an Idempotency-Key is remembered."),
    {"archive", TH_CONF_PATH, "", NULL, NULL, NULL, NULL,
     "Folder of the log's archive; empty: archive in the installation's folder."},
    {"log_retention", TH_CONF_STRING, "", NULL, "1000", NULL, NULL,
     "What telehub log retention may drop, once it is archived and so many days old: "
     "TOPIC=DAYS[,...] or all=DAYS, which is all but reference topics; empty: nothing."},
    {"log_segment", TH_CONF_SIZE, "8GB", "1MB", "100GB", NULL, NULL,
     "A new segment of the log begins after this."},
    DURATION("log_segment_age", "1d", "1min", "30d", "Likewise."),
    {.name = NULL},
};

static const struct th_conf_key campaign_keys[] = {
    COUNT("campaign_look_ahead", "1000", "1", "1000000", "sends",
          "Released and neither accepted nor ended, of one campaign, at most."),
    DURATION("campaign_look_ahead_time", "5s", "1ms", "1min",
             "How far ahead of its moment a release may be made."),
    DURATION("campaign_ask_again", "50ms", "1ms", "1min",
             "When a part of the audience could not be read."),
    {.name = NULL},
};

static const struct th_conf_key retry_keys[] = {
    DURATION("retry_backoff", "2s", "1ms", "1h", "Before the first retry; doubles each time."),
    DURATION("retry_backoff_max", "15min", "1ms", "1d", "The longest wait between tries."),
    DURATION("retry_slow_wait", "15min", "1ms", "7d",
             "Before a busy or unanswered number is called again; a test account waits no longer "
             "than usual."),
    COUNT("retry_tries", "3", "1", "10", "tries", "At one provider, before the next one."),
    DURATION("retry_report_wait", "15min", "1ms", "1d",
             "How long an accepted call's report may start another attempt."),
    DURATION("retry_room_wait", "1s", "1ms", "1min", "A provider's lane is full: look again."),
    DURATION("retry_behind_wait", "100ms", "1ms", "1min", "Configuration is behind: look again."),
    COUNT("retry_lane_plans_min", "256", "1", "16000", "plans", "Waiting at a lane, at least."),
    COUNT("retry_lane_plans_free", "4096", "1", "16000", "plans",
          "Waiting at a lane without a rate."),
    COUNT("retry_part_plans_max", "16000", "1", "16000", "plans", "Waiting in a partition."),
    {.name = NULL},
};

static const struct th_conf_key dispatch_keys[] = {
    DURATION("send_window", "5s", "1ms", "30s",
             "A request leaves within this time of its commit, or not at all."),
    DURATION("call_timeout", "15s", "10ms", "30s", "Of one request to a provider."),
    COUNT("send_window_min", "16", "1", "512", "requests", "In flight in a slot, at least."),
    COUNT("send_window_max", "512", "1", "512", "requests", "In flight in a slot, at most."),
    DURATION("callback_window_sms", "1d", "1ms", "30d",
             "Then a message whose outcome nobody knows is in doubt."),
    DURATION("callback_window_call", "15min", "1ms", "30d", "The same of a call."),
    DURATION("search_wait", "1min", "1ms", "1d",
             "An unknown outcome: search the provider's list then, and twice more, later."),
    DURATION("price_wait", "2s", "1ms", "1d",
             "From the final report to the first question for a price; then four times as long."),
    DURATION(
        "price_gather", "5s", "0", "1h",
        "Questions for prices wait so long for each other; many are asked as one list. 0: none "
        "waits."),
    COUNT("price_tries", "9", "0", "20", "questions", "Then the estimate stays."),
    DURATION("report_wait", "10min", "1ms", "7d", "Without a final report it is asked for."),
    DURATION("dispatch_behind_wait", "100ms", "1ms", "1min",
             "Configuration is behind: look again."),
    DURATION("probe_wait", "5s", "1ms", "10min", "Between probes of an open circuit."),
    COUNT("circuit_calls", "20", "1", "100000", "calls", "Fewer in 30 s never open a circuit."),
    {.name = NULL},
};

static const struct th_conf_key views_keys[] = {
    DURATION("views_idle", "100ms", "1ms", "10s", "Between two writes of the views, when idle."),
    DURATION("views_load", "1s", "1ms", "1min", "The same under load."),
    DURATION("views_poll", "250ms", "1ms", "10s", "How often the log is looked at unasked."),
    DURATION("views_retry_wait", "1s", "1ms", "1min", "After a failure."),
    {.name = NULL},
};

static const struct th_conf_key *const tables[] = {
    installation_keys, log_keys,      gateway_conf_keys, campaign_keys,
    retry_keys,        dispatch_keys, views_keys,        NULL,
};

enum th_code settings_new(struct th_conf **out_conf, struct th_err *err)
{
    return th_conf_new(tables, out_conf, err);
}

enum th_code settings_load(const char *dir, struct th_conf **out_conf, struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    char path[4096 + 16];

    TH_TRY(settings_new(&conf, err));
    snprintf(path, sizeof path, "%s/telehub.conf", dir);
    if (access(path, F_OK) == 0)
        TH_TRY(th_conf_apply_file(conf, path, err));
    TH_TRY(th_conf_apply_environment(conf, environ, err));
    *out_conf = TH_TAKE(conf);
    return TH_OK;
}

void settings_database(const struct th_conf *conf, const char *dir, char *out, size_t size)
{
    const char *given = th_conf_str(conf, "database");

    if (*given)
        snprintf(out, size, "%s", given);
    else
        snprintf(out, size, "host='%s/postgres/run' port=5432 dbname=telehub user=telehub", dir);
}

void settings_archive(const struct th_conf *conf, const char *dir, char *out, size_t size)
{
    const char *given = th_conf_str(conf, "archive");

    if (*given)
        snprintf(out, size, "%s", given);
    else
        snprintf(out, size, "%s/archive", dir);
}

struct campaign_config settings_campaign(const struct th_conf *conf)
{
    return (struct campaign_config){
        .look_ahead = th_conf_int(conf, "campaign_look_ahead"),
        .look_ahead_us = th_conf_duration_us(conf, "campaign_look_ahead_time"),
        .ask_again_us = th_conf_duration_us(conf, "campaign_ask_again"),
    };
}

struct retry_config settings_retry(const struct th_conf *conf)
{
    return (struct retry_config){
        .backoff_base_us = th_conf_duration_us(conf, "retry_backoff"),
        .backoff_cap_us = th_conf_duration_us(conf, "retry_backoff_max"),
        .slow_wait_us = th_conf_duration_us(conf, "retry_slow_wait"),
        .tries_per_lane = (int32_t)th_conf_int(conf, "retry_tries"),
        .report_wait_us = th_conf_duration_us(conf, "retry_report_wait"),
        .room_wait_us = th_conf_duration_us(conf, "retry_room_wait"),
        .behind_wait_us = th_conf_duration_us(conf, "retry_behind_wait"),
        .lane_plans_min = (int32_t)th_conf_int(conf, "retry_lane_plans_min"),
        .lane_plans_free = (int32_t)th_conf_int(conf, "retry_lane_plans_free"),
        .part_plans_max = (int32_t)th_conf_int(conf, "retry_part_plans_max"),
    };
}

static int32_t milliseconds(const struct th_conf *conf, const char *name)
{
    return (int32_t)(th_conf_duration_us(conf, name) / TH_US_PER_MS);
}

static int32_t seconds(const struct th_conf *conf, const char *name)
{
    return (int32_t)(th_conf_duration_us(conf, name) / TH_US_PER_SEC);
}

struct dispatch_config settings_dispatch(const struct th_conf *conf)
{
    return (struct dispatch_config){
        .send_window_ms = milliseconds(conf, "send_window"),
        .call_timeout_ms = milliseconds(conf, "call_timeout"),
        .window_min = (int32_t)th_conf_int(conf, "send_window_min"),
        .window_max = (int32_t)th_conf_int(conf, "send_window_max"),
        .callback_window_sms_us = th_conf_duration_us(conf, "callback_window_sms"),
        .callback_window_call_us = th_conf_duration_us(conf, "callback_window_call"),
        .search_wait_us = th_conf_duration_us(conf, "search_wait"),
        .price_wait_us = th_conf_duration_us(conf, "price_wait"),
        .price_tries = (int32_t)th_conf_int(conf, "price_tries"),
        .report_wait_us = th_conf_duration_us(conf, "report_wait"),
        .behind_wait_us = th_conf_duration_us(conf, "dispatch_behind_wait"),
        .probe_wait_us = th_conf_duration_us(conf, "probe_wait"),
        .circuit_calls = (int32_t)th_conf_int(conf, "circuit_calls"),
    };
}

struct pg_log_config settings_log(const struct th_conf *conf, const char *conninfo)
{
    return (struct pg_log_config){
        .conninfo = conninfo,
        .readers_max = (int)th_conf_int(conf, "log_readers"),
        .ring_bytes = th_conf_size(conf, "log_ring"),
        .connect_timeout_ms = milliseconds(conf, "log_connect_timeout"),
        .statement_timeout_ms = milliseconds(conf, "log_statement_timeout"),
        .lock_timeout_ms = milliseconds(conf, "log_lock_timeout"),
        .commit_timeout_ms = milliseconds(conf, "log_commit_timeout"),
        .resolve_retry_ms = milliseconds(conf, "log_resolve_retry"),
        .takeover_ms = milliseconds(conf, "log_takeover"),
        .grace_ms = milliseconds(conf, "log_grace"),
        .heartbeat_ms = milliseconds(conf, "log_heartbeat"),
        .stale_ms = milliseconds(conf, "log_stale"),
        .notify_ms = milliseconds(conf, "log_notify"),
        .house_ms = milliseconds(conf, "log_house"),
        .idem_kept_s = seconds(conf, "log_idempotency"),
        .segment_bytes_max = (int64_t)th_conf_size(conf, "log_segment"),
        .segment_age_s = seconds(conf, "log_segment_age"),
    };
}
