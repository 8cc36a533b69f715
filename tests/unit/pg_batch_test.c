/* Batches: what is packed comes out again, and damaged bytes are found, never followed. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "common/crc32c.h"
#include "connectors/postgres/pg_batch.h"

static struct th_log log_of_four;

static int set_up(void **unused)
{
    (void)unused;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        log_of_four.partitions[topic] = topic_kind((enum topic)topic) == TOPIC_REFERENCE ? 1 : 4;
    return 0;
}

static void test_checksum(void **unused)
{
    (void)unused;
    /* RFC 3720, B.4. */
    static const struct {
        const char *says;
        char first;
        char step;
        uint32_t crc;
    } cases[] = {
        {"32 zeros", 0, 0, 0x8a9136aa},
        {"32 ones", (char)0xff, 0, 0x62a8ab43},
        {"32 incrementing", 0, 1, 0x46dd794e},
        {"32 decrementing", 31, -1, 0x113fdb5c},
    };
    char bytes[100];

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        for (int k = 0; k < 32; k++)
            bytes[k] = (char)(cases[i].first + k * cases[i].step);
        assert_int_equal(crc32c((struct th_str){bytes, 32}), cases[i].crc);
        assert_int_equal(crc32c_by_table((struct th_str){bytes, 32}), cases[i].crc);
    }
    assert_int_equal(crc32c(TH_STR("123456789")), 0xe3069283);
    for (int k = 0; k < 100; k++)
        bytes[k] = (char)(k * 7);
    for (size_t n = 0; n <= 100; n++)
        assert_int_equal(crc32c((struct th_str){bytes, n}),
                         crc32c_by_table((struct th_str){bytes, n}));
}

static char payload[LOG_RECORD_SIZE_MAX];

static struct log_output lane_output(int part, size_t size)
{
    return (struct log_output){TOPIC_DISPATCH_ATTEMPTS, part, TH_STR("pratham/7"),
                               .value = {payload, size}};
}

static void test_order_of_batches(void **unused)
{
    (void)unused;
    const struct log_output outputs[] = {
        {TOPIC_DISPATCH_ATTEMPTS, 3, TH_STR("a"), .value = TH_STR("1")},
        {TOPIC_CONFIG, -1, TH_STR("b"), .value = TH_STR("2")},
        {TOPIC_DISPATCH_REQUESTS, 2, TH_STR("c"), .value = TH_STR("3")},
        {TOPIC_DISPATCH_ATTEMPTS, 0, TH_STR("d"), .value = TH_STR("4")},
        {TOPIC_DISPATCH_ATTEMPTS, 3, TH_STR("e"), .value = TH_STR("5")},
        {TOPIC_DISPATCH_REQUESTS, 2, TH_STR("f"), .value = TH_STR("6")},
    };
    static const struct {
        enum topic topic;
        int part;
        int count;
    } batches[] = {
        {TOPIC_DISPATCH_REQUESTS, 2, 2},
        {TOPIC_DISPATCH_ATTEMPTS, 0, 1},
        {TOPIC_DISPATCH_ATTEMPTS, 3, 2},
        {TOPIC_CONFIG, 0, 1},
    };
    static const int64_t bases[] = {100, 200, 300, 400};
    static const int64_t offsets[] = {300, 400, 100, 200, 301, 101};
    struct pg_pack pack = {0};
    struct th_err err = {0};

    for (int again = 0; again < 2; again++) { /* a pack is used again */
        assert_int_equal(pg_pack_make(&pack, &log_of_four, outputs, TH_LEN(outputs), NULL,
                                      1700000000000000, &err),
                         TH_OK);
        assert_int_equal(pack.n, TH_LEN(batches));
        for (size_t i = 0; i < pack.n; i++) {
            assert_int_equal(pack.batches[i].topic, batches[i].topic);
            assert_int_equal(pack.batches[i].part, batches[i].part);
            assert_int_equal(pack.batches[i].count, batches[i].count);
            assert_int_equal(pack.batches[i].prior, 0);
        }
        for (size_t i = 0; i < TH_LEN(outputs); i++)
            assert_int_equal(pg_pack_place(&pack, bases, i).offset, offsets[i]);
        assert_int_equal(pack.topics, 1u << TOPIC_DISPATCH_ATTEMPTS | 1u << TOPIC_CONFIG |
                                          1u << TOPIC_DISPATCH_REQUESTS);
    }
    pg_pack_fini(&pack);
}

static void test_large_batches_are_split(void **unused)
{
    (void)unused;
    struct log_output outputs[7];
    struct pg_pack pack = {0};
    struct th_err err = {0};
    int records = 0;

    for (size_t i = 0; i < 6; i++)
        outputs[i] = lane_output(1, (size_t)200 * 1024);
    outputs[6] = lane_output(1, LOG_RECORD_SIZE_MAX - strlen("pratham/7"));
    assert_int_equal(pg_pack_make(&pack, &log_of_four, outputs, TH_LEN(outputs), NULL, 1, &err),
                     TH_OK);
    assert_int_equal(pack.n, 4);
    for (size_t i = 0; i < pack.n; i++) {
        assert_int_equal(pack.batches[i].prior, records);
        assert_true(pack.batches[i].count == 1 || pack.batches[i].block->size <= PG_BATCH_RAW_MAX);
        assert_true(pack.batches[i].block->size <= PG_BATCH_SIZE_MAX);
        records += pack.batches[i].count;
    }
    assert_int_equal(records, TH_LEN(outputs));
    pg_pack_fini(&pack);
}

/* A batch of records of many sizes. */
#define RECORDS 300

static struct th_str value(size_t i)
{
    return (struct th_str){payload + i * RECORDS, i};
}

/* Of every eighth record: random bytes must stay what cannot be compressed. */
static struct th_str headers(size_t i)
{
    return i % 8 == 0 ? TH_STR("\5trace\3ab\4null\0") : (struct th_str){0};
}

static struct pg_block *make_block(struct pg_pack *pack, bool is_random)
{
    static struct log_output outputs[RECORDS];
    struct th_err err = {0};
    uint32_t seed = 1;

    for (size_t i = 0; i < sizeof payload; i++) {
        seed = seed * 1664525 + 1013904223;
        payload[i] = is_random ? (char)(seed >> 24) : 'x';
    }
    for (size_t i = 0; i < RECORDS; i++)
        outputs[i] = (struct log_output){TOPIC_DISPATCH_ATTEMPTS, 0, TH_STR("pratham/7"), value(i),
                                         headers(i)};
    assert_int_equal(
        pg_pack_make(pack, &log_of_four, outputs, RECORDS, NULL, 1700000000000000, &err), TH_OK);
    assert_int_equal(pack->n, 1);
    return pack->batches[0].block;
}

static void assert_records(const struct pg_block *block)
{
    struct pg_walk walk = {0};
    struct log_record record;
    size_t n = 0;

    for (; pg_walk_next(&walk, block, &record); n++) {
        assert_int_equal(record.at_us, 1700000000000000);
        assert_str_equal(record.key, TH_STR("pratham/7"));
        assert_str_equal(record.value, value(n));
        assert_str_equal(record.headers, headers(n));
    }
    assert_int_equal(n, RECORDS);
    assert_int_equal(walk.at, block->size);
}

static void test_records_come_back(void **unused)
{
    (void)unused;
    for (int is_random = 0; is_random < 2; is_random++) {
        struct pg_pack pack = {0};
        struct th_buf scratch = {0};
        struct th_err err = {0};
        enum pg_codec codec;
        struct pg_block *restored = NULL;
        struct pg_block *block = make_block(&pack, is_random);
        struct th_str raw = {block->bytes, block->size};

        assert_records(block);
        struct th_str stored = pg_compress(raw, &scratch, &codec);
        assert_int_equal(codec, is_random ? PG_CODEC_RAW : PG_CODEC_LZ4);
        assert_int_equal(
            pg_block_of_stored(stored, (int)codec, raw.n, crc32c(stored), RECORDS, &restored, &err),
            TH_OK);
        assert_records(restored);
        pg_block_unref(restored);
        th_buf_fini(&scratch);
        pg_pack_fini(&pack);
    }
}

static void test_damage_is_found(void **unused)
{
    (void)unused;
    struct pg_pack pack = {0};
    struct th_buf scratch = {0};
    struct th_err err = {0};
    struct pg_block *restored = NULL;
    enum pg_codec codec;
    struct pg_block *block = make_block(&pack, false);
    struct th_str stored =
        pg_compress((struct th_str){block->bytes, block->size}, &scratch, &codec);
    uint32_t crc = crc32c(stored);
    char *bytes = (char *)stored.p;

    for (size_t i = 0; i < stored.n; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(
            pg_block_of_stored(stored, (int)codec, block->size, crc, RECORDS, &restored, &err),
            TH_CORRUPT);
        /* With a checksum that was made to fit, decompressing must stay within its bounds. */
        if (pg_block_of_stored(stored, (int)codec, block->size, crc32c(stored), RECORDS, &restored,
                               &err) == TH_OK)
            pg_block_unref(TH_TAKE(restored));
        bytes[i] ^= 0x10;
    }
    struct th_str cut = {stored.p, stored.n - 1};
    assert_int_equal(
        pg_block_of_stored(cut, (int)codec, block->size, crc32c(cut), RECORDS, &restored, &err),
        TH_CORRUPT);
    assert_int_equal(
        pg_block_of_stored(stored, (int)codec, block->size + 1, crc, RECORDS, &restored, &err),
        TH_CORRUPT);
    assert_int_equal(pg_block_of_stored(stored, (int)codec, PG_BATCH_SIZE_MAX + 1, crc, RECORDS,
                                        &restored, &err),
                     TH_CORRUPT);
    assert_int_equal(pg_block_of_stored(stored, 7, block->size, crc, RECORDS, &restored, &err),
                     TH_CORRUPT);
    th_buf_fini(&scratch);
    pg_pack_fini(&pack);
}

/* A checksum that fits does not make bytes trustworthy. */
static void test_a_walk_stays_inside(void **unused)
{
    (void)unused;
    struct pg_pack pack = {0};
    struct pg_block *block = make_block(&pack, true);
    uint32_t seed = 7;

    for (int round = 0; round < 20000; round++) {
        size_t size = 1 + (seed >> 8) % 200;
        struct pg_block *damaged = pg_block_new(size, 20);
        struct pg_walk walk = {0};
        struct log_record record;

        assert_non_null(damaged);
        memcpy(damaged->bytes, block->bytes, size);
        for (int k = 0; k < 4; k++) {
            seed = seed * 1664525 + 1013904223;
            damaged->bytes[(seed >> 8) % size] = (char)(seed >> 24);
        }
        while (pg_walk_next(&walk, damaged, &record)) {
            assert_true(record.key.p >= damaged->bytes);
            assert_true(record.headers.p >= damaged->bytes);
            assert_true(record.headers.p + record.headers.n <= damaged->bytes + size);
            assert_true(record.value.p + record.value.n <= damaged->bytes + size);
        }
        assert_true(walk.at <= size);
        pg_block_unref(damaged);
    }
    pg_pack_fini(&pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_order_of_batches),
        cmocka_unit_test(test_large_batches_are_split),
        cmocka_unit_test(test_records_come_back),
        cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_a_walk_stays_inside),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
