/* peer - our codec as a program that another language's test can ask.
 *
 *   peer schemas       a line per schema: SET ID JSON
 *   peer samples       a line per event of set all: HEX JSON, the value with its frame
 *   peer decode SET    for each line of HEX on stdin a line: "HEX JSON", encoded again, or "! why"
 *
 * SET is all, old or new (the test schemas) or log (those of the log). */
#include "schemas/events.h"
#include "tests/unit/samples.h"
#include "tests/unit/schemas/new.h"
#include "tests/unit/schemas/old.h"

#include <stdio.h>
#include <string.h>

#define ARENA_LIMIT    ((size_t)16 * 1024 * 1024)
#define RANDOM_SAMPLES 200

/* Decode, encode again, and say both; the same for each set, whose types differ. */
#define DEFINE_SET(set, p)                                                                         \
    static void list_##set(void)                                                                   \
    {                                                                                              \
        for (size_t i = 0; i < p##schema_count(); i++)                                             \
            printf("%s %u %.*s\n", #set, (unsigned)p##schema_at(i)->id,                            \
                   TH_ARG(p##schema_at(i)->json));                                                 \
    }                                                                                              \
                                                                                                   \
    static enum th_code decode_##set(struct th_str value, struct th_arena *arena,                  \
                                     struct th_buf *again, struct th_buf *json,                    \
                                     struct th_err *err)                                           \
    {                                                                                              \
        struct p##event event;                                                                     \
                                                                                                   \
        TH_TRY(p##event_decode(value, arena, &event, err));                                        \
        p##event_to_json(&event, json);                                                            \
        return p##event_encode(&event, again);                                                     \
    }

DEFINE_SET(all, all_)
DEFINE_SET(old, old_)
DEFINE_SET(new, new_)
DEFINE_SET(log, )

static const struct set {
    const char *name;
    void (*list)(void);
    enum th_code (*decode)(struct th_str value, struct th_arena *arena, struct th_buf *again,
                           struct th_buf *json, struct th_err *err);
} sets[] = {
    {"all", list_all, decode_all},
    {"old", list_old, decode_old},
    {"new", list_new, decode_new},
    {"log", list_log, decode_log},
};

static void say(struct th_str value, struct th_str json)
{
    for (size_t i = 0; i < value.n; i++)
        printf("%02x", (unsigned char)value.p[i]);
    printf(" %.*s\n", TH_ARG(json));
}

static int say_samples(void)
{
    struct th_arena arena;

    th_arena_init(&arena, ARENA_LIMIT);
    for (size_t i = 0; i < SAMPLES + RANDOM_SAMPLES; i++) {
        TH_AUTO(th_buf) struct th_buf value = {0};
        TH_AUTO(th_buf) struct th_buf json = {0};
        struct all_event event;
        if (i < SAMPLES)
            sample_event(i, &event);
        else
            sample_random(i, &arena, &event);
        if (all_event_encode(&event, &value) != TH_OK)
            return 1;
        all_event_to_json(&event, &json);
        say(th_buf_str(&value), th_buf_str(&json));
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
    return 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of a line of hexadecimal, in place; false if it is none. */
static bool unhex(char *line, struct th_str *out)
{
    size_t n = strcspn(line, "\n");

    for (size_t i = 0; i + 1 < n; i += 2) {
        int high = digit(line[i]);
        int low = digit(line[i + 1]);
        if (high < 0 || low < 0)
            return false;
        line[i / 2] = (char)(high * 16 + low);
    }
    *out = (struct th_str){line, n / 2};
    return n % 2 == 0;
}

static void answer(const struct set *set, struct th_str value)
{
    TH_AUTO(th_buf) struct th_buf again = {0};
    TH_AUTO(th_buf) struct th_buf json = {0};
    struct th_err err = {0};
    struct th_arena arena;

    th_arena_init(&arena, ARENA_LIMIT);
    if (set->decode(value, &arena, &again, &json, &err) == TH_OK)
        say(th_buf_str(&again), th_buf_str(&json));
    else
        printf("! %s\n", err.text);
    th_arena_fini(&arena);
}

static int decode_lines(const struct set *set)
{
    char *line = NULL;
    size_t cap = 0;
    bool is_fine = true;
    struct th_str value;

    while (is_fine && getline(&line, &cap, stdin) > 0) {
        is_fine = unhex(line, &value);
        if (is_fine)
            answer(set, value);
    }
    free(line);
    return is_fine ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "schemas") == 0) {
        for (size_t i = 0; i < TH_LEN(sets); i++)
            sets[i].list();
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "samples") == 0)
        return say_samples();
    for (size_t i = 0; argc == 3 && i < TH_LEN(sets); i++)
        if (strcmp(argv[1], "decode") == 0 && strcmp(argv[2], sets[i].name) == 0)
            return decode_lines(&sets[i]);
    (void)fprintf(stderr, "usage: peer schemas | samples | decode all|old|new|log\n");
    return 2;
}
