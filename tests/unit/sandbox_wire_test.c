/* Twilio's wire as the sandbox speaks it: forms, signatures, TwiML, segments, answers. */
#include "tests/unit/test.h"

#include "connectors/sandbox/http_reply.h"
#include "connectors/sandbox/money.h"
#include "connectors/sandbox/segments.h"
#include "connectors/sandbox/signature.h"
#include "connectors/sandbox/twiml.h"
#include "connectors/sandbox/wire_twilio.h"

#include <jansson.h>
#include <string.h>

static struct th_arena arena;

static int set_up(void **unused)
{
    (void)unused;
    th_arena_init(&arena, (size_t)1 << 22);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    th_arena_fini(&arena);
    return 0;
}

static void test_forms(void **unused)
{
    static const struct {
        const char *says;
        const char *body;
        enum th_code code;
        const char *read; /* name|value|name|value| */
    } cases[] = {
        {"nothing", "", TH_OK, ""},
        {"plus is a space", "Body=a+b%2B", TH_OK, "Body|a b+|"},
        {"a repeated name stays repeated", "E=1&E=2", TH_OK, "E|1|E|2|"},
        {"a name without a value", "E&F=", TH_OK, "E||F||"},
        {"= in a value", "a=b=c", TH_OK, "a|b=c|"},
        {"empty pieces are skipped", "&&a=1&", TH_OK, "a|1|"},
        {"Hindi", "Body=%E0%A4%B9%E0%A4%BE%E0%A4%81", TH_OK, "Body|हाँ|"},
        {"an escape cut short", "a=%4", TH_MALFORMED, NULL},
        {"an escape that is none", "a=%zz", TH_MALFORMED, NULL},
        {"a NUL", "a=%00", TH_MALFORMED, NULL},
        {"half a character", "a=%E0%A4", TH_MALFORMED, NULL},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct fields fields;
        TH_AUTO(th_buf) struct th_buf read = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(fields_parse(th_str(cases[i].body), &arena, &fields, NULL), cases[i].code);
        if (cases[i].code != TH_OK)
            continue;
        for (size_t k = 0; k < fields.n; k++) {
            th_buf_add(&read, fields.at[k].name);
            th_buf_add_char(&read, '|');
            th_buf_add(&read, fields.at[k].value);
            th_buf_add_char(&read, '|');
        }
        assert_str_equal(th_buf_str(&read), th_str(cases[i].read));
    }
}

static void test_too_many_fields(void **unused)
{
    TH_AUTO(th_buf) struct th_buf body = {0};
    struct fields fields;

    (void)unused;
    for (int i = 0; i < FIELDS_MAX; i++)
        fields_print(&body, TH_STR("a"), TH_STR("b"));
    assert_int_equal(fields_parse(th_buf_str(&body), &arena, &fields, NULL), TH_OK);
    assert_int_equal(fields.n, FIELDS_MAX);
    fields_print(&body, TH_STR("a"), TH_STR("b"));
    assert_int_equal(fields_parse(th_buf_str(&body), &arena, &fields, NULL), TH_FULL);
}

/* Vectors that Twilio's own library (twilio 6.2.0 for Node) made and accepts. */
static void test_signatures(void **unused)
{
    static const char token[] = "0123456789abcdef0123456789abcdef";
    static const struct {
        const char *says;
        const char *token;
        const char *url;
        const char *form;
        const char *signature;
    } cases[] = {
        {"TW0, the manual's example", "12345", "https://mycompany.com/myapp.php?foo=1&bar=2",
         "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B"
         "18005551212",
         "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
        {"TW1, a message's status", token,
         "https://hooks.telehub.example/v1/twilio/msg/status?tenant=7&cid=42",
         "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&ErrorCode=30003&From="
         "%2B14155550100&MessageSid=SM00000000000000000000000000000001&MessageStatus=undelivered&"
         "RawDlrDoneDate=2611220915&SmsSid=SM00000000000000000000000000000001&SmsStatus="
         "undelivered&To=%2B919876543210",
         "xIM1bDy/9o+/61TQi929DS17Ze0="},
        {"TW2, Hindi, an emoji and an empty value", token,
         "https://hooks.telehub.example/v1/twilio/wa/inbound",
         "AccountSid=AC00000000000000000000000000000001&Body=%E0%A4%A8%E0%A4%AE%E0%A4%B8%E0%A5%8D%"
         "E0%A4%A4%E0%A5%87+%26+%E0%A4%B9%E0%A4%BE%E0%A4%81+100%25+%E2%9C%85&ButtonPayload="
         "confirm%3Dyes%26id%3D9&ButtonText=Yes%2C+confirm&From=whatsapp%3A%2B919876543210&"
         "MessageSid=SM00000000000000000000000000000002&NumMedia=0&ProfileName=&To=whatsapp%3A%2B"
         "14155550100&WaId=919876543210",
         "cXAx05HQgxKuqvXlGQROorgi9w8="},
        {"TW3, a GET: the URL alone", token,
         "https://hooks.telehub.example/v1/twilio/voice/answer?CallSid="
         "CA00000000000000000000000000000001&From=%2B919876543210&To=%2B14155550100&CallStatus="
         "in-progress",
         "", "x+5Ij+X9c8XbmRGfwtq2gmMDA/k="},
        {"TW4, a port in the URL", token,
         "https://hooks.telehub.example:8443/v1/twilio/voice/gather",
         "CallSid=CA00000000000000000000000000000001&Digits=3%23&FinishedOnKey=%23&msg=Gather+End",
         "M1g4pc2XWXdgKCpmw7oHcgcFhl8="},
        {"TW4b, the same without it", token, "https://hooks.telehub.example/v1/twilio/voice/gather",
         "CallSid=CA00000000000000000000000000000001&Digits=3%23&FinishedOnKey=%23&msg=Gather+End",
         "U3+35173O41S6Ba5P3tIqWqqVw4="},
        {"TW5, a repeated name", token, "https://hooks.telehub.example/v1/twilio/multi",
         "MediaUrl=https%3A%2F%2Fb.example%2F2.png&MediaUrl=https%3A%2F%2Fa.example%2F1.png&"
         "MediaUrl=https%3A%2F%2Fb.example%2F2.png&a=1&B=2",
         "yc21FQVuM7L3gaMbikCIkJp2wG0="},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct fields fields;
        TH_AUTO(th_buf) struct th_buf signature = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(fields_parse(th_str(cases[i].form), &arena, &fields, NULL), TH_OK);
        assert_int_equal(
            signature_add(th_str(cases[i].token), th_str(cases[i].url), &fields, &signature),
            TH_OK);
        assert_str_equal(th_buf_str(&signature), th_str(cases[i].signature));
    }
}

static void test_segments(void **unused)
{
    static const struct {
        const char *character;
        unsigned times;
        uint32_t parts;
    } cases[] = {
        {"a", 0, 0},   {"a", 1, 1},   {"a", 160, 1}, {"a", 161, 2},  {"a", 306, 2}, {"a", 307, 3},
        {"€", 80, 1},  {"€", 81, 2},  {"€", 152, 2}, {"€", 153, 3},  {"अ", 70, 1},  {"अ", 71, 2},
        {"अ", 134, 2}, {"अ", 135, 3}, {"😀", 35, 1},  {"😀", 36, 2},   {"😀", 66, 2},  {"😀", 67, 3},
        {"₹", 71, 2},  {"`", 71, 2},  {"é", 160, 1}, {"\n", 160, 1}, {"ç", 71, 2},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf text = {0};

        print_message("  %u × %s\n", cases[i].times, cases[i].character);
        for (unsigned k = 0; k < cases[i].times; k++)
            th_buf_add(&text, th_str(cases[i].character));
        struct segments count = segments_count(th_buf_str(&text));
        assert_int_equal(count.parts, cases[i].parts);
        assert_int_equal(count.characters, cases[i].times);
    }
}

static void test_twiml(void **unused)
{
    static const struct {
        const char *says;
        const char *document;
        enum th_code code;
        const char *said;
    } cases[] = {
        {"one sentence", "<Response><Say>Hello</Say></Response>", TH_OK, "Hello\n"},
        {"what a library writes",
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n  <Say language='hi-IN' "
         "voice=\"Polly.Aditi\">नमस्ते</Say>\n  <Hangup/>\n</Response>\n",
         TH_OK, "नमस्ते\n"},
        {"two of them", "<Response><Say>a</Say><Pause length=\"1\"/><Say>b</Say></Response>", TH_OK,
         "a\nb\n"},
        {"inside another verb", "<Response><Gather><Say>press</Say></Gather></Response>", TH_OK,
         "press\n"},
        {"entities", "<Response><Say>a &amp; b &lt;c&gt; &#65; &#x939;</Say></Response>", TH_OK,
         "a & b <c> A ह\n"},
        {"CDATA and a comment",
         "<!-- x --><Response><Say><!-- y --><![CDATA[1 < 2]]></Say></Response>", TH_OK, "1 < 2\n"},
        {"SSML inside", "<Response><Say>a <prosody rate=\"slow\">b</prosody></Say></Response>",
         TH_OK, "a b\n"},
        {"another root", "<Reply><Say>a</Say></Reply>", TH_INVALID, NULL},
        {"nothing said", "<Response><Hangup/></Response>", TH_NOT_FOUND, NULL},
        {"an empty sentence", "<Response><Say> </Say></Response>", TH_NOT_FOUND, NULL},
        {"not XML", "Hello", TH_MALFORMED, NULL},
        {"empty", "", TH_MALFORMED, NULL},
        {"cut short", "<Response><Say>Hello</Say>", TH_MALFORMED, NULL},
        {"crossed tags", "<Response><Say>Hello</Response></Say>", TH_MALFORMED, NULL},
        {"a bare ampersand", "<Response><Say>a & b</Say></Response>", TH_MALFORMED, NULL},
        {"an unknown entity", "<Response><Say>&eacute;</Say></Response>", TH_MALFORMED, NULL},
        {"an entity that is a NUL", "<Response><Say>&#0;</Say></Response>", TH_MALFORMED, NULL},
        {"an entity that is half a pair", "<Response><Say>&#xd800;</Say></Response>", TH_MALFORMED,
         NULL},
        {"an attribute without quotes", "<Response><Say loop=2>a</Say></Response>", TH_MALFORMED,
         NULL},
        {"two roots", "<Response><Say>a</Say></Response><Response/>", TH_MALFORMED, NULL},
        {"text behind the root", "<Response><Say>a</Say></Response>b", TH_MALFORMED, NULL},
        {"a DTD", "<!DOCTYPE x [<!ENTITY a \"b\">]><Response><Say>a</Say></Response>", TH_MALFORMED,
         NULL},
        {"too deep",
         "<Response><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><Say>x</Say></a></a></a></a>"
         "</a></a></a></a></a></a></a></a></a></a></a></a></Response>",
         TH_MALFORMED, NULL},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf said = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(twiml_say(th_str(cases[i].document), &said, NULL), cases[i].code);
        if (cases[i].code == TH_OK)
            assert_str_equal(th_buf_str(&said), th_str(cases[i].said));
    }
}

/* Every prefix of a document, and every byte of it changed: refused or not, never overrun. */
static void test_twiml_of_strangers(void **unused)
{
    static const char document[] = "<?xml version=\"1.0\"?><Response><!-- c --><Say a='1'>"
                                   "x&#x41;<![CDATA[y]]></Say><Play/></Response>";

    (void)unused;
    for (size_t n = 0; n < sizeof document; n++) {
        char *copy = malloc(n ? n : 1); /* its own allocation, so that the sanitizer sees its end */
        assert_non_null(copy);
        for (int byte = 0; byte < 256; byte += 5) {
            TH_AUTO(th_buf) struct th_buf said = {0};
            memcpy(copy, document, n);
            if (n)
                copy[n - 1] = (char)byte;
            enum th_code code = twiml_say((struct th_str){copy, n}, &said, NULL);
            assert_true(code == TH_OK || code == TH_MALFORMED || code == TH_INVALID ||
                        code == TH_NOT_FOUND);
        }
        free(copy);
    }
}

#define GOOD_SMS  "To=%2B919876543210&From=%2B14155550100&Body=hi"
#define GOOD_CALL "To=%2B919876543210&From=%2B14155550100&Twiml="
#define SAY_HI    "%3CResponse%3E%3CSay%3Ehi%3C%2FSay%3E%3C%2FResponse%3E"

static void test_orders(void **unused)
{
    static const struct {
        const char *says;
        enum channel channel;
        const char *form;
        uint32_t code; /* 0: taken */
    } cases[] = {
        {"a message", CHANNEL_SMS, GOOD_SMS, 0},
        {"by a service", CHANNEL_SMS,
         "To=%2B919876543210&MessagingServiceSid=MG00000000000000000000000000000001&Body=hi", 0},
        {"from a name", CHANNEL_SMS, "To=%2B919876543210&From=PRATHAM&Body=hi", 0},
        {"from a short code", CHANNEL_SMS, "To=%2B919876543210&From=56161&Body=hi", 0},
        {"to nobody", CHANNEL_SMS, "From=%2B14155550100&Body=hi", 21604},
        {"to what is no number", CHANNEL_SMS, "To=9876543210&From=%2B14155550100&Body=hi", 21211},
        {"from nobody", CHANNEL_SMS, "To=%2B919876543210&Body=hi", 21603},
        {"from what is no number", CHANNEL_SMS, "To=%2B919876543210&From=%2B12&Body=hi", 21212},
        {"from a number that is not ours", CHANNEL_SMS,
         "To=%2B919876543210&From=%2B15005550007&Body=hi", 21606},
        {"from one whose queue is full", CHANNEL_SMS,
         "To=%2B919876543210&From=%2B15005550008&Body=hi", 21611},
        {"without a text", CHANNEL_SMS, "To=%2B919876543210&From=%2B14155550100", 21602},
        {"with a callback", CHANNEL_SMS, GOOD_SMS "&StatusCallback=http%3A%2F%2Fa%2Fb%23rc%3D2", 0},
        {"with a callback that is no URL", CHANNEL_SMS, GOOD_SMS "&StatusCallback=ftp%3A%2F%2Fa",
         21609},
        {"with a line break in the callback", CHANNEL_SMS,
         GOOD_SMS "&StatusCallback=http%3A%2F%2Fa%0D%0AX%3A1", 21609},
        {"a form that is none", CHANNEL_SMS, "To=%zz", 20001},
        {"a call", CHANNEL_CALL, GOOD_CALL SAY_HI, 0},
        {"a call to nobody", CHANNEL_CALL, "From=%2B14155550100&Twiml=" SAY_HI, 21201},
        {"a call from nobody", CHANNEL_CALL, "To=%2B919876543210&Twiml=" SAY_HI, 21213},
        {"a call from a name", CHANNEL_CALL, "To=%2B919876543210&From=ABC&Twiml=" SAY_HI, 21212},
        {"a call without TwiML", CHANNEL_CALL, GOOD_CALL, 21205},
        {"a call whose TwiML is none", CHANNEL_CALL, GOOD_CALL "hi", 12100},
        {"with another root", CHANNEL_CALL, GOOD_CALL "%3CA%2F%3E", 12101},
        {"that says nothing", CHANNEL_CALL, GOOD_CALL "%3CResponse%2F%3E", 12200},
        {"with an unknown event", CHANNEL_CALL, GOOD_CALL SAY_HI "&StatusCallbackEvent=sung",
         21626},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct wire_order order;
        struct wire_refusal refusal = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(
            wire_read_order(cases[i].channel, th_str(cases[i].form), &arena, &order, &refusal),
            cases[i].code == 0);
        assert_int_equal(refusal.code, cases[i].code);
        if (cases[i].code)
            assert_int_equal(refusal.http_status, 400);
    }
}

static void test_what_orders_say(void **unused)
{
    struct wire_order order;
    struct wire_refusal refusal;

    (void)unused;
    assert_true(wire_read_order(CHANNEL_CALL,
                                TH_STR(GOOD_CALL SAY_HI
                                       "&StatusCallbackEvent=initiated&StatusCallbackEvent="
                                       "answered&StatusCallback=http%3A%2F%2Fa%2Fb%3Fc%3D1%23rc"),
                                &arena, &order, &refusal));
    assert_int_equal(order.to, 919876543210);
    assert_int_equal(order.events, EVENT_INITIATED | EVENT_ANSWERED);
    assert_int_equal(order.units, 3);
    assert_str_equal(order.text, TH_STR("hi"));
    assert_str_equal(order.callback_url, TH_STR("http://a/b?c=1"));

    assert_true(wire_read_order(CHANNEL_CALL, TH_STR(GOOD_CALL SAY_HI), &arena, &order, &refusal));
    assert_int_equal(order.events, EVENT_FINAL);

    /* A refusal still knows whom and whose attempt it concerns. */
    assert_false(wire_read_order(CHANNEL_SMS,
                                 TH_STR("To=%2B919876543210&Body=hi&StatusCallback=http%3A%2F%2Fa"),
                                 &arena, &order, &refusal));
    assert_int_equal(order.to, 919876543210);
    assert_str_equal(order.callback_url, TH_STR("http://a"));
}

static void test_long_messages(void **unused)
{
    TH_AUTO(th_buf) struct th_buf form = {0};
    struct wire_order order;
    struct wire_refusal refusal;

    (void)unused;
    th_buf_add(&form, TH_STR("To=%2B919876543210&From=%2B14155550100&Body="));
    for (int i = 0; i < WIRE_MESSAGE_MAX; i++)
        th_buf_add(&form, TH_STR("%E0%A4%B9"));
    assert_true(wire_read_order(CHANNEL_SMS, th_buf_str(&form), &arena, &order, &refusal));
    assert_int_equal(order.units, 24);
    th_buf_add_char(&form, 'a');
    assert_false(wire_read_order(CHANNEL_SMS, th_buf_str(&form), &arena, &order, &refusal));
    assert_int_equal(refusal.code, 21617);
}

static struct wire_resource resource(enum channel channel, bool is_ended)
{
    return (struct wire_resource){
        .channel = channel,
        .sid = "SM00000000000000000000000000000001",
        .account = TH_STR("AC00000000000000000000000000000001"),
        .to = 919876543210,
        .from = TH_STR("+14155550100"),
        .text = TH_STR("say \"हाँ\"\n"),
        .currency = TH_STR("INR"),
        .status = is_ended ? "undelivered" : "queued",
        .error_code = is_ended && channel == CHANNEL_SMS ? 30003 : 0,
        .units = 75,
        .is_answered = true,
        .is_ended = is_ended,
        .has_price = is_ended,
        .price_micro = 7500,
        .created_us = INT64_C(1795323705000000),
        .updated_us = INT64_C(1795323706000000),
    };
}

static void test_resources_are_json(void **unused)
{
    (void)unused;
    for (int i = 0; i < 4; i++) {
        enum channel channel = i & 1 ? CHANNEL_CALL : CHANNEL_SMS;
        struct wire_resource r = resource(channel, i & 2);
        TH_AUTO(th_buf) struct th_buf text = {0};

        wire_print_resource(&r, &text);
        json_t *json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "sid")), r.sid);
        assert_string_equal(json_string_value(json_object_get(json, "to")), "+919876543210");
        assert_string_equal(json_string_value(json_object_get(json, "date_created")),
                            "Sun, 22 Nov 2026 05:01:45 +0000");
        if (r.is_ended)
            assert_string_equal(json_string_value(json_object_get(json, "price")), "-0.00750");
        else
            assert_true(json_is_null(json_object_get(json, "price")));
        if (channel == CHANNEL_SMS)
            assert_string_equal(json_string_value(json_object_get(json, "body")), "say \"हाँ\"\n");
        else if (r.is_ended)
            assert_string_equal(json_string_value(json_object_get(json, "duration")), "75");
        json_decref(json);
    }
}

static struct th_str callback_of(const struct wire_resource *r, unsigned sequence)
{
    struct fields fields;
    struct th_buf text = {0};
    struct th_str copy = {NULL, 0};

    assert_int_equal(wire_callback(r, sequence, 200, &arena, &fields), TH_OK);
    for (size_t i = 0; i < fields.n; i++)
        fields_print(&text, fields.at[i].name, fields.at[i].value);
    assert_int_equal(th_arena_copy(&arena, th_buf_str(&text), &copy), TH_OK);
    th_buf_fini(&text);
    return copy;
}

static void test_callbacks(void **unused)
{
    struct wire_resource sms = resource(CHANNEL_SMS, true);
    struct wire_resource call = resource(CHANNEL_CALL, true);

    (void)unused;
    assert_str_equal(
        callback_of(&sms, 2),
        TH_STR("AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&From=%2B"
               "14155550100&To=%2B919876543210&MessageSid=SM00000000000000000000000000000001&"
               "SmsSid=SM00000000000000000000000000000001&MessageStatus=undelivered&SmsStatus="
               "undelivered&ErrorCode=30003&RawDlrDoneDate=2611220501"));
    call.status = "completed";
    assert_str_equal(
        callback_of(&call, 3),
        TH_STR("AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&From=%2B"
               "14155550100&To=%2B919876543210&CallSid=SM00000000000000000000000000000001&"
               "CallStatus=completed&Called=%2B919876543210&Caller=%2B14155550100&Direction="
               "outbound-api&CallbackSource=call-progress-events&SequenceNumber=3&Timestamp=Sun%2C+"
               "22+Nov+2026+05%3A01%3A46+%2B0000&CallDuration=75&Duration=2&SipResponseCode=200"));
}

static void test_refusals(void **unused)
{
    struct wire_refusal refusal = wire_refusal_of(21614, 400);
    TH_AUTO(th_buf) struct th_buf text = {0};

    (void)unused;
    wire_print_refusal(&refusal, &text);
    assert_str_equal(th_buf_str(&text),
                     TH_STR("{\"code\":21614,\"message\":\"'To' number is not a valid mobile "
                            "number\",\"more_info\":\"https://www.twilio.com/docs/errors/21614\","
                            "\"status\":400}"));
}

static void test_replies(void **unused)
{
    static const struct {
        const char *says;
        const char *received;
        enum http_reply_state state;
        unsigned status;
        size_t left; /* bytes behind the answer */
        bool is_final;
    } cases[] = {
        {"nothing yet", "", REPLY_PARTIAL, 0, 0, false},
        {"half a head", "HTTP/1.1 200 OK\r\nContent-", REPLY_PARTIAL, 0, 0, false},
        {"no body", "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", REPLY_WHOLE, 204, 0, false},
        {"a body", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", REPLY_WHOLE, 200, 0, false},
        {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", REPLY_PARTIAL, 200, 0,
         false},
        {"more than a body", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi", REPLY_WHOLE, 200, 1,
         false},
        {"an interim answer first",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", REPLY_WHOLE,
         500, 0, false},
        {"an interim answer only", "HTTP/1.1 100 Continue\r\n\r\n", REPLY_PARTIAL, 0, 0, false},
        {"the last on its connection",
         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", REPLY_WHOLE, 200, 0,
         true},
        {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", REPLY_ENDLESS,
         200, 5, false},
        {"a body without a length", "HTTP/1.1 200 OK\r\n\r\nhi", REPLY_ENDLESS, 200, 2, false},
        {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", REPLY_WHOLE, 200, 0, true},
        {"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", REPLY_BROKEN, 0,
         0, false},
        {"no status", "HTTP/1.1 abc OK\r\n\r\n", REPLY_BROKEN, 0, 0, false},
        {"another protocol", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", REPLY_BROKEN, 0, 0, false},
        {"a line that is no field", "HTTP/1.1 200 OK\r\nabc\r\n\r\n", REPLY_BROKEN, 0, 0, false},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct http_reply reply = http_reply_read(th_str(cases[i].received));

        print_message("  %s\n", cases[i].says);
        assert_int_equal(reply.state, cases[i].state);
        assert_int_equal(reply.status, cases[i].status);
        if (reply.state == REPLY_WHOLE || reply.state == REPLY_ENDLESS) {
            assert_int_equal(strlen(cases[i].received) - reply.size, cases[i].left);
            assert_int_equal(reply.is_final, cases[i].is_final);
        }
    }
}

static void test_money(void **unused)
{
    static const struct {
        const char *text;
        int64_t micro; /* -1: refused */
        const char *prints;
    } cases[] = {
        {"0.0025", 2500, "0.00250"},
        {"1", 1000000, "1.00000"},
        {"0.000001", 1, "0.000001"},
        {"12.5", 12500000, "12.50000"},
        {"0.0000001", -1, NULL},
        {"-1", -1, NULL},
        {".5", -1, NULL},
        {"1001", -1, NULL},
        {"", -1, NULL},
        {"1.-5", -1, NULL},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t micro = 0;
        TH_AUTO(th_buf) struct th_buf text = {0};

        print_message("  \"%s\"\n", cases[i].text);
        assert_int_equal(money_parse(th_str(cases[i].text), 1000000000, &micro),
                         cases[i].micro >= 0);
        if (cases[i].micro < 0)
            continue;
        assert_int_equal(micro, cases[i].micro);
        money_print(micro, &text);
        assert_str_equal(th_buf_str(&text), th_str(cases[i].prints));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),         cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_signatures),    cmocka_unit_test(test_segments),
        cmocka_unit_test(test_twiml),         cmocka_unit_test(test_twiml_of_strangers),
        cmocka_unit_test(test_orders),        cmocka_unit_test(test_what_orders_say),
        cmocka_unit_test(test_long_messages), cmocka_unit_test(test_resources_are_json),
        cmocka_unit_test(test_callbacks),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_replies),       cmocka_unit_test(test_money),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
