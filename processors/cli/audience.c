#include "common/json_out.h"
#include "processors/cli/answer.h"
#include "processors/cli/split.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define REJECTED_MAX 1000 /* listed; all are counted */
#define PARTS_MAX    9999

struct upload {
    struct cli *cli;
    struct client *client;
    struct split split;
    char id[64];
    int64_t parts;
    int64_t recipients;
    int64_t rejected_total;
    struct th_buf seal;     /* the parts' reports, as the seal wants them */
    struct th_buf rejected; /* JSON objects, separated by commas */
    int64_t rejected_n;
};

static void upload_fini(struct upload *upload)
{
    split_fini(&upload->split);
    th_buf_fini(&upload->seal);
    th_buf_fini(&upload->rejected);
    client_close(upload->client);
}

static enum th_code begin(struct upload *upload, const char *name, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json_out out = {&body, false};

    th_json_begin(&out, NULL);
    th_json_put_text(&out, "name", name);
    th_json_end(&out);
    TH_TRY(th_buf_status(&body));
    TH_TRY(client_ask(upload->client,
                      &(struct client_ask){
                          .method = "POST", .path = "/api/v1/audiences", .body = th_buf_str(&body)},
                      &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    snprintf(upload->id, sizeof upload->id, "%.*s",
             TH_ARG(answer_str(th_json_root(document), "id")));
    return TH_OK;
}

/* What the gateway says of a row, unless we know better why it is none. */
static void list_rejected(struct upload *upload, struct th_json row)
{
    struct th_json_out out = {&upload->rejected, false};
    struct th_str column = answer_str(row, "column");
    struct th_str reason = answer_str(row, "reason");
    int64_t number = answer_int(row, "row");

    if (upload->rejected_n == REJECTED_MAX)
        return;
    for (size_t i = 0; i < upload->split.bad_n; i++)
        if (upload->split.bad[i].row == number) {
            column = th_str(upload->split.bad[i].column);
            reason = th_str(upload->split.bad[i].reason);
        }
    if (upload->rejected_n++ > 0)
        th_buf_add_char(&upload->rejected, ',');
    th_json_begin(&out, NULL);
    th_json_put_int(&out, "row", number);
    th_json_put_str(&out, "column", column);
    th_json_put_str(&out, "reason", reason);
    th_json_end(&out);
    if (!upload->cli->is_json)
        fprintf(stderr, "row %lld, %.*s: %.*s\n", (long long)number, TH_ARG(column),
                TH_ARG(reason));
}

static enum th_code note_report(struct upload *upload, struct th_json report, struct th_err *err)
{
    struct th_json_out out = {&upload->seal, upload->parts > 0};
    struct th_json rejected = th_json_at(report, "rejected");
    size_t n = 0;

    th_json_begin(&out, NULL);
    th_json_put_int(&out, "part", upload->parts);
    th_json_put_int(&out, "rows", answer_int(report, "rows"));
    th_json_put_int(&out, "rejected_total", answer_int(report, "rejected_total"));
    th_json_put_str(&out, "sha256", answer_str(report, "sha256"));
    th_json_end(&out);
    upload->recipients += answer_int(report, "rows");
    upload->rejected_total += answer_int(report, "rejected_total");
    TH_TRY(th_json_array(rejected, 0, SPLIT_ROWS_MAX, &n, err));
    for (size_t i = 0; i < n; i++)
        list_rejected(upload, th_json_item(rejected, i));
    upload->parts++;
    return TH_OK;
}

static enum th_code refuse_row(const struct split_bad *bad, struct th_err *err)
{
    return th_fail(err, TH_INVALID, "row %lld, column %s: %s; nothing was accepted",
                   (long long)bad->row, bad->column, bad->reason);
}

static enum th_code put_part(struct upload *upload, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    bool is_whole = cli_has(upload->cli, "--all-or-nothing");
    char path[256];

    if (upload->parts == PARTS_MAX)
        return th_fail(err, TH_FULL, "more than %d parts: split the file", PARTS_MAX);
    if (is_whole && upload->split.bad_n > 0)
        return refuse_row(&upload->split.bad[0], err);
    snprintf(path, sizeof path, "/api/v1/audiences/%s/parts/%lld?first_row=%lld%s", upload->id,
             (long long)upload->parts, (long long)upload->split.first_row,
             is_whole ? "&all_or_nothing=true" : "");
    TH_TRY(client_ask(upload->client,
                      &(struct client_ask){.method = "PUT",
                                           .path = path,
                                           .content_type = "text/csv",
                                           .body = th_buf_str(&upload->split.part),
                                           .is_independent = upload->parts > 0},
                      &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    return note_report(upload, th_json_root(document), err);
}

static enum th_code seal(struct upload *upload, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    char path[128];

    th_buf_printf(&body, "{\"parts\":[%.*s]}", TH_ARG(th_buf_str(&upload->seal)));
    TH_TRY(th_buf_status(&body));
    snprintf(path, sizeof path, "/api/v1/audiences/%s/seal", upload->id);
    TH_TRY(
        client_ask(upload->client,
                   &(struct client_ask){.method = "POST", .path = path, .body = th_buf_str(&body)},
                   &reply, err));
    /* The next command may name this audience: it must be known by then, in any process. */
    snprintf(path, sizeof path, "/api/v1/audiences/%s", upload->id);
    return client_ask(upload->client, &(struct client_ask){.method = "GET", .path = path}, &reply,
                      err);
}

static void show_progress(const struct upload *upload, bool is_end)
{
    if (upload->cli->is_json || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%lld rows%s", (long long)upload->split.rows_read, is_end ? "\n" : "");
}

static enum th_code put_all(struct upload *upload, struct th_err *err)
{
    enum th_code code;

    while ((code = split_next(&upload->split, err)) == TH_OK) {
        TH_TRY(put_part(upload, err));
        show_progress(upload, false);
    }
    show_progress(upload, true);
    if (code != TH_NOT_FOUND)
        return code;
    if (upload->parts == 0)
        return th_fail(err, TH_INVALID, "the file has a header, but no rows");
    return seal(upload, err);
}

static void print_upload(const struct upload *upload)
{
    if (upload->cli->is_json)
        printf("{\"id\":\"%s\",\"recipients\":%lld,\"rejected_total\":%lld,\"rejected\":[%.*s]}\n",
               upload->id, (long long)upload->recipients, (long long)upload->rejected_total,
               TH_ARG(th_buf_str(&upload->rejected)));
    else
        printf("audience %s: %lld recipients, %lld rows rejected\n", upload->id,
               (long long)upload->recipients, (long long)upload->rejected_total);
}

static enum th_code run_upload(struct upload *upload, const char *path, struct th_err *err)
{
    const char *name = cli_value(upload->cli, "--name");
    const char *slash = strrchr(path, '/');

    TH_TRY(client_open(upload->cli, &upload->client, err));
    TH_TRY(begin(upload, name ? name : slash ? slash + 1 : path, err));
    TH_TRY(put_all(upload, err));
    TH_TRY(th_buf_status(&upload->rejected));
    print_upload(upload);
    if (upload->recipients == 0)
        return th_fail(err, TH_INVALID, "no row was accepted");
    return TH_OK;
}

static enum th_code audience_upload(struct cli *cli, struct th_err *err)
{
    const char *path = cli->words[0];
    struct upload *upload = calloc(1, sizeof *upload);
    enum th_code code;

    if (!upload)
        return th_fail(err, TH_NOMEM, "upload");
    upload->cli = cli;
    upload->split.file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (upload->split.file)
        code = run_upload(upload, path, err);
    else
        code = th_fail(err, TH_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (upload->split.file && upload->split.file != stdin)
        (void)fclose(upload->split.file);
    upload_fini(upload);
    free(upload);
    return code;
}

static const struct cli_option upload_options[] = {
    {"--name", "TEXT", "for people (default: the file's)", false},
    {"--all-or-nothing", NULL, "a malformed row refuses the file", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command cli_audience_commands[] = {
    {"audience upload", "FILE", 1, 1,
     "Upload a CSV: phone is required, lang optional, every other column a variable.",
     "  telehub audience upload students.csv\n  telehub audience upload - --json <students.csv",
     upload_options, audience_upload},
    {0},
};
