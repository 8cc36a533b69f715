#include "tests/unit/test.h"

#include "common/date.h"

#include <time.h>

static void test_days_are_those_of_the_c_library(void **unused)
{
    (void)unused;
    for (int64_t days = -719162; days <= 2932896; days += 13) { /* the years 1 to 9999 */
        time_t sec = days * 86400 + 45296;
        struct tm tm;
        struct th_date date = th_date_of_us(sec * 1000000 + 7);

        assert_non_null(gmtime_r(&sec, &tm));
        assert_int_equal(date.year, tm.tm_year + 1900);
        assert_int_equal(date.month, tm.tm_mon + 1);
        assert_int_equal(date.day, tm.tm_mday);
        assert_int_equal(date.hour, tm.tm_hour);
        assert_int_equal(date.minute, tm.tm_min);
        assert_int_equal(date.second, tm.tm_sec);
        assert_int_equal(date.weekday, tm.tm_wday);
        assert_int_equal(date.us, 7);
        assert_int_equal(th_date_us(&date), sec * 1000000 + 7);
    }
}

static void test_text(void **unused)
{
    (void)unused;
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {1793613600123456, "2026-11-02T10:00:00.123456Z"},
        {TH_DATE_MIN_US, "0001-01-01T00:00:00.000000Z"},
        {TH_DATE_MAX_US, "9999-12-31T23:59:59.999999Z"},
        {INT64_MIN, "0001-01-01T00:00:00.000000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char text[TH_DATE_TEXT_LEN + 1];
        int64_t us;

        th_date_text(cases[i].us, text);
        assert_string_equal(text, cases[i].text);
        assert_true(th_date_parse_rfc3339(th_str(text), &us));
        th_date_text(us, text);
        assert_string_equal(text, cases[i].text);
    }
}

#define TEN INT64_C(1793613600) /* 2026-11-02T10:00:00Z */
#define NO  INT64_MIN

static void test_rfc3339(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        int64_t us;
    } cases[] = {
        {"without a fraction", "2026-11-02T10:00:00Z", TEN * 1000000},
        {"small letters", "2026-11-02t10:00:00z", TEN * 1000000},
        {"a space", "2026-11-02 10:00:00Z", TEN * 1000000},
        {"east of Greenwich", "2026-11-02T15:30:00+05:30", TEN * 1000000},
        {"west of it", "2026-11-02T05:00:00-05:00", TEN * 1000000},
        {"one digit of a second", "2026-11-02T10:00:00.5Z", TEN * 1000000 + 500000},
        {"nanoseconds", "2026-11-02T10:00:00.123456789Z", TEN * 1000000 + 123456},
        {"a leap second", "2016-12-31T23:59:60Z", 1483228800000000},
        {"a leap day", "2024-02-29T00:00:00Z", 1709164800000000},
        {"no leap day", "2023-02-29T00:00:00Z", NO},
        {"no leap day in 1900", "1900-02-29T00:00:00Z", NO},
        {"no zone", "2026-11-02T10:00:00", NO},
        {"no seconds", "2026-11-02T10:00Z", NO},
        {"an empty fraction", "2026-11-02T10:00:00.Z", NO},
        {"month 13", "2026-13-02T10:00:00Z", NO},
        {"month 0", "2026-00-02T10:00:00Z", NO},
        {"hour 24", "2026-11-02T24:00:00Z", NO},
        {"second 61", "2026-11-02T10:00:61Z", NO},
        {"year 0", "0000-11-02T10:00:00Z", NO},
        {"an offset past a day", "2026-11-02T10:00:00+24:00", NO},
        {"an offset without a colon", "2026-11-02T10:00:00+0530", NO},
        {"something behind", "2026-11-02T10:00:00Zx", NO},
        {"a sign", "-026-11-02T10:00:00Z", NO},
        {"nothing", "", NO},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t us = NO;
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_date_parse_rfc3339(th_str(cases[i].text), &us), cases[i].us != NO);
        assert_int_equal(us, cases[i].us);
    }
    int64_t us;
    assert_false(th_date_parse_rfc3339((struct th_str){"2026-11-02T10:00:00\0", 20}, &us));
}

static void test_rfc2822(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        int64_t us;
    } cases[] = {
        {"as Twilio writes it", "Mon, 02 Nov 2026 10:00:00 +0000", TEN * 1000000},
        {"one digit of a day", "Mon, 2 Nov 2026 10:00:00 +0000", TEN * 1000000},
        {"no name of the day", "2 Nov 2026 10:00:00 +0000", TEN * 1000000},
        {"no seconds", "Mon, 02 Nov 2026 10:00 +0000", TEN * 1000000},
        {"India", "Mon, 02 Nov 2026 15:30:00 +0530", TEN * 1000000},
        {"as HTTP writes it", "Mon, 02 Nov 2026 10:00:00 GMT", TEN * 1000000},
        {"two digits of a year", "Mon, 02 Nov 26 10:00:00 +0000", NO},
        {"no such month", "Mon, 02 Nav 2026 10:00:00 +0000", NO},
        {"no such day", "Mon, 31 Nov 2026 10:00:00 +0000", NO},
        {"no zone", "Mon, 02 Nov 2026 10:00:00", NO},
        {"an unknown zone", "Mon, 02 Nov 2026 10:00:00 IST", NO},
        {"nothing", "", NO},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t us = NO;
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_date_parse_rfc2822(th_str(cases[i].text), &us), cases[i].us != NO);
        assert_int_equal(us, cases[i].us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days_are_those_of_the_c_library),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_rfc2822),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
