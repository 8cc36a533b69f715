/* replay_filter.h - which records of a log a replay plays.
 *
 * Reference topics are never filtered: what they say (accounts, opt-outs, controls) belongs to
 * whatever is played. Of a campaign come its commands and events, its audience, its sends and their
 * attempts; which sends those are is read from the source first.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_REPLAY_FILTER_H
#define TELEHUB_COMMON_EVENTLOG_REPLAY_FILTER_H

#include "common/eventlog/hash_set.h"
#include "common/eventlog/log.h"
#include "common/ids.h"

struct replay_filter {
    struct th_str tenant; /* n == 0: any */
    bool has_campaign;
    struct th_id campaign;
    int64_t from_us; /* appended at this time or later; 0: any */
    int64_t to_us;   /* appended before; 0: any */
};

/* A filter that knows its campaign's sends and audiences. Zero-initialise. */
struct replay_sieve {
    struct replay_filter filter;
    struct hash_set sends;
    struct hash_set audiences;
};

/* Parse "tenant=…,campaign=…,from=…,to=…", each at most once, any left out; times are RFC 3339.
 * tenant views text. Errors: TH_INVALID */
TH_MUST_USE
enum th_code replay_filter_parse(const char *text, struct replay_filter *out, struct th_err *err);

/* Reads the source if a campaign is asked for. Errors: as log_scan_next; TH_NOT_FOUND (the source
 * knows no such campaign) */
TH_MUST_USE
enum th_code replay_sieve_init(struct replay_sieve *sieve, const struct replay_filter *filter,
                               struct th_log *source, struct th_err *err);
void replay_sieve_fini(struct replay_sieve *sieve);

/* arena: for looking into the value; reset before. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code replay_sieve_keeps(const struct replay_sieve *sieve, const struct log_record *record,
                                struct th_arena *arena, bool *out_keeps);

#endif
