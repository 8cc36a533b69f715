/* codec - how fast an event of 12 fields becomes bytes and is read again, against avro-c.
 *
 *   bench_codec [SECONDS per measurement, default 1]
 *
 * One thread. The peer is used in its fastest way: schema parsed once, value reused, fields by
 * index. Both sides fill in and look at every field; both make the same bytes, which is checked. */
#include "benchmarks/schemas/bench.h"
#include "tests/unit/avro_c.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define EVENTS 1024 /* different ones, so that branches cannot be learnt by heart */
#define ROUNDS 5    /* the best counts */
#define ARENA  ((size_t)1 << 20)

static const char english[] =
    "Namaste Asha! The class begins on Monday at 9 o'clock in room 4. Please bring the form that "
    "your teacher gave you. To stop these messages answer STOP.";
static const char hindi[] =
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87 "
    "\xe0\xa4\x86\xe0\xa4\xb6\xe0\xa4\xbe! "
    "\xe0\xa4\x95\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7\xe0\xa4\xbe "
    "\xe0\xa4\xb8\xe0\xa5\x8b\xe0\xa4\xae\xe0\xa4\xb5\xe0\xa4\xbe\xe0\xa4\xb0 "
    "\xe0\xa4\xb8\xe0\xa5\x87 \xe0\xa4\xb6\xe0\xa5\x81\xe0\xa4\xb0\xe0\xa5\x82 "
    "\xe0\xa4\xb9\xe0\xa5\x8b\xe0\xa4\x97\xe0\xa5\x80\xe0\xa5\xa4";

struct bench {
    struct bench_event events[EVENTS];
    struct th_str values[EVENTS]; /* the same, encoded */
    char phones[EVENTS][16];
    struct th_buf bytes; /* what values point into */
    struct th_buf buf;
    struct th_arena arena;
    struct avro_c peer;
    uint64_t sum; /* of what was read, so that reading is not optimised away */
};

static void make_events(struct bench *b, const char *text)
{
    for (size_t i = 0; i < EVENTS; i++) {
        int n = snprintf(b->phones[i], sizeof b->phones[i], "+91%010zu", 9000000000 + i * 7919);
        struct bench_attempt *a = &b->events[i].as.attempt;
        b->events[i].type = BENCH_EVENT_ATTEMPT;
        *a = (struct bench_attempt){
            .meta = {.tenant = TH_STR("pratham"),
                     .time_us = 1753000000000000 + (int64_t)i * 977,
                     .cause.is_set = i % 8 != 0,
                     .actor = TH_STR("dispatch")},
            .n = (int32_t)(i % 4),
            .lane = TH_STR("pratham/twilio-main"),
            .channel = i % 3 ? BENCH_CHANNEL_SMS : BENCH_CHANNEL_CALL,
            .to = {b->phones[i], (size_t)n},
            .text = th_str(text),
            .send_by_us = {i % 4 != 0, 1753000002000000},
        };
        for (size_t k = 0; k < 16; k++)
            a->send.b[k] = a->meta.event_id.b[k] = (uint8_t)(i * 31 + k);
    }
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench_codec: %s\n", what);
    exit(1);
}

static void encode_all(struct bench *b)
{
    size_t ends[EVENTS];

    th_buf_clear(&b->bytes);
    for (size_t i = 0; i < EVENTS; i++) {
        if (bench_event_encode(&b->events[i], &b->bytes) != TH_OK)
            fail("cannot encode");
        ends[i] = b->bytes.n;
    }
    for (size_t i = 0; i < EVENTS; i++) {
        size_t from = i ? ends[i - 1] : 0;
        b->values[i] = (struct th_str){b->bytes.p + from, ends[i] - from};
    }
}

/* ---- ours ---- */

static void our_encode(struct bench *b, size_t i)
{
    th_buf_clear(&b->buf);
    if (bench_event_encode(&b->events[i], &b->buf) != TH_OK)
        fail("cannot encode");
    b->sum += b->buf.n;
}

static void our_decode(struct bench *b, size_t i)
{
    struct bench_event out;

    if (bench_event_decode(b->values[i], &b->arena, &out, NULL) != TH_OK)
        fail("cannot decode");
    const struct bench_attempt *a = &out.as.attempt;
    b->sum += a->meta.event_id.b[0] + a->meta.tenant.n + (uint64_t)a->meta.time_us +
              a->meta.cause.is_set + a->meta.actor.n + a->send.b[0] + (uint64_t)a->n + a->lane.n +
              (uint64_t)a->channel + a->to.n + a->text.n + (uint64_t)a->send_by_us.value;
}

/* ---- theirs ---- */

static avro_value_t at(const avro_value_t *record, size_t i)
{
    avro_value_t field = {0};

    if (avro_value_get_by_index(record, i, &field, NULL))
        fail(avro_strerror());
    return field;
}

static void set_text(const avro_value_t *record, size_t i, struct th_str text)
{
    avro_value_t field = at(record, i);
    avro_wrapped_buffer_t wrapped;

    /* They count a NUL, which literals and our phones have. */
    if (avro_wrapped_buffer_new(&wrapped, text.p, text.n + 1) ||
        avro_value_give_string_len(&field, &wrapped))
        fail(avro_strerror());
}

static void set_fixed(const avro_value_t *record, size_t i, const struct th_id *id)
{
    avro_value_t field = at(record, i);

    if (avro_value_set_fixed(&field, (void *)id->b, sizeof id->b))
        fail(avro_strerror());
}

static avro_value_t set_branch(const avro_value_t *record, size_t i, bool is_set)
{
    avro_value_t field = at(record, i);
    avro_value_t branch = {0};

    if (avro_value_set_branch(&field, is_set, &branch))
        fail(avro_strerror());
    if (!is_set)
        (void)avro_value_set_null(&branch);
    return branch;
}

static void fill(const avro_value_t *record, const struct bench_attempt *a)
{
    avro_value_t meta = at(record, 0);
    avro_value_t field = {0};

    set_fixed(&meta, 0, &a->meta.event_id);
    set_text(&meta, 1, a->meta.tenant);
    field = at(&meta, 2);
    (void)avro_value_set_long(&field, a->meta.time_us);
    field = set_branch(&meta, 3, a->meta.cause.is_set);
    if (a->meta.cause.is_set)
        (void)avro_value_set_fixed(&field, (void *)a->meta.cause.value.b, 16);
    set_text(&meta, 4, a->meta.actor);
    set_fixed(record, 1, &a->send);
    field = at(record, 2);
    (void)avro_value_set_int(&field, a->n);
    set_text(record, 3, a->lane);
    field = at(record, 4);
    (void)avro_value_set_enum(&field, (int)a->channel);
    set_text(record, 5, a->to);
    set_text(record, 6, a->text);
    field = set_branch(record, 7, a->send_by_us.is_set);
    if (a->send_by_us.is_set)
        (void)avro_value_set_long(&field, a->send_by_us.value);
}

static void their_encode(struct bench *b, size_t i)
{
    th_buf_clear(&b->buf);
    fill(&b->peer.value, &b->events[i].as.attempt);
    avro_c_encode(&b->peer, &b->buf);
    b->sum += b->buf.n;
}

static uint64_t text_at(const avro_value_t *record, size_t i)
{
    avro_value_t field = at(record, i);
    const char *text = NULL;
    size_t n = 0;

    (void)avro_value_get_string(&field, &text, &n);
    return n;
}

static uint64_t fixed_at(const avro_value_t *record, size_t i)
{
    avro_value_t field = at(record, i);
    const void *bytes = NULL;
    size_t n = 0;

    (void)avro_value_get_fixed(&field, &bytes, &n);
    return n;
}

static uint64_t branch_at(const avro_value_t *record, size_t i)
{
    avro_value_t field = at(record, i);
    int branch = 0;

    (void)avro_value_get_discriminant(&field, &branch);
    return (uint64_t)branch;
}

static void their_decode(struct bench *b, size_t i)
{
    struct th_str body = {b->values[i].p + 5, b->values[i].n - 5};
    int64_t time_us = 0;
    int32_t n = 0;
    int channel = 0;

    if (avro_c_decode(&b->peer, body) != 0)
        fail("avro-c cannot decode");
    avro_value_t meta = at(&b->peer.value, 0);
    avro_value_t field = at(&meta, 2);
    (void)avro_value_get_long(&field, &time_us);
    field = at(&b->peer.value, 2);
    (void)avro_value_get_int(&field, &n);
    field = at(&b->peer.value, 4);
    (void)avro_value_get_enum(&field, &channel);
    b->sum += fixed_at(&meta, 0) + text_at(&meta, 1) + (uint64_t)time_us + branch_at(&meta, 3) +
              text_at(&meta, 4) + fixed_at(&b->peer.value, 1) + (uint64_t)n +
              text_at(&b->peer.value, 3) + (uint64_t)channel + text_at(&b->peer.value, 5) +
              text_at(&b->peer.value, 6) + branch_at(&b->peer.value, 7);
}

/* ---- measuring ---- */

/* Of this thread on a core: others who use the machine do not count. */
static double seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Events per second, the best of some rounds. */
static double measure(struct bench *b, void (*work)(struct bench *, size_t), double duration)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        double begin = seconds();
        double passed = 0;
        uint64_t n = 0;
        while (passed < duration / ROUNDS) {
            for (size_t i = 0; i < EVENTS; i++)
                work(b, i);
            n += EVENTS;
            passed = seconds() - begin;
        }
        if ((double)n / passed > best)
            best = (double)n / passed;
    }
    return best;
}

static void report(struct bench *b, const char *name, void (*ours)(struct bench *, size_t),
                   void (*theirs)(struct bench *, size_t), double duration)
{
    double our = measure(b, ours, duration);
    double their = measure(b, theirs, duration);

    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"events/s\",\"against\":\"avro-c\","
           "\"against_value\":%.0f,\"ratio\":%.2f,\"better\":\"more\"}\n",
           name, our, their, our / their);
}

/* The comparison is fair only if both make the same bytes. */
static void check(struct bench *b)
{
    for (size_t i = 0; i < EVENTS; i++) {
        their_encode(b, i);
        struct th_str body = {b->values[i].p + 5, b->values[i].n - 5};
        if (!th_str_eq(th_buf_str(&b->buf), body))
            fail("avro-c makes other bytes");
    }
}

int main(int argc, char **argv)
{
    static struct bench b;
    static const struct {
        const char *encode;
        const char *decode;
        const char *text;
    } runs[] = {
        {"codec encode", "codec decode", english},
        {"codec encode, Hindi text", "codec decode, Hindi text", hindi},
    };
    double duration = argc > 1 ? strtod(argv[1], NULL) : 1;

    if (!(duration > 0))
        fail("usage: bench_codec [SECONDS]");
    th_arena_init(&b.arena, ARENA);
    avro_c_open(&b.peer, bench_schema_at(0)->json);
    for (size_t i = 0; i < TH_LEN(runs); i++) {
        make_events(&b, runs[i].text);
        encode_all(&b);
        check(&b);
        (void)fprintf(stderr, "%zu bytes per event\n", b.bytes.n / EVENTS);
        report(&b, runs[i].encode, our_encode, their_encode, duration);
        report(&b, runs[i].decode, our_decode, their_decode, duration);
    }
    (void)fprintf(stderr, "checksum %" PRIu64 "\n", b.sum);
    avro_c_close(&b.peer);
    th_buf_fini(&b.bytes);
    th_buf_fini(&b.buf);
    th_arena_fini(&b.arena);
    return 0;
}
