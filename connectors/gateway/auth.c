/* Who calls: by bearer key, compared as hashes, so that the time it takes says nothing of a key. */
#include "common/digest.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/registry.h"
#include "connectors/gateway/write.h"

#include <stdio.h>
#include <string.h>

#define BEARER "Bearer "

static struct th_str bytes_of(const uint8_t *digest)
{
    return (struct th_str){(const char *)digest, 32};
}

static bool copy_tenant(struct request *request, const struct sha256 *sha256)
{
    struct reference *ref = request->gateway->config.reference;
    bool is_known = false;

    reference_read_lock(ref);
    const struct ref_key *key = reference_key(ref, sha256);
    const struct ref_tenant *tenant = key ? reference_tenant(ref, key->tenant) : NULL;
    if (tenant) {
        struct th_str actor = write_joined(request, TH_PARTS(TH_STR("api:"), key->key_id));
        is_known =
            actor.p && th_arena_copy(&request->arena, key->tenant, &request->tenant) == TH_OK;
        request->has_no_memory = !is_known;
        request->actor = actor;
        if (tenant->country.n == 2)
            memcpy(request->country, tenant->country.p, 2);
    }
    reference_unlock(ref);
    return is_known;
}

static enum caller identify(struct request *request)
{
    struct th_str text = request->authorization;
    struct sha256 sha256;

    if (text.n <= sizeof BEARER - 1 || strncasecmp(text.p, BEARER, sizeof BEARER - 1) != 0)
        return CALLER_NOBODY;
    text.p += sizeof BEARER - 1;
    text.n -= sizeof BEARER - 1;
    th_sha256(th_str_trim(text), sha256.b);
    if (th_str_eq_secret(bytes_of(sha256.b), bytes_of(request->gateway->operator_sha256))) {
        request->actor = TH_STR("operator");
        return CALLER_OPERATOR;
    }
    return copy_tenant(request, &sha256) ? CALLER_TENANT : CALLER_NOBODY;
}

static bool may(enum route_who who, enum caller caller)
{
    switch (who) {
    case WHO_ANYBODY:
    case WHO_PROVIDER:
        return true;
    case WHO_TENANT:
        return caller == CALLER_TENANT;
    case WHO_OPERATOR:
        return caller == CALLER_OPERATOR;
    case WHO_TENANT_OR_OPERATOR:
        return caller != CALLER_NOBODY;
    }
    return false;
}

static enum handled refuse_method(struct request *request, unsigned allow)
{
    char text[32] = "";

    for (unsigned i = 0; route_methods[i]; i++)
        if (allow >> i & 1) {
            size_t n = strlen(text);
            (void)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "", route_methods[i]);
        }
    enum handled handled = problem(request, PROBLEM_METHOD, "allowed here: %s", text);
    request_header(request, "Allow", th_arena_printf(&request->arena, "%s", text));
    return handled;
}

static bool key_is_well_formed(struct th_str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] < '!' || key.p[i] > '~')
            return false;
    return key.n >= 1 && key.n <= LOG_IDEM_KEY_MAX;
}

static bool type_is(struct th_str type, const char *wanted)
{
    struct th_str head;
    struct th_str rest;

    (void)th_str_cut(type, ';', &head, &rest);
    return header_is(th_str_trim(head), wanted);
}

static bool has_right_type(const struct request *request)
{
    switch (request->route->body) {
    case BODY_NONE:
        return true;
    case BODY_OPTIONAL_JSON:
        return !request->content_type.n || type_is(request->content_type, "application/json");
    case BODY_JSON:
        return type_is(request->content_type, "application/json");
    case BODY_CSV:
        return type_is(request->content_type, "text/csv");
    case BODY_FORM:
        return type_is(request->content_type, "application/x-www-form-urlencoded");
    case BODY_SCHEMA:
        return type_is(request->content_type, REGISTRY_TYPE) ||
               type_is(request->content_type, "application/vnd.schemaregistry+json") ||
               type_is(request->content_type, "application/json") ||
               type_is(request->content_type, "application/octet-stream");
    }
    return false;
}

static bool check_key(struct request *request, enum handled *out_handled)
{
    if (request->route->key == KEY_NONE) {
        request->idempotency_key = (struct th_str){0};
        return true;
    }
    if (!request->has_idempotency_key && request->route->key == KEY_OPTIONAL)
        return true;
    if (!request->has_idempotency_key) {
        *out_handled =
            problem(request, PROBLEM_KEY_REQUIRED,
                    "draw a new one for each thing you want done, and keep it for repeats");
        return false;
    }
    if (!key_is_well_formed(request->idempotency_key)) {
        *out_handled =
            problem(request, PROBLEM_BAD_KEY, "1 to %d visible ASCII characters", LOG_IDEM_KEY_MAX);
        return false;
    }
    return true;
}

bool auth_admit(struct request *request, enum handled *out_handled)
{
    unsigned allow = 0;

    switch (route_find(request->method, request->path, &request->route, request->params, &allow)) {
    case ROUTE_NO_PATH:
        *out_handled = problem(request, PROBLEM_NOT_FOUND, "there is no such path");
        return false;
    case ROUTE_NO_METHOD:
        *out_handled = refuse_method(request, allow);
        return false;
    case ROUTE_FOUND:
        break;
    }
    request->caller = CALLER_NOBODY;
    if (request->route->who != WHO_ANYBODY && request->route->who != WHO_PROVIDER)
        request->caller = identify(request);
    if (request->has_no_memory) {
        *out_handled = problem(request, PROBLEM_UNAVAILABLE, "there is no memory left");
        return false;
    }
    if (!may(request->route->who, request->caller)) {
        *out_handled =
            request->caller == CALLER_NOBODY
                ? problem(request, PROBLEM_UNAUTHORIZED, "send Authorization: Bearer KEY")
                : problem(request, PROBLEM_FORBIDDEN, "this needs the key of %s",
                          request->caller == CALLER_TENANT ? "the operator" : "a tenant");
        return false;
    }
    if (!has_right_type(request)) {
        *out_handled = problem(request, PROBLEM_MEDIA_TYPE, "see the description of this route");
        return false;
    }
    return check_key(request, out_handled);
}
