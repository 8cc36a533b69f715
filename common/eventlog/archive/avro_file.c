#include "common/eventlog/archive/avro_file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define LEVEL       3   /* most of the gain, a third of the time of 6 */
#define WINDOW_BITS -15 /* RFC 1951 alone: no head, no checksum of zlib's */
#define MEMORY      8

struct avro_deflater {
    z_stream stream;
};

enum th_code avro_deflater_new(struct avro_deflater **out, struct th_err *err)
{
    struct avro_deflater *deflater = calloc(1, sizeof *deflater);

    if (!deflater || deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY,
                                  Z_DEFAULT_STRATEGY) != Z_OK) {
        free(deflater);
        return th_fail(err, TH_NOMEM, "compressing");
    }
    *out = deflater;
    return TH_OK;
}

void avro_deflater_free(struct avro_deflater *deflater)
{
    if (deflater)
        (void)deflateEnd(&deflater->stream);
    free(deflater);
}

/* --- bytes --------------------------------------------------------------------------------------
 */

static void add_long(struct th_buf *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (value < 0 ? ~UINT64_C(0) : 0);

    for (; zigzag >= 0x80; zigzag >>= 7)
        th_buf_add_char(out, (char)(zigzag | 0x80));
    th_buf_add_char(out, (char)zigzag);
}

static void add_bytes(struct th_buf *out, struct th_str bytes)
{
    add_long(out, (int64_t)bytes.n);
    th_buf_add(out, bytes);
}

static enum th_code put(struct avro_file *file, struct th_err *err)
{
    if (th_buf_status(&file->out) != TH_OK)
        return th_fail(err, TH_NOMEM, "%s", file->path);
    TH_TRY(archive_write(file->fd, file->path, th_buf_str(&file->out), err));
    file->bytes += (int64_t)file->out.n;
    return TH_OK;
}

static void add_sync(struct avro_file *file)
{
    th_buf_add(&file->out, (struct th_str){(const char *)file->sync, AVRO_SYNC_SIZE});
}

/* Append what the bytes become; false without memory. */
static bool add_deflated(struct avro_deflater *deflater, struct th_str bytes, struct th_buf *out)
{
    z_stream *stream = &deflater->stream;

    if (deflateReset(stream) != Z_OK)
        return false;
    size_t room = deflateBound(stream, (uLong)bytes.n);
    char *to = th_buf_reserve(out, room);
    if (!to)
        return false;
    stream->next_in = (Bytef *)(uintptr_t)bytes.p; /* it is only read */
    stream->avail_in = (uInt)bytes.n;
    stream->next_out = (Bytef *)to;
    stream->avail_out = (uInt)room;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END)
        return false;
    out->n += room - stream->avail_out;
    return true;
}

static enum th_code end_block(struct avro_file *file, struct avro_deflater *deflater,
                              struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf deflated = {0};
    struct th_str data = th_buf_str(&file->block);

    if (file->block_count == 0)
        return TH_OK;
    if (deflater) {
        if (!add_deflated(deflater, data, &deflated))
            return th_fail(err, TH_NOMEM, "%s", file->path);
        data = th_buf_str(&deflated);
    }
    th_buf_clear(&file->out);
    add_long(&file->out, file->block_count);
    add_bytes(&file->out, data);
    add_sync(file);
    th_buf_clear(&file->block);
    file->block_count = 0;
    return put(file, err);
}

/* --- a file -------------------------------------------------------------------------------------
 */

enum th_code avro_file_begin(struct avro_file *file, const char *path, struct th_str schema,
                             const uint8_t sync[AVRO_SYNC_SIZE], enum avro_codec codec,
                             struct th_err *err)
{
    file->fd = -1;
    file->bytes = 0;
    file->block_count = 0;
    th_buf_clear(&file->block);
    th_buf_clear(&file->out);
    snprintf(file->path, sizeof file->path, "%s", path);
    memcpy(file->sync, sync, AVRO_SYNC_SIZE);
    th_buf_add(&file->out, (struct th_str){"Obj\1", 4});
    add_long(&file->out, 2); /* of the file's metadata, a map */
    add_bytes(&file->out, TH_STR("avro.schema"));
    add_bytes(&file->out, schema);
    add_bytes(&file->out, TH_STR("avro.codec"));
    add_bytes(&file->out, codec == AVRO_CODEC_NULL ? TH_STR("null") : TH_STR("deflate"));
    add_long(&file->out, 0);
    add_sync(file);
    TH_TRY(archive_begin(path, &file->fd, err));
    return put(file, err);
}

enum th_code avro_file_add(struct avro_file *file, struct avro_deflater *deflater,
                           struct th_str body, struct th_err *err)
{
    th_buf_add(&file->block, body);
    if (th_buf_status(&file->block) != TH_OK)
        return th_fail(err, TH_NOMEM, "%s", file->path);
    file->block_count++;
    return file->block.n >= AVRO_BLOCK_BYTES ? end_block(file, deflater, err) : TH_OK;
}

enum th_code avro_file_finish(struct avro_file *file, struct avro_deflater *deflater,
                              struct th_err *err)
{
    enum th_code code = end_block(file, deflater, err);

    if (code != TH_OK) {
        avro_file_abandon(file);
        return code;
    }
    int fd = file->fd;
    file->fd = -1;
    return archive_finish(fd, file->path, err);
}

void avro_file_abandon(struct avro_file *file)
{
    if (file->fd >= 0)
        archive_abandon(file->fd, file->path);
    file->fd = -1;
    th_buf_fini(&file->block);
    th_buf_fini(&file->out);
}
