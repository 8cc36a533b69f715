/* template.h - a text with {variables} and the values that take their place.
 *
 * Pure. "{name}" stands for the variable of that name, "{{" and "}}" for one brace; CRLF becomes
 * LF.
 */
#ifndef TELEHUB_COMMON_TEMPLATE_H
#define TELEHUB_COMMON_TEMPLATE_H

#include "common/buf.h"

struct th_var {
    struct th_str name;
    struct th_str value;
};

/* Append text with its variables replaced. With out NULL only check that it could be: names alone
 * matter then.
 * Errors: TH_INVALID  an unknown variable (the sentence lists the known), or a brace without its
 *                     partner; something may have been appended
 *         TH_NOMEM */
TH_MUST_USE
enum th_code th_template_render(struct th_str text, const struct th_var *vars, size_t count,
                                struct th_buf *out, struct th_err *err);

#endif
