#include "connectors/sandbox/simulator_parts.h"

#include "connectors/sandbox/json_text.h"
#include "connectors/sandbox/money.h"

#include <inttypes.h>
#include <string.h>

#define JSON          "application/json"
#define PAGE_SIZE     50
#define PAGE_SIZE_MAX 1000
#define PAGE_EXAMINED_MAX                                                                          \
    20000 /* sends looked at for one page; the next page goes on from there                        \
           */

void api_refuse(struct simulator *s, struct http_request *request, uint32_t code,
                unsigned http_status)
{
    struct wire_refusal refusal = wire_refusal_of(code, http_status);
    struct th_buf body = {0};

    (void)s;
    wire_print_refusal(&refusal, &body);
    http_answer(request,
                &(struct http_answer){.status = http_status, .content_type = JSON, .body = &body});
}

static void answer_ok(struct http_request *request, struct th_buf *body)
{
    http_answer(request, &(struct http_answer){.status = 200, .content_type = JSON, .body = body});
}

static void print_send(struct simulator *s, const struct line_execution *line, struct th_buf *out)
{
    char sid[SID_SIZE + 1];
    struct wire_resource resource =
        simulator_resource(s, line, ledger_send(s->ledger, line->seq)->steps, sid);

    wire_print_resource(&resource, out);
}

static void show_send(struct simulator *s, struct http_request *request, enum channel channel,
                      struct th_str sid)
{
    uint32_t seq = ledger_seq(s->ledger, sid);
    struct line_execution line;
    struct th_buf body = {0};

    if (!seq || seq > s->visible || ledger_send(s->ledger, seq)->channel != channel) {
        api_refuse(s, request, 20404, 404);
        return;
    }
    th_arena_reset(&s->scratch);
    if (!simulator_line(s, seq, &line)) {
        api_refuse(s, request, 20500, 500);
        return;
    }
    print_send(s, &line, &body);
    answer_ok(request, &body);
}

/* What a list is asked for. */
struct listing {
    enum channel channel;
    uint64_t to; /* NUMBER_UNKNOWN: anybody */
    struct th_str from;
    struct th_str reference;
    int64_t day_min; /* days since 1970, of the execution */
    int64_t day_max;
    uint32_t page_size;
    uint32_t page;
    uint32_t before; /* seq; only older ones */
};

/* Days since 1970 of "YYYY-MM-DD" (what follows is ignored), by counting in eras of 400 years. */
static bool day_parse(struct th_str text, int64_t *out_day)
{
    int64_t year;
    int64_t month;
    int64_t day;

    if (text.n < 10 || text.p[4] != '-' || text.p[7] != '-' ||
        !th_str_int((struct th_str){text.p, 4}, 1970, 9999, &year) ||
        !th_str_int((struct th_str){text.p + 5, 2}, 1, 12, &month) ||
        !th_str_int((struct th_str){text.p + 8, 2}, 1, 31, &day))
        return false;
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    *out_day = era * 146097 + day_of_era - 719468;
    return true;
}

/* "DateSent", "DateSent<" (in the URL "DateSent<=2026-11-22"), "DateSent>". */
static bool read_days(const struct http_request *request, const char *const names[3],
                      struct listing *l)
{
    int64_t day;

    for (int i = 0; i < 3; i++) {
        struct th_str value = http_query(request, names[i]);
        if (!value.p)
            continue;
        if (!day_parse(value, &day))
            return false;
        if (i != 1)
            l->day_min = day;
        if (i != 2)
            l->day_max = day;
    }
    return true;
}

static bool read_bounded(const struct http_request *request, const char *name, int64_t max,
                         uint32_t *out)
{
    struct th_str value = http_query(request, name);
    int64_t number;

    if (!value.p)
        return true;
    if (!th_str_int(value, 0, max, &number))
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool read_listing(const struct http_request *request, struct listing *l)
{
    static const char *const sent[3] = {"DateSent", "DateSent<", "DateSent>"};
    static const char *const started[3] = {"StartTime", "StartTime<", "StartTime>"};
    struct th_str to = http_query(request, "To");
    struct th_str token = http_query(request, "PageToken");
    int64_t before;

    l->from = http_query(request, "From");
    l->reference = http_query(request, "Reference");
    if (to.p && !number_parse(to, &l->to))
        return false;
    if (th_str_starts(token, TH_STR("PA"))) {
        if (!th_str_int((struct th_str){token.p + 2, token.n - 2}, 1, UINT32_MAX, &before))
            return false;
        l->before = (uint32_t)before;
    }
    return read_bounded(request, "PageSize", PAGE_SIZE_MAX, &l->page_size) && l->page_size > 0 &&
           read_bounded(request, "Page", UINT32_MAX, &l->page) &&
           read_days(request, l->channel == CHANNEL_SMS ? sent : started, l);
}

static bool is_listed(const struct listing *l, const struct send *send)
{
    int64_t day = send->at_us / INT64_C(86400000000);

    return send->channel == l->channel && day >= l->day_min && day <= l->day_max;
}

/* Print the page's objects; *out_last is the last seq examined, 0 when none is left. */
static uint32_t print_page(struct simulator *s, const struct listing *l, struct th_buf *out,
                           uint32_t *out_last)
{
    uint32_t seq = l->to ? ledger_newest(s->ledger, l->to) : s->visible;
    uint32_t named = ledger_keyed(s->ledger, l->to, l->reference);
    uint32_t printed = 0;
    uint32_t examined = 0;

    for (; seq; seq = l->to ? ledger_send(s->ledger, seq)->previous : seq - 1) {
        struct line_execution line;

        if (seq > s->visible || seq >= l->before || (l->reference.n && seq != named))
            continue;
        if (printed == l->page_size || examined++ == PAGE_EXAMINED_MAX)
            break;
        *out_last = seq;
        if (!is_listed(l, ledger_send(s->ledger, seq)))
            continue;
        th_arena_reset(&s->scratch);
        if (!simulator_line(s, seq, &line))
            break;
        if (l->from.p && !th_str_eq(l->from, line.from))
            continue;
        if (printed++)
            th_buf_add_char(out, ',');
        print_send(s, &line, out);
    }
    if (!seq)
        *out_last = 0;
    return printed;
}

static void print_uri(const struct simulator *s, const struct http_request *request,
                      const struct listing *l, uint32_t page, uint32_t before, struct th_buf *out)
{
    static const char *const kept[] = {"To",        "From",      "DateSent",   "DateSent<",
                                       "DateSent>", "StartTime", "StartTime<", "StartTime>"};
    TH_AUTO(th_buf) struct th_buf query = {0};

    for (size_t i = 0; i < TH_LEN(kept); i++) {
        struct th_str value = http_query(request, kept[i]);
        if (value.p)
            fields_print(&query, th_str(kept[i]), value);
    }
    th_buf_printf(&query, "%sPageSize=%" PRIu32 "&Page=%" PRIu32, query.n ? "&" : "", l->page_size,
                  page);
    if (before)
        th_buf_printf(&query, "&PageToken=PA%" PRIu32, before);

    TH_AUTO(th_buf) struct th_buf uri = {0};
    th_buf_add(&uri, TH_STR("/2010-04-01/Accounts/"));
    th_buf_add(&uri, s->account);
    th_buf_add(&uri,
               l->channel == CHANNEL_SMS ? TH_STR("/Messages.json?") : TH_STR("/Calls.json?"));
    th_buf_add(&uri, th_buf_str(&query));
    json_text_add(out, th_buf_str(&uri));
}

static void list_sends(struct simulator *s, struct http_request *request, enum channel channel)
{
    struct listing l = {
        .channel = channel, .page_size = PAGE_SIZE, .day_max = INT64_MAX, .before = UINT32_MAX};
    struct th_buf body = {0};
    uint32_t last = 0;

    if (!read_listing(request, &l)) {
        api_refuse(s, request, 20001, 400);
        return;
    }
    th_buf_printf(&body, "{\"%s\":[", channel == CHANNEL_SMS ? "messages" : "calls");
    uint32_t printed = print_page(s, &l, &body, &last);
    uint32_t start = l.page * l.page_size;
    th_buf_printf(&body,
                  "],\"page\":%" PRIu32 ",\"page_size\":%" PRIu32 ",\"start\":%" PRIu32
                  ",\"end\":%" PRIu32 ",\"previous_page_uri\":null,\"first_page_uri\":",
                  l.page, l.page_size, start, start + (printed ? printed - 1 : 0));
    print_uri(s, request, &l, 0, 0, &body);
    th_buf_add(&body, TH_STR(",\"uri\":"));
    print_uri(s, request, &l, l.page, l.before == UINT32_MAX ? 0 : l.before, &body);
    th_buf_add(&body, TH_STR(",\"next_page_uri\":"));
    if (last)
        print_uri(s, request, &l, l.page + 1, last, &body);
    else
        th_buf_add(&body, TH_STR("null"));
    th_buf_add_char(&body, '}');
    answer_ok(request, &body);
}

static void show_balance(struct simulator *s, struct http_request *request)
{
    struct th_buf body = {0};

    th_buf_add(&body, TH_STR("{\"account_sid\":"));
    json_text_add(&body, s->account);
    th_buf_add(&body, TH_STR(",\"balance\":\""));
    money_print(s->settings.balance_micro - ledger_counts(s->ledger)->spent_micro, &body);
    th_buf_printf(&body, "\",\"currency\":\"%s\"}", s->settings.currency);
    answer_ok(request, &body);
}

static void show_account(struct simulator *s, struct http_request *request)
{
    struct th_buf body = {0};

    th_buf_add(&body, TH_STR("{\"sid\":"));
    json_text_add(&body, s->account);
    th_buf_add(&body, TH_STR(",\"owner_account_sid\":"));
    json_text_add(&body, s->account);
    th_buf_add(&body, TH_STR(",\"friendly_name\":\"TeleHub sandbox\",\"status\":\"active\","
                             "\"type\":\"Full\",\"uri\":\"/2010-04-01/Accounts/"));
    th_buf_add(&body, s->account);
    th_buf_add(&body, TH_STR(".json\"}"));
    answer_ok(request, &body);
}

/* Messages or Calls, behind the account: rest is "" or "/SID". */
static void serve_sends(struct simulator *s, struct http_request *request, enum channel channel,
                        struct th_str rest)
{
    bool is_post = th_str_eq(http_method(request), TH_STR("POST"));

    if (rest.n == 0 && is_post)
        orders_take(s, request, channel);
    else if (is_post)
        api_refuse(s, request, 20404, 404);
    else if (rest.n == 0)
        list_sends(s, request, channel);
    else
        show_send(s, request, channel, (struct th_str){rest.p + 1, rest.n - 1});
}

/* path stands between the account's sid and ".json". */
static void serve_account(struct simulator *s, struct http_request *request, struct th_str path)
{
    bool is_get = th_str_eq(http_method(request), TH_STR("GET"));

    if (!is_get && !th_str_eq(http_method(request), TH_STR("POST")))
        api_refuse(s, request, 20404, 405);
    else if (th_str_starts(path, TH_STR("/Messages")))
        serve_sends(s, request, CHANNEL_SMS, (struct th_str){path.p + 9, path.n - 9});
    else if (th_str_starts(path, TH_STR("/Calls")))
        serve_sends(s, request, CHANNEL_CALL, (struct th_str){path.p + 6, path.n - 6});
    else if (is_get && th_str_eq(path, TH_STR("/Balance")))
        show_balance(s, request);
    else if (is_get && path.n == 0)
        show_account(s, request);
    else
        api_refuse(s, request, 20404, 404);
}

static bool cut_prefix(struct th_str *text, struct th_str prefix)
{
    if (!th_str_starts(*text, prefix))
        return false;
    text->p += prefix.n;
    text->n -= prefix.n;
    return true;
}

static bool cut_suffix(struct th_str *text, struct th_str suffix)
{
    if (text->n < suffix.n ||
        !th_str_eq((struct th_str){text->p + text->n - suffix.n, suffix.n}, suffix))
        return false;
    text->n -= suffix.n;
    return true;
}

void api_handle(void *simulator, struct http_request *request)
{
    struct simulator *s = simulator;
    struct th_str path = http_path(request);

    if (ledger_api_handle(s, request))
        return;
    if (!cut_prefix(&path, TH_STR("/2010-04-01/Accounts/"))) {
        api_refuse(s, request, 20404, 404);
        return;
    }
    struct th_str authorization = http_header(request, "Authorization");
    if (!th_str_eq_secret(authorization, th_buf_str(&s->authorization))) {
        api_refuse(s, request, 20003, 401);
        return;
    }
    if (cut_prefix(&path, s->account) && cut_suffix(&path, TH_STR(".json")))
        serve_account(s, request, path);
    else
        api_refuse(s, request, 20404, 404);
}
