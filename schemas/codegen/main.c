/* codegen - Avro schemas become C. README.md says what and why.
 *
 *   codegen --out FOLDER --name schemas/events [--prefix old_] FILE.avsc...
 *
 * writes FOLDER/schemas/events.h, events.c and one source per kind of function. */
#include "schemas/codegen/emit.h"
#include "schemas/codegen/names.h"
#include "schemas/codegen/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FILES_MAX    256
#define ARENA_LIMIT  ((size_t)256 * 1024 * 1024)
#define PATH_MAX_LEN 4096

struct request {
    const char *out;
    const char *name;
    const char *prefix;
    const char **files;
    size_t files_n;
};

static const struct {
    const char *ending;
    void (*emit)(const struct model *model, const char *header, struct th_buf *out);
} outputs[] = {
    {".h", emit_header},        {".c", emit_tables},    {"_encode.c", emit_encode},
    {"_decode.c", emit_decode}, {"_json.c", emit_json}, {"_copy.c", emit_copy},
};

static bool is_prefix(const char *prefix)
{
    for (const char *p = prefix; *p; p++)
        if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_')
            return false;
    return !*prefix || name_is_valid(prefix);
}

static enum th_code understand_arguments(int argc, char **argv, struct request *out,
                                         struct th_err *err)
{
    int i = 1;

    *out = (struct request){.prefix = ""};
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (strcmp(argv[i], "--out") == 0)
            out->out = argv[i + 1];
        else if (strcmp(argv[i], "--name") == 0)
            out->name = argv[i + 1];
        else if (strcmp(argv[i], "--prefix") == 0)
            out->prefix = argv[i + 1];
        else
            return th_fail(err, TH_INVALID, "%s: unknown option", argv[i]);
    }
    out->files = (const char **)argv + i;
    out->files_n = (size_t)(argc - i);
    if (!out->out || !out->name || out->files_n == 0 || out->files_n > FILES_MAX ||
        !is_prefix(out->prefix))
        return th_fail(err, TH_INVALID,
                       "usage: codegen --out FOLDER --name NAME [--prefix lower_] FILE.avsc...");
    return TH_OK;
}

/* The last component of a path. */
static const char *tail_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static enum th_code load(struct model *model, const char *path, json_t **out_json,
                         struct th_err *err)
{
    json_error_t problem;

    *out_json = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    if (!*out_json)
        return th_fail(err, TH_MALFORMED, "line %d: %s", problem.line, problem.text);
    return parse_file(model, *out_json, err);
}

static enum th_code load_all(struct model *model, const struct request *request, json_t **jsons,
                             struct th_err *err)
{
    for (size_t i = 0; i < request->files_n; i++)
        if (load(model, request->files[i], &jsons[i], err) != TH_OK)
            return th_wrap(err, "%s", tail_of(request->files[i]));
    return check_model(model, err);
}

static enum th_code write_file(const char *path, struct th_str text, struct th_err *err)
{
    FILE *file = fopen(path, "wb");

    if (!file)
        return th_fail(err, TH_IO, "%s: cannot be written", path);
    bool is_written = fwrite(text.p, 1, text.n, file) == text.n;
    if (fclose(file) != 0 || !is_written)
        return th_fail(err, TH_IO, "%s: not wholly written", path);
    return TH_OK;
}

static enum th_code write_all(const struct model *model, const struct request *request,
                              struct th_err *err)
{
    char header[PATH_MAX_LEN];

    (void)snprintf(header, sizeof header, "%s.h", request->name);
    for (size_t i = 0; i < TH_LEN(outputs); i++) {
        TH_AUTO(th_buf) struct th_buf text = {0};
        char path[PATH_MAX_LEN];
        outputs[i].emit(model, header, &text);
        if (th_buf_status(&text) != TH_OK)
            return th_fail(err, TH_NOMEM, "%s", outputs[i].ending);
        (void)snprintf(path, sizeof path, "%s/%s%s", request->out, request->name,
                       outputs[i].ending);
        TH_TRY(write_file(path, th_buf_str(&text), err));
    }
    return TH_OK;
}

static enum th_code run(int argc, char **argv, struct th_arena *arena, json_t **jsons,
                        struct th_err *err)
{
    struct request request;
    struct model model = {.arena = arena};

    TH_TRY(understand_arguments(argc, argv, &request, err));
    model.prefix = request.prefix;
    model.prefix_upper = name_upper(&model, request.prefix);
    TH_TRY(load_all(&model, &request, jsons, err));
    return write_all(&model, &request, err);
}

int main(int argc, char **argv)
{
    struct th_arena arena;
    struct th_err err = {0};
    json_t *jsons[FILES_MAX] = {0};

    th_arena_init(&arena, ARENA_LIMIT);
    enum th_code code = run(argc, argv, &arena, jsons, &err);
    if (code != TH_OK)
        (void)fprintf(stderr, "codegen: %s\n", err.text);
    for (size_t i = 0; i < FILES_MAX; i++)
        json_decref(jsons[i]);
    th_arena_fini(&arena);
    return code == TH_OK ? 0 : 1;
}
