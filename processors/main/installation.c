#include "processors/main/installation.h"

#include "common/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4200
#define KEY_BYTES 24

enum th_code installation_lock(const char *dir, int *out_fd, struct th_err *err)
{
    char path[PATH_SIZE];
    int fd;

    snprintf(path, sizeof path, "%s/telehub.pid", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char pid[16] = "";
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

        close(fd);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        return th_fail(err, TH_CONFLICT,
                       "process %s runs in %s already: end it first, ./deploy/down does", pid, dir);
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", getpid()) < 0) {
        close(fd);
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    }
    *out_fd = fd;
    return TH_OK;
}

static enum th_code write_file(const char *path, const char *line, mode_t mode, struct th_err *err)
{
    char temporary[PATH_SIZE + 8];
    int fd;
    bool is_written;

    snprintf(temporary, sizeof temporary, "%s.new", path);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return th_fail(err, TH_IO, "%s: %s", temporary, strerror(errno));
    is_written = dprintf(fd, "%s\n", line) > 0 && fsync(fd) == 0;
    close(fd);
    if (!is_written || rename(temporary, path) != 0)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    return TH_OK;
}

enum th_code installation_write(const char *dir, const char *name, const char *line,
                                struct th_err *err)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return write_file(path, line, 0644, err);
}

static enum th_code draw_key(const char *path, struct th_err *err)
{
    unsigned char bytes[KEY_BYTES];
    char text[2 * KEY_BYTES + 1];
    char key[OPERATOR_KEY_SIZE];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return th_fail(err, TH_UNAVAILABLE, "no randomness: %s", strerror(errno));
    th_hex((struct th_str){(const char *)bytes, sizeof bytes}, text);
    snprintf(key, sizeof key, "th_op_%s", text);
    return write_file(path, key, 0600, err);
}

enum th_code installation_operator_key(const char *dir, char out_key[OPERATOR_KEY_SIZE],
                                       struct th_err *err)
{
    char path[PATH_SIZE];
    struct stat st;
    FILE *file;

    snprintf(path, sizeof path, "%s/keys", dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    snprintf(path, sizeof path, "%s/keys/operator", dir);
    if (access(path, F_OK) != 0)
        TH_TRY(draw_key(path, err));
    file = fopen(path, "re");
    if (!file)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    if (fstat(fileno(file), &st) != 0 || (st.st_mode & (S_IRWXG | S_IRWXO))) {
        (void)fclose(file);
        return th_fail(err, TH_DENIED, "%s may be read by others: chmod 600 it", path);
    }
    if (!fgets(out_key, OPERATOR_KEY_SIZE, file))
        out_key[0] = '\0';
    (void)fclose(file);
    out_key[strcspn(out_key, "\r\n")] = '\0';
    return strlen(out_key) >= 16 ? TH_OK : th_fail(err, TH_INVALID, "%s holds no key", path);
}
