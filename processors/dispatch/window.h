/* window.h - how many attempts of a slot may be in flight: no more than its rate needs, since each
 * is in doubt after a crash.
 *
 * It grows by one with each call that lands in a second in which somebody waited for a place, so it
 * doubles within a cycle of decision, commit, call and answer; and it falls to what a second
 * without such waiting had in flight. Zero-initialise; derived, in no snapshot. Pure.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_WINDOW_H
#define TELEHUB_PROCESSORS_DISPATCH_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
    int64_t n;      /* asked of window_size, which bounds it */
    int64_t second; /* UTC, in which these were noted: */
    int64_t peak;   /* in flight at a start */
    bool was_full;
};

/* Places, min to max. */
int64_t window_size(const struct window *window, int64_t min, int64_t max);

/* Somebody had to wait for a place. */
void window_note_full(struct window *window);

/* An attempt was started; in_flight: with it. */
void window_note_start(struct window *window, int64_t in_flight, int64_t now_us);

/* An attempt has landed. min and max as for window_size. */
void window_note_landing(struct window *window, int64_t min, int64_t max);

#endif
