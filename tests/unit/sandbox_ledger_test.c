/* The ledger's lines and what is folded from them. */
#include "tests/unit/test.h"

#include "connectors/sandbox/ledger.h"

#include <stdio.h>
#include <string.h>

static struct th_arena arena;

static int set_up(void **unused)
{
    (void)unused;
    th_arena_init(&arena, (size_t)1 << 20);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    th_arena_fini(&arena);
    return 0;
}

static struct line header(void)
{
    return (struct line){.kind = LINE_HEADER, .header = {0x0123456789abcdef, TH_STR("AC0123")}};
}

static struct line execution(uint32_t seq, uint64_t to)
{
    return (struct line){.kind = LINE_EXECUTION,
                         .execution = {
                             .seq = seq,
                             .at_us = 1000 + seq,
                             .tries = 1,
                             .channel = seq % 2 ? CHANNEL_SMS : CHANNEL_CALL,
                             .to = to,
                             .answer = ANSWER_DROP_AFTER,
                             .outcome = OUTCOME_30005,
                             .report = REPORT_LATE,
                             .delay_ms = 150,
                             .events = EVENT_SENT | EVENT_FINAL,
                             .units = 2,
                             .price_micro = 5000,
                             .from = TH_STR("+14155550100"),
                             .service = TH_STR(""),
                             .currency = TH_STR("INR"),
                             .callback_url = TH_STR("http://127.0.0.1:1/cb?a=1&b=%2F"),
                             .text = TH_STR("नमस्ते\t100 %\nbye"),
                         }};
}

static struct line keyed(uint32_t seq, uint64_t to, const char *key)
{
    struct line line = execution(seq, to);

    line.execution.key = th_str(key);
    return line;
}

static struct line refusal(uint64_t to, uint32_t code)
{
    return (struct line){.kind = LINE_REFUSAL,
                         .refusal = {.at_us = 5000,
                                     .tries = 3,
                                     .channel = CHANNEL_CALL,
                                     .to = to,
                                     .code = code,
                                     .callback_url = TH_STR("")}};
}

static struct line end(uint32_t seq)
{
    return (struct line){.kind = LINE_END, .end = {seq, 7000}};
}

static struct line report(uint32_t seq, uint32_t step, bool is_delivered)
{
    return (struct line){.kind = LINE_REPORT,
                         .report = {seq, step, is_delivered, is_delivered ? 200 : 0, 8000}};
}

static void test_lines_survive_the_file(void **unused)
{
    const struct line lines[] = {header(),
                                 execution(1, 919876543210),
                                 execution(2, 15551234567),
                                 keyed(3, 15551234567, "a key\twith a tab"),
                                 refusal(919876543210, 21211),
                                 refusal(NUMBER_UNKNOWN, 0),
                                 end(1),
                                 report(1, 2, true),
                                 report(2, 0, false)};

    (void)unused;
    for (size_t i = 0; i < TH_LEN(lines); i++) {
        TH_AUTO(th_buf) struct th_buf text = {0};
        TH_AUTO(th_buf) struct th_buf again = {0};
        struct line read;

        ledger_line_print(&lines[i], &text);
        assert_int_equal(th_buf_status(&text), TH_OK);
        assert_int_equal(text.p[text.n - 1], '\n');
        assert_null(memchr(text.p, '\n', text.n - 1));
        struct th_str line = {text.p, text.n - 1};
        assert_int_equal(ledger_line_parse(line, &arena, &read, NULL), TH_OK);
        assert_int_equal(read.kind, lines[i].kind);
        ledger_line_print(&read, &again);
        assert_str_equal(th_buf_str(&text), th_buf_str(&again));
        if (read.kind == LINE_EXECUTION) {
            assert_str_equal(read.execution.text, lines[i].execution.text);
            assert_str_equal(read.execution.key, lines[i].execution.key);
            assert_str_equal(read.execution.callback_url, lines[i].execution.callback_url);
        }
    }
}

static void test_a_key_names_one_send_of_its_recipient(void **unused)
{
    const struct line lines[] = {header(), keyed(1, 919876543210, "a"), keyed(2, 919876543210, "b"),
                                 execution(3, 919876543210), keyed(4, 15551234567, "a")};
    TH_AUTO(ledger) struct ledger *ledger = ledger_new();

    (void)unused;
    assert_non_null(ledger);
    for (size_t i = 0; i < TH_LEN(lines); i++)
        assert_int_equal(ledger_fold(ledger, &lines[i], 0, 100, NULL), TH_OK);
    assert_int_equal(ledger_keyed(ledger, 919876543210, TH_STR("a")), 1);
    assert_int_equal(ledger_keyed(ledger, 919876543210, TH_STR("b")), 2);
    assert_int_equal(ledger_keyed(ledger, 15551234567, TH_STR("a")), 4);
    assert_int_equal(ledger_keyed(ledger, 15551234567, TH_STR("b")), 0);
    assert_int_equal(ledger_keyed(ledger, 919876543210, TH_STR("")), 0);
}

static void test_damage_is_noticed(void **unused)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct line line = execution(1, 919876543210);
    struct line read;

    (void)unused;
    ledger_line_print(&line, &text);
    for (size_t cut = 0; cut + 1 < text.n; cut++)
        assert_int_equal(ledger_line_parse((struct th_str){text.p, cut}, &arena, &read, NULL),
                         TH_CORRUPT);
    for (size_t i = 0; i + 1 < text.n; i++) {
        text.p[i] ^= 1;
        assert_int_equal(
            ledger_line_parse((struct th_str){text.p, text.n - 1}, &arena, &read, NULL),
            TH_CORRUPT);
        text.p[i] ^= 1;
        th_arena_reset(&arena);
    }
}

static struct ledger *ledger_of(const struct line *lines, size_t n)
{
    struct ledger *ledger = ledger_new();

    assert_non_null(ledger);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ledger_fold(ledger, &lines[i], 100 * i, 99, NULL), TH_OK);
    return ledger;
}

static void test_fold(void **unused)
{
    const struct line lines[] = {header(),
                                 execution(1, 911111111111),
                                 execution(2, 912222222222),
                                 execution(3, 911111111111),
                                 execution(4, 911111111111),
                                 refusal(912222222222, 21610),
                                 refusal(NUMBER_UNKNOWN, 21211),
                                 refusal(913333333333, 21610),
                                 end(1),
                                 report(1, 2, true),
                                 report(3, 2, false)};
    TH_AUTO(ledger) struct ledger *ledger = ledger_of(lines, TH_LEN(lines));
    const struct ledger_counts *counts = ledger_counts(ledger);

    (void)unused;
    assert_int_equal(counts->executions, 4);
    assert_int_equal(counts->recipients, 2);
    assert_int_equal(counts->recipients_again, 1);
    assert_int_equal(counts->ended, 1);
    assert_int_equal(counts->spent_micro, 5000);
    assert_int_equal(counts->callbacks_delivered, 1);
    assert_int_equal(counts->callbacks_gone, 1);
    assert_int_equal(counts->refusals, 3);
    assert_int_equal(counts->refused_n, 2);

    assert_int_equal(ledger_tries(ledger, 911111111111), 3);
    assert_int_equal(ledger_tries(ledger, 912222222222), 2); /* a refused try counts */
    assert_int_equal(ledger_tries(ledger, 913333333333), 1);
    assert_int_equal(ledger_tries(ledger, 914444444444), 0);
    assert_int_equal(ledger_newest(ledger, 911111111111), 4);
    assert_int_equal(ledger_newest(ledger, 913333333333), 0);
    assert_int_equal(ledger_send(ledger, 4)->previous, 3);
    assert_int_equal(ledger_send(ledger, 3)->previous, 1);
    assert_int_equal(ledger_send(ledger, 1)->previous, 0);
    assert_int_equal(ledger_send(ledger, 2)->line_at, 200);
    assert_int_equal(ledger_send(ledger, 1)->delivered, 4);
    assert_null(ledger_send(ledger, 0));
    assert_null(ledger_send(ledger, 5));
}

static void test_what_cannot_follow_is_refused(void **unused)
{
    const struct line lines[] = {header(), execution(1, 911111111111), end(1)};
    const struct line wrong[] = {
        header(), execution(3, 911111111111), execution(1, 911111111111), end(1),
        end(2),   report(9, 0, true)};
    TH_AUTO(ledger) struct ledger *ledger = ledger_of(lines, TH_LEN(lines));

    (void)unused;
    for (size_t i = 0; i < TH_LEN(wrong); i++)
        assert_int_equal(ledger_fold(ledger, &wrong[i], 0, 9, NULL), TH_CORRUPT);
    assert_int_equal(ledger_counts(ledger)->executions, 1);
}

static void test_sids(void **unused)
{
    const struct line lines[] = {header(), execution(1, 911111111111), execution(2, 912222222222)};
    TH_AUTO(ledger) struct ledger *ledger = ledger_of(lines, TH_LEN(lines));
    char sid[SID_SIZE + 1];

    (void)unused;
    ledger_sid(ledger, 1, sid);
    assert_string_equal(sid, "SM0123456789abcdef0000000000000001");
    assert_int_equal(ledger_seq(ledger, th_str(sid)), 1);
    ledger_sid(ledger, 2, sid);
    assert_string_equal(sid, "CA0123456789abcdef0000000000000002");
    assert_int_equal(ledger_seq(ledger, th_str(sid)), 2);
    assert_int_equal(ledger_seq(ledger, TH_STR("SM0123456789abcdef0000000000000002")), 0);
    assert_int_equal(ledger_seq(ledger, TH_STR("SM0123456789abcdee0000000000000001")), 0);
    assert_int_equal(ledger_seq(ledger, TH_STR("SM0123456789abcdef0000000000000003")), 0);
    assert_int_equal(ledger_seq(ledger, TH_STR("SM1")), 0);
}

static void test_many_recipients(void **unused)
{
    enum { SENDS = 70000 }; /* more than one chunk, and the table grows several times */
    TH_AUTO(ledger) struct ledger *ledger = ledger_new();
    struct line line = header();

    (void)unused;
    assert_non_null(ledger);
    assert_int_equal(ledger_fold(ledger, &line, 0, 9, NULL), TH_OK);
    for (uint32_t seq = 1; seq <= SENDS; seq++) {
        line = execution(seq, 910000000000 + seq % 50000);
        assert_int_equal(ledger_fold(ledger, &line, seq, 9, NULL), TH_OK);
    }
    assert_int_equal(ledger_counts(ledger)->recipients, 50000);
    assert_int_equal(ledger_counts(ledger)->recipients_again, 20000);
    assert_int_equal(ledger_tries(ledger, 910000000001), 2);
    assert_int_equal(ledger_tries(ledger, 910000030000), 1);
    assert_int_equal(ledger_newest(ledger, 910000000001), 50001);
}

static void test_numbers(void **unused)
{
    static const struct {
        const char *text;
        bool is_number;
    } cases[] = {
        {"+919876543210", true},
        {"919876543210", false},
        {"+0123456789", false},
        {"+1234567", false},
        {"+12345678", true},
        {"+123456789012345", true},
        {"+1234567890123456", false},
        {"+91 9876543210", false},
        {"+", false},
        {"", false},
        {"+9198765432 ", false},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        uint64_t number = 0;
        char text[NUMBER_TEXT_MAX];

        print_message("  \"%s\"\n", cases[i].text);
        assert_int_equal(number_parse(th_str(cases[i].text), &number), cases[i].is_number);
        if (!cases[i].is_number)
            continue;
        assert_int_equal(number_print(number, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_survive_the_file),
        cmocka_unit_test(test_a_key_names_one_send_of_its_recipient),
        cmocka_unit_test(test_damage_is_noticed),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_what_cannot_follow_is_refused),
        cmocka_unit_test(test_sids),
        cmocka_unit_test(test_many_recipients),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
