#include "common/clock.h"
#include "common/encode.h"
#include "common/eventlog/headers.h"
#include "common/eventlog/topic.h"
#include "common/json_out.h"
#include "common/log_line.h"
#include "processors/main/tools.h"
#include "schemas/events.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES     ((size_t)1024 * 1024)
#define ARENA_BYTES    ((size_t)64 * 1024 * 1024)
#define FOLLOW_POLL_MS 500
#define TAIL_DEFAULT   10

/* --- topics ----------------------------------------------------------------------------------- */

static enum th_code log_topics(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_log) struct th_log *log = NULL;

    TH_TRY(tool_log(cli, &log, err));
    if (cli->is_json)
        printf("{\"log\":\"%s\",\"topics\":[", th_log_id(log));
    for (int t = 0; t < TOPIC_COUNT; t++) {
        int parts = th_log_partitions(log, (enum topic)t);
        int64_t records = 0;

        for (int p = 0; p < parts; p++) {
            int64_t end;

            TH_TRY(th_log_end(log, (enum topic)t, p, &end, err));
            records += end;
        }
        if (cli->is_json)
            printf("%s{\"topic\":\"%s\",\"partitions\":%d,\"records\":%lld}", t > 0 ? "," : "",
                   topic_name((enum topic)t), parts, (long long)records);
        else
            printf("%-20s %3d partitions %12lld records\n", topic_name((enum topic)t), parts,
                   (long long)records);
    }
    if (cli->is_json)
        printf("]}\n");
    return TH_OK;
}

/* --- tail ------------------------------------------------------------------------------------- */

static size_t digits_at(struct th_str s, size_t at)
{
    size_t n = 0;

    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

/* Bytes of the mark that a telephone number begins with: "+", or "%2B" in a form; 0: none. */
static size_t plus_at(struct th_str s, size_t at)
{
    if (s.p[at] == '+')
        return 1;
    return s.n - at >= 3 && memcmp(s.p + at, "%2B", 3) == 0 ? 3 : 0;
}

/* Telephone numbers shortened; everything else as it is. */
static void put_masked(struct th_buf *out, struct th_str s)
{
    char masked[TH_LOG_MASK_SIZE];
    char number[32];
    size_t plus;
    size_t n;

    for (size_t i = 0; i < s.n; i++) {
        plus = plus_at(s, i);
        n = plus ? digits_at(s, i + plus) : 0;
        if (n < 7 || n > 15) {
            th_buf_add_char(out, s.p[i]);
            continue;
        }
        snprintf(number, sizeof number, "+%.*s", (int)n, s.p + i + plus);
        th_buf_add(out, th_str(th_log_mask_phone(th_str(number), masked)));
        i += plus + n - 1;
    }
}

static void put_bytes(struct th_buf *out, struct th_str bytes)
{
    char hex[3];

    th_buf_printf(out, ",\"bytes\":\"");
    for (size_t i = 0; i < bytes.n; i++) {
        th_hex((struct th_str){bytes.p + i, 1}, hex);
        th_buf_add(out, (struct th_str){hex, 2});
    }
    th_buf_add_char(out, '"');
}

static void put_headers(struct th_buf *out, struct th_str headers)
{
    struct th_json_out json = {out, true};
    struct log_header header;

    if (headers.n == 0)
        return;
    th_json_begin_array(&json, "headers");
    while (log_headers_next(&headers, &header)) {
        th_json_begin(&json, NULL);
        th_json_put_str(&json, "name", header.name);
        if (header.is_null)
            th_json_put_null(&json, "bytes");
        else
            put_bytes(out, header.value);
        th_json_end(&json);
    }
    th_json_end_array(&json);
}

static enum th_code print_record(const struct cli *cli, const struct log_record *record,
                                 struct th_arena *arena)
{
    TH_AUTO(th_buf) struct th_buf json = {0};
    TH_AUTO(th_buf) struct th_buf shown = {0};
    struct event event;
    struct th_err err = {0};

    if (event_decode(record->value, arena, &event, &err) == TH_OK)
        event_to_json(&event, &json);
    else
        th_buf_printf(&json, "{\"undecodable\":\"%s\"}", err.text);
    if (cli_has(cli, "--personal"))
        th_buf_add(&shown, th_buf_str(&json));
    else
        put_masked(&shown, th_buf_str(&json));
    if (cli_has(cli, "--bytes")) {
        put_bytes(&shown, record->value);
        put_headers(&shown, record->headers);
    }
    TH_TRY(th_buf_status(&json));
    TH_TRY(th_buf_status(&shown));
    printf("{\"topic\":\"%s\",\"part\":%d,\"offset\":%lld,\"event\":%.*s}\n",
           topic_name(record->place.topic), record->place.part, (long long)record->place.offset,
           TH_ARG(th_buf_str(&shown)));
    return TH_OK;
}

/* Everything there is now; *out_n: how much that was. */
static enum th_code print_new(const struct cli *cli, struct th_log_reader *reader,
                              struct th_arena *arena, struct th_err *err)
{
    struct log_records records;

    do {
        th_arena_reset(arena);
        TH_TRY(th_log_reader_read(reader, READ_BYTES, arena, &records, err));
        for (size_t i = 0; i < records.n; i++)
            TH_TRY(print_record(cli, &records.at[i], arena));
    } while (records.n > 0 && !ferror(stdout));
    (void)fflush(stdout);
    return TH_OK;
}

static enum th_code places_of(struct cli *cli, struct th_log *log, enum topic topic,
                              struct log_place *out, size_t *out_n, struct th_err *err)
{
    int64_t last;
    int64_t end;

    TH_TRY(cli_int(cli, "--last", 0, INT64_MAX, TAIL_DEFAULT, &last, err));
    *out_n = (size_t)th_log_partitions(log, topic);
    for (size_t p = 0; p < *out_n; p++) {
        TH_TRY(th_log_end(log, topic, (int)p, &end, err));
        int64_t from = cli_has(cli, "--all") || end < last ? 0 : end - last;
        out[p] = (struct log_place){topic, (int)p, from};
    }
    return TH_OK;
}

static enum th_code follow(const struct cli *cli, struct th_log *log, enum topic topic,
                           struct th_log_reader *reader, struct th_arena *arena, struct th_err *err)
{
    struct th_log_listener *listener = NULL;
    enum th_code code = th_log_listener_open(log, UINT32_C(1) << topic, &listener, err);

    while (code == TH_OK && !ferror(stdout)) {
        struct pollfd fd = {.fd = th_log_listener_fd(listener), .events = POLLIN};

        poll(&fd, 1, FOLLOW_POLL_MS);
        th_log_listener_clear(listener);
        code = print_new(cli, reader, arena, err);
    }
    if (listener)
        th_log_listener_close(listener);
    return code;
}

static enum th_code log_tail(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_log) struct th_log *log = NULL;
    struct log_place places[LOG_PARTITIONS_MAX];
    struct th_log_reader *reader = NULL;
    struct th_arena arena;
    enum topic topic;
    size_t n;

    if (!topic_by_name(th_str(cli->words[0]), &topic))
        return cli_usage(cli, err, "there is no topic %s: telehub log topics lists them",
                         cli->words[0]);
    TH_TRY(tool_log(cli, &log, err));
    TH_TRY(places_of(cli, log, topic, places, &n, err));
    TH_TRY(th_log_reader_open(log, places, n, &reader, err));
    th_arena_init(&arena, ARENA_BYTES);
    enum th_code code = print_new(cli, reader, &arena, err);
    if (code == TH_OK && cli_has(cli, "--follow"))
        code = follow(cli, log, topic, reader, &arena, err);
    th_arena_fini(&arena);
    th_log_reader_close(reader);
    return code;
}

/* --- verify ----------------------------------------------------------------------------------- */

struct tally {
    int64_t records;
    int64_t undecodable;
};

/* The reader checks every checksum and finds gaps; here each record is decoded as well. */
static enum th_code verify_part(struct th_log *log, struct log_place place, struct th_arena *arena,
                                struct tally *tally, struct th_err *err)
{
    struct th_log_reader *reader = NULL;
    struct log_records records;
    struct event event;
    int64_t next = 0;
    int64_t end;
    enum th_code code;

    TH_TRY(th_log_end(log, place.topic, place.part, &end, err));
    TH_TRY(th_log_reader_open(log, &place, 1, &reader, err));
    do {
        th_arena_reset(arena);
        code = th_log_reader_read(reader, READ_BYTES, arena, &records, err);
        for (size_t i = 0; code == TH_OK && i < records.n; i++) {
            struct th_err why = {0};

            if (records.at[i].place.offset != next++)
                code = th_fail(err, TH_CORRUPT, "%s partition %d: offset %lld where %lld belongs",
                               topic_name(place.topic), place.part,
                               (long long)records.at[i].place.offset, (long long)(next - 1));
            else if (event_decode(records.at[i].value, arena, &event, &why) != TH_OK)
                tally->undecodable++;
        }
    } while (code == TH_OK && records.n > 0 && next < end);
    th_log_reader_close(reader);
    tally->records += next;
    if (code == TH_OK && next < end)
        code = th_fail(err, TH_CORRUPT, "%s partition %d ends at %lld, not at %lld",
                       topic_name(place.topic), place.part, (long long)next, (long long)end);
    return code;
}

static enum th_code log_verify(struct cli *cli, struct th_err *err)
{
    TH_AUTO(th_log) struct th_log *log = NULL;
    struct tally tally = {0, 0};
    struct th_arena arena;
    enum th_code code = TH_OK;

    TH_TRY(tool_log(cli, &log, err));
    th_arena_init(&arena, ARENA_BYTES);
    for (int t = 0; t < TOPIC_COUNT && code == TH_OK; t++)
        for (int p = 0; p < th_log_partitions(log, (enum topic)t) && code == TH_OK; p++)
            code = verify_part(log, (struct log_place){(enum topic)t, p, 0}, &arena, &tally, err);
    th_arena_fini(&arena);
    TH_TRY(code);
    if (cli->is_json)
        printf("{\"records\":%lld,\"undecodable\":%lld}\n", (long long)tally.records,
               (long long)tally.undecodable);
    else
        printf("%lld records, no gap, every checksum right; %lld cannot be decoded\n",
               (long long)tally.records, (long long)tally.undecodable);
    return tally.undecodable ? th_fail(err, TH_CORRUPT, "some records cannot be decoded") : TH_OK;
}

static const struct cli_option tail_options[] = {
    {"--follow", NULL, "go on with what comes", false},
    {"--last", "N", "begin so many records before the end of each partition (default: 10)", false},
    {"--all", NULL, "begin at the beginning", false},
    {"--personal", NULL, "show telephone numbers whole", false},
    {"--bytes", NULL,
     "add each value's bytes, hexadecimal, and its headers; telephone numbers stand in them",
     false},
    {NULL, NULL, NULL, false},
};

const struct cli_command tool_log_commands[] = {
    {"log topics", "", 0, 0, "List the topics and how many records each holds.",
     "  telehub log topics", NULL, log_topics},
    {"log tail", "TOPIC", 1, 1, "Show a topic's newest records, as JSON, one a line.",
     "  telehub log tail send.events --follow\n"
     "  telehub log tail config --all | jq .event",
     tail_options, log_tail},
    {"log verify", "", 0, 0, "Read everything: checksums, gaps, and whether it can be decoded.",
     "  telehub log verify", NULL, log_verify},
    {0},
};
