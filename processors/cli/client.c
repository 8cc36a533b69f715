#include "processors/cli/client.h"

#include "common/clock.h"
#include "common/ids.h"
#include "common/json.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define KEY_MAX            512
#define URL_MAX            512
#define CONNECT_TIMEOUT_MS 3000L
#define TIMEOUT_MS         20000L
#define FIRST_PAUSE_MS     100
#define LONGEST_PAUSE_MS   2000
#define LINE_MAX_BYTES     ((size_t)64 * 1024)

struct client {
    CURL *curl;
    char dir[4096];
    char url[URL_MAX];
    char tenant[64]; /* "": not settled */
    char tenant_key[KEY_MAX];
    char operator_key[KEY_MAX];
    char token[CLIENT_TOKEN_MAX];
    char seed[TH_ID_TEXT_LEN + 1]; /* of this invocation's idempotency keys */
    unsigned asked;
    long retry_after_s;
};

/* --- what the installation's folder says -------------------------------------------------------
 */

/* The first line of DIR/NAME. Errors: TH_NOT_FOUND, TH_IO */
static enum th_code read_line(const char *dir, const char *name, char *out, size_t size,
                              struct th_err *err)
{
    char path[4096 + 128];
    FILE *file;
    bool is_read;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    file = fopen(path, "re");
    if (!file)
        return th_fail(err, errno == ENOENT || errno == ENOTDIR ? TH_NOT_FOUND : TH_IO, "%s: %s",
                       path, strerror(errno));
    is_read = fgets(out, (int)size, file) != NULL;
    (void)fclose(file);
    if (!is_read)
        return th_fail(err, TH_IO, "%s is empty", path);
    out[strcspn(out, "\r\n")] = '\0';
    return TH_OK;
}

/* The one tenant that there is a key of. */
static enum th_code only_tenant(struct client *client, struct th_err *err)
{
    char path[4096 + 16];
    struct dirent *entry;
    DIR *dir;
    int n = 0;

    snprintf(path, sizeof path, "%s/keys", client->dir);
    dir = opendir(path);
    if (!dir && errno != ENOENT)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    while (dir && (entry = readdir(dir))) {
        if (strchr(entry->d_name, '.') || strcmp(entry->d_name, "operator") == 0)
            continue;
        n++;
        snprintf(client->tenant, sizeof client->tenant, "%.63s", entry->d_name);
    }
    if (dir)
        closedir(dir);
    if (n == 1)
        return TH_OK;
    client->tenant[0] = '\0';
    if (n > 1)
        return th_fail(err, TH_CONFLICT, "%s holds keys of several tenants: name one with --tenant",
                       path);
    return th_fail(err, TH_NOT_FOUND,
                   "%s holds no tenant's key: telehub tenant create NAME makes one", path);
}

enum th_code client_tenant(struct client *client, const char **out_tenant, struct th_err *err)
{
    if (!client->tenant[0])
        TH_TRY(only_tenant(client, err));
    *out_tenant = client->tenant;
    return TH_OK;
}

static enum th_code settle_key(struct client *client, enum client_as as, const char **out_key,
                               struct th_err *err)
{
    char name[128];
    const char *tenant = "operator";
    char *key = as == CLIENT_OPERATOR ? client->operator_key : client->tenant_key;

    if (!key[0]) {
        if (as == CLIENT_TENANT)
            TH_TRY(client_tenant(client, &tenant, err));
        snprintf(name, sizeof name, "keys/%s", tenant);
        enum th_code code = read_line(client->dir, name, key, KEY_MAX, err);
        if (code != TH_OK)
            return th_wrap(err, "the key of %s", tenant);
    }
    *out_key = key;
    return TH_OK;
}

enum th_code client_open(const struct cli *cli, struct client **out_client, struct th_err *err)
{
    TH_AUTO(client) struct client *client = calloc(1, sizeof *client);
    struct th_id seed;

    if (!client)
        return th_fail(err, TH_NOMEM, "client");
    snprintf(client->dir, sizeof client->dir, "%s", cli->dir);
    snprintf(client->tenant, sizeof client->tenant, "%s", cli->tenant ? cli->tenant : "");
    enum th_code code = read_line(cli->dir, "url", client->url, sizeof client->url, err);
    if (code == TH_NOT_FOUND)
        return th_fail(err, TH_NOT_FOUND,
                       "no TeleHub in %s: start one with ./deploy/up, or name its folder with "
                       "--dir or TELEHUB_DIR",
                       cli->dir);
    TH_TRY(code);
    TH_TRY(th_id_random(th_clock_realtime_us(&th_clock_real) / 1000, &seed, err));
    th_id_text(seed, client->seed);
    client->curl = curl_easy_init();
    if (!client->curl)
        return th_fail(err, TH_NOMEM, "client");
    *out_client = TH_TAKE(client);
    return TH_OK;
}

void client_close(struct client *client)
{
    if (!client)
        return;
    if (client->curl)
        curl_easy_cleanup(client->curl);
    explicit_bzero(client, sizeof *client);
    free(client);
}

const char *client_url(const struct client *client)
{
    return client->url;
}

void client_escape(struct th_buf *out, struct th_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            th_buf_add_char(out, (char)c);
        else
            th_buf_printf(out, "%%%02X", c);
    }
}

/* --- one request ------------------------------------------------------------------------------ */

struct exchange {
    struct client *client;
    struct client_reply *reply;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    size_t n = size * count;

    if (n > CLIENT_REPLY_MAX - x->reply->body.n)
        return 0;
    th_buf_add(&x->reply->body, (struct th_str){bytes, n});
    return th_buf_status(&x->reply->body) == TH_OK ? n : 0;
}

static void keep_header(struct th_str line, const char *name, char *out, size_t size)
{
    struct th_str field;
    struct th_str value;

    if (!th_str_cut(line, ':', &field, &value) || field.n != strlen(name) ||
        strncasecmp(field.p, name, field.n) != 0)
        return;
    value = th_str_trim(value);
    if (value.n < size)
        snprintf(out, size, "%.*s", TH_ARG(value));
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *x = arg;
    struct th_str line = {bytes, size * count};
    char seconds[16] = "";
    int64_t n;

    keep_header(line, "TeleHub-Token", x->client->token, sizeof x->client->token);
    keep_header(line, "TeleHub-Next-Cursor", x->reply->next_cursor, sizeof x->reply->next_cursor);
    keep_header(line, "Retry-After", seconds, sizeof seconds);
    if (seconds[0] && th_str_int(th_str(seconds), 0, 60, &n))
        x->client->retry_after_s = (long)n;
    return line.n;
}

static struct curl_slist *add_header(struct curl_slist *list, bool *is_failed, const char *name,
                                     const char *value)
{
    char line[CLIENT_TOKEN_MAX + 128];
    struct curl_slist *longer;

    snprintf(line, sizeof line, "%s: %s", name, value);
    longer = curl_slist_append(list, line);
    *is_failed = *is_failed || !longer;
    return longer ? longer : list;
}

static struct curl_slist *make_headers(const struct client *client, const struct client_ask *ask,
                                       const char *key, const char *idempotency_key)
{
    struct curl_slist *list = NULL;
    char bearer[KEY_MAX + 16];
    bool is_failed = false;

    snprintf(bearer, sizeof bearer, "Bearer %s", key);
    list = add_header(list, &is_failed, "Authorization", bearer);
    list = add_header(list, &is_failed, "Accept", ask->accept ? ask->accept : "application/json");
    list = add_header(list, &is_failed, "Expect", "");
    if (ask->body.p)
        list = add_header(list, &is_failed, "Content-Type",
                          ask->content_type ? ask->content_type : "application/json");
    if (strcmp(ask->method, "GET") != 0)
        list = add_header(list, &is_failed, "Idempotency-Key", idempotency_key);
    if (client->token[0] && !ask->is_independent)
        list = add_header(list, &is_failed, "TeleHub-Token", client->token);
    explicit_bzero(bearer, sizeof bearer);
    if (is_failed) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

/* Once. TH_UNAVAILABLE: no answer, which says nothing of what happened. */
static enum th_code exchange_once(struct client *client, const struct client_ask *ask,
                                  struct curl_slist *headers, struct client_reply *reply,
                                  struct th_err *err)
{
    struct exchange x = {client, reply};
    char url[URL_MAX + CLIENT_PATH_MAX];
    char detail[CURL_ERROR_SIZE] = "";
    CURLcode code;

    snprintf(url, sizeof url, "%s%s", client->url, ask->path);
    th_buf_clear(&reply->body);
    reply->next_cursor[0] = '\0';
    client->retry_after_s = -1;
    curl_easy_reset(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(client->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, &x);
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, ask->method);
    if (ask->body.p) {
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.n);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, ask->body.p);
    } else if (strcmp(ask->method, "POST") == 0) {
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, "");
    }
    code = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    if (code == CURLE_OK)
        return TH_OK;
    return th_fail(err, TH_UNAVAILABLE,
                   "%s does not answer (%s): is it running? telehub run starts it, ./deploy/up "
                   "starts all",
                   client->url, detail[0] ? detail : curl_easy_strerror(code));
}

static enum th_code code_of(long status)
{
    switch (status) {
    case 401:
    case 403:
        return TH_DENIED;
    case 404:
        return TH_NOT_FOUND;
    case 409:
        return TH_CONFLICT;
    case 413:
    case 429:
        return TH_FULL;
    case 503:
        return TH_UNAVAILABLE;
    default:
        return status < 500 ? TH_INVALID : TH_IO;
    }
}

/* What is wrong first, and where: a place in the body, or a row of a CSV. */
static void add_first_error(struct th_buf *out, struct th_json errors)
{
    struct th_str text = TH_STR("");
    struct th_str place = TH_STR("");
    int64_t row = 0;
    size_t n = 0;

    if (!th_json_is_given(errors) || th_json_array(errors, 1, 100000, &n, NULL) != TH_OK)
        return;
    struct th_json first = th_json_item(errors, 0);
    (void)!th_json_str(th_json_at(first, "detail"), 0, 1000, &text, NULL);
    if (th_json_int(th_json_at(first, "row"), 0, INT64_MAX, &row, NULL) == TH_OK) {
        (void)!th_json_str(th_json_at(first, "column"), 0, 1000, &place, NULL);
        th_buf_printf(out, ": row %lld, column %.*s: %.*s", (long long)row, TH_ARG(place),
                      TH_ARG(text));
        return;
    }
    struct th_str said = th_buf_str(out);
    if (text.n > 0 && said.n > 0 && memmem(said.p, said.n, text.p, text.n))
        return; /* the sentence says it already */
    (void)!th_json_str(th_json_at(first, "pointer"), 0, 1000, &place, NULL);
    th_buf_printf(out, ": %.*s%s%.*s", TH_ARG(place), place.n > 0 ? " " : "", TH_ARG(text));
}

/* The gateway's sentence. */
static enum th_code refuse(const struct client_reply *reply, struct th_err *err)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    TH_AUTO(th_buf) struct th_buf text = {0};
    enum th_code code = code_of(reply->status);
    struct th_str sentence = TH_STR("");

    if (th_json_parse(th_buf_str(&reply->body), CLIENT_REPLY_MAX, &document, NULL) == TH_OK) {
        struct th_json root = th_json_root(document);

        if (th_json_str(th_json_at(root, "detail"), 1, 4000, &sentence, NULL) != TH_OK)
            (void)!th_json_str(th_json_at(root, "title"), 0, 1000, &sentence, NULL);
        th_buf_add(&text, sentence);
        add_first_error(&text, th_json_at(root, "errors"));
    }
    if (text.n == 0)
        return th_fail(err, code, "refused with HTTP status %ld", reply->status);
    return th_fail(err, code, "%.*s", TH_ARG(th_buf_str(&text)));
}

static void pause_ms(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {
    }
}

/* A 409 with Retry-After is our own first try, still being worked on. */
static bool is_worth_repeating(enum th_code code, const struct client *client,
                               const struct client_reply *reply)
{
    if (code != TH_OK)
        return code == TH_UNAVAILABLE;
    return reply->status == 503 || reply->status == 429 ||
           (reply->status == 409 && client->retry_after_s >= 0);
}

enum th_code client_ask(struct client *client, const struct client_ask *ask,
                        struct client_reply *reply, struct th_err *err)
{
    int64_t until = th_clock_monotonic_us(&th_clock_real) + CLIENT_PATIENCE_S * TH_US_PER_SEC;
    int64_t wait_ms = FIRST_PAUSE_MS;
    char idempotency_key[64];
    const char *key = NULL;
    struct curl_slist *headers;
    enum th_code code;

    TH_TRY(settle_key(client, ask->as, &key, err));
    snprintf(idempotency_key, sizeof idempotency_key, "%s-%u", client->seed, client->asked++);
    headers = make_headers(client, ask, key, idempotency_key);
    if (!headers)
        return th_fail(err, TH_NOMEM, "client");
    for (;;) {
        code = exchange_once(client, ask, headers, reply, err);
        if (!is_worth_repeating(code, client, reply))
            break;
        int64_t ms = client->retry_after_s > 0 ? client->retry_after_s * 1000 : wait_ms;
        if (th_clock_monotonic_us(&th_clock_real) + ms * TH_US_PER_MS > until)
            break;
        pause_ms(ms);
        wait_ms = wait_ms * 2 < LONGEST_PAUSE_MS ? wait_ms * 2 : LONGEST_PAUSE_MS;
    }
    curl_slist_free_all(headers);
    if (code == TH_OK && reply->status >= 300)
        code = refuse(reply, err);
    return code;
}

/* --- lines of anything ------------------------------------------------------------------------ */

struct lines {
    enum th_code (*on_line)(void *arg, struct th_str line, struct th_err *err);
    void *arg;
    struct th_buf rest; /* of a line that has not ended */
    enum th_code code;
    struct th_err *err;
};

static enum th_code give_line(struct lines *lines, struct th_str line)
{
    line = th_str_trim(line);
    return line.n > 0 ? lines->on_line(lines->arg, line, lines->err) : TH_OK;
}

/* Errors: TH_NOMEM */
static enum th_code check_line(const struct lines *lines)
{
    enum th_code code = th_buf_status(&lines->rest);

    return code == TH_OK ? TH_OK : th_fail(lines->err, code, "no memory for a line");
}

static size_t on_lines(char *bytes, size_t size, size_t count, void *arg)
{
    struct lines *lines = arg;
    struct th_str rest = {bytes, size * count};
    struct th_str head;

    while (lines->code == TH_OK && memchr(rest.p, '\n', rest.n)) {
        th_str_cut(rest, '\n', &head, &rest);
        th_buf_add(&lines->rest, head);
        lines->code = check_line(lines);
        if (lines->code == TH_OK)
            lines->code = give_line(lines, th_buf_str(&lines->rest));
        th_buf_clear(&lines->rest);
        if (rest.n == 0)
            break;
    }
    th_buf_add(&lines->rest, rest);
    if (lines->code == TH_OK && lines->rest.n > LINE_MAX_BYTES)
        lines->code = th_fail(lines->err, TH_FULL, "a line of more than %zu bytes", LINE_MAX_BYTES);
    if (lines->code == TH_OK)
        lines->code = check_line(lines);
    return lines->code == TH_OK ? size * count : 0;
}

enum th_code client_lines(const char *url,
                          enum th_code (*on_line)(void *arg, struct th_str line,
                                                  struct th_err *err),
                          void *arg, struct th_err *err)
{
    struct lines lines = {.on_line = on_line, .arg = arg, .err = err};
    CURL *curl = curl_easy_init();
    long status = 0;
    CURLcode code;

    if (!curl)
        return th_fail(err, TH_NOMEM, "client");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)CLIENT_PATIENCE_S);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_lines);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &lines);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    if (lines.code == TH_OK && code != CURLE_OK)
        lines.code = th_fail(err, TH_UNAVAILABLE, "%s: %s (HTTP status %ld)", url,
                             curl_easy_strerror(code), status);
    if (lines.code == TH_OK)
        lines.code = give_line(&lines, th_buf_str(&lines.rest));
    th_buf_fini(&lines.rest);
    return lines.code;
}
