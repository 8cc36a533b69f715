#include "connectors/sandbox/settings.h"

#include "connectors/sandbox/json_text.h"
#include "connectors/sandbox/money.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MAX_MS 86400000 /* a day */

enum kind {
    KIND_NUMBER,
    KIND_SEED,
    KIND_RANGE,
    KIND_MONEY,
    KIND_RATES,
    KIND_EVENTS,
    KIND_CURRENCY
};

static const struct row {
    const char *name;
    enum kind kind;
    size_t at; /* offset in struct settings */
    int64_t max;
    const char *initial;
    const char *argument;
    const char *help;
} rows[] = {
#define AT(member) offsetof(struct settings, member)
    {"seed", KIND_SEED, AT(seed), INT64_MAX, "1", "N", "what all chance derives from"},
    {"rates", KIND_RATES, AT(rates), 0, "", "LIST", "percentages, e.g. undelivered=3,http_429=1"},
    {"latency-ms", KIND_RANGE, AT(latency_ms), WAIT_MAX_MS, "5-50", "MIN-MAX",
     "from request to answer"},
    {"slow-ms", KIND_RANGE, AT(slow_ms), WAIT_MAX_MS, "3000-5000", "MIN-MAX",
     "the same for a slow answer"},
    {"callback-delay-ms", KIND_RANGE, AT(delay_ms), WAIT_MAX_MS, "20-200", "MIN-MAX",
     "from execution to the last callback"},
    {"late-ms", KIND_RANGE, AT(late_ms), WAIT_MAX_MS, "5000-10000", "MIN-MAX",
     "what a late callback is late by"},
    {"message-events", KIND_EVENTS, AT(message_events), 0, "sent,final", "LIST",
     "which of queued,sent,final a message reports"},
    {"retry-after-s", KIND_NUMBER, AT(retry_after_s), 86400, "1", "N",
     "in the header Retry-After of a 429"},
    {"callback-retries", KIND_NUMBER, AT(callback_retries), 100, "5", "N",
     "how often a refused callback is repeated (Twilio: never)"},
    {"callback-connections", KIND_NUMBER, AT(callback_connections), 1024, "100", "N",
     "callbacks under way at a time"},
    {"sms-price", KIND_MONEY, AT(sms_price_micro), INT64_C(1000000000), "0.0025", "AMOUNT",
     "of one segment"},
    {"call-price", KIND_MONEY, AT(call_price_micro), INT64_C(1000000000), "0.03", "AMOUNT",
     "of each minute begun"},
    {"price-delay-ms", KIND_NUMBER, AT(price_delay_ms), WAIT_MAX_MS, "1000", "N",
     "from the end of a send until its price is known"},
    {"balance", KIND_MONEY, AT(balance_micro), INT64_C(1000000000000000), "10000", "AMOUNT",
     "of the account, before the first send"},
    {"currency", KIND_CURRENCY, AT(currency), 0, "USD", "CODE", "of all prices, e.g. INR"},
#undef AT
};

static enum th_code set_range(struct range_ms *range, struct th_str text, int64_t max)
{
    struct th_str low;
    struct th_str high;
    int64_t from;
    int64_t to;

    if (!th_str_cut(text, '-', &low, &high))
        high = low;
    if (!th_str_int(low, 0, max, &from) || !th_str_int(high, from, max, &to))
        return TH_INVALID;
    *range = (struct range_ms){(uint32_t)from, (uint32_t)to};
    return TH_OK;
}

static enum th_code set_currency(char *currency, struct th_str text)
{
    if (text.n != 3)
        return TH_INVALID;
    for (size_t i = 0; i < 3; i++)
        if (text.p[i] < 'A' || text.p[i] > 'Z')
            return TH_INVALID;
    memcpy(currency, text.p, 3);
    currency[3] = '\0';
    return TH_OK;
}

static enum th_code set_events(unsigned *events, struct th_str text)
{
    unsigned mask = timeline_events_parse(text, CHANNEL_SMS);

    if (!mask)
        return TH_INVALID;
    *events = mask;
    return TH_OK;
}

static enum th_code set_row(const struct row *row, void *to, struct th_str value,
                            struct th_err *err)
{
    int64_t number;

    switch (row->kind) {
    case KIND_RATES:
        return rates_parse(value, to, err);
    case KIND_RANGE:
        return set_range(to, value, row->max);
    case KIND_EVENTS:
        return set_events(to, value);
    case KIND_CURRENCY:
        return set_currency(to, value);
    case KIND_MONEY:
        return money_parse(value, row->max, to) ? TH_OK : TH_INVALID;
    case KIND_SEED:
        if (!th_str_int(value, 0, row->max, &number))
            return TH_INVALID;
        *(uint64_t *)to = (uint64_t)number;
        return TH_OK;
    case KIND_NUMBER:
        if (!th_str_int(value, 0, row->max, &number))
            return TH_INVALID;
        *(uint32_t *)to = (uint32_t)number;
        return TH_OK;
    }
    return TH_INVALID;
}

static bool is_name(struct th_str a, const char *b)
{
    if (a.n != strlen(b))
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b[i] && !(a.p[i] == '_' && b[i] == '-'))
            return false;
    return true;
}

enum th_code settings_set(struct settings *settings, struct th_str name, struct th_str value,
                          struct th_err *err)
{
    for (size_t i = 0; i < TH_LEN(rows); i++) {
        if (!is_name(name, rows[i].name))
            continue;
        struct th_err why = {0};
        if (set_row(&rows[i], (char *)settings + rows[i].at, value, &why) == TH_OK)
            return TH_OK;
        return th_fail(err, TH_INVALID, "%s: %.*s: %s", rows[i].name, TH_ARG(value),
                       why.code ? why.text : rows[i].help);
    }
    return th_fail(err, TH_NOT_FOUND, "%.*s: there is no such setting", TH_ARG(name));
}

void settings_init(struct settings *settings)
{
    *settings = (struct settings){0};
    for (size_t i = 0; i < TH_LEN(rows); i++) {
        enum th_code code =
            set_row(&rows[i], (char *)settings + rows[i].at, th_str(rows[i].initial), NULL);
        assert(code == TH_OK);
        (void)code;
    }
}

void settings_print_help(struct th_buf *out)
{
    for (size_t i = 0; i < TH_LEN(rows); i++) {
        char option[64];
        (void)snprintf(option, sizeof option, "--%s %s", rows[i].name, rows[i].argument);
        th_buf_printf(out, "  %-28s %s%s%s%s\n", option, rows[i].help,
                      *rows[i].initial ? " (default " : "", rows[i].initial,
                      *rows[i].initial ? ")" : "");
    }
}

static void print_events(unsigned mask, struct th_buf *out)
{
    const char *comma = "";
    static const struct {
        unsigned event;
        const char *name;
    } names[] = {{EVENT_QUEUED, "queued"}, {EVENT_SENT, "sent"}, {EVENT_FINAL, "final"}};

    for (size_t i = 0; i < TH_LEN(names); i++)
        if (mask & names[i].event) {
            th_buf_printf(out, "%s%s", comma, names[i].name);
            comma = ",";
        }
}

static void print_row(const struct row *row, const void *from, struct th_buf *out)
{
    switch (row->kind) {
    case KIND_RATES:
        rates_print(from, out);
        break;
    case KIND_RANGE: {
        const struct range_ms *range = from;
        th_buf_printf(out, "%" PRIu32 "-%" PRIu32, range->min, range->max);
        break;
    }
    case KIND_EVENTS:
        print_events(*(const unsigned *)from, out);
        break;
    case KIND_CURRENCY:
        th_buf_add(out, th_str(from));
        break;
    case KIND_MONEY:
        money_print(*(const int64_t *)from, out);
        break;
    case KIND_SEED:
        th_buf_printf(out, "%" PRIu64, *(const uint64_t *)from);
        break;
    case KIND_NUMBER:
        th_buf_printf(out, "%" PRIu32, *(const uint32_t *)from);
        break;
    }
}

/* "latency-ms" as "latency_ms":, which is what JSON's users expect. */
static void print_key(const char *name, struct th_buf *out)
{
    th_buf_add_char(out, '"');
    for (; *name; name++)
        th_buf_add_char(out, *name == '-' ? '_' : *name);
    th_buf_add(out, TH_STR("\":"));
}

void settings_print_json(const struct settings *settings, struct th_buf *out)
{
    TH_AUTO(th_buf) struct th_buf value = {0};

    for (size_t i = 0; i < TH_LEN(rows); i++) {
        th_buf_clear(&value);
        print_row(&rows[i], (const char *)settings + rows[i].at, &value);
        th_buf_add_char(out, i ? ',' : '{');
        print_key(rows[i].name, out);
        json_text_add(out, th_buf_str(&value));
    }
    th_buf_add_char(out, '}');
}
