#include "common/phone.h"

#include "common/phone_plan.h"

#include <assert.h>
#include <string.h>

#define TEXT_MAX 64 /* bytes that a number with all its ornaments may have */

struct digits {
    char p[TEXT_MAX];
    size_t n;
    bool has_plus;
};

static struct th_str view(const struct digits *digits, size_t from)
{
    return (struct th_str){digits->p + from, digits->n - from};
}

/* Bytes of the ornament that text begins with, 0 if it begins with none. */
static size_t ornament_size(struct th_str text)
{
    /* No-break spaces, the dashes U+2010 to U+2015, and the invisible marks of direction that
     * contacts copied from a telephone carry. */
    static const char *const marks[] = {
        "(0)",          "\xc2\xa0",     "\xe2\x80\xaf", "\xe2\x80\x90", "\xe2\x80\x91",
        "\xe2\x80\x92", "\xe2\x80\x93", "\xe2\x80\x94", "\xe2\x80\x95", "\xe2\x80\x8b",
        "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa", "\xe2\x80\xac", "\xe2\x81\xa0",
    };

    if (text.p[0] >= '0' && text.p[0] <= '9')
        return 0; /* as nearly all of a number is */
    for (size_t i = 0; i < TH_LEN(marks); i++)
        if (th_str_starts(text, th_str(marks[i])))
            return strlen(marks[i]);
    return text.p[0] && strchr(" \t-./()[]", text.p[0]) ? 1 : 0;
}

static bool is_rounded(struct th_str text)
{
    bool has_exponent = false;

    for (size_t i = 0; i + 1 < text.n; i++)
        has_exponent |= (text.p[i] == 'E' || text.p[i] == 'e') &&
                        (text.p[i + 1] == '+' || (text.p[i + 1] >= '0' && text.p[i + 1] <= '9'));
    return has_exponent;
}

static enum th_code take_digits(struct th_str text, struct digits *out, struct th_err *err)
{
    *out = (struct digits){.n = 0};
    if (text.n > TEXT_MAX)
        return th_fail(err, TH_INVALID, "too long for a telephone number");
    for (size_t i = 0; i < text.n;) {
        char c = text.p[i];
        size_t skipped = ornament_size((struct th_str){text.p + i, text.n - i});

        if (c >= '0' && c <= '9' && !skipped)
            out->p[out->n++] = c;
        else if (c == '+' && out->n == 0 && !out->has_plus)
            out->has_plus = true;
        else if (!skipped && is_rounded(text))
            return th_fail(err, TH_INVALID,
                           "a spreadsheet has rounded this number; format its column as text");
        else if (!skipped)
            return th_fail(err, TH_INVALID,
                           "a telephone number has digits only, and one + at "
                           "its beginning");
        i += skipped ? skipped : 1;
    }
    if (out->n == 0)
        return th_fail(err, TH_INVALID, "no telephone number is given");
    return TH_OK;
}

/* plan is the number's; national the digits behind its country code. */
static enum th_code check(const struct phone_plan *plan, struct th_str national, struct th_err *err)
{
    if (phone_plan_allows(plan, national))
        return TH_OK;
    if (national.n < plan->min || national.n > plan->max) {
        if (plan->min == plan->max)
            return th_fail(err, TH_INVALID, "a number of %s has %d digits behind +%d, not %zu",
                           plan->country, plan->min, plan->code, national.n);
        return th_fail(err, TH_INVALID, "a number of %s has %d to %d digits behind +%d, not %zu",
                       plan->country, plan->min, plan->max, plan->code, national.n);
    }
    if (plan->code == 91)
        return th_fail(err, TH_INVALID,
                       "no telephone of IN has a number like this; mobile numbers "
                       "begin with 6, 7, 8 or 9");
    if (national.p[0] == '0')
        return th_fail(err, TH_INVALID, "leave out the 0 behind +%d", plan->code);
    return th_fail(err, TH_INVALID, "no telephone of %s has a number like this", plan->country);
}

static enum th_code check_international(struct th_str digits, struct th_err *err)
{
    const struct phone_plan *plan = phone_plan_of_digits(digits);

    if (!plan)
        return th_fail(err, TH_INVALID, "no country has the code that this number begins with");
    size_t n = phone_plan_code_size(plan);
    return check(plan, (struct th_str){digits.p + n, digits.n - n}, err);
}

static bool is_with_code(const struct phone_plan *plan, struct th_str digits)
{
    size_t n = phone_plan_code_size(plan);
    const struct phone_plan *found = phone_plan_of_digits(digits);

    return found && found->code == plan->code &&
           phone_plan_allows(found, (struct th_str){digits.p + n, digits.n - n});
}

/* Put plan's code before national; both are digits within *all. */
static void add_code(const struct phone_plan *plan, struct th_str national, struct digits *all)
{
    char code[3];
    size_t n = phone_plan_code_size(plan);

    for (int i = (int)n - 1, rest = plan->code; i >= 0; i--, rest /= 10)
        code[i] = (char)('0' + rest % 10);
    assert(n + national.n <= sizeof all->p);
    memmove(all->p + n, national.p, national.n);
    memcpy(all->p, code, n);
    all->n = n + national.n;
}

/* Order of trust: the trunk prefix, which no other form begins with; the number alone; the number
 * behind the country's code without a plus. */
static enum th_code parse_national(const struct phone_plan *plan, struct digits *all,
                                   struct th_err *err)
{
    struct th_str digits = view(all, 0);
    struct th_str trunk = th_str(plan->trunk);

    if (trunk.n && th_str_starts(digits, trunk)) {
        struct th_str rest = view(all, trunk.n);
        if (phone_plan_allows(plan, rest)) {
            add_code(plan, rest, all);
            return TH_OK;
        }
    }
    bool is_alone = phone_plan_allows(plan, digits);
    bool has_code = is_with_code(plan, digits);
    if (is_alone && has_code)
        return th_fail(err, TH_INVALID,
                       "may be a number of %s with or without +%d; write it with the +",
                       plan->country, plan->code);
    if (has_code)
        return TH_OK;
    if (is_alone) {
        add_code(plan, digits, all);
        return TH_OK;
    }
    return check(plan, trunk.n && th_str_starts(digits, trunk) ? view(all, trunk.n) : digits, err);
}

enum th_code th_phone_parse(struct th_str text, const char *country, struct th_phone *out_phone,
                            struct th_err *err)
{
    const struct phone_plan *plan = country ? phone_plan_of_country(th_str(country)) : NULL;
    struct digits all;

    TH_TRY(take_digits(text, &all, err));
    struct th_str number = view(&all, 0);
    bool has_zeros = !all.has_plus && th_str_starts(number, TH_STR("00"));
    if (all.has_plus || has_zeros) {
        number = view(&all, has_zeros ? 2 : 0);
        TH_TRY(check_international(number, err));
    } else if (plan) {
        TH_TRY(parse_national(plan, &all, err));
        /* Part of a plan may be another country's, of other lengths: +44 1481 is Guernsey's. */
        number = view(&all, 0);
        TH_TRY(check_international(number, err));
    } else
        return th_fail(err, TH_INVALID, "write the number with + and its country code");

    if (number.n > TH_PHONE_DIGITS_MAX)
        return th_fail(err, TH_INVALID, "a telephone number has at most 15 digits");
    out_phone->text[0] = '+';
    memcpy(out_phone->text + 1, number.p, number.n);
    out_phone->text[1 + number.n] = '\0';
    return TH_OK;
}

bool th_phone_is_e164(struct th_str text)
{
    struct th_phone phone;

    return text.n && text.p[0] == '+' && th_phone_parse(text, NULL, &phone, NULL) == TH_OK &&
           th_str_eq(text, th_str(phone.text));
}

void th_phone_country(const struct th_phone *phone, char out_country[3])
{
    const struct phone_plan *plan = phone_plan_of_digits(th_str(phone->text + 1));

    assert(plan);
    memcpy(out_country, plan->country, sizeof plan->country);
}

bool th_phone_may_be_mobile(const struct th_phone *phone)
{
    return !th_str_starts(th_str(phone->text), TH_STR("+91")) || phone->text[3] >= '6';
}

bool th_phone_knows_country(struct th_str country)
{
    return phone_plan_of_country(country) != NULL;
}
