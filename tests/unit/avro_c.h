/* avro_c.h - Apache's avro-c as a second opinion on our codec, for tests and benchmarks.
 *
 * It is given only bytes that we made ourselves: it believes lengths and counts.
 */
#ifndef TELEHUB_TESTS_UNIT_AVRO_C_H
#define TELEHUB_TESTS_UNIT_AVRO_C_H

#include "common/buf.h"

#include <avro.h>

/* A schema of ours and room for one value of it. */
struct avro_c {
    avro_schema_t schema;
    avro_value_iface_t *iface;
    avro_value_t value;
};

/* Exits with avro-c's words when it cannot: the schemas are ours. */
void avro_c_open(struct avro_c *peer, struct th_str schema_json);
void avro_c_close(struct avro_c *peer);

/* Fill peer->value from a body; how many bytes it left unread, SIZE_MAX if it refuses. */
size_t avro_c_decode(struct avro_c *peer, struct th_str body);

/* Append what it makes of peer->value. */
void avro_c_encode(struct avro_c *peer, struct th_buf *buf);

/* Append peer->value as event_to_json writes it, without the record's name around it. */
void avro_c_to_json(struct avro_c *peer, struct th_buf *buf);

#endif
