/* phone_plan.h - how each country numbers its telephones.
 *
 * Pure. ITU-T E.164 country codes; trunk prefixes and lengths of fixed and mobile numbers as
 * published in libphonenumber's metadata 9.0. Enough to bring a number into its one form and to
 * refuse what cannot exist, not to tell whether somebody has it.
 */
#ifndef TELEHUB_COMMON_PHONE_PLAN_H
#define TELEHUB_COMMON_PHONE_PLAN_H

#include "common/str.h"

struct phone_plan {
    char country[3];     /* ISO 3166-1 alpha-2 */
    int code;            /* "91" of "+91" */
    const char *trunk;   /* dialled before a number within the country; "" if nothing is */
    unsigned char min;   /* digits behind the code */
    unsigned char max;   /* the same; min == max where all numbers have one length */
    const char *leading; /* where countries share a code: first digits, blank between; "" for the
                            country that has all others */
};

/* NULL if there is no such country; country is two capitals. */
const struct phone_plan *phone_plan_of_country(struct th_str country);

/* The plan of the digits of a number with its country code; NULL if no country has the code. */
const struct phone_plan *phone_plan_of_digits(struct th_str digits);

/* Digits of a country code: 1 to 3. */
size_t phone_plan_code_size(const struct phone_plan *plan);

/* May a telephone of the plan have this number? digits without the country code. */
bool phone_plan_allows(const struct phone_plan *plan, struct th_str digits);

#endif
