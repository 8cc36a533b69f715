/* What codegen makes: round trips, evolution, limits, JSON, copies. */
#include "tests/unit/test.h"

#include "tests/unit/samples.h"
#include "tests/unit/schemas/new.h"
#include "tests/unit/schemas/old.h"

#define ARENA_LIMIT ((size_t)16 * 1024 * 1024)

/* Encode the event, decode that, encode the result: the same bytes, the same JSON. */
static void assert_round_trip(const struct all_event *event)
{
    TH_AUTO(th_buf) struct th_buf first = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    TH_AUTO(th_buf) struct th_buf first_json = {0};
    TH_AUTO(th_buf) struct th_buf again_json = {0};
    struct th_err err = {0};
    struct th_arena arena;
    struct all_event back;

    th_arena_init(&arena, ARENA_LIMIT);
    assert_int_equal(all_event_encode(event, &first), TH_OK);
    if (all_event_decode(th_buf_str(&first), &arena, &back, &err) != TH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(all_event_encode(&back, &again), TH_OK);
    assert_str_equal(th_buf_str(&again), th_buf_str(&first));
    all_event_to_json(event, &first_json);
    all_event_to_json(&back, &again_json);
    assert_int_equal(th_buf_status(&again_json), TH_OK);
    assert_str_equal(th_buf_str(&again_json), th_buf_str(&first_json));
    th_arena_fini(&arena);
}

static void test_every_type_survives_a_round_trip(void **unused)
{
    (void)unused;
    struct all_event event;

    for (size_t i = 0; i < SAMPLES; i++) {
        print_message("  %s\n", sample_says(i));
        sample_event(i, &event);
        assert_round_trip(&event);
    }
    event = (struct all_event){.type = ALL_EVENT_EVERYTHING};
    print_message("  all zeroes\n");
    assert_round_trip(&event);
}

static void test_any_event_that_can_be_made_survives(void **unused)
{
    (void)unused;
    struct th_arena arena;
    struct all_event event;

    th_arena_init(&arena, ARENA_LIMIT);
    for (uint64_t seed = 1; seed <= 500; seed++) {
        sample_random(seed, &arena, &event);
        assert_round_trip(&event);
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
}

static void test_the_frame_names_record_and_version(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct all_event ping = {.type = ALL_EVENT_PING};
    enum all_event_type type = ALL_EVENT_EVERYTHING;

    th_buf_add(&buf, TH_STR("before"));
    assert_int_equal(all_event_encode(&ping, &buf), TH_OK);
    /* 700 * 256 + 1, then a body of a uuid, two empty strings, a zero and a null */
    assert_int_equal(buf.n, 6 + 5 + 16 + 4);
    assert_memory_equal(buf.p, "before\x00\x00\x02\xbc\x01", 11);
    assert_int_equal(all_event_type_of((struct th_str){buf.p + 6, buf.n - 6}, &type), TH_OK);
    assert_int_equal(type, ALL_EVENT_PING);
}

static void test_frames_that_are_none(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct th_str value;
        enum th_code code;
        const char *text;
    } cases[] = {
        {"nothing", {NULL, 0}, TH_MALFORMED, "0 bytes are too short for a frame"},
        {"a frame cut short", {"\0\0\2\xbc", 4}, TH_MALFORMED, "4 bytes are too short for a frame"},
        {"another first byte",
         {"\1\0\2\xbc\1", 5},
         TH_MALFORMED,
         "the frame begins with 0x01, not 0x00"},
        {"version 0", {"\0\0\2\xbc\0", 5}, TH_MALFORMED, "schema id 179200 has no version"},
        {"a record nobody knows",
         {"\0\0\2\xbd\1", 5},
         TH_UNSUPPORTED,
         "schema id 179457 (record 701) is not known"},
        {"a body of nothing",
         {"\0\0\2\xbc\1", 5},
         TH_MALFORMED,
         "Ping.meta.event_id: 16 bytes are needed, 0 are left"},
    };
    struct all_event out;
    enum all_event_type type;

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_err err = {0};
        struct th_arena arena;
        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, ARENA_LIMIT);
        assert_int_equal(all_event_decode(cases[i].value, &arena, &out, &err), cases[i].code);
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(all_event_decode(cases[i].value, &arena, &out, NULL), cases[i].code);
        if (cases[i].value.n != 5 || i < 5)
            assert_int_equal(all_event_type_of(cases[i].value, &type), cases[i].code);
        th_arena_fini(&arena);
    }
}

static void test_json_reads_well(void **unused)
{
    (void)unused;
    static const char expected[] =
        "{\"Everything\":{\"meta\":{\"event_id\":\"0197a0b0-1111-7222-8333-444455556666\","
        "\"tenant\":\"pratham\",\"time\":1753000000000000,"
        "\"cause\":\"0197a0b0-1111-7222-8333-444455556667\",\"actor\":\"test \\\"quoted\\\"\\n\"},"
        "\"a_null\":null,\"a_boolean\":true,\"an_int\":-7,\"a_long\":9223372036854775807,"
        "\"a_float\":0.1,\"a_double\":-2.5e-10,\"some_bytes\":\"00ff10\","
        "\"a_string\":\"\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87\","
        "\"a_sha\":\"0102030000000000000000000000000000000000000000000000000000000000\","
        "\"channel\":\"call\",\"nothing\":{},\"point\":{\"x\":1,\"y\":-2},"
        "\"longs\":[0,-1,-9223372036854775808],\"strings\":[\"\",\"b\"],"
        "\"points\":[{\"x\":3,\"y\":4}],"
        "\"headers\":[{\"name\":\"Accept\",\"values\":[\"a\",\"b\"]}],\"grid\":[[1,2],[]],"
        "\"nulls\":[null,null],\"channels\":[\"SMS\",\"WHATS_APP\"],"
        "\"ids\":[\"0197a0b0-1111-7222-8333-444455556666\"],\"doubles\":{\"half\":0.5},"
        "\"texts\":{\"open\":\"text\","
        "\"closed\":{\"key_id\":\"k1\",\"nonce\":\"6e\",\"ciphertext\":\"6363\"}},"
        "\"maps\":{\"outer\":{\"inner\":true}},\"maybe_long\":42,"
        "\"maybe_money\":{\"micros\":1500000,\"currency\":\"INR\"},"
        "\"maybe_points\":[{\"x\":5,\"y\":6}],\"maybe_channel\":\"WHATS_APP\","
        "\"to\":{\"key_id\":\"k1\",\"nonce\":\"6e\",\"ciphertext\":\"6363\"},\"name\":\"Asha\","
        "\"only\":\"one\",\"last_null\":null,\"any\":[{\"micros\":1,\"currency\":\"USD\"}],"
        "\"maybe_number\":1.5,\"default\":3,\"inline\":\"GREEN\"}}";
    TH_AUTO(th_buf) struct th_buf json = {0};
    struct all_event event;

    sample_event(0, &event);
    all_event_to_json(&event, &json);
    assert_int_equal(th_buf_status(&json), TH_OK);
    th_buf_add_char(&json, '\0');
    assert_string_equal(json.p, expected);
}

static void test_what_cannot_be_read_is_not_written(void **unused)
{
    (void)unused;
    static const struct th_str bad = {"\xff", 1};
    static const int64_t zeroes[10001];
    const struct all_long_array too_many = {zeroes, TH_LEN(zeroes)};
    struct all_event events[] = {
        {.type = ALL_EVENT_PING, .as.ping.meta.tenant = bad},
        {.type = ALL_EVENT_EVERYTHING, .as.everything.a_string = bad},
        {.type = ALL_EVENT_EVERYTHING, .as.everything.channel = (enum all_channel)3},
        {.type = ALL_EVENT_EVERYTHING, .as.everything.to.is = 2},
        {.type = ALL_EVENT_EVERYTHING, .as.everything.name = {true, {.as.string = bad}}},
        {.type = ALL_EVENT_EVERYTHING, .as.everything.longs = too_many},
        {.type = ALL_EVENT_EVERYTHING,
         .as.everything.doubles = {(const struct all_double_map_entry[]){{bad, 1}}, 1}},
        {.type = (enum all_event_type)ALL_EVENT_TYPES},
    };
    TH_AUTO(th_buf) struct th_buf buf = {0};

    th_buf_add(&buf, TH_STR("kept"));
    for (size_t i = 0; i < TH_LEN(events); i++) {
        assert_int_equal(all_event_encode(&events[i], &buf), TH_INVALID);
        assert_str_equal(th_buf_str(&buf), TH_STR("kept"));
    }
    events[5].as.everything.longs.n = 10000;
    assert_int_equal(all_event_encode(&events[5], &buf), TH_OK);
}

/* Bytes of a version-1, -2 … record as an older program wrote it. */
static void assert_defaults(const struct new_campaign_created *c)
{
    assert_int_equal(c->channel, NEW_CHANNEL_CALL);
    assert_false(c->limit.is_set);
    assert_int_equal(c->sender.is, NEW_STRING_OR_SEALED_STRING);
    assert_str_equal(c->sender.as.string,
                     TH_STR("\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5"
                            "\x87 \"?\?=\""));
    assert_int_equal(c->window.from, 9);
    assert_int_equal(c->window.until, 21);
    assert_int_equal(c->window.days.n, 2);
    assert_str_equal(c->window.days.at[1], TH_STR("Tue"));
    assert_int_equal(c->weights.n, 2);
    assert_str_equal(c->weights.at[0].key, TH_STR("msg91"));
    assert_true(c->weights.at[0].value == 0.8);
    assert_true(c->weights.at[1].value == 1.0);
    assert_int_equal(c->none.n, 0);
    assert_str_equal(c->raw, TH_STR("\2a\xff"));
    assert_memory_equal(c->tag.b, "\x01\x80z", 3);
    assert_true(c->smallest == INT64_MIN);
    assert_true(c->ratio == 0.5F);
    assert_true(c->is_live);
    assert_int_equal(c->grid.n, 2);
    assert_int_equal(c->grid.at[0].at[1], 2);
    assert_int_equal(c->grid.at[1].n, 0);
}

static void test_a_newer_reader_fills_in_defaults(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct old_event event = {
        .type = OLD_EVENT_CAMPAIGN_CREATED,
        .as.campaign_created = {.meta.tenant = TH_STR("pratham"), .name = TH_STR("x"), .pace = 7},
    };
    struct new_event out;
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_LIMIT);
    assert_int_equal(old_event_encode(&event, &buf), TH_OK);
    assert_int_equal(new_event_decode(th_buf_str(&buf), &arena, &out, &err), TH_OK);
    assert_int_equal(out.type, NEW_EVENT_CAMPAIGN_CREATED);
    assert_str_equal(out.as.campaign_created.name, TH_STR("x"));
    assert_int_equal(out.as.campaign_created.pace, 7);
    assert_defaults(&out.as.campaign_created);

    print_message("  version 1 lacks pace as well: %zu bytes\n", buf.n);
    buf.p[4] = 1;
    buf.n--;
    assert_int_equal(new_event_decode(th_buf_str(&buf), &arena, &out, &err), TH_OK);
    assert_int_equal(out.as.campaign_created.pace, 100);
    assert_defaults(&out.as.campaign_created);

    print_message("  an older version has no bytes behind its end\n");
    buf.n++;
    assert_int_equal(new_event_decode(th_buf_str(&buf), &arena, &out, &err), TH_MALFORMED);
    assert_string_equal(err.text, "CampaignCreated: 1 bytes behind the end");
    th_arena_fini(&arena);
}

static void test_an_older_reader_takes_the_prefix_it_knows(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct new_event event = {
        .type = NEW_EVENT_CAMPAIGN_CREATED,
        .as.campaign_created = {.name = TH_STR("x"), .pace = 7, .raw = TH_STR("\xff")},
    };
    struct new_event renamed = {.type = NEW_EVENT_CAMPAIGN_RENAMED};
    struct old_event out;
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_LIMIT);
    assert_int_equal(new_event_encode(&event, &buf), TH_OK);
    assert_int_equal(old_event_decode(th_buf_str(&buf), &arena, &out, &err), TH_OK);
    assert_str_equal(out.as.campaign_created.name, TH_STR("x"));
    assert_int_equal(out.as.campaign_created.pace, 7);

    print_message("  a record that came later is unknown, not damaged\n");
    th_buf_clear(&buf);
    assert_int_equal(new_event_encode(&renamed, &buf), TH_OK);
    assert_int_equal(old_event_decode(th_buf_str(&buf), &arena, &out, &err), TH_UNSUPPORTED);
    th_arena_fini(&arena);
}

static void test_every_version_has_its_schema(void **unused)
{
    (void)unused;
    static const uint32_t ids[] = {9 * 256 + 1, 9 * 256 + 2, 9 * 256 + 3, 9 * 256 + 4,
                                   10 * 256 + 1};

    assert_int_equal(new_schema_count(), TH_LEN(ids));
    for (size_t i = 0; i < TH_LEN(ids); i++) {
        assert_int_equal(new_schema_at(i)->id, ids[i]);
        assert_int_equal(new_schema_at(i)->version, ids[i] % 256);
        assert_str_equal(new_schema_json(ids[i]), new_schema_at(i)->json);
    }
    assert_int_equal(new_schema_json(9 * 256).n, 0);
    assert_string_equal(new_schema_at(4)->name, "telehub.CampaignRenamed");
    assert_int_equal(new_schema_at(4)->type, NEW_EVENT_CAMPAIGN_RENAMED);
    print_message("  a version that both programs know is the same in both\n");
    assert_str_equal(new_schema_json(9 * 256 + 1), old_schema_json(9 * 256 + 1));
    assert_str_equal(new_schema_json(9 * 256 + 2), old_schema_json(9 * 256 + 2));
}

static void test_names(void **unused)
{
    (void)unused;
    enum all_channel channel = ALL_CHANNEL_SMS;
    enum all_event_type type = ALL_EVENT_EVERYTHING;

    assert_string_equal(all_channel_name(ALL_CHANNEL_WHATS_APP), "WHATS_APP");
    assert_string_equal(all_channel_name((enum all_channel)99), "?");
    assert_true(all_channel_parse(TH_STR("call"), &channel));
    assert_int_equal(channel, ALL_CHANNEL_CALL);
    assert_false(all_channel_parse(TH_STR("CALL"), &channel));
    assert_int_equal(channel, ALL_CHANNEL_CALL);
    assert_string_equal(all_event_type_name(ALL_EVENT_PING), "Ping");
    assert_true(all_event_type_parse(TH_STR("Ping"), &type));
    assert_int_equal(type, ALL_EVENT_PING);
    assert_false(all_event_type_parse(TH_STR("Pong"), &type));
}

static void test_meta_is_where_every_event_has_it(void **unused)
{
    (void)unused;
    struct all_event event;

    sample_event(0, &event);
    assert_ptr_equal(all_event_meta(&event), &event.as.everything.meta);
    all_event_meta_mut(&event)->tenant = TH_STR("other");
    assert_str_equal(event.as.everything.meta.tenant, TH_STR("other"));
}

static void test_a_copy_shares_nothing(void **unused)
{
    (void)unused;
    struct th_arena decoded;
    struct th_arena copies;
    struct all_event event;
    struct all_event copy;

    th_arena_init(&decoded, ARENA_LIMIT);
    th_arena_init(&copies, ARENA_LIMIT);
    for (uint64_t seed = 1; seed <= 50; seed++) {
        TH_AUTO(th_buf) struct th_buf bytes = {0};
        TH_AUTO(th_buf) struct th_buf again = {0};
        TH_AUTO(th_buf) struct th_buf gone = {0};
        sample_random(seed, &decoded, &event);
        assert_int_equal(all_event_encode(&event, &bytes), TH_OK);
        th_buf_add(&gone, th_buf_str(&bytes));
        assert_int_equal(all_event_decode(th_buf_str(&gone), &decoded, &event, NULL), TH_OK);
        assert_int_equal(all_event_copy(&event, &copies, &copy), TH_OK);
        th_buf_fini(&gone); /* the sanitizer tells if the copy looks there */
        th_arena_fini(&decoded);
        assert_int_equal(all_event_encode(&copy, &again), TH_OK);
        assert_str_equal(th_buf_str(&again), th_buf_str(&bytes));
        th_arena_reset(&copies);
    }
    th_arena_fini(&copies);
}

/* Decoding and copying with ever more memory: TH_NOMEM until it is enough. */
static void test_too_little_memory_is_said(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    struct all_event event;
    struct all_event out;
    size_t refused = 0;

    sample_event(0, &event);
    assert_int_equal(all_event_encode(&event, &bytes), TH_OK);
    for (size_t limit = 0;; limit += 16) {
        struct th_arena arena;
        struct th_err err = {0};
        th_arena_init(&arena, limit);
        enum th_code code = all_event_decode(th_buf_str(&bytes), &arena, &out, &err);
        if (code == TH_OK)
            code = all_event_copy(&out, &arena, &event);
        th_arena_fini(&arena);
        if (code == TH_OK)
            break;
        assert_int_equal(code, TH_NOMEM);
        refused++;
    }
    assert_true(refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_survives_a_round_trip),
        cmocka_unit_test(test_any_event_that_can_be_made_survives),
        cmocka_unit_test(test_the_frame_names_record_and_version),
        cmocka_unit_test(test_frames_that_are_none),
        cmocka_unit_test(test_json_reads_well),
        cmocka_unit_test(test_what_cannot_be_read_is_not_written),
        cmocka_unit_test(test_a_newer_reader_fills_in_defaults),
        cmocka_unit_test(test_an_older_reader_takes_the_prefix_it_knows),
        cmocka_unit_test(test_every_version_has_its_schema),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_meta_is_where_every_event_has_it),
        cmocka_unit_test(test_a_copy_shares_nothing),
        cmocka_unit_test(test_too_little_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
