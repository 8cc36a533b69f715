/* steps.h - what the parts of the model share; protocol.h is what others include. */
#ifndef TELEHUB_TESTS_MODEL_STEPS_H
#define TELEHUB_TESTS_MODEL_STEPS_H

#include "tests/model/protocol.h"

/* Kinds of step. Goals are reached by progress, or by progress and relief. */
enum kind {
    PROGRESS = 1, /* what the installation does by itself, given time */
    RELIEF = 2,   /* an operator resumes a campaign, releases a stop */
    COMMAND = 4,  /* any other command */
    FAULT = 8,
};

/* name, sentence: {s} recipient, {n} attempt, {h} process; of a commit the way it ended follows */
#define ACTIONS(X)                                                                                 \
    X(RELEASE, "campaign releases {s}")                                                            \
    X(GRANT, "campaign answers the ask of {s} with another release")                               \
    X(READ_PROGRESS, "campaign reads the next record of campaign.progress")                        \
    X(CAMPAIGN_SEES_STOP, "campaign reads the tenant's stop, or its release")                      \
    X(PAUSE_COMMAND, "a pause is commanded: campaign is pausing")                                  \
    X(RESUME_COMMAND, "a resume is commanded: campaign is running")                                \
    X(CANCEL_COMMAND, "a cancel is commanded")                                                     \
    X(STOP_COMMAND, "the tenant is stopped")                                                       \
    X(RELEASE_STOP_COMMAND, "the tenant's stop is released")                                       \
    X(OPTS_OUT, "{s} opts out")                                                                    \
    X(CAMPAIGN_CRASHES, "campaign is killed and rebuilt from its own events")                      \
    X(READ_REQUEST, "retry reads the next request: {s}")                                           \
    X(COMES_DUE, "for {s} the time has come: retry plans attempt {n}, or parks or ends the send")  \
    X(BACK_OFF_OVER, "the back-off of {s} is over: retry asks for a release, or parks or ends")    \
    X(REPORT_WAIT_OVER, "retry waits no longer for a report on {s}")                               \
    X(WALK, "retry's walk reaches {s}: it asks again, or ends as cancelled")                       \
    X(READ_OUTCOME, "retry reads the next outcome: {s}, attempt {n}")                              \
    X(REPLAN, "retry plans attempt {n} of {s} elsewhere without having the one before back")       \
    X(RETRY_SEES_CONTROL, "retry's table reads campaign.control")                                  \
    X(RETRY_SEES_STOP, "retry's table reads the tenant's stop, or its release")                    \
    X(RETRY_SEES_OPT_OUT, "retry's table reads the opt-out of {s}")                                \
    X(RETRY_APPLIES, "retry applies what it read of campaign.control")                             \
    X(RETRY_CRASHES, "retry is killed and rebuilt from its own events")                            \
    X(START, "process {h} commits AttemptStarted of {s}, attempt {n}")                             \
    X(HAND_BACK, "process {h} hands attempt {n} of {s} back: pause, stop, cancel or opt-out")      \
    X(HAND_BACK_LATE, "send_by passes: process {h} hands attempt {n} of {s} back")                 \
    X(HAND_BACK_CIRCUIT, "the circuit opens: process {h} hands attempt {n} of {s} back")           \
    X(LOOK, "process {h} looks a last time and journals attempt {n} of {s}, or gives it up")       \
    X(WINDOW_PASSES, "5 s pass: process {h} gives its permit for attempt {n} of {s} up")           \
    X(JOURNAL_FAILS, "the send journal cannot be written: attempt {n} of {s} is not sent")         \
    X(FIRST_BYTE, "process {h} writes the request of attempt {n} of {s}")                          \
    X(RESEND, "process {h} found attempt {n} of {s} started and takes a permit for it")            \
    X(REPEAT, "process {h} takes a permit to repeat attempt {n} of {s} with its key")              \
    X(WANT_RELEASE, "process {h} commits that a repeat of attempt {n} of {s} wants a release")     \
    X(READ_RELEASE, "process {h} commits that it has read the release for attempt {n} of {s}")     \
    X(RELEASE_PASSES, "the time of the release for the repeat of attempt {n} of {s} passes")       \
    X(PUT_AWAY, "process {h} learns nothing from its repeat of attempt {n} of {s}")                \
    X(RESULT, "process {h} commits what it knows of attempt {n} of {s}")                           \
    X(RESOLVE,                                                                                     \
      "process {h} found attempt {n} of {s} started: NOT_SENT by the journal, or UNKNOWN")         \
    X(READ_CALLBACK, "process {h} reads the callback of attempt {n} of {s}")                       \
    X(READ_CALLBACK_AGAIN, "process {h} reads the callback of attempt {n} of {s}; it will repeat") \
    X(WINDOW_OVER, "no callback came: process {h} commits that {s}, attempt {n}, is in doubt")     \
    X(LOOK_UP, "process {h} looks attempt {n} of {s} up and commits what the provider says")       \
    X(DISPATCH_SEES_CONTROL, "dispatch's table reads campaign.control")                            \
    X(DISPATCH_SEES_STOP, "dispatch's table reads the tenant's stop, or its release")              \
    X(DISPATCH_SEES_OPT_OUT, "dispatch's table reads the opt-out of {s}")                          \
    X(DISPATCH_APPLIES, "process {h} applies what dispatch read of campaign.control")              \
    X(OPEN, "process {h} opens a session of dispatch's slot")                                      \
    X(REOPEN, "process {h} re-opens the session and asks the log how its commit ended")            \
    X(FENCED, "process {h} finds that another owns the slot and drops everything")                 \
    X(FROZEN, "process {h} freezes; the other one takes the slot over")                            \
    X(KILLED, "process {h} is killed")                                                             \
    X(POWER_LOST, "the power fails; the send journals are not believed afterwards")                \
    X(KEY_FORGOTTEN, "the provider forgets the key of attempt {n} of {s}")                         \
    X(DROP_REPEAT, "the provider knows the key of attempt {n} of {s} and calls nobody")            \
    X(EXECUTE, "the provider calls {s} (attempt {n})")                                             \
    X(REFUSED, "the provider refuses attempt {n} of {s}")                                          \
    X(VANISH, "the request of attempt {n} of {s} never arrives; the caller times out")             \
    X(ANSWER, "the answer to attempt {n} of {s} arrives")                                          \
    X(NO_ANSWER, "the answer to attempt {n} of {s} does not arrive; the caller times out")         \
    X(CALL_BACK, "the gateway appends the callback of attempt {n} of {s}")                         \
    X(CALL_BACK_FAILED, "the gateway appends that {s} did not answer attempt {n}")                 \
    X(CALL_BACK_PROOF, "the gateway appends that {s} did answer attempt {n}, after all")           \
    X(NO_CALL_BACK, "the callback of attempt {n} of {s} is lost")

enum action {
#define ACTION_NAME(name, says) DO_##name,
    ACTIONS(ACTION_NAME)
#undef ACTION_NAME
};

/* explore_step: a send, b attempt, c process in the low bit, then the fate of a commit. */
enum fate { ANSWERED, LOST_BUT_DONE, LOST_AND_UNDONE };

/* One expansion: steps go from *before to the sink. */
struct expansion {
    const struct scenario *scenario;
    const struct world *before;
    struct explore_sink *sink;
};

static inline struct explore_step step_of(enum action action, enum kind kind)
{
    return (struct explore_step){.action = (uint8_t)action, .kind = (uint8_t)kind};
}

static inline struct explore_step step_on(enum action action, enum kind kind, unsigned s,
                                          unsigned n, unsigned host)
{
    return (struct explore_step){.action = (uint8_t)action,
                                 .kind = (uint8_t)kind,
                                 .a = (uint8_t)s,
                                 .b = (uint8_t)n,
                                 .c = (uint8_t)host};
}

/* after is brought into its normal form first. */
void emit(const struct expansion *x, struct explore_step step, struct world *after);

/* One of what the scenario bounds is left, and is used up. */
bool use_up(struct world *w, enum event event);

static inline bool mutated(const struct expansion *x, enum mutation mutation)
{
    return x->scenario->mutation == mutation;
}

/* Queues. A full one is a flaw: the bounds of protocol.h are then too small. */
void push_request(struct world *w, enum request_kind kind, unsigned s);
void push_outcome(struct world *w, unsigned s, unsigned n, enum outcome_kind kind);
void push_progress(struct world *w, struct progress record);
void push_plan(struct world *w, unsigned s);
void push_repeat(struct world *w, unsigned s); /* a release for a repeat of the latest attempt */
struct request pop_request(struct world *w);
struct outcome pop_outcome(struct world *w);
struct progress pop_progress(struct world *w);

/* Attempt n of send s: one of the latest TRIES_KEPT. */
static inline struct attempt *attempt_of(struct world *w, unsigned s, unsigned n)
{
    return &w->sends[s].tries_kept[n % TRIES_KEPT];
}

/* Whether any process has it in hand like that. */
static inline bool is_in_any_hand(const struct attempt *attempt, enum hand hand)
{
    return attempt->hand[0] == hand || attempt->hand[1] == hand;
}

/* The request may still leave some process. */
static inline bool may_leave(const struct attempt *attempt)
{
    return is_in_any_hand(attempt, PERMIT) || is_in_any_hand(attempt, AT_THE_DOOR);
}

/* Calls visit for every attempt that is told apart. */
void each_attempt(const struct expansion *x,
                  void (*visit)(const struct expansion *x, unsigned s, unsigned n));

static inline bool is_settled(unsigned standing)
{
    return standing == ACCEPTED || standing == IN_DOUBT || standing == ENDED ||
           standing == SUPPRESSED;
}

/* A send that holds a release counts in the look-ahead. */
bool holds_release(const struct scenario *scenario, unsigned standing);

/* As far as a processor knows: its table may be ahead of what it applied. */
bool sees_cancel(const struct world *w, const struct reference *reference);
bool sees_pause(const struct world *w, const struct reference *reference);
static inline bool sees_stop(const struct reference *reference)
{
    return reference->stop_seen % 2 == 1;
}

/* Steps by which a processor's table follows the reference topics; the three actions in a row. */
void reference_steps(const struct expansion *x, size_t offset_of_reference, enum action control);

void campaign_steps(const struct expansion *x);
void retry_steps(const struct expansion *x);
void dispatch_steps(const struct expansion *x);
void session_steps(const struct expansion *x);
void provider_steps(const struct expansion *x);

#endif
