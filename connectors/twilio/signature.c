/* What Twilio signs (its "Webhooks Security" page, and what its own libraries compute): the URL as
 * it was requested, followed by the parameters of a form body, sorted by name and value without
 * repetitions, names and values run together; HMAC-SHA-1 under the Auth Token, in base64. A body
 * that is no form is covered by its SHA-256 in the URL's bodySHA256. */
#include "connectors/twilio/signature.h"

#include "common/digest.h"
#include "common/encode.h"
#include "common/form.h"

#include <string.h>
#include <strings.h>

static int compare_pairs(const void *left, const void *right)
{
    const struct form_pair *a = left;
    const struct form_pair *b = right;
    int order = th_str_cmp(a->name, b->name);

    return order ? order : th_str_cmp(a->value, b->value);
}

/* What stands behind the URL in the signed bytes. */
static enum th_code join_parameters(struct th_str body, struct th_arena *arena,
                                    struct th_str *out_text)
{
    struct form form;
    size_t size = 0;

    TH_TRY(form_parse(body, arena, &form));
    if (form.n)
        qsort(form.pairs, form.n, sizeof *form.pairs, compare_pairs);
    for (size_t i = 0; i < form.n; i++)
        size += form.pairs[i].name.n + form.pairs[i].value.n;
    char *text = th_arena_alloc(arena, size + 1);
    if (!text)
        return TH_NOMEM;

    char *to = text;
    for (size_t i = 0; i < form.n; i++) {
        const struct form_pair *pair = &form.pairs[i];
        if (i && compare_pairs(pair - 1, pair) == 0)
            continue;
        if (pair->name.n)
            memcpy(to, pair->name.p, pair->name.n);
        to += pair->name.n;
        if (pair->value.n)
            memcpy(to, pair->value.p, pair->value.n);
        to += pair->value.n;
    }
    *out_text = (struct th_str){text, (size_t)(to - text)};
    return TH_OK;
}

/* A URL in three pieces, around its port. */
struct split_url {
    struct th_str before; /* scheme and host */
    struct th_str port;   /* ":8443" or "" */
    struct th_str after;
};

static struct split_url split(struct th_str url)
{
    const char *start = url.n ? memmem(url.p, url.n, "://", 3) : NULL;
    size_t at = start ? (size_t)(start - url.p) + 3 : 0;
    size_t colon = 0;
    size_t end = at;

    for (; end < url.n && !strchr("/?#", url.p[end]); end++) {
        if (url.p[end] == ':')
            colon = end;
        if (url.p[end] == ']')
            colon = 0; /* that was part of an IPv6 address */
    }
    if (!colon)
        colon = end;
    return (struct split_url){
        .before = {url.p, colon},
        .port = {url.p + colon, end - colon},
        .after = {url.p + end, url.n - end},
    };
}

struct claim {
    struct th_str secret;
    struct th_str parameters;
    struct th_str signature;
    struct split_url url;
    struct th_buf text; /* that was signed */
};

static enum th_code verify_with_port(struct claim *claim, struct th_str port)
{
    uint8_t mac[TH_SHA1_SIZE];
    struct th_buf expected __attribute__((cleanup(th_buf_auto))) = {0};

    th_buf_clear(&claim->text);
    th_buf_add(&claim->text, claim->url.before);
    th_buf_add(&claim->text, port);
    th_buf_add(&claim->text, claim->url.after);
    th_buf_add(&claim->text, claim->parameters);
    TH_TRY(th_buf_status(&claim->text));
    th_hmac_sha1(claim->secret, th_buf_str(&claim->text), mac);
    th_base64_add(&expected, (struct th_str){(const char *)mac, sizeof mac});
    TH_TRY(th_buf_status(&expected));
    return th_str_eq_secret(th_buf_str(&expected), claim->signature) ? TH_OK : TH_DENIED;
}

/* Twilio's libraries accept a signature of the URL with its port and without it, since proxies on
 * the way disagree; a URL without a port may have been signed with the scheme's own. */
static enum th_code verify_any_port(struct claim *claim)
{
    bool is_tls = th_str_starts(claim->url.before, TH_STR("https:"));
    struct th_str other = is_tls ? TH_STR(":443") : TH_STR(":80");
    enum th_code code = verify_with_port(claim, claim->url.port);

    if (code != TH_DENIED)
        return code;
    return verify_with_port(claim, claim->url.port.n ? TH_STR("") : other);
}

static bool is_form(struct th_str content_type)
{
    static const char form[] = "application/x-www-form-urlencoded";
    struct th_str type;
    struct th_str parameters;

    (void)th_str_cut(content_type, ';', &type, &parameters);
    type = th_str_trim(type);
    return type.n == sizeof form - 1 && strncasecmp(type.p, form, type.n) == 0;
}

static enum th_code verify_body_digest(const struct provider_callback *callback)
{
    static const char name[] = "bodySHA256=";
    uint8_t digest[TH_SHA256_SIZE];
    char expected[2 * TH_SHA256_SIZE + 1];
    struct th_str url = callback->url;
    const char *at = url.n ? memmem(url.p, url.n, name, sizeof name - 1) : NULL;

    if (!at || at == url.p || (at[-1] != '?' && at[-1] != '&'))
        return TH_DENIED;
    struct th_str given = {at + sizeof name - 1, url.n - (size_t)(at + sizeof name - 1 - url.p)};
    (void)th_str_cut(given, '&', &given, &url);
    th_sha256(callback->body, digest);
    th_hex((struct th_str){(const char *)digest, sizeof digest}, expected);
    return th_str_eq_secret(th_str(expected), given) ? TH_OK : TH_DENIED;
}

enum th_code twilio_signature_verify(const struct provider_callback *callback, struct th_str secret,
                                     struct th_arena *arena)
{
    struct claim claim = {
        .secret = secret, .signature = callback->signature, .url = split(callback->url)};

    if (!secret.n || !callback->signature.n)
        return TH_DENIED;
    if (is_form(callback->content_type)) {
        enum th_code code = join_parameters(callback->body, arena, &claim.parameters);
        if (code != TH_OK)
            return code == TH_NOMEM ? TH_NOMEM : TH_MALFORMED;
    } else if (callback->body.n) {
        TH_TRY(verify_body_digest(callback));
    }
    enum th_code code = verify_any_port(&claim);
    th_buf_fini(&claim.text);
    return code;
}
