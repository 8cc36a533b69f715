/* phone.h - a telephone number in its one form, E.164: "+919876543210".
 *
 * Pure.
 */
#ifndef TELEHUB_COMMON_PHONE_H
#define TELEHUB_COMMON_PHONE_H

#include "common/err.h"
#include "common/str.h"

#define TH_PHONE_DIGITS_MAX 15 /* with the country code (ITU-T E.164) */

struct th_phone {
    char text[2 + TH_PHONE_DIGITS_MAX]; /* a plus, digits, a NUL */
};

/* Read a number as people write it: with "+", with "00", or as within country (two capitals, ISO
 * 3166-1; NULL: only the former two), with or without its trunk prefix. So of India: 9876543210,
 * 09876543210, 919876543210, 0091 98765 43210. Blanks, dashes, dots, slashes, brackets and the
 * marks that text editors add are skipped. A text that may mean two numbers is refused.
 * Errors: TH_INVALID with a sentence, which does not quote the number */
TH_MUST_USE
enum th_code th_phone_parse(struct th_str text, const char *country, struct th_phone *out_phone,
                            struct th_err *err);

/* Is text exactly what th_phone_parse gives? For values that should have that form already. */
bool th_phone_is_e164(struct th_str text);

/* ISO 3166-1 code of its country; of a shared plan the country that the digits tell, else the
 * largest. phone came from th_phone_parse. */
void th_phone_country(const struct th_phone *phone, char out_country[3]);

/* Can it receive an SMS, as far as its digits tell? False for landlines of India only. */
bool th_phone_may_be_mobile(const struct th_phone *phone);

/* Does th_phone_parse know this country? */
bool th_phone_knows_country(struct th_str country);

#endif
