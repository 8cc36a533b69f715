#include "processors/cli/certificate.h"

#include "processors/cli/answer.h"

#include <stdio.h>

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

void certificate_print(struct th_json c)
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

enum th_code certificate_ask(struct cli *cli, struct th_err *err)
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
        certificate_print(th_json_root(document));
    return TH_OK;
}
