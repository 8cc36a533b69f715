#include "connectors/kafka/kafka_headers.h"

#include <assert.h>
#include <string.h>

#include "common/eventlog/headers.h"

#define AT_SIZE 8

enum th_code kafka_headers_of(const rd_kafka_message_t *message, rd_kafka_headers_t **out_headers,
                              struct th_err *err)
{
    rd_kafka_resp_err_t failed = rd_kafka_message_headers(message, out_headers);

    if (failed)
        *out_headers = NULL;
    if (failed && failed != RD_KAFKA_RESP_ERR__NOENT)
        return th_fail(err, TH_CORRUPT, "headers that cannot be read: %s",
                       rd_kafka_err2str(failed));
    return TH_OK;
}

static bool get(const rd_kafka_headers_t *headers, size_t i, struct log_header *out)
{
    const char *name;
    const void *value;
    size_t size;

    if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    *out = (struct log_header){.name = th_str(name), .is_null = value == NULL};
    if (value)
        out->value = (struct th_str){value, size};
    return true;
}

static bool is_ours(const struct log_header *header)
{
    return th_str_eq(header->name, TH_STR(KAFKA_AT_HEADER));
}

/* The last of our name; as many as there are: none. */
static size_t find_ours(const rd_kafka_headers_t *headers, struct log_header *out)
{
    size_t n = rd_kafka_header_cnt(headers);

    for (size_t i = n; i-- > 0;)
        if (get(headers, i, out) && is_ours(out))
            return i;
    return n;
}

int64_t kafka_headers_at_us(const rd_kafka_headers_t *headers)
{
    struct log_header ours;
    uint64_t at_us = 0;

    if (find_ours(headers, &ours) == rd_kafka_header_cnt(headers) || ours.value.n != AT_SIZE)
        return 0;
    for (size_t i = 0; i < AT_SIZE; i++)
        at_us = at_us << 8 | (uint8_t)ours.value.p[i];
    return (int64_t)at_us;
}

size_t kafka_headers_size(const rd_kafka_headers_t *headers)
{
    struct log_header header;
    size_t size = 0;

    if (!headers)
        return 0;
    size_t ours = find_ours(headers, &header);
    for (size_t i = 0; get(headers, i, &header); i++)
        if (i != ours)
            size += log_header_size(&header);
    return size;
}

void kafka_headers_put(const rd_kafka_headers_t *headers, char *at)
{
    struct log_header header;
    size_t ours = find_ours(headers, &header);

    for (size_t i = 0; get(headers, i, &header); i++)
        if (i != ours)
            at += log_header_put(at, &header);
}

/* --- writing ------------------------------------------------------------------------------------
 */

static bool add(rd_kafka_headers_t *to, const struct log_header *header)
{
    const char *value = header->value.n ? header->value.p : "";

    return rd_kafka_header_add(to, header->name.p, (ssize_t)header->name.n,
                               header->is_null ? NULL : value,
                               (ssize_t)header->value.n) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool add_at(rd_kafka_headers_t *to, int64_t at_us)
{
    char bytes[AT_SIZE];

    for (size_t i = 0; i < AT_SIZE; i++)
        bytes[i] = (char)((uint64_t)at_us >> (8 * (AT_SIZE - 1 - i)));
    return add(to,
               &(struct log_header){.name = TH_STR(KAFKA_AT_HEADER), .value = {bytes, AT_SIZE}});
}

/* Of a record that has one of our name itself, another one must be the last: null says nothing. */
static bool add_none(rd_kafka_headers_t *to)
{
    return add(to, &(struct log_header){.name = TH_STR(KAFKA_AT_HEADER), .is_null = true});
}

rd_kafka_headers_t *kafka_headers_make(struct th_str headers, int64_t at_us)
{
    rd_kafka_headers_t *made = rd_kafka_headers_new(4);
    struct log_header header;
    bool has_our_name = false;
    bool is_added = made != NULL;

    while (is_added && log_headers_next(&headers, &header)) {
        has_our_name |= is_ours(&header);
        is_added = add(made, &header);
    }
    assert(!is_added || headers.n == 0);
    if (is_added && at_us)
        is_added = add_at(made, at_us);
    else if (is_added && has_our_name)
        is_added = add_none(made);
    if (is_added || !made)
        return made;
    rd_kafka_headers_destroy(made);
    return NULL;
}
