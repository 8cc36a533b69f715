#include "processors/dispatch/caller.h"

#include "common/callback_token.h"
#include "common/log_line.h"
#include "processors/dispatch/dispatch.h"
#include "processors/dispatch/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SCRATCH_MAX  ((size_t)4 * 1024 * 1024)
#define DONE_MAX     64
#define EXCERPT_MAX  1024
#define DIGITS_SHOWN 6 /* longer ones may be a telephone number */

/* One call or look-up, from the commit to its answer. */
struct job {
    struct job *next; /* in whichever list it stands */
    struct caller *caller;
    enum effect_type type;
    union {
        struct effect_call call;
        struct effect_lookup lookup;
    } as;
    char *text; /* owned: what the views above point into */
    const struct provider_ops *wire;
    struct provider_search search; /* of a look-up without provider_id */
    uint64_t session;
    size_t in_flight_at;       /* its place in the caller's table, once it is started */
    int64_t permitted_boot_us; /* the start of the commit that permits it */
    int64_t taken_boot_us;
    bool is_permit_used;
    const char *refusal; /* the last check said no, a slug, static; NULL: it did not */
    struct provider_outcome
        outcome; /* of a call that ended without a reply; its texts are static */
};

struct job_list {
    struct job *first;
    struct job **last;
};

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
    struct job_list ended;                     /* without a reply */
    struct job *in_flight[HTTP_IN_FLIGHT_MAX]; /* with the client */
    size_t in_flight_n;
    size_t lookups_in_flight;

    struct http_done done[DONE_MAX];
    size_t done_n;
    size_t done_at;
};

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_put(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
}

static struct job *list_take(struct job_list *list)
{
    struct job *job = list->first;

    if (!job)
        return NULL;
    list->first = job->next;
    if (!list->first)
        list->last = &list->first;
    return job;
}

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

    while ((job = list_take(list)))
        job_free(job);
}

/* --- the end of a job that has no reply ------------------------------------------------------- */

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
    list_put(&job->caller->ended, job);
    eventfd_write(job->caller->event_fd, 1);
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

    job->refusal = refusal_of(job);
    if (job->refusal)
        return false;
    if (journal_note(job->caller->journal, job->as.call.attempt, &err) != TH_OK) {
        th_log_error(TH_LOG_ERROR, "dispatch.journal", &err);
        job->refusal = "journal";
        return false;
    }
    job->is_permit_used = true;
    return true;
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

static enum provider_channel provider_channel_of(enum channel channel)
{
    return channel == CHANNEL_CALL ? PROVIDER_CALL : PROVIDER_SMS;
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

static enum th_code build_call(struct caller *caller, struct job *job,
                               const struct provider_account *account, struct http_req *out_req,
                               struct th_err *err)
{
    const struct effect_call *call = &job->as.call;
    char id[TH_ID_TEXT_LEN + 1];
    struct provider_message message = {
        .channel = provider_channel_of(call->channel),
        .to = call->to,
        .from = call->sender,
        .text = call->text,
        .language = call->lang,
    };

    th_id_text(call->attempt.send, id);
    message.attempt = th_arena_printf(&caller->scratch, "%s:%d", id, call->attempt.n);
    if (!message.attempt.p)
        return TH_NOMEM;
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

    if (lookup->provider_id.n > 0)
        return job->wire->lookup_build(account, provider_channel_of(lookup->channel),
                                       lookup->provider_id, &caller->scratch, out_req, err);
    if (!job->wire->search_build)
        return th_fail(err, TH_UNSUPPORTED, "%s: no look-up by recipient", job->wire->name);
    job->search = (struct provider_search){
        .channel = provider_channel_of(lookup->channel),
        .to = lookup->to,
        .from = lookup->sender,
        .not_before_us = lookup->started_us - DISPATCH_SEARCH_BEFORE_US,
        .not_after_us = lookup->started_us + DISPATCH_SEARCH_AFTER_US,
    };
    return job->wire->search_build(account, &job->search, &caller->scratch, out_req, err);
}

/* --- starting --------------------------------------------------------------------------------- */

static enum th_code start_request(struct caller *caller, struct job *job, struct th_err *err)
{
    struct provider_account account = {0};
    struct http_req req = {0};
    struct http_permit permit = {NULL, NULL};
    int32_t lane = job->type == EFFECT_CALL ? job->as.call.lane : job->as.lookup.lane;

    th_arena_reset(&caller->scratch);
    TH_TRY(account_of(caller, lane, &job->wire, &account, err));
    if (job->type == EFFECT_CALL) {
        TH_TRY(build_call(caller, job, &account, &req, err));
        permit = (struct http_permit){may_send, job};
    } else {
        TH_TRY(build_lookup(caller, job, &account, &req, err));
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
    if (job->type == EFFECT_LOOKUP)
        caller->lookups_in_flight++;
}

static void leave_flight(struct caller *caller, struct job *job)
{
    struct job *last = caller->in_flight[--caller->in_flight_n];

    caller->in_flight[job->in_flight_at] = last;
    last->in_flight_at = job->in_flight_at;
    if (job->type == EFFECT_LOOKUP)
        caller->lookups_in_flight--;
}

/* False: there is no room now. */
static bool start_job(struct caller *caller, struct job *job)
{
    struct th_err err = {0};
    enum th_code code;

    if (job->type == EFFECT_CALL && (job->refusal = refusal_of(job))) {
        end_refused(job);
        return true;
    }
    if (caller->in_flight_n == HTTP_IN_FLIGHT_MAX)
        return false;
    code = start_request(caller, job, &err);
    if (code == TH_FULL)
        return false;
    if (code == TH_OK)
        enter_flight(caller, job);
    else
        end_unstarted(job, code, &err);
    return true;
}

static bool start_first(struct caller *caller, struct job_list *list)
{
    struct job *job = list->first;

    list_take(list);
    if (start_job(caller, job))
        return true;
    job->next = list->first;
    list->first = job;
    if (!job->next)
        list->last = &job->next;
    return false;
}

static void start_waiting(struct caller *caller)
{
    while (caller->calls.first)
        if (!start_first(caller, &caller->calls))
            return;
    while (caller->lookups.first && caller->lookups_in_flight < CALLER_LOOKUPS_MAX)
        if (!start_first(caller, &caller->lookups))
            return;
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
    struct th_str **views = job->type == EFFECT_CALL ? of_call : of_lookup;
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
    if (effect->type == EFFECT_CALL)
        job->as.call = effect->as.call;
    else
        job->as.lookup = effect->as.lookup;
    if (!own_texts(job)) {
        end_job(job, PROVIDER_NOT_SENT, PROVIDER_TRANSIENT, "no_resources");
        return;
    }
    list_put(job->type == EFFECT_CALL ? &caller->calls : &caller->lookups, job);
    start_waiting(caller);
}

static void on_run(struct effects *effects, const struct effect *effect, int64_t commit_boot_us)
{
    struct caller *caller = caller_of(effects);

    assert(!effect_is_immediate(effect->type));
    switch (effect->type) {
    case EFFECT_CALL:
    case EFFECT_LOOKUP:
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

/* --- answers ---------------------------------------------------------------------------------- */

/* What the provider said, for a human, without what may be a number or a credential. */
static struct th_str excerpt_of(const struct http_reply *reply, struct th_arena *arena)
{
    struct th_str from = reply->body;
    struct th_str out;
    size_t digits = 0;

    if (from.n > EXCERPT_MAX)
        from.n = EXCERPT_MAX;
    while (from.n > 0 && !th_str_is_utf8(from))
        from.n--;
    if (th_arena_copy(arena, from, &out) != TH_OK)
        return (struct th_str){NULL, 0};
    for (size_t i = 0; i < out.n; i++) {
        bool is_alnum = (out.p[i] >= '0' && out.p[i] <= '9') ||
                        (out.p[i] >= 'a' && out.p[i] <= 'f') ||
                        (out.p[i] >= 'A' && out.p[i] <= 'F');

        digits = is_alnum ? digits + 1 : 0;
        if (digits > DIGITS_SHOWN)
            ((char *)out.p)[i] = '*';
    }
    return out;
}

static struct provider_outcome outcome_of(const struct job *job, const struct http_reply *reply,
                                          struct th_arena *arena)
{
    struct provider_outcome outcome = {0};

    if (job->refusal && !reply->may_have_left)
        return (struct provider_outcome){
            .result = PROVIDER_NOT_SENT, .reason = th_str(job->refusal), .retry_after_us = -1};
    if (job->wire->parse(provider_channel_of(job->as.call.channel), reply, arena, &outcome) ==
        TH_OK)
        return outcome;
    /* It may have been executed; the answer that would tell could not be read. */
    return (struct provider_outcome){.result = reply->may_have_left ? PROVIDER_UNKNOWN
                                                                    : PROVIDER_NOT_SENT,
                                     .error_class = PROVIDER_TRANSIENT,
                                     .reason = TH_STR("no_resources"),
                                     .retry_after_us = -1};
}

static bool is_worth_an_excerpt(const struct provider_outcome *outcome)
{
    return outcome->result == PROVIDER_UNKNOWN ||
           (outcome->result == PROVIDER_REJECTED && outcome->error_class != PROVIDER_PERMANENT);
}

static void answer_call(const struct job *job, const struct http_reply *reply,
                        struct th_arena *arena, struct answer *out)
{
    struct provider_outcome outcome = reply ? outcome_of(job, reply, arena) : job->outcome;

    *out = (struct answer){
        .type = ANSWER_CALL_ENDED,
        .as.call_ended =
            {
                .attempt = job->as.call.attempt,
                .outcome = outcome,
                .http_status = reply ? reply->status : 0,
                .call_us = th_clock_boottime_us(job->caller->config.clock) - job->taken_boot_us,
            },
    };
    if (reply && reply->body.n > 0 && is_worth_an_excerpt(&outcome))
        out->as.call_ended.excerpt = excerpt_of(reply, arena);
}

static void answer_lookup(const struct job *job, const struct http_reply *reply,
                          struct th_arena *arena, struct answer *out)
{
    struct provider_lookup lookup = {.result = PROVIDER_ASK_AGAIN, .retry_after_us = -1};
    enum th_code code = TH_OK;

    if (!reply)
        lookup.result =
            job->outcome.result == PROVIDER_NOT_SENT ? PROVIDER_ASK_AGAIN : PROVIDER_ASK_REFUSED;
    else if (job->as.lookup.provider_id.n > 0)
        code = job->wire->lookup_parse(provider_channel_of(job->as.lookup.channel), reply, arena,
                                       &lookup);
    else
        code = job->wire->search_parse(&job->search, reply, arena, &lookup);
    if (code != TH_OK)
        lookup = (struct provider_lookup){.result = PROVIDER_ASK_AGAIN, .retry_after_us = -1};
    *out = (struct answer){
        .type = ANSWER_LOOKUP_ENDED,
        .as.lookup_ended = {job->as.lookup.attempt, lookup},
    };
}

static void answer_job(struct job *job, const struct http_reply *reply, struct th_arena *arena,
                       struct answer *out)
{
    if (job->type == EFFECT_CALL)
        answer_call(job, reply, arena, out);
    else
        answer_lookup(job, reply, arena, out);
    job_free(job);
}

static bool take_done(struct caller *caller)
{
    if (caller->done_at < caller->done_n)
        return true;
    caller->done_at = 0;
    caller->done_n = http_poll(caller->config.http, caller->done, DONE_MAX);
    return caller->done_n > 0;
}

static bool on_poll(struct effects *effects, struct th_arena *arena, struct answer *out)
{
    struct caller *caller = caller_of(effects);
    struct job *job;

    if (!caller->ended.first && take_done(caller)) {
        struct http_done *done = &caller->done[caller->done_at++];

        job = (struct job *)(uintptr_t)done->tag; /* NOLINT(performance-no-int-to-ptr): our own */
        leave_flight(caller, job);
        answer_job(job, &done->reply, arena, out);
        start_waiting(caller);
        return true;
    }
    job = list_take(&caller->ended);
    if (job)
        answer_job(job, NULL, arena, out);
    if (!caller->ended.first) {
        eventfd_t ignored;

        eventfd_read(caller->event_fd, &ignored);
    }
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
    list_init(&caller->calls);
    list_init(&caller->lookups);
    list_init(&caller->ended);
    th_arena_init(&caller->scratch, SCRATCH_MAX);
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
    if (!caller)
        return;
    list_free(&caller->calls);
    list_free(&caller->lookups);
    list_free(&caller->ended);
    for (size_t i = 0; i < caller->in_flight_n; i++)
        job_free(caller->in_flight[i]);
    journal_close(caller->journal);
    if (caller->event_fd >= 0)
        close(caller->event_fd);
    if (caller->epoll_fd >= 0)
        close(caller->epoll_fd);
    th_arena_fini(&caller->scratch);
    free(caller);
}

struct effects *caller_effects(struct caller *caller)
{
    return &caller->effects;
}
