/* why.c - why a send went as it went. */
#include "processors/cli/answer.h"

#include <stdio.h>
#include <string.h>

#define SENTENCES_MAX 10000

/* "2026-11-22T08:30:05.123456Z" as "08:30:05.123"; the day stands above. */
static void print_sentence(struct th_json sentence, char day[11])
{
    struct th_str time = answer_str(sentence, "time");

    if (time.n >= 23 && strncmp(day, time.p, 10) != 0) {
        snprintf(day, 11, "%.10s", time.p);
        printf("%s (UTC)\n", day);
    }
    if (time.n >= 23)
        printf("  %.12s  ", time.p + 11);
    printf("%.*s\n", TH_ARG(answer_str(sentence, "text")));
}

static enum th_code print_why(struct th_json why, struct th_err *err)
{
    struct th_json because = th_json_at(why, "because");
    char day[11] = "";
    size_t n = 0;

    TH_TRY(th_json_array(because, 0, SENTENCES_MAX, &n, err));
    printf("%.*s\n", TH_ARG(answer_str(why, "summary")));
    for (size_t i = 0; i < n; i++)
        print_sentence(th_json_item(because, i), day);
    return TH_OK;
}

static enum th_code why(struct cli *cli, struct th_err *err)
{
    TH_AUTO(client) struct client *client = NULL;
    TH_AUTO(client_reply) struct client_reply reply = {0};
    TH_AUTO(th_json) struct json_t *document = NULL;
    TH_AUTO(th_buf) struct th_buf path = {0};

    TH_TRY(client_open(cli, &client, err));
    th_buf_add(&path, TH_STR("/api/v1/sends/"));
    client_escape(&path, th_str(cli->words[0]));
    th_buf_add(&path, TH_STR("/why"));
    th_buf_add_char(&path, '\0');
    TH_TRY(th_buf_status(&path));
    TH_TRY(client_ask(client, &(struct client_ask){.method = "GET", .path = path.p}, &reply, err));
    TH_TRY(answer_read(&reply, &document, err));
    if (cli->is_json) {
        answer_print(&reply);
        return TH_OK;
    }
    return print_why(th_json_root(document), err);
}

const struct cli_command cli_why_commands[] = {
    {"why", "SEND", 1, 1,
     "Say why a send went as it went: each decision, its rule and the number that decided.",
     "  telehub recipients ID --outcome unreached --json    # names the sends\n"
     "  telehub why 019b76da-ab7b-83d2-b2bf-62e8f4ac762d",
     NULL, why},
    {0},
};
