/* conf_value.h - one setting's text against its row: what conf.c is made of.
 *
 * Pure.
 */
#ifndef TELEHUB_COMMON_CONF_VALUE_H
#define TELEHUB_COMMON_CONF_VALUE_H

#include "common/conf.h"

/* What text means for key: a number (of an enum the index, of a bool 0 or 1, of strings their
 * length). The sentence in err says what is allowed, without the key's name.
 * Errors: TH_INVALID */
TH_MUST_USE
enum th_code conf_value_parse(const struct th_conf_key *key, struct th_str text, int64_t *out,
                              struct th_err *err);

/* Append what is allowed: "a duration from 100ms to 60s". */
void conf_value_describe(const struct th_conf_key *key, struct th_buf *out);

#endif
