/* avro_files - the archive as Avro files, for a test that reads them.
 *
 *   avro_files DIR null|deflate
 *
 * Lines of hexadecimal on stdin are values of the log. Each is appended forty minutes after the one
 * before; half-way, and at the end, what is new is written into DIR. One record more is no event.
 * Says as JSON what was written. */
#include "common/clock.h"
#include "common/encode.h"
#include "common/eventlog/archive/archive_avro.h"
#include "common/eventlog/memory_log.h"

#include <stdio.h>
#include <string.h>

#define STEP_US (40 * TH_US_PER_MIN)

struct world {
    struct th_virtual_clock clock;
    struct th_log *log;
    const char *dir;
    enum avro_codec codec;
    struct archive_avro_counts counts;
};

static enum th_code append(struct world *world, struct th_str value, int64_t number,
                           struct th_err *err)
{
    char key[32];

    snprintf(key, sizeof key, "t/%lld", (long long)number);
    th_virtual_clock_advance(&world->clock, STEP_US);
    struct log_output output = {
        .topic = TOPIC_SEND_EVENTS, .part = -1, .key = th_str(key), .value = value};
    return th_log_append(world->log, &output, 1, NULL, err);
}

static enum th_code export(struct world *world, struct th_err *err) {
    TH_AUTO(archive_avro) struct archive_avro *avro = NULL; struct archive_plan plan = {0};
    struct archive_taken taken;

    TH_TRY(archive_avro_open(world->dir, th_log_id(world->log), world->codec, &avro, err));
    struct archive_sink sink = archive_avro_sink(avro);
    TH_TRY(archive_take_into(world->log, &sink, &plan, &taken, err));
    struct archive_avro_counts counts = archive_avro_counts(avro);
    world->counts.events += counts.events;
    world->counts.files += counts.files;
    world->counts.left_out += counts.left_out;
    return TH_OK;
}

static enum th_code append_line(struct world *world, const char *line, int64_t number,
                                struct th_err *err)
{
    size_t n = strcspn(line, "\n") / 2;
    TH_AUTO(free) void *bytes = malloc(n + 1);

    if (!bytes || !th_hex_parse((struct th_str){line, 2 * n}, n, bytes))
        return th_fail(err, TH_MALFORMED, "line %lld", (long long)number);
    return append(world, (struct th_str){bytes, n}, number, err);
}

static enum th_code run(struct world *world, struct th_err *err)
{
    TH_AUTO(free) void *memory = NULL;
    char *line = NULL;
    size_t cap = 0;
    int64_t number = 0;
    enum th_code code = TH_OK;

    for (; code == TH_OK && getline(&line, &cap, stdin) > 0; number++) {
        if (number == 500)
            code = export(world, err);
        if (code == TH_OK)
            code = append_line(world, line, number, err);
    }
    memory = line;
    TH_TRY(code);
    TH_TRY(append(world, TH_STR("no event"), number, err));
    return export(world, err);
}

int main(int argc, char **argv)
{
    struct world world = {0};
    struct th_err err = {0};

    if (argc != 3)
        return 2;
    world.dir = argv[1];
    world.codec = strcmp(argv[2], "null") == 0 ? AVRO_CODEC_NULL : AVRO_CODEC_DEFLATE;
    th_virtual_clock_init(&world.clock, INT64_C(1767225600) * TH_US_PER_SEC); /* 2026-01-01 */
    struct memory_log_options options = {.partitions = 4,
                                         .bytes_max = (size_t)256 * 1024 * 1024,
                                         .clock = &world.clock.clock,
                                         .seed = 1};
    enum th_code code = memory_log_new(&options, &world.log, &err);
    if (code == TH_OK)
        code = run(&world, &err);
    th_log_close(world.log);
    if (code != TH_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("{\"events\":%lld,\"files\":%lld,\"left_out\":%lld}\n", (long long)world.counts.events,
           (long long)world.counts.files, (long long)world.counts.left_out);
    return 0;
}
