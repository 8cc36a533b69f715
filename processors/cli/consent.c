#include "common/json_out.h"
#include "processors/cli/answer.h"

#include <stdio.h>
#include <string.h>

/* --- opt-out ---------------------------------------------------------------------------------- */

static enum th_code ask_consent(struct cli *cli, const char *method, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json_out out = {&body, false};

    TH_TRY(client_open(cli, &client, err));
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "phone", cli->words[0]);
    th_json_put_text(&out, "source", "cli");
    th_json_end(&out);
    TH_TRY(th_buf_status(&body));
    TH_TRY(client_ask(client,
                      &(struct client_ask){
                          .method = method, .path = "/api/v1/opt-outs", .body = th_buf_str(&body)},
                      &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    struct th_json now = th_json_root(document);
    if (cli->is_json)
        answer_print(&reply);
    else
        printf("%.*s %s\n", TH_ARG(answer_str(now, "phone")),
               answer_bool(now, "opted_out") ? "has opted out" : "may be reached again");
    return TH_OK;
}

static enum th_code opt_out_add(struct cli *cli, struct th_err *err)
{
    return ask_consent(cli, "POST", err);
}

static enum th_code opt_out_remove(struct cli *cli, struct th_err *err)
{
    return ask_consent(cli, "DELETE", err);
}

struct listing {
    bool is_json;
    int64_t n;
};

static enum th_code on_opt_out(void *arg, struct th_json row, struct th_err *err)
{
    struct listing *listing = arg;

    (void)err;
    if (listing->is_json)
        printf("%s{\"phone\":\"%.*s\",\"since\":\"%.*s\",\"source\":\"%.*s\"}",
               listing->n > 0 ? ",\n" : "", TH_ARG(answer_str(row, "phone")),
               TH_ARG(answer_str(row, "since")), TH_ARG(answer_str(row, "source")));
    else
        printf("%-16.*s since %.*s by %.*s\n", TH_ARG(answer_str(row, "phone")),
               TH_ARG(answer_str(row, "since")), TH_ARG(answer_str(row, "source")));
    listing->n++;
    return TH_OK;
}

static enum th_code opt_out_list(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    struct listing listing = {cli->is_json, 0};

    TH_TRY(client_open(cli, &client, err));
    if (cli->is_json)
        printf("{\"data\":[");
    TH_TRY(answer_pages(client, "/api/v1/opt-outs?", CLIENT_TENANT, on_opt_out, &listing, err));
    if (cli->is_json)
        printf("]}\n");
    return TH_OK;
}

/* --- stop ------------------------------------------------------------------------------------- */

static enum th_code stop(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    bool releases = cli_has(cli, "--release");

    TH_TRY(client_open(cli, &client, err));
    TH_TRY(client_ask(
        client,
        &(struct client_ask){.method = releases ? "DELETE" : "POST", .path = "/api/v1/stop"},
        &reply, err));
    if (cli->is_json)
        answer_print(&reply);
    else
        printf(releases ? "sending goes on\n"
                        : "nothing more is sent; telehub stop --release lets it go on\n");
    return TH_OK;
}

static const struct cli_option stop_options[] = {
    {"--release", NULL, "let it go on", false},
    {NULL, NULL, NULL, false},
};

/* --- send ------------------------------------------------------------------------------------- */

static const struct cli_option send_options[] = {
    {"--channel", "sms|call", "how", true},
    {"--to", "NUMBER", "whom", true},
    {"--text", "S", "what to say", true},
    {"--lang", "CODE", "of a call's voice: hi, en", false},
    {"--provider", "NAME", "only through this account; may be repeated", false},
    {NULL, NULL, NULL, false},
};

static enum th_code put_send(struct cli *cli, struct th_json_out *out)
{
    const char *provider;

    th_json_begin(out, NULL);
    th_json_put_text(out, "channel", cli_value(cli, "--channel"));
    th_json_put_text(out, "to", cli_value(cli, "--to"));
    th_json_put_text(out, "text", cli_value(cli, "--text"));
    if (cli_has(cli, "--lang"))
        th_json_put_text(out, "lang", cli_value(cli, "--lang"));
    if (cli_has(cli, "--provider")) {
        th_json_begin_array(out, "providers");
        for (int i = 0; (provider = cli_value_at(cli, "--provider", i)); i++)
            th_json_put_text(out, NULL, provider);
        th_json_end_array(out);
    }
    th_json_end(out);
    return th_buf_status(out->buf);
}

static enum th_code send_one(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json_out out = {&body, false};

    TH_TRY(put_send(cli, &out));
    TH_TRY(client_open(cli, &client, err));
    TH_TRY(client_ask(
        client,
        &(struct client_ask){.method = "POST", .path = "/api/v1/sends", .body = th_buf_str(&body)},
        &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    if (cli->is_json)
        answer_print(&reply);
    else
        printf("send %.*s is accepted; GET %s/api/v1/sends/%.*s tells what becomes of it\n",
               TH_ARG(answer_str(th_json_root(document), "id")), client_url(client),
               TH_ARG(answer_str(th_json_root(document), "id")));
    return TH_OK;
}

const struct cli_command cli_consent_commands[] = {
    {"opt-out add", "NUMBER", 1, 1, "Never send to this number again, queued sends included.",
     "  telehub opt-out add +919812345678", NULL, opt_out_add},
    {"opt-out remove", "NUMBER", 1, 1, "Take an opt-out back.",
     "  telehub opt-out remove +919812345678", NULL, opt_out_remove},
    {"opt-out list", "", 0, 0, "Show who has opted out.", "  telehub opt-out list", NULL,
     opt_out_list},
    {"stop", "", 0, 0, "Stop everything of the tenant at once.",
     "  telehub stop\n  telehub stop --release", stop_options, stop},
    {"send", "", 0, 0, "Reach one person, to try an account.",
     "  telehub send --channel sms --to +919812345678 --text 'Hello'", send_options, send_one},
    {0},
};
