/* archive_world.h - an archive in a folder of its own, and records to put into it. */
#ifndef TELEHUB_TESTS_UNIT_ARCHIVE_WORLD_H
#define TELEHUB_TESTS_UNIT_ARCHIVE_WORLD_H

#include "common/eventlog/archive/archive_writer.h"

#define ARCHIVE_WORLD_LOG "01234567-89ab-4cde-8f01-23456789abcd"

struct archive_world {
    char dir[64]; /* of its own; the archive is DIR/a */
    char archive[80];
    struct th_arena arena; /* of records */
    struct archive_origin origin;
    int partitions[TOPIC_COUNT];
};

/* Nothing is there yet. */
void archive_world_init(struct archive_world *world);

/* The folder and all in it are gone. */
void archive_world_fini(struct archive_world *world);

/* The i-th record of a partition, always the same: offsets leave numbers out, time goes back now
 * and then, keys and values may be empty. Bytes lie in the arena. */
struct log_record archive_world_record(struct archive_world *world, enum topic topic, int part,
                                       int i);

/* Write records from .. to - 1 of a partition, in calls of a few, and end it. */
TH_MUST_USE
enum th_code archive_world_write(struct archive_world *world, struct archive_writer *writer,
                                 enum topic topic, int part, int from, int to, struct th_err *err);

/* Everything of a partition, from an offset on, is records from .. to - 1. */
void archive_world_expect(struct archive_world *world, struct th_log *log, struct log_place place,
                          int from, int to, size_t bytes_max);

#endif
