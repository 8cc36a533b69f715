/* The protocol between campaign, retry and dispatch: every state of each scenario, and the proof
 * that the explorer would have noticed.
 *
 *   model_test            scenarios and mutations
 *   model_test --long     the long scenarios as well: minutes and gigabytes
 *   model_test WORD       those whose sentence contains WORD, each mutation with its story
 */
#include "tests/model/protocol.h"

#include <string.h>
#include <time.h>

#define STATES_MAX 12000000U

/* Nobody is called twice, nobody is skipped, nothing waits for ever. */
static const struct scenario scenarios[] = {
    {
        .says = "a good day",
        .sends = 3,
        .look_ahead = 3,
    },
    {
        .says = "two lanes in one partition, one waits while the other starts, then a kill",
        .sends = 2,
        .look_ahead = 2,
        .times = {[CRASH] = 2, [LOSE_CALLBACK] = 1},
    },
    {
        .says = "commits without an answer, then a kill, on one host",
        .sends = 2,
        .look_ahead = 2,
        .times = {[LOSE_ANSWER] = 1, [CRASH] = 1},
    },
    {
        .says = "many commits without an answer, on one host",
        .sends = 1,
        .look_ahead = 1,
        .times = {[LOSE_ANSWER] = 4, [CRASH] = 2, [LATE] = 1},
    },
    {
        .says = "a rolled-back transaction of the same number as a rival's",
        .sends = 2,
        .look_ahead = 2,
        .is_multi_host = true,
        .times = {[LOSE_ANSWER] = 1},
    },
    {
        .says = "rivals whose commits all lose their answers",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .times = {[LOSE_ANSWER] = 3, [CRASH] = 1},
    },
    {
        .says = "an owner freezes, another host takes over, the first one wakes",
        .sends = 2,
        .look_ahead = 2,
        .is_multi_host = true,
        .times = {[FREEZE] = 1, [WINDOW] = 1},
    },
    {
        .says = "owners freeze in turn, and one is killed",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .times = {[FREEZE] = 2, [CRASH] = 1, [WINDOW] = 1, [LOSE_ANSWER] = 1},
    },
    {
        .says = "an old session's journal is found by a later owner",
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH] = 3, [LOSE_ANSWER] = 1, [LOSE_JOURNALS] = 1},
    },
    {
        .says = "a result is committed or not when the journal is about to be deleted",
        .sends = 1,
        .look_ahead = 1,
        .times = {[LOSE_ANSWER] = 3, [CRASH] = 1, [LOSE_REPLY] = 1},
    },
    {
        .says = "the send journal cannot be written",
        .sends = 2,
        .look_ahead = 2,
        .times = {[JOURNAL_FULL] = 1, [CRASH] = 1},
    },
    {
        .says = "half of the releases are handed back late at the pace limit",
        .sends = 3,
        .look_ahead = 1,
        .times = {[LATE] = 3},
    },
    {
        .says = "a hand-back races with a re-plan: late, circuit, refusal, failover, the end",
        .sends = 2,
        .look_ahead = 2,
        .times = {[LATE] = 1, [CIRCUIT] = 1, [REFUSE] = 2},
    },
    {
        .says = "requests and answers are lost, callbacks are late, repeated, lost",
        .sends = 2,
        .look_ahead = 1,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [LOSE_CALLBACK] = 1, [REPEAT_CALLBACK] = 1},
    },
    {
        .says = "pause and resume between release and plan",
        .sends = 2,
        .look_ahead = 1,
        .times = {[PAUSE] = 1, [CRASH_RETRY] = 1, [CRASH_CAMPAIGN] = 1},
    },
    {
        .says = "pauses and resumes in quick succession",
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 2},
    },
    {
        .says = "pause and resume while the owner is killed",
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 1, [CRASH] = 1, [LOSE_ANSWER] = 1},
    },
    {
        .says = "a release is consumed and retry killed before send_at",
        .sends = 2,
        .look_ahead = 2,
        .times = {[CRASH_RETRY] = 2, [CRASH_CAMPAIGN] = 1, [LATE] = 1},
    },
    {
        .says = "a cancel while sends wait for releases",
        .sends = 3,
        .look_ahead = 1,
        .times = {[CANCEL] = 1, [LATE] = 2},
    },
    {
        .says = "a cancel races with starts and a kill",
        .sends = 2,
        .look_ahead = 2,
        .times = {[CANCEL] = 1, [CRASH] = 1},
    },
    {
        .says = "a pause, then a cancel, with a hand-back on its way",
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 1, [CANCEL] = 1, [REFUSE] = 1, [LATE] = 1},
    },
    {
        .says = "the tenant's stop races with starts and a kill",
        .sends = 1,
        .look_ahead = 1,
        .times = {[STOP] = 1, [CRASH] = 1, [LOSE_ANSWER] = 1},
    },
    {
        .says = "a stop and a pause",
        .sends = 1,
        .look_ahead = 1,
        .times = {[STOP] = 1, [PAUSE] = 1},
    },
    {
        .says = "an opt-out races with starts and a kill",
        .sends = 2,
        .look_ahead = 2,
        .times = {[OPT_OUT] = 1, [CRASH] = 1},
    },
    {
        .says = "calls that are not answered are made again",
        .sends = 2,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 2, [REPEAT_CALLBACK] = 1},
    },
    {
        .says = "calls that are not answered, a lost reply and a kill",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 2, [LOSE_REPLY] = 1, [CRASH] = 1, [LOSE_CALLBACK] = 1},
    },
    {
        .says = "calls that are not answered, and a pause",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [PAUSE] = 1},
    },
    {
        .says = "calls that are not answered, and a cancel",
        .sends = 2,
        .look_ahead = 2,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [CANCEL] = 1},
    },
    {
        .says = "calls that were answered after all, though reported as not answered",
        .sends = 2,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [LATE_PROOF] = 1, [REPEAT_CALLBACK] = 1},
    },
    {
        .says = "answered after all, while a plan waits, is handed back or retry is killed",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 2,
                  [LATE_PROOF] = 2,
                  [REPEAT_CALLBACK] = 1,
                  [LATE] = 1,
                  [CRASH_RETRY] = 1},
    },
    {
        .says =
            "answered after all, while a reply is lost, a request is lost or the owner is killed",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 2,
                  [LATE_PROOF] = 1,
                  [LOSE_REPLY] = 1,
                  [LOSE_REQUEST] = 1,
                  [LOSE_CALLBACK] = 1,
                  [CRASH] = 1},
    },
    {
        .says = "answered after all, and a pause",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [LATE_PROOF] = 1, [PAUSE] = 1},
    },
    {
        .says = "answered after all, and a cancel or an opt-out",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [LATE_PROOF] = 1, [CANCEL] = 1, [OPT_OUT] = 1},
    },
    {
        .says = "answered after all, and in doubt, and at least once",
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .is_at_least_once = true,
        .times = {[REPORT_FAILURE] = 2,
                  [LATE_PROOF] = 1,
                  [LOSE_REPLY] = 2,
                  [LOSE_CALLBACK] = 1,
                  [CANCEL] = 1},
    },
    {
        .says = "class C: requests, answers and owners are lost",
        .sends = 2,
        .look_ahead = 2,
        .reconciliation = BY_CALLBACK,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [LOSE_CALLBACK] = 1},
    },
    {
        .says = "class C: another host takes over, no journal can be read, the old owner lives",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_CALLBACK,
        .times = {[FREEZE] = 2,
                  [CRASH] = 2,
                  [LOSE_ANSWER] = 1,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1,
                  [LOSE_CALLBACK] = 1},
    },
    {
        .says = "class C: commits without an answer, a network that loses and delays, a refusal",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_CALLBACK,
        .times =
            {[LOSE_ANSWER] = 2, [CRASH] = 1, [LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [REFUSE] = 1},
    },
    {
        .says = "class L: requests, answers and owners are lost",
        .sends = 2,
        .look_ahead = 2,
        .reconciliation = BY_LOOKUP,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [LOSE_JOURNALS] = 1},
    },
    {
        .says = "class L: another host takes over, no journal can be read, the old owner lives",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_LOOKUP,
        .times = {[FREEZE] = 2,
                  [CRASH] = 2,
                  [LOSE_ANSWER] = 1,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1},
    },
    {
        .says = "class L: commits without an answer, a network that loses and delays, a refusal",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_LOOKUP,
        .times =
            {[LOSE_ANSWER] = 2, [CRASH] = 1, [LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [REFUSE] = 1},
    },
    {
        .says = "class I: requests, answers and owners are lost",
        .sends = 2,
        .look_ahead = 2,
        .reconciliation = BY_KEY,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [LOSE_JOURNALS] = 1},
    },
    {
        .says = "class I: another host takes over, no journal can be read, the old owner lives",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_KEY,
        .times = {[FREEZE] = 2,
                  [CRASH] = 2,
                  [LOSE_ANSWER] = 1,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1},
    },
    {
        .says = "class I: commits without an answer, a network that loses and delays, a refusal",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .times =
            {[LOSE_ANSWER] = 2, [CRASH] = 1, [LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [REFUSE] = 1},
    },
    {
        .says = "class 0: requests, answers and owners are lost",
        .sends = 2,
        .look_ahead = 2,
        .reconciliation = BY_NOTHING,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1},
    },
    {
        .says = "class 0: another host takes over, no journal can be read, the old owner lives",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_NOTHING,
        .times = {[FREEZE] = 2,
                  [CRASH] = 2,
                  [LOSE_ANSWER] = 1,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1},
    },
    {
        .says = "class 0: commits without an answer, a network that loses and delays, a refusal",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_NOTHING,
        .times =
            {[LOSE_ANSWER] = 2, [CRASH] = 1, [LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [REFUSE] = 1},
    },
    {
        .says = "class I: a pause while an attempt is unknown",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .times = {[PAUSE] = 1, [CRASH] = 1, [LOSE_REPLY] = 1, [LOSE_REQUEST] = 1},
    },
    {
        .says = "class I: a cancel while an attempt is unknown",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .times = {[CANCEL] = 1, [CRASH] = 1, [LOSE_REPLY] = 1, [LOSE_REQUEST] = 1},
    },
    {
        .says = "class I: an opt-out and a stop while an attempt is unknown",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .times = {[OPT_OUT] = 1, [STOP] = 1, [LOSE_REPLY] = 1, [LOSE_REQUEST] = 1},
    },
    {
        .says = "class I: the provider forgets the key",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_multi_host = true,
        .times = {[KEY_DIES] = 1, [CRASH] = 1, [FREEZE] = 1, [LOSE_REPLY] = 2},
    },
    {
        .says = "class I at a pace: requests, answers and owners are lost, a release is missed",
        .sends = 2,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [LATE] = 1},
    },
    {
        .says = "class I at a pace: another host takes over, the old owner lives",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[FREEZE] = 1, [LOSE_ANSWER] = 1, [LOSE_REQUEST] = 1, [WINDOW] = 1, [LATE] = 1},
    },
    {
        .says = "class I at a pace: campaign and retry are killed while a release is wanted",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[CRASH_CAMPAIGN] = 1, [CRASH_RETRY] = 1, [LOSE_REQUEST] = 1, [LATE] = 1},
    },
    {
        .says = "class I at a pace: a pause while a release is wanted",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[PAUSE] = 1, [CRASH] = 1, [LOSE_REQUEST] = 1, [LATE] = 1},
    },
    {
        .says = "class I at a pace: a cancel while a release is wanted",
        .sends = 2,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[CANCEL] = 1, [LOSE_REQUEST] = 1, [LATE] = 1},
    },
    {
        .says = "class I at a pace: an opt-out, a stop and the death of the key",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[OPT_OUT] = 1, [STOP] = 1, [LOSE_REPLY] = 1, [KEY_DIES] = 1, [LATE] = 1},
    },
    {
        .says = "class I at a pace, at least once: requests, answers and owners are lost",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .is_at_least_once = true,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [KEY_DIES] = 1},
    },
    {
        .says = "class C, at least once: requests, answers and owners are lost",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_CALLBACK,
        .is_at_least_once = true,
        .times =
            {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [FREEZE] = 1, [LOSE_CALLBACK] = 1},
    },
    {
        .says = "class L, at least once: requests, answers and owners are lost",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_LOOKUP,
        .is_at_least_once = true,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [FREEZE] = 1},
    },
    {
        .says = "class I, at least once: requests, answers and owners are lost",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_KEY,
        .is_at_least_once = true,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [FREEZE] = 1},
    },
    {
        .says = "class 0, at least once: requests, answers and owners are lost",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_NOTHING,
        .is_at_least_once = true,
        .times = {[LOSE_REQUEST] = 1, [LOSE_REPLY] = 1, [CRASH] = 1, [FREEZE] = 1},
    },
    {
        .says = "class 0, at least once: a cancel",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_NOTHING,
        .is_at_least_once = true,
        .times = {[CANCEL] = 1, [CRASH] = 1, [LOSE_REPLY] = 1},
    },
    {
        .says = "class C, at least once: an opt-out, and callbacks that are late or lost",
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_CALLBACK,
        .is_at_least_once = true,
        .times = {[OPT_OUT] = 1, [LOSE_REPLY] = 2, [LOSE_CALLBACK] = 1, [REPEAT_CALLBACK] = 1},
    },
};

/* The same with more of everything at once: minutes, not seconds. Run by `model_test --long`. */
static const struct scenario long_scenarios[] = {
    {
        .says = "long: commits without an answer and a kill, on one host",
        .sends = 2,
        .look_ahead = 2,
        .times = {[LOSE_ANSWER] = 2, [CRASH] = 1},
    },
    {
        .says = "long: two rivals, two recipients",
        .sends = 2,
        .look_ahead = 2,
        .is_multi_host = true,
        .times = {[LOSE_ANSWER] = 2},
    },
    {
        .says = "long: a freeze and a kill, two recipients",
        .sends = 2,
        .look_ahead = 2,
        .is_multi_host = true,
        .times = {[FREEZE] = 1, [CRASH] = 1, [WINDOW] = 1},
    },
    {
        .says = "long: two pauses, a kill, a lost answer",
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 2, [CRASH] = 1, [LOSE_ANSWER] = 1},
    },
    {
        .says = "long: two recipients, a pause, a kill",
        .sends = 2,
        .look_ahead = 2,
        .times = {[PAUSE] = 1, [CRASH] = 1},
    },
    {
        .says = "long: a pause, then a cancel, two recipients",
        .sends = 2,
        .look_ahead = 1,
        .times = {[PAUSE] = 1, [CANCEL] = 1, [REFUSE] = 1},
    },
    {
        .says = "long: the tenant's stop, a kill, two recipients",
        .sends = 2,
        .look_ahead = 2,
        .times = {[STOP] = 1, [CRASH] = 1},
    },
    {
        .says = "long: a stop, a pause and a cancel",
        .sends = 1,
        .look_ahead = 1,
        .times = {[STOP] = 1, [PAUSE] = 1, [CANCEL] = 1, [LATE] = 1},
    },
    {
        .says = "long: a cancel, a kill, a late plan, a lost callback",
        .sends = 2,
        .look_ahead = 2,
        .times = {[CANCEL] = 1, [CRASH] = 1, [LATE] = 1, [LOSE_CALLBACK] = 1},
    },
    {
        .says = "long: three recipients, a kill",
        .sends = 3,
        .look_ahead = 3,
        .times = {[CRASH] = 1},
    },
    {
        .says = "long: class C, at most once: four epochs, three kills, lost answers, another host",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_CALLBACK,
        .times = {[FREEZE] = 2,
                  [CRASH] = 3,
                  [LOSE_ANSWER] = 2,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1,
                  [LOSE_CALLBACK] = 1},
    },
    {
        .says = "long: class C, at least once: an owner freezes, a kill, a lost answer",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_CALLBACK,
        .is_at_least_once = true,
        .times = {[FREEZE] = 1,
                  [CRASH] = 1,
                  [LOSE_ANSWER] = 1,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [LOSE_CALLBACK] = 1},
    },
    {
        .says = "long: class L, at most once: four epochs, three kills, lost answers, another host",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_LOOKUP,
        .times = {[FREEZE] = 2,
                  [CRASH] = 3,
                  [LOSE_ANSWER] = 2,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1},
    },
    {
        .says = "long: class L, at least once: an owner freezes, a kill, a lost answer",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_LOOKUP,
        .is_at_least_once = true,
        .times =
            {
                [FREEZE] = 1,
                [CRASH] = 1,
                [LOSE_ANSWER] = 1,
                [LOSE_REQUEST] = 1,
                [LOSE_REPLY] = 1,
            },
    },
    {
        .says = "long: class I, at most once: four epochs, three kills, lost answers, another host",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_KEY,
        .times = {[FREEZE] = 2,
                  [CRASH] = 3,
                  [LOSE_ANSWER] = 2,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1},
    },
    {
        .says = "long: class I, at least once: an owner freezes, a kill, a lost answer",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_KEY,
        .is_at_least_once = true,
        .times =
            {
                [FREEZE] = 1,
                [CRASH] = 1,
                [LOSE_ANSWER] = 1,
                [LOSE_REQUEST] = 1,
                [LOSE_REPLY] = 1,
            },
    },
    {
        .says = "long: class 0, at most once: four epochs, three kills, lost answers, another host",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_NOTHING,
        .times = {[FREEZE] = 2,
                  [CRASH] = 3,
                  [LOSE_ANSWER] = 2,
                  [LOSE_REQUEST] = 1,
                  [LOSE_REPLY] = 1,
                  [WINDOW] = 1},
    },
    {
        .says = "long: class 0, at least once: an owner freezes, a kill, a lost answer",
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_NOTHING,
        .is_at_least_once = true,
        .times =
            {
                [FREEZE] = 1,
                [CRASH] = 1,
                [LOSE_ANSWER] = 1,
                [LOSE_REQUEST] = 1,
                [LOSE_REPLY] = 1,
            },
    },
};

/* Each must break something. */
static const struct scenario mutations[] = {
    {
        .says = "a new owner sends what it finds started",
        .mutation = RESEND_STARTED,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "retry plans an attempt elsewhere that has not come back",
        .mutation = REPLAN_UNRETURNED,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CIRCUIT] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "a permit survives the re-opening of its session",
        .mutation = PERMIT_SURVIVES,
        .sends = 2,
        .look_ahead = 2,
        .times = {[LOSE_ANSWER] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "a commit is resolved by its number without the epoch",
        .mutation = RESOLVE_BY_NUMBER,
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .times = {[LOSE_ANSWER] = 1, [CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "the silence of another session's send journal is believed",
        .mutation = BELIEVE_STALE_JOURNAL,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH] = 2},
        .watches_calls_only = true,
    },
    {
        .says = "the cursor passes a plan that waits, and it is forgotten by a restart",
        .mutation = FORGET_WAITING,
        .sends = 2,
        .look_ahead = 2,
        .times = {[CRASH] = 1},
    },
    {
        .says = "a settled plan beyond the cursor is read again: the bitmap is ignored",
        .mutation = REREAD_SETTLED,
        .sends = 2,
        .look_ahead = 2,
        .times = {[CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "the request leaves before its entry in the send journal",
        .mutation = SEND_BEFORE_JOURNAL,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "the send journal is emptied before the settling commit is answered",
        .mutation = EMPTY_JOURNAL_EARLY,
        .sends = 1,
        .look_ahead = 1,
        .times = {[LOSE_ANSWER] = 2, [CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "the send journal is deleted before the settling commit is answered",
        .mutation = DELETE_JOURNAL_EARLY,
        .sends = 1,
        .look_ahead = 1,
        .times = {[LOSE_ANSWER] = 1, [CRASH] = 2},
    },
    {
        .says = "after a failed write the session sends on without journal entries",
        .mutation = JOURNAL_GOES_SILENT,
        .sends = 2,
        .look_ahead = 2,
        .times = {[JOURNAL_FULL] = 1, [CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "class L: the quarantine is too short: not found is believed while the request may "
                "still arrive",
        .mutation = SHORT_QUARANTINE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_LOOKUP,
        .times = {[CRASH] = 1},
        .watches_calls_only = true,
    },
    {
        .says = "class I: the quarantine is too short, and the provider refuses the repeat",
        .mutation = SHORT_QUARANTINE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .watches_calls_only = true,
        .times = {[CRASH] = 1, [REFUSE] = 1},
    },
    {
        .says = "class I: a repeat leaves although the campaign is paused",
        .mutation = REPEAT_WITHOUT_LOOK,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .times = {[PAUSE] = 1, [LOSE_REQUEST] = 1},
    },
    {
        .says = "class I: a repeat that did not leave counts as proof that the request before it "
                "did not",
        .mutation = CLOSE_UNSENT_REPEAT,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .watches_calls_only = true,
        .times = {[LOSE_REPLY] = 1, [WINDOW] = 1},
    },
    {
        .says = "class I: a repeat under a key that the provider has forgotten",
        .mutation = FORGET_KEYS_AGE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .watches_calls_only = true,
        .times = {[LOSE_REPLY] = 1, [KEY_DIES] = 1},
    },
    {
        .says = "class I at a pace: a late repeat leaves in the place of no release",
        .mutation = REPEAT_WITHOUT_RELEASE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[LOSE_REQUEST] = 1},
    },
    {
        .says = "class I at a pace: a release that is passed on for a repeat is not accounted for",
        .mutation = FORGET_REPEATS_RELEASE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[LOSE_REQUEST] = 1},
    },
    {
        .says = "class I at a pace: a repeat that missed its release wants no other",
        .mutation = WANT_RELEASE_ONCE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_KEY,
        .is_paced = true,
        .times = {[LOSE_REQUEST] = 1, [LATE] = 1},
    },
    {
        .says = "who is in doubt is called again where nobody allowed duplicates",
        .mutation = REPEAT_UNDER_ANY_POLICY,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_NOTHING,
        .watches_calls_only = true,
        .times = {[LOSE_REPLY] = 1},
    },
    {
        .says = "at least once: who may have been called ends as cancelled, exhausted or opted out",
        .mutation = HIDE_DOUBT,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_NOTHING,
        .is_at_least_once = true,
        .times = {[LOSE_REPLY] = 1, [CANCEL] = 1},
    },
    {
        .says = "nobody looks at the pause again before the request leaves",
        .mutation = SKIP_LAST_LOOK,
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 1},
    },
    {
        .says = "a pause that was applied is no own event, and the slot opens before it has read",
        .mutation = FORGET_PAUSE,
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 1, [CRASH] = 1},
    },
    {
        .says = "retry keeps a release in memory only",
        .mutation = FORGET_RELEASE,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH_RETRY] = 1},
    },
    {
        .says = "campaign keeps an ask in memory only",
        .mutation = FORGET_ASK,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH_CAMPAIGN] = 1, [LATE] = 1},
    },
    {
        .says = "the walk after a resume is not taken up after a restart",
        .mutation = WALK_ONCE,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CRASH_RETRY] = 1, [PAUSE] = 1},
    },
    {
        .says = "a plan handed back as paused is parked, though the resume was applied before",
        .mutation = PARK_AFTER_RESUME,
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 1},
    },
    {
        .says = "a slot answers a pause only when it was not paused before",
        .mutation = ANSWER_CHANGES_ONLY,
        .sends = 1,
        .look_ahead = 1,
        .times = {[PAUSE] = 2},
    },
    {
        .says = "a release that reaches a send which has ended is dropped without account",
        .mutation = IGNORE_LATE_RELEASE,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CANCEL] = 1, [LATE] = 1},
    },
    {
        .says = "a send that waits for its next release keeps the one before",
        .mutation = KEEP_RELEASE_IN_BACKOFF,
        .sends = 1,
        .look_ahead = 1,
        .times = {[LATE] = 1},
    },
    {
        .says = "a first release that is read after the cancel is dropped without account",
        .mutation = DROP_AFTER_CANCEL,
        .sends = 1,
        .look_ahead = 1,
        .times = {[CANCEL] = 1},
    },
    {
        .says = "a time-out makes unknown what a callback has settled",
        .mutation = TIMEOUT_TAKES_BACK,
        .sends = 1,
        .look_ahead = 1,
        .times = {[LOSE_REPLY] = 1},
    },
    {
        .says = "a failure report starts another attempt wherever the send stands",
        .mutation = TAKE_ANY_REPORT,
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1},
    },
    {
        .says = "late proof ignored: who was reached after all is called again",
        .mutation = IGNORE_LATE_PROOF,
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [LATE_PROOF] = 1},
    },
    {
        .says = "late proof that came while the next attempt was in the air is kept in memory only",
        .mutation = FORGET_LATE_PROOF,
        .sends = 1,
        .look_ahead = 1,
        .retries_on_report = true,
        .times = {[REPORT_FAILURE] = 1, [LATE_PROOF] = 1, [LATE] = 1, [CRASH_RETRY] = 1},
    },
    {
        .says = "nobody waits for the versions that a record was decided on",
        .mutation = JUDGE_BEHIND,
        .sends = 1,
        .look_ahead = 1,
        .times = {[STOP] = 1},
    },
};

/* What a protocol of these classes does not need: each must break nothing. Only a look-up, and the
 * refusal of a repeat, are believed about requests that might still arrive. */
static const struct scenario harmless[] = {
    {
        .says = "class 0, at least once: without a quarantine",
        .mutation = SHORT_QUARANTINE,
        .sends = 1,
        .look_ahead = 1,
        .reconciliation = BY_NOTHING,
        .is_at_least_once = true,
        .is_multi_host = true,
        .is_harmless = true,
        .times = {[FREEZE] = 1, [LOSE_REPLY] = 1, [CRASH] = 1},
    },
    {
        .says = "class C: without a quarantine",
        .mutation = SHORT_QUARANTINE,
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_CALLBACK,
        .is_harmless = true,
        .times =
            {[FREEZE] = 1, [CRASH] = 1, [LOSE_ANSWER] = 1, [LOSE_REPLY] = 1, [LOSE_REQUEST] = 1},
    },
    {
        .says = "class I: without a quarantine",
        .mutation = SHORT_QUARANTINE,
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_KEY,
        .is_harmless = true,
        .times =
            {[FREEZE] = 1, [CRASH] = 1, [LOSE_ANSWER] = 1, [LOSE_REPLY] = 1, [LOSE_REQUEST] = 1},
    },
    {
        .says = "class 0: without a quarantine",
        .mutation = SHORT_QUARANTINE,
        .sends = 1,
        .look_ahead = 1,
        .is_multi_host = true,
        .reconciliation = BY_NOTHING,
        .is_harmless = true,
        .times =
            {[FREEZE] = 1, [CRASH] = 1, [LOSE_ANSWER] = 1, [LOSE_REPLY] = 1, [LOSE_REQUEST] = 1},
    },
};

static double seconds_since(struct timespec then)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then.tv_sec) + (double)(now.tv_nsec - then.tv_nsec) / 1e9;
}

/* One row of either table. Prints the story of what it finds, if asked to or if nobody expects it.
 */
static bool is_as_expected(const struct scenario *scenario, bool with_story, size_t *taken)
{
    struct explore_model model = protocol_model(scenario);
    struct explore_result result = {0};
    struct th_err err = {0};
    TH_AUTO(explorer) struct explorer *explorer = NULL;
    bool must_break = scenario->mutation != NO_MUTATION && !scenario->is_harmless;
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    if (explorer_new(&model, STATES_MAX, &explorer, &result, &err) != TH_OK) {
        printf("  FAILED  %s: %s\n", scenario->says, err.text);
        return false;
    }

    for (size_t i = 0; i < protocol_action_count; i++)
        taken[i] += result.taken[i];
    bool is_good = must_break == (result.broken != NULL);
    printf("  %-7s %8zu states %9zu steps %5.1f s  %s%s%s\n", is_good ? "ok" : "FAILED",
           result.state_count, result.step_count, seconds_since(start), scenario->says,
           result.broken ? ": " : "", result.broken ? result.broken : "");
    if (result.broken && (with_story || !is_good))
        explorer_print_story(explorer, stdout);
    fflush(stdout);
    return is_good;
}

static int count_failures(const struct scenario *table, size_t count, const char *word,
                          size_t *taken)
{
    int failures = 0;

    for (size_t i = 0; i < count; i++) {
        if (!word || strstr(table[i].says, word))
            failures += !is_as_expected(&table[i], word != NULL, taken);
    }
    return failures;
}

/* Every mutation stands in the table. */
static int count_missing(void)
{
    bool has[MUTATIONS] = {[NO_MUTATION] = true};
    int missing = 0;

    for (size_t i = 0; i < TH_LEN(mutations); i++)
        has[mutations[i].mutation] = true;
    for (int m = 0; m < MUTATIONS; m++) {
        if (!has[m])
            printf("  FAILED  mutation %d is not tried\n", m);
        missing += !has[m];
    }
    return missing;
}

/* A step that no scenario takes is a guard that is never open: the model would prove nothing. */
static int count_untaken(const size_t *taken)
{
    int untaken = 0;

    for (size_t i = 0; i < protocol_action_count; i++) {
        if (!taken[i])
            printf("  FAILED  never happens: %s\n", protocol_actions[i]);
        untaken += !taken[i];
    }
    return untaken;
}

int main(int argc, char **argv)
{
    bool is_long = argc > 1 && strcmp(argv[1], "--long") == 0;
    const char *word = argc > 1 && !is_long ? argv[1] : NULL;
    size_t taken[UINT8_MAX + 1] = {0};
    int failures = count_missing();

    printf("scenarios: every state is safe, and the end stays within reach\n");
    failures += count_failures(scenarios, TH_LEN(scenarios), word, taken);
    if (is_long || word)
        failures += count_failures(long_scenarios, TH_LEN(long_scenarios), word, taken);
    else
        printf("  (%zu long scenarios are run by --long)\n", TH_LEN(long_scenarios));
    printf("mutations: each must be caught\n");
    failures += count_failures(mutations, TH_LEN(mutations), word, taken);
    printf("mutations that these classes can bear: each must break nothing\n");
    failures += count_failures(harmless, TH_LEN(harmless), word, taken);
    if (!word)
        failures += count_untaken(taken);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
