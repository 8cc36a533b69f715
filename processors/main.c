/* main.c - the binary: its commands, and (with main/) the only place that knows both processors and
 * connectors.
 */
#include "processors/cli/cli.h"
#include "processors/main/run.h"
#include "processors/main/tools.h"

#include <curl/curl.h>
#include <signal.h>

static const struct cli_command *const commands[] = {
    run_commands,
    tool_upgrade_commands,
    tool_doctor_commands,
    tool_log_commands,
    tool_archive_commands,
    tool_retention_commands,
    tool_move_commands,
    tool_view_commands,
    cli_operator_commands,
    cli_audience_commands,
    cli_campaign_commands,
    tool_certificate_commands,
    cli_recipients_commands,
    cli_consent_commands,
    cli_compare_commands,
    cli_top_commands,
    cli_why_commands,
    cli_dead_letter_commands,
    NULL,
};

int main(int argc, char **argv)
{
    /* Before any thread; and a reader that goes away is an error of write, not our end. */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    signal(SIGPIPE, SIG_IGN);
    return cli_main(commands, argc, argv);
}
