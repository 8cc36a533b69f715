#include "connectors/sandbox/simulator_parts.h"

#include "common/clock.h"
#include "connectors/sandbox/json_text.h"
#include "connectors/sandbox/money.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define JSON         "application/json"
#define CSV          "text/csv; charset=utf-8"
#define SLICE        2000 /* sends examined before the loop may serve others */
#define CONTAINS_MAX 512  /* bytes of callback_contains */
#define CONTROL_MAX  ((size_t)16 * 1024)
#define SHORT_US     TH_US_PER_SEC
#define LONG_US      TH_US_PER_MIN
#define COMPACT_AT   65536

enum format { FORMAT_JSON, FORMAT_CSV, FORMAT_SUMMARY };

/* The most executions that any window of one length held. Times come in order. */
struct window {
    int64_t length_us;
    size_t first; /* of the times, the oldest in the window */
    uint64_t most;
};

struct summary {
    uint64_t executions;
    uint64_t recipients;
    uint64_t recipients_again;
    uint64_t ended;
    uint64_t delivered;
    uint64_t gone;
    uint64_t pending;
    int64_t *times; /* owned: the executions of the last minute, and older ones not yet dropped */
    size_t times_n;
    size_t times_cap;
    struct window windows[2];
};

/* A walk over the durable sends, in slices. */
struct scan {
    struct simulator *s;
    enum format format;
    bool has_text;
    bool is_begun;
    int64_t since_us;
    char contains[CONTAINS_MAX + 1]; /* in the callback URL; "": anything */
    uint32_t next;
    uint32_t last;
    struct summary summary;
};

static void free_scan(void *cls)
{
    struct scan *scan = cls;

    free(scan->summary.times);
    free(scan);
}

/* Does the send match? *line is filled if it had to be read, or is_needed. */
static bool is_wanted(struct scan *scan, uint32_t seq, bool is_needed, struct line_execution *line)
{
    const struct send *send = ledger_send(scan->s->ledger, seq);

    if (send->at_us < scan->since_us)
        return false;
    if (!*scan->contains && !is_needed)
        return true;
    th_arena_reset(&scan->s->scratch);
    if (!simulator_line(scan->s, seq, line))
        return false;
    return !*scan->contains ||
           (line->callback_url.n && memmem(line->callback_url.p, line->callback_url.n,
                                           scan->contains, strlen(scan->contains)));
}

/* What is known of a send besides its line. */
struct row {
    const struct send *send;
    char sid[SID_SIZE + 1];
    char to[NUMBER_TEXT_MAX];
    struct wire_resource resource;
    bool is_final_delivered; /* the callback of the last step */
};

static struct row row_of(const struct simulator *s, const struct line_execution *line)
{
    struct row row = {.send = ledger_send(s->ledger, line->seq)};
    struct timeline timeline = timeline_of(line->channel, line->outcome);

    row.resource = simulator_resource(s, line, row.send->steps, row.sid);
    (void)number_print(line->to, row.to);
    row.is_final_delivered = row.send->delivered >> (timeline.n - 1) & 1;
    return row;
}

static void print_json_row(const struct scan *scan, const struct line_execution *line,
                           struct th_buf *out)
{
    struct row row = row_of(scan->s, line);
    const struct wire_resource *r = &row.resource;

    th_buf_printf(out,
                  "{\"sid\":\"%s\",\"channel\":\"%s\",\"to\":\"%s\",\"at_us\":%" PRId64
                  ",\"try\":%" PRIu32 ",\"answer\":\"%s\",\"outcome\":\"%s\",\"report\":\"%s\","
                  "\"status\":\"%s\",\"final\":",
                  row.sid, channel_name(line->channel), row.to, line->at_us, line->tries,
                  answer_facts(line->answer)->name, outcome_name(line->outcome),
                  report_name(line->report), r->status);
    json_text_or_null_add(out, th_str(r->is_ended ? r->status : NULL));
    th_buf_printf(out, ",\"error_code\":%d,\"%s\":%" PRIu32, r->error_code,
                  line->channel == CHANNEL_SMS ? "segments" : "duration_s", line->units);
    th_buf_printf(out,
                  ",\"callback_delivered\":%s,\"callbacks_delivered\":%d,\"callbacks_gone\":%d",
                  row.is_final_delivered ? "true" : "false",
                  __builtin_popcount(row.send->delivered), __builtin_popcount(row.send->gone));
    th_buf_add(out, TH_STR(",\"price\":"));
    if (r->has_price) {
        th_buf_add_char(out, '"');
        money_print(-r->price_micro, out);
        th_buf_add_char(out, '"');
    } else {
        th_buf_add(out, TH_STR("null"));
    }
    th_buf_add(out, TH_STR(",\"currency\":"));
    json_text_add(out, r->currency);
    th_buf_add(out, TH_STR(",\"from\":"));
    json_text_add(out, line->from.n ? line->from : line->service);
    th_buf_add(out, TH_STR(",\"callback_url\":"));
    json_text_add(out, line->callback_url);
    if (scan->has_text) {
        th_buf_add(out, TH_STR(",\"text\":"));
        json_text_add(out, line->text);
    }
    th_buf_add(out, TH_STR("}\n"));
}

/* RFC 4180: quoted, a quote doubled. */
static void add_quoted(struct th_buf *out, struct th_str text)
{
    th_buf_add(out, TH_STR(",\""));
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"')
            th_buf_add_char(out, '"');
        th_buf_add_char(out, text.p[i]);
    }
    th_buf_add_char(out, '"');
}

static void print_csv_row(const struct scan *scan, const struct line_execution *line,
                          struct th_buf *out)
{
    struct row row = row_of(scan->s, line);
    const struct wire_resource *r = &row.resource;

    th_buf_printf(out, "%s,%s,%s,%" PRId64 ",%" PRIu32 ",%s,%s,%s,%s,%d,%" PRIu32 ",%d,%d,%d,",
                  row.sid, channel_name(line->channel), row.to, line->at_us, line->tries,
                  answer_facts(line->answer)->name, outcome_name(line->outcome),
                  report_name(line->report), r->is_ended ? r->status : "", r->error_code,
                  line->units, row.is_final_delivered, __builtin_popcount(row.send->delivered),
                  __builtin_popcount(row.send->gone));
    if (r->has_price)
        money_print(-r->price_micro, out);
    th_buf_add_char(out, ',');
    th_buf_add(out, r->currency);
    add_quoted(out, line->from.n ? line->from : line->service);
    add_quoted(out, line->callback_url);
    if (scan->has_text)
        add_quoted(out, line->text);
    th_buf_add_char(out, '\n');
}

static void print_csv_header(const struct scan *scan, struct th_buf *out)
{
    th_buf_add(out, TH_STR("sid,channel,to,at_us,try,answer,outcome,report,final,error_code,units,"
                           "callback_delivered,callbacks_delivered,callbacks_gone,price,currency,"
                           "from,callback_url"));
    th_buf_add(out, scan->has_text ? TH_STR(",text\n") : TH_STR("\n"));
}

/* How many matching sends to the same number came before this one; 2 stands for "2 or more". */
static unsigned earlier_matches(struct scan *scan, const struct send *send)
{
    struct line_execution line;
    unsigned n = 0;

    for (uint32_t seq = send->previous; seq && n < 2;
         seq = ledger_send(scan->s->ledger, seq)->previous)
        n += is_wanted(scan, seq, false, &line);
    return n;
}

static enum th_code note_time(struct summary *sum, int64_t at_us)
{
    if (sum->times_n == sum->times_cap) {
        size_t cap = sum->times_cap ? 2 * sum->times_cap : 1024;
        int64_t *times = reallocarray(sum->times, cap, sizeof *times);
        if (!times)
            return TH_NOMEM;
        sum->times = times;
        sum->times_cap = cap;
    }
    sum->times[sum->times_n++] = at_us;
    for (size_t i = 0; i < TH_LEN(sum->windows); i++) {
        struct window *w = &sum->windows[i];
        while (sum->times[w->first] <= at_us - w->length_us)
            w->first++;
        uint64_t held = sum->times_n - w->first;
        w->most = held > w->most ? held : w->most;
    }
    return TH_OK;
}

/* Forget the times that the longer window has left behind. */
static void compact(struct summary *sum)
{
    size_t gone = sum->windows[1].first;

    if (gone < COMPACT_AT || gone < sum->times_n / 2)
        return;
    memmove(sum->times, sum->times + gone, (sum->times_n - gone) * sizeof *sum->times);
    sum->times_n -= gone;
    sum->windows[0].first -= gone;
    sum->windows[1].first = 0;
}

static unsigned expected_reports(const struct send *send)
{
    struct timeline timeline =
        timeline_of((enum channel)send->channel, (enum outcome)send->outcome);
    unsigned n = 0;

    if (send->report == REPORT_NONE)
        return 0;
    for (unsigned i = 0; i < timeline.n; i++)
        n += (send->events & timeline.at[i].event) != 0;
    return n;
}

static void count_send(struct scan *scan, uint32_t seq)
{
    const struct send *send = ledger_send(scan->s->ledger, seq);
    struct summary *sum = &scan->summary;
    unsigned settled = (unsigned)__builtin_popcount(send->delivered | send->gone);
    unsigned expected = expected_reports(send);
    unsigned earlier = earlier_matches(scan, send);

    sum->executions++;
    sum->recipients += earlier == 0;
    sum->recipients_again += earlier == 1;
    sum->ended += send->is_ended;
    sum->delivered += (unsigned)__builtin_popcount(send->delivered);
    sum->gone += (unsigned)__builtin_popcount(send->gone & ~(unsigned)send->delivered);
    sum->pending += expected > settled ? expected - settled : 0;
    if (note_time(sum, send->at_us) != TH_OK)
        simulator_fail(scan->s, TH_NOMEM, "summary");
    compact(sum);
}

static void print_summary(const struct scan *scan, struct th_buf *out)
{
    const struct summary *sum = &scan->summary;
    const struct ledger_counts *counts = ledger_counts(scan->s->ledger);

    th_buf_printf(out,
                  "{\"executions\":%" PRIu64 ",\"recipients\":%" PRIu64
                  ",\"recipients_executed_again\":%" PRIu64 ",\"ended\":%" PRIu64,
                  sum->executions, sum->recipients, sum->recipients_again, sum->ended);
    th_buf_printf(out,
                  ",\"callbacks\":{\"delivered\":%" PRIu64 ",\"pending\":%" PRIu64
                  ",\"gone\":%" PRIu64 "}",
                  sum->delivered, sum->pending, sum->gone);
    th_buf_printf(out, ",\"executions_per_1s_max\":%" PRIu64 ",\"executions_per_60s_max\":%" PRIu64,
                  sum->windows[0].most, sum->windows[1].most);
    th_buf_printf(out, ",\"in_flight\":%" PRIu32 ",\"in_flight_max\":%" PRIu32, scan->s->in_flight,
                  scan->s->in_flight_max);
    /* Refusals have no row of their own: these are of the whole ledger, whatever the filter. */
    th_buf_printf(out, ",\"refused_total\":%" PRIu64 ",\"refused\":{", counts->refusals);
    for (size_t i = 0; i < counts->refused_n; i++)
        th_buf_printf(out, "%s\"%" PRIu32 "\":%" PRIu64, i ? "," : "", counts->refused[i].code,
                      counts->refused[i].count);
    th_buf_add(out, TH_STR("}}\n"));
}

static void scan_one(struct scan *scan, uint32_t seq, struct th_buf *out)
{
    struct line_execution line;

    if (!is_wanted(scan, seq, scan->format != FORMAT_SUMMARY, &line))
        return;
    switch (scan->format) {
    case FORMAT_JSON:
        print_json_row(scan, &line, out);
        break;
    case FORMAT_CSV:
        print_csv_row(scan, &line, out);
        break;
    case FORMAT_SUMMARY:
        count_send(scan, seq);
        break;
    }
}

static bool next_piece(void *source, size_t max, struct th_buf *out)
{
    struct scan *scan = source;

    if (!scan->is_begun && scan->format == FORMAT_CSV)
        print_csv_header(scan, out);
    scan->is_begun = true;
    for (int i = 0; i < SLICE && scan->next <= scan->last && out->n < max; i++)
        scan_one(scan, scan->next++, out);
    if (scan->next <= scan->last)
        return true;
    if (scan->format == FORMAT_SUMMARY)
        print_summary(scan, out);
    return false;
}

static bool read_scan(const struct http_request *request, struct scan *scan)
{
    struct th_str since = http_query(request, "since_us");
    struct th_str contains = http_query(request, "callback_contains");
    struct th_str format = http_query(request, "format");

    if (since.p && !th_str_int(since, 0, INT64_MAX, &scan->since_us))
        return false;
    if (contains.n > CONTAINS_MAX)
        return false;
    if (contains.n)
        memcpy(scan->contains, contains.p, contains.n);
    scan->has_text = th_str_eq(http_query(request, "text"), TH_STR("1"));
    if (scan->format == FORMAT_JSON && th_str_eq(format, TH_STR("csv")))
        scan->format = FORMAT_CSV;
    else if (format.p && !th_str_eq(format, TH_STR("json")))
        return false;
    return true;
}

static void refuse(struct http_request *request, unsigned status, const char *sentence)
{
    struct th_buf body = {0};

    th_buf_add(&body, TH_STR("{\"error\":"));
    json_text_add(&body, th_str(sentence));
    th_buf_add(&body, TH_STR("}\n"));
    http_answer(request,
                &(struct http_answer){.status = status, .content_type = JSON, .body = &body});
}

static void serve_scan(struct simulator *s, struct http_request *request, enum format format)
{
    struct scan *scan = calloc(1, sizeof *scan);

    if (!scan) {
        http_drop(request);
        return;
    }
    *scan = (struct scan){.s = s, .format = format, .next = 1, .last = s->visible};
    scan->summary.windows[0].length_us = SHORT_US;
    scan->summary.windows[1].length_us = LONG_US;
    if (!read_scan(request, scan)) {
        free_scan(scan);
        refuse(request, 400,
               "since_us is a number, callback_contains at most 512 bytes, format "
               "json or csv");
        return;
    }
    http_stream(request, scan->format == FORMAT_CSV ? CSV : JSON, next_piece, scan, free_scan);
}

static void serve_ledger(struct simulator *s, struct http_request *request)
{
    serve_scan(s, request, FORMAT_JSON);
}

static void serve_summary(struct simulator *s, struct http_request *request)
{
    serve_scan(s, request, FORMAT_SUMMARY);
}

static void serve_count(struct simulator *s, struct http_request *request)
{
    struct th_buf body = {0};

    th_buf_printf(&body,
                  "{\"executions\":%" PRIu32 ",\"in_flight\":%" PRIu32 ",\"in_flight_max\":%" PRIu32
                  "}\n",
                  s->visible, s->in_flight, s->in_flight_max);
    http_answer(request, &(struct http_answer){.status = 200, .content_type = JSON, .body = &body});
}

static void show_settings(struct simulator *s, struct http_request *request)
{
    struct th_buf body = {0};

    settings_print_json(&s->settings, &body);
    th_buf_add_char(&body, '\n');
    http_answer(request, &(struct http_answer){.status = 200, .content_type = JSON, .body = &body});
}

/* A number may be written as such: its text is what the table reads. */
static enum th_code set_member(struct settings *settings, const char *key, const json_t *value,
                               struct th_err *err)
{
    if (json_is_string(value))
        return settings_set(settings, th_str(key),
                            (struct th_str){json_string_value(value), json_string_length(value)},
                            err);
    if (!json_is_number(value))
        return th_fail(err, TH_INVALID, "%s: neither a string nor a number", key);
    TH_AUTO(free) void *text = json_dumps(value, JSON_ENCODE_ANY);
    if (!text)
        return th_fail(err, TH_NOMEM, "settings");
    return settings_set(settings, th_str(key), th_str(text), err);
}

static enum th_code set_all(struct settings *settings, const json_t *object, struct th_err *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return th_fail(err, TH_MALFORMED, "the body is not a JSON object");
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        TH_TRY(set_member(settings, key, value, err));
    }
    return TH_OK;
}

/* All of them are taken, or none. */
static void change_settings(struct simulator *s, struct http_request *request)
{
    struct th_str body = http_body(request);
    struct settings settings = s->settings;
    struct th_err err = {0};
    json_t *object = body.n && body.n <= CONTROL_MAX
                         ? json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, NULL)
                         : NULL;
    enum th_code code = set_all(&settings, object, &err);

    json_decref(object);
    if (code != TH_OK) {
        refuse(request, 400, err.text);
        return;
    }
    s->settings = settings;
    show_settings(s, request);
}

static const struct {
    const char *method;
    const char *path;
    void (*serve)(struct simulator *s, struct http_request *request);
} routes[] = {
    {"GET", "/ledger", serve_ledger},          {"GET", "/ledger/summary", serve_summary},
    {"GET", "/executions/count", serve_count}, {"GET", "/control", show_settings},
    {"POST", "/control", change_settings},
};

bool ledger_api_handle(struct simulator *s, struct http_request *request)
{
    bool is_path = false;

    for (size_t i = 0; i < TH_LEN(routes); i++) {
        if (!th_str_eq(http_path(request), th_str(routes[i].path)))
            continue;
        is_path = true;
        if (!http_is_local(request)) {
            refuse(request, 403, "the ledger answers to this machine only");
            return true;
        }
        if (th_str_eq(http_method(request), th_str(routes[i].method))) {
            routes[i].serve(s, request);
            return true;
        }
    }
    if (is_path)
        refuse(request, 405, "this path has other methods");
    return is_path;
}
