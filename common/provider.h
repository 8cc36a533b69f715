/* provider.h - a telephony provider is a table of pure functions.
 *
 * A provider only translates: a message into a request, a reply into an outcome, a callback into a
 * report. No clock, no I/O, no state; what they make lives in the arena that they are given, and
 * their arguments are borrowed for the call. Every byte of a reply or callback is hostile. Where a
 * function below fails, nothing was written to its results.
 */
#ifndef TELEHUB_COMMON_PROVIDER_H
#define TELEHUB_COMMON_PROVIDER_H

#include "common/arena.h"
#include "common/http.h"
#include "common/money.h"

enum provider_channel {
    PROVIDER_SMS = 1 << 0, /* bits, so that a set of channels is a mask */
    PROVIDER_CALL = 1 << 1,
};

/* How an attempt whose answer was lost can be settled. */
enum provider_reconciliation {
    PROVIDER_IDEMPOTENT, /* a repeat with the same key is dropped by the provider */
    PROVIDER_LOOKUP,     /* it can be asked, and its "no" is believed */
    PROVIDER_CALLBACK,   /* its callbacks name the attempt; a look-up may confirm, never refute */
    PROVIDER_NONE,
};

struct provider_caps {
    uint32_t channels;  /* mask of enum provider_channel */
    uint32_t max_batch; /* messages per request */
    enum provider_reconciliation reconciliation;
    int32_t settle_ms;  /* after a request was executed, how long until a look-up can see it */
    int32_t key_life_s; /* of PROVIDER_IDEMPOTENT: how long a repeat is dropped */
    bool has_signed_callbacks;
    bool has_polled_price; /* the price comes by lookup only, some time after the end */
    bool has_recipient_lookup;
};

struct provider_account {
    struct th_str base_url; /* "https://api.twilio.com", without a slash at the end */
    struct th_str account;  /* the account's id at the provider */
    struct th_str secret;
};

struct provider_message {
    enum provider_channel channel;
    struct th_str to;       /* E.164 */
    struct th_str from;     /* what the provider knows the sender by */
    struct th_str text;     /* UTF-8, rendered; of a call, what is said */
    struct th_str language; /* BCP 47, its first part counts: "hi", "en-IN" */
    struct th_str attempt;  /* our attempt id: the key, where a provider takes one */
    struct th_str callback_url;
};

/* What the failure says about a next attempt. */
enum provider_class {
    PROVIDER_CLASS_NONE,         /* no failure */
    PROVIDER_TRANSIENT,          /* the same provider may succeed soon */
    PROVIDER_TRANSIENT_SLOW,     /* much later, once or twice */
    PROVIDER_PERMANENT,          /* this recipient is not reachable on this channel */
    PROVIDER_PERMANENT_SUPPRESS, /* and must not be tried again: opted out, blocked */
    PROVIDER_CONTENT,            /* text, template or sender is refused: all others would be, too */
    PROVIDER_ACCOUNT,            /* account or provider: fail over, open its circuit */
    PROVIDER_BUG,                /* our request was wrong */
};

enum provider_result {
    PROVIDER_ACCEPTED,  /* the provider has it */
    PROVIDER_REJECTED,  /* a definite no: it will not be executed */
    PROVIDER_THROTTLED, /* not executed, come back later */
    PROVIDER_UNKNOWN,   /* may have been executed: never send again before it is resolved */
    PROVIDER_NOT_SENT,  /* cannot have been executed */
};

struct provider_outcome {
    enum provider_result result;
    enum provider_class error_class;
    bool is_accepted_without_id; /* UNKNOWN after 2xx: executed for all we know; never resend, not
                                    even where a campaign allows duplicates */
    bool is_account_refused;     /* 401, 403: the lane's circuit opens */
    struct th_str provider_id;   /* of ACCEPTED */
    struct th_str provider_code; /* the provider's own, "" when none */
    struct th_str reason;        /* stable slug, static: "invalid_number"; "" of ACCEPTED */
    int64_t retry_after_us;      /* what the provider asked for; -1 nothing */
};

/* The life of a message or call. Order of declaration is not order of rank. */
enum provider_status {
    PROVIDER_STATUS_NONE,
    PROVIDER_SMS_QUEUED,
    PROVIDER_SMS_SENT,
    PROVIDER_SMS_ACCEPTED_BY_CARRIER,
    PROVIDER_SMS_EXPIRED,
    PROVIDER_SMS_UNDELIVERED,
    PROVIDER_SMS_FAILED,
    PROVIDER_SMS_DELIVERED,
    PROVIDER_SMS_READ,
    PROVIDER_CALL_INITIATED,
    PROVIDER_CALL_QUEUED,
    PROVIDER_CALL_RINGING,
    PROVIDER_CALL_ANSWERED,
    PROVIDER_CALL_BUSY,
    PROVIDER_CALL_NO_ANSWER,
    PROVIDER_CALL_FAILED,
    PROVIDER_CALL_COMPLETED,
    PROVIDER_CALL_CANCELLED,
};

/* The merge rule: the greater rank wins, whatever the order of arrival. Comparable within one
 * channel. The ends of a call that reached nobody are all of one rank, below the one that did: a
 * provider may take back that nobody answered, and what proves that a person was reached stays. */
int provider_status_rank(enum provider_status status);

/* No further status is expected, though a later one may still come and win by rank. */
bool provider_status_is_final(enum provider_status status);

/* The recipient was reached: delivered or read; a call that was answered and ended. */
bool provider_status_is_positive(enum provider_status status);

/* "accepted_by_carrier"; static storage. Unique within a channel. */
const char *provider_status_text(enum provider_status status);

/* "transient_slow", "accepted", "sms"; static storage. */
const char *provider_class_text(enum provider_class error_class);
const char *provider_result_text(enum provider_result result);
const char *provider_channel_text(enum provider_channel channel);

/* What a callback or a look-up says about one message or call. */
struct provider_report {
    enum provider_channel channel;
    struct th_str provider_id;
    struct th_str to; /* E.164; "" if it is not said */
    enum provider_status status;
    bool is_final;
    bool is_positive;
    enum provider_class error_class; /* of a final status that is not positive */
    struct th_str provider_code;     /* "" when none */
    struct th_str reason;            /* stable slug, static; "" when positive or not final */
    int64_t provider_ts_us;          /* UTC by the provider's clock; 0 unknown */
    int64_t sequence;                /* of callbacks of one call; -1 unknown */
    int64_t duration_s;              /* of the conversation; -1 unknown */
    bool has_price;
    struct th_money price; /* what it cost us: a charge is positive */
};

struct provider_callback {
    struct th_str url; /* what the provider called: public base URL + raw request target */
    struct th_str content_type;
    struct th_str body;      /* raw */
    struct th_str signature; /* the provider's header; "" when missing */
};

enum provider_lookup_result {
    PROVIDER_FOUND,
    PROVIDER_ABSENT,      /* no such message; a proof only if the look-up is authoritative */
    PROVIDER_ASK_AGAIN,   /* no answer this time */
    PROVIDER_ASK_REFUSED, /* asking again will not help: credentials, or our bug */
};

#define PROVIDER_FOUND_MAX 50

struct provider_lookup {
    enum provider_lookup_result result;
    struct provider_report *reports; /* of FOUND; newest first */
    size_t n_reports;                /* 1 when asked by id; <= PROVIDER_FOUND_MAX by recipient */
    int64_t retry_after_us;          /* -1 nothing asked for */
};

#define PROVIDER_PAGE_MAX 250

/* A page of what an account has sent, newest first. */
struct provider_page {
    enum provider_lookup_result result; /* FOUND: it was read, though it may be empty */
    struct provider_report *reports;    /* <= PROVIDER_PAGE_MAX; what cannot be read is left out */
    size_t n_reports;
    struct th_str next; /* what the next page is asked for with; "": there is none */
};

/* A search for what an attempt may have left behind at the provider. */
struct provider_search {
    enum provider_channel channel;
    struct th_str to;
    struct th_str from;
    struct th_str text;    /* an SMS must end with it, unless "" */
    struct th_str attempt; /* our attempt id, for a provider that can be asked for it */
    int64_t not_before_us; /* UTC, by the provider's clock: leave a margin */
    int64_t not_after_us;
};

struct provider_check {
    bool is_healthy;
    bool has_next;          /* not settled: build and parse the next round */
    struct th_str sentence; /* for a human; no secret in it */
};

struct provider_ops {
    const char *name; /* the wire: "twilio" */
    struct provider_caps caps;
    const char
        *signature_header; /* of callbacks: "X-Twilio-Signature"; NULL: they are not signed */

    /* The request that sends msg. callback_url may be "": then no reports will come.
     * Errors: TH_INVALID      msg cannot be said on this wire (too long, not UTF-8, no sender)
     *         TH_UNSUPPORTED  the channel is not among caps.channels
     *         TH_NOMEM */
    enum th_code (*build)(const struct provider_account *account,
                          const struct provider_message *msg, struct th_arena *arena,
                          struct http_req *out_req, struct th_err *err);

    /* What the reply to a built request means. A refusal is an outcome, not an error, and so is
     * an answer that nobody can read.
     * Errors: TH_NOMEM */
    enum th_code (*parse)(enum provider_channel channel, const struct http_reply *reply,
                          struct th_arena *arena, struct provider_outcome *out_outcome);

    /* Did the owner of secret send exactly this? arena is scratch.
     * Errors: TH_DENIED     no, or no signature
     *         TH_MALFORMED  the body cannot be read, so neither can the signature be checked
     *         TH_NOMEM */
    enum th_code (*callback_verify)(const struct provider_callback *callback, struct th_str secret,
                                    struct th_arena *arena);

    /* What a verified callback says. Views may point into arena.
     * Errors: TH_MALFORMED    no status callback of this provider
     *         TH_UNSUPPORTED  a status that nobody knows: to be noted and ignored
     *         TH_NOMEM */
    enum th_code (*callback_parse)(struct th_str body, struct th_arena *arena,
                                   struct provider_report *out_report, struct th_err *err);

    /* Ask for one message or call by the provider's id. */
    enum th_code (*lookup_build)(const struct provider_account *account,
                                 enum provider_channel channel, struct th_str provider_id,
                                 struct th_arena *arena, struct http_req *out_req,
                                 struct th_err *err);

    /* Errors: TH_NOMEM */
    enum th_code (*lookup_parse)(enum provider_channel channel, const struct http_reply *reply,
                                 struct th_arena *arena, struct provider_lookup *out_lookup);

    /* Ask for a page of what was sent lately: next is "" for the newest, then what the page before
     * said. For many look-ups at once. NULL: the wire has no such list.
     * Errors: TH_INVALID  next is none of this account's; TH_NOMEM */
    enum th_code (*list_build)(const struct provider_account *account,
                               enum provider_channel channel, struct th_str next,
                               struct th_arena *arena, struct http_req *out_req,
                               struct th_err *err);

    /* Errors: TH_NOMEM */
    enum th_code (*list_parse)(enum provider_channel channel, const struct http_reply *reply,
                               struct th_arena *arena, struct provider_page *out_page);

    /* Ask for an attempt without the provider's id. Of PROVIDER_LOOKUP, by our attempt id: its
     * PROVIDER_ABSENT is believed. Of all others, what went to a recipient around a time: it may
     * confirm an attempt, never refutes one, and what it finds may belong to another attempt, so
     * leave out the ids that are accounted for. NULL of those others without
     * caps.has_recipient_lookup, and where there is neither. */
    enum th_code (*search_build)(const struct provider_account *account,
                                 const struct provider_search *search, struct th_arena *arena,
                                 struct http_req *out_req, struct th_err *err);

    /* Errors: TH_NOMEM */
    enum th_code (*search_parse)(const struct provider_search *search,
                                 const struct http_reply *reply, struct th_arena *arena,
                                 struct provider_lookup *out_lookup);

    /* Is the account usable? round counts from 0, and grows while the check has_next.
     * Errors: TH_INVALID  no such round; TH_NOMEM */
    enum th_code (*check_build)(const struct provider_account *account, unsigned round,
                                struct th_arena *arena, struct http_req *out_req,
                                struct th_err *err);

    /* Errors: TH_NOMEM */
    enum th_code (*check_parse)(unsigned round, const struct http_reply *reply,
                                struct th_arena *arena, struct provider_check *out_check);
};

#endif
