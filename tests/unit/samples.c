#include "tests/unit/samples.h"

#include <assert.h>
#include <float.h>
#include <math.h>

#define TEXT_MAX  40 /* bytes */
#define ITEMS_MAX 5

#define ID(last)                                                                                   \
    {                                                                                              \
        {                                                                                          \
            0x01, 0x97, 0xa0, 0xb0, 0x11, 0x11, 0x72, 0x22, 0x83, 0x33, 0x44, 0x44, 0x55, 0x55,    \
                0x66, last                                                                         \
        }                                                                                          \
    }
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define LIST(type, ...)                                                                            \
    {                                                                                              \
        (const type[]){__VA_ARGS__}, sizeof((const type[]){__VA_ARGS__}) / sizeof(type)            \
    }
#define SEALED                                                                                     \
    {                                                                                              \
        TEXT("k1"), TEXT("n"), TEXT("cc")                                                          \
    }

static const struct all_everything full = {
    .meta = {.event_id = ID(0x66),
             .tenant = TEXT("pratham"),
             .time = 1753000000000000,
             .cause = {true, ID(0x67)},
             .actor = TEXT("test \"quoted\"\n")},
    .a_boolean = true,
    .an_int = -7,
    .a_long = INT64_MAX,
    .a_float = 0.1F,
    .a_double = -2.5e-10,
    .some_bytes = TEXT("\x00\xff\x10"),
    .a_string = TEXT("\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87"),
    .a_sha = {{1, 2, 3}},
    .channel = ALL_CHANNEL_CALL,
    .point = {1, -2},
    .longs = LIST(int64_t, 0, -1, INT64_MIN),
    .strings = LIST(struct th_str, TEXT(""), TEXT("b")),
    .points = LIST(struct all_point, {3, 4}),
    .headers =
        LIST(struct all_http_header, {TEXT("Accept"), LIST(struct th_str, TEXT("a"), TEXT("b"))}),
    .grid = LIST(struct all_int_array, LIST(int32_t, 1, 2), {NULL, 0}),
    .nulls = LIST(struct avro_null, {false}, {false}),
    .channels = LIST(enum all_channel, ALL_CHANNEL_SMS, ALL_CHANNEL_WHATS_APP),
    .ids = LIST(struct th_id, ID(0x66)),
    .doubles = LIST(struct all_double_map_entry, {TEXT("half"), 0.5}),
    .texts = LIST(struct all_string_or_sealed_map_entry,
                  {TEXT("open"), {ALL_STRING_OR_SEALED_STRING, {.string = TEXT("text")}}},
                  {TEXT("closed"), {ALL_STRING_OR_SEALED_SEALED, {.sealed = SEALED}}}),
    .maps = LIST(struct all_boolean_map_map_entry,
                 {TEXT("outer"), LIST(struct all_boolean_map_entry, {TEXT("inner"), true})}),
    .maybe_long = {true, 42},
    .maybe_money = {true, {1500000, TEXT("INR")}},
    .maybe_points = {true, LIST(struct all_point, {5, 6})},
    .maybe_channel = {true, ALL_CHANNEL_WHATS_APP},
    .to = {ALL_STRING_OR_SEALED_SEALED, {.sealed = SEALED}},
    .name = {true, {ALL_STRING_OR_SEALED_STRING, {.string = TEXT("Asha")}}},
    .only = {ALL_ONLY_STRING_STRING, {TEXT("one")}},
    .last_null = {ALL_STRING_OR_NULL_NULL, {{NULL, 0}}},
    .any = {.is = 10, .as.money_array = LIST(struct all_money, {1, TEXT("USD")})},
    .maybe_number = {true, {ALL_LONG_OR_DOUBLE_DOUBLE, {.double_ = 1.5}}},
    .default_ = 3,
    .inline_ = ALL_COLOUR_GREEN,
};

static const struct all_everything largest = {
    .meta.time = INT64_MAX,
    .an_int = INT32_MAX,
    .a_long = INT64_MAX,
    .a_float = FLT_MAX,
    .a_double = DBL_MAX,
    .a_string = TEXT("\xf4\x8f\xbf\xbf"),
    .channel = ALL_CHANNEL_WHATS_APP,
    .maybe_long = {true, INT64_MAX},
};

static const struct all_everything smallest = {
    .meta.time = INT64_MIN,
    .an_int = INT32_MIN,
    .a_long = INT64_MIN,
    .a_float = -FLT_MIN,
    .a_double = 5e-324,
    .maybe_long = {true, INT64_MIN},
    .maybe_number = {true, {.is = ALL_LONG_OR_DOUBLE_LONG, .as.long_ = INT64_MIN}},
};

static const struct {
    const char *says;
    enum all_event_type type;
    const struct all_everything *everything;
} samples[] = {
    {"something in every field", ALL_EVENT_EVERYTHING, &full},
    {"the largest numbers", ALL_EVENT_EVERYTHING, &largest},
    {"the smallest numbers", ALL_EVENT_EVERYTHING, &smallest},
    {"numbers that are none", ALL_EVENT_EVERYTHING,
     &(const struct all_everything){.a_float = -INFINITY, .a_double = (double)INFINITY}},
    {"a sealed optional name, three branches", ALL_EVENT_EVERYTHING,
     &(const struct all_everything){
         .name = {true, {ALL_STRING_OR_SEALED_SEALED, {.sealed = SEALED}}}}},
    {"a record of nothing but its meta", ALL_EVENT_PING, NULL},
};

static_assert(TH_LEN(samples) == SAMPLES, "samples.h says how many there are");

const char *sample_says(size_t i)
{
    return samples[i].says;
}

void sample_event(size_t i, struct all_event *out)
{
    *out = (struct all_event){.type = samples[i].type};
    if (samples[i].everything)
        out->as.everything = *samples[i].everything;
}

/* ---- random events ---- */

struct dice {
    uint64_t state;
    struct th_arena *arena;
};

/* splitmix64 */
static uint64_t roll(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15U;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static size_t below(struct dice *d, size_t n)
{
    return (size_t)(roll(d) % n);
}

/* Of every length on the wire with the same chance. */
static int64_t any_long(struct dice *d)
{
    uint64_t v = roll(d) >> below(d, 64);

    return (int64_t)(roll(d) & 1 ? v : 0 - v);
}

static int32_t any_int(struct dice *d)
{
    uint32_t v = (uint32_t)(roll(d) >> 32) >> below(d, 32);

    return (int32_t)(roll(d) & 1 ? v : 0 - v);
}

static double any_double(struct dice *d)
{
    return (double)any_long(d) / 1024;
}

static struct th_str any_bytes(struct dice *d)
{
    size_t n = below(d, TEXT_MAX);
    char *p = th_arena_alloc(d->arena, n + 1);

    assert(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)roll(d);
    return (struct th_str){p, n};
}

static struct th_str any_text(struct dice *d)
{
    static const char *const letters[] = {
        "a", "Z", " ", "\"", "\\", "\n", "\x01", "\xc3\xa9", "\xe0\xa4\xa8", "\xf0\x9f\x99\x8f"};
    struct th_str text = {th_arena_alloc(d->arena, (size_t)TEXT_MAX * 4), 0};
    char *p = (char *)text.p;

    assert(p);
    for (size_t i = below(d, TEXT_MAX); i > 0; i--) {
        struct th_str letter = th_str(letters[below(d, TH_LEN(letters))]);
        memcpy(p + text.n, letter.p, letter.n);
        text.n += letter.n;
    }
    return text;
}

static struct th_id any_id(struct dice *d)
{
    struct th_id id;

    for (size_t i = 0; i < sizeof id.b; i++)
        id.b[i] = (uint8_t)roll(d);
    return id;
}

static struct all_sealed any_sealed(struct dice *d)
{
    return (struct all_sealed){any_text(d), any_bytes(d), any_bytes(d)};
}

static struct all_string_or_sealed any_sealable(struct dice *d)
{
    struct all_string_or_sealed s = {.is = ALL_STRING_OR_SEALED_STRING};

    if (roll(d) & 1) {
        s.is = ALL_STRING_OR_SEALED_SEALED;
        s.as.sealed = any_sealed(d);
    } else {
        s.as.string = any_text(d);
    }
    return s;
}

static struct all_point any_point(struct dice *d)
{
    return (struct all_point){any_int(d), any_int(d)};
}

static struct all_money any_money(struct dice *d)
{
    return (struct all_money){any_long(d), any_text(d)};
}

/* ANY_LIST(struct all_point, point) makes any_points: up to ITEMS_MAX of any_point. */
#define ANY_LIST(type, list_type, name, item)                                                      \
    static list_type name(struct dice *d)                                                          \
    {                                                                                              \
        size_t n = below(d, ITEMS_MAX);                                                            \
        type *at = th_arena_array(d->arena, n, sizeof *at);                                        \
                                                                                                   \
        assert(at);                                                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            at[i] = item;                                                                          \
        return (list_type){at, n};                                                                 \
    }

/* Different keys, as a map has them. */
static struct th_str key(struct dice *d, size_t i)
{
    struct th_str text = th_arena_printf(d->arena, "%zu-%zu", i, below(d, 1000));

    assert(text.p);
    return text;
}

#define ENTRY(type, v) ((struct type##_entry){key(d, i), v})

ANY_LIST(int64_t, struct all_long_array, any_longs, any_long(d))
ANY_LIST(int32_t, struct all_int_array, any_ints, any_int(d))
ANY_LIST(struct th_str, struct all_string_array, any_texts, any_text(d))
ANY_LIST(struct all_point, struct all_point_array, any_points, any_point(d))
ANY_LIST(struct all_money, struct all_money_array, any_moneys, any_money(d))
ANY_LIST(struct all_int_array, struct all_int_array_array, any_grid, any_ints(d))
ANY_LIST(struct avro_null, struct all_null_array, any_nulls, (struct avro_null){false})
ANY_LIST(enum all_channel, struct all_channel_array, any_channels,
         (enum all_channel)below(d, ALL_CHANNEL_COUNT))
ANY_LIST(struct th_id, struct all_uuid_array, any_ids, any_id(d))
ANY_LIST(struct all_http_header, struct all_http_header_array, any_headers,
         ((struct all_http_header){any_text(d), any_texts(d)}))
ANY_LIST(struct all_double_map_entry, struct all_double_map, any_doubles,
         ENTRY(all_double_map, any_double(d)))
ANY_LIST(struct all_int_map_entry, struct all_int_map, any_int_map, ENTRY(all_int_map, any_int(d)))
ANY_LIST(struct all_boolean_map_entry, struct all_boolean_map, any_booleans,
         ENTRY(all_boolean_map, roll(d) & 1))
ANY_LIST(struct all_boolean_map_map_entry, struct all_boolean_map_map, any_maps,
         ENTRY(all_boolean_map_map, any_booleans(d)))
ANY_LIST(struct all_string_or_sealed_map_entry, struct all_string_or_sealed_map, any_sealables,
         ENTRY(all_string_or_sealed_map, any_sealable(d)))

static void roll_meta(struct dice *d, struct all_meta *meta)
{
    *meta = (struct all_meta){
        .event_id = any_id(d), .tenant = any_text(d), .time = any_long(d), .actor = any_text(d)};
    if (roll(d) & 1)
        meta->cause = (struct all_optional_uuid){true, any_id(d)};
}

static void roll_simple(struct dice *d, struct all_everything *e)
{
    e->a_boolean = roll(d) & 1;
    e->an_int = any_int(d);
    e->a_long = any_long(d);
    e->a_float = (float)any_int(d) / 256;
    e->a_double = any_double(d);
    e->some_bytes = any_bytes(d);
    e->a_string = any_text(d);
    e->a_sha.b[below(d, sizeof e->a_sha.b)] = (uint8_t)roll(d);
    e->channel = (enum all_channel)below(d, ALL_CHANNEL_COUNT);
    e->point = any_point(d);
    e->default_ = any_int(d);
    e->inline_ = (enum all_colour)below(d, ALL_COLOUR_COUNT);
}

static void roll_lists(struct dice *d, struct all_everything *e)
{
    e->longs = any_longs(d);
    e->strings = any_texts(d);
    e->points = any_points(d);
    e->headers = any_headers(d);
    e->grid = any_grid(d);
    e->nulls = any_nulls(d);
    e->channels = any_channels(d);
    e->ids = any_ids(d);
    e->doubles = any_doubles(d);
    e->texts = any_sealables(d);
    e->maps = any_maps(d);
}

static void roll_optionals(struct dice *d, struct all_everything *e)
{
    if (roll(d) & 1)
        e->maybe_long = (struct all_optional_long){true, any_long(d)};
    if (roll(d) & 1)
        e->maybe_money = (struct all_optional_money){true, any_money(d)};
    if (roll(d) & 1)
        e->maybe_points = (struct all_optional_point_array){true, any_points(d)};
    if (roll(d) & 1)
        e->maybe_channel = (struct all_optional_channel){true, ALL_CHANNEL_CALL};
    if (roll(d) & 1)
        e->name = (struct all_optional_string_or_sealed){true, any_sealable(d)};
    if (roll(d) & 1)
        e->maybe_number.is_set = true;
    if (e->maybe_number.is_set && roll(d) & 1) {
        e->maybe_number.value.is = ALL_LONG_OR_DOUBLE_DOUBLE;
        e->maybe_number.value.as.double_ = any_double(d);
    }
}

static void roll_any(struct dice *d, struct all_everything *e)
{
    switch (below(d, 12)) {
    case 0:
        e->any.as.boolean = roll(d) & 1;
        return;
    case 1:
        e->any.is = 1;
        e->any.as.int_ = any_int(d);
        return;
    case 2:
        e->any.is = 2;
        e->any.as.long_ = any_long(d);
        return;
    case 3:
        e->any.is = 3;
        e->any.as.float_ = 0.5F;
        return;
    case 4:
        e->any.is = 4;
        e->any.as.double_ = any_double(d);
        return;
    case 5:
        e->any.is = 5;
        e->any.as.bytes = any_bytes(d);
        return;
    case 6:
        e->any.is = 6;
        e->any.as.string = any_text(d);
        return;
    case 7:
        e->any.is = 7;
        e->any.as.sha256 = e->a_sha;
        return;
    case 8:
        e->any.is = 8;
        e->any.as.channel = ALL_CHANNEL_CALL;
        return;
    case 9:
        e->any.is = 9;
        e->any.as.point = any_point(d);
        return;
    case 10:
        e->any.is = 10;
        e->any.as.money_array = any_moneys(d);
        return;
    default:
        e->any.is = 11;
        e->any.as.int_map = any_int_map(d);
    }
}

static void roll_unions(struct dice *d, struct all_everything *e)
{
    e->to = any_sealable(d);
    e->only.as.string = any_text(d);
    if (roll(d) & 1)
        e->last_null.is = ALL_STRING_OR_NULL_NULL;
    else
        e->last_null.as.string = any_text(d);
    roll_any(d, e);
}

void sample_random(uint64_t seed, struct th_arena *arena, struct all_event *out)
{
    struct dice d = {seed, arena};

    *out = (struct all_event){.type = ALL_EVENT_EVERYTHING};
    roll_meta(&d, &out->as.everything.meta);
    roll_simple(&d, &out->as.everything);
    roll_lists(&d, &out->as.everything);
    roll_optionals(&d, &out->as.everything);
    roll_unions(&d, &out->as.everything);
}
