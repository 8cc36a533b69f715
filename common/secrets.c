#include "common/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

struct secret {
    char name[2 * SECRET_NAME_MAX + 16]; /* TENANT/NAME.VERSION */
    struct th_str value;                 /* owned */
};

struct secrets {
    int dir_fd;
    char *dir;             /* for errors */
    pthread_mutex_t mutex; /* guards what follows */
    struct secret *cached;
    size_t cached_n;
    size_t cached_cap;
    bool has_callback_key;
    char callback_key[SECRETS_CALLBACK_KEY];
};

bool secret_name_is_valid(struct th_str name)
{
    if (name.n == 0 || name.n > SECRET_NAME_MAX || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static enum th_code check_private(int fd, const char *dir, const char *name, struct th_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return th_fail(err, TH_IO, "%s/%s: %s", dir, name, strerror(errno));
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return th_fail(err, TH_DENIED, "%s/%s may be read by others: chmod go= it", dir, name);
    return TH_OK;
}

enum th_code secrets_open(const char *dir, struct secrets **out_secrets, struct th_err *err)
{
    TH_AUTO(secrets) struct secrets *secrets = calloc(1, sizeof *secrets);

    if (!secrets)
        return th_fail(err, TH_NOMEM, "secrets");
    secrets->dir_fd = -1;
    pthread_mutex_init(&secrets->mutex, NULL);
    secrets->dir = strdup(dir);
    if (!secrets->dir)
        return th_fail(err, TH_NOMEM, "secrets");
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return th_fail(err, TH_IO, "%s: %s", dir, strerror(errno));
    secrets->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (secrets->dir_fd < 0)
        return th_fail(err, TH_IO, "%s: %s", dir, strerror(errno));
    TH_TRY(check_private(secrets->dir_fd, dir, ".", err));
    *out_secrets = TH_TAKE(secrets);
    return TH_OK;
}

void secrets_close(struct secrets *secrets)
{
    if (!secrets)
        return;
    for (size_t i = 0; i < secrets->cached_n; i++) {
        struct th_str value = secrets->cached[i].value;

        explicit_bzero((char *)value.p, value.n);
        free((char *)value.p);
    }
    free(secrets->cached);
    explicit_bzero(secrets->callback_key, sizeof secrets->callback_key);
    if (secrets->dir_fd >= 0)
        close(secrets->dir_fd);
    free(secrets->dir);
    pthread_mutex_destroy(&secrets->mutex);
    free(secrets);
}

static enum th_code name_of(struct th_str tenant, struct th_str name, int32_t version,
                            char out_name[2 * SECRET_NAME_MAX + 16], struct th_err *err)
{
    if (!secret_name_is_valid(tenant) || !secret_name_is_valid(name) || version < 0)
        return th_fail(err, TH_INVALID, "a secret is called by lower-case letters, digits, . _ -");
    snprintf(out_name, 2 * SECRET_NAME_MAX + 16, "%.*s/%.*s.%d", TH_ARG(tenant), TH_ARG(name),
             version);
    return TH_OK;
}

static enum th_code write_all(int fd, struct th_str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return TH_IO;
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return fsync(fd) == 0 ? TH_OK : TH_IO;
}

/* Whole or not at all, and never over another: link(2) fails where the name is taken.
 * Errors: TH_CONFLICT, TH_IO */
static enum th_code create_file(const struct secrets *secrets, const char *name,
                                struct th_str value, struct th_err *err)
{
    char temporary[PATH_MAX];
    char slash[PATH_MAX];
    enum th_code code = TH_OK;
    int fd;

    snprintf(temporary, sizeof temporary, "%s.%d.%p.new", name, getpid(), (const void *)&code);
    fd = openat(secrets->dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return th_fail(err, TH_IO, "%s/%s: %s", secrets->dir, name, strerror(errno));
    if (write_all(fd, value) != TH_OK)
        code = th_fail(err, TH_IO, "%s/%s: %s", secrets->dir, name, strerror(errno));
    close(fd);
    if (code == TH_OK && linkat(secrets->dir_fd, temporary, secrets->dir_fd, name, 0) != 0)
        code = errno == EEXIST
                   ? th_fail(err, TH_CONFLICT, "%s/%s exists", secrets->dir, name)
                   : th_fail(err, TH_IO, "%s/%s: %s", secrets->dir, name, strerror(errno));
    unlinkat(secrets->dir_fd, temporary, 0);
    if (code != TH_OK)
        return code;

    /* The name must be durable, too: it lies in the folder. */
    snprintf(slash, sizeof slash, "%s", name);
    if (strrchr(slash, '/'))
        *strrchr(slash, '/') = '\0';
    else
        snprintf(slash, sizeof slash, ".");
    fd = openat(secrets->dir_fd, slash, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        code = th_fail(err, TH_IO, "%s/%s: %s", secrets->dir, slash, strerror(errno));
    if (fd >= 0)
        close(fd);
    return code;
}

/* Up to size bytes of a private file. Errors: TH_NOT_FOUND, TH_DENIED, TH_IO */
static enum th_code read_file(const struct secrets *secrets, const char *name, char *bytes,
                              size_t size, size_t *out_n, struct th_err *err)
{
    int fd = openat(secrets->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum th_code code;
    size_t n = 0;

    if (fd < 0)
        return th_fail(err, errno == ENOENT ? TH_NOT_FOUND : TH_IO, "%s/%s: %s", secrets->dir, name,
                       strerror(errno));
    code = check_private(fd, secrets->dir, name, err);
    while (code == TH_OK && n < size) {
        ssize_t got = read(fd, bytes + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            code = th_fail(err, TH_IO, "%s/%s: %s", secrets->dir, name, strerror(errno));
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    *out_n = n;
    return code;
}

enum th_code secrets_put(struct secrets *secrets, struct th_str tenant, struct th_str name,
                         int32_t version, struct th_str value, struct th_err *err)
{
    char path[2 * SECRET_NAME_MAX + 16];
    char folder[SECRET_NAME_MAX + 1];
    struct th_arena arena;
    struct th_str present = {NULL, 0};
    enum th_code code;

    value = th_str_trim(value);
    if (value.n == 0 || value.n > SECRET_SIZE_MAX || memchr(value.p, '\n', value.n) ||
        memchr(value.p, '\0', value.n))
        return th_fail(err, TH_INVALID, "a secret is one line of 1 to %d bytes", SECRET_SIZE_MAX);
    TH_TRY(name_of(tenant, name, version, path, err));
    snprintf(folder, sizeof folder, "%.*s", TH_ARG(tenant));
    if (mkdirat(secrets->dir_fd, folder, 0700) != 0 && errno != EEXIST)
        return th_fail(err, TH_IO, "%s/%s: %s", secrets->dir, folder, strerror(errno));
    if (fsync(secrets->dir_fd) != 0)
        return th_fail(err, TH_IO, "%s: %s", secrets->dir, strerror(errno));
    code = create_file(secrets, path, value, err);
    if (code != TH_CONFLICT)
        return code;

    th_arena_init(&arena, (size_t)4 * SECRET_SIZE_MAX);
    code = secrets_get(secrets, tenant, name, version, &arena, &present, err);
    if (code == TH_OK && !th_str_eq_secret(present, value))
        code = th_fail(err, TH_CONFLICT, "%s/%s holds another value", secrets->dir, path);
    th_arena_fini(&arena);
    return code;
}

static struct th_str find_cached(const struct secrets *secrets, const char *name)
{
    for (size_t i = 0; i < secrets->cached_n; i++)
        if (strcmp(secrets->cached[i].name, name) == 0)
            return secrets->cached[i].value;
    return (struct th_str){NULL, 0};
}

/* Best effort: what is not kept is read again. */
static void keep(struct secrets *secrets, const char *name, struct th_str value)
{
    char *copy;

    if (secrets->cached_n == SECRETS_CACHED_MAX)
        return;
    if (secrets->cached_n == secrets->cached_cap) {
        size_t cap = secrets->cached_cap ? 2 * secrets->cached_cap : 16;
        struct secret *larger = reallocarray(secrets->cached, cap, sizeof *larger);

        if (!larger)
            return;
        secrets->cached = larger;
        secrets->cached_cap = cap;
    }
    copy = malloc(value.n);
    if (!copy)
        return;
    memcpy(copy, value.p, value.n);
    snprintf(secrets->cached[secrets->cached_n].name, sizeof secrets->cached[0].name, "%s", name);
    secrets->cached[secrets->cached_n++].value = (struct th_str){copy, value.n};
}

static enum th_code get_locked(struct secrets *secrets, const char *path, struct th_arena *arena,
                               struct th_str *out_value, struct th_err *err)
{
    char bytes[SECRET_SIZE_MAX + 64];
    struct th_str value = find_cached(secrets, path);
    enum th_code code;
    size_t n = 0;

    if (!value.p) {
        TH_TRY(read_file(secrets, path, bytes, sizeof bytes, &n, err));
        value = th_str_trim((struct th_str){bytes, n});
        if (value.n == 0 || value.n > SECRET_SIZE_MAX)
            return th_fail(err, TH_INVALID, "%s/%s: a secret is one line of 1 to %d bytes",
                           secrets->dir, path, SECRET_SIZE_MAX);
        keep(secrets, path, value);
    }
    code = th_arena_copy(arena, value, out_value);
    explicit_bzero(bytes, n);
    return code == TH_OK ? TH_OK : th_fail(err, code, "secrets");
}

enum th_code secrets_get(struct secrets *secrets, struct th_str tenant, struct th_str name,
                         int32_t version, struct th_arena *arena, struct th_str *out_value,
                         struct th_err *err)
{
    char path[2 * SECRET_NAME_MAX + 16];
    enum th_code code;

    TH_TRY(name_of(tenant, name, version, path, err));
    pthread_mutex_lock(&secrets->mutex);
    code = get_locked(secrets, path, arena, out_value, err);
    pthread_mutex_unlock(&secrets->mutex);
    return code;
}

static enum th_code draw_callback_key(struct secrets *secrets, struct th_err *err)
{
    char key[SECRETS_CALLBACK_KEY];
    enum th_code code;

    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return th_fail(err, TH_UNAVAILABLE, "no randomness: %s", strerror(errno));
    code = create_file(secrets, "callback.key", (struct th_str){key, sizeof key}, err);
    explicit_bzero(key, sizeof key);
    return code == TH_CONFLICT ? TH_OK : code; /* another process was first: its key holds */
}

static enum th_code read_callback_key(struct secrets *secrets, struct th_err *err)
{
    char key[SECRETS_CALLBACK_KEY + 1];
    size_t n = 0;
    enum th_code code = read_file(secrets, "callback.key", key, sizeof key, &n, err);

    if (code == TH_NOT_FOUND) {
        TH_TRY(draw_callback_key(secrets, err));
        code = read_file(secrets, "callback.key", key, sizeof key, &n, err);
    }
    TH_TRY(code);
    if (n != SECRETS_CALLBACK_KEY)
        return th_fail(err, TH_CORRUPT, "%s/callback.key is not of %d bytes", secrets->dir,
                       SECRETS_CALLBACK_KEY);
    memcpy(secrets->callback_key, key, SECRETS_CALLBACK_KEY);
    explicit_bzero(key, sizeof key);
    secrets->has_callback_key = true;
    return TH_OK;
}

enum th_code secrets_callback_key(struct secrets *secrets, struct th_str *out_key,
                                  struct th_err *err)
{
    enum th_code code = TH_OK;

    pthread_mutex_lock(&secrets->mutex);
    if (!secrets->has_callback_key)
        code = read_callback_key(secrets, err);
    pthread_mutex_unlock(&secrets->mutex);
    if (code == TH_OK)
        *out_key = (struct th_str){secrets->callback_key, SECRETS_CALLBACK_KEY};
    return code;
}
