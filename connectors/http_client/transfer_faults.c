/* Builds that compile this file define it; who reads the file alone does not. */
#ifndef TELEHUB_FAULTS
#define TELEHUB_FAULTS
#endif
#include "connectors/http_client/transfer_faults.h"

#include <stdio.h>
#include <string.h>

/* libcurl tells of what it has given to the system, not of what it means to. */
static int on_traffic(CURL *easy, curl_infotype type, char *bytes, size_t n, void *arg)
{
    struct transfer *transfer = arg;

    (void)easy, (void)bytes;
    if (type != CURLINFO_DATA_OUT || !transfer->body.n)
        return 0;
    transfer->fault_sent += n;
    if (transfer->fault_sent < transfer->body.n)
        return 0;
    transfer_faults_enter(transfer);
    (void)TH_FAULT(request_written);
    return 0;
}

/* In two halves, which libcurl sends as it gets them. */
static size_t on_read(char *room, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    size_t left = transfer->body.n - transfer->fault_given;
    size_t n = transfer->fault_given ? left : (left + 1) / 2;

    transfer_faults_enter(transfer);
    if (transfer->fault_given && TH_FAULT(request_partly))
        return CURL_READFUNC_ABORT;
    if (n > size * count)
        n = size * count;
    memcpy(room, transfer->body.p + transfer->fault_given, n);
    transfer->fault_given += n;
    return n;
}

void transfer_faults_watch(struct transfer *transfer)
{
    (void)curl_easy_setopt(transfer->easy, CURLOPT_DEBUGFUNCTION, on_traffic);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_DEBUGDATA, transfer);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_VERBOSE, 1L);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer);
}

void transfer_faults_load(struct transfer *transfer)
{
    snprintf(transfer->fault_scope, sizeof transfer->fault_scope, "%s", th_fault_scope_now());
    transfer->fault_given = transfer->fault_sent = 0;
    if (transfer->body.n && TH_FAULT_IS_ARMED(request_partly))
        (void)curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, NULL);
}

bool transfer_faults_connect(const struct transfer *transfer)
{
    transfer_faults_enter(transfer);
    return !transfer->body.n || !TH_FAULT(connect);
}

void transfer_faults_enter(const struct transfer *transfer)
{
    th_fault_scope("%s", transfer->fault_scope);
}
