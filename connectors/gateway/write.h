/* write.h - what all writes share: ids, records, the claim, and the answer once it is stored.
 *
 *     struct write write;
 *     if (!write_begin(request, "send", &write, &handled)) return handled;
 *     … fill an event, with write.meta …
 *     if (!write_record(request, TOPIC_SEND_REQUESTS, -1, write.key, &event, &handled)) …
 *     return write_claim(request, 202, body);
 */
#ifndef TELEHUB_GATEWAY_WRITE_H
#define TELEHUB_GATEWAY_WRITE_H

#include "common/json.h"
#include "common/json_out.h"
#include "connectors/gateway/request.h"
#include "schemas/events.h"

struct write {
    int64_t now_us;
    struct meta meta;      /* of the first event: id, tenant, time, actor */
    struct th_id resource; /* of what is created */
};

/* Draw the ids. With an Idempotency-Key they are derived from tenant, route, key and now, the
 * moment at which the key is first seen; a repeat is given the stored answer, so its own ids are
 * never used. kind keeps resources of different kinds apart; NULL: nothing is created. False:
 * answered. */
bool write_begin(struct request *request, const char *kind, struct write *out_write,
                 enum handled *out_handled);

/* Another event id of the same request; n from 1. */
struct th_id write_event_id(const struct request *request, const struct write *write, unsigned n);

/* The parts, one behind the other, in the arena; p is NULL without memory. */
struct th_str write_joined(struct request *request, const struct th_str *parts, size_t count);

/* "tenant/ID", in the arena; p is NULL without memory. */
struct th_str write_key(struct request *request, struct th_str tenant, struct th_id id);

/* Add a record to what goes to the log. False: answered. */
bool write_record(struct request *request, enum topic topic, int part, struct th_str key,
                  const struct event *event, enum handled *out_handled);

/* Likewise one whose value is there already; its bytes are borrowed until it is stored. */
bool write_bytes(struct request *request, const struct log_output *output,
                 enum handled *out_handled);

/* status and body are what is answered when it is stored; body is copied. Returns HANDLED_STORE. */
enum handled write_claim(struct request *request, const struct write *write, int status,
                         const struct th_buf *body);

/* What became of the claim is the answer. failure: of th_log_ingest. */
enum handled write_answer(struct request *request, enum th_code failure);

/* Store now, in a worker's thread, and wait until the reference of this process has the record
 * (topic is the one of outputs[0]), so that what is answered binds. */
enum handled write_reference(struct request *request);

/* Wait until the reference has folded the topic up to that offset; at most 5 s.
 * Errors: TH_TIMEOUT */
TH_MUST_USE
enum th_code write_wait_reference(struct gateway *gateway, enum topic topic, int64_t next_offset);

/* {"id":…,"command":…} */
void write_command_body(struct th_buf *body, struct th_id id, struct th_id command);

/* Read the body as an object with these members only (NULL at the end). False: answered. The
 * document is freed by the caller. */
bool body_json(struct request *request, const char *const *members, struct json_t **out_document,
               enum handled *out_handled);

/* A path parameter that must be a UUID: what is none does not exist. False: answered. */
bool param_id(struct request *request, size_t index, struct th_id *out_id,
              enum handled *out_handled);

/* [a-z0-9][a-z0-9_-]{0,62} */
bool slug_is_valid(struct th_str slug);

/* A telephone number as the tenant writes it. False: answered. */
struct th_phone;
bool body_phone(struct request *request, struct th_json value, struct th_phone *out_phone,
                enum handled *out_handled);

#endif
