#include "connectors/sandbox/wire_twilio.h"

#include "connectors/sandbox/json_text.h"
#include "connectors/sandbox/money.h"
#include "connectors/sandbox/segments.h"
#include "connectors/sandbox/twiml.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SAID_PER_SECOND  15 /* characters, about what a voice reads */
#define CALL_SECONDS_MIN 3

/* code, sentence */
static const struct {
    uint32_t code;
    const char *message;
} sentences[] = {
    {12100, "Document parse failure: Twiml is not well-formed"},
    {12101, "Invalid Twilio Markup XML version or root element: it must be <Response>"},
    {12200, "Schema validation warning: Twiml has no <Say> with a text in it"},
    {20001, "The form of the request cannot be read"},
    {20003, "Authenticate"},
    {20404, "The requested resource was not found"},
    {20409, "The same request is being worked on"},
    {20429, "Too Many Requests"},
    {20500, "Internal Server Error"},
    {21201, "No 'To' number is specified"},
    {21205, "Invalid Url: the sandbox runs inline Twiml only"},
    {21210, "'From' phone number not verified"},
    {21211, "Invalid 'To' Phone Number"},
    {21212, "Invalid 'From' Phone Number"},
    {21213, "No 'From' number is specified"},
    {21214, "'To' phone number cannot be reached"},
    {21215, "Account not authorized to call this country"},
    {21216, "Call blocked by Twilio blocklist"},
    {21408, "Permission to send an SMS has not been enabled for the region of the 'To' number"},
    {21602, "Message body is required"},
    {21603, "A 'From' phone number is required"},
    {21604, "A 'To' phone number is required"},
    {21606, "The 'From' phone number is not a valid message-capable number for this destination"},
    {21609, "Invalid 'StatusCallback' url"},
    {21610, "Attempt to send to unsubscribed recipient"},
    {21611, "This 'From' number has exceeded the maximum number of queued messages"},
    {21612, "The 'To' phone number is not currently reachable via SMS"},
    {21614, "'To' number is not a valid mobile number"},
    {21617, "The concatenated message body exceeds the 1600 character limit"},
    {21626, "Invalid value for statusCallbackEvents"},
};

struct wire_refusal wire_refusal_of(uint32_t code, unsigned http_status)
{
    const char *message = "The request was refused";

    for (size_t i = 0; i < TH_LEN(sentences); i++)
        if (sentences[i].code == code)
            message = sentences[i].message;
    return (struct wire_refusal){http_status, code, message};
}

void wire_print_refusal(const struct wire_refusal *refusal, struct th_buf *out)
{
    th_buf_printf(out, "{\"code\":%" PRIu32 ",\"message\":", refusal->code);
    json_text_add(out, th_str(refusal->message));
    th_buf_printf(
        out, ",\"more_info\":\"https://www.twilio.com/docs/errors/%" PRIu32 "\",\"status\":%u}",
        refusal->code, refusal->http_status);
}

/* The reading of an order: each part answers 0 or the code to refuse with. */
struct reading {
    const struct fields *form;
    struct th_arena *arena;
    struct wire_order *order;
};

static uint32_t read_to(const struct reading *r)
{
    struct th_str to = fields_get(r->form, "To");

    if (to.n == 0)
        return r->order->channel == CHANNEL_SMS ? 21604 : 21201;
    return number_parse(to, &r->order->to) ? 0 : 21211;
}

static bool is_sender_name(struct th_str text)
{
    bool has_letter = false;

    if (text.n == 0 || text.n > 11)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != ' ')
            return false;
        has_letter = has_letter || is_letter;
    }
    return has_letter;
}

/* Short codes have no '+'. */
static bool is_short_code(struct th_str text)
{
    int64_t number;

    return text.n >= 3 && text.n <= 8 && th_str_int(text, 0, 99999999, &number);
}

static uint32_t read_from(const struct reading *r)
{
    bool is_sms = r->order->channel == CHANNEL_SMS;
    struct th_str from = fields_get(r->form, "From");
    struct th_str service = fields_get(r->form, "MessagingServiceSid");
    uint64_t number;

    if (is_sms && from.n == 0 && service.n == 34 && th_str_starts(service, TH_STR("MG"))) {
        r->order->service = service;
        return 0;
    }
    if (from.n == 0)
        return is_sms ? 21603 : 21213;
    if (th_str_eq(from, TH_STR("+15005550001")))
        return 21212;
    if (th_str_eq(from, TH_STR("+15005550007")))
        return is_sms ? 21606 : 21210;
    if (is_sms && th_str_eq(from, TH_STR("+15005550008")))
        return 21611;
    if (!number_parse(from, &number) && !(is_sms && (is_sender_name(from) || is_short_code(from))))
        return 21212;
    r->order->from = from;
    return 0;
}

static uint32_t read_body(const struct reading *r)
{
    struct th_str body = fields_get(r->form, "Body");

    if (body.n == 0)
        return 21602;
    struct segments count = segments_count(body);
    if (count.characters > WIRE_MESSAGE_MAX)
        return 21617;
    r->order->text = body;
    r->order->units = count.parts;
    return 0;
}

static uint32_t count_characters(struct th_str text)
{
    uint32_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

/* The error that a document which twiml_say refuses earns. */
static uint32_t twiml_refusal(enum th_code code)
{
    if (code == TH_NOMEM)
        return 20500;
    if (code == TH_INVALID)
        return 12101;
    return code == TH_NOT_FOUND ? 12200 : 12100;
}

static uint32_t read_twiml(const struct reading *r)
{
    struct th_str twiml = fields_get(r->form, "Twiml");
    TH_AUTO(th_buf) struct th_buf said = {0};

    if (twiml.n == 0 || fields_get(r->form, "Url").n)
        return 21205;
    if (count_characters(twiml) > TWIML_CHARACTERS_MAX)
        return 12100;
    enum th_code code = twiml_say(twiml, &said, NULL);
    if (code != TH_OK)
        return twiml_refusal(code);
    if (th_arena_copy(r->arena, th_str_trim(th_buf_str(&said)), &r->order->text) != TH_OK)
        return 20500;
    uint32_t seconds = count_characters(r->order->text) / SAID_PER_SECOND + 2;
    r->order->units = seconds < CALL_SECONDS_MIN ? CALL_SECONDS_MIN : seconds;
    return 0;
}

/* The fragment is for Twilio's own settings and never sent. */
static uint32_t read_callback(const struct reading *r)
{
    struct th_str url = fields_get(r->form, "StatusCallback");
    struct th_str fragment;

    (void)th_str_cut(url, '#', &url, &fragment);
    if (url.n == 0)
        return 0;
    bool is_http = th_str_starts(url, TH_STR("http://")) || th_str_starts(url, TH_STR("https://"));
    if (!is_http || url.n > WIRE_URL_MAX)
        return 21609;
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
            return 21609;
    r->order->callback_url = url;
    return 0;
}

static uint32_t read_events(const struct reading *r)
{
    if (r->order->channel == CHANNEL_SMS)
        return 0;
    for (size_t i = 0; i < r->form->n; i++) {
        if (!th_str_eq(r->form->at[i].name, TH_STR("StatusCallbackEvent")))
            continue;
        unsigned event = timeline_events_parse(r->form->at[i].value, CHANNEL_CALL);
        if (!event)
            return 21626;
        r->order->events |= event;
    }
    if (!r->order->events)
        r->order->events = EVENT_FINAL;
    return 0;
}

static uint32_t read_order(const struct reading *r)
{
    typedef uint32_t part_fn(const struct reading *r);
    part_fn *const parts[] = {read_callback, read_to, read_from,
                              r->order->channel == CHANNEL_SMS ? read_body : read_twiml,
                              read_events};
    uint32_t code = 0;

    /* Everything is read, so that a refusal still knows whom and whose attempt it concerns. */
    for (size_t i = 0; i < TH_LEN(parts); i++) {
        uint32_t wrong = parts[i](r);
        code = code ? code : wrong;
    }
    return code;
}

bool wire_read_order(enum channel channel, struct th_str form, struct th_arena *arena,
                     struct wire_order *out_order, struct wire_refusal *out_refusal)
{
    struct fields fields;
    uint32_t code = 20001;

    *out_order = (struct wire_order){.channel = channel};
    if (fields_parse(form, arena, &fields, NULL) == TH_OK)
        code = read_order(&(struct reading){&fields, arena, out_order});
    if (code)
        *out_refusal = wire_refusal_of(code, code == 20500 ? 500 : 400);
    return code == 0;
}

void wire_print_date(int64_t at_us, char out_text[WIRE_DATE_SIZE])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t at = (time_t)(at_us / 1000000);
    struct tm utc;

    if (!gmtime_r(&at, &utc))
        utc = (struct tm){.tm_mday = 1, .tm_year = 70};
    (void)snprintf(out_text, WIRE_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d +0000",
                   days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900,
                   utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static void add_text(struct th_buf *out, const char *name, const char *text)
{
    th_buf_add(out, TH_STR(",\""));
    th_buf_add(out, th_str(name));
    th_buf_add(out, TH_STR("\":\""));
    th_buf_add(out, th_str(text));
    th_buf_add_char(out, '"');
}

static void add_price(const struct wire_resource *r, struct th_buf *out)
{
    th_buf_add(out, TH_STR(",\"price\":"));
    if (r->has_price) {
        th_buf_add_char(out, '"');
        money_print(-r->price_micro, out);
        th_buf_add_char(out, '"');
    } else {
        th_buf_add(out, TH_STR("null"));
    }
    th_buf_add(out, TH_STR(",\"price_unit\":"));
    json_text_add(out, r->currency);
}

/* What messages and calls have in common; the object stays open. */
static void begin_resource(const struct wire_resource *r, struct th_buf *out)
{
    char to[NUMBER_TEXT_MAX];
    char date[WIRE_DATE_SIZE];
    const char *kind = r->channel == CHANNEL_SMS ? "Messages" : "Calls";

    th_buf_add(out, TH_STR("{\"account_sid\":"));
    json_text_add(out, r->account);
    th_buf_add(out, TH_STR(",\"api_version\":\"2010-04-01\",\"direction\":\"outbound-api\""));
    add_text(out, "sid", r->sid);
    add_text(out, "status", r->status);
    (void)number_print(r->to, to);
    add_text(out, "to", to);
    th_buf_add(out, TH_STR(",\"from\":"));
    json_text_or_null_add(out, r->from.n ? r->from : (struct th_str){NULL, 0});
    wire_print_date(r->created_us, date);
    add_text(out, "date_created", date);
    wire_print_date(r->updated_us, date);
    add_text(out, "date_updated", date);
    add_price(r, out);
    th_buf_add(out, TH_STR(",\"uri\":\"/2010-04-01/Accounts/"));
    th_buf_add(out, r->account);
    th_buf_add_char(out, '/');
    th_buf_add(out, th_str(kind));
    th_buf_add_char(out, '/');
    th_buf_add(out, th_str(r->sid));
    th_buf_add(out, TH_STR(".json\""));
}

static void print_message(const struct wire_resource *r, struct th_buf *out)
{
    char date[WIRE_DATE_SIZE];

    begin_resource(r, out);
    th_buf_add(out, TH_STR(",\"body\":"));
    json_text_add(out, r->text);
    th_buf_printf(out, ",\"num_segments\":\"%" PRIu32 "\",\"num_media\":\"0\"", r->units);
    th_buf_add(out, TH_STR(",\"messaging_service_sid\":"));
    json_text_or_null_add(out, r->service.n ? r->service : (struct th_str){NULL, 0});
    if (r->is_ended) {
        wire_print_date(r->updated_us, date);
        add_text(out, "date_sent", date);
    } else {
        th_buf_add(out, TH_STR(",\"date_sent\":null"));
    }
    if (r->error_code)
        th_buf_printf(out, ",\"error_code\":%d,\"error_message\":\"Delivery failed\"",
                      r->error_code);
    else
        th_buf_add(out, TH_STR(",\"error_code\":null,\"error_message\":null"));
    th_buf_add(out, TH_STR(",\"subresource_uris\":{\"media\":\"/2010-04-01/Accounts/"));
    th_buf_add(out, r->account);
    th_buf_add(out, TH_STR("/Messages/"));
    th_buf_add(out, th_str(r->sid));
    th_buf_add(out, TH_STR("/Media.json\"}}"));
}

static void print_call(const struct wire_resource *r, struct th_buf *out)
{
    char date[WIRE_DATE_SIZE];

    begin_resource(r, out);
    th_buf_add(out, TH_STR(",\"parent_call_sid\":null,\"answered_by\":null,\"caller_name\":null,"
                           "\"forwarded_from\":null,\"group_sid\":null,\"phone_number_sid\":null,"
                           "\"trunk_sid\":null,\"queue_time\":\"0\""));
    if (r->is_ended) {
        th_buf_printf(out, ",\"duration\":\"%" PRIu32 "\"", r->is_answered ? r->units : 0);
        wire_print_date(r->created_us, date);
        add_text(out, "start_time", date);
        wire_print_date(r->updated_us, date);
        add_text(out, "end_time", date);
    } else {
        th_buf_add(out, TH_STR(",\"duration\":null,\"start_time\":null,\"end_time\":null"));
    }
    th_buf_add(out, TH_STR(",\"subresource_uris\":{}}"));
}

void wire_print_resource(const struct wire_resource *resource, struct th_buf *out)
{
    if (resource->channel == CHANNEL_SMS)
        print_message(resource, out);
    else
        print_call(resource, out);
}

static struct th_str copy_text(struct th_arena *arena, const char *text)
{
    struct th_str copy = {NULL, 0};

    return th_arena_copy(arena, th_str(text), &copy) == TH_OK ? copy : (struct th_str){NULL, 0};
}

static void message_fields(const struct wire_resource *r, struct th_arena *arena,
                           struct fields *out)
{
    fields_add(out, "MessageSid", th_str(r->sid));
    fields_add(out, "SmsSid", th_str(r->sid));
    fields_add(out, "MessageStatus", th_str(r->status));
    fields_add(out, "SmsStatus", th_str(r->status));
    if (r->service.n)
        fields_add(out, "MessagingServiceSid", r->service);
    if (!r->is_ended)
        return;
    if (r->error_code)
        fields_add(out, "ErrorCode", th_arena_printf(arena, "%d", r->error_code));

    time_t at = (time_t)(r->updated_us / 1000000);
    struct tm utc = {0};
    (void)gmtime_r(&at, &utc);
    struct th_str done = th_arena_printf(arena, "%02d%02d%02d%02d%02d", utc.tm_year % 100,
                                         utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min);
    fields_add(out, "RawDlrDoneDate", done);
}

static void call_fields(const struct wire_resource *r, unsigned sequence, int sip_code,
                        struct th_str to, struct th_arena *arena, struct fields *out)
{
    char date[WIRE_DATE_SIZE];

    fields_add(out, "CallSid", th_str(r->sid));
    fields_add(out, "CallStatus", th_str(r->status));
    fields_add(out, "Called", to);
    fields_add(out, "Caller", r->from.n ? r->from : TH_STR(""));
    fields_add(out, "Direction", TH_STR("outbound-api"));
    fields_add(out, "CallbackSource", TH_STR("call-progress-events"));
    fields_add(out, "SequenceNumber", th_arena_printf(arena, "%u", sequence));
    wire_print_date(r->updated_us, date);
    fields_add(out, "Timestamp", copy_text(arena, date));
    if (!r->is_ended)
        return;
    uint32_t seconds = r->is_answered ? r->units : 0;
    fields_add(out, "CallDuration", th_arena_printf(arena, "%" PRIu32, seconds));
    if (r->is_answered)
        fields_add(out, "Duration", th_arena_printf(arena, "%" PRIu32, (seconds + 59) / 60));
    fields_add(out, "SipResponseCode", th_arena_printf(arena, "%d", sip_code));
}

enum th_code wire_callback(const struct wire_resource *resource, unsigned sequence, int sip_code,
                           struct th_arena *arena, struct fields *out_fields)
{
    char number[NUMBER_TEXT_MAX];

    out_fields->n = 0;
    (void)number_print(resource->to, number);
    struct th_str to = copy_text(arena, number);
    fields_add(out_fields, "AccountSid", resource->account);
    fields_add(out_fields, "ApiVersion", TH_STR("2010-04-01"));
    fields_add(out_fields, "From", resource->from.n ? resource->from : TH_STR(""));
    fields_add(out_fields, "To", to);
    if (resource->channel == CHANNEL_SMS)
        message_fields(resource, arena, out_fields);
    else
        call_fields(resource, sequence, sip_code, to, arena, out_fields);
    for (size_t i = 0; i < out_fields->n; i++)
        if (!out_fields->at[i].value.p)
            return TH_NOMEM;
    return TH_OK;
}
