/* sms.h - how many segments a text takes (3GPP TS 23.038 and 23.040).
 *
 * Pure. For estimates; a provider bills by its own count.
 */
#ifndef TELEHUB_COMMON_SMS_H
#define TELEHUB_COMMON_SMS_H

#include "common/str.h"

struct th_sms {
    bool is_gsm;     /* all of it in the 7-bit alphabet; else UCS-2 */
    size_t units;    /* septets, or UTF-16 units */
    size_t segments; /* 0 of an empty text */
};

/* text is UTF-8. */
struct th_sms th_sms_measure(struct th_str text);

#endif
