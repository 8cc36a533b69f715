#include "tests/unit/test.h"

#include "common/arena.h"
#include "common/eventlog/reference.h"

#include <pthread.h>
#include <string.h>

#include "tests/unit/failing_malloc.h"

static struct th_id id_of(uint8_t n)
{
    return (struct th_id){.b = {n, 1, 2, 3}};
}

static struct meta by(const char *tenant)
{
    return (struct meta){.tenant = th_str(tenant), .actor = TH_STR("test")};
}

/* A story over all four topics; each topic's part of it is in order. */
static const struct th_str senders[] = {{"+15550100", 9}, {"+15550101", 9}};
static const struct text_section hindi[] = {
    {.lang = {"hi", 2}, .text = {.is = STRING_OR_SEALED_STRING, .as.string = {"नमस्ते {name}", 25}}}};

struct step {
    enum topic topic;
    struct event event;
};

static const struct step story[] = {
    {TOPIC_CONFIG,
     {.type = EVENT_TENANT_CREATED,
      .as.tenant_created = {.meta = {.tenant = {"ngo", 3}},
                            .name = {"An NGO", 6},
                            .country = {"IN", 2},
                            .zone = {"Asia/Kolkata", 12},
                            .currency = {"INR", 3}}}},
    {TOPIC_CONFIG,
     {.type = EVENT_KEY_ISSUED,
      .as.key_issued = {.meta = {.tenant = {"ngo", 3}}, .key_id = {"k1", 2}, .sha256 = {{7, 7}}}}},
    {TOPIC_CONFIG,
     {.type = EVENT_KEY_ISSUED,
      .as.key_issued = {.meta = {.tenant = {"thief", 5}},
                        .key_id = {"k2", 2},
                        .sha256 = {{7, 7}}}}},
    {TOPIC_CONFIG,
     {.type = EVENT_ACCOUNT_CONFIGURED,
      .as.account_configured = {.meta = {.tenant = {"ngo", 3}},
                                .name = {"main", 4},
                                .lane = 3,
                                .wire = {"twilio", 6},
                                .base_url = {"http://127.0.0.1:1", 18},
                                .senders = {senders, 2},
                                .weight = 80,
                                .sms_estimate = {.micros = 5, .currency = {"INR", 3}}}}},
    {TOPIC_CONFIG,
     {.type = EVENT_ACCOUNT_ENABLED,
      .as.account_enabled = {.meta = {.tenant = {"ngo", 3}},
                             .name = {"main", 4},
                             .is_enabled = true}}},
    {TOPIC_CONFIG,
     {.type = EVENT_ACCOUNT_CONFIGURED,
      .as.account_configured = {.meta = {.tenant = {"other", 5}}, .name = {"late", 4}, .lane = 3}}},
    {TOPIC_CONFIG,
     {.type = EVENT_TENANT_STOP_SET,
      .as.tenant_stop_set = {.meta = {.tenant = {"ngo", 3}}, .is_stopped = true}}},
    {TOPIC_CONSENT_EVENTS, {.type = EVENT_OPTED_OUT, .as.opted_out = {.contact = 1}}},
    {TOPIC_CONSENT_EVENTS, {.type = EVENT_OPTED_OUT, .as.opted_out = {.contact = -2}}},
    {TOPIC_CONSENT_EVENTS, {.type = EVENT_OPTED_OUT, .as.opted_out = {.contact = 0}}},
    {TOPIC_CONSENT_EVENTS, {.type = EVENT_OPTED_IN, .as.opted_in = {.contact = 1}}},
    {TOPIC_CAMPAIGN_CONTROL,
     {.type = EVENT_CAMPAIGN_DEFINED,
      .as.campaign_defined = {.meta = {.tenant = {"ngo", 3}},
                              .campaign = {{9, 1, 2, 3}},
                              .run = 1,
                              .spec = {.name = {"exams", 5}, .texts = {hindi, 1}}}}},
    {TOPIC_CAMPAIGN_CONTROL,
     {.type = EVENT_CAMPAIGN_CONTROLLED,
      .as.campaign_controlled = {.meta = {.tenant = {"ngo", 3}},
                                 .campaign = {{9, 1, 2, 3}},
                                 .version = 2,
                                 .state = CONTROL_STATE_PAUSED}}},
    {TOPIC_CAMPAIGN_CONTROL,
     {.type = EVENT_CAMPAIGN_CONTROLLED,
      .as.campaign_controlled = {.meta = {.tenant = {"ngo", 3}},
                                 .campaign = {{9, 1, 2, 3}},
                                 .version = 1,
                                 .state = CONTROL_STATE_RUNNING}}},
    {TOPIC_LANE_HEALTH,
     {.type = EVENT_LANE_HEALTH_CHANGED,
      .as.lane_health_changed = {.lane = 3, .circuit = CIRCUIT_OPEN, .health_permille = 400}}},
    {TOPIC_LANE_HEALTH,
     {.type = EVENT_LANE_HEALTH_CHANGED,
      .as.lane_health_changed = {.lane = 3, .circuit = CIRCUIT_HALF_OPEN, .health_permille = 500}}},
    {TOPIC_LANE_HEALTH, {.type = EVENT_SEND_STUCK}}, /* does not belong here */
};

/* Folds a copy that is gone afterwards, as a follower's is. */
static enum th_code fold(struct reference *ref, enum topic topic, const struct event *event)
{
    struct th_buf bytes = {0};
    struct th_arena arena;
    struct event decoded;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(event_encode(event, &bytes), TH_OK);
    assert_int_equal(event_decode(th_buf_str(&bytes), &arena, &decoded, NULL), TH_OK);
    reference_write_lock(ref);
    enum th_code code = reference_apply(ref, topic, &decoded);
    reference_unlock(ref);
    memset(bytes.p, 'x', bytes.n);
    th_buf_fini(&bytes);
    th_arena_fini(&arena);
    return code;
}

static void assert_story_told(struct reference *ref)
{
    reference_read_lock(ref);

    const struct ref_tenant *tenant = reference_tenant(ref, TH_STR("ngo"));
    assert_non_null(tenant);
    assert_str_equal(tenant->name, TH_STR("An NGO"));
    assert_str_equal(tenant->zone, TH_STR("Asia/Kolkata"));
    assert_true(tenant->is_stopped);
    assert_int_equal(tenant->stop_version, 1);
    assert_ptr_equal(reference_tenant_at(ref, 0), tenant);
    assert_null(reference_tenant_at(ref, 1));

    const struct ref_key *key = reference_key(ref, &(struct sha256){{7, 7}});
    assert_str_equal(key->tenant, TH_STR("ngo"));
    assert_str_equal(key->key_id, TH_STR("k1"));
    assert_null(reference_key(ref, &(struct sha256){{7, 8}}));

    const struct ref_lane *lane = reference_lane(ref, 3);
    assert_ptr_equal(reference_lane_by_name(ref, TH_STR("ngo"), TH_STR("main")), lane);
    assert_null(reference_lane_by_name(ref, TH_STR("other"), TH_STR("late")));
    assert_str_equal(lane->account.base_url, TH_STR("http://127.0.0.1:1"));
    assert_str_equal(lane->account.senders.at[1], TH_STR("+15550101"));
    assert_true(lane->is_enabled);
    assert_int_equal(lane->circuit, CIRCUIT_HALF_OPEN);
    assert_int_equal(lane->health_permille, 500);
    assert_int_equal(reference_lane_max(ref), 3);

    const struct ref_campaign *campaign = reference_campaign(ref, id_of(9));
    assert_true(campaign->is_defined);
    assert_int_equal(campaign->version, 2);
    assert_int_equal(campaign->state, CONTROL_STATE_PAUSED);
    assert_str_equal(campaign->spec.texts.at[0].text.as.string, hindi[0].text.as.string);

    assert_false(reference_is_opted_out(ref, 1));
    assert_true(reference_is_opted_out(ref, -2));
    assert_true(reference_is_opted_out(ref, 0));

    struct reference_versions versions = reference_versions(ref);
    assert_int_equal(versions.config, 7);
    assert_int_equal(versions.consent, 4);
    assert_int_equal(versions.control, 3);
    assert_int_equal(versions.health, 3);
    reference_unlock(ref);
}

/* Deals the topics like cards: each stays in its own order. */
static void fold_interleaved(struct reference *ref, unsigned seed)
{
    static const enum topic topics[] = {TOPIC_CONFIG, TOPIC_CONSENT_EVENTS, TOPIC_CAMPAIGN_CONTROL,
                                        TOPIC_LANE_HEALTH};
    size_t next[TH_LEN(topics)] = {0};

    for (size_t left = TH_LEN(story); left > 0;) {
        seed = seed * 1103515245u + 12345u;
        size_t t = (seed >> 16) % TH_LEN(topics);
        while (next[t] < TH_LEN(story) && story[next[t]].topic != topics[t])
            next[t]++;
        if (next[t] == TH_LEN(story))
            continue;
        assert_int_equal(fold(ref, topics[t], &story[next[t]++].event), TH_OK);
        left--;
    }
}

static void test_any_interleaving_of_topics_tells_the_same(void **unused)
{
    (void)unused;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct reference *ref = reference_new();
        fold_interleaved(ref, seed);
        assert_story_told(ref);
        reference_free(ref);
    }
}

/* Everything there is to know, as text. */
static void tell(const struct reference *ref, struct th_buf *out)
{
    struct reference_versions v = reference_versions(ref);
    const struct ref_tenant *tenant;
    const struct ref_lane *lane;
    const struct ref_campaign *campaign;

    th_buf_printf(out, "%ld %ld %ld %ld %lu max %d\n", (long)v.config, (long)v.consent,
                  (long)v.control, (long)v.health, (unsigned long)reference_changes_end(ref),
                  (int)reference_lane_max(ref));
    for (size_t i = 0; (tenant = reference_tenant_at(ref, i)); i++)
        th_buf_printf(out, "tenant %.*s %.*s %d %ld\n", TH_ARG(tenant->slug), TH_ARG(tenant->name),
                      tenant->is_stopped, (long)tenant->stop_version);
    for (size_t i = 0; (lane = reference_lane_at(ref, i)); i++)
        th_buf_printf(out, "lane %d %.*s %.*s %d %d %d %d\n", (int)lane->lane, TH_ARG(lane->tenant),
                      TH_ARG(lane->account.base_url), lane->is_enabled, (int)lane->circuit,
                      (int)lane->health_permille,
                      reference_lane_by_name(ref, lane->tenant, lane->account.name) == lane);
    for (size_t i = 0; (campaign = reference_campaign_at(ref, i)); i++)
        th_buf_printf(out, "campaign %.*s %d %d %ld %d %.*s\n", TH_ARG(campaign->tenant),
                      campaign->is_defined, (int)campaign->run, (long)campaign->version,
                      (int)campaign->state, TH_ARG(campaign->spec.name));
    th_buf_printf(out, "key %d out %d\n", reference_key(ref, &(struct sha256){{7, 7}}) != NULL,
                  reference_is_opted_out(ref, -2));
}

static enum th_code apply_with(struct reference *ref, const struct step *step, long mallocs)
{
    mallocs_left = mallocs;
    enum th_code code = reference_apply(ref, step->topic, &step->event);
    mallocs_left = -1;
    return code;
}

/* Every step of the story, with room for 0, 1, 2, ... allocations until it needs no more. */
static void test_without_memory_nothing_changes(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    size_t failures = 0;

    for (size_t i = 0; i < TH_LEN(story); i++) {
        for (long mallocs = 0;; mallocs++) {
            TH_AUTO(th_buf) struct th_buf before = {0};
            TH_AUTO(th_buf) struct th_buf after = {0};
            tell(ref, &before);
            if (apply_with(ref, &story[i], mallocs) == TH_OK)
                break;
            tell(ref, &after);
            assert_str_equal(th_buf_str(&before), th_buf_str(&after));
            failures++;
        }
    }
    assert_story_told(ref);
    print_message("  %zu failures\n", failures);
    assert_true(failures >= 10);
    reference_free(ref);
}

static void fold_ok(struct reference *ref, enum topic topic, struct event event)
{
    assert_int_equal(fold(ref, topic, &event), TH_OK);
}

static struct event account(const char *name, int32_t lane, enum account_mode mode)
{
    return (struct event){.type = EVENT_ACCOUNT_CONFIGURED,
                          .as.account_configured = {
                              .meta = by("ngo"), .name = th_str(name), .lane = lane, .mode = mode}};
}

static struct event enabled(const char *name)
{
    return (struct event){
        .type = EVENT_ACCOUNT_ENABLED,
        .as.account_enabled = {.meta = by("ngo"), .name = th_str(name), .is_enabled = true}};
}

static void test_an_account_stays_where_it_is(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();

    fold_ok(ref, TOPIC_CONFIG, account("a", 1, ACCOUNT_MODE_TEST));
    fold_ok(ref, TOPIC_CONFIG, enabled("a"));
    const struct ref_lane *lane = reference_lane(ref, 1);
    assert_true(lane->is_enabled);

    print_message("  the same account again keeps its lane and stays enabled\n");
    fold_ok(ref, TOPIC_CONFIG, account("a", 5, ACCOUNT_MODE_TEST));
    assert_null(reference_lane(ref, 5));
    assert_ptr_equal(reference_lane(ref, 1), lane);
    assert_int_equal(lane->account.lane, 1);
    assert_true(lane->is_enabled);

    print_message("  the lane number that was claimed meanwhile is never given again\n");
    assert_int_equal(reference_lane_max(ref), 5);

    print_message("  made live, somebody must enable it anew\n");
    fold_ok(ref, TOPIC_CONFIG, account("a", 1, ACCOUNT_MODE_LIVE));
    assert_false(lane->is_enabled);
    fold_ok(ref, TOPIC_CONFIG, enabled("a"));
    assert_true(lane->is_enabled);

    print_message("  two accounts with one lane: the first keeps it\n");
    fold_ok(ref, TOPIC_CONFIG, account("b", 1, ACCOUNT_MODE_TEST));
    assert_null(reference_lane_by_name(ref, TH_STR("ngo"), TH_STR("b")));
    fold_ok(ref, TOPIC_CONFIG, account("c", 0, ACCOUNT_MODE_TEST));
    assert_null(reference_lane_at(ref, 1));
    reference_free(ref);
}

static struct event controlled(uint8_t id, int64_t version, enum control_state state)
{
    return (struct event){
        .type = EVENT_CAMPAIGN_CONTROLLED,
        .as.campaign_controlled = {
            .meta = by("ngo"), .campaign = id_of(id), .version = version, .state = state}};
}

static struct event defined(uint8_t id, int32_t run)
{
    return (struct event){
        .type = EVENT_CAMPAIGN_DEFINED,
        .as.campaign_defined = {.meta = by("ngo"), .campaign = id_of(id), .run = run}};
}

static void test_an_ended_campaign_keeps_its_version_only(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();

    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, defined(4, 1));
    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, controlled(4, 1, CONTROL_STATE_RUNNING));
    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, controlled(4, 2, CONTROL_STATE_ENDED));
    const struct ref_campaign *campaign = reference_campaign(ref, id_of(4));
    assert_false(campaign->is_defined);
    assert_int_equal(campaign->version, 2);
    assert_int_equal(campaign->state, CONTROL_STATE_ENDED);

    print_message("  its definition, repeated, does not bring it back; a new run does\n");
    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, defined(4, 1));
    assert_false(campaign->is_defined);
    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, defined(4, 2));
    assert_true(campaign->is_defined);
    assert_int_equal(campaign->run, 2);
    reference_free(ref);
}

static void test_changes_are_told_once_and_losses_are_noticed(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    struct reference_change changes[4];
    uint64_t at = reference_changes_end(ref);
    uint64_t old = at;
    size_t n;

    fold_ok(ref, TOPIC_LANE_HEALTH,
            (struct event){.type = EVENT_LANE_HEALTH_CHANGED, .as.lane_health_changed.lane = 1});
    assert_true(reference_changes(ref, &at, changes, TH_LEN(changes), &n));
    assert_int_equal(n, 0); /* of a lane that nobody knows */
    fold_ok(ref, TOPIC_CONFIG, account("a", 1, ACCOUNT_MODE_TEST));
    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, controlled(4, 1, CONTROL_STATE_RUNNING));
    fold_ok(ref, TOPIC_CAMPAIGN_CONTROL, controlled(4, 1, CONTROL_STATE_RUNNING)); /* no change */
    assert_true(reference_changes(ref, &at, changes, 1, &n));
    assert_int_equal(n, 1);
    assert_int_equal(changes[0].kind, REFERENCE_LANE);
    assert_int_equal(changes[0].lane, 1);
    assert_str_equal(changes[0].tenant, TH_STR("ngo"));
    assert_true(reference_changes(ref, &at, changes, TH_LEN(changes), &n));
    assert_int_equal(n, 1);
    assert_int_equal(changes[0].kind, REFERENCE_CAMPAIGN);
    assert_true(reference_changes(ref, &at, changes, TH_LEN(changes), &n));
    assert_int_equal(n, 0);

    for (int64_t i = 0; i < 65535; i++) {
        struct event event = controlled(5, i + 1, CONTROL_STATE_RUNNING);
        assert_int_equal(reference_apply(ref, TOPIC_CAMPAIGN_CONTROL, &event), TH_OK);
    }
    assert_true(reference_changes(ref, &at, changes, TH_LEN(changes), &n));
    assert_false(reference_changes(ref, &old, changes, TH_LEN(changes), &n));
    reference_free(ref);
}

/* The set against an array of flags, over a range small enough to collide all the time. */
static void test_opt_outs_come_and_go(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    static bool is_out[4096];
    unsigned seed = 1;

    memset(is_out, 0, sizeof is_out);
    for (int i = 0; i < 100000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned contact = seed >> 8 & 4095;
        bool out = seed >> 28 & 1;
        struct event event = {.type = out ? EVENT_OPTED_OUT : EVENT_OPTED_IN};
        if (out)
            event.as.opted_out.contact = contact;
        else
            event.as.opted_in.contact = contact;
        assert_int_equal(reference_apply(ref, TOPIC_CONSENT_EVENTS, &event), TH_OK);
        is_out[contact] = out;
    }
    for (int64_t contact = 0; contact < 4096; contact++)
        assert_int_equal(reference_is_opted_out(ref, contact), is_out[contact]);
    reference_free(ref);
}

static void test_contact_hash_is_for_ever(void **unused)
{
    (void)unused;
    /* printf '\0\0\0\7contact\0\0\0\7pratham\0\0\0\15+919876543210' | sha256sum */
    assert_int_equal((uint64_t)contact_hash(TH_STR("pratham"), TH_STR("+919876543210")),
                     UINT64_C(0xdd582dabd2b04a1b));
    assert_int_not_equal(contact_hash(TH_STR("pratha"), TH_STR("m+919876543210")),
                         contact_hash(TH_STR("pratham"), TH_STR("+919876543210")));
}

/* Readers while a writer replaces what they read. Under ThreadSanitizer, or Address-, this finds
 * memory that goes too early. */
static void *read_all_the_time(void *arg)
{
    struct reference *ref = arg;

    for (int i = 0; i < 2000; i++) {
        reference_read_lock(ref);
        const struct ref_lane *lane = reference_lane(ref, 1);
        size_t sum = 0;
        for (size_t k = 0; lane && k < lane->account.name.n; k++)
            sum += (unsigned char)lane->account.name.p[k];
        reference_unlock(ref);
        if (lane && sum != 'a')
            abort();
    }
    return NULL;
}

static void test_what_was_found_holds_under_the_lock(void **unused)
{
    (void)unused;
    struct reference *ref = reference_new();
    pthread_t reader;

    fold_ok(ref, TOPIC_CONFIG, account("a", 1, ACCOUNT_MODE_TEST));
    pthread_create(&reader, NULL, read_all_the_time, ref);
    for (int i = 0; i < 500; i++)
        fold_ok(ref, TOPIC_CONFIG, account("a", 1, ACCOUNT_MODE_TEST));
    pthread_join(reader, NULL);
    reference_free(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_interleaving_of_topics_tells_the_same),
        cmocka_unit_test(test_without_memory_nothing_changes),
        cmocka_unit_test(test_an_account_stays_where_it_is),
        cmocka_unit_test(test_an_ended_campaign_keeps_its_version_only),
        cmocka_unit_test(test_changes_are_told_once_and_losses_are_noticed),
        cmocka_unit_test(test_opt_outs_come_and_go),
        cmocka_unit_test(test_contact_hash_is_for_ever),
        cmocka_unit_test(test_what_was_found_holds_under_the_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
