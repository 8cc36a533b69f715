/* campaign.c, release.c: a pace that is changed on the way. */
#include "tests/unit/desk.h"
#include "tests/unit/test.h"

#include "processors/campaign/campaign.h"
#include "processors/campaign/pace.h"

#include <string.h>

#define SECOND     INT64_C(1000000)
#define ROWS       1000 /* of the audience's one part */
#define LOOK_AHEAD 20

static const struct campaign_config config = {
    .look_ahead = LOOK_AHEAD, .look_ahead_us = 5 * SECOND, .ask_again_us = SECOND};
static const struct th_id campaign = {.b = {7}};

/* The audience is there, at once, and nobody in it twice. */
static void answer(const struct effect *asked, struct th_arena *arena, struct answer *out)
{
    (void)arena;
    if (asked->type == EFFECT_OPEN_AUDIENCE) {
        out->type = ANSWER_AUDIENCE_OPENED;
        out->as.audience_opened.campaign = asked->as.open_audience.campaign;
        out->as.audience_opened.parts = 1;
        out->as.audience_opened.recipients = ROWS;
        return;
    }
    assert_int_equal(asked->type, EFFECT_READ_PART);
    out->type = ANSWER_PART_READ;
    out->as.part_read.campaign = asked->as.read_part.campaign;
    out->as.part_read.part = asked->as.read_part.part;
    out->as.part_read.rows = ROWS;
}

/* --- what is told to the campaign ---------------------------------------------------------------
 */

static void create(struct desk *desk, int32_t pace)
{
    struct event event = {
        .type = EVENT_CREATE_CAMPAIGN,
        .as.create_campaign = {.campaign = campaign, .spec = {.pace_per_min = pace}},
    };

    desk_event(desk, TOPIC_CAMPAIGN_COMMANDS, &event);
}

static void command(struct desk *desk, enum event_type type)
{
    struct event event = {.type = type};

    if (type == EVENT_START_CAMPAIGN)
        event.as.start_campaign =
            (struct start_campaign){.campaign = campaign, .recipients = {true, ROWS}};
    else if (type == EVENT_PAUSE_CAMPAIGN)
        event.as.pause_campaign.campaign = campaign;
    else if (type == EVENT_RESUME_CAMPAIGN)
        event.as.resume_campaign.campaign = campaign;
    else
        event.as.cancel_campaign.campaign = campaign;
    desk_event(desk, TOPIC_CAMPAIGN_COMMANDS, &event);
}

static void set_pace(struct desk *desk, int32_t pace)
{
    struct event event = {
        .type = EVENT_SET_CAMPAIGN_PACE,
        .as.set_campaign_pace = {.campaign = campaign, .pace_per_min = pace},
    };

    desk_event(desk, TOPIC_CAMPAIGN_COMMANDS, &event);
}

static void settle(struct desk *desk, int64_t n)
{
    struct event event = {
        .type = EVENT_SENDS_MOVED,
        .as.sends_moved = {.campaign = campaign, .settled = n, .accepted = n},
    };

    desk_event(desk, TOPIC_CAMPAIGN_PROGRESS, &event);
}

static int64_t open_now(const struct desk *desk)
{
    struct campaign_counts counts;

    assert_true(campaign_look(desk->core, campaign, &counts));
    return counts.open;
}

/* The last release that was made by what was told last; 0: none. */
static int64_t send_at(const struct desk *desk)
{
    const struct event *event;
    int64_t at = 0;

    for (size_t i = 0; (event = desk_heard(desk, EVENT_SEND_REQUESTED, i)); i++)
        at = event->as.send_requested.send_at_us;
    return at;
}

/* Let everything that is due happen, and no time pass; the last release's time, or last. */
static int64_t go_on(struct desk *desk, int64_t last)
{
    do {
        desk_wait(desk, 0);
        last = send_at(desk) ? send_at(desk) : last;
    } while (desk->ops->next_due_us(desk->core) <= desk->now_us);
    return last;
}

/* A campaign that runs at that pace, and the time of its last release. */
static int64_t run_at(struct desk *desk, int32_t pace)
{
    desk_open(desk, &campaign_core, &config);
    desk->answer = answer;
    desk_lane(desk, "main", 1, "sim");
    create(desk, pace);
    command(desk, EVENT_START_CAMPAIGN);
    return go_on(desk, send_at(desk));
}

/* --- when it may be changed ---------------------------------------------------------------------
 */

static void answer_pause(struct desk *desk)
{
    for (int32_t app = LOG_APP_RETRY; app <= LOG_APP_DISPATCH; app++) {
        struct event event = {
            .type = EVENT_CONTROL_ANSWERED,
            .as.control_answered = {.campaign = campaign, .app = app, .version = 2},
        };
        desk_event(desk, TOPIC_CAMPAIGN_PROGRESS, &event);
    }
}

static void test_it_is_changed_until_the_end(void **unused)
{
    static const struct {
        const char *says;
        enum campaign_phase phase;
        int32_t pace;
        const char *code; /* NULL: it is done */
    } cases[] = {
        {"of a draft", CAMPAIGN_DRAFT, 60, NULL},
        {"while it runs", CAMPAIGN_RUNNING, 60, NULL},
        {"to none", CAMPAIGN_RUNNING, 0, NULL},
        {"to what it is already", CAMPAIGN_RUNNING, 30, NULL},
        {"while it is pausing", CAMPAIGN_PAUSING, 60, NULL},
        {"while it is paused", CAMPAIGN_PAUSED, 60, NULL},
        {"not once it is being cancelled", CAMPAIGN_CANCELLING, 60, "conflict"},
        {"not to less than nothing", CAMPAIGN_RUNNING, -1, "invalid_pace"},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct desk desk;
        struct campaign_counts counts;

        print_message("  %s\n", cases[i].says);
        desk_open(&desk, &campaign_core, &config);
        desk.answer = answer;
        desk_lane(&desk, "main", 1, "sim");
        create(&desk, 30);
        if (cases[i].phase != CAMPAIGN_DRAFT) {
            command(&desk, EVENT_START_CAMPAIGN);
            (void)go_on(&desk, 0);
        }
        if (cases[i].phase == CAMPAIGN_CANCELLING)
            command(&desk, EVENT_CANCEL_CAMPAIGN);
        else if (cases[i].phase > CAMPAIGN_RUNNING)
            command(&desk, EVENT_PAUSE_CAMPAIGN);
        if (cases[i].phase == CAMPAIGN_PAUSED)
            answer_pause(&desk);
        assert_true(campaign_look(desk.core, campaign, &counts));
        assert_int_equal(counts.phase, cases[i].phase);

        set_pace(&desk, cases[i].pace);
        const struct event *changed = desk_heard(&desk, EVENT_CAMPAIGN_PACE_CHANGED, 0);
        const struct event *refused = desk_heard(&desk, EVENT_COMMAND_REFUSED, 0);
        if (cases[i].code) {
            assert_null(changed);
            assert_non_null(refused);
            assert_str_equal(refused->as.command_refused.command, TH_STR("pace"));
            assert_str_equal(refused->as.command_refused.code, th_str(cases[i].code));
        } else {
            assert_null(refused);
            assert_non_null(changed);
            assert_int_equal(changed->as.campaign_pace_changed.pace_per_min, cases[i].pace);
            assert_int_equal(changed->as.campaign_pace_changed.was_per_min, 30);
        }
        desk_close(&desk);
    }
}

static void test_only_ones_own_campaign_is_changed(void **unused)
{
    struct desk desk;
    struct event event = {
        .type = EVENT_SET_CAMPAIGN_PACE,
        .as.set_campaign_pace = {.meta = {.tenant = TH_STR("other")},
                                 .campaign = campaign,
                                 .pace_per_min = 1},
    };

    (void)unused;
    (void)run_at(&desk, 30);
    desk_event(&desk, TOPIC_CAMPAIGN_COMMANDS, &event);
    assert_null(desk_heard(&desk, EVENT_CAMPAIGN_PACE_CHANGED, 0));
    assert_str_equal(desk_heard(&desk, EVENT_COMMAND_REFUSED, 0)->as.command_refused.code,
                     TH_STR("not_found"));
    desk_close(&desk);
}

/* --- what it holds for --------------------------------------------------------------------------
 */

/* The release after the change is due a distance of the new pace after the last one before it. */
static void test_the_next_release_keeps_the_new_distance(void **unused)
{
    static const struct {
        const char *says;
        int32_t from, to;
        bool is_reopened; /* the process dies in between */
    } cases[] = {
        {"a lower pace", 60, 6, false},
        {"a lower pace, after a restart", 60, 6, true},
        {"a higher pace", 6, 60, false},
        {"a much higher pace, after a restart", 1, 200, true},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct desk desk;

        print_message("  %s\n", cases[i].says);
        int64_t last = run_at(&desk, cases[i].from);
        assert_true(last >= desk.now_us);
        assert_true(last <= desk.now_us + config.look_ahead_us);
        set_pace(&desk, cases[i].to);
        int64_t next = send_at(&desk); /* by the command itself, if it is within the look-ahead */
        if (cases[i].is_reopened) {
            last = next ? next : last;
            next = 0;
            desk_reopen(&desk, &config);
        }
        int64_t due = last + pace_spacing_us(cases[i].to);
        while (!next) {
            assert_true(desk.ops->next_due_us(desk.core) < due);
            desk_wait(&desk, desk.ops->next_due_us(desk.core) > desk.now_us
                                 ? desk.ops->next_due_us(desk.core) - desk.now_us
                                 : 0);
            next = send_at(&desk);
        }
        assert_true(next == due);
        desk_close(&desk);
    }
}

static void test_without_a_pace_all_go_at_once(void **unused)
{
    struct desk desk;

    (void)unused;
    (void)run_at(&desk, 6);
    int64_t before = open_now(&desk);
    assert_true(before < LOOK_AHEAD);
    set_pace(&desk, 0);
    (void)go_on(&desk, 0);
    assert_int_equal(open_now(&desk), LOOK_AHEAD);
    desk_close(&desk);
}

/* Who was let go without a limit may start at any moment: a window would hold them and those of
 * the new pace. */
static void test_a_pace_waits_for_those_without_a_limit(void **unused)
{
    static const struct {
        const char *says;
        bool is_reopened;
        bool was_changed_twice;
    } cases[] = {
        {"a pace is set", false, false},
        {"a pace is set, and the process dies", true, false},
        {"a pace is set, and another before the first held", false, true},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct desk desk;

        print_message("  %s\n", cases[i].says);
        int64_t last = run_at(&desk, 0);
        assert_int_equal(open_now(&desk), LOOK_AHEAD);
        if (cases[i].was_changed_twice)
            set_pace(&desk, 1);
        set_pace(&desk, 60);
        if (cases[i].is_reopened)
            desk_reopen(&desk, &config);
        desk_wait(&desk, SECOND);
        settle(&desk, LOOK_AHEAD - 1);
        desk_wait(&desk, 10 * SECOND);
        assert_int_equal(open_now(&desk), 1);

        settle(&desk, 1);
        int64_t next = go_on(&desk, send_at(&desk));
        assert_true(next >= desk.now_us);
        assert_true(next >= last + pace_spacing_us(60));
        assert_true(open_now(&desk) <= 6); /* those of the next five seconds */
        desk_close(&desk);
    }
}

static struct campaign_counts counts_now(const struct desk *desk)
{
    struct campaign_counts counts;

    assert_true(campaign_look(desk->core, campaign, &counts));
    return counts;
}

/* Who asked for a repeat, and was told of by a callback, asks in vain: nobody is left. */
static void test_an_ask_of_who_has_settled_does_not_hold_the_end_up(void **unused)
{
    static const struct th_id send = {.b = {3}};
    struct desk desk;
    struct event wanted = {.type = EVENT_RELEASE_WANTED,
                           .as.release_wanted = {.campaign = campaign, .sends = {&send, 1}}};

    (void)unused;
    (void)run_at(&desk, 0);
    for (int i = 0; i < ROWS && counts_now(&desk).requested < ROWS; i++) {
        settle(&desk, open_now(&desk));
        (void)go_on(&desk, 0);
    }
    set_pace(&desk, 1); /* which answers nobody before all who were let go have come back */
    desk_event(&desk, TOPIC_CAMPAIGN_PROGRESS, &wanted);
    assert_int_equal(counts_now(&desk).asking, 1);
    settle(&desk, open_now(&desk));
    assert_non_null(desk_heard(&desk, EVENT_CAMPAIGN_COMPLETED, 0));
    assert_null(desk_heard(&desk, EVENT_SEND_RELEASED, 0));
    assert_int_equal(counts_now(&desk).asking, 0);
    desk_close(&desk);
}

static void test_none_again_lets_all_go(void **unused)
{
    struct desk desk;

    (void)unused;
    (void)run_at(&desk, 0);
    set_pace(&desk, 60);
    settle(&desk, 5);
    assert_int_equal(open_now(&desk), LOOK_AHEAD - 5);
    set_pace(&desk, 0);
    (void)go_on(&desk, 0);
    assert_int_equal(open_now(&desk), LOOK_AHEAD);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_changed_until_the_end),
        cmocka_unit_test(test_only_ones_own_campaign_is_changed),
        cmocka_unit_test(test_the_next_release_keeps_the_new_distance),
        cmocka_unit_test(test_without_a_pace_all_go_at_once),
        cmocka_unit_test(test_a_pace_waits_for_those_without_a_limit),
        cmocka_unit_test(test_an_ask_of_who_has_settled_does_not_hold_the_end_up),
        cmocka_unit_test(test_none_again_lets_all_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
