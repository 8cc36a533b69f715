/* Bytes that nobody who means well would send. */
#include "tests/unit/test.h"

#include "tests/unit/samples.h"

#include <string.h>

#define ARENA_LIMIT ((size_t)16 * 1024 * 1024)
#define MUTATIONS   20000

/* Decode from a block of exactly that size, so that the sanitizer sees each byte too many. */
static enum th_code decode_exactly(struct th_str value, struct th_arena *arena,
                                   struct all_event *out, struct th_buf *block, struct th_err *err)
{
    char *p = malloc(value.n ? value.n : 1);

    assert_non_null(p);
    if (value.n)
        memcpy(p, value.p, value.n);
    th_buf_fini(block);
    *block = (struct th_buf){.p = p, .n = value.n, .cap = value.n};
    return all_event_decode(th_buf_str(block), arena, out, err);
}

/* A record of Odds in pieces; what a row does not say is harmless. */
struct odds {
    struct th_str is_on;
    struct th_str channel;
    struct th_str to;
    struct th_str maybe;
    struct th_str n;
    struct th_str nulls;
    struct th_str counts;
    struct th_str points;
    struct th_str tail;
};

static void put(struct th_buf *buf, struct th_str piece, struct th_str fallback)
{
    th_buf_add(buf, piece.p ? piece : fallback);
}

static void assemble(const struct odds *odds, struct th_buf *buf)
{
    put(buf, odds->is_on, TH_STR("\1"));
    put(buf, odds->channel, TH_STR("\2"));
    put(buf, odds->to, TH_STR("\0\2a"));
    put(buf, odds->maybe, TH_STR("\0"));
    put(buf, odds->n, TH_STR("\2"));
    put(buf, odds->nulls, TH_STR("\0"));
    put(buf, odds->counts, TH_STR("\0"));
    put(buf, odds->points, TH_STR("\0"));
    put(buf, odds->tail, TH_STR(""));
}

#define BYTES(literal)                                                                             \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

static void test_the_table_of_tricks(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct odds odds;
        const char *text; /* NULL: this one is fine */
    } cases[] = {
        {"harmless", {.n = BYTES("\2")}, NULL},
        {"a boolean of 2", {.is_on = BYTES("\2")}, "Odds.is_on: a boolean of 0x02"},
        {"a symbol too high", {.channel = BYTES("\6")}, "Odds.channel: symbol 3 of 3"},
        {"a symbol below zero", {.channel = BYTES("\1")}, "Odds.channel: symbol -1 of 3"},
        {"the smallest symbol",
         {.channel = BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1")},
         "Odds.channel: symbol -9223372036854775808 of 3"},
        {"a branch too high", {.to = BYTES("\4")}, "Odds.to: branch 2 of 2"},
        {"a branch below zero", {.to = BYTES("\1")}, "Odds.to: branch -1 of 2"},
        {"an optional's branch too high", {.maybe = BYTES("\6")}, "Odds.maybe: branch 3 of 3"},
        {"text that is not UTF-8", {.to = BYTES("\0\4\xc0\xaf")}, "Odds.to: not UTF-8"},
        {"a surrogate", {.to = BYTES("\0\6\xed\xa0\x80")}, "Odds.to: not UTF-8"},
        {"bytes need not be UTF-8", {.to = BYTES("\2\0\2\xff\0")}, NULL},
        {"text longer than what is left",
         {.to = BYTES("\0\x7e")},
         "Odds.to: 63 bytes are announced, 5 are left"},
        {"text of 8 EiB",
         {.to = BYTES("\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1")},
         "Odds.to: 9223372036854775807 bytes are announced, 5 are left"},
        {"text of a negative length",
         {.to = BYTES("\0\1")},
         "Odds.to: -1 bytes are announced, 5 are left"},
        {"the largest int", {.n = BYTES("\xfe\xff\xff\xff\x0f")}, NULL},
        {"the smallest int", {.n = BYTES("\xff\xff\xff\xff\x0f")}, NULL},
        {"one more than an int",
         {.n = BYTES("\x80\x80\x80\x80\x10")},
         "Odds.n: a number of more than 32 bits"},
        {"a long in more bytes than it needs",
         {.n = BYTES("\x82\x80\x80\x80\x80\x80\x80\x80\x80\0")},
         NULL},
        {"a number of 65 bits",
         {.n = BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\2")},
         "Odds.n: a number of more than 64 bits"},
        {"a number without end",
         {.n = BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
         "Odds.n: a number of more than 64 bits"},
        {"10,000 nulls in 4 bytes", {.nulls = BYTES("\xa0\x9c\1\0")}, NULL},
        {"10,001 nulls",
         {.nulls = BYTES("\xa2\x9c\1\0")},
         "Odds.nulls: 10001 items, 10000 more are allowed"},
        {"10,000 nulls, and in another block one more",
         {.nulls = BYTES("\xa0\x9c\1\2\0")},
         "Odds.nulls: 1 items, 0 more are allowed"},
        {"nulls and points share the limit",
         {.nulls = BYTES("\xa0\x9c\1\0"), .points = BYTES("\2\0\0\0")},
         "Odds.points: 1 items, 0 more are allowed"},
        {"INT64_MAX nulls",
         {.nulls = BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1")},
         "Odds.nulls: 9223372036854775807 items, 10000 more are allowed"},
        {"INT64_MIN nulls",
         {.nulls = BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\0")},
         "Odds.nulls: 9223372036854775808 items, 10000 more are allowed"},
        {"a negative count with its size", {.points = BYTES("\3\x08\2\4\6\x08\0")}, NULL},
        {"a negative count with a size beyond the end",
         {.points = BYTES("\3\x7e")},
         "Odds.points: a block of 63 bytes, 0 are left"},
        {"a negative count with a negative size",
         {.points = BYTES("\3\1\0\0\0")},
         "Odds.points: a block of -1 bytes, 3 are left"},
        {"a negative count without a size",
         {.points = BYTES("\3")},
         "Odds.points: ends within a number"},
        {"more points than bytes",
         {.points = BYTES("\6\2\2\2\2")},
         "Odds.points: 3 items are announced, 4 bytes are left"},
        {"a list without its end",
         {.points = BYTES("\2\2\2")},
         "Odds.points: ends within a number"},
        {"the second of two blocks is bad",
         {.points = BYTES("\2\2\2\2\2\xff\xff\xff\xff\xff\1\0")},
         "Odds.points[1].y: a number of more than 32 bits"},
        {"a key that is not UTF-8", {.counts = BYTES("\2\2\xff\0\0")}, "Odds.counts[0]: not UTF-8"},
        {"the same key twice is what was sent", {.counts = BYTES("\4\2k\2\2k\4\0")}, NULL},
        {"something behind the end", {.tail = BYTES("\0")}, "Odds: 1 bytes behind the end"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf buf = {0};
        struct th_err err = {0};
        struct th_arena arena;
        struct all_odds out;
        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, ARENA_LIMIT);
        assemble(&cases[i].odds, &buf);
        char *exact = realloc(buf.p, buf.n);
        assert_non_null(exact);
        buf.p = exact;
        buf.cap = buf.n;
        enum th_code code = all_odds_decode_body(th_buf_str(&buf), 1, &arena, &out, &err);
        assert_string_equal(err.text, cases[i].text ? cases[i].text : "");
        assert_int_equal(code, cases[i].text ? TH_MALFORMED : TH_OK);
        th_arena_fini(&arena);
    }
}

static void test_no_prefix_of_an_event_is_an_event(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    TH_AUTO(th_buf) struct th_buf block = {0};
    struct th_arena arena;
    struct all_event event;

    th_arena_init(&arena, ARENA_LIMIT);
    sample_event(0, &event);
    assert_int_equal(all_event_encode(&event, &buf), TH_OK);
    for (size_t n = 0; n < buf.n; n++) {
        struct th_err err = {0};
        enum th_code code = decode_exactly((struct th_str){buf.p, n}, &arena, &event, &block, &err);
        assert_int_equal(code, TH_MALFORMED);
        assert_true(err.text[0] != '\0');
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
}

/* Many small blocks must not cost more than one large: each growth doubles. */
static void test_ten_thousand_blocks_of_one(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct th_arena arena;
    struct all_http_header out;

    th_arena_init(&arena, (size_t)1024 * 1024);
    th_buf_add(&buf, TH_STR("\0"));
    for (size_t i = 0; i < 10000; i++)
        th_buf_add(&buf, TH_STR("\2\2x"));
    th_buf_add(&buf, TH_STR("\0"));
    assert_int_equal(all_http_header_decode_body(th_buf_str(&buf), 1, &arena, &out, NULL), TH_OK);
    assert_int_equal(out.values.n, 10000);
    assert_str_equal(out.values.at[9999], TH_STR("x"));
    th_arena_fini(&arena);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A few bytes changed, cut or put in, most often to what is special in a varint. */
static void mutate(uint64_t *seed, struct th_buf *buf)
{
    static const char special[] = {0, 1, 2, 3, 0x7e, 0x7f, (char)0x80, (char)0xff, (char)0xfe};
    size_t changes = 1 + next(seed) % 4;

    for (size_t i = 0; i < changes && buf->n > 5; i++) {
        size_t at = 5 + next(seed) % (buf->n - 5);
        char byte = next(seed) & 1 ? special[next(seed) % sizeof special] : (char)next(seed);
        switch (next(seed) % 4) {
        case 0:
            buf->n = at;
            break;
        case 1:
            memmove(buf->p + at, buf->p + at + 1, buf->n - at - 1);
            buf->n--;
            break;
        case 2:
            if (th_buf_reserve(buf, 1)) {
                memmove(buf->p + at + 1, buf->p + at, buf->n - at);
                buf->n++;
            }
            buf->p[at] = byte;
            break;
        default:
            buf->p[at] = byte;
        }
    }
}

static void assert_stable(const struct all_event *event)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    TH_AUTO(th_buf) struct th_buf json = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    struct all_event back;
    struct th_arena arena;

    th_arena_init(&arena, ARENA_LIMIT);
    assert_int_equal(all_event_encode(event, &bytes), TH_OK);
    assert_int_equal(all_event_decode(th_buf_str(&bytes), &arena, &back, NULL), TH_OK);
    all_event_to_json(event, &json);
    all_event_to_json(&back, &again);
    assert_str_equal(th_buf_str(&again), th_buf_str(&json));
    th_arena_fini(&arena);
}

static void test_mutations_are_refused_or_mean_something(void **unused)
{
    (void)unused;
    uint64_t seed = 20260101;
    size_t accepted = 0;
    struct th_arena arena;
    TH_AUTO(th_buf) struct th_buf block = {0};

    th_arena_init(&arena, ARENA_LIMIT);
    for (size_t i = 0; i < MUTATIONS; i++) {
        TH_AUTO(th_buf) struct th_buf buf = {0};
        struct all_event event;
        struct th_err err = {0};
        if (i % 8)
            sample_random(i, &arena, &event);
        else
            sample_event(0, &event);
        assert_int_equal(all_event_encode(&event, &buf), TH_OK);
        th_arena_reset(&arena);
        mutate(&seed, &buf);
        enum th_code code = decode_exactly(th_buf_str(&buf), &arena, &event, &block, &err);
        if (code == TH_OK) {
            accepted++;
            assert_stable(&event);
        } else {
            assert_int_equal(code, TH_MALFORMED);
            assert_true(err.text[0] != '\0');
        }
        th_arena_reset(&arena);
    }
    print_message("  %zu of %d mean something\n", accepted, MUTATIONS);
    assert_true(accepted > 0 && accepted < MUTATIONS);
    th_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_of_tricks),
        cmocka_unit_test(test_no_prefix_of_an_event_is_an_event),
        cmocka_unit_test(test_ten_thousand_blocks_of_one),
        cmocka_unit_test(test_mutations_are_refused_or_mean_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
