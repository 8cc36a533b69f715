/* api.h - the handlers that the table of routes names. Each answers, or leaves a claim for the log.
 */
#ifndef TELEHUB_GATEWAY_API_H
#define TELEHUB_GATEWAY_API_H

#include "connectors/gateway/request.h"

/* tenant_api.c */
enum handled tenant_create(struct request *request);
enum handled tenant_list(struct request *request);
enum handled key_issue(struct request *request);
enum handled stop_set(struct request *request);
enum handled stop_release(struct request *request);

/* provider_api.c */
enum handled provider_add(struct request *request);
enum handled provider_list(struct request *request);
enum handled provider_enable(struct request *request);
enum handled provider_disable(struct request *request);

/* provider_check.c */
enum handled provider_check_run(struct request *request);

/* audience_api.c */
enum handled audience_create(struct request *request);
enum handled audience_put_part(struct request *request);
enum handled audience_seal(struct request *request);
enum handled audience_get(struct request *request);

/* campaign_api.c */
enum handled campaign_create(struct request *request);
enum handled campaign_start(struct request *request);
enum handled campaign_pause(struct request *request);
enum handled campaign_resume(struct request *request);
enum handled campaign_cancel(struct request *request);
enum handled campaign_pace(struct request *request);

/* campaign_views.c */
enum handled campaign_list(struct request *request);
enum handled campaign_get(struct request *request);
enum handled campaign_progress(struct request *request);
enum handled campaign_certificate(struct request *request);
enum handled campaign_recipients(struct request *request);
enum handled command_get(struct request *request);

/* send_api.c */
enum handled send_create(struct request *request);
enum handled send_get(struct request *request);
enum handled send_why(struct request *request);

/* consent_api.c */
enum handled opt_out(struct request *request);
enum handled opt_in(struct request *request);
enum handled opt_out_list(struct request *request);

/* dead_letter_api.c */
enum handled dead_letter_list(struct request *request);
enum handled dead_letter_get(struct request *request);
enum handled dead_letter_replay(struct request *request);
enum handled dead_letter_discard(struct request *request);

/* webhook_api.c */
enum handled webhook_receive(struct request *request);

/* service_api.c */
enum handled health_all(struct request *request);
enum handled health_live(struct request *request);
enum handled health_ready(struct request *request);
enum handled metrics_show(struct request *request);

/* registry_api.c */
enum handled registry_subjects(struct request *request);
enum handled registry_versions(struct request *request);
enum handled registry_version(struct request *request);
enum handled registry_version_schema(struct request *request);
enum handled registry_version_referrers(struct request *request);
enum handled registry_schema(struct request *request);
enum handled registry_schema_text(struct request *request);
enum handled registry_schema_subjects(struct request *request);
enum handled registry_schema_versions(struct request *request);
enum handled registry_types(struct request *request);
enum handled registry_config(struct request *request);
enum handled registry_subject_config(struct request *request);
enum handled registry_mode(struct request *request);
enum handled registry_subject_mode(struct request *request);
enum handled registry_no_write(struct request *request);

/* registry_check.c */
enum handled registry_look_up(struct request *request);
enum handled registry_register(struct request *request);
enum handled registry_compatible(struct request *request);
enum handled registry_compatible_all(struct request *request);

#endif
