#include "tests/simulation/coverage.h"

#include "processors/campaign/campaign.h"
#include "processors/dispatch/dispatch.h"
#include "processors/retry/retry.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* Which cells there are. Of a row, one letter a column:
 *   o  every run of SEEDS_USUAL seeds must reach it
 *   r  rare: every run of SEEDS_MANY must
 *   s  seldom: it can be reached, and not even SEEDS_MANY do so for certain
 *   ~  only an owner gets there that has lost the slot, or is about to: it may, or not
 *   .  nothing that can happen leads there
 */
#define SEEDS_USUAL 3000U
#define SEEDS_MANY  100000U

struct row {
    const char *says;
    const char *cells;
};

/* --- campaign: a command × where the campaign stands -------------------------------------------
 */

enum { FOR_CREATE, FOR_START, FOR_PAUSE, FOR_RESUME, FOR_CANCEL, FOR_PACE };

static const char *const campaign_columns[] = {"none",      "draft",      "starting",
                                               "running",   "pausing",    "paused",
                                               "completed", "cancelling", "cancelled"};

static_assert(TH_LEN(campaign_columns) == CAMPAIGN_PHASES + 1, "a column for each phase, and one");

static const struct row campaign_rows[] = {
    [FOR_CREATE] = {"create", "o~~~~~~~~"}, [FOR_START] = {"start", "ro~r~~~~r"},
    [FOR_PAUSE] = {"pause", "ooroooooo"},   [FOR_RESUME] = {"resume", "oo~oooooo"},
    [FOR_CANCEL] = {"cancel", "orroroooo"}, [FOR_PACE] = {"pace", "ooroooooo"},
};

/* --- retry: an outcome × where the send stands -------------------------------------------------
 */

enum {
    R_ACCEPTED,
    R_REJECTED,
    R_ACCOUNT,
    R_THROTTLED,
    R_NOT_CONNECTED,
    R_REFUSED_BY_US,
    R_UNKNOWN,
    R_TAKEN,
    R_FOUND,
    R_JOURNAL,
    R_NOT_EXECUTED,
    R_IN_DOUBT,
    R_LATE,
    R_CIRCUIT,
    R_PAUSED,
    R_STOPPED,
    R_CANCELLED,
    R_OPTED_OUT,
    R_EXPIRED,
    R_LANE_OFF,
    R_ON_ITS_WAY,
    R_REACHED,
    R_REACHED_BEFORE,
    R_UNREACHED_NOW,
    R_UNREACHED,
    R_PRICED,
    R_REPEAT_WANTED,
    R_RELEASE,
};

static const char *const retry_columns[] = {"released", "planned", "accepted", "unknown", "waiting",
                                            "asked",    "parked",  "laneless", "later n", "gone"};
static_assert(TH_LEN(retry_columns) == SEND_STANDS + 2, "a column for each stand, and two more");
enum { LATER_N = SEND_STANDS, GONE };

static const struct row retry_rows[] = {
    [R_ACCEPTED] = {"result: accepted", "~o~o~~~~oo"},
    [R_REJECTED] = {"result: rejected", "~o~o~~~~~~"},
    [R_ACCOUNT] = {"result: account refused", "~o~r~~~~~~"},
    [R_THROTTLED] = {"result: throttled", "~o~r~~~~~~"},
    [R_NOT_CONNECTED] = {"result: not sent, no connection", "~o~~~~~~~~"},
    [R_REFUSED_BY_US] = {"result: not sent, the last look", "~o~o~~~~~~"},
    [R_UNKNOWN] = {"result: unknown", "~o~~~~~~oo"},
    [R_TAKEN] = {"result: unknown, taken without an id", "~o~~~~~~rr"},
    [R_FOUND] = {"resolved: accepted", "~o~o~~~~oo"},
    [R_JOURNAL] = {"resolved: not sent, says the journal", "~o~~~~~~~~"},
    [R_NOT_EXECUTED] = {"resolved: not executed", "~.~o~~~~~~"},
    [R_IN_DOUBT] = {"resolved: in doubt", "~.~o~~~~~~"},
    [R_LATE] = {"returned: late", "~o~~~~~~~~"},
    [R_CIRCUIT] = {"returned: circuit open", "~o~~~~~~~~"},
    [R_PAUSED] = {"returned: paused", "~o~~~~~~~~"},
    [R_STOPPED] = {"returned: stopped", "~o~~~~~~~~"},
    [R_CANCELLED] = {"returned: cancelled", "~o~~~~~~~~"},
    [R_OPTED_OUT] = {"returned: opted out", "~o~~~~~~~~"},
    [R_EXPIRED] = {"returned: expired", "~o~~~~~~~~"},
    [R_LANE_OFF] = {"returned: lane switched off", "~o~~~~~~~~"},
    [R_ON_ITS_WAY] = {"reported: on its way", "oro~ror~oo"},
    [R_REACHED] = {"reported: reached", "oro~orrs~o"},
    [R_REACHED_BEFORE] = {"reported: reached, by one before", "soorrrss.."},
    [R_UNREACHED_NOW] = {"reported: not reached, try again", "r~o~rr~~ro"},
    [R_UNREACHED] = {"reported: not reached", "~~o~r~~~ro"},
    [R_PRICED] = {"priced", "or~~oor~oo"},
    [R_REPEAT_WANTED] = {"a repeat wants a release", "~~~o~~~~~~"},
    [R_RELEASE] = {"another release", "~~ro~o~~~o"},
};

/* --- dispatch: what becomes of a call × where the attempt stands -------------------------------
 */

enum {
    D_ACCEPTED,
    D_REJECTED,
    D_ACCOUNT,
    D_THROTTLED,
    D_NOT_CONNECTED,
    D_REFUSED_BY_US,
    D_UNKNOWN,
    D_TAKEN,
    D_REPEAT_ACCEPTED,
    D_REPEAT_FAILED,
    D_FOUND,
    D_ABSENT,
    D_ASK_AGAIN,
    D_SILENT,
    D_JOURNALLED,
    D_ON_ITS_WAY,
    D_FINAL,
    D_RELEASE,
};

static const char *const dispatch_columns[] = {"started", "unknown", "accepted", "gone"};
enum { D_GONE = ATTEMPT_ACCEPTED + 1 };

static const struct row dispatch_rows[] = {
    [D_ACCEPTED] = {"call: accepted", "oooo"},
    [D_REJECTED] = {"call: rejected", "or.r"},
    [D_ACCOUNT] = {"call: account refused", "or.~"},
    [D_THROTTLED] = {"call: throttled", "or.s"},
    [D_NOT_CONNECTED] = {"call: no connection", "o~.~"},
    [D_REFUSED_BY_US] = {"call: not sent, the last look", "oo.o"},
    [D_UNKNOWN] = {"call: unknown", "oooo"},
    [D_TAKEN] = {"call: unknown, taken without an id", "oror"},
    [D_REPEAT_ACCEPTED] = {"repeat: accepted", ".o~~"},
    [D_REPEAT_FAILED] = {"repeat: not accepted", ".o~~"},
    [D_FOUND] = {"look-up: found", ".ooo"},
    [D_ABSENT] = {"look-up: not known there", ".orr"},
    [D_ASK_AGAIN] = {"look-up: no answer", ".ooo"},
    [D_SILENT] = {"journal: silent", "o~~r"},
    [D_JOURNALLED] = {"journal: not there, or has it", "oror"},
    [D_ON_ITS_WAY] = {"callback: on its way", "oooo"},
    [D_FINAL] = {"callback: final", "oooo"},
    [D_RELEASE] = {"a release for a repeat", "~oss"},
};

/* --- what went wrong, and what people did ------------------------------------------------------
 */

static const char *const trouble_columns[] = {"times"};

static const struct row trouble_rows[] = {
#define TROUBLE_ROW(name, says) {says, "o"},
    TROUBLES(TROUBLE_ROW)
#undef TROUBLE_ROW
};

/* --- the tables --------------------------------------------------------------------------------
 */

static const struct table_of {
    const char *says;
    const char *const *columns;
    size_t columns_n;
    const struct row *rows;
    size_t rows_n;
} tables[] = {
    {"campaign: a command, and where the campaign stands", campaign_columns,
     TH_LEN(campaign_columns), campaign_rows, TH_LEN(campaign_rows)},
    {"retry: an outcome, and where the send stands", retry_columns, TH_LEN(retry_columns),
     retry_rows, TH_LEN(retry_rows)},
    {"dispatch: what is heard of an attempt, and where it stands", dispatch_columns,
     TH_LEN(dispatch_columns), dispatch_rows, TH_LEN(dispatch_rows)},
    {"what went wrong, and what people did", trouble_columns, TH_LEN(trouble_columns), trouble_rows,
     TH_LEN(trouble_rows)},
};
enum { OF_CAMPAIGN, OF_RETRY, OF_DISPATCH, OF_TROUBLE };

static struct coverage *counted; /* NULL: nowhere */

static size_t cell_of(size_t table, size_t row, size_t column)
{
    size_t at = 0;

    for (size_t t = 0; t < table; t++)
        at += tables[t].rows_n * tables[t].columns_n;
    at += row * tables[table].columns_n + column;
    assert(at < COVERAGE_CELLS_MAX);
    return at;
}

static void count(size_t table, int row, int column)
{
    if (!counted || row < 0)
        return;
    assert((size_t)row < tables[table].rows_n);
    assert((size_t)column < tables[table].columns_n);
    counted->cells[cell_of(table, (size_t)row, (size_t)column)]++;
}

void coverage_into(struct coverage *coverage)
{
    counted = coverage;
}

void coverage_trouble(enum trouble trouble)
{
    count(OF_TROUBLE, (int)trouble, 0);
}

/* --- watching ----------------------------------------------------------------------------------
 */

static int command_row(const struct event *event, struct th_id *out_campaign)
{
    switch ((int)event->type) { /* what else campaign reads is no command */
    case EVENT_CREATE_CAMPAIGN:
        *out_campaign = event->as.create_campaign.campaign;
        return FOR_CREATE;
    case EVENT_START_CAMPAIGN:
        *out_campaign = event->as.start_campaign.campaign;
        return FOR_START;
    case EVENT_PAUSE_CAMPAIGN:
        *out_campaign = event->as.pause_campaign.campaign;
        return FOR_PAUSE;
    case EVENT_RESUME_CAMPAIGN:
        *out_campaign = event->as.resume_campaign.campaign;
        return FOR_RESUME;
    case EVENT_CANCEL_CAMPAIGN:
        *out_campaign = event->as.cancel_campaign.campaign;
        return FOR_CANCEL;
    case EVENT_SET_CAMPAIGN_PACE:
        *out_campaign = event->as.set_campaign_pace.campaign;
        return FOR_PACE;
    default:
        return -1;
    }
}

static enum th_code watch_campaign(void *core, const struct input *in, struct core_output *out)
{
    struct campaign_counts counts;
    struct th_id id;
    int row = in->type == INPUT_EVENT ? command_row(in->event, &id) : -1;

    if (row >= 0)
        count(OF_CAMPAIGN, row, campaign_look(core, id, &counts) ? 1 + (int)counts.phase : 0);
    return campaign_core.decide(core, in, out);
}

static int result_row(const struct attempt_result *ev)
{
    switch (ev->outcome) {
    case ATTEMPT_OUTCOME_ACCEPTED:
        return R_ACCEPTED;
    case ATTEMPT_OUTCOME_REJECTED:
        return ev->error_class == ERROR_CLASS_ACCOUNT ? R_ACCOUNT : R_REJECTED;
    case ATTEMPT_OUTCOME_THROTTLED:
        return R_THROTTLED;
    case ATTEMPT_OUTCOME_NOT_SENT:
        return ev->error_class == ERROR_CLASS_NONE ? R_REFUSED_BY_US : R_NOT_CONNECTED;
    case ATTEMPT_OUTCOME_UNKNOWN:
        return ev->accepted_without_id ? R_TAKEN : R_UNKNOWN;
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
        return R_NOT_EXECUTED;
    case ATTEMPT_OUTCOME_IN_DOUBT:
        return R_IN_DOUBT;
    }
    return -1;
}

static int resolved_row(enum attempt_outcome outcome)
{
    switch (outcome) {
    case ATTEMPT_OUTCOME_ACCEPTED:
        return R_FOUND;
    case ATTEMPT_OUTCOME_NOT_SENT:
        return R_JOURNAL;
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
        return R_NOT_EXECUTED;
    case ATTEMPT_OUTCOME_IN_DOUBT:
        return R_IN_DOUBT;
    case ATTEMPT_OUTCOME_REJECTED:
    case ATTEMPT_OUTCOME_THROTTLED:
    case ATTEMPT_OUTCOME_UNKNOWN:
        return -1;
    }
    return -1;
}

static int returned_row(struct th_str reason)
{
    static const struct {
        const char *reason;
        int row;
    } reasons[] = {{"late", R_LATE},       {"circuit_open", R_CIRCUIT},  {"paused", R_PAUSED},
                   {"stopped", R_STOPPED}, {"cancelled", R_CANCELLED},   {"opted_out", R_OPTED_OUT},
                   {"expired", R_EXPIRED}, {"lane_disabled", R_LANE_OFF}};

    for (size_t i = 0; i < TH_LEN(reasons); i++)
        if (th_str_eq(reason, th_str(reasons[i].reason)))
            return reasons[i].row;
    return -1;
}

static int reported_row(const struct attempt_reported *ev)
{
    if (!ev->is_final)
        return R_ON_ITS_WAY;
    if (ev->is_positive)
        return R_REACHED;
    return ev->error_class == ERROR_CLASS_TRANSIENT ? R_UNREACHED_NOW : R_UNREACHED;
}

static int outcome_row(const struct event *event, struct attempt_ref *out)
{
    switch ((int)event->type) { /* the rest is a first request */
    case EVENT_ATTEMPT_RESULT:
        *out = (struct attempt_ref){event->as.attempt_result.send, event->as.attempt_result.n};
        return result_row(&event->as.attempt_result);
    case EVENT_ATTEMPT_RESOLVED:
        *out = (struct attempt_ref){event->as.attempt_resolved.send, event->as.attempt_resolved.n};
        return resolved_row(event->as.attempt_resolved.outcome);
    case EVENT_ATTEMPT_RETURNED:
        *out = (struct attempt_ref){event->as.attempt_returned.send, event->as.attempt_returned.n};
        return returned_row(event->as.attempt_returned.reason);
    case EVENT_ATTEMPT_REPORTED:
        *out = (struct attempt_ref){event->as.attempt_reported.send, event->as.attempt_reported.n};
        return reported_row(&event->as.attempt_reported);
    case EVENT_ATTEMPT_PRICED:
        *out = (struct attempt_ref){event->as.attempt_priced.send, event->as.attempt_priced.n};
        return R_PRICED;
    case EVENT_REPEAT_WANTED:
        *out = (struct attempt_ref){event->as.repeat_wanted.send, event->as.repeat_wanted.n};
        return R_REPEAT_WANTED;
    case EVENT_SEND_RELEASED:
        *out = (struct attempt_ref){event->as.send_released.send, 0};
        return R_RELEASE;
    default:
        return -1;
    }
}

static enum th_code watch_retry(void *core, const struct input *in, struct core_output *out)
{
    struct attempt_ref ref;
    enum send_stand stand;
    int32_t n;
    int row = in->type == INPUT_EVENT ? outcome_row(in->event, &ref) : -1;

    if (row >= 0 && !retry_look(core, ref.send, &stand, &n))
        count(OF_RETRY, row, GONE);
    else if (row == R_REACHED && n > ref.n)
        count(OF_RETRY, R_REACHED_BEFORE, (int)stand);
    else if (row >= 0)
        count(OF_RETRY, row, n == ref.n || row == R_RELEASE ? (int)stand : LATER_N);
    return retry_core.decide(core, in, out);
}

static int call_row(const struct provider_outcome *outcome)
{
    switch (outcome->result) {
    case PROVIDER_ACCEPTED:
        return D_ACCEPTED;
    case PROVIDER_REJECTED:
        return outcome->is_account_refused ? D_ACCOUNT : D_REJECTED;
    case PROVIDER_THROTTLED:
        return D_THROTTLED;
    case PROVIDER_NOT_SENT:
        return outcome->error_class == PROVIDER_CLASS_NONE ? D_REFUSED_BY_US : D_NOT_CONNECTED;
    case PROVIDER_UNKNOWN:
        return outcome->is_accepted_without_id ? D_TAKEN : D_UNKNOWN;
    }
    return -1;
}

static int lookup_row(enum provider_lookup_result result)
{
    switch (result) {
    case PROVIDER_FOUND:
        return D_FOUND;
    case PROVIDER_ABSENT:
        return D_ABSENT;
    case PROVIDER_ASK_AGAIN:
    case PROVIDER_ASK_REFUSED:
        return D_ASK_AGAIN;
    }
    return -1;
}

static int answer_row(const struct answer *answer, struct attempt_ref *out)
{
    switch ((int)answer->type) { /* the rest is not for dispatch */
    case ANSWER_CALL_ENDED:
        *out = answer->as.call_ended.attempt;
        return call_row(&answer->as.call_ended.outcome);
    case ANSWER_REPEAT_ENDED:
        *out = answer->as.call_ended.attempt;
        return answer->as.call_ended.outcome.result == PROVIDER_ACCEPTED ? D_REPEAT_ACCEPTED
                                                                         : D_REPEAT_FAILED;
    case ANSWER_LOOKUP_ENDED:
        *out = answer->as.lookup_ended.attempt;
        return lookup_row(answer->as.lookup_ended.lookup.result);
    case ANSWER_JOURNAL_TOLD:
        *out = answer->as.journal_told.attempt;
        return answer->as.journal_told.is_silent ? D_SILENT : D_JOURNALLED;
    default:
        return -1;
    }
}

/* The simulation's wire begins with the number of the status. */
static int callback_row(const struct callback_received *ev, struct attempt_ref *out)
{
    int status = 0;
    struct th_str body = ev->body.as.string;

    *out = (struct attempt_ref){ev->send, ev->n};
    for (size_t i = 0; i < body.n && body.p[i] >= '0' && body.p[i] <= '9'; i++)
        status = 10 * status + body.p[i] - '0';
    return provider_status_is_final((enum provider_status)status) ? D_FINAL : D_ON_ITS_WAY;
}

static int64_t pretended[TOPIC_COUNT];

void coverage_pretend_unread(int64_t callbacks)
{
    pretended[TOPIC_PROVIDER_CALLBACKS] = callbacks;
}

static enum th_code pretend(void *core, const struct input *in, struct core_output *out)
{
    struct input told = *in;

    if (pretended[TOPIC_PROVIDER_CALLBACKS])
        told.unread = pretended;
    enum th_code code = dispatch_core.decide(core, &told, out);
    if (dispatch_is_held(core) && dispatch_waiting(core) > 0)
        count(OF_TROUBLE, TROUBLE_HELD, 0);
    return code;
}

static enum th_code watch_dispatch(void *core, const struct input *in, struct core_output *out)
{
    struct attempt_ref ref;
    enum attempt_stand stand;
    int row = -1;

    if (in->type == INPUT_ANSWER)
        row = answer_row(in->answer, &ref);
    else if (in->type == INPUT_EVENT && in->event->type == EVENT_CALLBACK_RECEIVED)
        row = callback_row(&in->event->as.callback_received, &ref);
    else if (in->type == INPUT_EVENT && in->event->type == EVENT_REPEAT_RELEASED) {
        ref = (struct attempt_ref){in->event->as.repeat_released.send,
                                   in->event->as.repeat_released.n};
        row = D_RELEASE;
    }
    if (row >= 0)
        count(OF_DISPATCH, row, dispatch_look(core, ref, &stand) ? (int)stand : D_GONE);
    return pretend(core, in, out);
}

const struct core_ops *coverage_watch(const struct core_ops *core)
{
    static struct core_ops watched[3];
    static const struct {
        const struct core_ops *core;
        enum th_code (*decide)(void *core, const struct input *in, struct core_output *out);
    } watchers[] = {{&campaign_core, watch_campaign},
                    {&retry_core, watch_retry},
                    {&dispatch_core, watch_dispatch}};

    for (size_t i = 0; i < TH_LEN(watchers); i++)
        if (watchers[i].core == core) {
            watched[i] = *core;
            watched[i].decide = watchers[i].decide;
            return &watched[i];
        }
    return core;
}

/* --- telling -----------------------------------------------------------------------------------
 */

void coverage_add(struct coverage *to, const struct coverage *from)
{
    for (size_t i = 0; i < COVERAGE_CELLS_MAX; i++)
        to->cells[i] += from->cells[i];
}

static const char *objection(char cell, uint64_t n, uint64_t seeds)
{
    if (cell == '.')
        return n ? "cannot be reached, as coverage.c says, and was" : NULL;
    if (n || strchr("~s", cell) || seeds < SEEDS_USUAL || (cell == 'r' && seeds < SEEDS_MANY))
        return NULL;
    return "can be reached, as coverage.c says, and was not";
}

static bool report_table(const struct coverage *coverage, size_t t, uint64_t seeds, FILE *out)
{
    const struct table_of *table = &tables[t];
    bool is_good = true;

    fprintf(out, "\n%-38s", table->says);
    if (strlen(table->says) >= 38)
        fprintf(out, "\n%-38s", "");
    for (size_t c = 0; c < table->columns_n; c++)
        fprintf(out, "%10s", table->columns[c]);
    for (size_t r = 0; r < table->rows_n; r++) {
        assert(strlen(table->rows[r].cells) == table->columns_n);
        fprintf(out, "\n  %-36s%s", table->rows[r].says,
                strlen(table->rows[r].says) > 36 && table->columns_n == 1 ? " " : "");
        for (size_t c = 0; c < table->columns_n; c++) {
            uint64_t n = coverage->cells[cell_of(t, r, c)];
            if (n || strchr("ors", table->rows[r].cells[c]))
                fprintf(out, "%10" PRIu64, n);
            else
                fprintf(out, "%10s", ".");
        }
    }
    fprintf(out, "\n");
    for (size_t r = 0; r < table->rows_n; r++)
        for (size_t c = 0; c < table->columns_n; c++) {
            const char *says =
                objection(table->rows[r].cells[c], coverage->cells[cell_of(t, r, c)], seeds);
            if (says)
                fprintf(out, "FAILED: %s × %s %s\n", table->rows[r].says, table->columns[c], says);
            is_good = is_good && !says;
        }
    return is_good;
}

bool coverage_report(const struct coverage *coverage, uint64_t seeds, FILE *out)
{
    bool is_good = true;

    for (size_t t = 0; t < TH_LEN(tables); t++)
        is_good = report_table(coverage, t, seeds, out) && is_good;
    return is_good;
}
