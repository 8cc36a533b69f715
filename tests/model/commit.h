/* commit.h - a transaction of dispatch's slot, and the three ways in which it may end. */
#ifndef TELEHUB_TESTS_MODEL_COMMIT_H
#define TELEHUB_TESTS_MODEL_COMMIT_H

#include "tests/model/steps.h"

/* What is committed, and for which attempt. */
struct deed {
    enum action action;
    enum kind kind;
    unsigned host;
    unsigned send, n;
    enum pending pending; /* what changes in memory once the answer is known */
    bool settles;         /* the attempt: its session's journal may then be removed */
};

/* Emit what follows when after is committed: the log answers; or its answer is lost, and the
 * transaction took place, or did not. */
void commit(const struct expansion *x, struct deed deed, const struct world *after);

/* The process's memory, once it knows that its transaction is on the log. is_answered: the log said
 * so itself, and nothing was re-opened since; only that grants a permit. */
void remember(struct world *w, unsigned host, enum pending pending, unsigned s, unsigned n,
              bool is_answered);

/* The owner of dispatch's slot, or NOBODY. */
unsigned owner_of(const struct world *w);

#endif
