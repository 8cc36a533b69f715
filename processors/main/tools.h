/* tools.h - the commands that do not speak HTTP: they know the log, the database, the settings. */
#ifndef TELEHUB_PROCESSORS_MAIN_TOOLS_H
#define TELEHUB_PROCESSORS_MAIN_TOOLS_H

#include "common/conf.h"
#include "common/eventlog/core.h"
#include "processors/cli/cli.h"

#define TOOL_CONNINFO_MAX    4608
#define TOOL_ARCHIVE_DIR_MAX 4000

/* By file; each ends at .name == NULL. */
extern const struct cli_command tool_upgrade_commands[];
extern const struct cli_command tool_log_commands[];
extern const struct cli_command tool_archive_commands[];
extern const struct cli_command tool_retention_commands[];
extern const struct cli_command tool_move_commands[];
extern const struct cli_command tool_doctor_commands[];
extern const struct cli_command tool_view_commands[];
extern const struct cli_command tool_certificate_commands[];

/* The cores that own slots; ends at NULL. */
extern const struct core_ops *const tool_cores[];

/* The installation's settings, and how to reach its database. */
TH_MUST_USE
enum th_code tool_settings(const struct cli *cli, struct th_conf **out_conf,
                           char out_conninfo[TOOL_CONNINFO_MAX], struct th_err *err);

/* Its log, opened to look only; where it was trimmed, together with its archive. */
TH_MUST_USE
enum th_code tool_log(const struct cli *cli, struct th_log **out_log, struct th_err *err);

/* Have the views that are shown been filled by this program's rules? If not, *out_sentence says
 * what to do; else it is empty. */
#define TOOL_RULES_SENTENCE_MAX 256
TH_MUST_USE
enum th_code tool_view_rules(const char *conninfo, char out_sentence[TOOL_RULES_SENTENCE_MAX],
                             struct th_err *err);

static inline void th_log_auto(struct th_log **log)
{
    if (*log)
        th_log_close(*log);
}

#endif
