#include "processors/dispatch/window.h"

int64_t window_size(const struct window *window, int64_t min, int64_t max)
{
    if (window->n < min)
        return min;
    return window->n > max ? max : window->n;
}

void window_note_full(struct window *window)
{
    window->was_full = true;
}

/* What the last second did not need, nobody will miss. */
static void begin_second(struct window *window, int64_t second)
{
    if (!window->was_full && window->peak < window->n)
        window->n = window->peak;
    window->second = second;
    window->peak = 0;
    window->was_full = false;
}

void window_note_start(struct window *window, int64_t in_flight, int64_t now_us)
{
    int64_t second = now_us / 1000000;

    if (second != window->second)
        begin_second(window, second);
    if (in_flight > window->peak)
        window->peak = in_flight;
}

void window_note_landing(struct window *window, int64_t min, int64_t max)
{
    int64_t size = window_size(window, min, max);

    if (window->was_full && size < max)
        window->n = size + 1;
}
