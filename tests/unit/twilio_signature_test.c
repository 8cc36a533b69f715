/* X-Twilio-Signature: the vectors were made and accepted by Twilio's own library for Node (6.2.0);
 * the first is the example of Twilio's manual. */
#include "tests/unit/test.h"

#include "connectors/twilio/twilio.h"

#include <stdlib.h>
#include <string.h>

#define TOKEN "0123456789abcdef0123456789abcdef"
#define FORM  "application/x-www-form-urlencoded"
#define HOST  "https://hooks.telehub.example"
#define GATHER                                                                                     \
    "CallSid=CA00000000000000000000000000000001&Digits=3%23&FinishedOnKey=%23&msg=Gather+End"
#define EVENT                                                                                      \
    "{\"type\":\"com.twilio.messaging.message.delivered\","                                        \
    "\"sid\":\"SM00000000000000000000000000000001\"}"
#define EVENT_URL                                                                                  \
    HOST "/v1/twilio/events?bodySHA256="                                                           \
         "49c941707c38ccfcbe2eb7c3ded37f9367c417f91aeed9371563fe43d0bf3e99"

static const struct vector {
    const char *says;
    const char *token;
    const char *url;
    const char *type;
    const char *body;
    const char *signature;
} vectors[] = {
    {"the query belongs to the URL that is signed", "12345",
     "https://mycompany.com/myapp.php?foo=1&bar=2", FORM,
     "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309"
     "&To=%2B18005551212",
     "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    {"our ids in the query, Message... before Raw... and Sms...", TOKEN,
     HOST "/v1/twilio/msg/status?tenant=7&cid=42", FORM,
     "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&ErrorCode=30003"
     "&From=%2B14155550100&MessageSid=SM00000000000000000000000000000001"
     "&MessageStatus=undelivered&RawDlrDoneDate=2611220915"
     "&SmsSid=SM00000000000000000000000000000001&SmsStatus=undelivered&To=%2B919876543210",
     "xIM1bDy/9o+/61TQi929DS17Ze0="},
    {"UTF-8, separators inside values, an empty value", TOKEN, HOST "/v1/twilio/wa/inbound", FORM,
     "AccountSid=AC00000000000000000000000000000001&Body=%E0%A4%A8%E0%A4%AE%E0%A4%B8%E0%A5%8D"
     "%E0%A4%A4%E0%A5%87+%26+%E0%A4%B9%E0%A4%BE%E0%A4%81+100%25+%E2%9C%85"
     "&ButtonPayload=confirm%3Dyes%26id%3D9&ButtonText=Yes%2C+confirm"
     "&From=whatsapp%3A%2B919876543210&MessageSid=SM00000000000000000000000000000002&NumMedia=0"
     "&ProfileName=&To=whatsapp%3A%2B14155550100&WaId=919876543210",
     "cXAx05HQgxKuqvXlGQROorgi9w8="},
    {"a GET: only the URL, its escapes as they came", TOKEN,
     HOST "/v1/twilio/voice/answer?CallSid=CA00000000000000000000000000000001"
          "&From=%2B919876543210&To=%2B14155550100&CallStatus=in-progress",
     "", "", "x+5Ij+X9c8XbmRGfwtq2gmMDA/k="},
    {"a port in the URL, signed with it", TOKEN,
     "https://hooks.telehub.example:8443/v1/twilio/voice/gather", FORM, GATHER,
     "M1g4pc2XWXdgKCpmw7oHcgcFhl8="},
    {"a port in the URL, signed without it", TOKEN,
     "https://hooks.telehub.example:8443/v1/twilio/voice/gather", FORM, GATHER,
     "U3+35173O41S6Ba5P3tIqWqqVw4="},
    {"no port in the URL, signed without one", TOKEN, HOST "/v1/twilio/voice/gather", FORM, GATHER,
     "U3+35173O41S6Ba5P3tIqWqqVw4="},
    {"a repeated name: values sorted, the same one once, names by byte", TOKEN,
     HOST "/v1/twilio/multi", FORM,
     "MediaUrl=https%3A%2F%2Fb.example%2F2.png&MediaUrl=https%3A%2F%2Fa.example%2F1.png"
     "&MediaUrl=https%3A%2F%2Fb.example%2F2.png&a=1&B=2",
     "yc21FQVuM7L3gaMbikCIkJp2wG0="},
    {"JSON: the URL, which holds the digest of the body", TOKEN, EVENT_URL, "application/json",
     EVENT, "ILDqSpwx8CwGB60ZTet9DdBt0xo="},
};

static enum th_code verify(const char *token, const char *url, const char *type, const char *body,
                           const char *signature)
{
    struct provider_callback callback = {th_str(url), th_str(type), th_str(body),
                                         th_str(signature)};
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    enum th_code code = twilio_ops.callback_verify(&callback, th_str(token), &arena);
    th_arena_fini(&arena);
    return code;
}

static void test_vectors(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        print_message("  %s\n", v->says);
        assert_int_equal(verify(v->token, v->url, v->type, v->body, v->signature), TH_OK);
    }
}

/* Change each byte of text in turn to another; whatever comes out must not verify. */
static void try_each_byte(const struct vector *v, int which)
{
    const char *parts[] = {v->token, v->url, v->body, v->signature};
    char *changed = strdup(parts[which]);
    assert_non_null(changed);
    parts[which] = changed;

    for (size_t i = 0; changed[i]; i++) {
        char kept = changed[i];
        changed[i] = kept == 'x' ? 'y' : 'x';
        if (verify(parts[0], parts[1], v->type, parts[2], parts[3]) == TH_OK)
            fail_msg("byte %zu of part %d changed: still accepted", i, which);
        changed[i] = kept;
    }
    free(changed);
}

static void test_one_byte_is_enough(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(vectors); i++) {
        print_message("  %s\n", vectors[i].says);
        for (int which = 0; which < 4; which++) {
            /* the port does not count where it was not signed */
            if (!(which == 1 && strstr(vectors[i].says, "signed without it")))
                try_each_byte(&vectors[i], which);
        }
    }
}

static void test_refusals(void **unused)
{
    (void)unused;
    const struct vector *v = &vectors[1];
    static const struct {
        const char *says;
        const char *token;
        const char *url;
        const char *type;
        const char *body;
        const char *signature;
        enum th_code code;
    } cases[] = {
        {"no signature", TOKEN, EVENT_URL, "application/json", EVENT, "", TH_DENIED},
        {"no token", "", EVENT_URL, "application/json", EVENT,
         "ILDqSpwx8CwGB60ZTet9DdBt0xo=", TH_DENIED},
        {"a body that neither form nor digest covers", TOKEN,
         HOST "/v1/twilio/voice/answer?CallSid=CA00000000000000000000000000000001"
              "&From=%2B919876543210&To=%2B14155550100&CallStatus=in-progress",
         "text/plain", "MessageStatus=delivered", "x+5Ij+X9c8XbmRGfwtq2gmMDA/k=", TH_DENIED},
        {"a digest that only ends like the parameter", TOKEN, HOST "/?xbodySHA256=1", "text/plain",
         "1", "ILDqSpwx8CwGB60ZTet9DdBt0xo=", TH_DENIED},
        {"another scheme", TOKEN, "http://hooks.telehub.example/v1/twilio/voice/gather", FORM,
         GATHER, "U3+35173O41S6Ba5P3tIqWqqVw4=", TH_DENIED},
        {"a port that was not signed", TOKEN, HOST "/v1/twilio/voice/gather", FORM, GATHER,
         "M1g4pc2XWXdgKCpmw7oHcgcFhl8=", TH_DENIED},
        {"a parameter more", TOKEN, HOST "/v1/twilio/voice/gather", FORM, GATHER "&a=1",
         "U3+35173O41S6Ba5P3tIqWqqVw4=", TH_DENIED},
        {"a parameter less", TOKEN, HOST "/v1/twilio/voice/gather", FORM,
         "CallSid=CA00000000000000000000000000000001", "U3+35173O41S6Ba5P3tIqWqqVw4=", TH_DENIED},
        {"a form that cannot be read", TOKEN, HOST "/v1/twilio/voice/gather", FORM, "a=%zz",
         "U3+35173O41S6Ba5P3tIqWqqVw4=", TH_MALFORMED},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(
            verify(cases[i].token, cases[i].url, cases[i].type, cases[i].body, cases[i].signature),
            cases[i].code);
    }
    print_message("  a content type with its character set, in any case\n");
    assert_int_equal(verify(v->token, v->url, "Application/X-WWW-form-urlencoded; charset=UTF-8",
                            v->body, v->signature),
                     TH_OK);
    struct provider_callback callback = {th_str(v->url), th_str(FORM), th_str(v->body),
                                         th_str(v->signature)};
    struct th_arena none;
    print_message("  no memory is no answer\n");
    th_arena_init(&none, 0);
    assert_int_equal(twilio_ops.callback_verify(&callback, th_str(v->token), &none), TH_NOMEM);
    th_arena_fini(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_one_byte_is_enough),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
