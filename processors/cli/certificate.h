/* certificate.h - a campaign's certificate: asked of the gateway, and printed.
 *
 * The command itself lies with those that know the log (processors/main/certificate_tool.c), since
 * it can also count from there.
 */
#ifndef TELEHUB_PROCESSORS_CLI_CERTIFICATE_H
#define TELEHUB_PROCESSORS_CLI_CERTIFICATE_H

#include "common/json.h"
#include "processors/cli/cli.h"

/* The campaign of the command's first word; printed. */
TH_MUST_USE
enum th_code certificate_ask(struct cli *cli, struct th_err *err);

/* For people. certificate: the API's object. */
void certificate_print(struct th_json certificate);

#endif
