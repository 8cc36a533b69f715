#include "connectors/gateway/token.h"

#include <endian.h>
#include <string.h>

#include "common/encode.h"

#define VERSION  1
#define ID_LEN   36
#define HEAD_LEN 12
#define WIRE_LEN (HEAD_LEN + ID_LEN)
#define TEXT_MAX 64 /* characters of base64url */

struct th_str token_make(const char *log_id, struct log_place place, struct th_arena *arena)
{
    char wire[WIRE_LEN];
    uint16_t part = htobe16((uint16_t)place.part);
    uint64_t offset = htobe64((uint64_t)place.offset);
    struct th_buf text = {0};
    struct th_str copy = {0};

    if (strlen(log_id) != ID_LEN)
        return copy;
    wire[0] = VERSION;
    wire[1] = (char)place.topic;
    memcpy(wire + 2, &part, sizeof part);
    memcpy(wire + 4, &offset, sizeof offset);
    memcpy(wire + HEAD_LEN, log_id, ID_LEN);
    th_base64url_add(&text, (struct th_str){wire, sizeof wire});
    if (th_buf_status(&text) != TH_OK || th_arena_copy(arena, th_buf_str(&text), &copy) != TH_OK)
        copy = (struct th_str){0};
    th_buf_fini(&text);
    return copy;
}

static enum th_code read_wire(struct th_str wire, const char *log_id, struct log_place *out_place)
{
    uint16_t part;
    uint64_t offset;

    if (wire.n != WIRE_LEN || wire.p[0] != VERSION || (unsigned char)wire.p[1] >= TOPIC_COUNT)
        return TH_MALFORMED;
    memcpy(&part, wire.p + 2, sizeof part);
    memcpy(&offset, wire.p + 4, sizeof offset);
    if (be64toh(offset) > INT64_MAX)
        return TH_MALFORMED;
    if (!th_str_eq((struct th_str){wire.p + HEAD_LEN, ID_LEN}, th_str(log_id)))
        return TH_CONFLICT;
    *out_place = (struct log_place){
        .topic = (enum topic)wire.p[1], .part = be16toh(part), .offset = (int64_t)be64toh(offset)};
    return TH_OK;
}

enum th_code token_parse(struct th_str text, const char *log_id, struct log_place *out_place)
{
    struct th_buf wire = {0};

    if (text.n != TEXT_MAX)
        return TH_MALFORMED;
    enum th_code code = th_base64url_parse(text, &wire);
    if (code == TH_OK)
        code = read_wire(th_buf_str(&wire), log_id, out_place);
    th_buf_fini(&wire);
    return code;
}
