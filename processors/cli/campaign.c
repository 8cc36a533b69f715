#include "common/json_out.h"
#include "processors/cli/answer.h"
#include "processors/cli/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 32768

static const struct cli_option create_options[] = {
    {"--name", "S", "for people", true},
    {"--channel", "sms|call", "how to reach the recipients", true},
    {"--audience", "ID", "as audience upload gave it", true},
    {"--text", "FILE", "what to say; a line [hi] begins a language, {column} is a variable", true},
    {"--pace", "N|max", "sends in any 60 seconds (default: 100)", false},
    {"--provider", "NAME", "only through this account; may be repeated", false},
    {"--policy", "P", "at_most_once (default) or at_least_once", false},
    {"--category", "C", "transactional, service_implicit (default), service_explicit, promotional",
     false},
    {"--window", "HH:MM-HH:MM", "of the recipient's local day (default: all day)", false},
    {"--max-attempts", "N", "per recipient, over all providers (default: 4)", false},
    {"--allow-duplicates", NULL, "the same text to the same number more than once", false},
    {NULL, NULL, NULL, false},
};

static const struct cli_option start_options[] = {
    {"--recipients", "N", "how many there are; demanded where an account is live", false},
    {NULL, NULL, NULL, false},
};

static enum th_code read_text(const char *path, char *out, size_t size, struct th_str *out_text,
                              struct th_err *err)
{
    FILE *file = fopen(path, "re");
    size_t n;

    if (!file)
        return th_fail(err, TH_IO, "--text %s: %s", path, strerror(errno));
    n = fread(out, 1, size, file);
    (void)fclose(file);
    if (n == size)
        return th_fail(err, TH_FULL, "--text %s: more than %d bytes", path, TEXT_MAX);
    *out_text = (struct th_str){out, n};
    return th_str_is_utf8(*out_text) ? TH_OK
                                     : th_fail(err, TH_INVALID, "--text %s: not UTF-8", path);
}

static enum th_code put_pace(struct cli *cli, const char *what, const char *pace,
                             struct th_json_out *out, struct th_err *err)
{
    int64_t n;

    if (strcmp(pace, "max") == 0) {
        th_json_put_text(out, "pace", "max");
        return TH_OK;
    }
    if (!th_str_int(th_str(pace), 1, 1000000, &n))
        return cli_usage(cli, err, "%s %s: must be 1 to 1000000 per minute, or max", what, pace);
    th_json_put_int(out, "pace", n);
    return TH_OK;
}

static enum th_code put_window(struct cli *cli, struct th_json_out *out, struct th_err *err)
{
    const char *window = cli_value(cli, "--window");
    struct th_str from;
    struct th_str to;

    if (!window)
        return TH_OK;
    if (!th_str_cut(th_str(window), '-', &from, &to))
        return cli_usage(cli, err, "--window %s: must be like 09:00-21:00", window);
    th_json_begin(out, "window");
    th_json_put_str(out, "from", from);
    th_json_put_str(out, "to", to);
    th_json_end(out);
    return TH_OK;
}

static enum th_code put_campaign(struct cli *cli, struct th_json_out *out, struct th_str text,
                                 struct th_err *err)
{
    const char *provider;
    int64_t attempts;

    TH_TRY(cli_int(cli, "--max-attempts", 1, 10, 4, &attempts, err));
    th_json_begin(out, NULL);
    th_json_put_text(out, "name", cli_value(cli, "--name"));
    th_json_put_text(out, "channel", cli_value(cli, "--channel"));
    th_json_put_text(out, "audience", cli_value(cli, "--audience"));
    th_json_put_str(out, "text", text);
    if (cli_has(cli, "--pace"))
        TH_TRY(put_pace(cli, "--pace", cli_value(cli, "--pace"), out, err));
    if (cli_has(cli, "--provider")) {
        th_json_begin_array(out, "providers");
        for (int i = 0; (provider = cli_value_at(cli, "--provider", i)); i++)
            th_json_put_text(out, NULL, provider);
        th_json_end_array(out);
    }
    if (cli_has(cli, "--policy"))
        th_json_put_text(out, "policy", cli_value(cli, "--policy"));
    if (cli_has(cli, "--category"))
        th_json_put_text(out, "category", cli_value(cli, "--category"));
    TH_TRY(put_window(cli, out, err));
    if (cli_has(cli, "--max-attempts"))
        th_json_put_int(out, "max_attempts", attempts);
    if (cli_has(cli, "--allow-duplicates"))
        th_json_put_bool(out, "allow_duplicates", true);
    th_json_end(out);
    return th_buf_status(out->buf);
}

/* Send a command and wait for what becomes of it; then say the id. */
static enum th_code command(struct cli *cli, struct client *client, const char *path,
                            struct th_str body, const char *done, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;

    TH_TRY(client_ask(client, &(struct client_ask){.method = "POST", .path = path, .body = body},
                      &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    struct th_json accepted = th_json_root(document);
    struct th_str id = answer_str(accepted, "id");
    TH_TRY(answer_wait(client, accepted, err));
    if (cli->is_json)
        printf("{\"id\":\"%.*s\"}\n", TH_ARG(id));
    else
        printf("campaign %.*s %s\n", TH_ARG(id), done);
    return TH_OK;
}

static enum th_code campaign_create(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(th_buf) struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    char bytes[TEXT_MAX + 1];
    struct th_str text;

    TH_TRY(read_text(cli_value(cli, "--text"), bytes, sizeof bytes, &text, err));
    TH_TRY(put_campaign(cli, &out, text, err));
    TH_TRY(client_open(cli, &client, err));
    return command(cli, client, "/api/v1/campaigns", th_buf_str(&body), "is created", err);
}

static void path_of(const struct cli *cli, const char *what, char out[CLIENT_PATH_MAX])
{
    TH_AUTO(th_buf) struct th_buf id = {0};

    client_escape(&id, th_str(cli->words[0]));
    snprintf(out, CLIENT_PATH_MAX, "/api/v1/campaigns/%.*s%s", TH_ARG(th_buf_str(&id)), what);
}

static enum th_code campaign_start(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    char path[CLIENT_PATH_MAX];
    char body[64] = "{}";
    int64_t recipients;

    TH_TRY(cli_int(cli, "--recipients", 0, INT64_C(1000000000), 0, &recipients, err));
    if (cli_has(cli, "--recipients"))
        snprintf(body, sizeof body, "{\"recipients\":%lld}", (long long)recipients);
    TH_TRY(client_open(cli, &client, err));
    path_of(cli, "/start", path);
    return command(cli, client, path, th_str(body), "runs", err);
}

static enum th_code campaign_control(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    const char *verb = strrchr(cli->command->name, ' ') + 1;
    char path[CLIENT_PATH_MAX];
    char what[32];

    TH_TRY(client_open(cli, &client, err));
    snprintf(what, sizeof what, "/%s", verb);
    path_of(cli, what, path);
    return command(cli, client, path, (struct th_str){NULL, 0},
                   strcmp(verb, "resume") == 0  ? "runs"
                   : strcmp(verb, "pause") == 0 ? "pauses"
                                                : "is being cancelled",
                   err);
}

static enum th_code campaign_pace(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(th_buf) struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    char path[CLIENT_PATH_MAX];

    th_json_begin(&out, NULL);
    TH_TRY(put_pace(cli, "pace", cli->words[1], &out, err));
    th_json_end(&out);
    TH_TRY(client_open(cli, &client, err));
    path_of(cli, "/pace", path);
    return command(cli, client, path, th_buf_str(&body), "has another pace", err);
}

static enum th_code on_campaign(void *arg, struct th_json c, struct th_err *err)
{
    (void)arg, (void)err;
    printf("%.*s  %-10.*s %-5.*s %9lld  %.*s\n", TH_ARG(answer_str(c, "id")),
           TH_ARG(answer_str(c, "status")), TH_ARG(answer_str(c, "channel")),
           (long long)answer_int(c, "recipients"), TH_ARG(answer_str(c, "name")));
    return TH_OK;
}

static enum th_code campaign_list(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};

    TH_TRY(client_open(cli, &client, err));
    if (!cli->is_json)
        return answer_pages(client, "/api/v1/campaigns?", CLIENT_TENANT, on_campaign, NULL, err);
    TH_TRY(client_ask(client,
                      &(struct client_ask){.method = "GET", .path = "/api/v1/campaigns?limit=1000"},
                      &reply, err));
    answer_print(&reply);
    return TH_OK;
}

static enum th_code campaign_watch(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    char path[CLIENT_PATH_MAX];

    TH_TRY(client_open(cli, &client, err));
    path_of(cli, "/progress", path);
    return watch_campaign(cli, client, path, err);
}

const struct cli_command cli_campaign_commands[] = {
    {"campaign create", "", 0, 0, "Create a campaign; it sends nothing before it is started.",
     "  telehub campaign create --name results --channel sms --audience ID --text text.txt \\\n"
     "      --pace 600 --window 09:00-21:00",
     create_options, campaign_create},
    {"campaign start", "ID", 1, 1, "Begin to send.",
     "  telehub campaign start ID\n  telehub campaign start ID --recipients 9840", start_options,
     campaign_start},
    {"campaign pause", "ID", 1, 1, "Start nothing more until it is resumed.",
     "  telehub campaign pause ID", NULL, campaign_control},
    {"campaign resume", "ID", 1, 1, "Go on with a paused campaign.", "  telehub campaign resume ID",
     NULL, campaign_control},
    {"campaign cancel", "ID", 1, 1, "Send nothing more, for ever.", "  telehub campaign cancel ID",
     NULL, campaign_control},
    {"campaign pace", "ID N|max", 2, 2, "Change how many are sent in any 60 seconds.",
     "  telehub campaign pace ID 1200\n  telehub campaign pace ID max", NULL, campaign_pace},
    {"campaign watch", "ID", 1, 1, "Show its progress until it has ended.",
     "  telehub campaign watch ID\n  telehub campaign watch ID --json 2>/dev/null", NULL,
     campaign_watch},
    {"campaign list", "", 0, 0, "Show the campaigns, newest first.", "  telehub campaign list",
     NULL, campaign_list},
    {0},
};
