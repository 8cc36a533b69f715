/* view_rows.h - the rows of the views: one struct and one description of columns per table.
 *
 * What folds, what stores and what compares all work by these descriptions, so that a column is
 * named once here and once in the migration that makes it (schemas/sql/0002_views.sql explains each
 * of them). Times (…_at) are µs UTC, 0: has not happened. Empty texts, zero ids and zero times that
 * are no part of the key are SQL's null.
 *
 * Pure.
 */
#ifndef TELEHUB_COMMON_VIEW_ROWS_H
#define TELEHUB_COMMON_VIEW_ROWS_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/ids.h"

enum view_type {
    VIEW_UUID, /* struct th_id */
    VIEW_TEXT, /* struct th_str, UTF-8 */
    VIEW_BYTES,
    VIEW_INT4,
    VIEW_INT8,
    VIEW_BOOL,
    VIEW_TIME, /* int64_t */
};

/* X(type, column, is part of the key) */
#define VIEW_SENDS(X)                                                                              \
    X(UUID, send, true)                                                                            \
    X(TEXT, tenant, false)                                                                         \
    X(UUID, campaign, false)                                                                       \
    X(INT4, run, false)                                                                            \
    X(UUID, audience, false)                                                                       \
    X(INT4, part, false)                                                                           \
    X(INT4, row, false)                                                                            \
    X(TEXT, channel, false)                                                                        \
    X(TEXT, phone, false)                                                                          \
    X(TIME, requested_at, false)                                                                   \
    X(TIME, changed_at, false)                                                                     \
    X(TEXT, outcome, false)                                                                        \
    X(TEXT, reason, false)                                                                         \
    X(INT4, attempts, false)                                                                       \
    X(INT4, lane, false)                                                                           \
    X(TIME, planned_at, false)                                                                     \
    X(TEXT, attempt_outcome, false)                                                                \
    X(TEXT, attempt_reason, false)                                                                 \
    X(TIME, attempt_at, false)                                                                     \
    X(TEXT, status, false)                                                                         \
    X(INT4, status_rank, false)                                                                    \
    X(BOOL, status_is_final, false)                                                                \
    X(TEXT, status_reason, false)                                                                  \
    X(TIME, status_provider_at, false)                                                             \
    X(TIME, status_at, false)                                                                      \
    X(TIME, reached_at, false)                                                                     \
    X(INT4, moved_on, false)                                                                       \
    X(INT4, ended_attempt, false)                                                                  \
    X(TEXT, ended_reason, false)                                                                   \
    X(TIME, ended_at, false)                                                                       \
    X(TEXT, suppressed_reason, false)                                                              \
    X(TIME, suppressed_at, false)                                                                  \
    X(BYTES, places, false)

#define VIEW_ATTEMPTS(X)                                                                           \
    X(UUID, send, true)                                                                            \
    X(INT4, n, true)                                                                               \
    X(TEXT, tenant, false)                                                                         \
    X(UUID, campaign, false)                                                                       \
    X(INT4, lane, false)                                                                           \
    X(TEXT, channel, false)                                                                        \
    X(TEXT, phone, false)                                                                          \
    X(TEXT, sender, false)                                                                         \
    X(INT4, segments, false)                                                                       \
    X(TIME, started_at, false)                                                                     \
    X(TEXT, state, false)                                                                          \
    X(TEXT, outcome, false)                                                                        \
    X(TEXT, outcome_reason, false)                                                                 \
    X(TEXT, error_class, false)                                                                    \
    X(TIME, outcome_at, false)                                                                     \
    X(TEXT, resolved_how, false)                                                                   \
    X(TEXT, provider_id, false)                                                                    \
    X(INT4, http_status, false)                                                                    \
    X(TEXT, provider_code, false)                                                                  \
    X(INT8, call_us, false)                                                                        \
    X(TEXT, returned_reason, false)                                                                \
    X(TIME, returned_at, false)                                                                    \
    X(TEXT, status, false)                                                                         \
    X(INT4, status_rank, false)                                                                    \
    X(BOOL, status_is_final, false)                                                                \
    X(BOOL, status_is_positive, false)                                                             \
    X(TEXT, status_reason, false)                                                                  \
    X(TEXT, status_code, false)                                                                    \
    X(TIME, status_provider_at, false)                                                             \
    X(TIME, status_at, false)                                                                      \
    X(TIME, ringing_at, false)                                                                     \
    X(TIME, answered_at, false)                                                                    \
    X(TIME, ended_at, false)                                                                       \
    X(INT4, duration_s, false)                                                                     \
    X(INT8, estimate_micros, false)                                                                \
    X(TEXT, estimate_currency, false)                                                              \
    X(INT8, price_micros, false)                                                                   \
    X(TEXT, price_currency, false)                                                                 \
    X(TIME, priced_at, false)

#define VIEW_CAMPAIGNS(X)                                                                          \
    X(UUID, campaign, true)                                                                        \
    X(TEXT, tenant, false)                                                                         \
    X(TEXT, name, false)                                                                           \
    X(TEXT, channel, false)                                                                        \
    X(UUID, audience, false)                                                                       \
    X(INT4, pace_per_min, false)                                                                   \
    X(TEXT, policy, false)                                                                         \
    X(TEXT, category, false)                                                                       \
    X(TEXT, phase, false)                                                                          \
    X(TIME, created_at, false)                                                                     \
    X(TIME, started_at, false)                                                                     \
    X(TIME, ended_at, false)                                                                       \
    X(INT4, run, false)                                                                            \
    X(INT8, run_started_ms, false)                                                                 \
    X(INT4, parts, false)                                                                          \
    X(INT8, recipients, false)                                                                     \
    X(INT8, released, false)                                                                       \
    X(INT8, duplicates, false)                                                                     \
    X(INT8, in_flight, false)                                                                      \
    X(UUID, start_command, false)                                                                  \
    X(TEXT, refused_code, false)                                                                   \
    X(TEXT, refused_detail, false)                                                                 \
    X(INT8, events_next, false)

#define VIEW_COMMANDS(X)                                                                           \
    X(UUID, command, true)                                                                         \
    X(TEXT, tenant, false)                                                                         \
    X(UUID, campaign, false)                                                                       \
    X(TEXT, kind, false)                                                                           \
    X(TIME, asked_at, false)                                                                       \
    X(TEXT, status, false)                                                                         \
    X(TEXT, code, false)                                                                           \
    X(TEXT, detail, false)                                                                         \
    X(TIME, decided_at, false)

#define VIEW_AUDIENCES(X)                                                                          \
    X(UUID, audience, true)                                                                        \
    X(TEXT, tenant, false)                                                                         \
    X(TEXT, name, false)                                                                           \
    X(TIME, created_at, false)                                                                     \
    X(TIME, sealed_at, false)                                                                      \
    X(INT4, log_part, false)                                                                       \
    X(INT8, seal_next, false)                                                                      \
    X(INT4, parts, false)                                                                          \
    X(INT8, recipients, false)                                                                     \
    X(INT8, rejected, false)                                                                       \
    X(BYTES, sha256, false)

#define VIEW_AUDIENCE_PARTS(X)                                                                     \
    X(UUID, audience, true)                                                                        \
    X(INT4, part, true)                                                                            \
    X(TEXT, tenant, false)                                                                         \
    X(INT4, log_part, false)                                                                       \
    X(INT8, log_offset, false)                                                                     \
    X(INT4, recipients, false)                                                                     \
    X(INT4, rejected, false)                                                                       \
    X(BYTES, sha256, false)

#define VIEW_RELEASES(X)                                                                           \
    X(UUID, campaign, true)                                                                        \
    X(INT4, part, true)                                                                            \
    X(INT4, first_row, true)                                                                       \
    X(TEXT, tenant, false)                                                                         \
    X(INT4, recipients, false)                                                                     \
    X(BYTES, duplicates, false)                                                                    \
    X(TIME, released_at, false)

#define VIEW_OPT_OUTS(X)                                                                           \
    X(TEXT, tenant, true)                                                                          \
    X(INT8, contact, true)                                                                         \
    X(BOOL, is_opted_out, false)                                                                   \
    X(TEXT, phone, false)                                                                          \
    X(TEXT, source, false)                                                                         \
    X(TIME, changed_at, false)                                                                     \
    X(INT8, events_next, false)

#define VIEW_LANES(X)                                                                              \
    X(INT4, lane, true)                                                                            \
    X(TEXT, tenant, false)                                                                         \
    X(TEXT, account, false)                                                                        \
    X(TEXT, wire, false)                                                                           \
    X(TEXT, mode, false)                                                                           \
    X(INT8, events_next, false)

#define VIEW_DEAD_LETTERS(X)                                                                       \
    X(INT4, topic, true)                                                                           \
    X(INT4, log_part, true)                                                                        \
    X(INT8, log_offset, true)                                                                      \
    X(TEXT, tenant, false)                                                                         \
    X(TIME, at, false)                                                                             \
    X(TEXT, about_topic, false)                                                                    \
    X(TEXT, consumer, false)                                                                       \
    X(TEXT, code, false)                                                                           \
    X(TEXT, detail, false)                                                                         \
    X(UUID, letter, false)

#define VIEW_DEAD_LETTER_ENDS(X)                                                                   \
    X(UUID, letter, true)                                                                          \
    X(TEXT, tenant, false)                                                                         \
    X(TEXT, how, false)                                                                            \
    X(TIME, at, false)

#define VIEW_CAMPAIGN_COUNTERS(X)                                                                  \
    X(UUID, campaign, true)                                                                        \
    X(INT4, source, true)                                                                          \
    X(INT4, log_part, true)                                                                        \
    X(TEXT, outcome, true)                                                                         \
    X(TEXT, reason, true)                                                                          \
    X(TEXT, tenant, false)                                                                         \
    X(INT8, n, false)

#define VIEW_CAMPAIGN_COSTS(X)                                                                     \
    X(UUID, campaign, true)                                                                        \
    X(INT4, log_part, true)                                                                        \
    X(TEXT, currency, true)                                                                        \
    X(BOOL, is_estimated, true)                                                                    \
    X(TEXT, tenant, false)                                                                         \
    X(INT8, micros, false)                                                                         \
    X(INT8, n, false)

#define VIEW_CTYPE_UUID                 struct th_id
#define VIEW_CTYPE_TEXT                 struct th_str
#define VIEW_CTYPE_BYTES                struct th_str
#define VIEW_CTYPE_INT4                 int32_t
#define VIEW_CTYPE_INT8                 int64_t
#define VIEW_CTYPE_BOOL                 bool
#define VIEW_CTYPE_TIME                 int64_t
#define VIEW_MEMBER(type, name, is_key) VIEW_CTYPE_##type name;

/* table, its columns, its struct's name, what becomes of it when n is 0 */
#define VIEW_TABLES(X)                                                                             \
    X(VIEW_TABLE_SENDS, sends, VIEW_SENDS)                                                         \
    X(VIEW_TABLE_ATTEMPTS, attempts, VIEW_ATTEMPTS)                                                \
    X(VIEW_TABLE_CAMPAIGNS, campaigns, VIEW_CAMPAIGNS)                                             \
    X(VIEW_TABLE_COMMANDS, commands, VIEW_COMMANDS)                                                \
    X(VIEW_TABLE_AUDIENCES, audiences, VIEW_AUDIENCES)                                             \
    X(VIEW_TABLE_AUDIENCE_PARTS, audience_parts, VIEW_AUDIENCE_PARTS)                              \
    X(VIEW_TABLE_RELEASES, releases, VIEW_RELEASES)                                                \
    X(VIEW_TABLE_OPT_OUTS, opt_outs, VIEW_OPT_OUTS)                                                \
    X(VIEW_TABLE_LANES, lanes, VIEW_LANES)                                                         \
    X(VIEW_TABLE_DEAD_LETTERS, dead_letters, VIEW_DEAD_LETTERS)                                    \
    X(VIEW_TABLE_DEAD_LETTER_ENDS, dead_letter_ends, VIEW_DEAD_LETTER_ENDS)                        \
    X(VIEW_TABLE_CAMPAIGN_COUNTERS, campaign_counters, VIEW_CAMPAIGN_COUNTERS)                     \
    X(VIEW_TABLE_CAMPAIGN_COSTS, campaign_costs, VIEW_CAMPAIGN_COSTS)

enum view_table_id {
#define VIEW_TABLE_ENUM(id, name, columns) id,
    VIEW_TABLES(VIEW_TABLE_ENUM)
#undef VIEW_TABLE_ENUM
};

#define VIEW_TABLE_COUNT (VIEW_TABLE_CAMPAIGN_COSTS + 1)

#define VIEW_ROW_STRUCT(id, name, columns)                                                         \
    struct name##_row {                                                                            \
        columns(VIEW_MEMBER)                                                                       \
    };
VIEW_TABLES(VIEW_ROW_STRUCT)
#undef VIEW_ROW_STRUCT

/* Room for a row of any table. */
#define VIEW_ROW_OF_UNION(id, name, columns) struct name##_row name;
union view_any_row {
    VIEW_TABLES(VIEW_ROW_OF_UNION)
};
#undef VIEW_ROW_OF_UNION

/* Sources of campaign_counters: each is written by the slot of its topics' partitions alone. */
enum view_counter_source {
    VIEW_COUNTED_SENDS = 1,    /* by outcome and reason */
    VIEW_COUNTED_ATTEMPTS = 2, /* outcome "open": started, and nothing known since */
};

struct view_column {
    const char *name;
    enum view_type type;
    bool is_key;
    size_t at; /* in the row's struct */
};

struct view_table {
    const char *name;
    size_t row_size;
    const struct view_column *columns; /* those of the key first */
    size_t columns_n;
    size_t keys_n;
};

const struct view_table *view_table(enum view_table_id id);

/* Of the key's columns. */
uint64_t view_row_hash(const struct view_table *table, const void *row);
bool view_row_same_key(const struct view_table *table, const void *a, const void *b);

/* In all columns. */
bool view_row_equal(const struct view_table *table, const void *a, const void *b);

/* By the key, for sorting. */
int view_row_cmp(const struct view_table *table, const void *a, const void *b);

/* A copy whose texts live in arena. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_row_copy(const struct view_table *table, const void *row, struct th_arena *arena,
                           void *out_row);

/* "send=… tenant=… …" in the order of the columns; what a row is called and compared by. */
void view_row_print(const struct view_table *table, const void *row, struct th_buf *out);

/* The same of the key alone. */
void view_row_print_key(const struct view_table *table, const void *row, struct th_buf *out);

#endif
