#include "connectors/gateway/request.h"

#include <assert.h>
#include <stdio.h>

#define ARENA_MAX  ((size_t)16 * 1024 * 1024)
#define SPARE_MAX  96
#define BODY_SPARE 16384 /* a larger buffer is not kept */
#define MAGIC      0x52455155

/* Requests whose memory waits for the next one, which begins in the same thread as they did: an
 * HTTP thread hands them out and gets them back. */
static _Thread_local struct request *pool;
static _Thread_local size_t pool_n;

static struct request *take_spare(void)
{
    struct request *request = pool;

    if (request) {
        pool = request->queued;
        pool_n--;
    }
    return request;
}

static void destroy(struct request *request)
{
    th_arena_fini(&request->arena);
    th_buf_fini(&request->body);
    th_buf_fini(&request->answer);
    free(request);
}

static void clear_buf(struct th_buf *buf)
{
    if (buf->cap > BODY_SPARE)
        th_buf_fini(buf);
    else
        th_buf_clear(buf);
}

static void keep_or_destroy(struct request *request)
{
    if (request->arena.used <= BODY_SPARE && pool_n < SPARE_MAX) {
        th_arena_reset(&request->arena);
        clear_buf(&request->body);
        clear_buf(&request->answer);
        request->queued = pool;
        pool = request;
        pool_n++;
    } else {
        destroy(request);
    }
}

struct request *request_new(struct gateway *gateway)
{
    struct request *request = take_spare();
    struct th_arena arena = {0};
    struct th_buf body = {0};
    struct th_buf answer = {0};

    if (request) {
        arena = request->arena;
        body = request->body;
        answer = request->answer;
    } else {
        request = malloc(sizeof *request);
        if (!request)
            return NULL;
        th_arena_init(&arena, ARENA_MAX);
    }
    *request = (struct request){
        .magic = MAGIC, .gateway = gateway, .arena = arena, .body = body, .answer = answer};
    atomic_init(&request->refs, 1);
    return request;
}

void request_ref(struct request *request)
{
    assert(request->magic == MAGIC);
    atomic_fetch_add(&request->refs, 1);
}

void request_unref(struct request *request)
{
    assert(request->magic == MAGIC);
    if (atomic_fetch_sub(&request->refs, 1) == 1)
        keep_or_destroy(request);
}

void request_free_spare(void)
{
    for (struct request *request = take_spare(); request; request = take_spare())
        destroy(request);
}

bool request_query(const struct request *request, const char *name, struct th_str *out_value)
{
    return form_get(&request->query, name, out_value);
}

enum handled request_answer(struct request *request, unsigned status)
{
    request->status = status;
    if (!request->answer_type)
        request->answer_type = "application/json";
    return HANDLED_ANSWERED;
}

enum handled request_answer_json(struct request *request, unsigned status, struct th_str json)
{
    th_buf_clear(&request->answer);
    th_buf_add(&request->answer, json);
    return request_answer(request, status);
}

void request_header(struct request *request, const char *name, struct th_str value)
{
    assert(request->headers_n < REQUEST_HEADERS_MAX);
    if (value.p)
        request->headers[request->headers_n++] = (struct answer_header){name, value};
}
