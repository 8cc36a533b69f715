/* settings.h - every setting of the binary, in one table: what parses it documents it.
 *
 * DIR/telehub.conf first, then the environment. `telehub run --print-env` prints .env.example.
 */
#ifndef TELEHUB_PROCESSORS_MAIN_SETTINGS_H
#define TELEHUB_PROCESSORS_MAIN_SETTINGS_H

#include "common/conf.h"
#include "connectors/postgres/pg_log.h"
#include "processors/campaign/campaign.h"
#include "processors/dispatch/dispatch.h"
#include "processors/retry/retry.h"

/* All of them at their presets. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code settings_new(struct th_conf **out_conf, struct th_err *err);

/* What holds for the installation in dir. Errors: TH_INVALID, TH_IO, TH_FULL, TH_NOMEM */
TH_MUST_USE
enum th_code settings_load(const char *dir, struct th_conf **out_conf, struct th_err *err);

/* How to reach the database: the setting, else the private cluster in dir. out has room for size
 * bytes. */
void settings_database(const struct th_conf *conf, const char *dir, char *out, size_t size);

/* The folder of the log's archive: the setting, else the one in dir. */
void settings_archive(const struct th_conf *conf, const char *dir, char *out, size_t size);

/* Settings as their owners want them. */
struct campaign_config settings_campaign(const struct th_conf *conf);
struct retry_config settings_retry(const struct th_conf *conf);
struct dispatch_config settings_dispatch(const struct th_conf *conf);
struct pg_log_config settings_log(const struct th_conf *conf, const char *conninfo);

#endif
