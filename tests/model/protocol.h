/* protocol.h - the protocol between campaign, retry and dispatch as a model that can be explored.
 *
 * A struct world is one moment of a whole installation: what stands on the log (each processor's
 * state as its own events give it, the unread records between processors), what is only in the
 * memory of the processes that own dispatch's slot, what is on the wire, and what the provider has
 * done. README.md says what is modelled and what is left out.
 *
 * A struct scenario bounds the story: how many recipients, and how often each thing may happen that
 * a good day does not have.
 */
#ifndef TELEHUB_TESTS_MODEL_PROTOCOL_H
#define TELEHUB_TESTS_MODEL_PROTOCOL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/model/explore.h"

#define SENDS_MAX     3 /* recipients; of a campaign each has one send */
#define TRIES_KEPT    4 /* latest attempts of a send that are told apart; older ones must be over */
#define PLANS_MAX     6 /* span from the cursor of dispatch.requests to its end */
#define REQUESTS_MAX  6
#define OUTCOMES_MAX  9
#define PROGRESS_MAX  10
#define HOSTS         2 /* processes that compete for dispatch's slot */
#define SESSIONS_MAX  7
#define VERSIONS_MAX  7 /* of a campaign's control */
#define CALLS_COUNTED 3
#define COPIES_MAX    2 /* of one request, under way at once */
#define NOBODY        UINT8_MAX

/* Bounded nondeterminism: each may happen as often as the scenario says. */
enum event {
    CRASH,          /* the process that owns dispatch's slot is killed */
    LOSE_ANSWER,    /* of a commit: it took place or not, the process must ask the log */
    FREEZE,         /* the owner stops for a while, another host takes over */
    CRASH_CAMPAIGN, /* and is rebuilt from its own events */
    CRASH_RETRY,
    LATE,            /* send_by passes while a plan waits in dispatch */
    CIRCUIT,         /* the lane's circuit opens while a plan waits */
    WINDOW,          /* 5 s pass between commit and send */
    REFUSE,          /* the provider says a definite no */
    LOSE_REQUEST,    /* it never reaches the provider; the caller sees a time-out */
    LOSE_REPLY,      /* the provider acts, the caller sees a time-out */
    LOSE_CALLBACK,   /* it never comes */
    REPEAT_CALLBACK, /* it comes again */
    REPORT_FAILURE,  /* it says that the call was not answered */
    LATE_PROOF,      /* and later, that it was answered after all */
    LOSE_JOURNALS,   /* power loss: the send journals of before are not believed */
    JOURNAL_FULL,    /* a write to the send journal fails */
    KEY_DIES,        /* class I: the provider forgets the key of an attempt that is unknown */
    PAUSE,           /* commands; a paused campaign can always be resumed, a stop released */
    CANCEL,
    STOP,
    OPT_OUT, /* of recipient 0 */
};
#define EVENTS (OPT_OUT + 1)

/* How the provider lets an unknown outcome be settled. */
enum reconciliation {
    BY_CALLBACK, /* class C */
    BY_LOOKUP,   /* class L */
    BY_NOTHING,  /* class 0 */
    BY_KEY,      /* class I: a repeat with the attempt's key is dropped by the provider */
};

/* A protocol with one thing wrong. Each must break a property, else the model proves nothing. */
enum mutation {
    NO_MUTATION,
    RESEND_STARTED,        /* a new owner sends what it finds started */
    REPLAN_UNRETURNED,     /* retry plans elsewhere what has not come back */
    PERMIT_SURVIVES,       /* unused permits outlive the session that got them */
    RESOLVE_BY_NUMBER,     /* a commit is resolved by txn_seq without the epoch */
    BELIEVE_STALE_JOURNAL, /* silence of another session's send journal counts */
    FORGET_WAITING,        /* the cursor passes plans that wait */
    REREAD_SETTLED,        /* plans settled beyond the cursor are read again */
    SEND_BEFORE_JOURNAL,   /* first the request, then the entry */
    EMPTY_JOURNAL_EARLY,   /* emptied when the settling commit is sent, not when it is answered */
    DELETE_JOURNAL_EARLY,  /* the same, removed */
    JOURNAL_GOES_SILENT,   /* after a failed write the session sends on without entries */
    SHORT_QUARANTINE,      /* nobody waits until the request can no longer leave, or arrive */
    REPEAT_WITHOUT_LOOK,   /* class I: a repeat leaves though a pause or an opt-out forbids it */
    CLOSE_UNSENT_REPEAT,   /* class I: a repeat that did not leave counts as proof for the first */
    FORGET_KEYS_AGE,       /* class I: repeated though the provider no longer knows the key */
    REPEAT_UNDER_ANY_POLICY, /* in doubt is tried again though nobody allowed duplicates */
    SKIP_LAST_LOOK,      /* pause, stop and opt-out are not looked at before the request leaves */
    FORGET_PAUSE,        /* what dispatch applied is no own event, and it opens before reading */
    FORGET_RELEASE,      /* retry keeps a release in memory only until send_at */
    FORGET_ASK,          /* campaign keeps an ask in memory only */
    WALK_ONCE,           /* the walk of resume or cancel is not taken up after a restart */
    PARK_AFTER_RESUME,   /* a plan handed back as paused is parked, whatever holds by now */
    ANSWER_CHANGES_ONLY, /* a pause is answered only by slots that were not paused before */
    IGNORE_LATE_RELEASE, /* a release of a send that has ended is dropped without account */
    KEEP_RELEASE_IN_BACKOFF, /* a release is not handed back by a send that waits */
    DROP_AFTER_CANCEL,       /* a first release read after the cancel is dropped without account */
    TIMEOUT_TAKES_BACK,      /* a time-out makes unknown what a callback has settled */
    TAKE_ANY_REPORT,         /* a failure report starts another attempt wherever the send stands */
    JUDGE_BEHIND,            /* nobody waits for the versions that a record was decided on */
    HIDE_DOUBT,              /* who may have been called ends as exhausted, cancelled, opted out */
    IGNORE_LATE_PROOF,       /* an attempt that was left behind cannot reach anybody any more */
    REPEAT_WITHOUT_RELEASE,  /* class I: a repeat leaves in the place of no release */
    FORGET_REPEATS_RELEASE,  /* class I: one that is passed on to dispatch is not accounted for */
    WANT_RELEASE_ONCE,       /* class I: a repeat that missed its release wants no other */
    FORGET_LATE_PROOF,       /* while the next attempt is in the air retry knows it by heart only */
};
#define MUTATIONS (FORGET_LATE_PROOF + 1)

struct scenario {
    const char *says;
    uint8_t sends;      /* 1 … SENDS_MAX */
    uint8_t look_ahead; /* releases open at once */
    bool is_multi_host; /* an owner that loses its slot lives on; journals are local */
    enum reconciliation reconciliation;
    bool is_paced;          /* class I: every repeat comes later than the release before allows */
    bool retries_on_report; /* an accepted call that is reported as not answered is made again */
    bool is_at_least_once;  /* who is in doubt is called again */
    uint8_t times[EVENTS];
    enum mutation mutation;
    bool watches_calls_only; /* "called twice" is the only invariant: for stories to their end */
    bool is_harmless; /* the mutation breaks nothing here: what it takes away is not needed */
};

/* Where a send stands in retry's own events. */
enum standing {
    UNSEEN,
    RELEASED, /* holds a release, send_at has not come */
    PLANNED,  /* holds a release, an attempt is with dispatch */
    ASKED,
    PARKED,
    WAITING, /* for its back-off */
    UNKNOWN,
    AWAITING, /* accepted; its report may start another attempt, for a while */
    ACCEPTED,
    IN_DOUBT,
    ENDED,
    SUPPRESSED,
};

/* Where an attempt stands in dispatch's own events. */
enum attempt_state { NOT_STARTED, STARTED, RESULT_UNKNOWN, RESULT_ACCEPTED, NOT_RESOLVED, CLOSED };

/* What the process that started an attempt has of it in memory. */
enum hand {
    NOTHING,
    PERMIT,      /* may send, once */
    AT_THE_DOOR, /* checked and journalled, the first byte has not left */
    IN_FLIGHT,   /* waits for the answer */
    GOT_YES,
    GOT_NO,
    GOT_TIMEOUT,
    NEVER_SENT, /* permit given up unused */
};

enum callback {
    NO_CALLBACK,
    CALLBACK_DUE,
    CALLBACK_QUEUED,
    FAILURE_QUEUED,
    FAILURE_TOLD, /* and the opposite may follow */
    PROOF_QUEUED,
    CALLBACK_LOST
};

/* The release in whose place a repeat may leave. */
enum place {
    NO_PLACE, /* it would need one */
    WANTED,   /* dispatch's own event, until it has got one */
    GIVEN,    /* likewise, until it is used, or its time has passed */
    TAKEN,    /* by a repeat that may be under way */
    STOLEN,   /* one is under way in the place of none */
};

struct attempt {
    uint8_t state;       /* enum attempt_state */
    uint8_t session;     /* that started it; 0 when that no longer matters */
    uint8_t hand[HOSTS]; /* enum hand: of each process */
    uint8_t on_wire;     /* copies of the request; more than one only in class I */
    uint8_t is_executed;
    uint8_t callback; /* enum callback */
    uint8_t is_journalled;
    uint8_t is_key_dead; /* class I */
    uint8_t place;       /* enum place: class I, at a pace */
};

struct send {
    uint8_t standing; /* enum standing */
    uint8_t n;        /* latest attempt, from 1 */
    uint8_t tries;    /* that may have reached a provider */
    uint8_t lane;     /* of the next plan: 0 or 1 */
    uint8_t calls;    /* by the provider, less those reported as not answered; 3 is enough */
    uint8_t doubts;   /* attempts that stayed in doubt and were followed by another all the same */
    uint8_t is_reached; /* by an attempt before the one that is in the air: retry's own event */
    uint8_t is_proven;  /* retry has read so, whatever it made of it */
    struct attempt tries_kept[TRIES_KEPT]; /* attempt n at n % TRIES_KEPT */
};

/* A record of dispatch.requests, mostly a plan, from the cursor on. */
struct plan {
    uint8_t send, n, lane;
    uint8_t is_settled;    /* in the bitmap */
    uint8_t is_release;    /* for a repeat of the attempt, which has been started long ago */
    uint8_t control, stop; /* versions it was decided on */
};

enum request_kind { SEND_REQUESTED, SEND_RELEASED };

struct request {
    uint8_t kind, send;
};

enum outcome_kind {
    OUTCOME_ACCEPTED,
    OUTCOME_REFUSED,
    OUTCOME_NOT_SENT,
    OUTCOME_NOT_EXECUTED,
    OUTCOME_UNKNOWN,
    OUTCOME_IN_DOUBT,
    OUTCOME_FAILED,        /* executed, and not answered */
    OUTCOME_REACHED,       /* answered after all */
    OUTCOME_WANTS_RELEASE, /* unknown, and its repeat needs one */
    RETURNED_LATE,
    RETURNED_CIRCUIT,
    RETURNED_PAUSED,
    RETURNED_STOPPED,
    RETURNED_CANCELLED,
    RETURNED_OPTED_OUT,
};

struct outcome {
    uint8_t send, n, kind;
    uint8_t control, stop; /* hand-backs: versions decided on */
};

enum progress_kind { SENDS_MOVED, RELEASE_WANTED, PAUSE_APPLIED };

struct progress {
    uint8_t kind;
    uint8_t who;                       /* send that asks, or processor that applied */
    uint8_t version;                   /* applied */
    int8_t released, unknown, settled; /* changes; released: open releases, never above 0 */
};

enum control_state { RUNS, IS_PAUSED, IS_CANCELLED };

enum campaign_status { RUNNING, PAUSING, PAUSED, COMPLETED, CANCELLING, CANCELLED };

enum applier { BY_RETRY = 1, BY_DISPATCH = 2 };

/* Its own events, but for what a mutation forgets. */
struct campaign {
    uint8_t status;   /* enum campaign_status */
    uint8_t next;     /* first recipient not yet released */
    int8_t open;      /* look-ahead: releases not yet accounted for */
    int8_t unknown;   /* sends being resolved */
    int8_t settled;   /* sends accepted, in doubt, ended, suppressed */
    uint8_t asks;     /* bit per send */
    uint8_t answered; /* bits of enum applier, for the newest version */
    uint8_t stop_seen;
};

/* What a processor has read of the reference topics, and what its own events say it applied. */
struct reference {
    uint8_t control_seen, control_applied;
    uint8_t stop_seen, opt_out_seen;
};

enum life { DOWN, OWNER, LIMBO, ZOMBIE };

/* What a process does in memory once it knows how its commit ended. */
enum pending { PENDING_NOTHING, PENDING_START, PENDING_RESULT };

/* A process that owns dispatch's slot, or thinks so. */
struct host {
    uint8_t life; /* enum life */
    uint8_t session;
    uint8_t pending; /* LIMBO: of the commit whose answer was lost */
    uint8_t pending_send, pending_n;
    uint8_t is_committed; /* what the log would say */
    uint8_t rivals;       /* commits by others since, counted to 2 */
};

struct world {
    struct send sends[SENDS_MAX];
    struct plan plans[PLANS_MAX];
    struct request requests[REQUESTS_MAX];
    struct outcome outcomes[OUTCOMES_MAX];
    struct progress progress[PROGRESS_MAX];
    uint8_t plan_count, request_count, outcome_count, progress_count;

    struct campaign campaign;
    struct reference retry, dispatch;
    uint8_t retry_in_memory; /* FORGET_RELEASE: bit per send */
    uint8_t asks_in_memory;  /* FORGET_ASK */
    uint8_t walks;           /* WALK_ONCE, PARK_AFTER_RESUME: bit per send on the walk */

    uint8_t control_version; /* campaign.control's newest */
    uint8_t control[VERSIONS_MAX + 1];
    uint8_t stop; /* version of the tenant's stop: odd while it is in force */
    uint8_t is_opted_out;

    struct host hosts[HOSTS];
    uint8_t session_count;
    uint8_t session_host;    /* bit per session */
    uint8_t journals_lost;   /* bit per session: its file is not there, or not believed */
    uint8_t journals_silent; /* JOURNAL_GOES_SILENT: written to no more */

    uint8_t left[EVENTS];
    uint8_t flaw;    /* enum flaw: what a step did wrong */
    uint8_t none[6]; /* to whole words; 0 */
};

static_assert(sizeof(struct world) % sizeof(uint64_t) == 0, "hashed by words");

enum flaw {
    NO_FLAW,
    STARTED_AFTER_PAUSE,
    SENT_AFTER_PAUSE,
    LISTED_IN_VAIN,
    PLANNED_AFTER_PROOF,
    CALLED_OUT_OF_PLACE,
    BOUND_EXCEEDED,
};

/* What steps there are: one sentence each, with {s}, {n}, {h} for recipient, attempt, process. */
extern const char *const protocol_actions[];
extern const size_t protocol_action_count;

/* The model of scenario, which must outlive it. */
struct explore_model protocol_model(const struct scenario *scenario);

#endif
