#include "common/eventlog/archive/archive_io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_MAX ((uint64_t)1024 * 1024 * 1024)

enum th_code archive_path(const char *dir, const char *name, char out[ARCHIVE_PATH_MAX],
                          struct th_err *err)
{
    int n = snprintf(out, ARCHIVE_PATH_MAX, "%s/%s", dir, name);

    if (n < 0 || (size_t)n + sizeof ARCHIVE_NEW_SUFFIX > ARCHIVE_PATH_MAX)
        return th_fail(err, TH_INVALID, "the path %.200s… is too long", dir);
    return TH_OK;
}

enum th_code archive_io_failed(const char *path, struct th_err *err)
{
    enum th_code code = TH_IO;

    if (errno == ENOSPC || errno == EDQUOT)
        code = TH_FULL;
    else if (errno == ENOENT || errno == ENOTDIR)
        code = TH_NOT_FOUND;
    else if (errno == EACCES || errno == EPERM || errno == EROFS)
        code = TH_DENIED;
    else if (errno == ENOMEM)
        code = TH_NOMEM;
    return th_fail(err, code, "%s: %s", path, strerror(errno));
}

/* --- folders ------------------------------------------------------------------------------------
 */

static void folder_of(const char *path, char out[ARCHIVE_PATH_MAX])
{
    snprintf(out, ARCHIVE_PATH_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash)
        snprintf(out, ARCHIVE_PATH_MAX, ".");
    else if (slash == out)
        out[1] = '\0';
    else
        *slash = '\0';
}

/* What root makes belongs to the owner of the folder it lies in: the processes of an installation
 * run as that user and read the archive. Where that is not allowed (a share that maps root to
 * nobody), whoever made the folder knows who may read it. */
static void give_to_owner(const char *path)
{
    char dir[ARCHIVE_PATH_MAX];
    struct stat st;

    if (geteuid() != 0)
        return;
    folder_of(path, dir);
    if (stat(dir, &st) == 0)
        (void)!lchown(path, st.st_uid, st.st_gid);
}

enum th_code archive_sync_dir_of(const char *path, struct th_err *err)
{
    char dir[ARCHIVE_PATH_MAX];

    folder_of(path, dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return archive_io_failed(dir, err);
    bool is_synced = fsync(fd) == 0;
    enum th_code code = is_synced ? TH_OK : archive_io_failed(dir, err);
    (void)close(fd);
    return code;
}

static enum th_code make_one(const char *path, struct th_err *err)
{
    if (mkdir(path, 0750) == 0) {
        give_to_owner(path);
        return archive_sync_dir_of(path, err);
    }
    return errno == EEXIST ? TH_OK : archive_io_failed(path, err);
}

enum th_code archive_make_dir(const char *path, struct th_err *err)
{
    char above[ARCHIVE_PATH_MAX];
    struct stat st;

    if (stat(path, &st) == 0) {
        errno = ENOTDIR;
        return S_ISDIR(st.st_mode) ? TH_OK : archive_io_failed(path, err);
    }
    snprintf(above, sizeof above, "%s", path);
    for (char *at = above + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            TH_TRY(make_one(above, err));
            *at = '/';
        }
    return make_one(above, err);
}

enum th_code archive_lock(const char *dir, int *out_fd, struct th_err *err)
{
    char path[ARCHIVE_PATH_MAX];

    TH_TRY(archive_path(dir, "lock", path, err));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return archive_io_failed(path, err);
    give_to_owner(path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *out_fd = fd;
        return TH_OK;
    }
    enum th_code code = TH_CONFLICT;
    if (errno == EWOULDBLOCK)
        code = th_fail(err, code, "another process writes to %s: wait for its end", dir);
    else
        code = archive_io_failed(path, err);
    (void)close(fd);
    return code;
}

/* --- writing ------------------------------------------------------------------------------------
 */

enum th_code archive_write(int fd, const char *path, struct th_str bytes, struct th_err *err)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return archive_io_failed(path, err);
        bytes = (struct th_str){bytes.p + n, bytes.n - (size_t)n};
    }
    return TH_OK;
}

static void name_new(const char *path, char out[ARCHIVE_PATH_MAX])
{
    snprintf(out, ARCHIVE_PATH_MAX, "%.*s" ARCHIVE_NEW_SUFFIX,
             (int)(ARCHIVE_PATH_MAX - sizeof ARCHIVE_NEW_SUFFIX), path);
}

enum th_code archive_begin(const char *path, int *out_fd, struct th_err *err)
{
    char new[ARCHIVE_PATH_MAX];

    name_new(path, new);
    int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return archive_io_failed(new, err);
    give_to_owner(new);
    *out_fd = fd;
    return TH_OK;
}

void archive_abandon(int fd, const char *path)
{
    char new[ARCHIVE_PATH_MAX];

    name_new(path, new);
    (void)close(fd);
    (void)unlink(new);
}

enum th_code archive_finish(int fd, const char *path, struct th_err *err)
{
    char new[ARCHIVE_PATH_MAX];

    name_new(path, new);
    if (fsync(fd) != 0) {
        enum th_code code = archive_io_failed(new, err);
        archive_abandon(fd, path);
        return code;
    }
    if (close(fd) != 0 || rename(new, path) != 0) {
        enum th_code code = archive_io_failed(path, err);
        (void)unlink(new);
        return code;
    }
    return archive_sync_dir_of(path, err);
}

enum th_code archive_replace(const char *path, struct th_str bytes, struct th_err *err)
{
    int fd;

    TH_TRY(archive_begin(path, &fd, err));
    enum th_code code = archive_write(fd, path, bytes, err);
    if (code != TH_OK) {
        archive_abandon(fd, path);
        return code;
    }
    return archive_finish(fd, path, err);
}

/* --- reading ------------------------------------------------------------------------------------
 */

enum th_code archive_input_open(struct archive_input *input, const char *dir, const char *name,
                                struct th_err *err)
{
    struct stat st;

    input->fd = -1;
    TH_TRY(archive_path(dir, name, input->path, err));
    int fd = open(input->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return archive_io_failed(input->path, err);
    if (fstat(fd, &st) != 0) {
        enum th_code code = archive_io_failed(input->path, err);
        (void)close(fd);
        return code;
    }
    input->size = (uint64_t)st.st_size;
    input->fd = fd;
    return TH_OK;
}

void archive_input_close(struct archive_input *input)
{
    if (input->fd >= 0)
        (void)close(input->fd);
    input->fd = -1;
}

enum th_code archive_input_read(const struct archive_input *input, uint64_t position, size_t size,
                                struct th_buf *out, struct th_err *err)
{
    th_buf_clear(out);
    char *room = th_buf_reserve(out, size + 1);
    if (!room)
        return th_fail(err, TH_NOMEM, "%s: %zu bytes", input->path, size);
    while (out->n < size) {
        ssize_t n = pread(input->fd, room + out->n, size - out->n, (off_t)(position + out->n));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return archive_io_failed(input->path, err);
        if (n == 0)
            return th_fail(err, TH_CORRUPT, "%s: ends at byte %" PRIu64 ", too early", input->path,
                           position + out->n);
        out->n += (size_t)n;
    }
    return TH_OK;
}

enum th_code archive_damage(const char *path, uint64_t position, const struct archive_bad *bad,
                            struct th_err *err)
{
    char text[TH_ERR_TEXT_MAX];

    if (!err)
        return TH_CORRUPT;
    snprintf(text, sizeof text, "%s", err->text);
    if (bad->is_one)
        return th_fail(err, err->code,
                       "%s: byte %" PRIu64
                       " is damaged, if it is one byte only, else some of %" PRIu64 " to %" PRIu64
                       " (%s)",
                       path, position + bad->one, position + bad->from,
                       position + (bad->to > bad->from ? bad->to - 1 : bad->from), text);
    return th_fail(err, err->code, "%s: bytes %" PRIu64 " to %" PRIu64 " are damaged (%s)", path,
                   position + bad->from, position + (bad->to > bad->from ? bad->to - 1 : bad->from),
                   text);
}

enum th_code archive_load_manifest(const char *dir, struct archive_manifest *out,
                                   struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct archive_input input;
    struct archive_bad bad;
    enum th_code code;

    code = archive_input_open(&input, dir, ARCHIVE_MANIFEST, err);
    if (code == TH_NOT_FOUND)
        return th_fail(err, code, "there is no archive in %s: %s is missing", dir,
                       ARCHIVE_MANIFEST);
    TH_TRY(code);
    if (input.size > MANIFEST_MAX)
        code = th_fail(err, TH_CORRUPT, "%s: %" PRIu64 " bytes", input.path, input.size);
    else
        code = archive_input_read(&input, 0, (size_t)input.size, &text, err);
    archive_input_close(&input);
    TH_TRY(code);
    code = archive_manifest_parse(th_buf_str(&text), out, &bad, err);
    return code == TH_CORRUPT ? archive_damage(input.path, 0, &bad, err) : code;
}
