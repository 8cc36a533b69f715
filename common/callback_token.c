#include "common/callback_token.h"

#include "common/digest.h"
#include "common/encode.h"

#include <assert.h>
#include <string.h>

#define VERSION   1
#define MAC_SIZE  16
#define HEAD_SIZE (1 + 4 + 16 + 2) /* version, lane, send, attempt number */
#define RAW_MAX   (HEAD_SIZE + CALLBACK_TOKEN_TENANT_MAX + MAC_SIZE)
#define RAW_MIN   (HEAD_SIZE + 1 + MAC_SIZE)

static_assert(CALLBACK_TOKEN_TEXT_MAX == RAW_MAX / 3 * 4, "base64url of the longest token");

static void sign(const uint8_t *raw, size_t size, struct th_str key, uint8_t out_mac[MAC_SIZE])
{
    uint8_t mac[TH_SHA256_SIZE];

    th_hmac_sha256(key, (struct th_str){(const char *)raw, size}, mac);
    memcpy(out_mac, mac, MAC_SIZE);
}

static size_t pack(const struct callback_token *token, uint8_t raw[RAW_MAX])
{
    raw[0] = VERSION;
    for (int i = 0; i < 4; i++)
        raw[1 + i] = (uint8_t)(token->lane >> (24 - 8 * i));
    memcpy(raw + 5, token->send.b, sizeof token->send.b);
    raw[21] = (uint8_t)(token->attempt_no >> 8);
    raw[22] = (uint8_t)token->attempt_no;
    memcpy(raw + HEAD_SIZE, token->tenant, token->tenant_size);
    return HEAD_SIZE + token->tenant_size;
}

static void unpack(const uint8_t *raw, size_t size, struct callback_token *token)
{
    *token = (struct callback_token){
        .lane = (uint32_t)raw[1] << 24 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 8 | raw[4],
        .attempt_no = (uint16_t)(raw[21] << 8 | raw[22]),
        .tenant_size = (uint8_t)(size - HEAD_SIZE),
    };
    memcpy(token->send.b, raw + 5, sizeof token->send.b);
    memcpy(token->tenant, raw + HEAD_SIZE, token->tenant_size);
}

enum th_code callback_token_make(const struct callback_token *token, struct th_str key,
                                 char out_text[CALLBACK_TOKEN_TEXT_MAX + 1])
{
    uint8_t raw[RAW_MAX];
    struct th_buf text __attribute__((cleanup(th_buf_auto))) = {0};

    if (token->tenant_size < 1 || token->tenant_size > CALLBACK_TOKEN_TENANT_MAX ||
        key.n < CALLBACK_TOKEN_KEY_MIN)
        return TH_INVALID;
    size_t size = pack(token, raw);
    sign(raw, size, key, raw + size);
    th_base64url_add(&text, (struct th_str){(const char *)raw, size + MAC_SIZE});
    TH_TRY(th_buf_status(&text));
    memcpy(out_text, text.p, text.n);
    out_text[text.n] = '\0';
    return TH_OK;
}

enum th_code callback_token_parse(struct th_str text, struct th_str key,
                                  struct callback_token *out_token)
{
    uint8_t mac[MAC_SIZE];
    struct th_buf raw __attribute__((cleanup(th_buf_auto))) = {0};

    if (key.n < CALLBACK_TOKEN_KEY_MIN)
        return TH_INVALID;
    if (text.n > CALLBACK_TOKEN_TEXT_MAX)
        return TH_MALFORMED;
    TH_TRY(th_base64url_parse(text, &raw));
    if (raw.n < RAW_MIN || raw.n > RAW_MAX || raw.p[0] != VERSION)
        return TH_MALFORMED;
    size_t size = raw.n - MAC_SIZE;
    sign((const uint8_t *)raw.p, size, key, mac);
    if (!th_str_eq_secret((struct th_str){raw.p + size, MAC_SIZE},
                          (struct th_str){(const char *)mac, MAC_SIZE}))
        return TH_DENIED;
    unpack((const uint8_t *)raw.p, size, out_token);
    return TH_OK;
}
