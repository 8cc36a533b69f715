/* What comes from Twilio, or from somebody who says so. The first byte chooses the reader and the
 * channel, two bytes are the status of the answer (little endian). */
#include "connectors/twilio/twilio.h"
#include "tests/fuzz/fuzz.h"

static void send(enum provider_channel channel, const struct http_reply *reply,
                 struct th_arena *arena)
{
    struct provider_outcome outcome;

    assert(twilio_ops.parse(channel, reply, arena, &outcome) == TH_OK);
    assert(outcome.result <= PROVIDER_NOT_SENT);
    assert(outcome.error_class <= PROVIDER_BUG);
    assert((outcome.result == PROVIDER_ACCEPTED) == (outcome.provider_id.n > 0));
    assert((outcome.reason.n == 0) == (outcome.result == PROVIDER_ACCEPTED));
    /* A yes is never taken for a no, whatever stands in the body. */
    if (reply->status >= 200 && reply->status < 300)
        assert(outcome.result == PROVIDER_ACCEPTED || outcome.result == PROVIDER_UNKNOWN);
}

static void check_lookup(const struct provider_lookup *lookup, size_t max)
{
    assert(lookup->result <= PROVIDER_ASK_REFUSED);
    assert((lookup->result == PROVIDER_FOUND) == (lookup->n_reports > 0));
    assert(lookup->n_reports <= max);
    for (size_t i = 0; i < lookup->n_reports; i++)
        assert(lookup->reports[i].provider_id.n > 0);
}

static void look_up(enum provider_channel channel, const struct http_reply *reply,
                    struct th_arena *arena)
{
    struct provider_lookup lookup;

    assert(twilio_ops.lookup_parse(channel, reply, arena, &lookup) == TH_OK);
    check_lookup(&lookup, 1);
}

static void search(enum provider_channel channel, const struct http_reply *reply,
                   struct th_arena *arena)
{
    const struct provider_search search = {
        .channel = channel,
        .to = TH_STR("+919876543210"),
        .from = TH_STR("+14155550100"),
        .text = TH_STR("hello"),
        .not_before_us = INT64_C(1795323600000000),
        .not_after_us = INT64_C(1795323900000000),
    };
    struct provider_lookup lookup;

    assert(twilio_ops.search_parse(&search, reply, arena, &lookup) == TH_OK);
    check_lookup(&lookup, PROVIDER_FOUND_MAX);
}

static void check(unsigned round, const struct http_reply *reply, struct th_arena *arena)
{
    struct provider_check answer;
    enum th_code code = twilio_ops.check_parse(round, reply, arena, &answer);

    assert(code == TH_OK || code == TH_INVALID);
    if (code == TH_OK)
        assert(answer.sentence.n > 0 || answer.has_next || answer.is_healthy);
}

static void callback(struct th_str body, struct th_arena *arena)
{
    const struct provider_callback callback = {
        .url = TH_STR("https://hub.example/webhooks/twilio/token?x=1"),
        .content_type = TH_STR("application/x-www-form-urlencoded"),
        .body = body,
        .signature = TH_STR("AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    };
    struct provider_report report;
    struct th_err err = {0};

    assert(twilio_ops.callback_verify(&callback, TH_STR("secret"), arena) != TH_OK);
    enum th_code code = twilio_ops.callback_parse(body, arena, &report, &err);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_UNSUPPORTED);
    if (code == TH_OK) {
        assert(report.provider_id.n > 0);
        assert(report.is_final == provider_status_is_final(report.status));
        assert(report.is_positive == provider_status_is_positive(report.status));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    uint8_t choice = fuzz_byte(&in);
    enum provider_channel channel = choice & 1 ? PROVIDER_CALL : PROVIDER_SMS;
    long status = fuzz_byte(&in);
    struct th_arena arena;

    status |= (long)(fuzz_byte(&in) % 4) << 8;
    if (in.n > HTTP_REPLY_MAX)
        return 0;
    const struct http_reply reply = {
        .phase = HTTP_COMPLETE,
        .may_have_left = true,
        .status = status,
        .body = in,
        .retry_after_s = -1,
    };
    th_arena_init(&arena, FUZZ_ARENA_MAX);
    switch (choice / 2 % 5) {
    case 0:
        send(channel, &reply, &arena);
        break;
    case 1:
        look_up(channel, &reply, &arena);
        break;
    case 2:
        search(channel, &reply, &arena);
        break;
    case 3:
        check(choice / 16, &reply, &arena);
        break;
    default:
        callback(in, &arena);
    }
    th_arena_fini(&arena);
    return 0;
}
