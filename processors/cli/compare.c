/* compare.c - do we and a provider's own ledger agree about each number of a campaign?
 *
 * Our side is the API, not the database: what a customer would see. An attempt that we call
 * accepted must be in the ledger exactly once; one whose outcome nobody knows may be; any other
 * must not be. The callback URL of an execution names the attempt (common/callback_token.h), so an
 * execution is compared with the attempt that it belongs to, and its number with ours.
 */
#include "common/encode.h"
#include "common/ids.h"
#include "processors/cli/answer.h"

#include <stdio.h>
#include <string.h>

#define TOKEN_BYTES_MAX 200
#define PHONE_MAX       20
#define ATTEMPTS_SEEN   64 /* bits of a set of attempts */

/* A send of ours, and what the ledger says about it. */
struct line {
    struct th_id send;
    char phone[PHONE_MAX];
    uint64_t must; /* attempts that were executed, bit n-1 */
    uint64_t may;  /* attempts of which nobody knows */
    uint64_t there;
    bool is_detailed; /* must and may are by attempt; else by count */
    int32_t attempts;
    int32_t executions;
    bool is_other; /* another number, or one attempt twice */
};

struct comparison {
    struct cli *cli;
    struct client *client;
    struct line *lines;
    size_t n;
    size_t cap;
    bool has_run;
    int64_t run_ms; /* the first 48 bits of the run's sends */
    const char *set;
    int64_t only_here;
    int64_t only_there;
    int64_t different;
};

/* --- our side --------------------------------------------------------------------------------- */

static uint64_t bit_of(int64_t n)
{
    return n >= 1 && n <= ATTEMPTS_SEEN ? UINT64_C(1) << (n - 1) : 0;
}

/* What each attempt of a send came to. */
static enum th_code detail(struct comparison *c, struct line *line, struct th_err *err)
{
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    char id[TH_ID_TEXT_LEN + 1];
    char path[128];
    size_t n = 0;

    th_id_text(line->send, id);
    snprintf(path, sizeof path, "/api/v1/sends/%s", id);
    TH_TRY(client_ask(c->client, &(struct client_ask){.method = "GET", .path = path}, &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    struct th_json attempts = th_json_at(th_json_root(document), "attempts");
    TH_TRY(th_json_array(attempts, 0, 10000, &n, err));
    line->must = line->may = 0;
    for (size_t i = 0; i < n; i++) {
        struct th_json attempt = th_json_item(attempts, i);
        struct th_str state = answer_str(attempt, "state");
        uint64_t bit = bit_of(answer_int(attempt, "n"));

        if (th_str_eq(state, TH_STR("accepted")))
            line->must |= bit;
        else if (th_str_eq(state, TH_STR("unknown")) || th_str_eq(state, TH_STR("in_doubt")) ||
                 th_str_eq(state, TH_STR("started")))
            line->may |= bit;
    }
    line->is_detailed = true;
    return TH_OK;
}

static enum th_code add_line(struct comparison *c, const struct line *line, struct th_err *err)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 1024;
        struct line *larger = reallocarray(c->lines, cap, sizeof *larger);

        if (!larger)
            return th_fail(err, TH_NOMEM, "%zu recipients", c->n);
        c->lines = larger;
        c->cap = cap;
    }
    c->lines[c->n++] = *line;
    return TH_OK;
}

/* One attempt that was accepted says all by itself; whatever else happened is looked at closely. */
static enum th_code on_recipient(void *arg, struct th_json row, struct th_err *err)
{
    struct comparison *c = arg;
    struct line line = {.attempts = (int32_t)answer_int(row, "attempts")};

    if (!th_id_parse(answer_str(row, "send"), &line.send))
        return TH_OK; /* never released */
    snprintf(line.phone, sizeof line.phone, "%.*s", TH_ARG(answer_str(row, "phone")));
    c->has_run = true;
    c->run_ms = th_id_ms(line.send);
    if (line.attempts == 1 &&
        (strcmp(c->set, "reached") == 0 || strcmp(c->set, "accepted_no_report") == 0)) {
        line.must = 1;
        line.is_detailed = true;
    }
    return add_line(c, &line, err);
}

static int by_send(const void *a, const void *b)
{
    return th_id_cmp(((const struct line *)a)->send, ((const struct line *)b)->send);
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
    for (size_t i = 0; i < c->n; i++)
        if (!c->lines[i].is_detailed && c->lines[i].attempts > 0)
            TH_TRY(detail(c, &c->lines[i], err));
    if (c->n > 0)
        qsort(c->lines, c->n, sizeof *c->lines, by_send);
    return TH_OK;
}

/* --- the ledger ------------------------------------------------------------------------------- */

/* The attempt that a callback URL names; its signature is the gateway's business. */
static bool attempt_of(struct th_str url, struct th_id *out_send, int64_t *out_n)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    struct th_str token = url;

    for (size_t i = url.n; i > 0; i--)
        if (url.p[i - 1] == '/') {
            token = (struct th_str){url.p + i, url.n - i};
            break;
        }
    if (th_base64url_parse(token, &bytes) != TH_OK || bytes.n < 24 || bytes.n > TOKEN_BYTES_MAX ||
        bytes.p[0] != 1)
        return false;
    memcpy(out_send->b, bytes.p + 5, sizeof out_send->b);
    *out_n = ((int64_t)(unsigned char)bytes.p[21] << 8) | (unsigned char)bytes.p[22];
    return true;
}

static enum th_code on_execution(void *arg, struct th_str text, struct th_err *err)
{
    struct comparison *c = arg;
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct line wanted = {0};
    int64_t n;

    TH_TRY(th_json_parse(text, text.n, &document, err));
    struct th_json execution = th_json_root(document);
    if (!attempt_of(answer_str(execution, "callback_url"), &wanted.send, &n) || !c->has_run ||
        th_id_ms(wanted.send) != c->run_ms)
        return TH_OK; /* of another campaign */
    struct line *line = c->n > 0 ? bsearch(&wanted, c->lines, c->n, sizeof wanted, by_send) : NULL;
    if (!line) {
        c->only_there++;
        return TH_OK;
    }
    if ((line->there & bit_of(n)) || !th_str_eq(answer_str(execution, "to"), th_str(line->phone)))
        line->is_other = true;
    line->there |= bit_of(n);
    line->executions++;
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

static void judge(struct comparison *c, const struct line *line)
{
    bool is_missing = (line->must & ~line->there) != 0;
    bool is_extra = (line->there & ~(line->must | line->may)) != 0;

    if (!is_missing && !is_extra && !line->is_other)
        return;
    if (line->there == 0)
        c->only_here++;
    else if (line->must == 0 && line->may == 0)
        c->only_there++;
    else
        c->different++;
    if (!c->cli->is_json)
        fprintf(stderr, "%s: here %s, there %d executions%s\n", line->phone,
                line->must ? "accepted" : "not accepted", line->executions,
                line->is_other ? ", twice or for another number" : "");
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
    for (size_t i = 0; code == TH_OK && i < c.n; i++)
        judge(&c, &c.lines[i]);
    free(c.lines);
    TH_TRY(code);
    bool agrees = c.only_here + c.only_there + c.different == 0;
    if (cli->is_json)
        printf("{\"agrees\":%s,\"only_here\":%lld,\"only_there\":%lld,\"different\":%lld}\n",
               agrees ? "true" : "false", (long long)c.only_here, (long long)c.only_there,
               (long long)c.different);
    else
        printf("%s: %lld numbers only here, %lld only there, %lld different\n",
               agrees ? "both agree" : "they do not agree", (long long)c.only_here,
               (long long)c.only_there, (long long)c.different);
    return agrees ? TH_OK
                  : th_fail(err, TH_CONFLICT, "the ledger does not agree with the certificate");
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
