/* names.h - from Avro's names to C's, and that no two things get the same one. */
#ifndef TELEHUB_SCHEMAS_CODEGEN_NAMES_H
#define TELEHUB_SCHEMAS_CODEGEN_NAMES_H

#include "schemas/codegen/model.h"

/* [A-Za-z_][A-Za-z0-9_]*, as Avro wants it. */
bool name_is_valid(const char *name);

/* "CampaignCreated" → "campaign_created", "HTTPStatus" → "http_status". */
const char *name_snake(struct model *model, const char *name);

/* "no_answer" → "NO_ANSWER". */
const char *name_upper(struct model *model, const char *name);

/* name, with a trailing underscore if C wants it for itself. */
const char *name_member(struct model *model, const char *name);

/* Fill in base, c_name, c_type and upper from kind, name, item and branches. */
void name_type(struct model *model, struct type *type);

/* Every C name that will be emitted at file level has one owner.
 * Errors: TH_CONFLICT  naming the name and both owners */
TH_MUST_USE
enum th_code names_claim(struct model *model, struct th_err *err);

#endif
