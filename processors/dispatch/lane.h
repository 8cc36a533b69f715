/* lane.h - pace, queue and circuit of one lane, as this session sees them. Volatile. */
#ifndef TELEHUB_PROCESSORS_DISPATCH_LANE_H
#define TELEHUB_PROCESSORS_DISPATCH_LANE_H

#include "processors/dispatch/state.h"

/* Errors: TH_NOMEM; TH_INVALID beyond DISPATCH_LANES_MAX */
TH_MUST_USE
enum th_code lane_of(struct dispatch *d, int32_t number, struct lane **out);

void lane_queue(struct lane *lane, struct plan *plan);
void lane_queue_drop_first(struct lane *lane);

/* When the lane may start its next attempt; now or earlier: at once. rate_per_s 0: always.
 *
 * No second, wherever it begins, sees more than rate_per_s starts: tokens come 5 % slower than the
 * rate, and at most 5 % of a second's may be saved up. */
int64_t lane_token_us(const struct lane *lane, int32_t rate_per_s);
void lane_take_token(struct lane *lane, int32_t rate_per_s, int64_t now_us);

/* After a restart nobody knows what was started in the last second: begin with none saved up. */
void lane_begin(struct lane *lane, int64_t now_us);

/* Count one finished call. */
void lane_count(struct lane *lane, int64_t now_us, bool is_failure);

/* Sums of the last 30 s. */
void lane_recent(const struct lane *lane, int64_t now_us, int32_t *out_calls,
                 int32_t *out_failures);

#endif
