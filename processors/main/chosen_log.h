/* chosen_log.h - the log that the setting `log` names: in the installation's database, or in Kafka.
 *
 *   (empty)                                 tables of the database
 *   kafka://HOST:PORT[,HOST:PORT…][/PREFIX] topics whose names begin with PREFIX, "th." if none
 */
#ifndef TELEHUB_PROCESSORS_MAIN_CHOSEN_LOG_H
#define TELEHUB_PROCESSORS_MAIN_CHOSEN_LOG_H

#include "common/conf.h"
#include "common/eventlog/log.h"
#include "connectors/kafka/kafka_security.h"

/* How to reach Kafka; strings lie in it, or are the settings'. */
struct chosen_kafka {
    char text[1024];
    struct kafka_security security;
    struct kafka_secured secured;
    struct kafka_log_config config; /* borrows from the above: not to be copied */
};

/* Wipes the password. */
static inline void chosen_kafka_auto(struct chosen_kafka *kafka)
{
    kafka_secured_fini(&kafka->secured);
}

/* False when the log lies in the database. out is to be zero-initialised, and TH_AUTO.
 * Errors: TH_INVALID; as kafka_security_load */
TH_MUST_USE
enum th_code chosen_log_kafka(const struct th_conf *conf, bool *out_is_kafka,
                              struct chosen_kafka *out, struct th_err *err);

#define CHOSEN_LOG_THIS "this"

/* A log by its location, whatever the settings say: "this" is the installation's own (conf,
 * conninfo), kafka://HOST:PORT[,…][/PREFIX] and whatever libpq takes for a database (postgres://…,
 * "host=… dbname=…") are others. To look, and to be filled: it keeps no house.
 * Errors: TH_INVALID; as pg_log_open and kafka_log_open */
TH_MUST_USE
enum th_code chosen_log_at(const struct th_conf *conf, const char *conninfo, const char *location,
                           struct th_log **out_log, struct th_err *err);

/* Make one there unless it is there; a database is migrated before, and must exist. "this" is made
 * by telehub upgrade. Errors: as pg_log_create and kafka_log_create, but for TH_CONFLICT */
TH_MUST_USE
enum th_code chosen_log_make_at(const struct th_conf *conf, const char *location, int partitions,
                                int replication, struct th_err *err);

/* is_guest: to look only. Errors: as pg_log_open and kafka_log_open. */
TH_MUST_USE
enum th_code chosen_log_open(const struct th_conf *conf, const char *conninfo, bool is_guest,
                             struct th_log **out_log, struct th_err *err);

/* *log becomes it and its archive as one log: where it was trimmed, or is while it is open, whoever
 * reads from the beginning still can. dir: the installation's folder. No archive need be there:
 * readers are told what is missing. Errors: as archive_joined_open; *log is as it was */
TH_MUST_USE
enum th_code chosen_log_join(const struct th_conf *conf, const char *dir, struct th_log **log,
                             struct th_err *err);

/* Likewise with the archive in that folder, which is to be there, and this log's. Errors: as
 * archive_load_manifest, TH_CONFLICT */
TH_MUST_USE
enum th_code chosen_log_join_with(const char *path, struct th_log **log, struct th_err *err);

/* Make it unless it is there; *out_is_new says which. The database has been migrated. */
TH_MUST_USE
enum th_code chosen_log_create(const struct th_conf *conf, const char *conninfo, bool *out_is_new,
                               struct th_err *err);

#endif
