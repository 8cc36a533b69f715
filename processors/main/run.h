/* run.h - `telehub run`: all parts in one process, or some of them. */
#ifndef TELEHUB_PROCESSORS_MAIN_RUN_H
#define TELEHUB_PROCESSORS_MAIN_RUN_H

#include "processors/cli/cli.h"

extern const struct cli_command run_commands[];

#endif
