/* OpenSSL's plain functions, which 3.0 calls deprecated, and not EVP: that asks for memory for each
 * digest, and there is no answer that a caller without one could go on with. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/digest.h"

#include <assert.h>
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#define BLOCK_SIZE 64 /* of both */

enum algorithm { BY_SHA1, BY_SHA256 };

struct digest {
    enum algorithm algorithm;
    union {
        SHA_CTX sha1;
        SHA256_CTX sha256;
    } as;
};

/* They give 1, always: they know no failure. */
static void must(int is_done)
{
    assert(is_done == 1);
}

static void begin(struct digest *digest, enum algorithm algorithm)
{
    digest->algorithm = algorithm;
    must(algorithm == BY_SHA1 ? SHA1_Init(&digest->as.sha1) : SHA256_Init(&digest->as.sha256));
}

static void add(struct digest *digest, const void *bytes, size_t n)
{
    must(digest->algorithm == BY_SHA1 ? SHA1_Update(&digest->as.sha1, bytes, n)
                                      : SHA256_Update(&digest->as.sha256, bytes, n));
}

static void end(struct digest *digest, uint8_t *out_digest)
{
    must(digest->algorithm == BY_SHA1 ? SHA1_Final(out_digest, &digest->as.sha1)
                                      : SHA256_Final(out_digest, &digest->as.sha256));
}

void th_sha256(struct th_str bytes, uint8_t out_digest[TH_SHA256_SIZE])
{
    struct digest digest;

    begin(&digest, BY_SHA256);
    add(&digest, bytes.p, bytes.n);
    end(&digest, out_digest);
}

static_assert(sizeof(SHA256_CTX) <= sizeof(struct th_sha256_sum), "it lies in there");
static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct th_sha256_sum), "and may");

void th_sha256_begin(struct th_sha256_sum *sum)
{
    must(SHA256_Init((SHA256_CTX *)sum->state));
}

void th_sha256_add(struct th_sha256_sum *sum, struct th_str bytes)
{
    if (bytes.n)
        must(SHA256_Update((SHA256_CTX *)sum->state, bytes.p, bytes.n));
}

void th_sha256_end(struct th_sha256_sum *sum, uint8_t out_digest[TH_SHA256_SIZE])
{
    must(SHA256_Final(out_digest, (SHA256_CTX *)sum->state));
}

void th_sha256_parts(const struct th_str *parts, size_t count, uint8_t out_digest[TH_SHA256_SIZE])
{
    struct digest digest;

    begin(&digest, BY_SHA256);
    for (size_t i = 0; i < count; i++) {
        assert(parts[i].n <= UINT32_MAX);
        uint32_t size = htobe32((uint32_t)parts[i].n);
        add(&digest, &size, sizeof size);
        add(&digest, parts[i].p, parts[i].n);
    }
    end(&digest, out_digest);
}

/* RFC 2104. */
static void hmac(enum algorithm algorithm, size_t digest_size, struct th_str key,
                 struct th_str bytes, uint8_t *out_mac)
{
    uint8_t inner[BLOCK_SIZE] = {0};
    uint8_t outer[BLOCK_SIZE];
    uint8_t hash[TH_SHA256_SIZE];
    struct digest digest;

    if (key.n > BLOCK_SIZE) {
        begin(&digest, algorithm);
        add(&digest, key.p, key.n);
        end(&digest, inner);
    } else if (key.n) {
        memcpy(inner, key.p, key.n);
    }
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    begin(&digest, algorithm);
    add(&digest, inner, sizeof inner);
    add(&digest, bytes.p, bytes.n);
    end(&digest, hash);
    begin(&digest, algorithm);
    add(&digest, outer, sizeof outer);
    add(&digest, hash, digest_size);
    end(&digest, out_mac);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
    OPENSSL_cleanse(&digest, sizeof digest);
}

void th_hmac_sha256(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA256_SIZE])
{
    hmac(BY_SHA256, TH_SHA256_SIZE, key, bytes, out_mac);
}

void th_hmac_sha1(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA1_SIZE])
{
    hmac(BY_SHA1, TH_SHA1_SIZE, key, bytes, out_mac);
}
