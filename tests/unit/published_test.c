/* What was published stays: each schema that ever was on a log is still served under its id, what
 * it wrote can still be decoded, and each version can be read by the versions around it. */
#include "common/digest.h"
#include "common/encode.h"
#include "schemas/avro_resolution.h"
#include "schemas/events.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#define PUBLISHED_MAX 1000
#define VALUES        50 /* made of each schema */
#define ITEMS_MAX     3

struct published {
    unsigned id;
    unsigned version;
    char name[80];
    char sha256[65];
};

static struct published published[PUBLISHED_MAX];
static size_t published_n;
static struct th_arena arena;

static int begin(void **unused)
{
    FILE *file = fopen(PUBLISHED, "r");
    char line[256];

    (void)unused;
    th_arena_init(&arena, (size_t)16 * 1024 * 1024);
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file) && published_n < PUBLISHED_MAX) {
        struct published *at = &published[published_n];
        if (line[0] == '#')
            continue;
        if (sscanf(line, "%u %u %79s %64s", &at->id, &at->version, at->name, at->sha256) != 4)
            break;
        published_n++;
    }
    bool is_whole = feof(file);
    (void)fclose(file);
    return is_whole && published_n ? 0 : -1;
}

static int end(void **unused)
{
    (void)unused;
    th_arena_fini(&arena);
    return 0;
}

static const struct published *published_as(unsigned id)
{
    for (size_t i = 0; i < published_n; i++)
        if (published[i].id == id)
            return &published[i];
    return NULL;
}

static void digest_of(struct th_str text, char out_hex[65])
{
    uint8_t digest[TH_SHA256_SIZE];

    th_sha256(text, digest);
    th_hex((struct th_str){(const char *)digest, sizeof digest}, out_hex);
}

static void test_served(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < published_n; i++) {
        char sha256[65];
        struct th_str json = schema_json(published[i].id);
        digest_of(json, sha256);
        if (strcmp(sha256, published[i].sha256) != 0)
            print_message("%s, version %u: what id %u means has changed. Logs are kept, so it may "
                          "not: add a version instead.\n",
                          published[i].name, published[i].version, published[i].id);
        assert_string_equal(sha256, published[i].sha256);
    }
}

static void test_published(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema *schema = schema_at(i);
        const struct published *as = published_as(schema->id);
        char sha256[65];

        digest_of(schema->json, sha256);
        if (!as) {
            fail_msg("a new schema: add this line to schemas/published\n%u %u %s %s", schema->id,
                     schema->version, schema->name, sha256);
            return;
        }
        assert_int_equal(as->version, schema->version);
        assert_string_equal(as->name, schema->name);
    }
    assert_int_equal(schema_count(), published_n);
}

static const struct avro_schema *parsed(const struct schema *schema)
{
    const struct avro_schema *out = NULL;
    struct th_err err = {0};

    if (avro_schema_parse(schema->json, &arena, &out, &err) != TH_OK)
        print_message("%s: %s\n", schema->name, err.text);
    assert_non_null(out);
    return out;
}

static void expect_read(const struct schema *reader, const struct schema *writer)
{
    struct th_err why = {0};
    bool can_read = false;

    assert_int_equal(avro_resolve(parsed(reader), parsed(writer), &arena, &can_read, &why), TH_OK);
    if (!can_read)
        print_message("%s: version %u cannot read version %u: %s\n", reader->name, reader->version,
                      writer->version, why.text);
    assert_true(can_read);
}

/* New programs read old logs; and while a cluster is brought up to date, old ones read new logs. */
static void test_compatible(void **unused)
{
    size_t pairs = 0;

    (void)unused;
    for (size_t i = 0; i < schema_count(); i++)
        for (size_t k = 0; k < schema_count(); k++) {
            if (i == k || schema_at(i)->type != schema_at(k)->type)
                continue;
            expect_read(schema_at(i), schema_at(k));
            th_arena_reset(&arena);
            pairs++;
        }
    print_message("  %zu pairs of versions\n", pairs);
    assert_true(pairs > 0);
}

/* --- bytes, made by nothing but the schema ------------------------------------------------------
 */

static uint64_t state = 20260101;

static uint64_t next(void)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state >> 16;
}

static void put_long(struct th_buf *buf, int64_t value)
{
    char *room = th_buf_reserve(buf, 10);

    assert_non_null(room);
    buf->n = (size_t)((char *)avro_write_long((uint8_t *)room, value) - buf->p);
}

static void put_random(struct th_buf *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        th_buf_add_char(buf, (char)next());
}

static void put_value(struct th_buf *buf, const struct avro_schema *schema);

/* One block, if there is anything, and the end. */
static void put_items(struct th_buf *buf, const struct avro_schema *schema)
{
    int64_t n = (int64_t)(next() % (ITEMS_MAX + 1));

    if (n)
        put_long(buf, n);
    for (int64_t i = 0; i < n; i++) {
        if (schema->kind == AVRO_KIND_MAP) {
            put_long(buf, 1);
            th_buf_add_char(buf, (char)('a' + i));
        }
        put_value(buf, schema->item);
    }
    put_long(buf, 0);
}

static void put_bytes(struct th_buf *buf, bool is_text)
{
    size_t n = next() % 20;

    put_long(buf, (int64_t)n);
    if (!is_text)
        put_random(buf, n);
    for (size_t i = 0; is_text && i < n; i++)
        th_buf_add_char(buf, (char)(' ' + next() % 90));
}

static void put_value(struct th_buf *buf, const struct avro_schema *schema)
{
    size_t branch;

    switch (schema->kind) {
    case AVRO_KIND_NULL:
        break;
    case AVRO_KIND_BOOLEAN:
        th_buf_add_char(buf, (char)(next() % 2));
        break;
    case AVRO_KIND_INT:
        put_long(buf, (int32_t)next());
        break;
    case AVRO_KIND_LONG:
        put_long(buf, (int64_t)(next() << (next() % 32)));
        break;
    case AVRO_KIND_FLOAT:
        put_random(buf, 4);
        break;
    case AVRO_KIND_DOUBLE:
        put_random(buf, 8);
        break;
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
        put_bytes(buf, schema->kind == AVRO_KIND_STRING);
        break;
    case AVRO_KIND_FIXED:
        put_random(buf, (size_t)schema->size);
        break;
    case AVRO_KIND_ENUM:
        put_long(buf, (int64_t)(next() % schema->symbols.n));
        break;
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        put_items(buf, schema);
        break;
    case AVRO_KIND_RECORD:
        for (size_t i = 0; i < schema->fields_n; i++)
            put_value(buf, schema->fields[i].type);
        break;
    case AVRO_KIND_UNION:
        branch = next() % schema->branches_n;
        put_long(buf, (int64_t)branch);
        put_value(buf, schema->branches[branch]);
        break;
    }
}

/* What was written is decoded as the newest version, and written again as that. */
static void expect_decoded(const struct schema *schema, const struct avro_schema *writer)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    struct avro_frame frame;
    struct event event;
    struct th_err err = {0};

    avro_write_frame(&value, schema->id);
    put_value(&value, writer);
    assert_int_equal(th_buf_status(&value), TH_OK);
    if (event_decode(th_buf_str(&value), &arena, &event, &err) != TH_OK)
        print_message("%s, version %u: %s\n", schema->name, schema->version, err.text);
    assert_int_equal(err.code, TH_OK);
    assert_int_equal(event.type, schema->type);
    assert_int_equal(event_encode(&event, &again), TH_OK);
    assert_int_equal(avro_read_frame(th_buf_str(&again), &frame, NULL), TH_OK);
    if (frame.schema_id == schema->id)
        assert_str_equal(th_buf_str(&again), th_buf_str(&value));
    else
        assert_true(frame.version > schema->version);
}

static void test_decodable(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < schema_count(); i++)
        for (size_t k = 0; k < VALUES; k++) {
            expect_decoded(schema_at(i), parsed(schema_at(i)));
            th_arena_reset(&arena);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_served),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_compatible),
        cmocka_unit_test(test_decodable),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
