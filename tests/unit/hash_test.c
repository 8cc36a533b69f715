#include "tests/unit/test.h"

#include "common/hash.h"

#include <string.h>

/* The vectors of Kafka's own UtilsTest.testMurmur2. */
static void test_murmur2_is_the_one_of_the_java_client(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int32_t hash;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].text);
        assert_int_equal((int32_t)th_murmur2(th_str(cases[i].text)), cases[i].hash);
    }
    assert_int_equal(th_partition(TH_STR("21"), 4), (-973932308 & INT32_MAX) % 4);
    assert_int_equal(th_partition(TH_STR("abc"), 32), 479470107 % 32);
}

/* The values of a second implementation, in Python. They lie in snapshots. */
static void test_hash64_values_stay(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        uint64_t seed;
        uint64_t hash;
    } cases[] = {
        {"nothing", "", 0, UINT64_C(0xfb2abb4ef7249e55)},
        {"a short key", "+919876543210", 0, UINT64_C(0x891a9271f3938106)},
        {"another seed", "+919876543210", 1, UINT64_C(0xc9f26a0385cb196f)},
        {"exactly one block", "0123456789abcdef", 0, UINT64_C(0x1113bce862da1e01)},
        {"a block and a rest", "0123456789abcdefg", 0, UINT64_C(0x052d5b10ac185657)},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        uint64_t hash = th_hash64(th_str(cases[i].text), cases[i].seed);
        print_message("  %s: %016llx\n", cases[i].says, (unsigned long long)hash);
        assert_true(hash == cases[i].hash);
    }
}

/* 64 inputs that differ in one bit each, over lengths around the block size: each output bit must
 * flip about half the time. */
static void test_hash64_spreads_single_bits(void **unused)
{
    (void)unused;
    for (size_t size = 1; size <= 40; size++) {
        char bytes[40];
        unsigned flips = 0;

        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(i * 37 + size);
        uint64_t before = th_hash64((struct th_str){bytes, size}, 7);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            uint64_t after = th_hash64((struct th_str){bytes, size}, 7);
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            assert_true(after != before);
            flips += (unsigned)__builtin_popcountll(before ^ after);
        }
        double share = (double)flips / (64.0 * 8.0 * (double)size);
        assert_true(share > 0.4 && share < 0.6);
    }
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void test_hash64_of_a_million_numbers_differ(void **unused)
{
    (void)unused;
    const size_t count = 1000000;
    uint64_t *hashes = calloc(count, sizeof *hashes);

    assert_non_null(hashes);
    for (size_t i = 0; i < count; i++) {
        char text[16] = "+9198";
        size_t rest = i;
        for (size_t k = 12; k >= 5; k--, rest /= 10)
            text[k] = (char)('0' + rest % 10);
        hashes[i] = th_hash64((struct th_str){text, 13}, 0);
    }
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    for (size_t i = 1; i < count; i++)
        assert_true(hashes[i] != hashes[i - 1]);
    free(hashes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_murmur2_is_the_one_of_the_java_client),
        cmocka_unit_test(test_hash64_values_stay),
        cmocka_unit_test(test_hash64_spreads_single_bits),
        cmocka_unit_test(test_hash64_of_a_million_numbers_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
