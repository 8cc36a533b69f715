#include "connectors/sandbox/signature.h"

#include "common/digest.h"
#include "common/encode.h"

static int compare(const struct field *a, const struct field *b)
{
    int order = th_str_cmp(a->name, b->name);

    return order ? order : th_str_cmp(a->value, b->value);
}

/* Insertion: a callback has a dozen fields, most of them in order already. */
static void sort(struct fields *fields)
{
    for (size_t i = 1; i < fields->n; i++) {
        struct field moving = fields->at[i];
        size_t k = i;
        for (; k > 0 && compare(&fields->at[k - 1], &moving) > 0; k--)
            fields->at[k] = fields->at[k - 1];
        fields->at[k] = moving;
    }
}

enum th_code signature_add(struct th_str secret, struct th_str url, const struct fields *fields,
                           struct th_buf *out)
{
    struct fields sorted = {.n = fields->n};
    TH_AUTO(th_buf) struct th_buf text = {0};

    for (size_t i = 0; i < fields->n; i++)
        sorted.at[i] = fields->at[i];
    sort(&sorted);

    th_buf_add(&text, url);
    for (size_t i = 0; i < sorted.n; i++) {
        if (i > 0 && compare(&sorted.at[i - 1], &sorted.at[i]) == 0)
            continue;
        th_buf_add(&text, sorted.at[i].name);
        th_buf_add(&text, sorted.at[i].value);
    }
    TH_TRY(th_buf_status(&text));

    uint8_t mac[TH_SHA1_SIZE];
    th_hmac_sha1(secret, th_buf_str(&text), mac);
    th_base64_add(out, (struct th_str){(const char *)mac, sizeof mac});
    return th_buf_status(out);
}
