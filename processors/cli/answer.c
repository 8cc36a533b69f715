#include "processors/cli/answer.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define COMMAND_WAIT_US  (30 * TH_US_PER_SEC)
#define COMMAND_PAUSE_NS 50000000L

enum th_code answer_read(const struct client_reply *reply, struct json_t **out_document,
                         struct th_err *err)
{
    enum th_code code =
        th_json_parse(th_buf_str(&reply->body), CLIENT_REPLY_MAX, out_document, err);

    return code == TH_OK ? TH_OK : th_wrap(err, "the gateway's answer");
}

struct th_str answer_str(struct th_json object, const char *key)
{
    struct th_str value = TH_STR("");

    (void)!th_json_str(th_json_at(object, key), 0, CLIENT_REPLY_MAX, &value, NULL);
    return value;
}

int64_t answer_int(struct th_json object, const char *key)
{
    int64_t value = 0;

    (void)!th_json_int(th_json_at(object, key), INT64_MIN, INT64_MAX, &value, NULL);
    return value;
}

bool answer_bool(struct th_json object, const char *key)
{
    bool value = false;

    (void)!th_json_bool(th_json_at(object, key), &value, NULL);
    return value;
}

void answer_print(const struct client_reply *reply)
{
    struct th_str body = th_str_trim(th_buf_str(&reply->body));

    printf("%.*s\n", TH_ARG(body));
}

enum th_code answer_wait(struct client *client, struct th_json accepted, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    struct th_str id = answer_str(accepted, "command");
    int64_t until = th_clock_monotonic_us(&th_clock_real) + COMMAND_WAIT_US;
    const struct timespec pause = {.tv_nsec = COMMAND_PAUSE_NS};
    char path[128];

    snprintf(path, sizeof path, "/api/v1/commands/%.*s", TH_ARG(id));
    while (th_clock_monotonic_us(&th_clock_real) < until) {
        TH_AUTO(th_json) struct json_t *document = NULL;

        TH_TRY(
            client_ask(client, &(struct client_ask){.method = "GET", .path = path}, &reply, err));
        TH_TRY(answer_read(&reply, &document, err));
        struct th_json command = th_json_root(document);
        struct th_str status = answer_str(command, "status");

        if (th_str_eq(status, TH_STR("applied")))
            return TH_OK;
        if (th_str_eq(status, TH_STR("refused")))
            return th_fail(err, TH_CONFLICT, "refused (%.*s): %.*s",
                           TH_ARG(answer_str(command, "code")),
                           TH_ARG(answer_str(command, "detail")));
        nanosleep(&pause, NULL);
    }
    return th_fail(err, TH_UNAVAILABLE,
                   "command %.*s is in the log but nobody has carried it out yet: telehub doctor "
                   "says whether all parts run",
                   TH_ARG(id));
}

/* The rows of one page; *out_cursor is "" at the end. */
static enum th_code give_rows(const struct client_reply *reply,
                              enum th_code (*on_row)(void *arg, struct th_json row,
                                                     struct th_err *err),
                              void *arg, char *cursor, size_t size, struct th_err *err)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    size_t n = 0;

    TH_TRY(answer_read(reply, &document, err));
    struct th_json root = th_json_root(document);
    struct th_json data = th_json_at(root, "data");
    TH_TRY(th_json_array(data, 0, 100000, &n, err));
    for (size_t i = 0; i < n; i++)
        TH_TRY(on_row(arg, th_json_item(data, i), err));
    snprintf(cursor, size, "%.*s", TH_ARG(answer_str(root, "next_cursor")));
    return TH_OK;
}

enum th_code answer_pages(struct client *client, const char *path, enum client_as as,
                          enum th_code (*on_row)(void *arg, struct th_json row, struct th_err *err),
                          void *arg, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    char cursor[CLIENT_TOKEN_MAX] = "";

    do {
        TH_AUTO(th_buf) struct th_buf page = {0};

        th_buf_printf(&page, "%slimit=1000", path);
        if (cursor[0]) {
            th_buf_add(&page, TH_STR("&cursor="));
            client_escape(&page, th_str(cursor));
        }
        th_buf_add_char(&page, '\0');
        TH_TRY(th_buf_status(&page));
        TH_TRY(client_ask(client, &(struct client_ask){.method = "GET", .path = page.p, .as = as},
                          &reply, err));
        TH_TRY(give_rows(&reply, on_row, arg, cursor, sizeof cursor, err));
    } while (cursor[0]);
    return TH_OK;
}
