#include "common/digest.h"

#include <assert.h>
#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum algorithm { SHA1, SHA256 };

#define ALGORITHMS      (SHA256 + 1)
#define BLOCK_SIZE      64 /* of both */
#define DIGEST_SIZE_MAX TH_SHA256_SIZE

/* Fetching an algorithm and making a context cost more than hashing an id, so the algorithms are
 * fetched once and a thread keeps its contexts until it ends. (OpenSSL's own HMAC fetches three
 * times for each text.) */
struct contexts {
    EVP_MD_CTX *of[ALGORITHMS];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key; /* knows when a thread ends */
static _Thread_local struct contexts mine;
static EVP_MD *digests[ALGORITHMS];

static void must(bool is_done)
{
    if (is_done)
        return;
    (void)fputs("telehub: SHA-1 or SHA-256 is not to be had from OpenSSL\n", stderr);
    abort();
}

static void free_contexts(void *cls)
{
    struct contexts *contexts = cls;

    if (!contexts)
        return;
    for (int i = 0; i < ALGORITHMS; i++)
        EVP_MD_CTX_free(contexts->of[i]);
    *contexts = (struct contexts){{NULL}};
}

static void set_up(void)
{
    digests[SHA1] = EVP_MD_fetch(NULL, "SHA1", NULL);
    digests[SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(digests[SHA1] && digests[SHA256] && pthread_key_create(&contexts_key, free_contexts) == 0);
}

__attribute__((destructor)) static void tear_down(void)
{
    if (!digests[SHA256])
        return;
    free_contexts(pthread_getspecific(contexts_key)); /* of the main thread, which only returns */
    (void)pthread_setspecific(contexts_key, NULL);
    for (int i = 0; i < ALGORITHMS; i++) {
        EVP_MD_free(digests[i]);
        digests[i] = NULL;
    }
}

static EVP_MD_CTX *begin(enum algorithm algorithm)
{
    must(pthread_once(&once, set_up) == 0);
    if (!pthread_getspecific(contexts_key))
        must(pthread_setspecific(contexts_key, &mine) == 0);
    if (!mine.of[algorithm])
        mine.of[algorithm] = EVP_MD_CTX_new();
    must(mine.of[algorithm] &&
         EVP_DigestInit_ex2(mine.of[algorithm], digests[algorithm], NULL) == 1);
    return mine.of[algorithm];
}

static void add(EVP_MD_CTX *context, const void *bytes, size_t n)
{
    must(EVP_DigestUpdate(context, bytes, n) == 1);
}

static void end(EVP_MD_CTX *context, uint8_t *out_digest)
{
    must(EVP_DigestFinal_ex(context, out_digest, NULL) == 1);
}

void th_sha256(struct th_str bytes, uint8_t out_digest[TH_SHA256_SIZE])
{
    EVP_MD_CTX *context = begin(SHA256);

    add(context, bytes.p, bytes.n);
    end(context, out_digest);
}

void th_sha256_parts(const struct th_str *parts, size_t count, uint8_t out_digest[TH_SHA256_SIZE])
{
    EVP_MD_CTX *context = begin(SHA256);

    for (size_t i = 0; i < count; i++) {
        assert(parts[i].n <= UINT32_MAX);
        uint32_t size = htobe32((uint32_t)parts[i].n);
        add(context, &size, sizeof size);
        add(context, parts[i].p, parts[i].n);
    }
    end(context, out_digest);
}

/* RFC 2104. */
static void hmac(enum algorithm algorithm, size_t digest_size, struct th_str key,
                 struct th_str bytes, uint8_t *out_mac)
{
    uint8_t inner[BLOCK_SIZE] = {0};
    uint8_t outer[BLOCK_SIZE];
    uint8_t digest[DIGEST_SIZE_MAX];

    if (key.n > BLOCK_SIZE) {
        EVP_MD_CTX *context = begin(algorithm);
        add(context, key.p, key.n);
        end(context, inner);
    } else if (key.n) {
        memcpy(inner, key.p, key.n);
    }
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    EVP_MD_CTX *context = begin(algorithm);
    add(context, inner, sizeof inner);
    add(context, bytes.p, bytes.n);
    end(context, digest);
    context = begin(algorithm);
    add(context, outer, sizeof outer);
    add(context, digest, digest_size);
    end(context, out_mac);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(outer, sizeof outer);
}

void th_hmac_sha256(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA256_SIZE])
{
    hmac(SHA256, TH_SHA256_SIZE, key, bytes, out_mac);
}

void th_hmac_sha1(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA1_SIZE])
{
    hmac(SHA1, TH_SHA1_SIZE, key, bytes, out_mac);
}
