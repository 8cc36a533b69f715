/* watch.h - a campaign's progress on stderr, until it has ended. */
#ifndef TELEHUB_PROCESSORS_CLI_WATCH_H
#define TELEHUB_PROCESSORS_CLI_WATCH_H

#include "processors/cli/client.h"

/* On a terminal one line that is drawn anew, otherwise a line now and then; the last state goes to
 * stdout. path is that of the progress. */
TH_MUST_USE
enum th_code watch_campaign(struct cli *cli, struct client *client, const char *path,
                            struct th_err *err);

#endif
