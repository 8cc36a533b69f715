#include "processors/dispatch/caller.h"

#include "common/callback_token.h"
#include "common/fault.h"
#include "common/log_line.h"
#include "processors/dispatch/dispatch.h"
#include "processors/dispatch/journal.h"
#include "processors/dispatch/listing.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SCRATCH_MAX         ((size_t)4 * 1024 * 1024)
#define DONE_MAX            64
#define LOOKUPS_FIRST       4    /* in flight: so many go before calls */
#define LOOKUPS_WAITING_MAX 4096 /* to be listed; the core asks for more of them later */

struct caller {
    struct effects effects; /* first: what the shell holds points here */
    struct caller_config config;
    struct journal *journal;
    struct th_str callback_key;
    uint64_t session;
    int epoll_fd;
    int event_fd; /* readable while ended is not empty */
    struct th_arena scratch;

    struct job_list calls;                     /* not started */
    struct job_list lookups;                   /* not started */
    struct job_list ended;                     /* without a reply of their own */
    bool is_rung;                              /* event_fd is readable */
    struct job *in_flight[HTTP_IN_FLIGHT_MAX]; /* with the client */
    size_t in_flight_n;
    size_t lookups_in_flight;

    struct listing listing;
    struct job *page;      /* asks for the listing's pages; NULL: none */
    struct th_buf next;    /* what its next page is asked for with */
    struct th_arena pages; /* of the page that is being read */

    struct http_done done[DONE_MAX];
    size_t done_n;
    size_t done_at;
};

static void job_free(struct job *job)
{
    if (!job)
        return;
    free(job->text);
    free(job);
}

static void list_free(struct job_list *list)
{
    struct job *job;

    while ((job = job_list_take(list)))
        job_free(job);
}

/* --- the end of a job that has no reply ------------------------------------------------------- */

static void put_ended(struct job *job)
{
    struct caller *caller = job->caller;

    job_list_put(&caller->ended, job);
    if (!caller->is_rung)
        caller->is_rung = eventfd_write(caller->event_fd, 1) == 0;
}

static void end_job(struct job *job, enum provider_result result, enum provider_class error_class,
                    const char *reason)
{
    job->outcome = (struct provider_outcome){
        .result = result,
        .error_class = error_class,
        .reason = th_str(reason),
        .is_account_refused = error_class == PROVIDER_ACCOUNT,
        .retry_after_us = -1,
    };
    put_ended(job);
}

static void end_refused(struct job *job)
{
    end_job(job, PROVIDER_NOT_SENT, PROVIDER_CLASS_NONE, job->refusal);
}

/* --- the last check --------------------------------------------------------------------------- */

static const char *forbidden(const struct job *job)
{
    const struct caller_config *config = &job->caller->config;
    const struct effect_call *call = &job->as.call;
    const char *reason;

    reference_read_lock(config->reference);
    reason = config->forbids(config->reference, call->tenant,
                             call->has_campaign ? &call->campaign : NULL, call->contact,
                             call->send_by_us, th_clock_realtime_us(config->clock));
    reference_unlock(config->reference);
    return reason;
}

static const char *refusal_of(const struct job *job)
{
    const struct caller *caller = job->caller;
    int64_t waited_us = th_clock_boottime_us(caller->config.clock) - job->permitted_boot_us;

    if (job->is_permit_used || !job->session || job->session != caller->session)
        return "permit";
    if (waited_us < 0 || waited_us >= caller->config.send_window_us)
        return "permit";
    return forbidden(job);
}

/* In front of the first byte: the journal knows of it before the network does. */
static bool may_send(void *arg)
{
    struct job *job = arg;
    struct th_err err = {0};

    job->refusal = TH_FAULT(permit) ? "permit" : refusal_of(job);
    if (job->refusal)
        return false;
    if (journal_note(job->caller->journal, job->as.call.attempt, &err) != TH_OK) {
        th_log_error(TH_LOG_ERROR, "dispatch.journal", &err);
        job->refusal = "journal";
        return false;
    }
    job->is_permit_used = true;
    (void)TH_FAULT(journal_noted);
    return true;
}

/* The journal is not asked: of what is repeated it is known that it may have left. */
static bool may_repeat(void *arg)
{
    struct job *job = arg;

    job->refusal = refusal_of(job);
    job->is_permit_used = job->refusal == NULL;
    return job->is_permit_used;
}

/* --- building requests ------------------------------------------------------------------------ */

static const struct provider_ops *wire_of(const struct caller *caller, struct th_str name)
{
    for (const struct provider_ops *const *wire = caller->config.wires; *wire; wire++)
        if (th_str_eq(th_str((*wire)->name), name))
            return *wire;
    return NULL;
}

/* The account behind a lane, copied into scratch: the lock is not held while a request is started,
 * since starting may ask the permit, which takes it again. */
static enum th_code account_of(struct caller *caller, int32_t lane,
                               const struct provider_ops **out_wire,
                               struct provider_account *out_account, struct th_err *err)
{
    struct reference *reference = caller->config.reference;
    struct th_str tenant = {NULL, 0};
    struct th_str name = {NULL, 0};
    int32_t version = 0;
    const struct ref_lane *found;
    enum th_code code = TH_OK;

    reference_read_lock(reference);
    found = reference_lane(reference, lane);
    if (!found) {
        code = th_fail(err, TH_NOT_FOUND, "lane %d", lane);
    } else {
        *out_wire = wire_of(caller, found->account.wire);
        version = found->account.secret_version;
        if (th_arena_copy(&caller->scratch, found->tenant, &tenant) != TH_OK ||
            th_arena_copy(&caller->scratch, found->account.name, &name) != TH_OK ||
            th_arena_copy(&caller->scratch, found->account.base_url, &out_account->base_url) !=
                TH_OK ||
            th_arena_copy(&caller->scratch, found->account.account, &out_account->account) != TH_OK)
            code = th_fail(err, TH_NOMEM, "lane %d", lane);
    }
    reference_unlock(reference);
    TH_TRY(code);
    if (!*out_wire)
        return th_fail(err, TH_UNSUPPORTED, "lane %d: its wire is not known here", lane);
    return secrets_get(caller->config.secrets, tenant, name, version, &caller->scratch,
                       &out_account->secret, err);
}

static enum th_code callback_url(struct caller *caller, const struct job *job,
                                 struct th_str *out_url, struct th_err *err)
{
    const struct effect_call *call = &job->as.call;
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];
    struct callback_token token = {
        .send = call->attempt.send,
        .lane = (uint32_t)call->lane,
        .attempt_no = (uint16_t)call->attempt.n,
        .tenant_size = (uint8_t)call->tenant.n,
    };

    if (call->tenant.n > sizeof token.tenant || call->attempt.n > UINT16_MAX)
        return th_fail(err, TH_INVALID, "no callback token for this attempt");
    memcpy(token.tenant, call->tenant.p, call->tenant.n);
    TH_TRY(callback_token_make(&token, caller->callback_key, text));
    *out_url = th_arena_printf(&caller->scratch, "%s/webhooks/%s/%s", caller->config.public_url,
                               job->wire->name, text);
    return out_url->p ? TH_OK : TH_NOMEM;
}

static struct th_str name_attempt(struct job *job, struct attempt_ref attempt)
{
    char id[TH_ID_TEXT_LEN + 1];

    th_id_text(attempt.send, id);
    snprintf(job->name, sizeof job->name, "%s:%d", id, attempt.n);
    return th_str(job->name);
}

static enum th_code build_call(struct caller *caller, struct job *job,
                               const struct provider_account *account, struct http_req *out_req,
                               struct th_err *err)
{
    const struct effect_call *call = &job->as.call;
    struct provider_message message = {
        .channel = job_channel(call->channel),
        .to = call->to,
        .from = call->sender,
        .text = call->text,
        .language = call->lang,
        .attempt = name_attempt(job, call->attempt),
    };

    TH_TRY(callback_url(caller, job, &message.callback_url, err));
    TH_TRY(job->wire->build(account, &message, &caller->scratch, out_req, err));
    if (!out_req->timeout_ms)
        out_req->timeout_ms = caller->config.call_timeout_ms;
    return TH_OK;
}

static enum th_code build_lookup(struct caller *caller, struct job *job,
                                 const struct provider_account *account, struct http_req *out_req,
                                 struct th_err *err)
{
    const struct effect_lookup *lookup = &job->as.lookup;

    if (job->is_page)
        return job->wire->list_build(account, job_channel(lookup->channel),
                                     th_buf_str(&caller->next), &caller->scratch, out_req, err);
    if (lookup->provider_id.n > 0)
        return job->wire->lookup_build(account, job_channel(lookup->channel), lookup->provider_id,
                                       &caller->scratch, out_req, err);
    if (!job->wire->search_build)
        return th_fail(err, TH_UNSUPPORTED, "%s: no look-up by recipient", job->wire->name);
    job->search = (struct provider_search){
        .channel = job_channel(lookup->channel),
        .to = lookup->to,
        .from = lookup->sender,
        .not_before_us = lookup->started_us - DISPATCH_SEARCH_BEFORE_US,
        .not_after_us = lookup->started_us + DISPATCH_SEARCH_AFTER_US,
        .attempt = name_attempt(job, lookup->attempt),
    };
    return job->wire->search_build(account, &job->search, &caller->scratch, out_req, err);
}

/* --- starting --------------------------------------------------------------------------------- */

static enum th_code start_request(struct caller *caller, struct job *job, struct th_err *err)
{
    struct provider_account account = {0};
    struct http_req req = {0};
    struct http_permit permit = {NULL, NULL};
    int32_t lane = job->type == EFFECT_LOOKUP ? job->as.lookup.lane : job->as.call.lane;

    th_arena_reset(&caller->scratch);
    TH_TRY(account_of(caller, lane, &job->wire, &account, err));
    TH_FAULT_SCOPE("%s", job->wire->name);
    if (job->type == EFFECT_CALL && TH_FAULT(call_start))
        return th_fail(err, TH_IO, "no resources, for a test");
    if (job->type == EFFECT_LOOKUP) {
        TH_TRY(build_lookup(caller, job, &account, &req, err));
    } else {
        TH_TRY(build_call(caller, job, &account, &req, err));
        permit = (struct http_permit){job->type == EFFECT_CALL ? may_send : may_repeat, job};
    }
    return http_start(caller->config.http, &req, permit, (uintptr_t)job, err);
}

/* Nothing of it left. What our side lacks is temporary; what the request lacks stays so. */
static void end_unstarted(struct job *job, enum th_code code, const struct th_err *err)
{
    if (code == TH_DENIED && job->refusal) {
        end_refused(job);
        return;
    }
    th_log(TH_LOG_WARN, "dispatch.not_started", TH_F("code", th_code_name(code)),
           TH_F("detail", err->text));
    if (code == TH_INVALID || (code == TH_UNSUPPORTED && job->wire))
        end_job(job, PROVIDER_REJECTED, PROVIDER_CONTENT, "not_on_this_wire");
    else if (code == TH_NOMEM || code == TH_IO)
        end_job(job, PROVIDER_NOT_SENT, PROVIDER_TRANSIENT, "no_resources");
    else
        end_job(job, PROVIDER_REJECTED, PROVIDER_ACCOUNT, "account_unusable");
}

static void enter_flight(struct caller *caller, struct job *job)
{
    job->in_flight_at = caller->in_flight_n;
    caller->in_flight[caller->in_flight_n++] = job;
    if (job->type != EFFECT_CALL)
        caller->lookups_in_flight++;
}

static void leave_flight(struct caller *caller, struct job *job)
{
    struct job *last = caller->in_flight[--caller->in_flight_n];

    caller->in_flight[job->in_flight_at] = last;
    last->in_flight_at = job->in_flight_at;
    if (job->type != EFFECT_CALL)
        caller->lookups_in_flight--;
}

/* False: there is no room now. */
static bool start_job(struct caller *caller, struct job *job)
{
    struct th_err err = {0};
    enum th_code code;

    if (job->type != EFFECT_LOOKUP && (job->refusal = refusal_of(job))) {
        end_refused(job);
        return true;
    }
    if (caller->in_flight_n == HTTP_IN_FLIGHT_MAX)
        return false;
    code = start_request(caller, job, &err);
    if (code == TH_FULL)
        return false;
    if (code == TH_OK) {
        enter_flight(caller, job);
        if (job->type != EFFECT_LOOKUP)
            listing_count_call(&caller->listing, th_clock_realtime_us(caller->config.clock));
    } else {
        end_unstarted(job, code, &err);
    }
    return true;
}

static bool start_first(struct caller *caller, struct job_list *list)
{
    struct job *job = list->first;

    job_list_take(list);
    if (start_job(caller, job))
        return true;
    job->next = list->first;
    list->first = job;
    if (!job->next)
        list->last = &job->next;
    return false;
}

static bool start_lookups(struct caller *caller, size_t in_flight_max)
{
    while (caller->lookups.first && caller->lookups_in_flight < in_flight_max)
        if (!start_first(caller, &caller->lookups))
            return false;
    return true;
}

/* Under load calls take every place that becomes free: without a few of its own no look-up would
 * ever be made, and attempts would wait for their prices by the hundred thousand. */
static void start_waiting(struct caller *caller)
{
    if (!start_lookups(caller, LOOKUPS_FIRST))
        return;
    while (caller->calls.first)
        if (!start_first(caller, &caller->calls))
            return;
    (void)start_lookups(caller, CALLER_LOOKUPS_MAX);
}

/* --- what the shell asks for: effects_ops ------------------------------------------------------
 */

static struct caller *caller_of(struct effects *effects)
{
    return (struct caller *)effects;
}

static enum th_code on_ask(struct effects *effects, const struct effect *effect,
                           struct th_arena *arena, struct answer *out)
{
    struct attempt_ref attempt = effect->as.ask_journal.attempt;

    (void)arena;
    assert(effect->type == EFFECT_ASK_JOURNAL); /* the only immediate one that dispatch says */
    *out = (struct answer){
        .type = ANSWER_JOURNAL_TOLD,
        .as.journal_told = {attempt, journal_is_silent(caller_of(effects)->journal,
                                                       effect->as.ask_journal.session, attempt)},
    };
    return TH_OK;
}

static void take_text(struct th_str *view, char **room)
{
    if (view->n > 0)
        memcpy(*room, view->p, view->n);
    view->p = *room;
    *room += view->n;
}

/* The views of a copied effect point into memory of its own from now on. */
static bool own_texts(struct job *job)
{
    struct effect_call *call = &job->as.call;
    struct effect_lookup *lookup = &job->as.lookup;
    struct th_str *of_call[] = {&call->tenant, &call->to,   &call->sender,
                                &call->text,   &call->lang, NULL};
    struct th_str *of_lookup[] = {&lookup->provider_id, &lookup->to, &lookup->sender, NULL};
    struct th_str **views = job->type == EFFECT_LOOKUP ? of_lookup : of_call;
    size_t size = 1;
    char *room;

    for (struct th_str **view = views; *view; view++)
        size += (*view)->n;
    room = job->text = malloc(size);
    if (!room)
        return false;
    for (struct th_str **view = views; *view; view++)
        take_text(*view, &room);
    return true;
}

/* By id, on a wire that has a list. */
static bool may_gather(struct caller *caller, const struct job *job)
{
    const struct provider_ops *wire = NULL;
    const struct ref_lane *lane;

    if (job->type != EFFECT_LOOKUP || job->as.lookup.provider_id.n == 0 ||
        caller->config.lookup_wait_us == 0)
        return false;
    reference_read_lock(caller->config.reference);
    lane = reference_lane(caller->config.reference, job->as.lookup.lane);
    if (lane)
        wire = wire_of(caller, lane->account.wire);
    reference_unlock(caller->config.reference);
    return wire && wire->list_build;
}

static void take_job(struct caller *caller, const struct effect *effect, int64_t commit_boot_us)
{
    struct job *job = calloc(1, sizeof *job);

    /* Without a place to put its answer the attempt would be awaited for ever; the next process
     * finds out from the log and the journal that nothing was sent. */
    if (!job)
        abort();
    job->caller = caller;
    job->type = effect->type;
    job->session = caller->session;
    job->permitted_boot_us = commit_boot_us;
    job->taken_boot_us = th_clock_boottime_us(caller->config.clock);
    if (effect->type == EFFECT_LOOKUP)
        job->as.lookup = effect->as.lookup;
    else
        job->as.call = effect->as.call;
    if (!own_texts(job)) {
        end_job(job, PROVIDER_NOT_SENT, PROVIDER_TRANSIENT, "no_resources");
        return;
    }
    bool is_gathered = may_gather(caller, job);
    job->is_put_off = is_gathered && caller->listing.gathered_n >= LOOKUPS_WAITING_MAX;
    if (job->is_put_off)
        end_job(job, PROVIDER_NOT_SENT, PROVIDER_TRANSIENT, "busy"); /* the core asks later */
    else if (is_gathered)
        listing_gather(&caller->listing, job);
    else
        job_list_put(job->type == EFFECT_CALL ? &caller->calls : &caller->lookups, job);
    start_waiting(caller);
}

static void on_run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    struct caller *caller = caller_of(effects);

    assert(!effect_is_immediate(effect->type));
    switch (effect->type) {
    case EFFECT_CALL:
    case EFFECT_LOOKUP:
    case EFFECT_REPEAT:
        take_job(caller, effect, commit_boot_us);
        break;
    case EFFECT_DROP_JOURNAL:
        journal_drop(caller->journal, effect->as.drop_journal.keep);
        break;
    case EFFECT_OPEN_AUDIENCE:
    case EFFECT_READ_PART:
    case EFFECT_READ_RECIPIENT:
    case EFFECT_ASK_JOURNAL:
        break;
    }
}

/* --- look-ups asked for together ---------------------------------------------------------------
 */

/* False: there is no memory now. */
static bool begin_listing(struct caller *caller)
{
    struct job *page = calloc(1, sizeof *page);

    if (!page)
        return false;
    if (!listing_begin(&caller->listing, th_clock_realtime_us(caller->config.clock),
                       &caller->lookups)) {
        free(page);
        return true;
    }
    page->caller = caller;
    page->type = EFFECT_LOOKUP;
    page->is_page = true;
    page->as.lookup.lane = caller->listing.lane;
    page->as.lookup.channel = caller->listing.channel;
    caller->page = page;
    th_buf_clear(&caller->next);
    if (listing_wants_page(&caller->listing))
        job_list_put(&caller->lookups, page);
    return true;
}

/* Without memory now, at the next poll. */
static void start_gathered(struct caller *caller)
{
    while (listing_is_due(&caller->listing, th_clock_boottime_us(caller->config.clock),
                          caller->config.lookup_wait_us) &&
           begin_listing(caller))
        start_waiting(caller);
}

/* Found: the rest is asked one by one. Not read: the core asks again, later. */
static void end_listing(struct caller *caller, bool was_read)
{
    struct job_list rest;
    struct job *job;

    job_list_init(&rest);
    listing_end(&caller->listing, was_read, &rest);
    free(caller->page);
    caller->page = NULL;
    while ((job = job_list_take(&rest))) {
        if (was_read)
            job_list_put(&caller->lookups, job);
        else
            end_job(job, PROVIDER_NOT_SENT, PROVIDER_TRANSIENT, "no_list");
    }
}

static void take_report(struct job *job, const struct provider_report *report)
{
    job->report = *report;
    job->has_report = true;
    snprintf(job->code, sizeof job->code, "%.*s", TH_ARG(report->provider_code));
    put_ended(job);
}

static void take_page(struct caller *caller, const struct http_reply *reply)
{
    const struct job *page = caller->page;
    struct provider_page read = {0};
    struct job *job;

    assert(page);
    th_arena_reset(&caller->pages);
    enum th_code code =
        page->wire->list_parse(job_channel(page->as.lookup.channel), reply, &caller->pages, &read);
    for (size_t i = 0; code == TH_OK && i < read.n_reports; i++)
        if ((job = listing_find(&caller->listing, read.reports[i].provider_id)))
            take_report(job, &read.reports[i]);
    th_buf_clear(&caller->next);
    th_buf_add(&caller->next, listing_go_on(&caller->listing, read.next));
    bool was_read =
        code == TH_OK && read.result == PROVIDER_FOUND && th_buf_status(&caller->next) == TH_OK;
    if (was_read && caller->next.n > 0 && listing_wants_page(&caller->listing))
        job_list_put(&caller->lookups, caller->page);
    else
        end_listing(caller, was_read);
}

/* --- answers are taken --------------------------------------------------------------------------
 */

static bool take_done(struct caller *caller)
{
    if (caller->done_at < caller->done_n)
        return true;
    caller->done_at = 0;
    caller->done_n = http_poll(caller->config.http, caller->done, DONE_MAX);
    return caller->done_n > 0;
}

/* The next job that has its answer, and its reply if it has one of its own; NULL: there is none. */
static struct job *next_answered(struct caller *caller, const struct http_reply **out_reply)
{
    *out_reply = NULL;
    while (!caller->ended.first && take_done(caller)) {
        struct http_done *done = &caller->done[caller->done_at++];
        struct job *job =
            (struct job *)(uintptr_t)done->tag; /* NOLINT(performance-no-int-to-ptr) */

        leave_flight(caller, job);
        if (job->is_page) {
            take_page(caller, &done->reply);
            start_waiting(caller);
            continue;
        }
        *out_reply = &done->reply;
        return job;
    }
    return job_list_take(&caller->ended);
}

static void unring(struct caller *caller)
{
    eventfd_t ignored;

    if (caller->is_rung && !caller->ended.first && eventfd_read(caller->event_fd, &ignored) == 0)
        caller->is_rung = false;
}

static bool on_poll(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    struct caller *caller = caller_of(effects);
    const struct http_reply *reply;
    struct job *job;

    start_gathered(caller);
    while ((job = next_answered(caller, &reply)) && job->is_page)
        end_listing(caller, false); /* it could not even be started */
    if (job) {
        TH_FAULT_SCOPE("%s", job->wire ? job->wire->name : "");
        if (job->type == EFFECT_CALL)
            (void)TH_FAULT(answer_kept);
        job_answer(job, reply, th_clock_boottime_us(caller->config.clock), arena, out);
        job_free(job);
        start_waiting(caller);
    }
    unring(caller);
    return job != NULL;
}

static int on_fd(const struct effects *effects)
{
    return ((const struct caller *)effects)->epoll_fd;
}

static void on_session(struct effects *effects, uint64_t session)
{
    struct caller *caller = caller_of(effects);
    struct th_err err = {0};

    caller->session = session;
    if (journal_begin(caller->journal, session, &err) != TH_OK)
        th_log_error(TH_LOG_ERROR, "dispatch.journal", &err);
    start_waiting(caller); /* what an earlier session did not start is refused now */
}

static const struct effects_ops caller_ops = {
    .ask = on_ask,
    .run = on_run,
    .poll = on_poll,
    .fd = on_fd,
    .session = on_session,
};

/* --- open, close ------------------------------------------------------------------------------ */

static enum th_code watch(const struct caller *caller, int fd, struct th_err *err)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (fd < 0)
        return TH_OK;
    if (epoll_ctl(caller->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    return TH_OK;
}

enum th_code caller_open(const struct caller_config *config, struct caller **out_caller,
                         struct th_err *err)
{
    TH_AUTO(caller) struct caller *caller = calloc(1, sizeof *caller);

    if (!caller)
        return th_fail(err, TH_NOMEM, "caller");
    caller->effects.ops = &caller_ops;
    caller->config = *config;
    job_list_init(&caller->calls);
    job_list_init(&caller->lookups);
    job_list_init(&caller->ended);
    th_arena_init(&caller->scratch, SCRATCH_MAX);
    th_arena_init(&caller->pages, SCRATCH_MAX);
    listing_init(&caller->listing);
    caller->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    caller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (caller->event_fd < 0 || caller->epoll_fd < 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    TH_TRY(watch(caller, caller->event_fd, err));
    TH_TRY(watch(caller, http_fd(config->http), err));
    TH_TRY(secrets_callback_key(config->secrets, &caller->callback_key, err));
    TH_TRY(journal_open(config->journal_dir, config->slot, &caller->journal, err));
    *out_caller = TH_TAKE(caller);
    return TH_OK;
}

void caller_close(struct caller *caller)
{
    struct job *job;

    if (!caller)
        return;
    list_free(&caller->calls);
    list_free(&caller->lookups);
    list_free(&caller->ended);
    while ((job = listing_take_all(&caller->listing)))
        job_free(job);
    listing_fini(&caller->listing);
    for (size_t i = 0; i < caller->in_flight_n; i++)
        job_free(caller->in_flight[i]);
    journal_close(caller->journal);
    if (caller->event_fd >= 0)
        close(caller->event_fd);
    if (caller->epoll_fd >= 0)
        close(caller->epoll_fd);
    th_arena_fini(&caller->scratch);
    th_arena_fini(&caller->pages);
    th_buf_fini(&caller->next);
    free(caller);
}

struct effects *caller_effects(struct caller *caller)
{
    return &caller->effects;
}
