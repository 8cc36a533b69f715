#include "tests/unit/test.h"

#include "common/money.h"

#define NO INT64_C(-1234567890)

static void test_reading(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        int64_t micros;
    } cases[] = {
        {"whole", "12", 12000000},
        {"decimals", "12.34", 12340000},
        {"a price of Twilio's", "-0.00750", -7500},
        {"a plus", "+1.5", 1500000},
        {"six decimals", "0.000001", 1},
        {"zeros behind the sixth", "0.00000100", 1},
        {"the largest", "9223372036854.775807", INT64_MAX},
        {"the smallest", "-9223372036854.775808", INT64_MIN},
        {"zero", "-0", 0},
        {"seven decimals", "0.0000001", NO},
        {"one more than the largest", "9223372036854.775808", NO},
        {"far too large", "99999999999999999999", NO},
        {"nothing", "", NO},
        {"a sign alone", "-", NO},
        {"two signs", "--1", NO},
        {"a point alone", ".", NO},
        {"no digit before the point", ".5", NO},
        {"no digit behind it", "5.", NO},
        {"two points", "1.2.3", NO},
        {"a comma", "1,5", NO},
        {"an exponent", "1e3", NO},
        {"white space", " 1", NO},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_money money = {.micros = NO};
        struct th_err err = {0};
        bool is_money = cases[i].micros != NO;

        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_money_parse(th_str(cases[i].text), TH_STR("INR"), &money, &err),
                         is_money ? TH_OK : TH_INVALID);
        assert_int_equal(money.micros, cases[i].micros);
        assert_string_equal(money.currency, is_money ? "INR" : "");
    }
    struct th_money money;
    assert_int_equal(th_money_parse(TH_STR("1"), TH_STR("inr"), &money, NULL), TH_INVALID);
    assert_int_equal(th_money_parse(TH_STR("1"), TH_STR("RUPEES"), &money, NULL), TH_INVALID);
}

static void test_writing(void **unused)
{
    (void)unused;
    static const struct {
        int64_t micros;
        const char *text;
    } cases[] = {
        {0, "0.0000"},
        {12340000, "12.3400"},
        {-7500, "-0.0075"},
        {-7550, "-0.00755"},
        {1, "0.000001"},
        {INT64_MAX, "9223372036854.775807"},
        {INT64_MIN, "-9223372036854.775808"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char text[TH_MONEY_TEXT_MAX];
        th_money_text(cases[i].micros, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_adding(void **unused)
{
    (void)unused;
    struct th_money sum = {0};

    assert_int_equal(th_money_add(&sum, &(struct th_money){5, "INR"}), TH_OK);
    assert_string_equal(sum.currency, "INR");
    assert_int_equal(th_money_add(&sum, &(struct th_money){-7, "INR"}), TH_OK);
    assert_int_equal(sum.micros, -2);
    assert_int_equal(th_money_add(&sum, &(struct th_money){1, "USD"}), TH_CONFLICT);
    assert_int_equal(th_money_add(&sum, &(struct th_money){INT64_MIN, "INR"}), TH_FULL);
    assert_int_equal(sum.micros, -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
