/* settings.h - everything about the simulation that may be chosen, at start and at run time.
 *
 * Pure. One table serves the command line ("--latency-ms 5-200") and POST /control
 * ({"latency_ms": "5-200"}).
 */
#ifndef TELEHUB_SANDBOX_SETTINGS_H
#define TELEHUB_SANDBOX_SETTINGS_H

#include "connectors/sandbox/behaviour.h"
#include "connectors/sandbox/timeline.h"

struct range_ms {
    uint32_t min;
    uint32_t max;
};

struct settings {
    uint64_t seed;
    struct rates rates;
    struct range_ms latency_ms; /* from request to answer */
    struct range_ms slow_ms;    /* the same for a slow answer */
    struct range_ms delay_ms;   /* from execution to the last callback */
    struct range_ms late_ms;    /* what a late callback is late by */
    unsigned message_events;    /* EVENT_… bits that messages report */
    uint32_t retry_after_s;
    uint32_t callback_retries;
    uint32_t callback_connections;
    int64_t sms_price_micro;  /* per segment */
    int64_t call_price_micro; /* per minute begun */
    int64_t balance_micro;    /* before the first send */
    uint32_t price_delay_ms;  /* from the end of a send until its price is known */
    char currency[4];
};

void settings_init(struct settings *settings);

/* Set the one of that name ('-' and '_' are the same).
 * Errors: TH_NOT_FOUND  there is no such setting
 *         TH_INVALID    not a value for it */
TH_MUST_USE
enum th_code settings_set(struct settings *settings, struct th_str name, struct th_str value,
                          struct th_err *err);

/* One line per setting, for --help. */
void settings_print_help(struct th_buf *out);

/* A JSON object of all settings, which POST /control reads back. */
void settings_print_json(const struct settings *settings, struct th_buf *out);

#endif
