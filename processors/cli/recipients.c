#include "processors/cli/answer.h"

#include <stdio.h>
#include <string.h>

/* --- certificate ------------------------------------------------------------------------------ */

static void print_reasons(const char *set, struct th_json reasons)
{
    void *at = NULL;
    struct th_str reason;
    struct th_json value;
    int64_t n;

    while (th_json_next(reasons, &at, &reason, &value))
        if (th_json_int(value, 0, INT64_MAX, &n, NULL) == TH_OK)
            printf("  %-10s %-24.*s %9lld\n", set, TH_ARG(reason), (long long)n);
}

static void print_costs(struct th_json costs)
{
    size_t n = 0;

    if (th_json_array(costs, 0, 1000, &n, NULL) != TH_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        struct th_json cost = th_json_item(costs, i);

        printf("  cost       %.*s %.*s%s\n", TH_ARG(answer_str(cost, "amount")),
               TH_ARG(answer_str(cost, "currency")),
               answer_bool(cost, "estimated") ? " (estimated)" : "");
    }
}

static void print_certificate(struct th_json c)
{
    printf("certificate of %.*s%s\n", TH_ARG(answer_str(c, "campaign")),
           answer_bool(c, "final") ? "" : " (not final)");
    printf("  %-35s %9lld\n", "audience", (long long)answer_int(c, "audience"));
    printf("  %-35s %9lld\n", "reached", (long long)answer_int(c, "reached"));
    printf("  %-35s %9lld\n", "accepted, no report yet",
           (long long)answer_int(c, "accepted_no_report"));
    print_reasons("unreached", th_json_at(c, "unreached"));
    print_reasons("suppressed", th_json_at(c, "suppressed"));
    printf("  %-35s %9lld\n", "in doubt", (long long)answer_int(c, "in_doubt"));
    printf("  %-35s %9lld\n", "unsent", (long long)answer_int(c, "unsent"));
    print_costs(th_json_at(c, "cost"));
}

static enum th_code certificate(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    TH_AUTO(th_buf) struct th_buf path = {0};

    TH_TRY(client_open(cli, &client, err));
    th_buf_add(&path, TH_STR("/api/v1/campaigns/"));
    client_escape(&path, th_str(cli->words[0]));
    th_buf_add(&path, TH_STR("/certificate"));
    th_buf_add_char(&path, '\0');
    TH_TRY(th_buf_status(&path));
    TH_TRY(client_ask(client, &(struct client_ask){.method = "GET", .path = path.p}, &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    if (cli->is_json)
        answer_print(&reply);
    else
        print_certificate(th_json_root(document));
    return TH_OK;
}

/* --- recipients ------------------------------------------------------------------------------- */

static enum th_code list_path(struct cli *cli, struct th_buf *path)
{
    th_buf_add(path, TH_STR("/api/v1/campaigns/"));
    client_escape(path, th_str(cli->words[0]));
    th_buf_add(path, TH_STR("/recipients?"));
    if (cli_has(cli, "--outcome")) {
        th_buf_add(path, TH_STR("outcome="));
        client_escape(path, th_str(cli_value(cli, "--outcome")));
        th_buf_add_char(path, '&');
    }
    return th_buf_status(path);
}

/* Pages as they come, one header in all. */
static enum th_code print_csv(struct cli *cli, struct client *client, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    bool is_first = true;

    do {
        TH_AUTO(th_buf) struct th_buf path = {0};

        TH_TRY(list_path(cli, &path));
        th_buf_add(&path, TH_STR("limit=1000"));
        if (reply.next_cursor[0]) {
            th_buf_add(&path, TH_STR("&cursor="));
            client_escape(&path, th_str(reply.next_cursor));
        }
        th_buf_add_char(&path, '\0');
        TH_TRY(th_buf_status(&path));
        TH_TRY(client_ask(
            client, &(struct client_ask){.method = "GET", .path = path.p, .accept = "text/csv"},
            &reply, err));
        struct th_str page = th_buf_str(&reply.body);
        struct th_str header;
        if (!is_first)
            th_str_cut(page, '\n', &header, &page);
        fwrite(page.p, 1, page.n, stdout);
        is_first = false;
    } while (reply.next_cursor[0]);
    return TH_OK;
}

struct listing {
    bool is_json;
    int64_t n;
};

static enum th_code on_recipient(void *arg, struct th_json row, struct th_err *err)
{
    struct listing *listing = arg;

    (void)err;
    if (!listing->is_json)
        printf("%-16.*s %-8.*s %-18.*s %-24.*s attempts %lld\n", TH_ARG(answer_str(row, "phone")),
               TH_ARG(answer_str(row, "lang")), TH_ARG(answer_str(row, "outcome")),
               TH_ARG(answer_str(row, "reason")), (long long)answer_int(row, "attempts"));
    else
        printf("%s{\"phone\":\"%.*s\",\"outcome\":\"%.*s\",\"reason\":\"%.*s\",\"send\":\"%.*s\","
               "\"attempts\":%lld,\"source_row\":%lld}",
               listing->n > 0 ? ",\n" : "", TH_ARG(answer_str(row, "phone")),
               TH_ARG(answer_str(row, "outcome")), TH_ARG(answer_str(row, "reason")),
               TH_ARG(answer_str(row, "send")), (long long)answer_int(row, "attempts"),
               (long long)answer_int(row, "source_row"));
    listing->n++;
    return TH_OK;
}

static enum th_code recipients(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(th_buf) struct th_buf path = {0};
    struct listing listing = {cli->is_json, 0};

    TH_TRY(client_open(cli, &client, err));
    if (cli_has(cli, "--csv"))
        return print_csv(cli, client, err);
    TH_TRY(list_path(cli, &path));
    th_buf_add_char(&path, '\0');
    TH_TRY(th_buf_status(&path));
    if (cli->is_json)
        printf("{\"data\":[");
    TH_TRY(answer_pages(client, path.p, CLIENT_TENANT, on_recipient, &listing, err));
    if (cli->is_json)
        printf("]}\n");
    return TH_OK;
}

static const struct cli_option recipients_options[] = {
    {"--outcome", "NAME", "a key of the certificate, or one reason: unreached:busy (default: all)",
     false},
    {"--csv", NULL, "as CSV, for a spreadsheet", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command cli_recipients_commands[] = {
    {"certificate", "ID", 1, 1, "Say who of a campaign was reached, and who was not and why.",
     "  telehub certificate ID\n  telehub certificate ID --json", NULL, certificate},
    {"recipients", "ID", 1, 1,
     "List the recipients of a campaign, or of one set of the certificate.",
     "  telehub recipients ID --outcome unreached --csv >call-again.csv", recipients_options,
     recipients},
    {0},
};
