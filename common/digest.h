/* digest.h - SHA-256 and keyed hashes, by OpenSSL (target th_ids).
 *
 * Any thread. They need no memory and cannot fail.
 */
#ifndef TELEHUB_COMMON_DIGEST_H
#define TELEHUB_COMMON_DIGEST_H

#include "common/str.h"

#define TH_SHA256_SIZE 32
#define TH_SHA1_SIZE   20

void th_sha256(struct th_str bytes, uint8_t out_digest[TH_SHA256_SIZE]);

/* The same in pieces: begin, add, add, end. Plain memory: nothing to free. */
struct th_sha256_sum {
    uint64_t state[16]; /* OpenSSL's */
};

void th_sha256_begin(struct th_sha256_sum *sum);
void th_sha256_add(struct th_sha256_sum *sum, struct th_str bytes);
void th_sha256_end(struct th_sha256_sum *sum, uint8_t out_digest[TH_SHA256_SIZE]);

/* Of a list, each part preceded by its length (32 bits, big endian), so that parts cannot run
 * into each other: ("ab", "c") and ("a", "bc") differ. Each part < 4 GiB. */
void th_sha256_parts(const struct th_str *parts, size_t count, uint8_t out_digest[TH_SHA256_SIZE]);

void th_hmac_sha256(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA256_SIZE]);

/* For providers that sign so (Twilio). */
void th_hmac_sha1(struct th_str key, struct th_str bytes, uint8_t out_mac[TH_SHA1_SIZE]);

#endif
