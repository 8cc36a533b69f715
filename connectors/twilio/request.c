#include "connectors/twilio/request.h"

#include "common/form.h"
#include "connectors/twilio/status.h"
#include "connectors/twilio/twilio.h"
#include "connectors/twilio/twiml.h"

#define FIELDS_MAX 10
#define E164_MIN   8 /* with its plus */
#define E164_MAX   16

static enum th_code check_account(const struct provider_account *account, struct th_err *err)
{
    if (!twilio_is_id(account->account))
        return th_fail(err, TH_INVALID, "an account id consists of letters and digits");
    if (!account->secret.n)
        return th_fail(err, TH_INVALID, "the account has no secret");
    return TH_OK;
}

/* A request to {base}/2010-04-01/Accounts/{account}{path}. */
static enum th_code address(const struct provider_account *account, const char *path,
                            struct th_arena *arena, struct http_req *out_req, struct th_err *err)
{
    TH_TRY(check_account(account, err));
    struct th_str url = th_arena_printf(arena, "%.*s/2010-04-01/Accounts/%.*s%s",
                                        TH_ARG(account->base_url), TH_ARG(account->account), path);
    if (!url.p)
        return th_fail(err, TH_NOMEM, "Twilio request");
    *out_req = (struct http_req){
        .method = HTTP_GET,
        .url = url,
        .user = account->account,
        .secret = account->secret,
    };
    return TH_OK;
}

bool twilio_is_service(struct th_str sender)
{
    return sender.n == 34 && th_str_starts(sender, TH_STR("MG")) && twilio_is_id(sender);
}

static bool is_e164(struct th_str number)
{
    if (number.n < E164_MIN || number.n > E164_MAX || number.p[0] != '+' || number.p[1] == '0')
        return false;
    for (size_t i = 1; i < number.n; i++) {
        if (number.p[i] < '0' || number.p[i] > '9')
            return false;
    }
    return true;
}

static size_t count_chars(struct th_str utf8)
{
    size_t n = 0;

    for (size_t i = 0; i < utf8.n; i++)
        n += ((unsigned char)utf8.p[i] & 0xc0) != 0x80;
    return n;
}

struct fields {
    struct form_pair at[FIELDS_MAX];
    size_t n;
};

static void put(struct fields *fields, const char *name, struct th_str value)
{
    fields->at[fields->n++] = (struct form_pair){th_str(name), value};
}

static enum th_code put_sms(struct fields *fields, const struct provider_message *msg,
                            struct th_err *err)
{
    if (!msg->text.n || !th_str_is_utf8(msg->text))
        return th_fail(err, TH_INVALID, "the text is empty or not UTF-8");
    if (count_chars(msg->text) > TWILIO_SMS_CHARS_MAX)
        return th_fail(err, TH_INVALID, "the text has %zu characters, at most %d are sent",
                       count_chars(msg->text), TWILIO_SMS_CHARS_MAX);
    put(fields, "To", msg->to);
    put(fields, twilio_is_service(msg->from) ? "MessagingServiceSid" : "From", msg->from);
    put(fields, "Body", msg->text);
    if (msg->callback_url.n)
        put(fields, "StatusCallback", msg->callback_url);
    return TH_OK;
}

static enum th_code put_call(struct fields *fields, const struct provider_message *msg,
                             struct th_arena *arena, struct th_err *err)
{
    struct th_str twiml;

    TH_TRY(twiml_say(msg->text, msg->language, arena, &twiml, err));
    put(fields, "To", msg->to);
    put(fields, "From", msg->from);
    put(fields, "Twiml", twiml);
    if (msg->callback_url.n) {
        put(fields, "StatusCallback", msg->callback_url);
        put(fields, "StatusCallbackMethod", TH_STR("POST"));
        put(fields, "StatusCallbackEvent", TH_STR("initiated"));
        put(fields, "StatusCallbackEvent", TH_STR("ringing"));
        put(fields, "StatusCallbackEvent", TH_STR("answered"));
        put(fields, "StatusCallbackEvent", TH_STR("completed"));
    }
    return TH_OK;
}

enum th_code twilio_build(const struct provider_account *account,
                          const struct provider_message *msg, struct th_arena *arena,
                          struct http_req *out_req, struct th_err *err)
{
    struct fields fields = {.n = 0};
    struct http_req req;
    bool is_call = msg->channel == PROVIDER_CALL;

    if (!is_call && msg->channel != PROVIDER_SMS)
        return th_fail(err, TH_UNSUPPORTED, "Twilio takes an SMS or a call here");
    if (!is_e164(msg->to))
        return th_fail(err, TH_INVALID, "the recipient is not an E.164 number");
    if (!msg->from.n || !th_str_is_utf8(msg->from))
        return th_fail(err, TH_INVALID, "there is no sender");
    TH_TRY(is_call ? put_call(&fields, msg, arena, err) : put_sms(&fields, msg, err));
    TH_TRY(address(account, is_call ? "/Calls.json" : "/Messages.json", arena, &req, err));
    req.method = HTTP_POST;
    req.content_type = TH_STR("application/x-www-form-urlencoded");
    if (form_encode(fields.at, fields.n, arena, &req.body) != TH_OK)
        return th_fail(err, TH_NOMEM, "Twilio request");
    *out_req = req;
    return TH_OK;
}

enum th_code twilio_lookup_build(const struct provider_account *account,
                                 enum provider_channel channel, struct th_str provider_id,
                                 struct th_arena *arena, struct http_req *out_req,
                                 struct th_err *err)
{
    if (!twilio_is_id(provider_id))
        return th_fail(err, TH_INVALID, "this is no id of Twilio's");
    struct th_str path =
        th_arena_printf(arena, "/%s/%.*s.json", channel == PROVIDER_CALL ? "Calls" : "Messages",
                        TH_ARG(provider_id));
    if (!path.p)
        return th_fail(err, TH_NOMEM, "Twilio request");
    return address(account, path.p, arena, out_req, err);
}

/* "/2010-04-01/Accounts/AC…/Messages.json?…", as next_page_uri says it: of this list, or nothing.
 */
static enum th_code page_path(const struct provider_account *account, const char *list,
                              struct th_str next, struct th_arena *arena, struct th_str *out_path)
{
    struct th_str front =
        th_arena_printf(arena, "/2010-04-01/Accounts/%.*s", TH_ARG(account->account));
    struct th_str start = th_arena_printf(arena, "%.*s/%s.json?", TH_ARG(front), list);

    if (!front.p || !start.p)
        return TH_NOMEM;
    if (!th_str_starts(next, start))
        return TH_INVALID;
    return th_arena_copy(arena, (struct th_str){next.p + front.n, next.n - front.n}, out_path);
}

enum th_code twilio_list_build(const struct provider_account *account,
                               enum provider_channel channel, struct th_str next,
                               struct th_arena *arena, struct http_req *out_req, struct th_err *err)
{
    const char *list = channel == PROVIDER_CALL ? "Calls" : "Messages";
    struct th_str path = {NULL, 0};

    if (next.n) {
        enum th_code code = page_path(account, list, next, arena, &path);
        if (code == TH_INVALID)
            return th_fail(err, code, "the next page is not of this list");
    } else {
        path = th_arena_printf(arena, "/%s.json?PageSize=%d", list, PROVIDER_PAGE_MAX);
    }
    if (!path.p)
        return th_fail(err, TH_NOMEM, "Twilio request");
    return address(account, path.p, arena, out_req, err);
}

/* Not filtered by date: that is the date of sending, which what still waits has not, and it counts
 * in days. The newest come first. */
enum th_code twilio_search_build(const struct provider_account *account,
                                 const struct provider_search *search, struct th_arena *arena,
                                 struct http_req *out_req, struct th_err *err)
{
    const char *list = search->channel == PROVIDER_CALL ? "Calls" : "Messages";
    bool has_from = search->from.n && !twilio_is_service(search->from);
    struct th_str to;
    struct th_str from;

    if (!is_e164(search->to))
        return th_fail(err, TH_INVALID, "the recipient is not an E.164 number");
    if (form_escape_url(search->to, arena, &to) != TH_OK ||
        form_escape_url(search->from, arena, &from) != TH_OK)
        return th_fail(err, TH_NOMEM, "Twilio request");
    struct th_str path = th_arena_printf(arena, "/%s.json?To=%.*s%s%.*s&PageSize=%d", list,
                                         TH_ARG(to), has_from ? "&From=" : "",
                                         has_from ? (int)from.n : 0, from.p, PROVIDER_FOUND_MAX);
    if (!path.p)
        return th_fail(err, TH_NOMEM, "Twilio request");
    return address(account, path.p, arena, out_req, err);
}

enum th_code twilio_check_build(const struct provider_account *account, unsigned round,
                                struct th_arena *arena, struct http_req *out_req,
                                struct th_err *err)
{
    static const char *const paths[] = {"/Balance.json", ".json"};

    if (round >= TH_LEN(paths))
        return th_fail(err, TH_INVALID, "a check has %zu rounds", TH_LEN(paths));
    return address(account, paths[round], arena, out_req, err);
}
