/* The memory log keeps the contract. */
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/memory_log.h"
#include "tests/conformance/conformance.h"

/* A log is open as long as its struct: close and open only pretend. */
struct memory {
    struct th_log *log;
};

static enum th_code create(void *arg, struct th_err *err)
{
    const struct memory_log_options options = {
        .partitions = CONFORMANCE_PARTITIONS,
        .bytes_max = (size_t)256 << 20,
        .clock = &th_clock_real,
        .seed = 1,
    };
    return memory_log_new(&options, &((struct memory *)arg)->log, err);
}

static void destroy(void *arg)
{
    th_log_close(((struct memory *)arg)->log);
}

static enum th_code open_it(void *arg, struct th_log **out_log, struct th_err *err)
{
    (void)err;
    *out_log = ((struct memory *)arg)->log;
    return TH_OK;
}

static void close_it(void *arg, struct th_log *log)
{
    (void)arg;
    memory_log_crash(log); /* whatever was not closed is gone with its process */
}

static void lose_answer(void *arg, struct th_log *log, enum log_app app, int slot, bool happens)
{
    (void)arg;
    memory_log_plan(log, app, slot, 0, happens ? MEMORY_LOST_COMMITTED : MEMORY_LOST_ABORTED);
}

static void hold(void *arg, struct th_log *log, enum log_app app, int slot)
{
    (void)arg;
    memory_log_plan(log, app, slot, 0, MEMORY_HOLD);
}

static void let_go(void *arg, struct th_log *log, enum log_app app, int slot)
{
    (void)arg;
    memory_log_settle(log, app, slot, MEMORY_COMMIT);
}

static void kill_connection(void *arg, struct th_log *log, enum log_app app, int slot)
{
    lose_answer(arg, log, app, slot, false);
}

static void damage_snapshot(void *arg, struct th_log *log, enum log_app app, int part, int piece)
{
    (void)arg;
    if (!memory_log_damage_snapshot(log, app, part, piece))
        abort();
}

int main(void)
{
    struct memory memory = {0};
    const struct log_conformance it = {
        .name = "memory",
        .arg = &memory,
        .create = create,
        .destroy = destroy,
        .open = open_it,
        .close = close_it,
        .lose_answer = lose_answer,
        .hold = hold,
        .let_go = let_go,
        .kill_connection = kill_connection,
        .damage_snapshot = damage_snapshot,
    };
    return log_conformance_run(&it);
}
