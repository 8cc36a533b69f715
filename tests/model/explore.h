/* explore.h - every state that a model can reach, breadth first.
 *
 * A model is a first state and a function that lists the steps out of a state. The explorer keeps
 * each state once (a hash set over its bytes), remembers by which step it was reached first, and
 * stops at the first state that breaks an invariant: the way to it is a shortest one. When all
 * states are known, it asks of every one of them whether the goals can still be reached from it
 * by the kinds of step that each goal allows; a state from which one cannot is where something
 * waits for ever.
 */
#ifndef TELEHUB_TESTS_MODEL_EXPLORE_H
#define TELEHUB_TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"

/* One step, in the words of the model. kind is a single bit; goals name the bits they allow. */
struct explore_step {
    uint8_t action;
    uint8_t a, b, c;
    uint8_t kind;
};

struct explore_sink;

/* Give one successor. state is copied. */
void explore_emit(struct explore_sink *sink, struct explore_step step, const void *state);

struct explore_goal {
    const char *says; /* what is wrong with a state from which it cannot be reached */
    uint8_t kinds;    /* steps that may be taken on the way */
    bool (*holds)(const void *context, const void *state);
};

/* All functions are pure. States are compared by their bytes: no padding, no pointers. */
struct explore_model {
    const void *context;
    size_t state_size; /* a multiple of 8 */

    void (*first)(const void *context, void *out_state);

    /* Emit every step out of state. */
    void (*next)(const void *context, const void *state, struct explore_sink *sink);

    /* NULL, or a sentence that says what is wrong with state. */
    const char *(*broken)(const void *context, const void *state);

    /* Tell the step in one sentence, without a line feed. */
    void (*tell)(const void *context, struct explore_step step, const void *after, char *out_text,
                 size_t size);

    const struct explore_goal *goals;
    size_t goal_count;
};

struct explore_result {
    size_t state_count;
    size_t step_count;
    size_t depth;                /* steps to the farthest state */
    size_t taken[UINT8_MAX + 1]; /* steps by action: one that is never taken proves nothing */
    const char *broken;          /* NULL: every invariant holds, every goal stays within reach */
};

struct explorer;

/* Explore model, which must outlive the explorer.
 *
 * On success *out_explorer holds the states, to be freed by explorer_free.
 * Errors: TH_NOMEM
 *         TH_FULL   more than states_max states; nothing is known then
 */
TH_MUST_USE
enum th_code explorer_new(const struct explore_model *model, size_t states_max,
                          struct explorer **out_explorer, struct explore_result *out_result,
                          struct th_err *err);

/* Print the shortest way to the broken state, a numbered sentence a step. */
void explorer_print_story(const struct explorer *explorer, FILE *out);

/* Accepts NULL. */
void explorer_free(struct explorer *explorer);

TH_AUTO_DEFINE(explorer, struct explorer *, explorer_free)

#endif
