#include "connectors/sandbox/ledger.h"

#include "common/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define CHUNK_SENDS    65536U
#define CHUNKS_MAX     ((LEDGER_SENDS_MAX + CHUNK_SENDS - 1) / CHUNK_SENDS)
#define RECIPIENTS_MIN 4096U

/* One number, tried at least once. */
struct recipient {
    uint64_t number; /* NUMBER_UNKNOWN: the place is free */
    uint32_t newest; /* seq; 0: never executed */
    uint32_t tries;
};

struct ledger {
    uint64_t id;
    struct send *chunks[CHUNKS_MAX];
    uint32_t size;
    int64_t last_us;
    struct ledger_counts counts;
    struct recipient *recipients; /* open addressing, linear probing, at most 3/4 full */
    size_t recipients_n;
    size_t places; /* a power of two */
};

static_assert(sizeof(struct send) <= 64, "with its recipient a send stays below 200 bytes");

struct ledger *ledger_new(void)
{
    TH_AUTO(ledger) struct ledger *ledger = calloc(1, sizeof *ledger);

    if (!ledger)
        return NULL;
    ledger->recipients = calloc(RECIPIENTS_MIN, sizeof *ledger->recipients);
    if (!ledger->recipients)
        return NULL;
    ledger->places = RECIPIENTS_MIN;
    return TH_TAKE(ledger);
}

void ledger_free(struct ledger *ledger)
{
    if (!ledger)
        return;
    for (size_t i = 0; i < CHUNKS_MAX; i++)
        free(ledger->chunks[i]);
    free(ledger->recipients);
    free(ledger);
}

/* The place of number, or the free one where it would go. */
static struct recipient *place_of(struct recipient *places, size_t n, uint64_t number)
{
    uint64_t hash = number * 0x9e3779b97f4a7c15U;
    size_t i = (size_t)(hash >> 32) & (n - 1);

    while (places[i].number != NUMBER_UNKNOWN && places[i].number != number)
        i = (i + 1) & (n - 1);
    return &places[i];
}

static enum th_code grow_recipients(struct ledger *ledger)
{
    size_t n = 2 * ledger->places;
    struct recipient *places = calloc(n, sizeof *places);

    if (!places)
        return TH_NOMEM;
    for (size_t i = 0; i < ledger->places; i++)
        if (ledger->recipients[i].number != NUMBER_UNKNOWN)
            *place_of(places, n, ledger->recipients[i].number) = ledger->recipients[i];
    free(ledger->recipients);
    ledger->recipients = places;
    ledger->places = n;
    return TH_OK;
}

/* The recipient of that number, made if need be. */
static enum th_code recipient_of(struct ledger *ledger, uint64_t number, struct recipient **out)
{
    if (4 * (ledger->recipients_n + 1) > 3 * ledger->places)
        TH_TRY(grow_recipients(ledger));
    *out = place_of(ledger->recipients, ledger->places, number);
    if ((*out)->number == NUMBER_UNKNOWN) {
        (*out)->number = number;
        ledger->recipients_n++;
    }
    return TH_OK;
}

static struct send *place_of_send(const struct ledger *ledger, uint32_t seq)
{
    return &ledger->chunks[(seq - 1) / CHUNK_SENDS][(seq - 1) % CHUNK_SENDS];
}

static uint32_t hash_of_key(struct th_str key)
{
    return key.n ? (uint32_t)th_hash64(key, 0) | 1 : 0;
}

static enum th_code fold_execution(struct ledger *ledger, const struct line_execution *e,
                                   uint64_t at, uint32_t size, struct th_err *err)
{
    struct recipient *recipient;

    if (e->seq != ledger->size + 1 || e->to == NUMBER_UNKNOWN || e->at_us < ledger->last_us)
        return th_fail(err, TH_CORRUPT, "send %" PRIu32 " does not follow send %" PRIu32, e->seq,
                       ledger->size);
    if (ledger->size == LEDGER_SENDS_MAX)
        return th_fail(err, TH_FULL, "the ledger holds %u sends", LEDGER_SENDS_MAX);
    struct send **chunk = &ledger->chunks[ledger->size / CHUNK_SENDS];
    if (!*chunk)
        *chunk = malloc(CHUNK_SENDS * sizeof **chunk);
    if (!*chunk || recipient_of(ledger, e->to, &recipient) != TH_OK)
        return th_fail(err, TH_NOMEM, "ledger");

    ledger->size++;
    ledger->last_us = e->at_us;
    *place_of_send(ledger, e->seq) = (struct send){
        .to = e->to,
        .key_hash = hash_of_key(e->key),
        .line_at = at,
        .at_us = e->at_us,
        .line_size = size,
        .delay_ms = e->delay_ms,
        .units = e->units,
        .price_micro = (uint32_t)e->price_micro,
        .previous = recipient->newest,
        .channel = (uint8_t)e->channel,
        .outcome = (uint8_t)e->outcome,
        .report = (uint8_t)e->report,
        .events = e->callback_url.n ? (uint8_t)e->events : 0,
    };
    ledger->counts.executions++;
    if (!recipient->newest)
        ledger->counts.recipients++;
    else if (!place_of_send(ledger, recipient->newest)->previous)
        ledger->counts.recipients_again++;
    recipient->newest = e->seq;
    recipient->tries++;
    return TH_OK;
}

static void count_refusal(struct ledger_counts *counts, uint32_t code)
{
    size_t i = 0;

    while (i < counts->refused_n && counts->refused[i].code != code)
        i++;
    if (i == REFUSED_CODES_N)
        i--;
    if (i == counts->refused_n)
        counts->refused[counts->refused_n++].code = code;
    counts->refused[i].count++;
    counts->refusals++;
}

static enum th_code fold_refusal(struct ledger *ledger, const struct line_refusal *r,
                                 struct th_err *err)
{
    struct recipient *recipient;

    if (r->at_us < ledger->last_us)
        return th_fail(err, TH_CORRUPT, "a refusal older than the line before it");
    if (r->to != NUMBER_UNKNOWN) {
        if (recipient_of(ledger, r->to, &recipient) != TH_OK)
            return th_fail(err, TH_NOMEM, "ledger");
        recipient->tries++;
    }
    ledger->last_us = r->at_us;
    count_refusal(&ledger->counts, r->code);
    return TH_OK;
}

static enum th_code fold_end(struct ledger *ledger, const struct line_end *end, struct th_err *err)
{
    struct send *send = ledger_send(ledger, end->seq);

    if (!send || send->is_ended)
        return th_fail(err, TH_CORRUPT, "send %" PRIu32 " cannot end", end->seq);
    send->is_ended = 1;
    send->steps = (uint8_t)timeline_of((enum channel)send->channel, (enum outcome)send->outcome).n;
    ledger->counts.ended++;
    ledger->counts.spent_micro += send->price_micro;
    return TH_OK;
}

static enum th_code fold_report(struct ledger *ledger, const struct line_report *r,
                                struct th_err *err)
{
    struct send *send = ledger_send(ledger, r->seq);

    if (!send)
        return th_fail(err, TH_CORRUPT, "a callback of send %" PRIu32 ", which is unknown", r->seq);
    if (r->is_delivered) {
        send->delivered |= (uint8_t)(1U << r->step);
        ledger->counts.callbacks_delivered++;
    } else {
        send->gone |= (uint8_t)(1U << r->step);
        ledger->counts.callbacks_gone++;
    }
    return TH_OK;
}

enum th_code ledger_fold(struct ledger *ledger, const struct line *line, uint64_t at, uint32_t size,
                         struct th_err *err)
{
    if ((line->kind == LINE_HEADER) != (ledger->id == 0))
        return th_fail(err, TH_CORRUPT, "the header is the first line and only that");
    switch (line->kind) {
    case LINE_HEADER:
        ledger->id = line->header.ledger_id;
        return TH_OK;
    case LINE_EXECUTION:
        return fold_execution(ledger, &line->execution, at, size, err);
    case LINE_REFUSAL:
        return fold_refusal(ledger, &line->refusal, err);
    case LINE_END:
        return fold_end(ledger, &line->end, err);
    case LINE_REPORT:
        return fold_report(ledger, &line->report, err);
    }
    return th_fail(err, TH_CORRUPT, "a kind of line that is not known");
}

uint64_t ledger_id(const struct ledger *ledger)
{
    return ledger->id;
}

uint32_t ledger_size(const struct ledger *ledger)
{
    return ledger->size;
}

struct send *ledger_send(const struct ledger *ledger, uint32_t seq)
{
    return seq >= 1 && seq <= ledger->size ? place_of_send(ledger, seq) : NULL;
}

uint32_t ledger_tries(const struct ledger *ledger, uint64_t number)
{
    return place_of(ledger->recipients, ledger->places, number)->tries;
}

uint32_t ledger_newest(const struct ledger *ledger, uint64_t number)
{
    return place_of(ledger->recipients, ledger->places, number)->newest;
}

uint32_t ledger_keyed(const struct ledger *ledger, uint64_t number, struct th_str key)
{
    uint32_t hash = hash_of_key(key);
    uint32_t seq = hash ? ledger_newest(ledger, number) : 0;

    while (seq && place_of_send(ledger, seq)->key_hash != hash)
        seq = place_of_send(ledger, seq)->previous;
    return seq;
}

int64_t ledger_last_us(const struct ledger *ledger)
{
    return ledger->last_us;
}

const struct ledger_counts *ledger_counts(const struct ledger *ledger)
{
    return &ledger->counts;
}

void ledger_sid(const struct ledger *ledger, uint32_t seq, char out_sid[SID_SIZE + 1])
{
    const struct send *send = ledger_send(ledger, seq);
    static const char digits[] = "0123456789abcdef";

    assert(send);
    memcpy(out_sid, send->channel == CHANNEL_SMS ? "SM" : "CA", 2);
    for (int i = 0; i < 16; i++) {
        out_sid[2 + i] = digits[ledger->id >> (60 - 4 * i) & 15];
        out_sid[18 + i] = digits[(uint64_t)seq >> (60 - 4 * i) & 15];
    }
    out_sid[SID_SIZE] = '\0';
}

uint32_t ledger_seq(const struct ledger *ledger, struct th_str sid)
{
    uint32_t seq = 0;
    char expected[SID_SIZE + 1];

    if (sid.n != SID_SIZE)
        return 0;
    for (size_t i = SID_SIZE - 8; i < SID_SIZE; i++) {
        char c = sid.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return 0;
        seq = seq << 4 | (unsigned)digit;
    }
    if (!ledger_send(ledger, seq))
        return 0;
    ledger_sid(ledger, seq, expected);
    return th_str_eq(sid, (struct th_str){expected, SID_SIZE}) ? seq : 0;
}
