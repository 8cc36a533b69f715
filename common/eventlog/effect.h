/* effect.h - what a core asks the world to do, and what it hears back.
 *
 * A core never acts. It says an effect; the shell has it carried out and gives the answer back as
 * an input. Reads and questions are answered at once, inside the batch; everything else happens
 * only after the batch is committed, and only if the log itself said so.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_EFFECT_H
#define TELEHUB_COMMON_EVENTLOG_EFFECT_H

#include "common/provider.h"
#include "schemas/events.h"

#define AUDIENCE_PART_ROWS_MAX 1000

enum effect_type {
    /* answered at once; harmless, so they may be repeated */
    EFFECT_OPEN_AUDIENCE,
    EFFECT_READ_PART,
    EFFECT_READ_RECIPIENT,
    EFFECT_ASK_JOURNAL,
    /* after the commit */
    EFFECT_CALL, /* the only one that makes a telephone ring */
    EFFECT_LOOKUP,
    EFFECT_REPEAT, /* rings only where the call did not: the provider drops a repeat */
    EFFECT_DROP_JOURNAL,
};

#define EFFECT_TYPES (EFFECT_DROP_JOURNAL + 1)

static inline bool effect_is_immediate(enum effect_type type)
{
    return type <= EFFECT_ASK_JOURNAL;
}

/* Identifies an attempt everywhere: the n-th of a send. */
struct attempt_ref {
    struct th_id send;
    int32_t n;
};

/* Make the call or send the message that an AttemptStarted announced; or make the same request
 * again, to learn what became of it. */
struct effect_call {
    struct attempt_ref attempt;
    struct th_str tenant;
    int32_t lane;
    enum channel channel;
    struct th_str to;
    struct th_str sender;
    struct th_str text;
    struct th_str lang;
    bool has_campaign;
    struct th_id campaign;
    int64_t contact;
    int64_t send_by_us; /* 0: no limit; of a repeat its newest release's */
};

/* Ask the provider what became of an attempt; without a provider_id, by recipient and time, or by
 * the attempt itself where it knows that. */
struct effect_lookup {
    struct attempt_ref attempt;
    int32_t lane;
    enum channel channel;
    struct th_str provider_id;
    struct th_str to;
    struct th_str sender;
    int64_t started_us;
};

struct effect {
    enum effect_type type;
    union {
        struct {
            struct th_str tenant;
            struct th_id campaign;
            struct th_id audience;
        } open_audience;
        struct {
            struct th_str tenant;
            struct th_id campaign; /* whose texts decide what a duplicate is */
            struct th_id audience;
            int32_t part;
            bool want_duplicates;
        } read_part;
        struct {
            struct th_str tenant;
            struct th_id send;
            struct recipient_ref recipient;
        } read_recipient;
        struct {
            struct attempt_ref attempt;
            uint64_t session; /* that started it */
        } ask_journal;
        struct effect_call call; /* also of a repeat */
        struct effect_lookup lookup;
        struct {
            uint64_t keep; /* journals of every other session of the slot are no longer needed */
        } drop_journal;
    } as;
};

enum answer_type {
    ANSWER_AUDIENCE_OPENED,
    ANSWER_PART_READ,
    ANSWER_RECIPIENT_READ,
    ANSWER_JOURNAL_TOLD,
    ANSWER_CALL_ENDED,
    ANSWER_LOOKUP_ENDED,
    ANSWER_REPEAT_ENDED, /* as.call_ended; what it does not say is not known */
};

struct answer {
    enum answer_type type;
    union {
        struct {
            struct th_id campaign;
            enum th_code code; /* TH_NOT_FOUND: no such audience, or not sealed; TH_CORRUPT: a part
                                  is not the one that was sealed; TH_UNAVAILABLE: ask again */
            int32_t parts;
            int64_t recipients;
            struct sha256 sha256; /* over the seal's hashes */
        } audience_opened;
        struct {
            struct th_id campaign;
            enum th_code
                code; /* TH_CORRUPT: its sha256 is not the seal's; TH_UNAVAILABLE: ask again */
            int32_t part;
            int32_t rows;
            uint8_t duplicates[(AUDIENCE_PART_ROWS_MAX + 7) /
                               8]; /* bit set: contacted elsewhere in the run */
        } part_read;
        struct {
            struct th_id send;
            enum th_code code; /* TH_CORRUPT, TH_NOT_FOUND: never; TH_UNAVAILABLE: ask again */
            struct string_array columns;
            struct audience_row row;
        } recipient_read;
        struct {
            struct attempt_ref attempt;
            bool is_silent; /* a valid journal of that session, and the attempt is not in it */
        } journal_told;
        struct {
            struct attempt_ref attempt;
            struct provider_outcome
                outcome; /* NOT_SENT, reason "permit", when the last check refused it */
            long http_status;
            int64_t call_us;
            struct th_str excerpt;
        } call_ended;
        struct {
            struct attempt_ref attempt;
            struct provider_lookup lookup;
            bool is_put_off; /* ASK_AGAIN, for too many look-ups of ours wait already */
        } lookup_ended;
    } as;
};

/* Who carries effects out. One thread at a time: the slot's. */
struct effects;
struct effects_ops {
    /* An immediate effect; *out lives in arena. What could not be done is said in the answer.
     * Errors: TH_NOMEM */
    enum th_code (*ask)(struct effects *effects, const struct effect *effect,
                        struct th_arena *arena, struct answer *out);

    /* A committed one; commit_boot_us is CLOCK_BOOTTIME when its commit was begun, from which a
     * send window counts: how long the log took to answer is no time that the provider or the next
     * owner knows of. The effect is borrowed. CALL, LOOKUP and REPEAT are answered later, exactly
     * once, whatever happens. */
    void (*run)(struct effects *effects, const struct effect *effect, int64_t commit_boot_us);

    /* The next answer that is there; false: none. It lives in arena. */
    bool (*poll)(struct effects *effects, struct th_arena *arena, struct answer *out);

    /* For epoll: readable while poll may have something; -1: never. */
    int (*fd)(const struct effects *effects);

    /* The slot has a new log session (0: none). Permits of earlier ones are void: what was not
     * sent yet will not be. */
    void (*session)(struct effects *effects, uint64_t session);
};

struct effects {
    const struct effects_ops *ops;
};

#endif
