/* Tenants, their keys, and their stop. */
#include "common/digest.h"
#include "common/encode.h"
#include "common/phone.h"
#include "common/zone.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/write.h"

#include <string.h>
#include <sys/random.h>

#define KEY_BYTES  32
#define KEY_PREFIX "th_live_"
#define KEY_MAX    64
#define KEY_ID_LEN 12

/* A bearer key. Only its hash and the first digits of that, its name, ever leave this struct. */
struct bearer {
    char text[KEY_MAX];
    char id[KEY_ID_LEN + 1];
    struct sha256 sha256;
};

static bool draw_key(struct request *request, struct bearer *out, enum handled *out_handled)
{
    uint8_t random[KEY_BYTES];
    char hex[2 * 32 + 1];
    struct th_buf text = {0};

    *out = (struct bearer){0};
    if (getrandom(random, sizeof random, 0) != sizeof random) {
        *out_handled = problem(request, PROBLEM_UNAVAILABLE, "the kernel has no randomness");
        return false;
    }
    th_buf_add(&text, TH_STR(KEY_PREFIX));
    th_base64url_add(&text, (struct th_str){(const char *)random, sizeof random});
    bool is_whole = th_buf_status(&text) == TH_OK && text.n < KEY_MAX;
    if (is_whole)
        memcpy(out->text, text.p, text.n);
    if (text.p)
        explicit_bzero(text.p, text.n);
    th_buf_fini(&text);
    explicit_bzero(random, sizeof random);
    if (!is_whole) {
        *out_handled = problem(request, PROBLEM_UNAVAILABLE, "there is no memory left; try again");
        return false;
    }
    th_sha256(th_str(out->text), out->sha256.b);
    th_hex((struct th_str){(const char *)out->sha256.b, 32}, hex);
    memcpy(out->id, hex, KEY_ID_LEN);
    return true;
}

static void put_key(struct th_buf *body, struct th_str tenant, const struct bearer *bearer,
                    bool is_shown)
{
    struct th_json_out out = {body, false};

    th_json_begin(&out, NULL);
    th_json_put_str(&out, "tenant", tenant);
    th_json_put_text(&out, "key_id", bearer->id);
    if (is_shown)
        th_json_put_text(&out, "key", bearer->text);
    else
        th_json_put_null(&out, "key");
    th_json_end(&out);
}

/* Store the claim; the answer that is remembered for repeats has no key in it, this one has. */
static enum handled store_key(struct request *request, const struct write *write,
                              struct th_str tenant, struct bearer *bearer)
{
    struct th_buf body = {0};

    put_key(&body, tenant, bearer, false);
    enum handled handled = write_claim(request, write, 201, &body);
    th_buf_fini(&body);
    if (handled == HANDLED_STORE)
        handled = write_reference(request);
    if (request->status == 201) {
        th_buf_clear(&request->answer);
        put_key(&request->answer, tenant, bearer, true);
    }
    explicit_bzero(bearer, sizeof *bearer);
    return handled;
}

static bool write_issued(struct request *request, const struct write *write, struct th_str tenant,
                         const struct bearer *bearer, struct th_id event_id,
                         enum handled *out_handled)
{
    struct event event = {
        .type = EVENT_KEY_ISSUED,
        .as.key_issued = {.meta = write->meta,
                          .key_id = th_str(bearer->id),
                          .sha256 = bearer->sha256},
    };

    event.as.key_issued.meta.event_id = event_id;
    event.as.key_issued.meta.tenant = tenant;
    return write_record(request, TOPIC_CONFIG, -1,
                        th_arena_printf(&request->arena, "%.*s/key/%s", TH_ARG(tenant), bearer->id),
                        &event, out_handled);
}

/* --- tenants
 * --------------------------------------------------------------------------------------- */

static enum th_code optional_text(struct th_json value, struct th_str preset, size_t max,
                                  struct th_str *out, struct th_err *err)
{
    *out = preset;
    return th_json_is_given(value) ? th_json_str(value, 1, max, out, err) : TH_OK;
}

static bool is_currency(struct th_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 'A' || text.p[i] > 'Z')
            return false;
    return text.n == 3;
}

static enum th_code check_zone(struct th_json value, struct th_str name, struct th_err *err)
{
    TH_AUTO(th_zone) struct th_zone *zone = NULL;
    struct th_err why = {0};

    enum th_code code = th_zone_open(TH_ZONE_FOLDER, name, &zone, &why);
    if (code == TH_NOMEM || code == TH_IO) /* it may well be one */
        return th_fail(err, code, "%s", why.text);
    return code == TH_OK ? TH_OK : th_json_fail(value, err, "must be a time zone, as Asia/Kolkata");
}

static enum th_code read_tenant(struct th_json root, struct th_str *out_slug,
                                struct tenant_created *out, struct th_err *err)
{
    struct th_json slug = th_json_at(root, "tenant");
    struct th_json country = th_json_at(root, "country");
    struct th_json zone = th_json_at(root, "zone");
    struct th_json currency = th_json_at(root, "currency");

    TH_TRY(th_json_str(slug, 1, 63, out_slug, err));
    if (!slug_is_valid(*out_slug))
        return th_json_fail(slug, err,
                            "must be of a to z, 0 to 9, - and _, and begin with neither");
    if (th_str_eq(*out_slug, TH_STR("operator")))
        return th_json_fail(slug, err, "is taken");
    TH_TRY(th_json_str(th_json_at(root, "name"), 1, 200, &out->name, err));
    TH_TRY(optional_text(country, TH_STR("IN"), 2, &out->country, err));
    if (!th_phone_knows_country(out->country))
        return th_json_fail(country, err, "must be an ISO 3166-1 code, as IN");
    TH_TRY(optional_text(zone, TH_STR("Asia/Kolkata"), TH_ZONE_NAME_MAX, &out->zone, err));
    TH_TRY(check_zone(zone, out->zone, err));
    TH_TRY(optional_text(currency, TH_STR("INR"), 3, &out->currency, err));
    return is_currency(out->currency)
               ? TH_OK
               : th_json_fail(currency, err, "must be an ISO 4217 code, as INR");
}

static bool tenant_exists(struct request *request, struct th_str slug)
{
    struct reference *ref = request->gateway->config.reference;

    reference_read_lock(ref);
    bool exists = reference_tenant(ref, slug) != NULL;
    reference_unlock(ref);
    return exists;
}

/* The refusal is stored like an answer, because only the log knows whether this is the repeat of
 * the request that created the tenant: then that one's answer comes back instead. */
static enum handled refuse_taken(struct request *request, const struct write *write)
{
    (void)problem(request, PROBLEM_CONFLICT, "there is a tenant of that name");
    struct th_buf body = request->answer;
    request->answer = (struct th_buf){0};
    enum handled handled = write_claim(request, write, 409, &body);
    th_buf_fini(&body);
    return handled == HANDLED_STORE ? write_reference(request) : handled;
}

static enum handled create_locked(struct request *request, struct th_str slug,
                                  struct tenant_created *created)
{
    struct bearer bearer;
    struct write write;
    enum handled handled;

    if (!write_begin(request, "tenant", &write, &handled))
        return handled;
    if (tenant_exists(request, slug))
        return refuse_taken(request, &write);
    if (!draw_key(request, &bearer, &handled))
        return handled;
    write.meta.tenant = slug;
    created->meta = write.meta;
    struct event event = {.type = EVENT_TENANT_CREATED, .as.tenant_created = *created};
    if (!write_record(request, TOPIC_CONFIG, -1,
                      th_arena_printf(&request->arena, "%.*s/tenant", TH_ARG(slug)), &event,
                      &handled) ||
        !write_issued(request, &write, slug, &bearer, write_event_id(request, &write, 1), &handled))
        return handled;
    return store_key(request, &write, slug, &bearer);
}

enum handled tenant_create(struct request *request)
{
    static const char *const members[] = {"tenant", "name", "country", "zone", "currency", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct tenant_created created = {0};
    struct th_str slug;
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled))
        return handled;
    if (read_tenant(th_json_root(document), &slug, &created, &err) != TH_OK)
        return problem_json(request, &err);
    pthread_mutex_lock(&request->gateway->config_lock);
    handled = create_locked(request, slug, &created);
    pthread_mutex_unlock(&request->gateway->config_lock);
    return handled;
}

enum handled key_issue(struct request *request)
{
    struct th_str slug = request->params[0];
    struct bearer bearer;
    struct write write;
    enum handled handled;

    if (!tenant_exists(request, slug))
        return problem(request, PROBLEM_NOT_FOUND, "there is no such tenant");
    if (!write_begin(request, "key", &write, &handled) || !draw_key(request, &bearer, &handled) ||
        !write_issued(request, &write, slug, &bearer, write.meta.event_id, &handled))
        return handled;
    return store_key(request, &write, slug, &bearer);
}

enum handled tenant_list(struct request *request)
{
    struct reference *ref = request->gateway->config.reference;
    struct th_json_out out = {&request->answer, false};

    th_json_begin(&out, NULL);
    th_json_begin_array(&out, "data");
    reference_read_lock(ref);
    for (size_t i = 0; reference_tenant_at(ref, i); i++) {
        const struct ref_tenant *tenant = reference_tenant_at(ref, i);
        th_json_begin(&out, NULL);
        th_json_put_str(&out, "tenant", tenant->slug);
        th_json_put_str(&out, "name", tenant->name);
        th_json_put_str(&out, "country", tenant->country);
        th_json_put_str(&out, "zone", tenant->zone);
        th_json_put_str(&out, "currency", tenant->currency);
        th_json_put_bool(&out, "stopped", tenant->is_stopped);
        th_json_end(&out);
    }
    reference_unlock(ref);
    th_json_end_array(&out);
    th_json_put_null(&out, "next_cursor");
    th_json_end(&out);
    return request_answer(request, 200);
}

/* --- stop
 * ------------------------------------------------------------------------------------------ */

static enum handled set_stop(struct request *request, bool is_stopped)
{
    struct th_buf body = {0};
    struct write write;
    enum handled handled;

    if (!write_begin(request, "stop", &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_TENANT_STOP_SET,
        .as.tenant_stop_set = {.meta = write.meta, .is_stopped = is_stopped},
    };
    if (!write_record(request, TOPIC_CONFIG, -1,
                      th_arena_printf(&request->arena, "%.*s/stop", TH_ARG(request->tenant)),
                      &event, &handled))
        return handled;
    th_buf_printf(&body, "{\"stopped\":%s}", is_stopped ? "true" : "false");
    handled = write_claim(request, &write, 200, &body);
    th_buf_fini(&body);
    return handled == HANDLED_STORE ? write_reference(request) : handled;
}

enum handled stop_set(struct request *request)
{
    return set_stop(request, true);
}

enum handled stop_release(struct request *request)
{
    return set_stop(request, false);
}
