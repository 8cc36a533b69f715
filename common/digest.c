#include "common/digest.h"

#include <assert.h>
#include <endian.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Fetching an algorithm and making a context cost more than hashing an id, so the algorithm is
 * fetched once and a thread keeps its context until it ends. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t context_key;
static EVP_MD *sha256;

static void must(bool is_done)
{
    if (is_done)
        return;
    (void)fputs("telehub: SHA-256 is not to be had from OpenSSL\n", stderr);
    abort();
}

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void set_up(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(sha256 && pthread_key_create(&context_key, free_context) == 0);
}

__attribute__((destructor)) static void tear_down(void)
{
    if (!sha256)
        return;
    free_context(pthread_getspecific(context_key)); /* of the main thread, which only returns */
    (void)pthread_setspecific(context_key, NULL);
    EVP_MD_free(sha256);
    sha256 = NULL;
}

static EVP_MD_CTX *begin(void)
{
    must(pthread_once(&once, set_up) == 0);
    EVP_MD_CTX *context = pthread_getspecific(context_key);
    if (!context) {
        context = EVP_MD_CTX_new();
        must(context && pthread_setspecific(context_key, context) == 0);
    }
    must(EVP_DigestInit_ex2(context, sha256, NULL) == 1);
    return context;
}

void th_sha256(struct th_str bytes, uint8_t out_digest[TH_SHA256_SIZE])
{
    EVP_MD_CTX *context = begin();

    must(EVP_DigestUpdate(context, bytes.p, bytes.n) == 1 &&
         EVP_DigestFinal_ex(context, out_digest, NULL) == 1);
}

void th_sha256_parts(const struct th_str *parts, size_t count, uint8_t out_digest[TH_SHA256_SIZE])
{
    EVP_MD_CTX *context = begin();

    for (size_t i = 0; i < count; i++) {
        assert(parts[i].n <= UINT32_MAX);
        uint32_t size = htobe32((uint32_t)parts[i].n);
        must(EVP_DigestUpdate(context, &size, sizeof size) == 1 &&
             EVP_DigestUpdate(context, parts[i].p, parts[i].n) == 1);
    }
    must(EVP_DigestFinal_ex(context, out_digest, NULL) == 1);
}

static void hmac(const EVP_MD *md, struct th_str key, struct th_str bytes, uint8_t *out_mac)
{
    unsigned size;

    assert(key.n <= INT32_MAX);
    must(HMAC(md, key.p ? key.p : "", (int)key.n, (const unsigned char *)bytes.p, bytes.n, out_mac,
              &size) != NULL);
}

void th_hmac_sha256(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA256_SIZE])
{
    hmac(EVP_sha256(), key, bytes, out_mac);
}

void th_hmac_sha1(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA1_SIZE])
{
    hmac(EVP_sha1(), key, bytes, out_mac);
}
