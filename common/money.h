/* money.h - an amount: a 64-bit count of micro-units of a currency.
 *
 * Pure. Never a floating-point number. As text always a decimal string, "12.3400".
 */
#ifndef TELEHUB_COMMON_MONEY_H
#define TELEHUB_COMMON_MONEY_H

#include "common/err.h"
#include "common/str.h"

#define TH_MONEY_TEXT_MAX 24 /* "-9223372036854.775808" and a NUL fit */

struct th_money {
    int64_t micros;   /* millionths of the currency's main unit; may be negative */
    char currency[4]; /* ISO 4217, "INR"; "" where there is none yet */
};

/* A sign, digits, and up to six decimals (zeros may follow); the currency three capitals.
 * Errors: TH_INVALID with a sentence; *out_money is untouched */
TH_MUST_USE
enum th_code th_money_parse(struct th_str amount, struct th_str currency,
                            struct th_money *out_money, struct th_err *err);

/* The amount alone: four decimals, or five or six where they are not zero. */
void th_money_text(int64_t micros, char out_text[TH_MONEY_TEXT_MAX]);

/* *sum += amount. A sum without a currency takes that of amount.
 * Errors: TH_CONFLICT  two currencies
 *         TH_FULL      the sum does not fit; it is untouched, as before */
TH_MUST_USE
enum th_code th_money_add(struct th_money *sum, const struct th_money *amount);

#endif
