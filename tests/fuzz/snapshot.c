/* Snapshots of the cores: what does not fit is refused, and what was taken is written again as the
 * same. The first byte chooses the core, the second: 0, bytes as they are; else a snapshot that is
 * right but for some bytes, each as a place (2 bytes, little endian) and a value. */
#include "processors/campaign/campaign.h"
#include "processors/dispatch/dispatch.h"
#include "processors/retry/retry.h"
#include "tests/fuzz/fuzz.h"

#define PARTITIONS 2
#define CORES      3

static const struct core_ops *const cores[CORES] = {&campaign_core, &retry_core, &dispatch_core};

#define ID(n)                                                                                      \
    {                                                                                              \
        {                                                                                          \
            1, 0x97, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n                                \
        }                                                                                          \
    }
#define TENANT                                                                                     \
    {                                                                                              \
        "pratham", 7                                                                               \
    }

static const struct text_section texts[] = {
    {.text = {.is = STRING_OR_SEALED_STRING, .as.string = {"Namaste {name}", 14}}}};
static const struct th_id asking[] = {ID(11), ID(12)};

/* One event of each kind that leaves something in a core's state. */
static const struct event history[] = {
    {EVENT_CAMPAIGN_CREATED,
     {.campaign_created = {.meta.tenant = TENANT,
                           .campaign = ID(1),
                           .spec = {.audience = ID(2), .texts = {texts, 1}, .attempts_max = 4}}}},
    {EVENT_CAMPAIGN_STARTED,
     {.campaign_started = {.campaign = ID(1), .run = 1, .parts = 1, .recipients = 10}}},
    {EVENT_CAMPAIGN_RELEASED,
     {.campaign_released = {.campaign = ID(1), .rows = 5, .part_rows = 10}}},
    {EVENT_PROGRESS_NOTED,
     {.progress_noted = {.campaign = ID(1), .settled = 2, .wanted = {asking, TH_LEN(asking)}}}},
    {EVENT_CONTROL_APPLIED,
     {.control_applied = {.meta.tenant = TENANT, .campaign = ID(1), .version = 1}}},
    {EVENT_SEND_ADMITTED,
     {.send_admitted = {.meta.tenant = TENANT,
                        .send = ID(11),
                        .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                   .as.campaign_origin = {.campaign = ID(1), .run = 1}}}}},
    {EVENT_SEND_ADMITTED,
     {.send_admitted = {.meta.tenant = TENANT,
                        .send = ID(12),
                        .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                   .as.campaign_origin = {.campaign = ID(1), .run = 1}}}}},
    {EVENT_SEND_ADMITTED,
     {.send_admitted = {.meta.tenant = TENANT,
                        .send = ID(13),
                        .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT,
                                   .as.send_content.to.as.string = {"+919876543210", 13}}}}},
    {EVENT_SEND_PLANNED, {.send_planned = {.send = ID(12), .n = 1, .lane = 3}}},
    {EVENT_ATTEMPT_STARTED,
     {.attempt_started = {.meta.tenant = TENANT, .send = ID(12), .n = 1, .lane = 2}}},
    {EVENT_ATTEMPT_STARTED,
     {.attempt_started =
          {.meta.tenant = TENANT, .send = ID(13), .n = 1, .lane = 3, .campaign = {true, ID(1)}}}},
    {EVENT_ATTEMPT_RESULT,
     {.attempt_result = {.send = ID(13),
                         .n = 1,
                         .lane = 3,
                         .outcome = ATTEMPT_OUTCOME_ACCEPTED,
                         .provider_id = {"SM1", 3}}}},
};

static const void *config_of(size_t core)
{
    static const struct provider_ops *const wires[] = {NULL};
    static struct campaign_config campaign;
    static struct retry_config retry;
    static struct dispatch_config dispatch;

    campaign = CAMPAIGN_CONFIG_DEFAULT;
    retry = retry_config_default();
    dispatch = dispatch_config_default();
    dispatch.wires = wires;
    return core == 0 ? (const void *)&campaign : core == 1 ? (const void *)&retry : &dispatch;
}

static void *fresh(size_t core)
{
    static struct reference *reference;
    void *out;

    if (!reference)
        reference = reference_new();
    const struct core_env env = {.reference = reference, .slots = 1, .partitions = PARTITIONS};
    assert(cores[core]->new (config_of(core), &env, &out) == TH_OK);
    return out;
}

/* All pieces of a partition behind one another: load takes them as one. */
static void save(size_t core, const void *state, int part, int piece, struct th_buf *out)
{
    th_buf_clear(out);
    assert(cores[core]->save(state, part, piece, out) == TH_OK);
}

/* The largest piece of what the history leaves. */
static struct th_str right_bytes(size_t core)
{
    static struct th_buf largest[CORES];
    struct th_buf piece_bytes = {0};

    if (largest[core].n == 0) {
        void *state = fresh(core);
        for (size_t i = 0; i < TH_LEN(history); i++)
            assert(cores[core]->evolve(state, &history[i]) == TH_OK);
        cores[core]->batch_close(state);
        cores[core]->batch_forget(state);
        for (int i = 0; i < PARTITIONS * cores[core]->pieces; i++) {
            save(core, state, i % PARTITIONS, i / PARTITIONS, &piece_bytes);
            if (piece_bytes.n > largest[core].n) {
                struct th_buf swapped = largest[core];
                largest[core] = piece_bytes;
                piece_bytes = swapped;
            }
        }
        cores[core]->free(state);
    }
    th_buf_fini(&piece_bytes);
    assert(largest[core].n > 0);
    return th_buf_str(&largest[core]);
}

static void patch(struct th_buf *bytes, struct th_str patches)
{
    while (patches.n) {
        size_t at = fuzz_byte(&patches);
        at |= (size_t)fuzz_byte(&patches) << 8;
        if (at % 512 == 511) /* the end */
            bytes->n -= bytes->n ? 1 : 0;
        else if (bytes->n)
            bytes->p[at % bytes->n] = (char)fuzz_byte(&patches);
    }
}

/* Loaded, it is a state like any other: it can be written, and comes back as what it is. */
static void assert_stable(size_t core, const void *state)
{
    TH_AUTO(th_buf) struct th_buf first = {0};
    TH_AUTO(th_buf) struct th_buf second = {0};
    int n = PARTITIONS * cores[core]->pieces;
    void *again = fresh(core);

    for (int i = 0; i < n; i++) {
        save(core, state, i % PARTITIONS, i / PARTITIONS, &first);
        assert(cores[core]->load(again, i % PARTITIONS, i / PARTITIONS, th_buf_str(&first)) ==
               TH_OK);
    }
    cores[core]->batch_close(again);
    cores[core]->batch_forget(again);
    for (int i = 0; i < n; i++) {
        save(core, state, i % PARTITIONS, i / PARTITIONS, &first);
        save(core, again, i % PARTITIONS, i / PARTITIONS, &second);
        assert(first.n == second.n);
    }
    (void)cores[core]->next_due_us(again);
    cores[core]->free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    size_t core = fuzz_byte(&in) % CORES;

    if (fuzz_byte(&in)) {
        th_buf_add(&bytes, right_bytes(core));
        patch(&bytes, in);
    } else {
        th_buf_add(&bytes, in);
    }
    void *state = fresh(core);
    enum th_code code = cores[core]->load(state, 0, 0, th_buf_str(&bytes));
    assert(code == TH_OK || code == TH_CORRUPT || code == TH_CONFLICT);
    cores[core]->batch_close(state);
    cores[core]->batch_forget(state);
    if (code == TH_OK)
        assert_stable(core, state);
    cores[core]->free(state);
    return 0;
}
