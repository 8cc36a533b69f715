/* idle_latency - how long an idle installation takes from the POST of one send to the provider.
 *
 *   idle_latency PORT KEY_FILE SANDBOX_PORT SENDS PAUSE_MS
 *
 * Posts one send after another over one connection, with a pause before each, and asks the
 * sandbox's ledger when each arrived there; both clocks are this machine's. Prints one JSON object:
 * p50_ms and p99_ms to the provider, answer_p50_ms to our own answer. Exit status 1 when a send was
 * refused or did not arrive within ten seconds.
 */
#include "common/buf.h"
#include "common/clock.h"
#include "common/json_scan.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SENDS_MAX 1000

static struct {
    CURL *curl;
    char bearer[300];
    char api[64];
    char sandbox[64];
    struct th_buf answer;
    int64_t began_us; /* of all */
    int64_t posted_us[SENDS_MAX];
    double answered_ms[SENDS_MAX];
    double arrived_ms[SENDS_MAX]; /* 0: not yet */
    size_t n;
} all;

static void die(const char *what)
{
    (void)fprintf(stderr, "idle_latency: %s\n", what);
    exit(1);
}

static size_t take(char *bytes, size_t size, size_t n, void *unused)
{
    (void)unused;
    th_buf_add(&all.answer, (struct th_str){bytes, size * n});
    return size * n;
}

static long ask(const char *url, const char *body, struct curl_slist *headers)
{
    long status = 0;

    th_buf_clear(&all.answer);
    (void)curl_easy_setopt(all.curl, CURLOPT_URL, url);
    if (body)
        (void)curl_easy_setopt(all.curl, CURLOPT_POSTFIELDS, body);
    else
        (void)curl_easy_setopt(all.curl, CURLOPT_HTTPGET, 1L);
    (void)curl_easy_setopt(all.curl, CURLOPT_HTTPHEADER, headers);
    if (curl_easy_perform(all.curl) != CURLE_OK)
        die("no answer");
    (void)curl_easy_getinfo(all.curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* The recipient's number tells which send it is. */
static void post(size_t i)
{
    char body[160];
    char key[64];
    struct curl_slist *headers = curl_slist_append(NULL, all.bearer);

    (void)snprintf(key, sizeof key, "Idempotency-Key: idle-%" PRId64 "-%zu", all.began_us, i);
    headers = curl_slist_append(headers, key);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    (void)snprintf(body, sizeof body,
                   "{\"channel\":\"sms\",\"to\":\"+9191000%05zu\",\"text\":\"Your class begins.\"}",
                   i);
    all.posted_us[i] = th_clock_realtime_us(&th_clock_real);
    if (ask(all.api, body, headers) / 100 != 2)
        die("a send was refused");
    all.answered_ms[i] = (double)(th_clock_realtime_us(&th_clock_real) - all.posted_us[i]) / 1e3;
    curl_slist_free_all(headers);
}

static bool note_line(struct th_str line)
{
    struct th_json_member members[] = {{.name = "to"}, {.name = "at_us"}};
    const struct th_str front = TH_STR("\"+9191000");
    int64_t i;
    int64_t at_us;

    if (th_json_scan(line, members, TH_LEN(members)) != TH_OK ||
        !th_str_starts(members[0].raw, front) ||
        !th_str_int((struct th_str){members[0].raw.p + front.n, 5}, 0, (int64_t)all.n - 1, &i) ||
        !th_json_scan_int(members[1].raw, 0, INT64_MAX, &at_us))
        return false;
    all.arrived_ms[i] = (double)(at_us - all.posted_us[i]) / 1e3;
    return true;
}

static size_t count_arrived(void)
{
    char url[128];
    struct th_str text;
    struct th_str line;
    size_t n = 0;

    (void)snprintf(url, sizeof url, "%s/ledger?since_us=%" PRId64, all.sandbox, all.began_us);
    if (ask(url, NULL, NULL) != 200)
        die("the sandbox does not tell");
    text = th_buf_str(&all.answer);
    while (text.n > 0) {
        (void)th_str_cut(text, '\n', &line, &text);
        n += note_line(line);
    }
    return n;
}

static void nap(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}

static int by_size(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

static double percentile(double *values, size_t percent)
{
    qsort(values, all.n, sizeof *values, by_size);
    return values[(all.n - 1) * percent / 100];
}

static void prepare(const char *port, const char *key_file, const char *sandbox_port)
{
    char key[256] = "";
    FILE *file = fopen(key_file, "re");

    if (!file || !fgets(key, sizeof key, file))
        die("the key cannot be read");
    (void)fclose(file);
    key[strcspn(key, "\r\n")] = '\0';
    (void)snprintf(all.bearer, sizeof all.bearer, "Authorization: Bearer %s", key);
    (void)snprintf(all.api, sizeof all.api, "http://127.0.0.1:%s/api/v1/sends", port);
    (void)snprintf(all.sandbox, sizeof all.sandbox, "http://127.0.0.1:%s", sandbox_port);
    all.curl = curl_easy_init();
    if (!all.curl)
        die("memory");
    (void)curl_easy_setopt(all.curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(all.curl, CURLOPT_NOPROXY, "*");
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr, "usage: idle_latency PORT KEY_FILE SANDBOX_PORT SENDS PAUSE_MS\n");
        return 2;
    }
    all.n = strtoul(argv[4], NULL, 10);
    long pause_ms = strtol(argv[5], NULL, 10);
    if (all.n == 0 || all.n > SENDS_MAX || pause_ms < 0)
        die("1 to 1000 sends");
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    prepare(argv[1], argv[2], argv[3]);
    all.began_us = th_clock_realtime_us(&th_clock_real);
    for (size_t i = 0; i < all.n; i++) {
        nap(pause_ms);
        post(i);
    }
    for (int tries = 0; count_arrived() < all.n; tries++) {
        if (tries == 100)
            die("not all arrived");
        nap(100);
    }
    printf("{\"sends\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"answer_p50_ms\":%.2f}\n", all.n,
           percentile(all.arrived_ms, 50), percentile(all.arrived_ms, 99),
           percentile(all.answered_ms, 50));
    th_buf_fini(&all.answer);
    curl_easy_cleanup(all.curl);
    curl_global_cleanup();
    return 0;
}
