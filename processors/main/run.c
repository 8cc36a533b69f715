/* run.c - `telehub run`: open what is outside, start the parts, wait for a signal, end in order.
 *
 * What is started first ends last: the log, the reference and its follower, the stores, the slots,
 * the gateway. Nothing here decides anything; a part that fails opens itself again.
 */
#include "processors/main/run.h"

#include "common/clock.h"
#include "common/eventlog/slot.h"
#include "common/log_line.h"
#include "common/secrets.h"
#include "connectors/gateway/gateway.h"
#include "connectors/http_client/http_client.h"
#include "connectors/postgres/audience.h"
#include "connectors/postgres/queries.h"
#include "connectors/postgres/view_store.h"
#include "connectors/twilio/twilio.h"
#include "processors/dispatch/caller.h"
#include "processors/effects_audience.h"
#include "processors/main/chosen_log.h"
#include "processors/main/installation.h"
#include "processors/main/meters.h"
#include "processors/main/process.h"
#include "processors/main/settings.h"
#include "processors/main/tools.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/rebuild.h"
#include "processors/zones.h"
#ifdef TELEHUB_FAULTS
#include "tests/fault/wires.h"
#endif

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ZONES_FOLDER       "/usr/share/zoneinfo"
#define REFERENCE_WAIT_US  (60 * TH_US_PER_SEC)
#define REFERENCE_PAUSE_NS 20000000L
#define HEAPS_LOOK_MS      1000
#define HEAPS_TRIM_FROM    (INT64_C(56) * 1024 * 1024)
#define HEAPS_TRIM_STEP    (INT64_C(4) * 1024 * 1024)
#define HEAPS_MAX          4
#define HEAP_BLOCK_MAX     (128 * 1024) /* larger ones are mapped, and unmapped when freed */
#define PATH_SIZE          4352

#ifdef TELEHUB_FAULTS
static const struct provider_ops *const wires[] = {
    &twilio_ops, &fault_wire_back, &fault_wire_key, &fault_wire_look, &fault_wire_mute, NULL};
#else
static const struct provider_ops *const wires[] = {&twilio_ops, NULL};
#endif

enum role {
    ROLE_GATEWAY = 1 << 0,
    ROLE_CAMPAIGN = 1 << 1,
    ROLE_RETRY = 1 << 2,
    ROLE_DISPATCH = 1 << 3,
    ROLE_MATERIALIZE = 1 << 4,
};

static const struct {
    const char *name;
    enum role role;
} roles[] = {
    {"gateway", ROLE_GATEWAY},   {"campaign", ROLE_CAMPAIGN},       {"retry", ROLE_RETRY},
    {"dispatch", ROLE_DISPATCH}, {"materialize", ROLE_MATERIALIZE},
};

struct run;

struct role_check {
    struct run *run;
    const char *name;
    size_t parts_n;
};

/* All that the parts share. */
struct run {
    const struct cli *cli;
    struct th_conf *conf;
    unsigned roles;
    char conninfo[TOOL_CONNINFO_MAX];
    char url[128];
    char public_url[512];
    char scratch[PATH_SIZE];
    char journal[PATH_SIZE];
    int lock_fd;
    bool is_broken; /* the log needs a new process */
    struct secrets *secrets;
    struct th_log *log;
    struct reference *reference;
    struct audience *audience;
    struct effects_audience effects_audience;
    struct zones *zones;
    struct process process;
    struct views *views;
    struct gateway *gateway;
    struct http_client *gateway_http;
    struct th_metrics *metrics;
    struct meters *meters;
    struct role_check role_checks[TH_LEN(roles)];
    struct gateway_check checks[TH_LEN(roles) + 1];
};

/* --- the reference ---------------------------------------------------------------------------- */

static void run_follower(void *self, int stop_fd)
{
    reference_follower_run(self, stop_fd);
}

static void free_follower(void *self)
{
    reference_follower_close(self);
}

static const struct part_ops follower_ops = {run_follower, free_follower, NULL, NULL};

/* Every part decides by the reference: nothing starts before all of it is here. */
static enum th_code start_follower(struct run *run, struct th_err *err)
{
    struct reference_follower *follower = NULL;
    const struct timespec pause = {.tv_nsec = REFERENCE_PAUSE_NS};
    int64_t until = th_clock_monotonic_us(&th_clock_real) + REFERENCE_WAIT_US;
    bool is_caught_up = false;
    enum th_code code;

    run->reference = reference_new();
    if (!run->reference)
        return th_fail(err, TH_NOMEM, "reference");
    TH_TRY(reference_follower_open(run->log, run->reference, &follower, err));
    while ((code = reference_follower_step(follower, &is_caught_up, err)) == TH_OK &&
           !is_caught_up && th_clock_monotonic_us(&th_clock_real) < until)
        nanosleep(&pause, NULL);
    if (code == TH_OK && !is_caught_up)
        code = th_fail(err, TH_TIMEOUT, "the reference topics could not be read to their ends");
    if (code != TH_OK) {
        reference_follower_close(follower);
        return code;
    }
    return process_start(&run->process, "reference", &follower_ops, follower, err);
}

/* --- slots -------------------------------------------------------------------------------------
 */

/* A slot, and what carries out its effects. */
struct slot_part {
    const char *processor;
    int number;
    struct meters *meters;
    struct slot *slot;
    struct caller *caller;    /* dispatch only */
    struct http_client *http; /* likewise */
};

static void run_slot(void *self, int stop_fd)
{
    slot_run(((struct slot_part *)self)->slot, stop_fd);
}

static void free_slot(void *self)
{
    struct slot_part *part = self;

    slot_free(part->slot);
    caller_close(part->caller);
    http_client_close(part->http);
    free(part);
}

static bool slot_is_well(void *self)
{
    return slot_status(((struct slot_part *)self)->slot).is_open;
}

static void measure_slot(void *self)
{
    struct slot_part *part = self;

    meters_slot(part->meters, part->processor, part->number, part->slot);
}

static const struct part_ops slot_ops = {run_slot, free_slot, slot_is_well, measure_slot};

static enum th_code open_caller(struct run *run, int slot, struct slot_part *part,
                                struct th_err *err)
{
    struct http_client_conf http = {.in_flight_max = HTTP_IN_FLIGHT_MAX};

    TH_TRY(http_client_open(&http, &part->http, err));
    struct caller_config config = {
        .reference = run->reference,
        .http = part->http,
        .secrets = run->secrets,
        .clock = &th_clock_real,
        .wires = wires,
        .forbids = dispatch_forbids,
        .public_url = run->public_url,
        .journal_dir = run->journal,
        .slot = slot,
        .lookup_wait_us = th_conf_duration_us(run->conf, "price_gather"),
        .send_window_us = th_conf_duration_us(run->conf, "send_window"),
        .call_timeout_ms = (int32_t)(th_conf_duration_us(run->conf, "call_timeout") / TH_US_PER_MS),
    };
    return caller_open(&config, &part->caller, err);
}

static enum th_code start_slot(struct run *run, const struct core_ops *core, const void *config,
                               int slot, struct th_err *err)
{
    struct slot_part *part = calloc(1, sizeof *part);
    char name[PART_NAME_MAX];
    enum th_code code = TH_OK;

    if (!part)
        return th_fail(err, TH_NOMEM, "slot");
    part->processor = core->name;
    part->number = slot;
    part->meters = run->meters;
    if (core == &dispatch_core)
        code = open_caller(run, slot, part, err);
    struct slot_config slot_config = {
        .log = run->log,
        .clock = &th_clock_real,
        .reference = run->reference,
        .core = core,
        .core_config = config,
        .effects = part->caller ? caller_effects(part->caller) : &run->effects_audience.effects,
        .slot = slot,
        .slots = (int)th_conf_int(run->conf, "slots"),
        .poll_us = th_conf_duration_us(run->conf, "slot_poll"),
        .reopen_wait_us = th_conf_duration_us(run->conf, "slot_reopen_wait"),
        .snapshot_bytes_min = th_conf_size(run->conf, "slot_snapshot"),
        .meters = meters_slot_series(run->meters, core->name),
    };
    if (code == TH_OK)
        code = slot_new(&slot_config, &part->slot, err);
    if (code != TH_OK) {
        free_slot(part);
        return code;
    }
    snprintf(name, sizeof name, "%s.%d", core->name, slot);
    return process_start(&run->process, name, &slot_ops, part, err);
}

static enum th_code start_slots(struct run *run, enum role role, const struct core_ops *core,
                                const void *config, struct th_err *err)
{
    int slots = (int)th_conf_int(run->conf, "slots");

    if (!(run->roles & role))
        return TH_OK;
    for (int slot = 0; slot < slots; slot++)
        TH_TRY(start_slot(run, core, config, slot, err));
    return TH_OK;
}

/* Cores copy their configuration when they are made, which a slot does whenever it opens: it must
 * stay. */
struct core_configs {
    struct campaign_config campaign;
    struct retry_config retry;
    struct dispatch_config dispatch;
};

static enum th_code start_processors(struct run *run, struct core_configs *configs,
                                     struct th_err *err)
{
    configs->campaign = settings_campaign(run->conf);
    configs->retry = settings_retry(run->conf);
    configs->retry.zones = run->zones;
    configs->retry.zone_offset_s = zones_offset_s;
    configs->dispatch = settings_dispatch(run->conf);
    configs->dispatch.wires = wires;
    TH_TRY(start_slots(run, ROLE_CAMPAIGN, &campaign_core, &configs->campaign, err));
    TH_TRY(start_slots(run, ROLE_RETRY, &retry_core, &configs->retry, err));
    return start_slots(run, ROLE_DISPATCH, &dispatch_core, &configs->dispatch, err);
}

/* --- the views' writers -------------------------------------------------------------------------
 */

/* One that writes the views. */
struct view_part {
    int number;
    struct meters *meters;
    struct materialize *is;
};

static void run_materialize(void *self, int stop_fd)
{
    materialize_run(((struct view_part *)self)->is, stop_fd);
}

static void free_materialize(void *self)
{
    materialize_free(((struct view_part *)self)->is);
    free(self);
}

static bool materialize_is_well(void *self)
{
    return materialize_status(((struct view_part *)self)->is).is_open;
}

static void measure_materialize(void *self)
{
    struct view_part *part = self;

    meters_materialize(part->meters, part->number, part->is);
}

static const struct part_ops materialize_ops = {run_materialize, free_materialize,
                                                materialize_is_well, measure_materialize};

static enum th_code start_materialize(struct run *run, int slot, struct th_err *err)
{
    struct materialize_config config = {
        .log = run->log,
        .open_store = pg_view_store_open_current,
        .context = run->conninfo,
        .slot = slot,
        .slots = (int)th_conf_int(run->conf, "slots"),
        .idle_us = th_conf_duration_us(run->conf, "views_idle"),
        .load_us = th_conf_duration_us(run->conf, "views_load"),
        .poll_us = th_conf_duration_us(run->conf, "views_poll"),
        .retry_wait_us = th_conf_duration_us(run->conf, "views_retry_wait"),
    };
    struct view_part *part = calloc(1, sizeof *part);
    char name[PART_NAME_MAX];

    if (!part)
        return th_fail(err, TH_NOMEM, "views");
    part->number = slot;
    part->meters = run->meters;
    enum th_code code = materialize_new(&config, &part->is, err);
    if (code != TH_OK) {
        free(part);
        return code;
    }
    snprintf(name, sizeof name, "materialize.%d", slot);
    return process_start(&run->process, name, &materialize_ops, part, err);
}

/* They are shown and written on all the same: what is older stays as it was until a rebuild. */
static void warn_of_other_rules(const struct run *run)
{
    char sentence[TOOL_RULES_SENTENCE_MAX];
    struct th_err err = {0};

    if (tool_view_rules(run->conninfo, sentence, &err) != TH_OK)
        th_log(TH_LOG_WARN, "views.rules_unknown", TH_F("error", (const char *)err.text));
    else if (sentence[0])
        th_log(TH_LOG_WARN, "views.other_rules", TH_F("do", (const char *)sentence));
}

static enum th_code start_views(struct run *run, struct th_err *err)
{
    int slots = (int)th_conf_int(run->conf, "slots");

    if (run->roles & (ROLE_MATERIALIZE | ROLE_GATEWAY))
        warn_of_other_rules(run);
    for (int slot = 0; slot < slots && run->roles & ROLE_MATERIALIZE; slot++)
        TH_TRY(start_materialize(run, slot, err));
    return TH_OK;
}

/* --- what may not be worked on ------------------------------------------------------------------
 */

static enum th_code check_views(const struct run *run, struct th_err *err)
{
    struct view_generations *gens = NULL;

    TH_TRY(pg_view_generations_open(run->conninfo, &gens, err));
    enum th_code code = view_check_log(run->log, gens, err);
    pg_view_generations_close(gens);
    return code;
}

/* The log itself turns processors away (log.h); this says it before anything starts. */
static enum th_code check_mark(const struct run *run, struct th_err *err)
{
    if (th_log_mark(run->log) == LOG_MARK_REPLAYED && run->roles == ROLE_MATERIALIZE)
        return TH_OK;
    return th_log_check_mark(run->log, err);
}

static enum th_code check_log(const struct run *run, struct th_err *err)
{
    TH_TRY(check_mark(run, err));
    return check_views(run, err);
}

/* --- opening what is shared ---------------------------------------------------------------------
 */

/* Core dumps and ptrace would show secrets; and thousands of connections need descriptors. */
static void harden(void)
{
    struct rlimit files;

    prctl(PR_SET_DUMPABLE, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* By default each thread gets a heap of its own, which keeps what it once needed, and blocks of up
 * to 32 MB end up in one after the first was freed: a third of the memory would be holes. */
static void bound_heap(void)
{
    mallopt(M_ARENA_MAX, HEAPS_MAX);
    mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_MAX);
    mallopt(M_TRIM_THRESHOLD, HEAP_BLOCK_MAX);
}

static enum th_code make_folder(const char *dir, const char *name, char *out, struct th_err *err)
{
    snprintf(out, PATH_SIZE, "%s/%s", dir, name);
    if (mkdir(out, 0700) != 0 && errno != EEXIST)
        return th_fail(err, TH_IO, "%s: %s", out, strerror(errno));
    return TH_OK;
}

static enum th_code open_shared(struct run *run, struct th_err *err)
{
    const char *dir = run->cli->dir;
    char secrets[PATH_SIZE];

    snprintf(secrets, sizeof secrets, "%s/secrets", dir);
    TH_TRY(secrets_open(secrets, &run->secrets, err));
    TH_TRY(make_folder(dir, "journal", run->journal, err));
    TH_TRY(make_folder(dir, "scratch", run->scratch, err));
    run->zones = zones_new(ZONES_FOLDER);
    if (!run->zones)
        return th_fail(err, TH_NOMEM, "zones");
    TH_TRY(th_metrics_new(&run->metrics, err));
    TH_TRY(meters_open(run->metrics, &run->meters, err));
    TH_TRY(chosen_log_open(run->conf, run->conninfo, false, &run->log, err));
    TH_TRY(chosen_log_join(run->conf, dir, &run->log, err));
    TH_TRY(check_log(run, err));
    TH_TRY(process_init(&run->process, err));
    TH_TRY(start_follower(run, err));
    TH_TRY(pg_audience_open(run->conninfo, run->log, run->reference, run->scratch, &run->audience,
                            err));
    effects_audience_init(&run->effects_audience, run->audience);
    return pg_views_open(run->conninfo, run->log, run->audience, &run->views, err);
}

static void close_shared(struct run *run)
{
    pg_views_close(run->views);
    if (run->audience)
        pg_audience_close(run->audience);
    reference_free(run->reference);
    if (run->log)
        th_log_close(run->log);
    zones_free(run->zones);
    secrets_close(run->secrets);
    meters_close(run->meters);
    th_metrics_free(run->metrics);
}

/* --- the gateway --------------------------------------------------------------------------------
 */

static bool role_is_well(void *arg)
{
    const struct role_check *check = arg;

    return process_is_well(&check->run->process, check->name, check->parts_n);
}

/* What /health asks: the parts of each role that this process was started with. */
static void make_checks(struct run *run)
{
    size_t slots = (size_t)th_conf_int(run->conf, "slots");
    size_t n = 0;

    for (size_t r = 0; r < TH_LEN(roles); r++) {
        if (!(run->roles & roles[r].role) || roles[r].role == ROLE_GATEWAY)
            continue;
        run->role_checks[n] = (struct role_check){run, roles[r].name, slots};
        run->checks[n] = (struct gateway_check){roles[r].name, role_is_well, &run->role_checks[n]};
        n++;
    }
    run->checks[n] = (struct gateway_check){.name = NULL};
}

/* For /metrics. */
static void measure(void *arg)
{
    struct run *run = arg;

    process_measure(&run->process);
    meters_outside(run->meters, run->reference, run->views);
}

static enum th_code open_gateway(struct run *run, const char *public_url, struct th_err *err)
{
    struct http_client_conf http = {.in_flight_max = 16};
    char key[OPERATOR_KEY_SIZE];

    TH_TRY(installation_operator_key(run->cli->dir, key, err));
    TH_TRY(http_client_open(&http, &run->gateway_http, err));
    make_checks(run);
    struct gateway_config config = {
        .log = run->log,
        .reference = run->reference,
        .views = run->views,
        .secrets = run->secrets,
        .clock = &th_clock_real,
        .metrics = run->metrics,
        .measure = measure,
        .measure_arg = run,
        .providers = wires,
        .http = run->gateway_http,
        .checks = run->checks,
        .address = th_conf_str(run->conf, "listen"),
        .port = (uint16_t)th_conf_int(run->conf, "port"),
        .public_url = *public_url ? public_url : NULL,
        .operator_key = th_str(key),
        .limits = gateway_limits_of(run->conf),
    };
    enum th_code code = gateway_open(&config, &run->gateway, err);
    explicit_bzero(key, sizeof key);
    return code;
}

/* Before the slots: what providers call back stands in every request. It is not ready before they
 * are. */
static enum th_code start_gateway(struct run *run, struct th_err *err)
{
    const char *public_url = th_conf_str(run->conf, "public_url");
    const char *listen = th_conf_str(run->conf, "listen");
    int port = (int)th_conf_int(run->conf, "port");

    if (run->roles & ROLE_GATEWAY) {
        TH_TRY(open_gateway(run, public_url, err));
        port = gateway_port(run->gateway);
    }
    snprintf(run->url, sizeof run->url, "http://%s:%d",
             strcmp(listen, "0.0.0.0") == 0 ? "127.0.0.1" : listen, port);
    snprintf(run->public_url, sizeof run->public_url, "%s", *public_url ? public_url : run->url);
    return run->gateway ? installation_write(run->cli->dir, "url", run->url, err) : TH_OK;
}

static void close_gateway(struct run *run)
{
    gateway_close(run->gateway);
    http_client_close(run->gateway_http);
}

/* --- the command --------------------------------------------------------------------------------
 */

static enum th_code roles_of(struct cli *cli, unsigned *out_roles, struct th_err *err)
{
    *out_roles = 0;
    for (size_t r = 0; cli->words_n == 0 && r < TH_LEN(roles); r++)
        *out_roles |= roles[r].role;
    for (int i = 0; i < cli->words_n; i++) {
        size_t r = 0;

        while (r < TH_LEN(roles) && strcmp(roles[r].name, cli->words[i]) != 0)
            r++;
        if (r == TH_LEN(roles))
            return cli_usage(cli, err, "there is no role %s", cli->words[i]);
        *out_roles |= roles[r].role;
    }
    return TH_OK;
}

static enum th_code print_settings(struct th_err *err)
{
    TH_AUTO(th_conf) struct th_conf *conf = NULL;
    TH_AUTO(th_buf) struct th_buf text = {0};

    TH_TRY(settings_new(&conf, err));
    th_conf_print_example(conf, &text);
    TH_TRY(th_buf_status(&text));
    fwrite(text.p, 1, text.n, stdout);
    return TH_OK;
}

/* Blocked in all threads from before the first one on; taken here. */
static enum th_code block_signals(int *out_fd, struct th_err *err)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0 ||
        (*out_fd = signalfd(-1, &signals, SFD_CLOEXEC)) < 0)
        return th_fail(err, TH_IO, "signals: %s", strerror(errno));
    return TH_OK;
}

/* Bytes; 0: the kernel does not say. */
static int64_t resident_bytes(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (!statm)
        return 0;
    if (fscanf(statm, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(statm);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* Holes in the heaps go back to the kernel, which nothing else does: what they were freed for is
 * smaller or larger than what comes next, and half of a heap would be holes. *kept: what was
 * resident after the last time. */
static void trim_heaps(int64_t *kept)
{
    int64_t now = resident_bytes();

    if (now < *kept)
        *kept = now;
    if (now < HEAPS_TRIM_FROM || now < *kept + HEAPS_TRIM_STEP)
        return;
    malloc_trim(0);
    *kept = resident_bytes();
}

static void take_signal(int fd)
{
    struct signalfd_siginfo info = {0};

    while (read(fd, &info, sizeof info) != (ssize_t)sizeof info && errno == EINTR) {
    }
    th_log(TH_LOG_INFO, "run.stopping", TH_F("signal", (int64_t)info.ssi_signo));
}

/* Until a signal comes: then TH_OK. Errors: of th_log_health */
static enum th_code wait_for_end(struct run *run, int fd, struct th_err *err)
{
    struct pollfd signal = {.fd = fd, .events = POLLIN};
    int64_t kept = 0;

    while (poll(&signal, 1, HEAPS_LOOK_MS) == 0) {
        trim_heaps(&kept);
        enum th_code code = th_log_health(run->log, err);
        if (code != TH_OK) {
            run->is_broken = true;
            th_log_error(TH_LOG_ERROR, "run.broken", err);
            return code;
        }
    }
    take_signal(fd);
    return TH_OK;
}

static enum th_code run_parts(struct run *run, int signal_fd, struct th_err *err)
{
    struct core_configs configs = {0};
    enum th_code code = open_shared(run, err);

    if (code == TH_OK)
        code = start_gateway(run, err);
    if (code == TH_OK)
        code = start_views(run, err);
    if (code == TH_OK)
        code = start_processors(run, &configs, err);
    if (code == TH_OK) {
        th_log(TH_LOG_INFO, "run.started", TH_F("parts", run->process.n),
               TH_F("url", (const char *)run->public_url));
        code = wait_for_end(run, signal_fd, err);
    }
    close_gateway(run);
    int64_t until =
        th_clock_monotonic_us(&th_clock_real) + th_conf_duration_us(run->conf, "stop_time");
    if (run->process.n > 0 && !process_stop(&run->process, until))
        _exit(run->is_broken  ? CLI_BROKEN
              : code == TH_OK ? CLI_DONE
                              : CLI_FAILED); /* a stuck thread still uses all of it */
    close_shared(run);
    return code;
}

static enum th_code run_in(struct run *run, struct th_err *err)
{
    int signal_fd = -1;

    TH_TRY(tool_settings(run->cli, &run->conf, run->conninfo, err));
    th_log_set_level((enum th_log_level)th_conf_enum(run->conf, "log_level"));
    TH_TRY(installation_lock(run->cli->dir, &run->lock_fd, err));
    harden();
    bound_heap();
    TH_TRY(block_signals(&signal_fd, err));
    enum th_code code = run_parts(run, signal_fd, err);
    close(signal_fd);
    close(run->lock_fd);
    return code;
}

static enum th_code run_command(struct cli *cli, struct th_err *err)
{
    unsigned wanted;
    struct run *run;

    if (cli_has(cli, "--print-env"))
        return print_settings(err);
    TH_TRY(roles_of(cli, &wanted, err));
    run = calloc(1, sizeof *run);
    if (!run)
        return th_fail(err, TH_NOMEM, "run");
    run->cli = cli;
    run->roles = wanted;
    enum th_code code = run_in(run, err);
    cli->is_broken = run->is_broken;
    th_conf_free(run->conf);
    free(run);
    return code;
}

static const struct cli_option run_options[] = {
    {"--print-env", NULL, "print every setting with its preset, and end", false},
    {NULL, NULL, NULL, false},
};

const struct cli_command run_commands[] = {
    {"run", "[ROLE]...", 0, 5,
     "Run TeleHub: gateway, campaign, retry, dispatch, materialize, or some of them.",
     "  telehub run\n  telehub run gateway materialize\n  telehub run --print-env >.env.example",
     run_options, run_command},
    {0},
};
