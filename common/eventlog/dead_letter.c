#include "common/eventlog/dead_letter.h"

#include "common/hash.h"

#include <stdio.h>

struct th_id dead_letter_id(const char *consumer, const struct log_record *record)
{
    char where[128];
    int n =
        snprintf(where, sizeof where, "%s %s %d %lld", consumer, topic_name(record->place.topic),
                 record->place.part, (long long)record->place.offset);
    struct th_id id;

    for (uint64_t half = 0; half < 2; half++) {
        uint64_t hash = th_hash64((struct th_str){where, (size_t)n}, half);
        hash = th_hash64(record->value, th_hash64(record->key, hash));
        for (size_t i = 0; i < 8; i++)
            id.b[8 * half + i] = (uint8_t)(hash >> (56 - 8 * i));
    }
    id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0f));
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
    return id;
}

void dead_letter_add_origin(struct th_buf *headers, struct log_place place)
{
    char where[128];
    int n = snprintf(where, sizeof where, "%s/%d/%lld", topic_name(place.topic), place.part,
                     (long long)place.offset);

    log_headers_add(headers, &(struct log_header){.name = TH_STR(DEAD_LETTER_ORIGIN),
                                                  .value = {where, (size_t)n}});
}

bool dead_letter_has_origin(struct th_str headers)
{
    struct log_header header;

    while (log_headers_next(&headers, &header))
        if (th_str_eq(header.name, TH_STR(DEAD_LETTER_ORIGIN)))
            return true;
    return false;
}
