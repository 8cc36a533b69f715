#include "tests/unit/archive_world.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"

void archive_world_init(struct archive_world *world)
{
    *world = (struct archive_world){.origin = {.log_id = ARCHIVE_WORLD_LOG, .segment_raw = 20000}};
    snprintf(world->dir, sizeof world->dir, "/tmp/archive-test.XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->archive, sizeof world->archive, "%s/a", world->dir);
    for (int t = 0; t < TOPIC_COUNT; t++)
        world->partitions[t] = topic_kind((enum topic)t) == TOPIC_REFERENCE ? 1 : 2;
    world->origin.partitions = world->partitions;
    th_arena_init(&world->arena, (size_t)64 * 1024 * 1024);
}

void archive_world_fini(struct archive_world *world)
{
    char command[128];

    th_arena_fini(&world->arena);
    snprintf(command, sizeof command, "rm -rf '%s'", world->dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder that we made */
}

struct log_record archive_world_record(struct archive_world *world, enum topic topic, int part,
                                       int i)
{
    size_t size = i % 7 == 0 ? 0 : (size_t)(i * 37 % 400) + (i % 50 == 49 ? 300000 : 0);
    char *value = th_arena_alloc(&world->arena, size + 1);
    struct log_record record = {
        .place = {topic, part, (int64_t)i * 3 / 2 + part},
        .at_us = INT64_C(1790000000000000) + i * INT64_C(1000) - i % 5 * INT64_C(2500),
        .key = i % 11 == 0 ? (struct th_str){0} : th_arena_printf(&world->arena, "t/%d", i % 13),
        .value = {value, size},
        .headers = i % 3 == 0 ? TH_STR("\4null\0\1n\3xy") : (struct th_str){0},
    };

    for (size_t k = 0; k < size; k++)
        value[k] = (char)(k % 16 == 0 ? (k * 31 + (size_t)i) : (size_t)i);
    return record;
}

enum th_code archive_world_write(struct archive_world *world, struct archive_writer *writer,
                                 enum topic topic, int part, int from, int to, struct th_err *err)
{
    struct log_record records[7];
    size_t n = 0;

    TH_TRY(archive_writer_begin(writer, topic, part, 0, err));
    for (int i = from; i < to; i++) {
        records[n++] = archive_world_record(world, topic, part, i);
        if (n < TH_LEN(records) && i + 1 < to)
            continue;
        TH_TRY(archive_writer_add(writer, records, n, err));
        n = 0;
    }
    return archive_writer_end(writer, err);
}

void archive_world_expect(struct archive_world *world, struct th_log *log, struct log_place place,
                          int from, int to, size_t bytes_max)
{
    struct th_log_reader *reader;
    struct log_records records;
    struct th_err err = {0};
    struct th_arena arena;
    int i = from;

    th_arena_init(&arena, (size_t)16 * 1024 * 1024);
    assert_int_equal(th_log_reader_open(log, &place, 1, &reader, &err), TH_OK);
    do {
        th_arena_reset(&arena);
        th_arena_reset(&world->arena);
        assert_int_equal(th_log_reader_read(reader, bytes_max, &arena, &records, &err), TH_OK);
        for (size_t k = 0; k < records.n; k++) {
            const struct log_record *is = &records.at[k];
            struct log_record was = archive_world_record(world, place.topic, place.part, i++);
            assert_int_equal(is->place.topic, place.topic);
            assert_int_equal(is->place.part, place.part);
            assert_int_equal(is->place.offset, was.place.offset);
            assert_int_equal(is->at_us, was.at_us);
            assert_str_equal(is->key, was.key);
            assert_str_equal(is->value, was.value);
            assert_str_equal(is->headers, was.headers);
        }
    } while (records.n > 0);
    assert_int_equal(i, to);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
}
