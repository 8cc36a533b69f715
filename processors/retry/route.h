/* route.h - which lane: a table of 100 entries, a pure function of accounts and their health.
 *
 * Weights times measured health become 100 lanes (smooth weighted round robin, remainders by
 * largest rest); the k-th release takes entry k mod 100, so any 100 consecutive first releases have
 * exactly the weights, on whatever slot. Lanes that are disabled or whose circuit is open get none.
 */
#ifndef TELEHUB_PROCESSORS_RETRY_ROUTE_H
#define TELEHUB_PROCESSORS_RETRY_ROUTE_H

#include "common/eventlog/reference.h"

#define ROUTE_ENTRIES   100
#define ROUTE_LANES_MAX 32 /* of one tenant that take part */

struct route_lane {
    int32_t lane;
    int32_t entries; /* of the table */
    int64_t share;   /* weight x health; 0: closed */
};

struct route_table {
    size_t lanes_n;
    struct route_lane lanes[ROUTE_LANES_MAX]; /* by falling share, then by number */
    int32_t entries[ROUTE_ENTRIES];           /* lane numbers; 0: nobody can */
};

/* accounts: names that may be used; none: all of the tenant. */
void route_table_make(const struct reference *ref, struct th_str tenant,
                      const struct string_array *accounts, struct route_table *out);

/* The lane of the k-th release; 0: none. */
int32_t route_first(const struct route_table *table, int64_t k);

/* The open lane with the largest share that is not among those excluded; 0: none. */
int32_t route_other(const struct route_table *table, const uint16_t *excluded, size_t excluded_n);

/* Does the lane take part, open? */
bool route_is_open(const struct route_table *table, int32_t lane);

/* Which of an account's senders a contact always sees: rendezvous hash. Empty if there are none. */
struct th_str route_sender(const struct account_configured *account, int64_t contact);

/* --- tables that were made, kept until the reference changes
 * --------------------------------------- */

struct routes;

struct routes *routes_new(void);
void routes_free(struct routes *routes);

/* The table of a group, made anew when config or health moved on. Good until the next call. */
const struct route_table *routes_of(struct routes *routes, const struct reference *ref,
                                    struct th_id group, struct th_str tenant,
                                    const struct string_array *accounts);

#endif
