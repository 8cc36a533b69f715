/* parse.h - .avsc files into the model, and what they must keep to (README.md). */
#ifndef TELEHUB_SCHEMAS_CODEGEN_PARSE_H
#define TELEHUB_SCHEMAS_CODEGEN_PARSE_H

#include "schemas/codegen/model.h"

/* Add the types of one file, whose JSON must live as long as the model.
 * Errors: TH_INVALID  err names record and field, not the file */
TH_MUST_USE
enum th_code parse_file(struct model *model, const json_t *file, struct th_err *err);

/* What can be said only once all files are read: ids, versions, defaults, meta, names.
 * Errors: TH_INVALID, TH_CONFLICT */
TH_MUST_USE
enum th_code check_model(struct model *model, struct th_err *err);

#endif
