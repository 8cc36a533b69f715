/* view_store.h - the views' tables of common/view_store.h in Postgres.
 *
 * The tables can be rebuilt from the log, so their commits do not wait for the disk
 * (synchronous_commit=off): after a crash of the server rows and offsets are a little older, both
 * alike, and are folded again.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_VIEW_STORE_H
#define TELEHUB_CONNECTORS_POSTGRES_VIEW_STORE_H

#include "common/view_store.h"

/* conninfo is borrowed for the call. gen 0: the current generation.
 * Errors: TH_NOT_FOUND    there is no such generation (telehub upgrade makes the first)
 *         TH_UNAVAILABLE, TH_DENIED, TH_NOMEM */
TH_MUST_USE
enum th_code pg_view_store_open(const char *conninfo, int gen, struct view_store **out_store,
                                struct th_err *err);

/* The same as a materialize_config.open_store: context is the conninfo, the generation the current
 * one. */
TH_MUST_USE
enum th_code pg_view_store_open_current(void *conninfo, struct view_store **out_store,
                                        struct th_err *err);

/* Generations, to rebuild and to verify. One thread. conninfo is borrowed as long as it is open. */
TH_MUST_USE
enum th_code pg_view_generations_open(const char *conninfo, struct view_generations **out_gens,
                                      struct th_err *err);
void pg_view_generations_close(struct view_generations *gens);

#endif
