#include "common/json_out.h"
#include "common/secrets.h"
#include "processors/cli/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- tenant ----------------------------------------------------------------------------------- */

static const struct cli_option tenant_create_options[] = {
    {"--name", "TEXT", "for people (default: NAME)", false},
    {"--country", "CC", "completes national numbers (default: IN)", false},
    {"--zone", "IANA", "its recipients' local time (default: Asia/Kolkata)", false},
    {"--currency", "CCC", "of its reports (default: INR)", false},
    {NULL, NULL, NULL, false},
};

static void put_option(struct th_json_out *out, const struct cli *cli, const char *key,
                       const char *option)
{
    if (cli_has(cli, option))
        th_json_put_text(out, key, cli_value(cli, option));
}

/* DIR/keys/TENANT, mode 0600, where every later command finds it. */
static enum th_code store_key(const struct cli *cli, const char *tenant, struct th_str key,
                              char *path, size_t size, struct th_err *err)
{
    int fd;

    snprintf(path, size, "%s/keys", cli->dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    snprintf(path, size, "%s/keys/%s", cli->dir, tenant);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    int n = dprintf(fd, "%.*s\n", TH_ARG(key));
    if (n < 0 || fsync(fd) != 0) {
        close(fd);
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    }
    close(fd);
    return TH_OK;
}

static enum th_code tenant_create(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json_out out = {&body, false};
    const char *tenant = cli->words[0];
    char path[4200];

    if (!secret_name_is_valid(th_str(tenant)) || strcmp(tenant, "operator") == 0)
        return cli_usage(cli, err, "%s: a tenant is called by lower-case letters, digits, - and _",
                         tenant);
    TH_TRY(client_open(cli, &client, err));
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "tenant", tenant);
    th_json_put_text(&out, "name", cli_has(cli, "--name") ? cli_value(cli, "--name") : tenant);
    put_option(&out, cli, "country", "--country");
    put_option(&out, cli, "zone", "--zone");
    put_option(&out, cli, "currency", "--currency");
    th_json_end(&out);
    TH_TRY(th_buf_status(&body));
    TH_TRY(client_ask(client,
                      &(struct client_ask){.method = "POST",
                                           .path = "/api/v1/tenants",
                                           .as = CLIENT_OPERATOR,
                                           .body = th_buf_str(&body)},
                      &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    struct th_str key = answer_str(th_json_root(document), "key");
    if (key.n == 0) {
        /* The answer that held it was lost on the way: the gateway shows a key once. */
        snprintf(path, sizeof path, "/api/v1/tenants/%s/keys", tenant);
        TH_TRY(client_ask(
            client, &(struct client_ask){.method = "POST", .path = path, .as = CLIENT_OPERATOR},
            &reply, err));
        th_json_free(TH_TAKE(document));
        TH_TRY(answer_read(&reply, &document, err));
        key = answer_str(th_json_root(document), "key");
    }
    TH_TRY(store_key(cli, tenant, key, path, sizeof path, err));
    if (cli->is_json)
        printf("{\"tenant\":\"%s\",\"key_file\":\"%s\"}\n", tenant, path);
    else
        printf("tenant %s is there; its key is in %s\n", tenant, path);
    return TH_OK;
}

/* --- provider --------------------------------------------------------------------------------- */

static const struct cli_option provider_add_options[] = {
    {"--wire", "WIRE", "which provider's API it speaks: twilio", true},
    {"--base-url", "URL", "where it is; without --live it must be on loopback", true},
    {"--account", "SID", "the account's name at the provider", true},
    {"--secret-file", "FILE", "holds the secret, one line", true},
    {"--from", "NUMBER[,NUMBER]", "what it sends from", true},
    {"--weight", "N", "share of the sends, relative to the others (default: 1)", false},
    {"--rate", "PER_SECOND", "starts per second (default: no cap)", false},
    {"--concurrency", "N", "requests at a time (default: no cap)", false},
    {"--live", NULL, "a real account: enable it with provider enable", false},
    {"--test-credentials", NULL, "the vendor's own credentials for tests", false},
    {"--sms-estimate", "AMOUNT", "per segment until a price comes, in the tenant's currency",
     false},
    {"--call-estimate", "AMOUNT", "per call until a price comes", false},
    {"--currency", "CCC", "of the estimates (default: INR)", false},
    {NULL, NULL, NULL, false},
};

static enum th_code read_secret(const char *path, char *out, size_t size, struct th_err *err)
{
    FILE *file = fopen(path, "re");
    size_t n;

    if (!file)
        return th_fail(err, TH_IO, "--secret-file %s: %s", path, strerror(errno));
    n = fread(out, 1, size - 1, file);
    (void)fclose(file);
    out[n] = '\0';
    return TH_OK;
}

static enum th_code put_estimate(struct cli *cli, struct th_json_out *out, const char *key,
                                 const char *option, struct th_err *err)
{
    const char *currency = cli_has(cli, "--currency") ? cli_value(cli, "--currency") : "INR";
    struct th_money money;

    if (!cli_has(cli, option))
        return TH_OK;
    if (th_money_parse(th_str(cli_value(cli, option)), th_str(currency), &money, NULL) != TH_OK)
        return cli_usage(cli, err, "%s %s: must be an amount such as 0.25", option,
                         cli_value(cli, option));
    th_json_put_money(out, key, &money);
    return TH_OK;
}

static enum th_code put_account(struct cli *cli, struct th_json_out *out, const char *tenant,
                                const char *secret, struct th_err *err)
{
    struct th_str senders = th_str(cli_value(cli, "--from"));
    struct th_str sender;
    int64_t weight;
    int64_t rate;
    int64_t concurrency;

    if (cli_has(cli, "--live") && cli_has(cli, "--test-credentials"))
        return cli_usage(cli, err, "--live and --test-credentials exclude each other");
    TH_TRY(cli_int(cli, "--weight", 0, 10000, 1, &weight, err));
    TH_TRY(cli_int(cli, "--rate", 0, 100000, 0, &rate, err));
    TH_TRY(cli_int(cli, "--concurrency", 0, 10000, 0, &concurrency, err));
    th_json_begin(out, NULL);
    th_json_put_text(out, "tenant", tenant);
    th_json_put_text(out, "name", cli->words[0]);
    th_json_put_text(out, "wire", cli_value(cli, "--wire"));
    th_json_put_text(out, "base_url", cli_value(cli, "--base-url"));
    th_json_put_text(out, "account", cli_value(cli, "--account"));
    th_json_put_str(out, "secret", th_str_trim(th_str(secret)));
    th_json_begin_array(out, "senders");
    while (senders.n > 0) {
        th_str_cut(senders, ',', &sender, &senders);
        th_json_put_str(out, NULL, th_str_trim(sender));
    }
    th_json_end_array(out);
    th_json_put_int(out, "weight", weight);
    th_json_put_int(out, "rate_per_s", rate);
    th_json_put_int(out, "concurrency", concurrency);
    th_json_put_text(out, "mode",
                     cli_has(cli, "--live")               ? "live"
                     : cli_has(cli, "--test-credentials") ? "test_credentials"
                                                          : "test");
    TH_TRY(put_estimate(cli, out, "sms_estimate", "--sms-estimate", err));
    TH_TRY(put_estimate(cli, out, "call_estimate", "--call-estimate", err));
    th_json_end(out);
    return th_buf_status(out->buf);
}

static void print_provider(struct th_json p)
{
    printf("%-16.*s %-8.*s lane %-4lld %-16.*s %-9s circuit %.*s  %.*s\n",
           TH_ARG(answer_str(p, "name")), TH_ARG(answer_str(p, "wire")),
           (long long)answer_int(p, "lane"), TH_ARG(answer_str(p, "mode")),
           answer_bool(p, "enabled") ? "enabled" : "disabled", TH_ARG(answer_str(p, "circuit")),
           TH_ARG(answer_str(p, "base_url")));
}

static enum th_code print_one_provider(const struct cli *cli, const struct client_reply *reply,
                                       struct th_err *err)
{
    TH_AUTO(th_json) struct json_t *document = NULL;

    TH_TRY(answer_read(reply, &document, err));
    if (cli->is_json)
        answer_print(reply);
    else
        print_provider(th_json_root(document));
    return TH_OK;
}

static enum th_code provider_add(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_buf) struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    char secret[SECRET_SIZE_MAX + 64];
    const char *tenant;
    enum th_code code;

    TH_TRY(read_secret(cli_value(cli, "--secret-file"), secret, sizeof secret, err));
    TH_TRY(client_open(cli, &client, err));
    TH_TRY(client_tenant(client, &tenant, err));
    code = put_account(cli, &out, tenant, secret, err);
    if (code == TH_OK)
        code = client_ask(client,
                          &(struct client_ask){.method = "POST",
                                               .path = "/api/v1/providers",
                                               .as = CLIENT_OPERATOR,
                                               .body = th_buf_str(&body)},
                          &reply, err);
    explicit_bzero(secret, sizeof secret);
    if (body.p)
        explicit_bzero(body.p, body.n);
    TH_TRY(code);
    return print_one_provider(cli, &reply, err);
}

static enum th_code on_provider(void *arg, struct th_json row, struct th_err *err)
{
    (void)arg, (void)err;
    print_provider(row);
    return TH_OK;
}

static enum th_code provider_list(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};

    TH_TRY(client_open(cli, &client, err));
    if (!cli->is_json)
        return answer_pages(client, "/api/v1/providers?", CLIENT_TENANT, on_provider, NULL, err);
    TH_TRY(client_ask(client, &(struct client_ask){.method = "GET", .path = "/api/v1/providers"},
                      &reply, err));
    answer_print(&reply);
    return TH_OK;
}

/* POST /api/v1/providers/NAME/WHAT?tenant=TENANT */
static enum th_code ask_provider(struct cli *cli, struct client *client, const char *what,
                                 struct client_reply *reply, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf path = {0};
    const char *tenant;

    TH_TRY(client_tenant(client, &tenant, err));
    th_buf_add(&path, TH_STR("/api/v1/providers/"));
    client_escape(&path, th_str(cli->words[0]));
    th_buf_printf(&path, "/%s?tenant=", what);
    client_escape(&path, th_str(tenant));
    th_buf_add_char(&path, '\0');
    TH_TRY(th_buf_status(&path));
    return client_ask(client,
                      &(struct client_ask){.method = "POST", .path = path.p, .as = CLIENT_OPERATOR},
                      reply, err);
}

static enum th_code provider_enable(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    bool is_on = strcmp(cli->command->name, "provider enable") == 0;

    TH_TRY(client_open(cli, &client, err));
    TH_TRY(ask_provider(cli, client, is_on ? "enable" : "disable", &reply, err));
    return print_one_provider(cli, &reply, err);
}

static enum th_code provider_check(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;

    TH_TRY(client_open(cli, &client, err));
    TH_TRY(ask_provider(cli, client, "check", &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    struct th_json check = th_json_root(document);
    if (cli->is_json)
        answer_print(&reply);
    else
        printf("%s: %.*s\n", cli->words[0], TH_ARG(answer_str(check, "detail")));
    return answer_bool(check, "healthy")
               ? TH_OK
               : th_fail(err, TH_UNAVAILABLE, "the account cannot be used: %.*s",
                         TH_ARG(answer_str(check, "detail")));
}

const struct cli_command cli_operator_commands[] = {
    {"tenant create", "NAME", 1, 1, "Make a tenant, and keep its key in DIR/keys/NAME.",
     "  telehub tenant create pratham --name 'Pratham Education Foundation'", tenant_create_options,
     tenant_create},
    {"provider add", "NAME", 1, 1, "Add a provider account, or configure it anew.",
     "  telehub provider add main --wire twilio --base-url https://api.twilio.com \\\n"
     "      --account AC… --secret-file token --from +911140000000 --rate 1 --live",
     provider_add_options, provider_add},
    {"provider list", "", 0, 0, "Show the accounts and their health.",
     "  telehub provider list\n  telehub provider list --json", NULL, provider_list},
    {"provider check", "NAME", 1, 1, "Ask the provider whether the account can be used.",
     "  telehub provider check main", NULL, provider_check},
    {"provider enable", "NAME", 1, 1, "Let sends leave through an account.",
     "  telehub provider enable main", NULL, provider_enable},
    {"provider disable", "NAME", 1, 1, "Let no more sends leave through an account.",
     "  telehub provider disable main", NULL, provider_enable},
    {0},
};
