/* ids.h - 128-bit ids: UUIDv7 where something is new, UUIDv8 where a repeat must give the same.
 *
 * Pure but for th_id_random. Byte order is time order for ids that begin with one (RFC 9562).
 * th_id_derive and th_id_send hash: a program that calls them links th_ids (libcrypto).
 */
#ifndef TELEHUB_COMMON_IDS_H
#define TELEHUB_COMMON_IDS_H

#include "common/err.h"
#include "common/str.h"

struct th_id {
    uint8_t b[16];
};

#define TH_ID_TEXT_LEN   36
#define TH_ID_RANDOM_LEN 10

/* A list of parts as the two arguments that say so: th_id_derive(TH_PARTS(tenant, key)). */
#define TH_PARTS(...)                                                                              \
    (const struct th_str[]){__VA_ARGS__},                                                          \
        sizeof((const struct th_str[]){__VA_ARGS__}) / sizeof(struct th_str)

/* UUIDv7 of a time (0 <= unix_ms < 2^48) and bytes that the caller drew. */
struct th_id th_id_v7(int64_t unix_ms, const uint8_t random[TH_ID_RANDOM_LEN]);

/* UUIDv7 with bytes from the kernel.
 * Errors: TH_UNAVAILABLE  the kernel has no randomness to give */
TH_MUST_USE
enum th_code th_id_random(int64_t unix_ms, struct th_id *out_id, struct th_err *err);

/* UUIDv8: the SHA-256 of the parts (see th_sha256_parts). The first part should say what kind of
 * id it is, so that ids of different kinds never meet. */
struct th_id th_id_derive(const struct th_str *parts, size_t count);

/* The same with the milliseconds of a run's start in the first 48 bits, by which views are
 * partitioned. 0 <= run_start_ms < 2^48. */
struct th_id th_id_send(int64_t run_start_ms, const struct th_str *parts, size_t count);

/* The first 48 bits; a time in ids made by th_id_v7, th_id_random and th_id_send. */
int64_t th_id_ms(struct th_id id);

/* Lower case, with dashes and a NUL. */
void th_id_text(struct th_id id, char out_text[TH_ID_TEXT_LEN + 1]);

/* Any UUID in its usual form, either case; false otherwise, *out_id untouched. */
TH_MUST_USE
bool th_id_parse(struct th_str text, struct th_id *out_id);

int th_id_cmp(struct th_id a, struct th_id b);
bool th_id_eq(struct th_id a, struct th_id b);
bool th_id_is_zero(struct th_id id);

/* For tables. */
uint64_t th_id_hash(struct th_id id);

/* Its 16 bytes; valid as long as *id. */
struct th_str th_id_bytes(const struct th_id *id);

#endif
