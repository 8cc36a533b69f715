/* read.h - what all questions share: waiting for a write to be shown, pages, and how things look.
 */
#ifndef TELEHUB_GATEWAY_READ_H
#define TELEHUB_GATEWAY_READ_H

#include "common/json_out.h"
#include "common/views.h"
#include "connectors/gateway/request.h"

/* Are there views, and have they reached the TeleHub-Token, if one came? Waits. False: answered. */
bool read_begin(struct request *request, enum handled *out_handled);

/* A question for one thing of the tenant. Errors: those of views.h */
typedef enum th_code read_fn(struct request *request, struct th_id id, void *out,
                             struct th_err *err);

/* Ask for what the path's first parameter names. What was written a moment ago may not be shown
 * yet: where the answer is "not found", wait until the views hold all that the log has under the
 * id's key in topic, and ask again. False: answered. */
bool read_one(struct request *request, enum topic topic, read_fn *ask, void *out,
              enum handled *out_handled);

/* The same of another id, for writes that need to know whether something exists: *out_code is
 * TH_OK, TH_NOT_FOUND, or why the views cannot say. */
void read_known(struct request *request, enum topic topic, struct th_id id, read_fn *ask, void *out,
                enum th_code *out_code, struct th_err *err);

/* ?limit=, 1 to VIEWS_PAGE_MAX, else 100. False: answered. */
bool read_limit(struct request *request, size_t *out_limit, enum handled *out_handled);

/* ?cursor= as a number or an id, as read_put_… wrote it; *out_given is false when there is none.
 * False: answered. */
bool read_cursor_int(struct request *request, int64_t *out_after, bool *out_given,
                     enum handled *out_handled);
bool read_cursor_id(struct request *request, struct th_id *out_after, bool *out_given,
                    enum handled *out_handled);

/* null when us is 0 */
void read_put_time(struct th_json_out *out, const char *key, int64_t us);

#endif
