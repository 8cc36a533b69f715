/* The table of routes and schemas/openapi.yaml say the same, both ways.
 *
 * The reader knows only the shape in which that file is written: paths two blanks in, methods four,
 * what belongs to a method deeper.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/gateway/routes.h"
#include "tests/unit/test.h"

#define OPERATIONS_MAX 100

struct operation {
    char path[128];
    char method[8];
    bool needs_tenant;
    bool needs_operator;
    bool needs_nobody;
    bool has_key;
    bool has_optional_key;
    bool has_body;
    bool is_body_required;
};

static struct operation operations[OPERATIONS_MAX];
static size_t operations_n;

static size_t indent(const char *line)
{
    return strspn(line, " ");
}

static void upper(const char *from, size_t n, char *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(from[i] - 'a' + 'A');
    to[n] = 0;
}

static void read_detail(struct operation *operation, const char *line)
{
    operation->needs_tenant |= strstr(line, "- tenantKey: []") != NULL;
    operation->needs_operator |= strstr(line, "- operatorKey: []") != NULL;
    operation->needs_nobody |= strstr(line, "security: []") != NULL;
    operation->has_key |= strstr(line, "parameters/IdempotencyKey'") != NULL;
    operation->has_optional_key |= strstr(line, "parameters/OptionalIdempotencyKey'") != NULL;
    if (indent(line) == 6 && strncmp(line + 6, "requestBody:", 12) == 0)
        operation->has_body = true;
    if (indent(line) == 8 && strncmp(line + 8, "required: true", 14) == 0)
        operation->is_body_required = true;
}

static int read_openapi(void **unused)
{
    FILE *file = fopen(OPENAPI_YAML, "r");
    char line[1024];
    char path[128] = "";
    bool is_in_paths = false;

    (void)unused;
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (indent(line) == 0 && line[0])
            is_in_paths = strcmp(line, "paths:") == 0;
        else if (is_in_paths && indent(line) == 2 && line[2] == '/')
            (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(line + 2, ":"), line + 2);
        else if (is_in_paths && indent(line) == 4 && operations_n < OPERATIONS_MAX) {
            struct operation *operation = &operations[operations_n++];
            memcpy(operation->path, path, sizeof path);
            upper(line + 4, strcspn(line + 4, ":"), operation->method);
        } else if (is_in_paths && operations_n && indent(line) > 4)
            read_detail(&operations[operations_n - 1], line);
    }
    (void)fclose(file);
    return 0;
}

static const struct operation *find_operation(const struct route *route)
{
    for (size_t i = 0; i < operations_n; i++)
        if (!strcmp(operations[i].path, route->path) &&
            !strcmp(operations[i].method, route->method))
            return &operations[i];
    return NULL;
}

static enum route_who who_of(const struct operation *operation)
{
    if (operation->needs_nobody)
        return strncmp(operation->path, "/webhooks/", 10) == 0 ? WHO_PROVIDER : WHO_ANYBODY;
    if (operation->needs_operator)
        return operation->needs_tenant ? WHO_TENANT_OR_OPERATOR : WHO_OPERATOR;
    return WHO_TENANT;
}

static void test_routes_are_described(void **unused)
{
    size_t n = 0;

    (void)unused;
    for (const struct route *route = routes; route->method; route++, n++) {
        const struct operation *operation = find_operation(route);
        print_message("  %s %s\n", route->method, route->path);
        assert_non_null(operation);
        assert_int_equal(route->who, who_of(operation));
        assert_int_equal(route->key == KEY_REQUIRED, operation->has_key);
        assert_int_equal(route->key == KEY_OPTIONAL, operation->has_optional_key);
        assert_int_equal(route->body != BODY_NONE, operation->has_body);
        assert_int_equal(route->body == BODY_OPTIONAL_JSON,
                         operation->has_body && !operation->is_body_required);
        assert_non_null(route->run);
    }
    print_message("  and nothing else is described\n");
    assert_int_equal(operations_n, n);
}

static const struct {
    const char *says;
    const char *method;
    const char *path;
    enum route_found found;
    const char *pattern;
    const char *params[REQUEST_PARAMS_MAX];
} paths[] = {
    {"a plain path", "GET", "/health", ROUTE_FOUND, "/health", {NULL}},
    {"one parameter",
     "POST",
     "/api/v1/campaigns/7/start",
     ROUTE_FOUND,
     "/api/v1/campaigns/{id}/start",
     {"7"}},
    {"two",
     "PUT",
     "/api/v1/audiences/7/parts/3",
     ROUTE_FOUND,
     "/api/v1/audiences/{id}/parts/{n}",
     {"7", "3"}},
    {"a slash too many", "GET", "/health/", ROUTE_NO_PATH, NULL, {NULL}},
    {"two slashes", "GET", "//health", ROUTE_NO_PATH, NULL, {NULL}},
    {"an empty parameter", "GET", "/api/v1/campaigns/", ROUTE_NO_PATH, NULL, {NULL}},
    {"nothing", "GET", "", ROUTE_NO_PATH, NULL, {NULL}},
    {"another case", "GET", "/Health", ROUTE_NO_PATH, NULL, {NULL}},
    {"another method", "PUT", "/health", ROUTE_NO_METHOD, NULL, {NULL}},
};

static void test_find(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(paths); i++) {
        struct th_str params[REQUEST_PARAMS_MAX] = {0};
        const struct route *route = NULL;
        unsigned allow = 0;
        print_message("  %s\n", paths[i].says);
        assert_int_equal(
            route_find(th_str(paths[i].method), th_str(paths[i].path), &route, params, &allow),
            paths[i].found);
        if (paths[i].found != ROUTE_FOUND)
            continue;
        assert_string_equal(route->path, paths[i].pattern);
        for (size_t k = 0; k < REQUEST_PARAMS_MAX; k++)
            assert_str_equal(params[k], th_str(paths[i].params[k]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_are_described),
        cmocka_unit_test(test_find),
    };

    return cmocka_run_group_tests(tests, read_openapi, NULL);
}
