/* pg_host.h - this host, this process, and how to end another one on it for certain.
 *
 * A pid is not enough to name a process: it is used again. Its start time and the boot it belongs
 * to make it unique; the pid namespace keeps containers apart that share a kernel.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_HOST_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_HOST_H

#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct pg_host {
    char name[96];    /* host name and pid namespace; no spaces */
    char boot_id[40]; /* empty if the kernel does not tell */
    pid_t pid;
    int64_t start; /* of this process, clock ticks since boot; 0: unknown */
};

/* Describe the calling process. */
void pg_host_here(struct pg_host *out_host);

/* Clock ticks since boot at which a process began; 0 if there is none of that pid. */
int64_t pg_host_start_of(pid_t pid);

/* SIGKILL the process of that pid if it is the one that began then, and wait until it is gone.
 * TH_OK if it is not there (any more).
 * Errors: TH_DENIED   not allowed to
 *         TH_TIMEOUT  it did not end within wait_ms */
TH_MUST_USE
enum th_code pg_host_kill(pid_t pid, int64_t start, int wait_ms, struct th_err *err);

#endif
