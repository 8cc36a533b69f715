/* money.h - amounts as counts of millionths.
 *
 * Pure; no floating point.
 */
#ifndef TELEHUB_SANDBOX_MONEY_H
#define TELEHUB_SANDBOX_MONEY_H

#include "common/buf.h"

/* "0.0025" → 2500, within [0, max]; at most six decimals. False otherwise, *out untouched. */
bool money_parse(struct th_str text, int64_t max, int64_t *out_micro);

/* "-0.00250": five decimals as Twilio prints them, a sixth only if it is needed. */
void money_print(int64_t micro, struct th_buf *out);

#endif
