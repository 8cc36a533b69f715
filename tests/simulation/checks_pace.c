/* The pace of a campaign, held against the provider's ledger. */
#include "processors/campaign/pace.h"
#include "tests/simulation/checks_private.h"

#include <assert.h>
#include <inttypes.h>

#define WAY_US (3 * TH_US_PER_SEC) /* from its time to the provider, at most */

void checks_pace_free(struct campaign_fact *campaign)
{
    free(campaign->executed);
    free(campaign->releases);
}

/* --- what was released --------------------------------------------------------------------------
 */

/* Releases are numbered without a gap, and each has the pace that held when it was made. */
static void number_releases(struct world *world, struct th_id id, int64_t first, int64_t n,
                            int64_t send_at_us, int64_t send_by_us)
{
    struct campaign_fact *campaign = &world->checks->campaigns[checks_campaign(world, id)];

    if (first != (int64_t)campaign->releases_n)
        world_fail(world, "release %" PRId64 " comes after %zu", first, campaign->releases_n);
    if (n > 0 && (send_by_us != 0) != (campaign->pace != 0))
        world_fail(world, "release %" PRId64 " has a limit, or none, against the pace %d", first,
                   campaign->pace);
    if (n > 0 && campaign->pace != 0 && first > 0 && campaign->releases[first - 1].pace == 0) {
        campaign->limited_us = world_now(world);
        campaign->limited_release = first;
    }
    for (int64_t i = 0; i < n; i++) {
        if (campaign->releases_n == campaign->releases_cap) {
            campaign->releases_cap = campaign->releases_cap ? 2 * campaign->releases_cap : 64;
            campaign->releases = reallocarray(campaign->releases, campaign->releases_cap,
                                              sizeof *campaign->releases);
            assert(campaign->releases);
        }
        campaign->releases[campaign->releases_n++] =
            (struct release_fact){campaign->pace, send_at_us, send_by_us};
    }
}

void checks_pace_told(struct world *world, const struct event *event)
{
    const struct campaign_released *released = &event->as.campaign_released;
    const struct campaign_re_released *granted = &event->as.campaign_re_released;
    const struct campaign_pace_changed *changed = &event->as.campaign_pace_changed;

    switch ((int)event->type) { /* the rest says nothing that must be held against others */
    case EVENT_CAMPAIGN_CREATED:
        world->checks->campaigns[checks_campaign(world, event->as.campaign_created.campaign)].pace =
            event->as.campaign_created.spec.pace_per_min;
        break;
    case EVENT_CAMPAIGN_PACE_CHANGED:
        world->checks->campaigns[checks_campaign(world, changed->campaign)].pace =
            changed->pace_per_min;
        world->checks->counts[SIM_PACE_CHANGES]++;
        break;
    case EVENT_CAMPAIGN_RELEASED:
        number_releases(world, released->campaign, released->first_release,
                        released->rows - (int64_t)released->suppressed_rows.n, released->send_at_us,
                        released->send_by_us);
        break;
    case EVENT_CAMPAIGN_RE_RELEASED:
        number_releases(world, granted->campaign, granted->first_release, (int64_t)granted->sends.n,
                        granted->send_at_us, granted->send_by_us);
        break;
    default:
        break;
    }
}

/* --- what was called ----------------------------------------------------------------------------
 */

static void note_call(struct world *world, struct campaign_fact *campaign, int pace)
{
    if (campaign->executed_n == campaign->executed_cap) {
        campaign->executed_cap = campaign->executed_cap ? 2 * campaign->executed_cap : 64;
        campaign->executed =
            reallocarray(campaign->executed, campaign->executed_cap, sizeof *campaign->executed);
        assert(campaign->executed);
    }
    campaign->executed[campaign->executed_n++] = (struct paced_call){world_now(world), pace};
}

/* Of the calls of less than a minute, this one the last of them, there are no more than the
 * greatest pace that one of them was released at. */
static void check_window(struct world *world, int i)
{
    const struct campaign_fact *campaign = &world->checks->campaigns[i];
    int64_t since = world_now(world) - TH_US_PER_MIN;
    size_t n = campaign->executed_n;
    int greatest = 1;

    for (size_t calls = 1; calls <= n && campaign->executed[n - calls].at_us > since; calls++) {
        int pace = campaign->executed[n - calls].pace;
        if (pace == 0)
            return;
        greatest = pace > greatest ? pace : greatest;
        if (calls > (size_t)greatest)
            world_fail(world, "campaign %d: more than %d calls in a minute", i, greatest);
    }
}

/* Once a release with a limit was made, those without one before it are used up: at most on their
 * way, or repeated at once, given clocks that do not jump. */
static void check_drained(struct world *world, int i, const struct attempt_fact *attempt)
{
    const struct campaign_fact *campaign = &world->checks->campaigns[i];

    if (attempt->release < campaign->limited_release &&
        campaign->releases[attempt->release].pace == 0 &&
        (attempt->reconciliation != PROVIDER_IDEMPOTENT || world->options.odds.jump == 0) &&
        world_now(world) >
            campaign->limited_us + WAY_US + (attempt->repeat_at_us ? DISPATCH_AT_ONCE_US : 0))
        world_fail(world,
                   "campaign %d: release %" PRId64 ", without a limit, is called after one "
                   "that has one",
                   i, attempt->release);
}

/* Every call, a repeat's too, takes the place of its newest release: not before its time, and no
 * later than the way to the provider after it, given clocks that do not jump. */
static void check_place(struct world *world, int i, const struct attempt_fact *attempt)
{
    const struct release_fact *release = &world->checks->campaigns[i].releases[attempt->release];

    if (world->options.odds.jump != 0 || release->send_by_us == 0)
        return;
    if (world_utc(world) < release->send_at_us ||
        world_utc(world) > release->send_by_us + PACE_WAY_US)
        world_fail(world, "campaign %d: release %" PRId64 " was for another time", i,
                   attempt->release);
}

void checks_pace_called(struct world *world, int i, const struct attempt_fact *attempt)
{
    struct campaign_fact *campaign = &world->checks->campaigns[i];

    note_call(world, campaign, campaign->releases[attempt->release].pace);
    check_window(world, i);
    check_place(world, i, attempt);
    check_drained(world, i, attempt);
}
