/* people.h - the recipients, and who answers questions about them. */
#ifndef TELEHUB_TESTS_SIMULATION_PEOPLE_H
#define TELEHUB_TESTS_SIMULATION_PEOPLE_H

#include "tests/simulation/world.h"

#define PHONE_SIZE 16

struct person {
    char phone[PHONE_SIZE]; /* "+919" '1' if nobody can be reached there, else '0', number */
    bool is_duplicate;      /* the number is that of an earlier row */
};

struct people *people_new(struct world *world);
void people_free(struct people *people);

/* Of a campaign; ordinal counts rows over all parts. */
int people_n(const struct people *people, int campaign);
const struct person *person_at(const struct people *people, int campaign, int ordinal);

/* Ordinal of (part, row); -1: none. */
int people_ordinal(const struct people *people, int campaign, int32_t part, int32_t row);

/* A number of nobody in an audience. */
void people_phone(struct world *world, char out[PHONE_SIZE]);

static inline bool phone_is_invalid(const char *phone)
{
    return phone[4] == '1';
}

/* Effects of a campaign's or retry's slot: questions only. */
struct effects *people_effects_new(struct world *world, struct process *process);
void people_effects_free(struct effects *effects);

#endif
