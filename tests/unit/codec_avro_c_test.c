/* Our codec against avro-c's, in both directions. */
#include "tests/unit/test.h"

#include "schemas/events.h"
#include "tests/unit/avro_c.h"
#include "tests/unit/samples.h"
#include "tests/unit/schemas/new.h"

#define ARENA_LIMIT ((size_t)16 * 1024 * 1024)
#define FRAME_LEN   5
#define RANDOM      400

static struct th_str body_of(const struct th_buf *value)
{
    return (struct th_str){value->p + FRAME_LEN, value->n - FRAME_LEN};
}

/* Their JSON with the record's name around it, as ours has it. */
static void their_json(struct avro_c *peer, const char *name, struct th_buf *buf)
{
    th_buf_printf(buf, "{\"%s\":", name);
    avro_c_to_json(peer, buf);
    th_buf_add_char(buf, '}');
}

/* What we write they read the same; what they then write is what we wrote, and we read it. */
static void assert_agreement(struct avro_c *peer, const struct all_event *event)
{
    TH_AUTO(th_buf) struct th_buf ours = {0};
    TH_AUTO(th_buf) struct th_buf theirs = {0};
    TH_AUTO(th_buf) struct th_buf our_json = {0};
    TH_AUTO(th_buf) struct th_buf json = {0};
    struct all_event back;
    struct th_arena arena;

    th_arena_init(&arena, ARENA_LIMIT);
    assert_int_equal(all_event_encode(event, &ours), TH_OK);
    all_event_to_json(event, &our_json);

    assert_int_equal(avro_c_decode(peer, body_of(&ours)), 0);
    their_json(peer, all_event_type_name(event->type), &json);
    assert_str_equal(th_buf_str(&json), th_buf_str(&our_json));

    th_buf_add(&theirs, (struct th_str){ours.p, FRAME_LEN});
    avro_c_encode(peer, &theirs);
    assert_str_equal(th_buf_str(&theirs), th_buf_str(&ours));

    th_buf_clear(&json);
    assert_int_equal(all_event_decode(th_buf_str(&theirs), &arena, &back, NULL), TH_OK);
    all_event_to_json(&back, &json);
    assert_str_equal(th_buf_str(&json), th_buf_str(&our_json));
    th_arena_fini(&arena);
}

static void open_peer(struct avro_c *peer, enum all_event_type type)
{
    for (size_t i = 0; i < all_schema_count(); i++)
        if (all_schema_at(i)->type == type)
            avro_c_open(peer, all_schema_at(i)->json);
}

static void test_samples(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct avro_c peer;
        struct all_event event;
        print_message("  %s\n", sample_says(i));
        sample_event(i, &event);
        open_peer(&peer, event.type);
        assert_agreement(&peer, &event);
        avro_c_close(&peer);
    }
}

static void test_random_events(void **unused)
{
    (void)unused;
    struct th_arena arena;
    struct avro_c peer;

    th_arena_init(&arena, ARENA_LIMIT);
    open_peer(&peer, ALL_EVENT_EVERYTHING);
    for (uint64_t seed = 1000; seed < 1000 + RANDOM; seed++) {
        struct all_event event;
        sample_random(seed, &arena, &event);
        assert_agreement(&peer, &event);
        th_arena_reset(&arena);
    }
    avro_c_close(&peer);
    th_arena_fini(&arena);
}

/* Each real event, all zeroes: enough to hold its schema against its codec. */
static void test_every_event_of_the_log(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < schema_count(); i++) {
        TH_AUTO(th_buf) struct th_buf ours = {0};
        TH_AUTO(th_buf) struct th_buf our_json = {0};
        TH_AUTO(th_buf) struct th_buf json = {0};
        const struct schema *schema = schema_at(i);
        struct event event = {.type = schema->type};
        struct avro_c peer;
        avro_c_open(&peer, schema->json);
        assert_int_equal(event_encode(&event, &ours), TH_OK);
        if ((unsigned char)ours.p[FRAME_LEN - 1] == schema->version) {
            event_to_json(&event, &our_json);
            assert_int_equal(avro_c_decode(&peer, body_of(&ours)), 0);
            their_json(&peer, event_type_name(event.type), &json);
            assert_str_equal(th_buf_str(&json), th_buf_str(&our_json));
        }
        avro_c_close(&peer);
    }
    assert_true(schema_count() >= EVENT_TYPES);
}

/* avro-c reads as much of a new record as an older schema has, and writes that: an older writer. */
static void test_older_versions_written_by_avro_c(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf newest = {0};
    struct new_event event = {
        .type = NEW_EVENT_CAMPAIGN_CREATED,
        .as.campaign_created = {.name = TH_STR("x"), .pace = 7, .smallest = 5, .ratio = 2},
    };

    assert_int_equal(new_event_encode(&event, &newest), TH_OK);
    for (unsigned version = 1; version <= 4; version++) {
        TH_AUTO(th_buf) struct th_buf theirs = {0};
        struct avro_c peer;
        struct th_arena arena;
        struct new_event out;
        print_message("  version %u\n", version);
        th_arena_init(&arena, ARENA_LIMIT);
        avro_c_open(&peer, new_schema_json(9 * 256 + version));
        assert_int_equal(avro_c_decode(&peer, body_of(&newest)) == 0, version == 4);
        th_buf_add(&theirs, (struct th_str){newest.p, FRAME_LEN});
        theirs.p[FRAME_LEN - 1] = (char)version;
        avro_c_encode(&peer, &theirs);

        assert_int_equal(new_event_decode(th_buf_str(&theirs), &arena, &out, NULL), TH_OK);
        assert_str_equal(out.as.campaign_created.name, TH_STR("x"));
        assert_int_equal(out.as.campaign_created.pace, version < 2 ? 100 : 7);
        assert_int_equal(out.as.campaign_created.channel,
                         version < 3 ? NEW_CHANNEL_CALL : NEW_CHANNEL_SMS);
        assert_true(out.as.campaign_created.smallest == (version < 4 ? INT64_MIN : 5));
        assert_true(out.as.campaign_created.ratio == (version < 4 ? 0.5F : 2));
        avro_c_close(&peer);
        th_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_random_events),
        cmocka_unit_test(test_every_event_of_the_log),
        cmocka_unit_test(test_older_versions_written_by_avro_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
