/* A telephone number as somebody typed it: what is taken has its one form, and keeps it. */
#include "common/phone.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const countries[] = {NULL, "IN", "US", "GB", "IT", "DE", "SG", "XX"};
    struct th_str in = fuzz_input(data, size);
    const char *country = countries[fuzz_byte(&in) % TH_LEN(countries)];
    struct th_phone phone;
    struct th_phone again;
    struct th_err err = {0};
    char code[3];

    if (th_phone_parse(in, country, &phone, &err) != TH_OK) {
        assert(err.code == TH_INVALID && err.text[0] != '\0');
        return 0;
    }
    assert(th_phone_is_e164(th_str(phone.text)));
    assert(th_phone_parse(th_str(phone.text), NULL, &again, &err) == TH_OK);
    assert(th_str_eq(th_str(phone.text), th_str(again.text)));
    th_phone_country(&phone, code);
    assert(code[2] == '\0');
    (void)th_phone_may_be_mobile(&phone);
    return 0;
}
