#include "connectors/gateway/spec.h"

#include <stdio.h>

#include "common/text_file.h"
#include "connectors/gateway/gateway_internal.h"

#define LANG_MAX     35 /* RFC 5646, 4.4.1 */
#define ACCOUNTS_MAX 32
#define ATTEMPTS_MAX 10
#define PACE_MAX     1000000
#define DAY_MIN      1440

/* Which of the names, which end at NULL. */
static enum th_code one_of(struct th_json value, const char *const *names, int *out_index,
                           struct th_err *err)
{
    struct th_str text;
    char known[128] = "";
    size_t n = 0;

    TH_TRY(th_json_str(value, 1, 64, &text, err));
    for (int i = 0; names[i]; i++) {
        if (th_str_eq(text, th_str(names[i]))) {
            *out_index = i;
            return TH_OK;
        }
        int more = snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", names[i]);
        n += more > 0 && n + (size_t)more < sizeof known ? (size_t)more : 0;
    }
    return th_json_fail(value, err, "must be one of: %s", known);
}

enum th_code spec_channel(struct th_json value, enum channel *out_channel, struct th_err *err)
{
    static const char *const names[] = {[CHANNEL_SMS] = "sms", [CHANNEL_CALL] = "call", NULL};
    int index = 0;

    TH_TRY(one_of(value, names, &index, err));
    *out_channel = (enum channel)index;
    return TH_OK;
}

bool spec_lang_is_valid(struct th_str lang)
{
    for (size_t i = 0; i < lang.n; i++) {
        char c = lang.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (c != '-' || i == 0 || i == lang.n - 1))
            return false;
    }
    return lang.n >= 2 && lang.n <= LANG_MAX;
}

enum th_code spec_lang(struct th_json value, struct th_str *out_lang, struct th_err *err)
{
    struct th_str lang = {0};

    if (th_json_is_given(value)) {
        TH_TRY(th_json_str(value, 0, LANG_MAX, &lang, err));
        if (lang.n && !spec_lang_is_valid(lang))
            return th_json_fail(value, err, "must be a language tag, as hi or en-IN");
    }
    *out_lang = lang;
    return TH_OK;
}

static bool has_account(struct request *request, struct th_str name)
{
    struct reference *ref = request->gateway->config.reference;

    reference_read_lock(ref);
    bool is_known = reference_lane_by_name(ref, request->tenant, name) != NULL;
    reference_unlock(ref);
    return is_known;
}

enum th_code spec_accounts(struct request *request, struct th_json value,
                           struct string_array *out_accounts, struct th_err *err)
{
    size_t n = 0;

    *out_accounts = (struct string_array){0};
    if (!th_json_is_given(value))
        return TH_OK;
    TH_TRY(th_json_array(value, 0, ACCOUNTS_MAX, &n, err));
    struct th_str *names = th_arena_array(&request->arena, n + 1, sizeof *names);
    if (!names)
        return th_fail(err, TH_NOMEM, "names of accounts");
    for (size_t i = 0; i < n; i++) {
        struct th_json item = th_json_item(value, i);
        TH_TRY(th_json_str(item, 1, 63, &names[i], err));
        if (!has_account(request, names[i]))
            return th_json_fail(item, err, "there is no account of that name");
    }
    *out_accounts = (struct string_array){names, n};
    return TH_OK;
}

enum th_code spec_category(struct th_json value, enum category *out_category, struct th_err *err)
{
    static const char *const names[] = {
        [CATEGORY_TRANSACTIONAL] = "transactional",
        [CATEGORY_SERVICE_IMPLICIT] = "service_implicit",
        [CATEGORY_SERVICE_EXPLICIT] = "service_explicit",
        [CATEGORY_PROMOTIONAL] = "promotional",
        NULL,
    };
    int index = CATEGORY_SERVICE_IMPLICIT;

    if (th_json_is_given(value))
        TH_TRY(one_of(value, names, &index, err));
    *out_category = (enum category)index;
    return TH_OK;
}

enum th_code spec_policy(struct th_json value, enum send_policy *out_policy, struct th_err *err)
{
    static const char *const names[] = {
        [SEND_POLICY_AT_MOST_ONCE] = "at_most_once",
        [SEND_POLICY_AT_LEAST_ONCE] = "at_least_once",
        NULL,
    };
    int index = SEND_POLICY_AT_MOST_ONCE;

    if (th_json_is_given(value))
        TH_TRY(one_of(value, names, &index, err));
    *out_policy = (enum send_policy)index;
    return TH_OK;
}

enum th_code spec_attempts(struct th_json value, int32_t *out_attempts, struct th_err *err)
{
    int64_t attempts = SPEC_ATTEMPTS_PRESET;

    if (th_json_is_given(value))
        TH_TRY(th_json_int(value, 1, ATTEMPTS_MAX, &attempts, err));
    *out_attempts = (int32_t)attempts;
    return TH_OK;
}

/* --- campaigns -----------------------------------------------------------------------------------
 */

enum th_code spec_pace(struct th_json value, int32_t *out_pace, struct th_err *err)
{
    struct th_str text;
    int64_t pace = 0;

    if ((th_json_str(value, 3, 3, &text, NULL) != TH_OK || !th_str_eq(text, TH_STR("max"))) &&
        th_json_int(value, 1, PACE_MAX, &pace, NULL) != TH_OK)
        return th_json_fail(value, err, "must be max, or sends per minute, 1 to %d", PACE_MAX);
    *out_pace = (int32_t)pace;
    return TH_OK;
}

/* "09:30"; "24:00" is the end of the day. */
static enum th_code read_minute(struct th_json value, int32_t *out_minute, struct th_err *err)
{
    struct th_str text;
    int64_t hour = 0;
    int64_t minute = 0;

    TH_TRY(th_json_str(value, 5, 5, &text, err));
    if (text.n != 5 || text.p[2] != ':' || !th_str_int((struct th_str){text.p, 2}, 0, 24, &hour) ||
        !th_str_int((struct th_str){text.p + 3, 2}, 0, 59, &minute) || hour * 60 + minute > DAY_MIN)
        return th_json_fail(value, err, "must be a time of day, as 09:30");
    *out_minute = (int32_t)(hour * 60 + minute);
    return TH_OK;
}

static enum th_code read_window(struct th_json value, struct campaign_spec *spec,
                                struct th_err *err)
{
    static const char *const members[] = {"from", "to", NULL};

    spec->window_from_min = 0;
    spec->window_to_min = DAY_MIN;
    if (!th_json_is_given(value))
        return TH_OK;
    TH_TRY(th_json_object(value, members, err));
    TH_TRY(read_minute(th_json_at(value, "from"), &spec->window_from_min, err));
    TH_TRY(read_minute(th_json_at(value, "to"), &spec->window_to_min, err));
    if (spec->window_from_min >= spec->window_to_min)
        return th_json_fail(value, err, "must begin before it ends");
    return TH_OK;
}

/* A brace without its partner is found here; whether the columns exist, only the audience tells. */
static enum th_code read_texts(struct request *request, struct th_json value,
                               struct text_section_array *out_texts, struct th_err *err)
{
    struct th_str text;
    struct th_err why = {0};
    struct th_text_file *file = th_arena_alloc(&request->arena, sizeof *file);
    struct text_section *sections = NULL;

    if (!file)
        return th_fail(err, TH_NOMEM, "text");
    TH_TRY(th_json_str(value, 1, TH_TEXT_FILE_MAX, &text, err));
    if (th_text_file_parse(text, file, &why) != TH_OK)
        return th_json_fail(value, err, "%s", why.text);
    sections = th_arena_array(&request->arena, file->count, sizeof *sections);
    if (!sections)
        return th_fail(err, TH_NOMEM, "text");
    for (size_t i = 0; i < file->count; i++)
        sections[i] = (struct text_section){
            .lang = file->sections[i].lang,
            .text = {.is = STRING_OR_SEALED_STRING, .as.string = file->sections[i].text},
        };
    *out_texts = (struct text_section_array){sections, file->count};
    return TH_OK;
}

static enum th_code read_id(struct th_json value, struct th_id *out_id, struct th_err *err)
{
    struct th_str text;

    TH_TRY(th_json_str(value, TH_ID_TEXT_LEN, TH_ID_TEXT_LEN, &text, err));
    return th_id_parse(text, out_id) ? TH_OK : th_json_fail(value, err, "must be a UUID");
}

enum th_code spec_campaign(struct request *request, struct th_json root,
                           struct campaign_spec *out_spec, struct th_err *err)
{
    struct campaign_spec spec = {.pace_per_min = SPEC_PACE_PRESET};
    struct th_json pace = th_json_at(root, "pace");
    struct th_json duplicates = th_json_at(root, "allow_duplicates");

    TH_TRY(th_json_str(th_json_at(root, "name"), 1, 200, &spec.name, err));
    TH_TRY(spec_channel(th_json_at(root, "channel"), &spec.channel, err));
    TH_TRY(read_id(th_json_at(root, "audience"), &spec.audience, err));
    TH_TRY(read_texts(request, th_json_at(root, "text"), &spec.texts, err));
    if (th_json_is_given(pace))
        TH_TRY(spec_pace(pace, &spec.pace_per_min, err));
    TH_TRY(spec_accounts(request, th_json_at(root, "providers"), &spec.accounts, err));
    TH_TRY(spec_policy(th_json_at(root, "policy"), &spec.policy, err));
    TH_TRY(spec_category(th_json_at(root, "category"), &spec.category, err));
    TH_TRY(read_window(th_json_at(root, "window"), &spec, err));
    TH_TRY(spec_attempts(th_json_at(root, "max_attempts"), &spec.attempts_max, err));
    if (th_json_is_given(duplicates))
        TH_TRY(th_json_bool(duplicates, &spec.allow_duplicates, err));
    *out_spec = spec;
    return TH_OK;
}
