#include "connectors/twilio/twilio.h"

#include "connectors/twilio/answer.h"
#include "connectors/twilio/callback.h"
#include "connectors/twilio/request.h"
#include "connectors/twilio/signature.h"

const struct provider_ops twilio_ops = {
    .name = "twilio",
    .caps =
        {
            .channels = PROVIDER_SMS | PROVIDER_CALL,
            .max_batch = 1,
            .reconciliation = PROVIDER_CALLBACK,
            .settle_ms = 10000,
            .has_signed_callbacks = true,
            .has_polled_price = true,
            .has_recipient_lookup = true,
        },
    .signature_header = "X-Twilio-Signature",
    .build = twilio_build,
    .parse = twilio_parse,
    .callback_verify = twilio_signature_verify,
    .callback_parse = twilio_callback_parse,
    .lookup_build = twilio_lookup_build,
    .lookup_parse = twilio_lookup_parse,
    .list_build = twilio_list_build,
    .list_parse = twilio_list_parse,
    .search_build = twilio_search_build,
    .search_parse = twilio_search_parse,
    .check_build = twilio_check_build,
    .check_parse = twilio_check_parse,
};
