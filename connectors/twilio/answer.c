#include "connectors/twilio/answer.h"

#include "common/http_outcome.h"
#include "common/json.h"
#include "connectors/twilio/errors.h"
#include "connectors/twilio/record.h"
#include "connectors/twilio/status.h"

#include <inttypes.h>

/* The JSON of an answer; *out_document stays NULL for what is none.
 * Errors: TH_NOMEM */
static enum th_code read_json(const struct http_reply *reply, struct json_t **out_document)
{
    enum th_code code = th_json_parse(reply->body, HTTP_REPLY_MAX, out_document, NULL);

    return code == TH_NOMEM ? code : TH_OK;
}

static int64_t retry_after_us(const struct http_reply *reply)
{
    return reply->retry_after_s < 0 ? -1 : reply->retry_after_s * 1000000;
}

/* {"code":21211,"message":"…","more_info":"…","status":400}; 0 when there is no code.
 * Errors: TH_NOMEM */
static enum th_code read_error_code(const struct http_reply *reply, int64_t *out_code)
{
    TH_AUTO(th_json) struct json_t *document = NULL;

    TH_TRY(read_json(reply, &document));
    *out_code = document ? twilio_number(th_json_root(document), "code") : 0;
    return TH_OK;
}

/* Errors: TH_NOMEM */
static enum th_code note_code(int64_t code, struct th_arena *arena,
                              struct provider_outcome *outcome)
{
    if (!code)
        return TH_OK;
    outcome->provider_code = th_arena_printf(arena, "%" PRId64, code);
    return outcome->provider_code.p ? TH_OK : TH_NOMEM;
}

/* A refusal without a code that we know. Not retriable, whatever it is: Twilio adds codes. */
static struct twilio_error error_of_status(long status)
{
    switch (status) {
    case 401:
        return (struct twilio_error){0, 0, PROVIDER_ACCOUNT, "authentication_failed"};
    case 403:
        return (struct twilio_error){0, 0, PROVIDER_ACCOUNT, "access_denied"};
    case 400:
        return (struct twilio_error){0, 0, PROVIDER_PERMANENT, "unknown_code"};
    case 404:
        return (struct twilio_error){0, 0, PROVIDER_BUG, "not_found"};
    default:
        return (struct twilio_error){0, 0, PROVIDER_BUG, "request_refused"};
    }
}

static void explain_rejection(long status, int64_t code, struct provider_outcome *outcome)
{
    struct twilio_error error = error_of_status(status);
    const struct twilio_error *known = twilio_error_find(code);

    if (known && status != 401)
        error = *known;
    if (error.error_class == PROVIDER_CLASS_NONE) /* harmless of a hang-up, no answer to a send */
        error.error_class = PROVIDER_BUG;
    outcome->result = PROVIDER_REJECTED;
    outcome->error_class = error.error_class;
    outcome->reason = th_str(error.reason);
    /* A 403 may also be about one number only. */
    outcome->is_account_refused =
        (status == 401 || status == 403) && error.error_class == PROVIDER_ACCOUNT;
}

static void explain_not_sent(const struct http_reply *reply, struct provider_outcome *outcome)
{
    outcome->result = PROVIDER_NOT_SENT;
    outcome->error_class = PROVIDER_TRANSIENT;
    outcome->reason = reply->is_refused ? TH_STR("not_permitted") : TH_STR("connection_failed");
}

static void explain_unknown(const struct http_reply *reply, struct provider_outcome *outcome)
{
    bool is_cut = reply->phase != HTTP_COMPLETE;

    outcome->result = PROVIDER_UNKNOWN;
    outcome->error_class = PROVIDER_TRANSIENT;
    /* The status line said that it was executed; only the rest was lost. */
    outcome->is_accepted_without_id = reply->status >= 200 && reply->status < 300;
    if (outcome->is_accepted_without_id)
        outcome->reason = TH_STR("accepted_without_id");
    else if (is_cut)
        outcome->reason = TH_STR("answer_lost");
    else
        outcome->reason =
            reply->status >= 500 ? TH_STR("provider_error") : TH_STR("unclear_answer");
}

/* Errors: TH_NOMEM */
static enum th_code read_success(const struct http_reply *reply, struct th_arena *arena,
                                 struct provider_outcome *outcome)
{
    TH_AUTO(th_json) struct json_t *document = NULL;

    TH_TRY(read_json(reply, &document));
    struct th_str sid = document ? twilio_text(th_json_root(document), "sid") : TH_STR("");
    if (!twilio_is_id(sid)) {
        explain_unknown(reply, outcome);
        return TH_OK;
    }
    outcome->result = PROVIDER_ACCEPTED;
    return th_arena_copy(arena, sid, &outcome->provider_id);
}

enum th_code twilio_parse(enum provider_channel channel, const struct http_reply *reply,
                          struct th_arena *arena, struct provider_outcome *out_outcome)
{
    struct provider_outcome outcome = {.retry_after_us = retry_after_us(reply)};
    int64_t code = 0;

    (void)channel; /* messages and calls are answered alike */
    switch (http_outcome(reply, false)) {
    case HTTP_OUTCOME_NOT_SENT:
        explain_not_sent(reply, &outcome);
        break;
    case HTTP_OUTCOME_SUCCESS:
        TH_TRY(read_success(reply, arena, &outcome));
        break;
    case HTTP_OUTCOME_UNKNOWN:
        TH_TRY(read_error_code(reply, &code));
        explain_unknown(reply, &outcome);
        break;
    case HTTP_OUTCOME_THROTTLED: /* 429 was not processed, as Twilio documents */
        TH_TRY(read_error_code(reply, &code));
        outcome.result = PROVIDER_THROTTLED;
        outcome.error_class = PROVIDER_TRANSIENT;
        outcome.reason = TH_STR("rate_limited");
        break;
    case HTTP_OUTCOME_REJECTED:
        TH_TRY(read_error_code(reply, &code));
        explain_rejection(reply->status, code, &outcome);
        break;
    }
    TH_TRY(note_code(code, arena, &outcome));
    *out_outcome = outcome;
    return TH_OK;
}

/* What a look-up's answer means when it names nothing. */
static enum provider_lookup_result lookup_result(const struct http_reply *reply)
{
    switch (http_outcome(reply, false)) {
    case HTTP_OUTCOME_REJECTED:
        return reply->status == 404 ? PROVIDER_ABSENT : PROVIDER_ASK_REFUSED;
    case HTTP_OUTCOME_NOT_SENT:
    case HTTP_OUTCOME_UNKNOWN:
    case HTTP_OUTCOME_THROTTLED:
    case HTTP_OUTCOME_SUCCESS: /* but unreadable */
        break;
    }
    return PROVIDER_ASK_AGAIN;
}

enum th_code twilio_lookup_parse(enum provider_channel channel, const struct http_reply *reply,
                                 struct th_arena *arena, struct provider_lookup *out_lookup)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct provider_lookup lookup = {
        .result = lookup_result(reply),
        .retry_after_us = retry_after_us(reply),
    };

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS) {
        lookup.reports = th_arena_array(arena, 1, sizeof *lookup.reports);
        if (!lookup.reports)
            return TH_NOMEM;
        TH_TRY(read_json(reply, &document));
        enum th_code code = TH_MALFORMED;
        if (document)
            code = twilio_record_read(channel, th_json_root(document), arena, lookup.reports);
        if (code == TH_NOMEM)
            return code;
        if (code == TH_OK) {
            lookup.result = PROVIDER_FOUND;
            lookup.n_reports = 1;
        }
    }
    *out_lookup = lookup;
    return TH_OK;
}

/* Those of list that match; the others, and what cannot be read, prove nothing and are left out.
 * Errors: TH_NOMEM */
static enum th_code pick(const struct provider_search *search, struct th_json list,
                         struct th_arena *arena, struct provider_lookup *lookup)
{
    size_t n;

    if (th_json_array(list, 0, TH_JSON_VALUES_MAX, &n, NULL) != TH_OK)
        return TH_OK;
    lookup->result = PROVIDER_ABSENT;
    lookup->reports = th_arena_array(arena, PROVIDER_FOUND_MAX, sizeof *lookup->reports);
    if (!lookup->reports)
        return TH_NOMEM;
    for (size_t i = 0; i < n && lookup->n_reports < PROVIDER_FOUND_MAX; i++) {
        struct th_json item = th_json_item(list, i);
        if (!twilio_record_matches(search, item))
            continue;
        enum th_code code =
            twilio_record_read(search->channel, item, arena, &lookup->reports[lookup->n_reports]);
        if (code == TH_NOMEM)
            return code;
        lookup->n_reports += code == TH_OK;
    }
    if (lookup->n_reports)
        lookup->result = PROVIDER_FOUND;
    return TH_OK;
}

enum th_code twilio_search_parse(const struct provider_search *search,
                                 const struct http_reply *reply, struct th_arena *arena,
                                 struct provider_lookup *out_lookup)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct provider_lookup lookup = {
        .result = lookup_result(reply),
        .retry_after_us = retry_after_us(reply),
    };

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS) {
        TH_TRY(read_json(reply, &document));
        const char *list = search->channel == PROVIDER_CALL ? "calls" : "messages";
        if (document)
            TH_TRY(pick(search, th_json_at(th_json_root(document), list), arena, &lookup));
    }
    *out_lookup = lookup;
    return TH_OK;
}

/* A word of the provider's for a human to read, if it is one. */
static struct th_str word_of(struct th_json root, const char *name)
{
    struct th_str word = twilio_text(root, name);

    if (word.n > 32)
        return TH_STR("");
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] <= ' ' || word.p[i] > '~')
            return TH_STR("");
    }
    return word;
}

static struct th_str describe_success(unsigned round, struct th_json root, struct th_arena *arena,
                                      bool *is_healthy)
{
    if (round == 0) {
        struct th_str balance = word_of(root, "balance");
        bool is_charged = balance.n && balance.p[0] != '-';
        *is_healthy = is_charged;
        if (!balance.n)
            return TH_STR("the account answered something that cannot be read");
        return th_arena_printf(arena, "credentials accepted, balance %.*s %.*s%s", TH_ARG(balance),
                               TH_ARG(word_of(root, "currency")),
                               is_charged ? "" : ": nothing left");
    }
    struct th_str status = word_of(root, "status");
    *is_healthy = th_str_eq(status, TH_STR("active"));
    if (!status.n)
        return TH_STR("the account answered something that cannot be read");
    return th_arena_printf(arena, "credentials accepted, the account is %.*s", TH_ARG(status));
}

static struct th_str describe_failure(const struct http_reply *reply, struct th_arena *arena)
{
    if (reply->phase != HTTP_COMPLETE)
        return th_arena_printf(arena, "no answer: %s", reply->error);
    if (reply->status == 401 || reply->status == 403)
        return th_arena_printf(arena, "the provider refuses the credentials (HTTP %ld)",
                               reply->status);
    return th_arena_printf(arena, "the provider answered HTTP %ld", reply->status);
}

enum th_code twilio_check_parse(unsigned round, const struct http_reply *reply,
                                struct th_arena *arena, struct provider_check *out_check)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct provider_check check = {.is_healthy = false};

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS) {
        TH_TRY(read_json(reply, &document));
        check.sentence =
            document ? describe_success(round, th_json_root(document), arena, &check.is_healthy)
                     : TH_STR("the provider answered something that is no JSON");
    } else {
        check.sentence = describe_failure(reply, arena);
        /* A sub-account has no balance of its own. */
        check.has_next = round == 0 && reply->phase == HTTP_COMPLETE && reply->status == 404;
    }
    if (!check.sentence.p)
        return TH_NOMEM;
    *out_check = check;
    return TH_OK;
}
