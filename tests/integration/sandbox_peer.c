#include "tests/integration/sandbox_peer.h"

#include "common/arena.h"
#include "connectors/sandbox/fields.h"
#include "connectors/sandbox/signature.h"

#include <curl/curl.h>
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS_MAX   40
#define CALLBACKS_MAX 20000
#define START_MS      10000

/* The peer's own failures end the test at once. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,              \
                          strerror(errno));                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void sleep_ms(int ms)
{
    struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};

    (void)nanosleep(&time, NULL);
}

static void path_in(const struct sandbox *sandbox, const char *name, char out_path[128])
{
    (void)snprintf(out_path, 128, "%s/%s", sandbox->folder, name);
}

void sandbox_prepare(struct sandbox *sandbox)
{
    char path[128];

    *sandbox = (struct sandbox){.folder = "/tmp/telehub-sandbox-test.XXXXXX"};
    MUST(mkdtemp(sandbox->folder));
    path_in(sandbox, "secret", path);
    FILE *file = fopen(path, "w");
    MUST(file && fputs(PEER_SECRET "\n", file) > 0 && fclose(file) == 0);
}

static pid_t spawn(const struct sandbox *sandbox, const char *const *options)
{
    char listen[32];
    char secret[128];
    char ledger[128];
    char port[128];
    const char *argv[OPTIONS_MAX] = {TELEHUB_SANDBOX, "--listen",      listen, "--account",
                                     PEER_ACCOUNT,    "--secret-file", secret, "--ledger",
                                     ledger,          "--port-file",   port};
    size_t n = 11;

    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", sandbox->port);
    path_in(sandbox, "secret", secret);
    path_in(sandbox, "ledger", ledger);
    path_in(sandbox, "port", port);
    for (size_t i = 0; options && options[i]; i++) {
        MUST(n + 1 < OPTIONS_MAX);
        argv[n++] = options[i];
    }
    (void)unlink(port);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        MUST(freopen("/dev/null", "w", stdout));
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return pid;
}

void sandbox_start(struct sandbox *sandbox, const char *const *options)
{
    char path[128];

    sandbox->pid = spawn(sandbox, options);
    path_in(sandbox, "port", path);
    for (int waited = 0;; waited += 10) {
        FILE *file = fopen(path, "r");
        if (file) {
            char line[16];
            MUST(fgets(line, sizeof line, file) && fclose(file) == 0);
            unsigned port = (unsigned)strtoul(line, NULL, 10);
            if (port != sandbox->port) /* clients of the one before may be reading it */
                sandbox->port = port;
            return;
        }
        MUST(waitpid(sandbox->pid, NULL, WNOHANG) == 0);
        MUST(waited < START_MS);
        sleep_ms(10);
    }
}

static int exit_status_of(pid_t pid)
{
    int status;

    MUST(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int sandbox_run(struct sandbox *sandbox, const char *const *options)
{
    return exit_status_of(spawn(sandbox, options));
}

int sandbox_stop(struct sandbox *sandbox, int signal)
{
    MUST(kill(sandbox->pid, signal) == 0);
    int status = exit_status_of(sandbox->pid);
    sandbox->pid = 0;
    return status;
}

void sandbox_remove(struct sandbox *sandbox)
{
    static const char *const names[] = {"secret", "ledger", "port"};
    char path[128];

    if (sandbox->pid)
        (void)sandbox_stop(sandbox, SIGTERM);
    for (size_t i = 0; i < TH_LEN(names); i++) {
        path_in(sandbox, names[i], path);
        (void)unlink(path);
    }
    (void)rmdir(sandbox->folder);
}

static size_t on_body(char *bytes, size_t size, size_t n, void *cls)
{
    struct th_buf *body = cls;

    th_buf_add(body, (struct th_str){bytes, size * n});
    return size * n;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *cls)
{
    struct answer *answer = cls;
    static const char name[] = "Retry-After:";

    if (size * n > sizeof name && strncasecmp(bytes, name, sizeof name - 1) == 0)
        answer->retry_after = strtol(bytes + sizeof name - 1, NULL, 10);
    return size * n;
}

void sandbox_ask(const struct sandbox *sandbox, const char *path, const char *form,
                 struct answer *out_answer)
{
    bool is_account = path[0] == '@';
    char url[512];
    CURL *easy = curl_easy_init();

    MUST(easy);
    *out_answer = (struct answer){.retry_after = -1};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s%s", sandbox->port,
                   is_account ? "/2010-04-01/Accounts/" PEER_ACCOUNT : "", path + is_account);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, 20L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &out_answer->body);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, out_answer);
    if (is_account)
        (void)curl_easy_setopt(easy, CURLOPT_USERPWD, PEER_ACCOUNT ":" PEER_SECRET);
    if (form)
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, form);
    if (curl_easy_perform(easy) == CURLE_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &out_answer->status);
    curl_easy_cleanup(easy);
    th_buf_add_char(&out_answer->body, '\0');
    MUST(th_buf_status(&out_answer->body) == TH_OK);
}

void answer_fini(struct answer *answer)
{
    th_buf_fini(&answer->body);
}

struct receiver {
    struct MHD_Daemon *daemon;
    unsigned port;
    pthread_mutex_t mutex; /* guards all below */
    unsigned status;
    size_t n;
    size_t refused;
    struct callback *at;
};

/* The URL as it was signed: MHD gives the path and the query apart. */
struct target {
    struct th_buf text;
    bool has_query;
};

static enum MHD_Result on_query(void *cls, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    struct target *target = cls;

    (void)kind;
    th_buf_printf(&target->text, "%c%s=%s", target->has_query ? '&' : '?', name,
                  value ? value : "");
    target->has_query = true;
    return MHD_YES;
}

static void copy_field(const struct fields *fields, const char *name, char *to, size_t size)
{
    struct th_str value = fields_get(fields, name);

    (void)snprintf(to, size, "%.*s", TH_ARG(value));
}

static void read_callback(struct MHD_Connection *connection, struct th_str target,
                          struct th_str body, struct callback *out)
{
    const char *signature =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Twilio-Signature");
    struct th_arena arena;
    struct fields fields = {.n = 0};
    struct th_buf url = {0};
    struct th_buf expected = {0};
    char sequence[16];

    th_arena_init(&arena, (size_t)1 << 20);
    MUST(fields_parse(body, &arena, &fields, NULL) == TH_OK);
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    th_buf_printf(&url, "http://%s%.*s", host ? host : "", TH_ARG(target));
    MUST(signature_add(TH_STR(PEER_SECRET), th_buf_str(&url), &fields, &expected) == TH_OK);
    *out = (struct callback){.is_signed = th_str_eq(th_str(signature), th_buf_str(&expected))};
    (void)snprintf(out->target, sizeof out->target, "%.*s", TH_ARG(target));
    bool is_call = fields_get(&fields, "CallSid").p != NULL;
    copy_field(&fields, is_call ? "CallSid" : "MessageSid", out->sid, sizeof out->sid);
    copy_field(&fields, is_call ? "CallStatus" : "MessageStatus", out->status, sizeof out->status);
    copy_field(&fields, "SequenceNumber", sequence, sizeof sequence);
    out->sequence = *sequence ? (int)strtol(sequence, NULL, 10) : -1;
    th_buf_fini(&url);
    th_buf_fini(&expected);
    th_arena_fini(&arena);
}

static unsigned keep(struct receiver *receiver, const struct callback *callback)
{
    (void)pthread_mutex_lock(&receiver->mutex);
    unsigned status = receiver->status;
    if (status >= 300)
        receiver->refused++;
    else if (receiver->n < CALLBACKS_MAX)
        receiver->at[receiver->n++] = *callback;
    (void)pthread_mutex_unlock(&receiver->mutex);
    return status;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request_cls)
{
    struct receiver *receiver = cls;
    struct th_buf *body = *request_cls;

    (void)method;
    (void)version;
    if (!body) {
        body = calloc(1, sizeof *body);
        MUST(body);
        *request_cls = body;
        return MHD_YES;
    }
    if (*size) {
        th_buf_add(body, (struct th_str){data, *size});
        *size = 0;
        return MHD_YES;
    }
    struct target target = {.has_query = false};
    struct callback callback;
    th_buf_add(&target.text, th_str(url));
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, on_query, &target);
    read_callback(connection, th_buf_str(&target.text), th_buf_str(body), &callback);
    th_buf_fini(&target.text);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (char[]){""}, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, keep(receiver, &callback), response);
    MHD_destroy_response(response);
    return result;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **request_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct th_buf *body = *request_cls;

    (void)cls;
    (void)connection;
    (void)why;
    if (body)
        th_buf_fini(body);
    free(body);
    *request_cls = NULL;
}

struct receiver *receiver_open(unsigned port)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);

    MUST(receiver);
    receiver->at = calloc(CALLBACKS_MAX, sizeof *receiver->at);
    MUST(receiver->at);
    receiver->status = 204;
    (void)pthread_mutex_init(&receiver->mutex, NULL);
    receiver->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, (uint16_t)port, NULL, NULL,
                         on_access, receiver, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                         MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
    MUST(receiver->daemon);
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(receiver->daemon, MHD_DAEMON_INFO_BIND_PORT);
    MUST(info && info->port);
    receiver->port = info->port;
    return receiver;
}

void receiver_close(struct receiver *receiver)
{
    if (!receiver)
        return;
    MHD_stop_daemon(receiver->daemon);
    (void)pthread_mutex_destroy(&receiver->mutex);
    free(receiver->at);
    free(receiver);
}

unsigned receiver_port(const struct receiver *receiver)
{
    return receiver->port;
}

void receiver_answer(struct receiver *receiver, unsigned status)
{
    (void)pthread_mutex_lock(&receiver->mutex);
    receiver->status = status;
    (void)pthread_mutex_unlock(&receiver->mutex);
}

static size_t accepted(struct receiver *receiver)
{
    (void)pthread_mutex_lock(&receiver->mutex);
    size_t n = receiver->n;
    (void)pthread_mutex_unlock(&receiver->mutex);
    return n;
}

size_t receiver_wait(struct receiver *receiver, size_t n, int timeout_ms)
{
    for (; timeout_ms > 0 && accepted(receiver) < n; timeout_ms -= 5)
        sleep_ms(5);
    return accepted(receiver);
}

struct callback receiver_at(struct receiver *receiver, size_t i)
{
    (void)pthread_mutex_lock(&receiver->mutex);
    MUST(i < receiver->n);
    struct callback callback = receiver->at[i];
    (void)pthread_mutex_unlock(&receiver->mutex);
    return callback;
}

size_t receiver_refused(struct receiver *receiver)
{
    (void)pthread_mutex_lock(&receiver->mutex);
    size_t n = receiver->refused;
    (void)pthread_mutex_unlock(&receiver->mutex);
    return n;
}
