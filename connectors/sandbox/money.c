#include "connectors/sandbox/money.h"

#include <inttypes.h>

#define MICRO INT64_C(1000000)

bool money_parse(struct th_str text, int64_t max, int64_t *out_micro)
{
    struct th_str whole;
    struct th_str decimals;
    int64_t value;
    int64_t fraction = 0;

    (void)th_str_cut(text, '.', &whole, &decimals);
    if (!th_str_int(whole, 0, max / MICRO, &value) || decimals.n > 6)
        return false;
    if (decimals.n && !th_str_int(decimals, 0, MICRO - 1, &fraction))
        return false;
    for (size_t i = decimals.n; i < 6; i++)
        fraction *= 10;
    value = value * MICRO + fraction;
    if (value > max)
        return false;
    *out_micro = value;
    return true;
}

void money_print(int64_t micro, struct th_buf *out)
{
    uint64_t amount = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;
    uint64_t fraction = amount % (uint64_t)MICRO;

    th_buf_printf(out, "%s%" PRIu64, micro < 0 ? "-" : "", amount / (uint64_t)MICRO);
    if (fraction % 10)
        th_buf_printf(out, ".%06" PRIu64, fraction);
    else
        th_buf_printf(out, ".%05" PRIu64, fraction / 10);
}
