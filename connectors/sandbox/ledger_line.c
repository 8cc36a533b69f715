#include "connectors/sandbox/ledger_line.h"

#include "common/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define CHECKSUM_SIZE 9 /* a tab and eight digits */

static const char kinds[] = {[LINE_HEADER] = 'H',
                             [LINE_EXECUTION] = 'E',
                             [LINE_REFUSAL] = 'R',
                             [LINE_END] = 'F',
                             [LINE_REPORT] = 'C'};

const char *channel_name(enum channel channel)
{
    return channel == CHANNEL_SMS ? "sms" : "call";
}

bool number_parse(struct th_str text, uint64_t *out_number)
{
    int64_t number;

    if (text.n < 9 || text.n > 16 || text.p[0] != '+' || text.p[1] < '1' || text.p[1] > '9')
        return false;
    if (!th_str_int((struct th_str){text.p + 1, text.n - 1}, 1, INT64_MAX, &number))
        return false;
    *out_number = (uint64_t)number;
    return true;
}

/* Decimal digits into the end of a 20-byte field; returns where they begin. */
static const char *digits_of(uint64_t value, char field[20], size_t *out_n)
{
    size_t at = 20;

    do {
        field[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    *out_n = 20 - at;
    return field + at;
}

size_t number_print(uint64_t number, char out_text[NUMBER_TEXT_MAX])
{
    char field[20];
    size_t n;

    if (number == NUMBER_UNKNOWN) {
        out_text[0] = '\0';
        return 0;
    }
    const char *digits = digits_of(number, field, &n);
    out_text[0] = '+';
    memcpy(out_text + 1, digits, n);
    out_text[n + 1] = '\0';
    return n + 1;
}

static void put_text(struct th_buf *out, const char *text)
{
    th_buf_add_char(out, '\t');
    th_buf_add(out, th_str(text));
}

static void put_uint(struct th_buf *out, uint64_t value)
{
    char field[20];
    struct th_str digits;

    digits.p = digits_of(value, field, &digits.n);
    th_buf_add_char(out, '\t');
    th_buf_add(out, digits);
}

static void put_int(struct th_buf *out, int64_t value)
{
    assert(value >= 0);
    put_uint(out, (uint64_t)value);
}

static void put_number(struct th_buf *out, uint64_t number)
{
    char text[NUMBER_TEXT_MAX];

    (void)number_print(number, text);
    put_text(out, text);
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '%' && c != 0x7f;
}

static void put_escaped(struct th_buf *out, struct th_str text)
{
    static const char digits[] = "0123456789abcdef";

    th_buf_add_char(out, '\t');
    char *to = th_buf_reserve(out, 3 * text.n);
    if (!to)
        return;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_plain(text.p[i])) {
            to[n++] = (char)c;
        } else {
            to[n++] = '%';
            to[n++] = digits[c >> 4];
            to[n++] = digits[c & 15];
        }
    }
    out->n += n;
}

static void put_execution(struct th_buf *out, const struct line_execution *e)
{
    put_uint(out, e->seq);
    put_int(out, e->at_us);
    put_uint(out, e->tries);
    put_text(out, channel_name(e->channel));
    put_number(out, e->to);
    put_escaped(out, e->from);
    put_escaped(out, e->service);
    put_text(out, answer_facts(e->answer)->name);
    put_text(out, outcome_name(e->outcome));
    put_text(out, report_name(e->report));
    put_uint(out, e->delay_ms);
    put_uint(out, e->events);
    put_uint(out, e->units);
    put_int(out, e->price_micro);
    put_escaped(out, e->currency);
    put_escaped(out, e->callback_url);
    put_escaped(out, e->text);
    if (e->key.n)
        put_escaped(out, e->key);
}

static void put_refusal(struct th_buf *out, const struct line_refusal *r)
{
    put_int(out, r->at_us);
    put_uint(out, r->tries);
    put_text(out, channel_name(r->channel));
    put_number(out, r->to);
    put_uint(out, r->code);
    put_escaped(out, r->callback_url);
}

static void put_report(struct th_buf *out, const struct line_report *r)
{
    put_uint(out, r->seq);
    put_uint(out, r->step);
    put_text(out, r->is_delivered ? "delivered" : "gone");
    put_uint(out, r->http_status);
    put_int(out, r->at_us);
}

static void put_checksum(struct th_buf *out, size_t from)
{
    static const char digits[] = "0123456789abcdef";
    struct th_str line = {out->p + from, out->n - from};
    uint32_t sum = out->is_failed ? 0 : (uint32_t)th_hash64(line, 0);
    char text[CHECKSUM_SIZE + 1] = "\t";

    for (int i = 0; i < 8; i++)
        text[1 + i] = digits[sum >> (28 - 4 * i) & 15];
    text[CHECKSUM_SIZE] = '\n';
    th_buf_add(out, (struct th_str){text, sizeof text});
}

void ledger_line_print(const struct line *line, struct th_buf *out)
{
    size_t from = out->n;

    th_buf_add_char(out, kinds[line->kind]);
    switch (line->kind) {
    case LINE_HEADER:
        put_uint(out, LEDGER_FORMAT);
        th_buf_printf(out, "\t%016" PRIx64, line->header.ledger_id);
        put_escaped(out, line->header.account);
        break;
    case LINE_EXECUTION:
        put_execution(out, &line->execution);
        break;
    case LINE_REFUSAL:
        put_refusal(out, &line->refusal);
        break;
    case LINE_END:
        put_uint(out, line->end.seq);
        put_int(out, line->end.at_us);
        break;
    case LINE_REPORT:
        put_report(out, &line->report);
        break;
    }
    put_checksum(out, from);
}

/* The fields of a line, taken one after the other; the first that is wrong makes all wrong. */
struct cursor {
    struct th_str rest;
    struct th_arena *arena;
    bool is_wrong;
    bool is_out_of_memory;
};

static struct th_str take_field(struct cursor *c)
{
    struct th_str field;

    if (c->rest.p == NULL)
        c->is_wrong = true;
    (void)th_str_cut(c->rest, '\t', &field, &c->rest);
    return field;
}

static int64_t take_int(struct cursor *c, int64_t max)
{
    int64_t value = 0;

    if (!th_str_int(take_field(c), 0, max, &value))
        c->is_wrong = true;
    return value;
}

static uint32_t take_uint(struct cursor *c)
{
    return (uint32_t)take_int(c, UINT32_MAX);
}

static uint64_t take_number(struct cursor *c)
{
    struct th_str field = take_field(c);
    uint64_t number = NUMBER_UNKNOWN;

    if (field.n && !number_parse(field, &number))
        c->is_wrong = true;
    return number;
}

static enum channel take_channel(struct cursor *c)
{
    struct th_str field = take_field(c);

    if (th_str_eq(field, TH_STR("call")))
        return CHANNEL_CALL;
    if (!th_str_eq(field, TH_STR("sms")))
        c->is_wrong = true;
    return CHANNEL_SMS;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct th_str take_escaped(struct cursor *c)
{
    struct th_str field = take_field(c);
    char *to = th_arena_alloc(c->arena, field.n + 1);
    size_t n = 0;

    if (!to) {
        c->is_out_of_memory = true;
        return (struct th_str){NULL, 0};
    }
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] != '%') {
            to[n++] = field.p[i];
            continue;
        }
        int high = field.n - i > 2 ? hex_digit(field.p[i + 1]) : -1;
        int low = field.n - i > 2 ? hex_digit(field.p[i + 2]) : -1;
        if (high < 0 || low < 0) {
            c->is_wrong = true;
            break;
        }
        to[n++] = (char)(high << 4 | low);
        i += 2;
    }
    return (struct th_str){to, n};
}

static enum answer take_answer(struct cursor *c)
{
    struct th_str field = take_field(c);

    for (int i = 0; i < ANSWERS_N; i++)
        if (th_str_eq(field, th_str(answer_facts((enum answer)i)->name)))
            return (enum answer)i;
    c->is_wrong = true;
    return ANSWER_NORMAL;
}

static void take_execution(struct cursor *c, struct line_execution *e)
{
    e->seq = take_uint(c);
    e->at_us = take_int(c, INT64_MAX);
    e->tries = take_uint(c);
    e->channel = take_channel(c);
    e->to = take_number(c);
    e->from = take_escaped(c);
    e->service = take_escaped(c);
    e->answer = take_answer(c);
    c->is_wrong = !outcome_parse(take_field(c), &e->outcome) || c->is_wrong;
    c->is_wrong = !report_parse(take_field(c), &e->report) || c->is_wrong;
    e->delay_ms = take_uint(c);
    e->events = (unsigned)take_int(c, 255);
    e->units = take_uint(c);
    e->price_micro = take_int(c, UINT32_MAX);
    e->currency = take_escaped(c);
    e->callback_url = take_escaped(c);
    e->text = take_escaped(c);
    if (c->rest.p)
        e->key = take_escaped(c);
}

static void take_refusal(struct cursor *c, struct line_refusal *r)
{
    r->at_us = take_int(c, INT64_MAX);
    r->tries = take_uint(c);
    r->channel = take_channel(c);
    r->to = take_number(c);
    r->code = take_uint(c);
    r->callback_url = take_escaped(c);
}

static void take_report(struct cursor *c, struct line_report *r)
{
    r->seq = take_uint(c);
    r->step = (uint32_t)take_int(c, 7);
    r->is_delivered = th_str_eq(take_field(c), TH_STR("delivered"));
    r->http_status = take_uint(c);
    r->at_us = take_int(c, INT64_MAX);
}

static void take_header(struct cursor *c, struct line_header *header)
{
    uint64_t id = 0;

    if (take_int(c, INT32_MAX) != LEDGER_FORMAT)
        c->is_wrong = true;
    struct th_str digits = take_field(c);
    for (size_t i = 0; i < digits.n; i++) {
        int digit = hex_digit(digits.p[i]);
        if (digit < 0)
            c->is_wrong = true;
        id = id << 4 | (unsigned)(digit & 15);
    }
    header->ledger_id = id;
    header->account = take_escaped(c);
}

static bool is_sum_right(struct th_str text)
{
    uint32_t sum = 0;

    if (text.n <= CHECKSUM_SIZE || text.p[text.n - CHECKSUM_SIZE] != '\t')
        return false;
    for (size_t i = text.n - 8; i < text.n; i++) {
        int digit = hex_digit(text.p[i]);
        if (digit < 0)
            return false;
        sum = sum << 4 | (unsigned)digit;
    }
    return sum == (uint32_t)th_hash64((struct th_str){text.p, text.n - CHECKSUM_SIZE}, 0);
}

static bool take_kind(struct cursor *c, enum line_kind *out)
{
    struct th_str field = take_field(c);
    const char *at = field.n == 1 ? memchr(kinds, field.p[0], sizeof kinds) : NULL;

    if (at)
        *out = (enum line_kind)(at - kinds);
    return at != NULL;
}

enum th_code ledger_line_parse(struct th_str text, struct th_arena *arena, struct line *out_line,
                               struct th_err *err)
{
    if (!is_sum_right(text))
        return th_fail(err, TH_CORRUPT, "the line does not have its checksum");

    struct cursor c = {.rest = {text.p, text.n - CHECKSUM_SIZE}, .arena = arena};
    struct line line = {0};
    if (!take_kind(&c, &line.kind))
        return th_fail(err, TH_CORRUPT, "a kind of line that is not known");
    switch (line.kind) {
    case LINE_HEADER:
        take_header(&c, &line.header);
        break;
    case LINE_EXECUTION:
        take_execution(&c, &line.execution);
        break;
    case LINE_REFUSAL:
        take_refusal(&c, &line.refusal);
        break;
    case LINE_END:
        line.end.seq = take_uint(&c);
        line.end.at_us = take_int(&c, INT64_MAX);
        break;
    case LINE_REPORT:
        take_report(&c, &line.report);
        break;
    }
    if (c.is_out_of_memory)
        return th_fail(err, TH_NOMEM, "ledger line");
    if (c.is_wrong || c.rest.p)
        return th_fail(err, TH_CORRUPT, "the line's fields are not those of its kind");
    *out_line = line;
    return TH_OK;
}
