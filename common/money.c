#include "common/money.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MICROS   1000000
#define DECIMALS 6

static bool is_currency(struct th_str s)
{
    if (s.n != 3)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 'A' || s.p[i] > 'Z')
            return false;
    return true;
}

/* Digits behind the point as micros. */
static bool parse_decimals(struct th_str digits, int64_t *out_micros)
{
    int64_t scale = MICROS;
    int64_t micros = 0;

    for (size_t i = 0; i < digits.n; i++) {
        int digit = digits.p[i] - '0';
        if (digit < 0 || digit > 9 || (i >= DECIMALS && digit))
            return false;
        scale /= 10;
        micros += digit * scale;
    }
    *out_micros = micros;
    return digits.n > 0;
}

static bool parse_micros(struct th_str amount, int64_t *out_micros)
{
    bool has_sign = amount.n && (amount.p[0] == '-' || amount.p[0] == '+');
    int64_t sign = has_sign && amount.p[0] == '-' ? -1 : 1;
    struct th_str whole;
    struct th_str decimals;
    int64_t units;
    int64_t micros = 0;

    if (has_sign)
        amount = (struct th_str){amount.p + 1, amount.n - 1};
    bool has_point = th_str_cut(amount, '.', &whole, &decimals);
    if (whole.n == 0 || whole.p[0] == '-' || !th_str_int(whole, 0, INT64_MAX, &units))
        return false;
    if (has_point && !parse_decimals(decimals, &micros))
        return false;
    return !__builtin_mul_overflow(units, sign * MICROS, &units) &&
           !__builtin_add_overflow(units, sign * micros, out_micros);
}

enum th_code th_money_parse(struct th_str amount, struct th_str currency,
                            struct th_money *out_money, struct th_err *err)
{
    struct th_money money = {0};

    if (!is_currency(currency))
        return th_fail(err, TH_INVALID, "a currency must be three capital letters, such as INR");
    if (!parse_micros(amount, &money.micros))
        return th_fail(err, TH_INVALID,
                       "an amount must be a decimal number with at most %d decimals", DECIMALS);
    memcpy(money.currency, currency.p, currency.n);
    *out_money = money;
    return TH_OK;
}

void th_money_text(int64_t micros, char out_text[TH_MONEY_TEXT_MAX])
{
    uint64_t size = micros < 0 ? 0 - (uint64_t)micros : (uint64_t)micros;
    int n = snprintf(out_text, TH_MONEY_TEXT_MAX, "%s%" PRIu64 ".%06" PRIu64, micros < 0 ? "-" : "",
                     size / MICROS, size % MICROS);

    for (int zeros = 0; zeros < 2 && out_text[n - 1] == '0'; zeros++)
        out_text[--n] = '\0';
}

enum th_code th_money_add(struct th_money *sum, const struct th_money *amount)
{
    int64_t micros;

    if (*sum->currency && strcmp(sum->currency, amount->currency) != 0)
        return TH_CONFLICT;
    if (__builtin_add_overflow(sum->micros, amount->micros, &micros))
        return TH_FULL;
    memcpy(sum->currency, amount->currency, sizeof sum->currency);
    sum->micros = micros;
    return TH_OK;
}
