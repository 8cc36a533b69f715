#include "tests/unit/test.h"

#include "common/digest.h"
#include "common/encode.h"

#include <pthread.h>

static void assert_digest(const uint8_t *digest, size_t size, const char *hex)
{
    char text[2 * TH_SHA256_SIZE + 1];

    th_hex((struct th_str){(const char *)digest, size}, text);
    assert_string_equal(text, hex);
}

/* FIPS 180-4 examples. */
static void test_sha256(void **unused)
{
    (void)unused;
    uint8_t digest[TH_SHA256_SIZE];

    th_sha256(TH_STR("abc"), digest);
    assert_digest(digest, sizeof digest,
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    th_sha256((struct th_str){NULL, 0}, digest);
    assert_digest(digest, sizeof digest,
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_parts_are_hashed_behind_their_lengths(void **unused)
{
    (void)unused;
    uint8_t of_parts[TH_SHA256_SIZE];
    uint8_t of_bytes[TH_SHA256_SIZE];
    const struct th_str parts[] = {TH_STR("ab"), {NULL, 0}, TH_STR("c")};

    th_sha256_parts(parts, TH_LEN(parts), of_parts);
    th_sha256(TH_STR("\0\0\0\2ab\0\0\0\0\0\0\0\1c"), of_bytes);
    assert_memory_equal(of_parts, of_bytes, sizeof of_parts);
}

/* RFC 4231 and RFC 2202, test case 2; and an empty key. */
static void test_hmac(void **unused)
{
    (void)unused;
    uint8_t mac[TH_SHA256_SIZE];
    const struct th_str text = TH_STR("what do ya want for nothing?");

    th_hmac_sha256(TH_STR("Jefe"), text, mac);
    assert_digest(mac, TH_SHA256_SIZE,
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    th_hmac_sha1(TH_STR("Jefe"), text, mac);
    assert_digest(mac, TH_SHA1_SIZE, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    th_hmac_sha256((struct th_str){NULL, 0}, (struct th_str){NULL, 0}, mac);
    assert_digest(mac, TH_SHA256_SIZE,
                  "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void *hash_often(void *unused)
{
    (void)unused;
    uint8_t digest[TH_SHA256_SIZE];

    for (int i = 0; i < 1000; i++) {
        th_sha256(TH_STR("abc"), digest);
        if (digest[0] != 0xba || digest[31] != 0xad)
            return (void *)"differs";
    }
    return NULL;
}

static void test_threads_do_not_disturb_each_other(void **unused)
{
    (void)unused;
    pthread_t threads[4];

    for (size_t i = 0; i < TH_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, NULL), 0);
    for (size_t i = 0; i < TH_LEN(threads); i++) {
        void *failure;
        assert_int_equal(pthread_join(threads[i], &failure), 0);
        assert_null(failure);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_parts_are_hashed_behind_their_lengths),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
