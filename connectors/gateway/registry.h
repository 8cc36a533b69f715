/* registry.h - how the schema registry answers: as Confluent's documented API does, so that Kafka's
 * tools find what they expect under the base URL /registry.
 */
#ifndef TELEHUB_GATEWAY_REGISTRY_H
#define TELEHUB_GATEWAY_REGISTRY_H

#include "connectors/gateway/request.h"
#include "schemas/events.h"

#define REGISTRY_BASE "/registry"
#define REGISTRY_TYPE "application/vnd.schemaregistry.v1+json"

/* "error_code" of its own errors; the first three digits are the HTTP status. */
enum registry_error {
    REGISTRY_NO_SUBJECT = 40401,
    REGISTRY_NO_VERSION = 40402,
    REGISTRY_NO_SCHEMA = 40403,
    REGISTRY_BAD_SCHEMA = 42201,
    REGISTRY_BAD_VERSION = 42202,
    REGISTRY_READ_ONLY = 42205,
};

/* Was the registry asked, so that also what every route can refuse is said in its way? */
bool registry_was_asked(const struct request *request);

/* {"error_code":…,"message":…} */
enum handled registry_fail(struct request *request, enum registry_error error, const char *fmt, ...)
    TH_PRINTF(3, 4);

/* The same of what is wrong at any route, by its HTTP status. */
enum handled registry_refuse(struct request *request, unsigned status, const char *text);

/* Answer 200 with what is in request->answer. */
enum handled registry_answer(struct request *request);

/* Answer 200 with a version of a subject: {"subject":…,"id":…,"version":…,"schema":…} */
enum handled registry_answer_version(struct request *request, const struct schema *schema);

/* --- subjects: the full names of events, each with its versions, which are numbered from 1 on ----
 */

/* A version of a subject; version 0: the newest. NULL if there is none. */
const struct schema *registry_version_of(struct th_str subject, unsigned version);

/* The path's first parameter as a subject that there is. False: answered. */
bool registry_subject(struct request *request, struct th_str *out_subject,
                      enum handled *out_handled);

/* The path's first two parameters as a subject and one of its versions: a number, "latest" or "-1".
 * False: answered. */
bool registry_subject_version(struct request *request, const struct schema **out_schema,
                              enum handled *out_handled);

#endif
