/* zone, zone_rule */
#include "tests/unit/test.h"

#include "common/zone.h"
#include "common/zone_rule.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_S    INT64_C(1000000)
#define YEAR_1970_S INT64_C(0)
#define YEAR_2100_S INT64_C(4102444800)

static struct th_zone *open_zone(const char *name)
{
    struct th_zone *zone = NULL;

    assert_int_equal(th_zone_open(TH_ZONE_FOLDER, th_str(name), &zone, NULL), TH_OK);
    return zone;
}

static const char *const names[] = {
    "Asia/Kolkata",        "Europe/Berlin",    "America/New_York",  "Pacific/Apia",
    "Australia/Lord_Howe", "Europe/Dublin",    "Africa/Casablanca", "America/Sao_Paulo",
    "America/Nuuk",        "Asia/Kathmandu",   "Asia/Gaza",         "UTC",
    "Antarctica/Troll",    "America/St_Johns",
};

/* Every 11 hours and some minutes, and the second before and of each change that lies between. */
static void compare_with_c_library(const struct th_zone *zone, int64_t at_s)
{
    time_t t = (time_t)at_s;
    struct tm tm;
    struct th_zone_time local = th_zone_local(zone, at_s * US_PER_S + 5);

    assert_non_null(localtime_r(&t, &tm));
    if (tm.tm_gmtoff != local.offset_s)
        print_message("  at %lld\n", (long long)at_s);
    assert_int_equal(tm.tm_gmtoff, local.offset_s);
    assert_int_equal(tm.tm_year + 1900, local.date.year);
    assert_int_equal(tm.tm_mon + 1, local.date.month);
    assert_int_equal(tm.tm_mday, local.date.day);
    assert_int_equal(tm.tm_hour, local.date.hour);
    assert_int_equal(tm.tm_min, local.date.minute);
    assert_int_equal(tm.tm_sec, local.date.second);
    assert_int_equal(tm.tm_wday, local.date.weekday);
    assert_int_equal(local.date.us, 5);

    /* Back: the same moment, or an earlier one at which clocks showed the same. */
    int64_t back_us = th_zone_utc_us(zone, &local.date);
    if (back_us != at_s * US_PER_S + 5) {
        struct th_zone_time again = th_zone_local(zone, back_us);
        assert_true(back_us < at_s * US_PER_S);
        assert_memory_equal(&again.date, &local.date, sizeof local.date);
    }
}

static void test_it_agrees_with_the_c_library(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(names); i++) {
        TH_AUTO(th_zone) struct th_zone *zone = open_zone(names[i]);
        int offset_s = th_zone_local(zone, 0).offset_s;
        int changes = 0;

        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t s = YEAR_1970_S; s < YEAR_2100_S; s += 40013) {
            compare_with_c_library(zone, s);
            int now_s = th_zone_local(zone, s * US_PER_S).offset_s;
            if (now_s == offset_s)
                continue;
            int64_t low = s - 40013;
            int64_t high = s;
            while (high - low > 1) {
                int64_t middle = low + (high - low) / 2;
                if (th_zone_local(zone, middle * US_PER_S).offset_s == offset_s)
                    low = middle;
                else
                    high = middle;
            }
            for (int64_t near = -7201; near <= 7201; near += 600)
                compare_with_c_library(zone, high + near);
            compare_with_c_library(zone, low);
            compare_with_c_library(zone, high);
            offset_s = now_s;
            changes++;
        }
        print_message("  %s: %d changes\n", names[i], changes);
    }
}

static int64_t us_of(const char *text)
{
    int64_t us = -1;

    assert_true(th_date_parse_rfc3339(th_str(text), &us));
    return us;
}

static void test_clocks_that_are_set(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *zone;
        const char *local; /* as if it were UTC */
        const char *utc;
    } cases[] = {
        {"an ordinary moment", "Asia/Kolkata", "2026-11-02T09:00:00Z", "2026-11-02T03:30:00Z"},
        {"a gap", "Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"},
        {"its first moment", "Europe/Berlin", "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"},
        {"its end", "Europe/Berlin", "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"},
        {"a moment that comes twice", "Europe/Berlin", "2026-10-25T02:30:00Z",
         "2026-10-25T00:30:00Z"},
        {"the end of what comes twice", "Europe/Berlin", "2026-10-25T03:00:00Z",
         "2026-10-25T02:00:00Z"},
        {"a gap in 2099", "Europe/Berlin", "2099-03-29T02:30:00Z", "2099-03-29T01:30:00Z"},
        {"twice in 2099", "America/New_York", "2099-11-01T01:30:00Z", "2099-11-01T05:30:00Z"},
        {"a day that was left out", "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00Z"},
        {"half an hour of summer", "Australia/Lord_Howe", "2026-10-04T02:15:00Z",
         "2026-10-03T15:45:00Z"},
        {"summer time that is less than standard", "Europe/Dublin", "2060-07-01T12:00:00Z",
         "2060-07-01T11:00:00Z"},
        {"before all transitions", "Asia/Kolkata", "1800-01-01T00:00:00Z", "1799-12-31T18:06:32Z"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_zone) struct th_zone *zone = open_zone(cases[i].zone);
        struct th_date local = th_date_of_us(us_of(cases[i].local));
        char text[TH_DATE_TEXT_LEN + 1];

        print_message("  %s\n", cases[i].says);
        th_date_text(th_zone_utc_us(zone, &local), text);
        memcpy(text + 19, "Z", 2); /* without the fraction */
        assert_string_equal(text, cases[i].utc);
    }
}

static void test_the_ends_of_time(void **unused)
{
    (void)unused;
    TH_AUTO(th_zone) struct th_zone *zone = open_zone("Europe/Berlin");

    assert_int_equal(th_zone_local(zone, INT64_MAX).date.year, 9999);
    assert_int_equal(th_zone_local(zone, INT64_MIN).date.year, 1);
    struct th_date last = th_date_of_us(TH_DATE_MAX_US);
    struct th_date first = th_date_of_us(TH_DATE_MIN_US);
    assert_int_equal(th_zone_utc_us(zone, &last), TH_DATE_MAX_US - 3600 * US_PER_S);
    assert_true(th_zone_utc_us(zone, &first) < TH_DATE_MIN_US);
}

static void test_rules(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        bool is_rule;
        int offset_s; /* on 2026-07-01 */
    } cases[] = {
        {"no summer time", "IST-5:30", true, 19800},
        {"a quoted name", "<+0545>-5:45", true, 20700},
        {"seconds", "LMT-0:53:28", true, 3208},
        {"summer time", "CET-1CEST,M3.5.0,M10.5.0/3", true, 7200},
        {"south of the equator", "AEST-10AEDT,M10.1.0,M4.1.0/3", true, 36000},
        {"a summer offset of its own", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true, 37800},
        {"hours past a day", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", true, -3600},
        {"always summer", "XXX3EDT4,0/0,J365/23", true, -14400},
        {"days by number", "XXX3YYY,J60,J300", true, -7200},
        {"nothing", "", false, 0},
        {"no offset", "IST", false, 0},
        {"a short name", "IS-5:30", false, 0},
        {"an open quote", "<+0530-5:30", false, 0},
        {"summer time without days", "CET-1CEST", false, 0},
        {"one day only", "CET-1CEST,M3.5.0", false, 0},
        {"month 13", "CET-1CEST,M13.5.0,M10.5.0", false, 0},
        {"week 0", "CET-1CEST,M3.0.0,M10.5.0", false, 0},
        {"weekday 7", "CET-1CEST,M3.5.7,M10.5.0", false, 0},
        {"day 366 of J", "CET-1CEST,J366,J1", false, 0},
        {"hour 25", "CET-25", false, 0},
        {"hour 168 of a rule", "CET-1CEST,M3.5.0/168,M10.5.0", false, 0},
        {"something behind", "IST-5:30x", false, 0},
        {"a comma behind", "IST-5:30,", false, 0},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct zone_rule rule;

        print_message("  %s\n", cases[i].says);
        assert_int_equal(zone_rule_parse(th_str(cases[i].text), &rule), cases[i].is_rule);
        if (cases[i].is_rule) {
            int64_t at_s = us_of("2026-07-01T00:00:00Z") / US_PER_S;
            struct zone_stretch stretch = zone_rule_stretch(&rule, at_s);
            assert_int_equal(stretch.offset_s, cases[i].offset_s);
            assert_true(stretch.from_s <= at_s && at_s < stretch.to_s);
        }
    }
}

static void test_names_that_are_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        enum th_code code;
    } cases[] = {
        {"", TH_INVALID},
        {"../../etc/passwd", TH_INVALID},
        {"/etc/localtime", TH_INVALID},
        {"Asia/Kolkata\n", TH_INVALID},
        {"posixrules.x", TH_INVALID},
        {"Asia/Nowhere", TH_NOT_FOUND},
        {"Asia", TH_NOT_FOUND},
        {"Asia/Kolkata/x", TH_NOT_FOUND},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_zone *zone = NULL;
        print_message("  %s\n", cases[i].name);
        assert_int_equal(th_zone_open(TH_ZONE_FOLDER, th_str(cases[i].name), &zone, NULL),
                         cases[i].code);
    }
}

static size_t read_zone_file(const char *name, char *bytes, size_t size)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", TH_ZONE_FOLDER, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(bytes, 1, size, file);
    assert_int_equal(fclose(file), 0);
    assert_true(n > 100 && n < size);
    return n > 100 ? n : 100; /* the analyser does not know that an assertion ends the test */
}

/* Parsed from memory of exactly its size, so that a byte read too far is seen. */
static enum th_code parse(const char *bytes, size_t n)
{
    TH_AUTO(th_zone) struct th_zone *zone = NULL;
    char *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    enum th_code code = th_zone_parse((struct th_str){copy, n}, &zone, NULL);
    if (code == TH_OK) /* whatever it says, it says something */
        for (int64_t us = -(INT64_C(1) << 60); us < INT64_C(1) << 60; us += INT64_C(1) << 57) {
            struct th_zone_time local = th_zone_local(zone, us);
            (void)th_zone_utc_us(zone, &local.date);
        }
    free(copy);
    return code;
}

static void test_hostile_files(void **unused)
{
    (void)unused;
    static char bytes[65536];
    size_t n = read_zone_file("America/Nuuk", bytes, sizeof bytes);
    uint32_t seed = 42;

    for (size_t cut = 0; cut < n; cut++)
        assert_int_not_equal(parse(bytes, cut), TH_OK);
    assert_int_equal(parse(bytes, n), TH_OK);
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = (seed >> 8) % n;
        if (round % 2) /* half of them where the counts are */
            at = at % 2 ? at % 44 : n - 1 - at % 40;
        char before = bytes[at];
        bytes[at] = (char)(seed >> 24);
        (void)parse(bytes, n);
        bytes[at] = before;
    }
    memset(bytes + 20, 0xff, 24); /* counts that would overflow 32 bits */
    assert_int_equal(parse(bytes, n), TH_MALFORMED);
    bytes[4] = '\0';
    assert_int_equal(parse(bytes, n), TH_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_agrees_with_the_c_library),
        cmocka_unit_test(test_clocks_that_are_set),
        cmocka_unit_test(test_the_ends_of_time),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_names_that_are_refused),
        cmocka_unit_test(test_hostile_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
