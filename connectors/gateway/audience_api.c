/* Audiences: created, uploaded in parts, sealed. */
#include "common/digest.h"
#include "common/encode.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/audience_csv.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/read.h"
#include "connectors/gateway/write.h"

#define PARTS_MAX     100000
#define SEAL_MAX      9999 /* one record holds so many */
#define FIRST_ROW_MAX 1000000000

static enum th_code ask_audience(struct request *request, struct th_id id, void *out,
                                 struct th_err *err)
{
    struct views *views = request->gateway->config.views;

    return views->ops->audience(views, request->tenant, id, &request->arena, out, err);
}

/* Store what is said of an audience, and answer with body, which is freed. */
static enum handled store(struct request *request, struct write *write, struct th_id audience,
                          const struct event *event, struct th_buf *body)
{
    enum handled handled;

    if (write_record(request, TOPIC_CAMPAIGN_AUDIENCE, -1,
                     write_key(request, request->tenant, audience), event, &handled))
        handled = write_claim(request, write, 202, body);
    th_buf_fini(body);
    return handled;
}

enum handled audience_create(struct request *request)
{
    static const char *const members[] = {"name", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    struct th_str name;
    struct write write;
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled))
        return handled;
    if (th_json_str(th_json_at(th_json_root(document), "name"), 1, 200, &name, &err) != TH_OK)
        return problem_json(request, &err);
    if (!write_begin(request, "audience", &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_AUDIENCE_CREATED,
        .as.audience_created = {.meta = write.meta, .audience = write.resource, .name = name},
    };
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", write.resource);
    th_json_end(&out);
    return store(request, &write, write.resource, &event, &body);
}

enum handled audience_get(struct request *request)
{
    struct view_audience audience = {0};
    struct th_json_out out = {&request->answer, false};
    enum handled handled;

    if (!read_one(request, TOPIC_CAMPAIGN_AUDIENCE, ask_audience, &audience, &handled))
        return handled;
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", audience.id);
    th_json_put_str(&out, "name", audience.name);
    th_json_put_text(&out, "status", audience.is_sealed ? "sealed" : "open");
    th_json_put_int(&out, "parts", audience.parts);
    th_json_put_int(&out, "recipients", audience.recipients);
    th_json_put_int(&out, "rejected", audience.rejected);
    read_put_time(&out, "created_at", audience.created_us);
    th_json_end(&out);
    return request_answer(request, 200);
}

/* The audience of the path exists, is the tenant's, and is open; as far as the views can say. */
static bool find_open(struct request *request, struct th_id *out_id, enum handled *out_handled)
{
    struct view_audience audience = {0};
    struct th_err err = {0};
    enum th_code code;

    if (!param_id(request, 0, out_id, out_handled))
        return false;
    if (request->token.n && !read_begin(request, out_handled))
        return false;
    read_known(request, TOPIC_CAMPAIGN_AUDIENCE, *out_id, ask_audience, &audience, &code, &err);
    if (code == TH_NOT_FOUND) {
        *out_handled = problem_failure(request, code, &err);
        return false;
    }
    if (code == TH_OK && audience.is_sealed && request->route->body == BODY_CSV) {
        *out_handled = problem(request, PROBLEM_CONFLICT, "the audience is sealed");
        return false;
    }
    return true;
}

/* --- parts
 * ----------------------------------------------------------------------------------------- */

struct part {
    struct th_id audience;
    int64_t number;
    int64_t first_row;
    bool is_all_or_nothing;
    struct sha256 sha256;
    struct audience_csv csv;
};

static bool read_part_query(struct request *request, struct part *part, enum handled *out_handled)
{
    struct th_str text;

    part->first_row = 1;
    if (!th_str_int(request->params[1], 0, PARTS_MAX - 1, &part->number)) {
        *out_handled = problem(request, PROBLEM_NOT_FOUND, "parts are 0 to n-1");
        return false;
    }
    if (request_query(request, "first_row", &text) &&
        !th_str_int(text, 1, FIRST_ROW_MAX, &part->first_row)) {
        *out_handled = problem(request, PROBLEM_BAD_QUERY, "first_row: 1 to %d", FIRST_ROW_MAX);
        return false;
    }
    if (request_query(request, "all_or_nothing", &text)) {
        part->is_all_or_nothing = th_str_eq(text, TH_STR("true"));
        if (!part->is_all_or_nothing && !th_str_eq(text, TH_STR("false"))) {
            *out_handled = problem(request, PROBLEM_BAD_QUERY, "all_or_nothing: true or false");
            return false;
        }
    }
    return true;
}

static enum handled refuse_rows(struct request *request, const struct audience_csv *csv)
{
    for (size_t i = 0; i < csv->rejected_n; i++)
        problem_note(request, (struct problem_error){.code = TH_STR("rejected_row"),
                                                     .detail = csv->rejected[i].reason,
                                                     .row = csv->rejected[i].row,
                                                     .column = csv->rejected[i].column});
    return problem(request, PROBLEM_REJECTED_ROWS, "%lld rows cannot be accepted; nothing was",
                   (long long)csv->rejected_total);
}

static void put_report(struct th_buf *body, const struct part *part)
{
    struct th_json_out out = {body, false};
    char hex[65];

    th_hex((struct th_str){(const char *)part->sha256.b, 32}, hex);
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", part->audience);
    th_json_put_int(&out, "part", part->number);
    th_json_put_int(&out, "rows", (int64_t)part->csv.rows_n);
    th_json_put_text(&out, "sha256", hex);
    th_json_put_int(&out, "rejected_total", part->csv.rejected_total);
    th_json_begin_array(&out, "rejected");
    for (size_t i = 0; i < part->csv.rejected_n; i++) {
        th_json_begin(&out, NULL);
        th_json_put_int(&out, "row", part->csv.rejected[i].row);
        th_json_put_str(&out, "column", part->csv.rejected[i].column);
        th_json_put_str(&out, "reason", part->csv.rejected[i].reason);
        th_json_end(&out);
    }
    th_json_end_array(&out);
    th_json_end(&out);
}

static enum handled store_part(struct request *request, const struct part *part)
{
    struct th_buf body = {0};
    struct write write;
    enum handled handled;

    if (!write_begin(request, "part", &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_AUDIENCE_PART,
        .as.audience_part = {.meta = write.meta,
                             .audience = part->audience,
                             .part = (int32_t)part->number,
                             .sha256 = part->sha256,
                             .columns = part->csv.columns,
                             .rows = {part->csv.rows, part->csv.rows_n},
                             .rejected = (int32_t)part->csv.rejected_total},
    };
    put_report(&body, part);
    columns_note(request->gateway->columns, request->tenant, part->audience, part->csv.columns.at,
                 part->csv.columns.n);
    return store(request, &write, part->audience, &event, &body);
}

enum handled audience_put_part(struct request *request)
{
    struct th_str bytes = th_buf_str(&request->body);
    struct part part = {0};
    struct th_err err = {0};
    enum handled handled;

    if (!read_part_query(request, &part, &handled) || !find_open(request, &part.audience, &handled))
        return handled;
    th_sha256(bytes, part.sha256.b);
    enum th_code code = audience_csv_read(bytes, request->country[0] ? request->country : NULL,
                                          part.first_row, &request->arena, &part.csv, &err);
    if (code == TH_FULL)
        return problem(request, PROBLEM_TOO_LARGE, "%s in one part", err.text);
    if (code == TH_MALFORMED)
        return problem(request, PROBLEM_INVALID, "%s", err.text);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    if (part.is_all_or_nothing && part.csv.rejected_total)
        return refuse_rows(request, &part.csv);
    return store_part(request, &part);
}

/* --- the seal
 * -------------------------------------------------------------------------------------- */

struct seal {
    struct sealed_part *parts;
    size_t n;
    int64_t recipients;
    int64_t rejected;
};

static enum th_code read_sealed_part(struct th_json item, size_t index, struct seal *seal,
                                     struct th_err *err)
{
    static const char *const members[] = {"part", "rows", "rejected_total", "sha256", NULL};
    struct sealed_part *part = &seal->parts[index];
    struct th_json sha256 = th_json_at(item, "sha256");
    struct th_str hex;
    int64_t number = 0;
    int64_t rows = 0;
    int64_t rejected = 0;

    TH_TRY(th_json_object(item, members, err));
    TH_TRY(th_json_int(th_json_at(item, "part"), (int64_t)index, (int64_t)index, &number, err));
    TH_TRY(th_json_int(th_json_at(item, "rows"), 0, AUDIENCE_ROWS_MAX, &rows, err));
    TH_TRY(th_json_int(th_json_at(item, "rejected_total"), 0, AUDIENCE_ROWS_MAX, &rejected, err));
    TH_TRY(th_json_str(sha256, 64, 64, &hex, err));
    if (hex.n != 64 || !th_hex_parse(hex, 32, part->sha256.b))
        return th_json_fail(sha256, err, "must be 64 hexadecimal digits");
    part->part = (int32_t)number;
    part->rows = (int32_t)rows;
    seal->recipients += rows;
    seal->rejected += rejected;
    return TH_OK;
}

static enum th_code read_seal(struct request *request, struct th_json parts, struct seal *out,
                              struct th_err *err)
{
    TH_TRY(th_json_array(parts, 1, SEAL_MAX, &out->n, err));
    out->parts = th_arena_array(&request->arena, out->n, sizeof *out->parts);
    if (!out->parts)
        return th_fail(err, TH_NOMEM, "%zu parts", out->n);
    for (size_t i = 0; i < out->n; i++)
        TH_TRY(read_sealed_part(th_json_item(parts, i), i, out, err));
    return TH_OK;
}

enum handled audience_seal(struct request *request)
{
    static const char *const members[] = {"parts", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    struct seal seal = {0};
    struct th_id audience;
    struct write write;
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled))
        return handled;
    if (read_seal(request, th_json_at(th_json_root(document), "parts"), &seal, &err) != TH_OK)
        return problem_json(request, &err);
    if (!find_open(request, &audience, &handled) || !write_begin(request, "seal", &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_AUDIENCE_SEALED,
        .as.audience_sealed = {.meta = write.meta,
                               .audience = audience,
                               .parts = {seal.parts, seal.n},
                               .recipients = seal.recipients,
                               .rejected = seal.rejected},
    };
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", audience);
    th_json_put_int(&out, "parts", (int64_t)seal.n);
    th_json_put_int(&out, "recipients", seal.recipients);
    th_json_put_int(&out, "rejected", seal.rejected);
    th_json_end(&out);
    return store(request, &write, audience, &event, &body);
}
