/* ledger_line.h - the lines of the ledger file.
 *
 * Pure. Fields are separated by tabs, percent-escaped where they hold control bytes or '%', and
 * the last one is a checksum of what stands before it. Lines are only ever appended.
 *
 *   H  format ledger-id account                         the first line
 *   E  seq at_us tries channel to from service answer outcome report delay_ms events units
 *      price_micro currency callback_url text [key]     something was executed
 *   R  at_us tries channel to code callback_url         a request was refused, nothing executed
 *   F  seq at_us                                        it reached its final status
 *   C  seq step delivered|gone http_status at_us        a callback was delivered or given up
 */
#ifndef TELEHUB_SANDBOX_LEDGER_LINE_H
#define TELEHUB_SANDBOX_LEDGER_LINE_H

#include "common/arena.h"
#include "common/buf.h"
#include "connectors/sandbox/behaviour.h"

#define LEDGER_FORMAT   1
#define NUMBER_UNKNOWN  0 /* of a request whose recipient is no number */
#define NUMBER_TEXT_MAX 24

struct line_header {
    uint64_t ledger_id; /* part of every sid, so that two ledgers never share one */
    struct th_str account;
};

struct line_execution {
    uint32_t seq; /* from 1, without gaps */
    int64_t at_us;
    uint32_t tries; /* how often the recipient was tried, this time included */
    enum channel channel;
    uint64_t to; /* E.164 digits */
    enum answer answer;
    enum outcome outcome;
    enum report report;
    uint32_t delay_ms; /* from at_us to the end */
    unsigned events;   /* EVENT_… bits that report */
    uint32_t units;    /* segments of a message, seconds of a call */
    int64_t price_micro;
    struct th_str from;
    struct th_str service;
    struct th_str currency;
    struct th_str callback_url;
    struct th_str text; /* of the message, or what the call says */
    struct th_str key;  /* Idempotency-Key or Reference of the request; "" none */
};

struct line_refusal {
    int64_t at_us;
    uint32_t tries;
    enum channel channel;
    uint64_t to;   /* NUMBER_UNKNOWN if it was none */
    uint32_t code; /* Twilio's error code, or the HTTP status; 0: the connection was dropped */
    struct th_str callback_url;
};

struct line_end {
    uint32_t seq;
    int64_t at_us;
};

struct line_report {
    uint32_t seq;
    uint32_t step;
    bool is_delivered; /* else given up */
    uint32_t http_status;
    int64_t at_us;
};

enum line_kind { LINE_HEADER, LINE_EXECUTION, LINE_REFUSAL, LINE_END, LINE_REPORT };

struct line {
    enum line_kind kind;
    union {
        struct line_header header;
        struct line_execution execution;
        struct line_refusal refusal;
        struct line_end end;
        struct line_report report;
    };
};

/* Append the line with its checksum and newline. */
void ledger_line_print(const struct line *line, struct th_buf *out);

/* text without its newline. Texts of *out_line live in arena.
 * Errors: TH_CORRUPT (checksum, field count, or a field out of range), TH_NOMEM */
TH_MUST_USE
enum th_code ledger_line_parse(struct th_str text, struct th_arena *arena, struct line *out_line,
                               struct th_err *err);

/* "+919876543210" → 919876543210; false if it is not E.164 (8 to 15 digits, the first not 0). */
bool number_parse(struct th_str text, uint64_t *out_number);

/* "+919876543210"; "" for NUMBER_UNKNOWN. Returns the length. */
size_t number_print(uint64_t number, char out_text[NUMBER_TEXT_MAX]);

const char *channel_name(enum channel channel);

#endif
