/* compare.c - do we and a provider's own ledger agree about each number of a campaign?
 *
 * Our side is the API, not the database: what a customer would see. The callback URL of an
 * execution names the attempt, so an execution is compared with the attempt that it belongs to.
 */
#include "common/encode.h"
#include "processors/cli/answer.h"
#include "processors/cli/match.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LOOKERS 8

struct comparison {
    struct cli *cli;
    struct client *client;
    struct match match;
    struct match_send *unclear; /* owned; their attempts must be looked at one by one */
    size_t unclear_n;
    size_t unclear_cap;
    bool has_run;
    int64_t run_ms; /* the first 48 bits of the run's sends */
    const char *set;
    int64_t counts[MATCH_DIFFERENT + 1];
};

/* --- our side --------------------------------------------------------------------------------- */

static void note_attempt(struct match_send *send, struct th_json attempt)
{
    struct th_str state = answer_str(attempt, "state");
    uint64_t bit = match_bit(answer_int(attempt, "n"));

    if (th_str_eq(state, TH_STR("accepted")))
        send->must |= bit;
    else if (th_str_eq(state, TH_STR("unknown")) || th_str_eq(state, TH_STR("in_doubt")) ||
             th_str_eq(state, TH_STR("started")))
        send->may |= bit;
}

/* What each attempt of a send came to. */
static enum th_code look_closely(struct client *client, struct match_send *send, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    char id[TH_ID_TEXT_LEN + 1];
    char path[128];
    size_t n = 0;

    th_id_text(send->send, id);
    snprintf(path, sizeof path, "/api/v1/sends/%s", id);
    TH_TRY(client_ask(client, &(struct client_ask){.method = "GET", .path = path}, &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    struct th_json attempts = th_json_at(th_json_root(document), "attempts");
    TH_TRY(th_json_array(attempts, 0, 10000, &n, err));
    for (size_t i = 0; i < n; i++)
        note_attempt(send, th_json_item(attempts, i));
    return TH_OK;
}

/* Each of a few threads, with a client of its own, looks at every LOOKERS-th: what takes time is
 * waiting for answers. */
struct looker {
    const struct cli *cli;
    struct match_send *sends;
    size_t n;
    size_t first;
    pthread_t thread;
    enum th_code code;
    struct th_err err;
};

static enum th_code look(struct looker *looker, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;

    TH_TRY(client_open(looker->cli, &client, err));
    for (size_t i = looker->first; i < looker->n; i += LOOKERS)
        TH_TRY(look_closely(client, &looker->sends[i], err));
    return TH_OK;
}

static void *run_looker(void *arg)
{
    struct looker *looker = arg;

    looker->code = look(looker, &looker->err);
    return NULL;
}

static enum th_code look_at_all(const struct comparison *c, struct th_err *err)
{
    struct looker lookers[LOOKERS] = {0};
    size_t started = 0;
    enum th_code code = TH_OK;

    for (; started < LOOKERS && code == TH_OK; started++) {
        struct looker *looker = &lookers[started];

        *looker = (struct looker){
            .cli = c->cli, .sends = c->unclear, .n = c->unclear_n, .first = started};
        if (pthread_create(&looker->thread, NULL, run_looker, looker) != 0)
            code = th_fail(err, TH_UNAVAILABLE, "no thread");
    }
    if (code != TH_OK)
        started--;
    for (size_t i = 0; i < started; i++) {
        pthread_join(lookers[i].thread, NULL);
        if (code == TH_OK && lookers[i].code != TH_OK)
            code = th_fail(err, lookers[i].code, "%s", lookers[i].err.text);
    }
    return code;
}

static enum th_code add_unclear(struct comparison *c, const struct match_send *send)
{
    if (c->unclear_n == c->unclear_cap) {
        size_t cap = c->unclear_cap ? 2 * c->unclear_cap : 256;
        struct match_send *larger = reallocarray(c->unclear, cap, sizeof *larger);

        if (!larger)
            return TH_NOMEM;
        c->unclear = larger;
        c->unclear_cap = cap;
    }
    c->unclear[c->unclear_n++] = *send;
    return TH_OK;
}

/* One attempt that was accepted says all by itself; whatever else happened is looked at closely,
 * though not while a page is open. */
static enum th_code on_recipient(void *arg, struct th_json row, struct th_err *err)
{
    struct comparison *c = arg;
    struct match_send send = {0};
    int64_t attempts = answer_int(row, "attempts");

    if (!th_id_parse(answer_str(row, "send"), &send.send))
        return TH_OK; /* never released */
    snprintf(send.phone, sizeof send.phone, "%.*s", TH_ARG(answer_str(row, "phone")));
    c->has_run = true;
    c->run_ms = th_id_ms(send.send);
    if (attempts == 0)
        return match_add(&c->match, &send);
    if (attempts == 1 &&
        (strcmp(c->set, "reached") == 0 || strcmp(c->set, "accepted_no_report") == 0)) {
        send.must = match_bit(1);
        return match_add(&c->match, &send);
    }
    return add_unclear(c, &send) == TH_OK ? TH_OK : th_fail(err, TH_NOMEM, "recipients");
}

static enum th_code read_ours(struct comparison *c, struct th_err *err)
{
    static const char *const sets[] = {"reached",    "accepted_no_report", "unreached",
                                       "suppressed", "in_doubt",           "unsent"};

    for (size_t i = 0; i < TH_LEN(sets); i++) {
        TH_AUTO(th_buf) struct th_buf path = {0};

        c->set = sets[i];
        th_buf_add(&path, TH_STR("/api/v1/campaigns/"));
        client_escape(&path, th_str(c->cli->words[0]));
        th_buf_printf(&path, "/recipients?outcome=%s&", sets[i]);
        th_buf_add_char(&path, '\0');
        TH_TRY(th_buf_status(&path));
        TH_TRY(answer_pages(c->client, path.p, CLIENT_TENANT, on_recipient, c, err));
    }
    if (c->unclear_n > 0)
        TH_TRY(look_at_all(c, err));
    for (size_t i = 0; i < c->unclear_n; i++)
        TH_TRY(match_add(&c->match, &c->unclear[i]));
    return TH_OK;
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
    free(c.unclear);
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
