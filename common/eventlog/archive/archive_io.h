/* archive_io.h - an archive's files: written whole or not at all, and damage named.
 *
 * A file gets its name when its bytes are on the disk, and is there when its folder is. What root
 * makes belongs to the owner of the folder above. Errors of
 * all: TH_FULL (the disk), TH_NOT_FOUND, TH_DENIED, TH_IO, each with the path.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_IO_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_IO_H

#include "common/buf.h"
#include "common/eventlog/archive/archive_manifest.h"

#define ARCHIVE_PATH_MAX   4096
#define ARCHIVE_NEW_SUFFIX ".new" /* of a file that is not finished */

/* dir/name. Errors: TH_INVALID (too long) */
TH_MUST_USE
enum th_code archive_path(const char *dir, const char *name, char out[ARCHIVE_PATH_MAX],
                          struct th_err *err);

/* What errno says about path. */
enum th_code archive_io_failed(const char *path, struct th_err *err);

/* Make the folder, and those above it, if they are not there, durably. */
TH_MUST_USE
enum th_code archive_make_dir(const char *path, struct th_err *err);

/* Be the one process that writes there, until *out_fd is closed. Errors: TH_CONFLICT */
TH_MUST_USE
enum th_code archive_lock(const char *dir, int *out_fd, struct th_err *err);

/* Names in the folder that path lies in are durable. */
TH_MUST_USE
enum th_code archive_sync_dir_of(const char *path, struct th_err *err);

TH_MUST_USE
enum th_code archive_write(int fd, const char *path, struct th_str bytes, struct th_err *err);

/* The file path.new, open as fd and written, becomes path. fd is closed, whatever comes of it;
 * after an error path.new is gone and path is what it was. */
TH_MUST_USE
enum th_code archive_finish(int fd, const char *path, struct th_err *err);

/* Create path.new, empty. */
TH_MUST_USE
enum th_code archive_begin(const char *path, int *out_fd, struct th_err *err);

/* Give path.new up; fd is closed. */
void archive_abandon(int fd, const char *path);

/* All three: path holds these bytes. */
TH_MUST_USE
enum th_code archive_replace(const char *path, struct th_str bytes, struct th_err *err);

/* A file that is read. */
struct archive_input {
    int fd; /* -1: none */
    uint64_t size;
    char path[ARCHIVE_PATH_MAX];
};

TH_MUST_USE
enum th_code archive_input_open(struct archive_input *input, const char *dir, const char *name,
                                struct th_err *err);
void archive_input_close(struct archive_input *input);

/* size bytes from position on, into out, which is emptied first.
 * Errors: TH_CORRUPT (the file is shorter), TH_NOMEM */
TH_MUST_USE
enum th_code archive_input_read(const struct archive_input *input, uint64_t position, size_t size,
                                struct th_buf *out, struct th_err *err);

/* err says what is wrong with bytes that lie at that position of the file: say also where. Gives
 * err's code. */
enum th_code archive_damage(const char *path, uint64_t position, const struct archive_bad *bad,
                            struct th_err *err);

/* The manifest of the archive in dir. Errors: TH_NOT_FOUND, TH_CORRUPT, TH_UNSUPPORTED, TH_NOMEM */
TH_MUST_USE
enum th_code archive_load_manifest(const char *dir, struct archive_manifest *out,
                                   struct th_err *err);

#endif
