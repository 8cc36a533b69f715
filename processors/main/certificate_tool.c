/* certificate: asked of the gateway, which asks the views; or counted anew from the log, so that a
 * script can hold the two against each other.
 */
#include "common/views_json.h"
#include "processors/cli/certificate.h"
#include "processors/main/tools.h"
#include "processors/materialize/recount.h"

#include <stdio.h>

#define ARENA_BYTES ((size_t)16 * 1024 * 1024)

static enum th_code print_text(struct th_str json, struct th_err *err)
{
    TH_AUTO(th_json) struct json_t *document = NULL;

    TH_TRY(th_json_parse(json, json.n, &document, err));
    certificate_print(th_json_root(document));
    return TH_OK;
}

static enum th_code print(const struct cli *cli, const struct recount *recount, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct th_json_out out = {&text, false};

    views_put_certificate(&out, &recount->certificate);
    if (th_buf_status(&text) != TH_OK)
        return th_fail(err, TH_NOMEM, "a certificate");
    if (cli->is_json)
        printf("%.*s\n", TH_ARG(th_buf_str(&text)));
    else
        TH_TRY(print_text(th_buf_str(&text), err));
    fprintf(stderr, "counted from %llu records of the log\n", (unsigned long long)recount->records);
    if (recount->undecodable)
        fprintf(stderr, "%llu of them cannot be decoded: telehub dlq list\n",
                (unsigned long long)recount->undecodable);
    return TH_OK;
}

static enum th_code count_with(struct cli *cli, struct th_id campaign, struct th_arena *arena,
                               struct th_err *err)
{
    TH_AUTO(th_log) struct th_log *log = NULL;
    struct th_str tenant = cli->tenant ? th_str(cli->tenant) : TH_STR("");
    struct recount recount;

    TH_TRY(tool_log(cli, &log, err));
    TH_TRY(recount_certificate(log, tenant, campaign, RECOUNT_RECIPIENTS, arena, &recount, err));
    return print(cli, &recount, err);
}

static enum th_code from_log(struct cli *cli, struct th_err *err)
{
    struct th_arena arena;
    struct th_id campaign;

    if (!th_id_parse(th_str(cli->words[0]), &campaign))
        return cli_usage(cli, err, "%s is no id of a campaign", cli->words[0]);
    th_arena_init(&arena, ARENA_BYTES);
    enum th_code code = count_with(cli, campaign, &arena, err);
    th_arena_fini(&arena);
    return code;
}

static enum th_code certificate(struct cli *cli, struct th_err *err)
{
    return cli_has(cli, "--from-log") ? from_log(cli, err) : certificate_ask(cli, err);
}

static const struct cli_option options[] = {
    {"--from-log", NULL,
     "count it anew from the log, on the installation's machine; the views and the gateway are not "
     "asked",
     false},
    {NULL, NULL, NULL, false},
};

const struct cli_command tool_certificate_commands[] = {
    {"certificate", "ID", 1, 1, "Say who of a campaign was reached, and who was not and why.",
     "  telehub certificate ID\n"
     "  telehub certificate ID --json\n"
     "  diff <(telehub certificate ID --json) <(telehub certificate ID --from-log --json)",
     options, certificate},
    {0},
};
