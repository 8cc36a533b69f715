#include "tests/simulation/tell.h"

#include "common/buf.h"
#include "tests/simulation/prose.h"

/* Everything but the metas, which are long and the same. */
void tell_event(struct world *world, const struct log_record *record, const struct event *event)
{
    TH_AUTO(th_buf) struct th_buf json = {0};

    if (world->prose)
        prose_event(world, event, record->place.topic);
    if (!world->is_tracing)
        return;
    event_to_json(event, &json);
    struct th_str text = th_buf_str(&json);
    size_t from = 0;
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == '}' && text.p[i + 1] == ',') {
            from = i + 2;
            break;
        }
    world_say(world, "  %s/%d@%lld %s %.*s", topic_name(record->place.topic), record->place.part,
              (long long)record->place.offset, event_type_name(event->type),
              (int)(text.n - from > 400 ? 400 : text.n - from), text.p + from);
}
