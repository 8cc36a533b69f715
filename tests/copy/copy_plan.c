#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/copy/copy.h"

#define EVENTS_PER_KILL 2500
#define EVENTS_PER_FALL 25000
#define CI_EVENTS       50000
#define EVENTS_MAX      INT64_C(100000000)

static void usage(const char *program, const char *own_help)
{
    printf(
        "usage: %s [--events N] [--seed N] [--kills N] [--falls N] [--takeovers N]%s\n\n"
        "Copies N seeded events (%d) in transactions of %d, while --kills processes that copy\n"
        "(one per %d events) and --falls servers (one per %d) are ended at random, and compares\n"
        "output and input. --takeovers measures so many takeovers instead.\n",
        program, own_help, CI_EVENTS, COPY_BATCH, EVENTS_PER_KILL, EVENTS_PER_FALL);
}

static int64_t number(const char *program, const char *own_help, const char *text)
{
    char *end = NULL;

    errno = 0;
    long long value = text ? strtoll(text, &end, 10) : -1;
    if (errno || !text || end == text || *end || value < 0 || value > EVENTS_MAX) {
        usage(program, own_help);
        exit(2);
    }
    return value;
}

static bool is_own(const char *const *own, const char *name)
{
    for (; own && *own; own++)
        if (strcmp(*own, name) == 0)
            return true;
    return false;
}

struct copy_plan copy_plan_of(int argc, char **argv, const char *const *own, const char *own_help)
{
    struct copy_plan plan = {.seed = 1, .events = CI_EVENTS, .kills = -1, .falls = -1};

    for (int i = 1; i < argc; i += 2) {
        int64_t value;
        if (is_own(own, argv[i]))
            continue;
        value = number(argv[0], own_help, i + 1 < argc ? argv[i + 1] : NULL);
        if (strcmp(argv[i], "--events") == 0)
            plan.events = value;
        else if (strcmp(argv[i], "--seed") == 0)
            plan.seed = (uint64_t)value;
        else if (strcmp(argv[i], "--kills") == 0)
            plan.kills = (int)value;
        else if (strcmp(argv[i], "--falls") == 0)
            plan.falls = (int)value;
        else if (strcmp(argv[i], "--takeovers") == 0)
            plan.takeovers = (int)value;
        else
            (void)number(argv[0], own_help, NULL);
    }
    if (plan.kills < 0)
        plan.kills = (int)(plan.events / EVENTS_PER_KILL);
    if (plan.falls < 0)
        plan.falls = (int)(plan.events / EVENTS_PER_FALL);
    return plan;
}
