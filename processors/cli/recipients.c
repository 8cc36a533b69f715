#include "processors/cli/answer.h"

#include <stdio.h>
#include <string.h>

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
    {"recipients", "ID", 1, 1,
     "List the recipients of a campaign, or of one set of the certificate.",
     "  telehub recipients ID --outcome unreached --csv >call-again.csv", recipients_options,
     recipients},
    {0},
};
