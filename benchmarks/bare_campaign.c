/* bare_campaign - the same work as a campaign with nothing durable: a curl multi loop posts
 * messages to the same provider, and a libmicrohttpd server counts the callbacks. What a campaign
 * is compared with.
 *
 *   bare_campaign PROVIDER_PORT ACCOUNT SECRET_FILE MESSAGES [IN_FLIGHT, default 256]
 *
 * Ends when every message was accepted and had its final callback, and prints one JSON object:
 * seconds, messages a second, this process's CPU µs per message. Exit status 1 when a message was
 * refused or a minute passed without news.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define IN_FLIGHT_MAX 1024
#define BODY_MAX      2048

struct transfer {
    CURL *curl;
    char body[512];
};

static struct {
    char url[256];
    char credentials[512];
    unsigned callback_port;
    uint64_t messages;
    size_t in_flight;
    uint64_t begun;
    uint64_t accepted;
    atomic_uint_fast64_t final; /* callbacks that said how a message ended */
    struct transfer transfers[IN_FLIGHT_MAX];
} all = {.in_flight = 256};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "bare_campaign: %s\n", what);
    exit(1);
}

/* --- callbacks -------------------------------------------------------------------------------- */

struct callback {
    size_t n;
    char body[BODY_MAX + 1];
};

static bool is_final(const char *body)
{
    return strstr(body, "MessageStatus=delivered") || strstr(body, "MessageStatus=undelivered") ||
           strstr(body, "MessageStatus=failed");
}

static enum MHD_Result on_callback(void *unused, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *data_n, void **context)
{
    struct callback *callback = *context;

    (void)unused;
    (void)url;
    (void)method;
    (void)version;
    if (!callback) {
        *context = calloc(1, sizeof *callback);
        return *context ? MHD_YES : MHD_NO;
    }
    if (*data_n > 0) {
        size_t n = *data_n < BODY_MAX - callback->n ? *data_n : BODY_MAX - callback->n;
        memcpy(callback->body + callback->n, data, n);
        callback->n += n;
        *data_n = 0;
        return MHD_YES;
    }
    callback->body[callback->n] = '\0';
    if (is_final(callback->body))
        (void)atomic_fetch_add(&all.final, 1);
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_NO_CONTENT, response);
    MHD_destroy_response(response);
    return result;
}

static void on_end(void *unused, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode code)
{
    (void)unused;
    (void)connection;
    (void)code;
    free(*context);
    *context = NULL;
}

static struct MHD_Daemon *serve_callbacks(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_callback, NULL, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);

    if (!daemon)
        die("no server for callbacks");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    all.callback_port = info ? info->port : 0;
    return daemon;
}

/* --- messages --------------------------------------------------------------------------------- */

static size_t ignore(char *data, size_t size, size_t n, void *unused)
{
    (void)data;
    (void)unused;
    return size * n;
}

static void prepare(struct transfer *transfer)
{
    transfer->curl = curl_easy_init();
    if (!transfer->curl)
        die("memory");
    (void)curl_easy_setopt(transfer->curl, CURLOPT_URL, all.url);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_USERPWD, all.credentials);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, ignore);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_PRIVATE, transfer);
}

static void begin(CURLM *multi, struct transfer *transfer)
{
    uint64_t n = all.begun++;

    (void)snprintf(transfer->body, sizeof transfer->body,
                   "To=%%2B91800%07" PRIu64 "&From=%%2B911140000000&Body=Your+class+%" PRIu64
                   "+begins+at+nine.&StatusCallback=http%%3A%%2F%%2F127.0.0.1%%3A%u%%2Fc%%2F"
                   "%" PRIu64,
                   n, n, all.callback_port, n);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDS, transfer->body);
    if (curl_multi_add_handle(multi, transfer->curl) != CURLM_OK)
        die("curl_multi_add_handle");
}

static void end(CURLM *multi, const CURLMsg *message)
{
    struct transfer *transfer = NULL;
    CURL *curl = message->easy_handle;
    CURLcode code = message->data.result;
    long status = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_PRIVATE, &transfer);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_multi_remove_handle(multi, curl);
    if (code != CURLE_OK || status / 100 != 2) {
        (void)fprintf(stderr, "bare_campaign: HTTP %ld: %s\n", status, curl_easy_strerror(code));
        exit(1);
    }
    all.accepted++;
    if (all.begun < all.messages)
        begin(multi, transfer);
}

static void send_all(void)
{
    CURLM *multi = curl_multi_init();
    int running = 0;
    int left = 0;
    CURLMsg *message;

    if (!multi)
        die("memory");
    (void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)all.in_flight);
    for (size_t i = 0; i < all.in_flight; i++) {
        prepare(&all.transfers[i]);
        if (all.begun < all.messages)
            begin(multi, &all.transfers[i]);
    }
    while (all.accepted < all.messages) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            die("curl_multi_perform");
        while ((message = curl_multi_info_read(multi, &left)))
            if (message->msg == CURLMSG_DONE)
                end(multi, message);
        if (curl_multi_poll(multi, NULL, 0, 100, NULL) != CURLM_OK)
            die("curl_multi_poll");
    }
    for (size_t i = 0; i < all.in_flight; i++)
        curl_easy_cleanup(all.transfers[i].curl);
    (void)curl_multi_cleanup(multi);
}

static void await_callbacks(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t before = 0;
    double news_at = now();

    while (atomic_load(&all.final) < all.messages) {
        uint64_t n = atomic_load(&all.final);
        if (n != before)
            news_at = now();
        before = n;
        if (now() - news_at > 60)
            die("callbacks are missing");
        (void)nanosleep(&pause, NULL);
    }
}

static double cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void read_secret(const char *account, const char *path)
{
    char secret[256] = "";
    FILE *file = fopen(path, "re");

    if (!file || !fgets(secret, sizeof secret, file))
        die("the secret cannot be read");
    (void)fclose(file);
    secret[strcspn(secret, "\r\n")] = '\0';
    (void)snprintf(all.credentials, sizeof all.credentials, "%s:%s", account, secret);
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 6) {
        (void)fprintf(stderr,
                      "usage: bare_campaign PORT ACCOUNT SECRET_FILE MESSAGES [IN_FLIGHT]\n");
        return 2;
    }
    all.messages = strtoull(argv[4], NULL, 10);
    if (argc == 6)
        all.in_flight = strtoull(argv[5], NULL, 10);
    if (all.messages == 0 || all.in_flight == 0 || all.in_flight > IN_FLIGHT_MAX)
        die("at least one message, and 1 to 1024 in flight");
    (void)snprintf(all.url, sizeof all.url,
                   "http://127.0.0.1:%s/2010-04-01/Accounts/%s/Messages.json", argv[1], argv[2]);
    read_secret(argv[2], argv[3]);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    struct MHD_Daemon *daemon = serve_callbacks();
    double start = now();
    send_all();
    await_callbacks();
    double seconds = now() - start;
    printf("{\"messages\":%" PRIu64 ",\"in_flight\":%zu,\"seconds\":%.3f,\"per_s\":%.0f,"
           "\"cpu_us\":%.1f}\n",
           all.messages, all.in_flight, seconds, (double)all.messages / seconds,
           cpu_us() / (double)all.messages);
    MHD_stop_daemon(daemon);
    curl_global_cleanup();
    return 0;
}
