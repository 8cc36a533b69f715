/* answer.h - what the gateway answered, for a command and for people. */
#ifndef TELEHUB_PROCESSORS_CLI_ANSWER_H
#define TELEHUB_PROCESSORS_CLI_ANSWER_H

#include "common/json.h"
#include "processors/cli/client.h"

/* Errors: TH_MALFORMED: no JSON object */
TH_MUST_USE
enum th_code answer_read(const struct client_reply *reply, struct json_t **out_document,
                         struct th_err *err);

/* A member of an answer; empty, or 0, when it is not there or null. */
struct th_str answer_str(struct th_json object, const char *key);
int64_t answer_int(struct th_json object, const char *key);
bool answer_bool(struct th_json object, const char *key);

/* The answer as it came, and a line end, to stdout. */
void answer_print(const struct client_reply *reply);

/* The answer to a command named it: wait until it is carried out, or say why it was refused.
 * Errors: TH_CONFLICT     refused
 *         TH_UNAVAILABLE  not known in time; it is in the log and will be carried out */
TH_MUST_USE
enum th_code answer_wait(struct client *client, struct th_json accepted, struct th_err *err);

/* All rows of a list, page after page. path ends where "limit" may be appended: "?" or "&".
 * on_row returns anything but TH_OK to stop with it. */
TH_MUST_USE
enum th_code answer_pages(struct client *client, const char *path, enum client_as as,
                          enum th_code (*on_row)(void *arg, struct th_json row, struct th_err *err),
                          void *arg, struct th_err *err);

#endif
