/* telehub-sandbox: a telephone provider that calls nobody. See README.md beside this file. */
#include "connectors/sandbox/simulator.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SECRET_MAX     256
#define FILES_WANTED   8192
#define EXIT_FAILED    1
#define EXIT_WRONG_USE 2

struct options {
    struct simulator_config config;
    const char *secret_file;
    const char *port_file;
    bool allow_remote;
    bool is_help;
    bool has_address;
    char secret[SECRET_MAX + 1];
};

static const char usage[] =
    "telehub-sandbox: a telephone provider that speaks Twilio's API and calls nobody.\n"
    "\n"
    "Usage: telehub-sandbox --listen 127.0.0.1:PORT --account SID --secret-file FILE\n"
    "                       --ledger FILE [option]...\n"
    "\n"
    "  --listen ADDRESS:PORT        where to serve; port 0: any free one\n"
    "  --account SID                the account: AC and 32 hexadecimal digits\n"
    "  --secret-file FILE           its auth token is the file's first line\n"
    "  --ledger FILE                appended to, read again at the next start\n"
    "  --port-file FILE             gets the port once it is served\n"
    "  --allow-remote               accept an address beyond loopback\n"
    "  --help                       this text\n"
    "\n"
    "Behaviour (POST /control changes it at run time):\n";

static const char examples[] =
    "\n"
    "Rates are percentages of three independent questions. How a request is answered:\n"
    "http_429, http_429_retry_after, http_500_before, http_500_after, slow, drop_before,\n"
    "drop_after. What becomes of it: undelivered (spread over 30003, 30005, 30006, 30007) or\n"
    "undelivered_CODE, failed, unsubscribed, invalid, unreachable, geo_blocked, not_mobile,\n"
    "busy, no_answer, call_failed; the rest, or delivered. How its callbacks come:\n"
    "dup_callback, late_callback, reorder_callback, no_callback.\n"
    "\n"
    "Examples:\n"
    "  telehub-sandbox --listen 127.0.0.1:4010 --ledger sandbox.ledger --secret-file token \\\n"
    "      --account AC00000000000000000000000000000001\n"
    "  ... --seed 7 --rates undelivered=3,invalid=1,http_429=2,drop_after=0.5,dup_callback=5\n"
    "  curl http://127.0.0.1:4010/ledger/summary\n"
    "  curl 'http://127.0.0.1:4010/ledger?format=csv&callback_contains=campaign-7'\n"
    "  curl -d '{\"rates\":\"drop_after=50\",\"latency_ms\":\"5-200\"}' "
    "http://127.0.0.1:4010/control\n"
    "\n"
    "Exit status: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong use.\n";

static void print_help(void)
{
    TH_AUTO(th_buf) struct th_buf text = {0};

    th_buf_add(&text, th_str(usage));
    settings_print_help(&text);
    th_buf_add(&text, th_str(examples));
    th_buf_add_char(&text, '\n');
    behaviour_print_magic(&text);
    (void)fwrite(text.p, 1, text.n, stdout);
}

static enum th_code parse_listen(struct options *options, struct th_str text, struct th_err *err)
{
    struct sockaddr_in *address = &options->config.address;
    struct th_str host;
    struct th_str port;
    int64_t number;
    char host_text[INET_ADDRSTRLEN];

    if (!th_str_cut(text, ':', &host, &port) || !th_str_int(port, 0, 65535, &number) ||
        host.n >= sizeof host_text)
        return th_fail(err, TH_INVALID, "--listen %.*s: not ADDRESS:PORT", TH_ARG(text));
    (void)snprintf(host_text, sizeof host_text, "%.*s", TH_ARG(host));
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)number);
    if (inet_pton(AF_INET, host_text, &address->sin_addr) != 1)
        return th_fail(err, TH_INVALID, "--listen %.*s: not an IPv4 address", TH_ARG(text));
    options->has_address = true;
    return TH_OK;
}

static enum th_code take_option(struct options *options, const char *name, const char *value,
                                struct th_err *err)
{
    if (strcmp(name, "listen") == 0)
        return parse_listen(options, th_str(value), err);
    if (strcmp(name, "account") == 0)
        options->config.account = value;
    else if (strcmp(name, "secret-file") == 0)
        options->secret_file = value;
    else if (strcmp(name, "ledger") == 0)
        options->config.ledger_path = value;
    else if (strcmp(name, "port-file") == 0)
        options->port_file = value;
    else
        return settings_set(&options->config.settings, th_str(name), th_str(value), err);
    return TH_OK;
}

static bool is_account(const char *text)
{
    return text && strlen(text) == 34 && strncmp(text, "AC", 2) == 0 &&
           strspn(text + 2, "0123456789abcdefABCDEF") == 32;
}

static enum th_code check_options(const struct options *options, struct th_err *err)
{
    uint32_t host = ntohl(options->config.address.sin_addr.s_addr);

    if (!options->has_address || !options->secret_file || !options->config.ledger_path)
        return th_fail(err, TH_INVALID,
                       "--listen, --account, --secret-file and --ledger are needed");
    if (!is_account(options->config.account))
        return th_fail(err, TH_INVALID, "--account: not AC and 32 hexadecimal digits");
    if (host >> 24 != IN_LOOPBACKNET && !options->allow_remote)
        return th_fail(err, TH_INVALID,
                       "--listen: not a loopback address; say --allow-remote if you mean it");
    return TH_OK;
}

static enum th_code parse_options(int argc, char **argv, struct options *options,
                                  struct th_err *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            options->is_help = true;
            return TH_OK;
        }
        if (strcmp(argv[i], "--allow-remote") == 0) {
            options->allow_remote = true;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0)
            return th_fail(err, TH_INVALID, "%s: not an option", argv[i]);
        if (i + 1 == argc)
            return th_fail(err, TH_INVALID, "%s needs a value", argv[i]);
        TH_TRY(take_option(options, argv[i] + 2, argv[i + 1], err));
        i++;
    }
    return check_options(options, err);
}

static enum th_code read_secret(struct options *options, struct th_err *err)
{
    FILE *file = fopen(options->secret_file, "re");

    if (!file)
        return th_fail(err, TH_IO, "%s: %s", options->secret_file, strerror(errno));
    bool has_line = fgets(options->secret, sizeof options->secret, file) != NULL;
    (void)fclose(file);
    if (has_line)
        options->secret[strcspn(options->secret, "\r\n")] = '\0';
    if (!has_line || !*options->secret)
        return th_fail(err, TH_INVALID, "%s: its first line is empty", options->secret_file);
    options->config.secret = options->secret;
    return TH_OK;
}

/* Whole or not at all: whoever waits for the file never reads half a number. */
static enum th_code write_port_file(const char *path, uint16_t port, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf name = {0};

    th_buf_printf(&name, "%s.new%c", path, '\0');
    if (th_buf_status(&name) != TH_OK)
        return th_fail(err, TH_NOMEM, "%s", path);
    FILE *file = fopen(name.p, "we");
    bool is_good = file && fprintf(file, "%u\n", port) > 0;
    if (file)
        is_good = fclose(file) == 0 && is_good;
    if (!is_good || rename(name.p, path) != 0)
        return th_fail(err, TH_IO, "%s: %s", path, strerror(errno));
    return TH_OK;
}

static enum th_code announce(const struct options *options, const struct simulator *simulator,
                             struct th_err *err)
{
    char host[INET_ADDRSTRLEN] = "";

    (void)inet_ntop(AF_INET, &options->config.address.sin_addr, host, sizeof host);
    if (options->port_file)
        TH_TRY(write_port_file(options->port_file, simulator_port(simulator), err));
    (void)printf("listening on http://%s:%u\n", host, simulator_port(simulator));
    (void)fflush(stdout);
    return TH_OK;
}

static int open_stop_signals(void)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* Thousands of clients may be connected, while a shell's limit is often 1024 files. */
static void allow_many_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* with fewer it serves fewer */
}

static enum th_code serve(struct options *options, struct th_err *err)
{
    TH_AUTO(simulator) struct simulator *simulator = NULL;
    int stop_fd = open_stop_signals();

    if (stop_fd < 0)
        return th_fail(err, TH_IO, "signalfd: %s", strerror(errno));
    enum th_code code = read_secret(options, err);
    if (code == TH_OK)
        code = simulator_open(&options->config, &simulator, err);
    if (code == TH_OK)
        code = announce(options, simulator, err);
    if (code == TH_OK)
        code = simulator_run(simulator, stop_fd, err);
    (void)close(stop_fd);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct th_err err = {0};

    settings_init(&options.config.settings);
    if (parse_options(argc, argv, &options, &err) != TH_OK) {
        (void)fprintf(stderr, "telehub-sandbox: %s\n(--help says more)\n", err.text);
        return EXIT_WRONG_USE;
    }
    if (options.is_help) {
        print_help();
        return EXIT_SUCCESS;
    }
    allow_many_files();
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    enum th_code code = serve(&options, &err);
    curl_global_cleanup();
    if (code == TH_OK)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "telehub-sandbox: %s\n", err.text);
    return EXIT_FAILED;
}
