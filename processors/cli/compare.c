/* compare.c - do we and a provider's own ledger agree about each number of a campaign?
 *
 * Our side is the API, not the database: what a customer would see. The callback URL of an
 * execution names the attempt, so an execution is compared with the attempt that it belongs to.
 */
#include "common/encode.h"
#include "processors/cli/answer.h"
#include "processors/cli/match.h"

#include <stdio.h>
#include <string.h>

#define STATES_MAX    1000 /* of one send */
#define STATE_LEN_MAX 32

struct comparison {
    struct cli *cli;
    struct client *client;
    struct match match;
    bool has_run;
    int64_t run_ms; /* the first 48 bits of the run's sends */
    int64_t counts[MATCH_DIFFERENT + 1];
};

/* --- our side --------------------------------------------------------------------------------- */

/* What a word says of attempt n: executed, perhaps, or not. */
static void note_state(struct match_send *send, struct th_str state, int64_t n)
{
    if (th_str_eq(state, TH_STR("accepted")))
        send->must |= match_bit(n);
    else if (th_str_eq(state, TH_STR("unknown")) || th_str_eq(state, TH_STR("in_doubt")) ||
             th_str_eq(state, TH_STR("started")))
        send->may |= match_bit(n);
}

static enum th_code on_recipient(void *arg, struct th_json row, struct th_err *err)
{
    struct comparison *c = arg;
    struct match_send send = {0};
    struct th_str state;
    size_t n = 0;

    if (!th_id_parse(answer_str(row, "send"), &send.send))
        return TH_OK; /* never released */
    snprintf(send.phone, sizeof send.phone, "%.*s", TH_ARG(answer_str(row, "phone")));
    c->has_run = true;
    c->run_ms = th_id_ms(send.send);
    struct th_json states = th_json_at(row, "attempt_states");
    TH_TRY(th_json_array(states, 0, STATES_MAX, &n, err));
    for (size_t i = 0; i < n; i++) {
        TH_TRY(th_json_str(th_json_item(states, i), 0, STATE_LEN_MAX, &state, err));
        note_state(&send, state, (int64_t)i + 1);
    }
    return match_add(&c->match, &send) == TH_OK ? TH_OK : th_fail(err, TH_NOMEM, "recipients");
}

static enum th_code read_ours(struct comparison *c, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf path = {0};

    th_buf_add(&path, TH_STR("/api/v1/campaigns/"));
    client_escape(&path, th_str(c->cli->words[0]));
    th_buf_add(&path, TH_STR("/recipients?"));
    th_buf_add_char(&path, '\0');
    TH_TRY(th_buf_status(&path));
    return answer_pages(c->client, path.p, CLIENT_TENANT, on_recipient, c, err);
}

/* --- the ledger ------------------------------------------------------------------------------- */

static enum th_code on_execution(void *arg, struct th_str text, struct th_err *err)
{
    struct comparison *c = arg;
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_id send;
    int64_t n;

    TH_TRY(th_json_parse(text, text.n, &document, err));
    struct th_json execution = th_json_root(document);
    if (match_attempt_of_url(answer_str(execution, "callback_url"), &send, &n) &&
        th_id_ms(send) == c->run_ms) /* else of another campaign */
        match_execution(&c->match, send, n, answer_str(execution, "to"));
    return TH_OK;
}

/* Callback URLs of one run have this in common: the token begins with version, lane and the run's
 * 48 bits; base64 makes 4 characters of each 3 bytes, and bytes 6 to 8 are of the run alone. */
static void run_text(const struct comparison *c, char out[8])
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    char bytes[3] = {(char)(c->run_ms >> 32), (char)(c->run_ms >> 24), (char)(c->run_ms >> 16)};

    th_base64url_add(&text, (struct th_str){bytes, sizeof bytes});
    snprintf(out, 8, "%.*s", TH_ARG(th_buf_str(&text)));
}

static enum th_code read_theirs(struct comparison *c, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf url = {0};
    const char *ledger = cli_value(c->cli, "--ledger");
    char text[8];

    if (!c->has_run)
        return TH_OK; /* nothing was ever released */
    run_text(c, text);
    th_buf_printf(&url, "%s%ccallback_contains=%s", ledger, strchr(ledger, '?') ? '&' : '?', text);
    th_buf_add_char(&url, '\0');
    TH_TRY(th_buf_status(&url));
    return client_lines(url.p, on_execution, c, err);
}

/* --- both ------------------------------------------------------------------------------------- */

static void judge(struct comparison *c, const struct match_send *send)
{
    static const char *const words[] = {
        [MATCH_AGREES] = "",
        [MATCH_ONLY_HERE] = "accepted here, never executed there",
        [MATCH_ONLY_THERE] = "executed there, though nothing here says so",
        [MATCH_DIFFERENT] = "executed there another time than here",
    };
    enum match_verdict verdict = match_judge(send);

    c->counts[verdict]++;
    if (verdict != MATCH_AGREES && !c->cli->is_json)
        fprintf(stderr, "%s: %s%s\n", send->phone, words[verdict],
                send->is_other ? " (twice, or for another number)" : "");
}

static enum th_code print_comparison(const struct comparison *c, struct th_err *err)
{
    int64_t only_here = c->counts[MATCH_ONLY_HERE];
    int64_t only_there = c->counts[MATCH_ONLY_THERE] + c->match.strangers;
    int64_t different = c->counts[MATCH_DIFFERENT];
    bool agrees = only_here + only_there + different == 0;

    if (c->cli->is_json)
        printf("{\"agrees\":%s,\"only_here\":%lld,\"only_there\":%lld,\"different\":%lld}\n",
               agrees ? "true" : "false", (long long)only_here, (long long)only_there,
               (long long)different);
    else
        printf("%s: %lld numbers only here, %lld only there, %lld different\n",
               agrees ? "both agree" : "they do not agree", (long long)only_here,
               (long long)only_there, (long long)different);
    return agrees ? TH_OK
                  : th_fail(err, TH_CONFLICT, "the ledger does not agree with the certificate");
}

static enum th_code ledger_compare(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    struct comparison c = {.cli = cli};
    enum th_code code;

    TH_TRY(client_open(cli, &client, err));
    c.client = client;
    code = read_ours(&c, err);
    if (code == TH_OK)
        code = read_theirs(&c, err);
    for (size_t i = 0; code == TH_OK && i < c.match.n; i++)
        judge(&c, &c.match.sends[i]);
    if (code == TH_OK)
        code = print_comparison(&c, err);
    match_fini(&c.match);
    return code;
}

static const struct cli_option compare_options[] = {
    {"--ledger", "URL", "the provider's own record of what it executed, one JSON object a line",
     true},
    {NULL, NULL, NULL, false},
};

const struct cli_command cli_compare_commands[] = {
    {"ledger compare", "ID", 1, 1,
     "Compare a campaign, number by number, with what a provider says that it executed.",
     "  telehub ledger compare ID --ledger http://127.0.0.1:4010/ledger", compare_options,
     ledger_compare},
    {0},
};
