/* transfer_faults.h - the fault points inside libcurl's transfers; nothing but in builds for tests.
 */
#ifndef TELEHUB_CONNECTORS_HTTP_TRANSFER_FAULTS_H
#define TELEHUB_CONNECTORS_HTTP_TRANSFER_FAULTS_H

#include "common/fault.h"
#include "connectors/http_client/transfer.h"

#ifdef TELEHUB_FAULTS

/* Watch its sockets, and what it writes to them. Once for each. */
void transfer_faults_watch(struct transfer *transfer);

/* The scope of the thread that loads it is its own from now on. */
void transfer_faults_load(struct transfer *transfer);

/* May it open a socket? */
bool transfer_faults_connect(const struct transfer *transfer);

/* The points that follow are this transfer's. */
void transfer_faults_enter(const struct transfer *transfer);

#else

static inline void transfer_faults_watch(struct transfer *transfer)
{
    (void)transfer;
}

static inline void transfer_faults_load(struct transfer *transfer)
{
    (void)transfer;
}

static inline bool transfer_faults_connect(const struct transfer *transfer)
{
    (void)transfer;
    return true;
}

static inline void transfer_faults_enter(const struct transfer *transfer)
{
    (void)transfer;
}

#endif
#endif
