/* wire_twilio.h - Twilio's 2010-04-01 API as its server speaks it.
 *
 * Pure: bytes in, orders and refusals out; resources in, JSON and callback forms out.
 */
#ifndef TELEHUB_SANDBOX_WIRE_TWILIO_H
#define TELEHUB_SANDBOX_WIRE_TWILIO_H

#include "connectors/sandbox/fields.h"
#include "connectors/sandbox/ledger_line.h"
#include "connectors/sandbox/timeline.h"

#define WIRE_MESSAGE_MAX 1600           /* characters of a text message */
#define WIRE_URL_MAX     ((size_t)2048) /* bytes of a StatusCallback */

/* A request to send, understood. Texts live in the arena. */
struct wire_order {
    enum channel channel;
    uint64_t to;
    struct th_str from;
    struct th_str service; /* MessagingServiceSid; empty if From was given */
    struct th_str text;    /* the message, or what the call says */
    struct th_str callback_url;
    unsigned events; /* EVENT_… bits; 0 for a message: what the account has set */
    uint32_t units;  /* segments, or seconds */
};

/* An error answer: {"code","message","more_info","status"}. */
struct wire_refusal {
    unsigned http_status;
    uint32_t code;
    const char *message; /* static, or in the arena */
};

/* Understand the form of a POST to Messages.json or Calls.json. False: *out_refusal is the answer,
 * and of *out_order only channel, to and callback_url are to be believed (zero where unknown). */
bool wire_read_order(enum channel channel, struct th_str form, struct th_arena *arena,
                     struct wire_order *out_order, struct wire_refusal *out_refusal);

/* The refusal that a code stands for. */
struct wire_refusal wire_refusal_of(uint32_t code, unsigned http_status);

void wire_print_refusal(const struct wire_refusal *refusal, struct th_buf *out);

/* A message or call as GET shows it. */
struct wire_resource {
    enum channel channel;
    const char *sid;
    struct th_str account;
    uint64_t to;
    struct th_str from;
    struct th_str service;
    struct th_str text;
    struct th_str currency;
    const char *status;
    int error_code; /* of a message; 0: none */
    uint32_t units;
    bool is_answered; /* a call that was talked on: units are its seconds */
    bool is_ended;
    bool has_price;
    int64_t price_micro; /* what it cost, positive */
    int64_t created_us;
    int64_t updated_us;
};

void wire_print_resource(const struct wire_resource *resource, struct th_buf *out);

/* The fields of one status callback; their texts live in arena or are those of resource.
 * sequence counts a call's events from 0; sip_code is a call's. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code wire_callback(const struct wire_resource *resource, unsigned sequence, int sip_code,
                           struct th_arena *arena, struct fields *out_fields);

/* "Sun, 22 Nov 2026 05:01:45 +0000". */
#define WIRE_DATE_SIZE 32
void wire_print_date(int64_t at_us, char out_text[WIRE_DATE_SIZE]);

#endif
