#include "common/encode.h"
#include "common/json_out.h"
#include "processors/cli/answer.h"

#include <ctype.h>
#include <stdio.h>

#define HEX_WIDTH 16

/* --- dlq list --------------------------------------------------------------------------------- */

struct listing {
    bool is_json;
    int64_t n;
};

static enum th_code put_row(struct th_json row, struct th_buf *text)
{
    static const char *const members[] = {"id",   "tenant", "at",      "topic",     "consumer",
                                          "code", "detail", "settled", "settled_at"};
    struct th_json_out out = {text, false};

    th_json_begin(&out, NULL);
    for (size_t i = 0; i < TH_LEN(members); i++)
        th_json_put_str(&out, members[i], answer_str(row, members[i]));
    th_json_end(&out);
    return th_buf_status(text);
}

static enum th_code on_letter(void *arg, struct th_json row, struct th_err *err)
{
    (void)err;
    struct listing *listing = arg;
    TH_AUTO(th_buf) struct th_buf text = {0};

    if (listing->is_json) {
        TH_TRY(put_row(row, &text));
        printf("%s%.*s", listing->n > 0 ? ",\n" : "", TH_ARG(th_buf_str(&text)));
    } else {
        struct th_str settled = answer_str(row, "settled");

        printf("%.*s  %.*s  %-18.*s %-12.*s %.*s: %.*s%s%.*s\n", TH_ARG(answer_str(row, "id")),
               TH_ARG(answer_str(row, "at")), TH_ARG(answer_str(row, "topic")),
               TH_ARG(answer_str(row, "consumer")), TH_ARG(answer_str(row, "code")),
               TH_ARG(answer_str(row, "detail")), settled.n ? "; " : "", TH_ARG(settled));
    }
    listing->n++;
    return TH_OK;
}

static enum th_code put_send(struct th_json row, struct th_buf *text)
{
    static const char *const members[] = {"id",       "kind",    "tenant",  "at",
                                          "campaign", "channel", "account", "reason"};
    struct th_json_out out = {text, false};

    th_json_begin(&out, NULL);
    for (size_t i = 0; i < TH_LEN(members); i++)
        th_json_put_str(&out, members[i], answer_str(row, members[i]));
    th_json_put_int(&out, "attempts", answer_int(row, "attempts"));
    th_json_end(&out);
    return th_buf_status(text);
}

static enum th_code on_send(void *arg, struct th_json row, struct th_err *err)
{
    (void)err;
    struct listing *listing = arg;
    TH_AUTO(th_buf) struct th_buf text = {0};

    if (listing->is_json) {
        TH_TRY(put_send(row, &text));
        printf("%s%.*s", listing->n > 0 ? ",\n" : "", TH_ARG(th_buf_str(&text)));
    } else {
        printf("%.*s  %.*s  %-12.*s %lld attempts, the last at %.*s: %.*s\n",
               TH_ARG(answer_str(row, "id")), TH_ARG(answer_str(row, "at")),
               TH_ARG(answer_str(row, "tenant")), (long long)answer_int(row, "attempts"),
               TH_ARG(answer_str(row, "account")), TH_ARG(answer_str(row, "reason")));
    }
    listing->n++;
    return TH_OK;
}

/* What is given up, and how it is asked for. */
struct kind {
    const char *name;
    const char *path;
    enum th_code (*on_row)(void *arg, struct th_json row, struct th_err *err);
    const char *none;
};

static const struct kind kinds[] = {
    {"record", "/api/v1/dead-letters?", on_letter, "no dead letters that nobody has settled"},
    {"exhausted", "/api/v1/dead-letters?kind=exhausted&", on_send, "no send was given up"},
};
static const struct kind settled_kind = {NULL, "/api/v1/dead-letters?settled=also&", on_letter,
                                         "no dead letters"};

/* NULL: there is no such kind. */
static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < TH_LEN(kinds); i++)
        if (th_str_eq(th_str(name), th_str(kinds[i].name)))
            return &kinds[i];
    return NULL;
}

static enum th_code dlq_list(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    struct listing listing = {cli->is_json, 0};
    const char *name = cli_value(cli, "--kind");
    const struct kind *kind = name ? kind_named(name) : &kinds[0];

    if (!kind)
        return cli_usage(cli, err, "--kind is record or exhausted, not %s", name);
    if (cli_has(cli, "--all") && kind != &kinds[0])
        return cli_usage(cli, err, "--all is for records: only they are settled");
    if (cli_has(cli, "--all"))
        kind = &settled_kind;
    TH_TRY(client_open(cli, &client, err));
    if (cli->is_json)
        printf("{\"data\":[");
    TH_TRY(answer_pages(client, kind->path, CLIENT_OPERATOR, kind->on_row, &listing, err));
    if (cli->is_json)
        printf("]}\n");
    else if (listing.n == 0)
        fprintf(stderr, "%s\n", kind->none);
    return TH_OK;
}

/* --- dlq show --------------------------------------------------------------------------------- */

/* "00000010  00 01 …  |..|" */
static void print_hex(struct th_str bytes)
{
    for (size_t at = 0; at < bytes.n; at += HEX_WIDTH) {
        printf("  %08zx ", at);
        for (size_t i = at; i < at + HEX_WIDTH; i++)
            if (i < bytes.n)
                printf(" %02x", (unsigned char)bytes.p[i]);
            else
                printf("   ");
        printf("  |");
        for (size_t i = at; i < at + HEX_WIDTH && i < bytes.n; i++)
            putchar(isprint((unsigned char)bytes.p[i]) ? bytes.p[i] : '.');
        printf("|\n");
    }
}

static enum th_code print_bytes(struct th_json letter, const char *title, const char *member,
                                struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};

    if (th_base64_parse(answer_str(letter, member), &bytes) != TH_OK)
        return th_fail(err, TH_MALFORMED, "the answer's %s is no base64", member);
    printf("%s (%zu bytes)\n", title, bytes.n);
    print_hex(th_buf_str(&bytes));
    return TH_OK;
}

static enum th_code print_headers(struct th_json headers, struct th_err *err)
{
    size_t n = 0;

    TH_TRY(th_json_array(headers, 0, SIZE_MAX, &n, err));
    for (size_t i = 0; i < n; i++) {
        struct th_json header = th_json_item(headers, i);
        struct th_str name = answer_str(header, "name");
        char title[64];

        (void)snprintf(title, sizeof title, "header %.*s", TH_ARG(name));
        for (char *at = title; *at; at++)
            *at =
                isprint((unsigned char)*at) ? *at : '?'; /* it is anybody's, and this a terminal */
        if (th_json_is_given(th_json_at(header, "value_base64")))
            TH_TRY(print_bytes(header, title, "value_base64", err));
        else
            printf("%s (null)\n", title);
    }
    return TH_OK;
}

static enum th_code print_letter(struct th_json letter, struct th_err *err)
{
    static const struct {
        const char *title;
        const char *member;
    } rows[] = {
        {"id", "id"},
        {"at", "at"},
        {"tenant", "tenant"},
        {"topic", "topic"},
        {"read by", "consumer"},
        {"code", "code"},
        {"reason", "detail"},
        {"settled", "settled"},
        {"record", "record"},
        {"now", "decode_error"},
    };

    for (size_t i = 0; i < TH_LEN(rows); i++)
        if (answer_str(letter, rows[i].member).n)
            printf("%-8s %.*s\n", rows[i].title, TH_ARG(answer_str(letter, rows[i].member)));
    TH_TRY(print_bytes(letter, "key", "key_base64", err));
    TH_TRY(print_bytes(letter, "value", "value_base64", err));
    return print_headers(th_json_at(letter, "headers"), err);
}

static enum th_code dlq_show(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    char path[CLIENT_PATH_MAX];

    TH_TRY(client_open(cli, &client, err));
    (void)snprintf(path, sizeof path, "/api/v1/dead-letters/%s", cli->words[0]);
    TH_TRY(client_ask(client,
                      &(struct client_ask){.method = "GET", .path = path, .as = CLIENT_OPERATOR},
                      &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    if (cli->is_json) {
        answer_print(&reply);
        return TH_OK;
    }
    return print_letter(th_json_root(document), err);
}

/* --- dlq replay, discard ---------------------------------------------------------------------- */

static enum th_code settle(struct cli *cli, const char *what, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;

    TH_TRY(client_open(cli, &client, err));
    for (int i = 0; i < cli->words_n; i++) {
        TH_AUTO(client_reply) struct client_reply reply = {0};
        TH_AUTO(th_json) struct json_t *document = NULL;
        char path[CLIENT_PATH_MAX];

        (void)snprintf(path, sizeof path, "/api/v1/dead-letters/%s/%s", cli->words[i], what);
        TH_TRY(client_ask(
            client, &(struct client_ask){.method = "POST", .path = path, .as = CLIENT_OPERATOR},
            &reply, err));
        TH_TRY(answer_read(&reply, &document, err));
        if (cli->is_json)
            answer_print(&reply);
        else
            printf("%s is %.*s\n", cli->words[i],
                   TH_ARG(answer_str(th_json_root(document), "settled")));
    }
    return TH_OK;
}

static enum th_code dlq_replay(struct cli *cli, struct th_err *err)
{
    return settle(cli, "replay", err);
}

static enum th_code dlq_discard(struct cli *cli, struct th_err *err)
{
    return settle(cli, "discard", err);
}

static const struct cli_option list_options[] = {
    {"--kind", "record|exhausted",
     "records that could not be understood (default), or sends that have used up all tries", false},
    {"--all", NULL, "those that were replayed or discarded, too", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command cli_dead_letter_commands[] = {
    {"dlq list", "", 0, 0,
     "What was given up: records that nobody understood or settled, or sends without a try left.",
     "  telehub dlq list\n"
     "  telehub dlq list --all --json\n"
     "  telehub dlq list --kind exhausted      # telehub why ID says what was tried",
     list_options, dlq_list},
    {"dlq show", "ID", 1, 1, "One of them: where, why, and its bytes.", "  telehub dlq show ID",
     NULL, dlq_show},
    {"dlq replay", "ID...", 1, CLI_WORDS_MAX,
     "Put a record on its topic again, after what did not understand it was mended.",
     "  telehub dlq replay ID", NULL, dlq_replay},
    {"dlq discard", "ID...", 1, CLI_WORDS_MAX,
     "Say that nothing more is to be done about it. It stays on the log.",
     "  telehub dlq discard ID", NULL, dlq_discard},
    {0},
};
