#include "connectors/twilio/answer.h"

#include "common/http_outcome.h"
#include "common/json_scan.h"
#include "connectors/twilio/errors.h"
#include "connectors/twilio/record.h"
#include "connectors/twilio/status.h"

#include <inttypes.h>

static int64_t retry_after_us(const struct http_reply *reply)
{
    return reply->retry_after_s < 0 ? -1 : reply->retry_after_s * 1000000;
}

/* {"code":21211,"message":"…","more_info":"…","status":400}; 0 when there is no code. */
static int64_t error_code_of(const struct http_reply *reply)
{
    struct th_json_member code = {.name = "code"};

    return th_json_scan(reply->body, &code, 1) == TH_OK ? twilio_number(code) : 0;
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
    struct th_json_member member = {.name = "sid"};
    struct th_str sid = TH_STR("");

    if (th_json_scan(reply->body, &member, 1) == TH_OK)
        TH_TRY(twilio_text(member, arena, &sid));
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
        code = error_code_of(reply);
        explain_unknown(reply, &outcome);
        break;
    case HTTP_OUTCOME_THROTTLED: /* 429 was not processed, as Twilio documents */
        code = error_code_of(reply);
        outcome.result = PROVIDER_THROTTLED;
        outcome.error_class = PROVIDER_TRANSIENT;
        outcome.reason = TH_STR("rate_limited");
        break;
    case HTTP_OUTCOME_REJECTED:
        code = error_code_of(reply);
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
    struct provider_lookup lookup = {
        .result = lookup_result(reply),
        .retry_after_us = retry_after_us(reply),
    };

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS) {
        lookup.reports = th_arena_array(arena, 1, sizeof *lookup.reports);
        if (!lookup.reports)
            return TH_NOMEM;
        enum th_code code = twilio_record_read(channel, reply->body, arena, lookup.reports);
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
static enum th_code pick(const struct provider_search *search, struct th_str list,
                         struct th_arena *arena, struct provider_lookup *lookup)
{
    struct th_str item;
    size_t at = 0;
    bool does_match;

    lookup->result = PROVIDER_ABSENT;
    lookup->reports = th_arena_array(arena, PROVIDER_FOUND_MAX, sizeof *lookup->reports);
    if (!lookup->reports)
        return TH_NOMEM;
    while (lookup->n_reports < PROVIDER_FOUND_MAX && th_json_scan_item(list, &at, &item)) {
        TH_TRY(twilio_record_matches(search, item, arena, &does_match));
        if (!does_match)
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

static const char *list_name(enum provider_channel channel)
{
    return channel == PROVIDER_CALL ? "calls" : "messages";
}

static bool is_list(struct th_str raw)
{
    return raw.n && raw.p[0] == '[';
}

/* Errors: TH_NOMEM */
static enum th_code read_page(enum provider_channel channel, struct th_str list,
                              struct th_arena *arena, struct provider_page *page)
{
    struct th_str item;
    size_t at = 0;

    page->reports = th_arena_array(arena, PROVIDER_PAGE_MAX, sizeof *page->reports);
    if (!page->reports)
        return TH_NOMEM;
    while (page->n_reports < PROVIDER_PAGE_MAX && th_json_scan_item(list, &at, &item)) {
        enum th_code code =
            twilio_record_read(channel, item, arena, &page->reports[page->n_reports]);
        if (code == TH_NOMEM)
            return code;
        page->n_reports += code == TH_OK;
    }
    page->result = PROVIDER_FOUND;
    return TH_OK;
}

enum th_code twilio_list_parse(enum provider_channel channel, const struct http_reply *reply,
                               struct th_arena *arena, struct provider_page *out_page)
{
    struct th_json_member members[] = {{.name = list_name(channel)}, {.name = "next_page_uri"}};
    struct provider_page page = {.result = lookup_result(reply)};

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS &&
        th_json_scan(reply->body, members, TH_LEN(members)) == TH_OK && is_list(members[0].raw)) {
        TH_TRY(read_page(channel, members[0].raw, arena, &page));
        TH_TRY(twilio_text(members[1], arena, &page.next));
    }
    *out_page = page;
    return TH_OK;
}

enum th_code twilio_search_parse(const struct provider_search *search,
                                 const struct http_reply *reply, struct th_arena *arena,
                                 struct provider_lookup *out_lookup)
{
    struct th_json_member list = {.name = list_name(search->channel)};
    struct provider_lookup lookup = {
        .result = lookup_result(reply),
        .retry_after_us = retry_after_us(reply),
    };

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS &&
        th_json_scan(reply->body, &list, 1) == TH_OK && is_list(list.raw))
        TH_TRY(pick(search, list.raw, arena, &lookup));
    *out_lookup = lookup;
    return TH_OK;
}

/* A word of the provider's for a human to read, if it is one.
 * Errors: TH_NOMEM */
static enum th_code word_of(struct th_json_member member, struct th_arena *arena,
                            struct th_str *out_word)
{
    TH_TRY(twilio_text(member, arena, out_word));
    if (out_word->n > 32)
        *out_word = TH_STR("");
    for (size_t i = 0; i < out_word->n; i++)
        if (out_word->p[i] <= ' ' || out_word->p[i] > '~')
            *out_word = TH_STR("");
    return TH_OK;
}

static struct th_str describe_balance(struct th_str balance, struct th_str currency,
                                      struct th_arena *arena, bool *is_healthy)
{
    bool is_charged = balance.n && balance.p[0] != '-';

    *is_healthy = is_charged;
    if (!balance.n)
        return TH_STR("the account answered something that cannot be read");
    return th_arena_printf(arena, "credentials accepted, balance %.*s %.*s%s", TH_ARG(balance),
                           TH_ARG(currency), is_charged ? "" : ": nothing left");
}

static struct th_str describe_state(struct th_str status, struct th_arena *arena, bool *is_healthy)
{
    *is_healthy = th_str_eq(status, TH_STR("active"));
    if (!status.n)
        return TH_STR("the account answered something that cannot be read");
    return th_arena_printf(arena, "credentials accepted, the account is %.*s", TH_ARG(status));
}

/* Errors: TH_NOMEM, also as a sentence whose p is NULL */
static enum th_code describe_success(unsigned round, struct th_str body, struct th_arena *arena,
                                     struct provider_check *check)
{
    enum { BALANCE, CURRENCY, STATUS, MEMBERS };
    struct th_json_member members[MEMBERS] = {
        {.name = "balance"}, {.name = "currency"}, {.name = "status"}};
    struct th_str words[MEMBERS];

    if (th_json_scan(body, members, MEMBERS) != TH_OK) {
        check->sentence = TH_STR("the provider answered something that is no JSON");
        return TH_OK;
    }
    for (size_t i = 0; i < MEMBERS; i++)
        TH_TRY(word_of(members[i], arena, &words[i]));
    check->sentence =
        round == 0 ? describe_balance(words[BALANCE], words[CURRENCY], arena, &check->is_healthy)
                   : describe_state(words[STATUS], arena, &check->is_healthy);
    return TH_OK;
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
    struct provider_check check = {.is_healthy = false};

    if (http_outcome(reply, false) == HTTP_OUTCOME_SUCCESS) {
        TH_TRY(describe_success(round, reply->body, arena, &check));
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
