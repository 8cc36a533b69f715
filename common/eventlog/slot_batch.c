#include "common/eventlog/slot_private.h"

#include <string.h>

static void copy_marks(const struct slot *slot, struct slot_marks *to,
                       const struct slot_marks *from)
{
    int64_t *read_to = to->read_to;

    memcpy(read_to, from->read_to, slot->inputs_n * sizeof *read_to);
    *to = *from;
    to->read_to = read_to;
}

void slot_begin_batch(struct slot *slot, struct slot_batch *batch)
{
    core_batch_clear(&batch->said);
    batch->no = ++slot->batch_no;
    batch->inputs = 0;
    batch->inputs_bytes = 0;
    batch->answers_n = 0;
    batch->dead_letters = 0;
    batch->is_flushed = false;
    copy_marks(slot, &batch->start, &slot->at);
}

void slot_rewind(struct slot *slot, const struct slot_batch *batch)
{
    copy_marks(slot, &slot->at, &batch->start);
    answers_rewind(&slot->answers, batch->no);
    slot->inbox = (struct log_records){0};
    slot->inbox_next = 0;
    slot->read_at_us = slot->boot_us;
    for (size_t i = 0; i < slot->inputs_n; i++)
        th_log_reader_seek(
            slot->reader,
            (struct log_place){slot->inputs[i].topic, slot->inputs[i].part, slot->at.read_to[i]});
}

bool slot_has_room(const struct slot *slot)
{
    const struct slot_batch *batch = slot->gathering;
    size_t inputs_max = slot->inputs_max ? slot->inputs_max : SLOT_BATCH_INPUTS_MAX;

    return !slot->is_poisoned && !slot->is_stopping && !batch->is_flushed &&
           batch->inputs < inputs_max && batch->said.outputs_bytes < SLOT_BATCH_BYTES_MAX &&
           batch->inputs_bytes < SLOT_BATCH_BYTES_MAX;
}
