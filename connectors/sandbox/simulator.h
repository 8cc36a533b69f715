/* simulator.h - the simulated provider: one loop around its ledger, its server and its callbacks.
 *
 * One thread, plus the one that makes the ledger durable. Nothing is answered, and no callback is
 * sent, before the ledger holds what it speaks of.
 */
#ifndef TELEHUB_SANDBOX_SIMULATOR_H
#define TELEHUB_SANDBOX_SIMULATOR_H

#include "connectors/sandbox/settings.h"

#include <netinet/in.h>

struct simulator_config {
    const char *account; /* borrowed, as all texts here, as long as the simulator lives */
    const char *secret;
    const char *ledger_path;
    struct sockaddr_in address;
    struct settings settings;
};

struct simulator;

/* Replay the ledger, take up its unfinished sends, listen.
 * Errors: TH_CONFLICT (the ledger is open elsewhere, or another account's), TH_CORRUPT,
 *         TH_UNAVAILABLE (the port is taken), TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code simulator_open(const struct simulator_config *config, struct simulator **out_simulator,
                            struct th_err *err);

/* Accepts NULL. */
void simulator_close(struct simulator *simulator);

TH_AUTO_DEFINE(simulator, struct simulator *, simulator_close)

uint16_t simulator_port(const struct simulator *simulator);

/* Serve until stop_fd is readable; then answer what is under way and return.
 * Errors: whatever the ledger can no longer record (TH_IO, TH_NOMEM) */
TH_MUST_USE
enum th_code simulator_run(struct simulator *simulator, int stop_fd, struct th_err *err);

#endif
