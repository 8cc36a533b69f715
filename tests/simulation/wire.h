/* wire.h - how the simulated provider speaks: a wire whose callbacks name the attempt, and which
 * cannot be asked whether it has one. Only callbacks are bytes; requests are made by effects. */
#ifndef TELEHUB_TESTS_SIMULATION_WIRE_H
#define TELEHUB_TESTS_SIMULATION_WIRE_H

#include "common/provider.h"

/* What a callback's body says. */
struct sim_report {
    enum provider_status status;
    enum provider_class error_class;
    int64_t number; /* the provider's id of the message */
};

/* The wire of a lane whose attempts are settled like that: "sim_key", "sim_look", "sim",
 * "sim_none". */
const struct provider_ops *sim_wire_of(enum provider_reconciliation reconciliation);

/* All of them; ends at NULL. */
extern const struct provider_ops *const sim_wires[];

/* "19 1 42"; lives in arena. */
struct th_str sim_wire_body(const struct sim_report *report, struct th_arena *arena);

/* The same as a report; the id lives in arena. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code sim_wire_report(const struct sim_report *in, struct th_arena *arena,
                             struct provider_report *out);

/* The provider's id of a message; lives in arena. */
struct th_str sim_wire_id(int64_t number, struct th_arena *arena);

#endif
