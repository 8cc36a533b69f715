/* phone, phone_plan */
#include "tests/unit/test.h"

#include "common/phone.h"
#include "common/phone_plan.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *says;
    const char *text;
    const char *country;
    const char *e164; /* NULL: refused */
} cases[] = {
    {"ten digits", "9876543210", "IN", "+919876543210"},
    {"behind the trunk's 0", "09876543210", "IN", "+919876543210"},
    {"behind 91", "919876543210", "IN", "+919876543210"},
    {"behind 0091, with blanks", "0091 98765 43210", "IN", "+919876543210"},
    {"in its one form", "+919876543210", "IN", "+919876543210"},
    {"without any country", "+919876543210", NULL, "+919876543210"},
    {"dashes and brackets", "+91 (98765)-43.210", "US", "+919876543210"},
    {"no-break space and hyphen",
     "98765\xc2\xa0"
     "43\xe2\x80\x91"
     "210",
     "IN", "+919876543210"},
    {"marks of direction", "\xe2\x80\xaa+91 98765 43210\xe2\x80\xac", "IN", "+919876543210"},
    {"a mobile number that begins with 91", "9198765432", "IN", "+919198765432"},
    {"a landline of Delhi", "011-23456789", "IN", "+911123456789"},
    {"a landline of Kanpur", "0512 2345678", "IN", "+915122345678"},
    {"nine digits", "987654321", "IN", NULL},
    {"eleven digits", "98765432101", "IN", NULL},
    {"eleven digits behind +91", "+9198765432101", "IN", NULL},
    {"a mobile number cannot begin with 0", "+910876543210", "IN", NULL},
    {"no such landline", "+911112345678", "IN", NULL},
    {"zeros", "0000000000", "IN", NULL},
    {"letters", "98765O3210", "IN", NULL},
    {"a spreadsheet's rounding", "9.19877E+11", "IN", NULL},
    {"two numbers", "9876543210, 9876543211", "IN", NULL},
    {"a plus in the middle", "91+9876543210", "IN", NULL},
    {"two pluses", "++919876543210", "IN", NULL},
    {"a plus alone", "+", "IN", NULL},
    {"nothing", "", "IN", NULL},
    {"blanks", "   ", "IN", NULL},
    {"a control character",
     "98765\x01"
     "43210",
     "IN", NULL},
    {"national, but of which country", "9876543210", NULL, NULL},
    {"a country that does not exist", "9876543210", "XX", NULL},
    {"no such country code", "+999123456789", "IN", NULL},
    {"a code of no country", "+800123456789", "IN", NULL},
    {"the United States", "(212) 555-0123", "US", "+12125550123"},
    {"the United States with 1", "1 212 555 0123", "US", "+12125550123"},
    {"an area code cannot begin with 1", "112 555 0123", "US", NULL},
    {"Germany", "030 1234567", "DE", "+49301234567"},
    {"Germany, trunk in brackets", "+49 (0)30 1234567", "IN", "+49301234567"},
    {"Germany, trunk left in", "+49 030 1234567", "IN", NULL},
    {"Germany, two meanings", "4930123456", "DE", NULL},
    {"Italy keeps its 0", "06 6982", "IT", "+39066982"},
    {"Italy, longer", "06 69821234", "IT", "+390669821234"},
    {"Russia's trunk is an 8", "8 916 123-45-67", "RU", "+79161234567"},
    {"Hungary's trunk is 06", "06 20 123 4567", "HU", "+36201234567"},
    {"Singapore has no trunk", "81234567", "SG", "+6581234567"},
    {"a short number of Britain, in digits that are Guernsey's", "0148190658", "GB", NULL},
    {"a number of Guernsey, dialled in Britain", "01481 906580", "GB", "+441481906580"},
    {"as long as E.164 allows", "+8613800138000", NULL, "+8613800138000"},
    {"longer than any number", "+4930123456789012345", NULL, NULL},
};

static void test_numbers(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_phone phone = {"-"};
        struct th_err err = {0};
        enum th_code code = th_phone_parse(th_str(cases[i].text), cases[i].country, &phone, &err);

        print_message("  %s%s%s\n", cases[i].says, *err.text ? ": " : "", err.text);
        assert_int_equal(code, cases[i].e164 ? TH_OK : TH_INVALID);
        assert_string_equal(phone.text, cases[i].e164 ? cases[i].e164 : "-");
        assert_int_equal(*err.text != '\0', code != TH_OK);
        if (cases[i].e164)
            assert_true(th_phone_is_e164(th_str(phone.text)));
    }
}

static void test_errors_say_what_to_do(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        const char *error;
    } errors[] = {
        {"+9198765", "a number of IN has 10 digits behind +91, not 5"},
        {"+4930", "a number of DE has 5 to 13 digits behind +49, not 2"},
        {"+49 030 1234567", "leave out the 0 behind +49"},
        {"9.19877E+11", "a spreadsheet has rounded this number; format its column as text"},
        {"98765x", "a telephone number has digits only, and one + at its beginning"},
        {"+910876543210",
         "no telephone of IN has a number like this; mobile numbers begin with 6, 7, "
         "8 or 9"},
    };

    for (size_t i = 0; i < TH_LEN(errors); i++) {
        struct th_phone phone;
        struct th_err err = {0};
        assert_int_equal(th_phone_parse(th_str(errors[i].text), "IN", &phone, &err), TH_INVALID);
        assert_string_equal(err.text, errors[i].error);
    }
}

static void test_countries(void **unused)
{
    (void)unused;
    static const struct {
        const char *number;
        const char *country;
    } numbers[] = {
        {"+919876543210", "IN"},  {"+12125550123", "US"},  {"+14165550123", "CA"},
        {"+12425550123", "BS"},   {"+79161234567", "RU"},  {"+77011234567", "KZ"},
        {"+442071234567", "GB"},  {"+441534123456", "JE"}, {"+9779812345678", "NP"},
        {"+8801712345678", "BD"},
    };

    for (size_t i = 0; i < TH_LEN(numbers); i++) {
        struct th_phone phone;
        char country[3];
        assert_int_equal(th_phone_parse(th_str(numbers[i].number), NULL, &phone, NULL), TH_OK);
        th_phone_country(&phone, country);
        assert_string_equal(country, numbers[i].country);
    }
    assert_true(th_phone_knows_country(TH_STR("IN")));
    assert_false(th_phone_knows_country(TH_STR("in")));
    assert_true(th_phone_may_be_mobile(&(struct th_phone){"+919876543210"}));
    assert_false(th_phone_may_be_mobile(&(struct th_phone){"+911123456789"}));
    assert_true(th_phone_may_be_mobile(&(struct th_phone){"+12125550123"}));
}

static void test_one_form_only(void **unused)
{
    (void)unused;
    assert_true(th_phone_is_e164(TH_STR("+919876543210")));
    assert_false(th_phone_is_e164(TH_STR("+91 9876543210")));
    assert_false(th_phone_is_e164(TH_STR("919876543210")));
    assert_false(th_phone_is_e164(TH_STR("00919876543210")));
    assert_false(th_phone_is_e164(TH_STR("")));
    assert_false(th_phone_is_e164((struct th_str){"+919876543210\0", 14}));
}

/* The table itself: lengths within E.164, and no country code the beginning of another. */
static void test_the_plans_are_sound(void **unused)
{
    (void)unused;
    size_t count = 0;

    for (int a = 'A'; a <= 'Z'; a++)
        for (int b = 'A'; b <= 'Z'; b++) {
            const char country[] = {(char)a, (char)b, '\0'};
            const struct phone_plan *plan = phone_plan_of_country(th_str(country));
            char digits[32];

            if (!plan)
                continue;
            count++;
            assert_true(plan->min >= 4 && plan->min <= plan->max);
            assert_true(phone_plan_code_size(plan) + plan->max <= TH_PHONE_DIGITS_MAX);
            int n = snprintf(digits, sizeof digits, "%d%.*s555", plan->code,
                             (int)strcspn(plan->leading, " "), plan->leading);
            const struct phone_plan *found =
                phone_plan_of_digits((struct th_str){digits, (size_t)n});
            assert_non_null(found);
            assert_string_equal(found->country, plan->country);
        }
    assert_true(count > 235);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_errors_say_what_to_do),
        cmocka_unit_test(test_countries),
        cmocka_unit_test(test_one_form_only),
        cmocka_unit_test(test_the_plans_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
