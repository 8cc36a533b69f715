#include "connectors/twilio/errors.h"

/* The first that matches counts: codes of their own stand before the ranges around them. */
static const struct twilio_error errors[] = {
    /* account and API */
    {20003, 20003, PROVIDER_ACCOUNT, "authentication_failed"},
    {20005, 20005, PROVIDER_ACCOUNT, "account_suspended"},
    {20006, 20006, PROVIDER_ACCOUNT, "access_denied"},
    {20008, 20008, PROVIDER_ACCOUNT, "test_credentials"},
    {20010, 20010, PROVIDER_ACCOUNT, "access_denied"},
    {20403, 20403, PROVIDER_ACCOUNT, "access_denied"},
    {20404, 20404, PROVIDER_BUG, "not_found"},
    {20429, 20429, PROVIDER_TRANSIENT, "rate_limited"},
    {14107, 14107, PROVIDER_TRANSIENT, "rate_limited"},
    /* request refused: number, sender, text */
    {21202, 21202, PROVIDER_PERMANENT, "unsupported_number"},
    {21203, 21203, PROVIDER_ACCOUNT, "international_disabled"},
    {21205, 21205, PROVIDER_BUG, "invalid_url"},
    {21210, 21210, PROVIDER_ACCOUNT, "unverified_number"},
    {21211, 21211, PROVIDER_PERMANENT, "invalid_number"},
    {21212, 21212, PROVIDER_CONTENT, "invalid_sender"},
    {21214, 21214, PROVIDER_PERMANENT, "unreachable_number"},
    {21215, 21215, PROVIDER_ACCOUNT, "geo_permission"},
    {21216, 21216, PROVIDER_PERMANENT, "blocked_by_provider"},
    {21217, 21217, PROVIDER_PERMANENT, "invalid_number"},
    {21219, 21219, PROVIDER_ACCOUNT, "unverified_number"},
    {21220, 21220, PROVIDER_CLASS_NONE, "call_already_ended"}, /* of a hang-up: as wanted */
    {21264, 21264, PROVIDER_ACCOUNT, "unverified_number"},
    {21401, 21401, PROVIDER_PERMANENT, "invalid_number"},
    {21402, 21402, PROVIDER_BUG, "invalid_url"},
    {21408, 21408, PROVIDER_ACCOUNT, "geo_permission"},
    {21421, 21421, PROVIDER_PERMANENT, "invalid_number"},
    {21472, 21472, PROVIDER_ACCOUNT, "account_suspended"},
    {21601, 21601, PROVIDER_CONTENT, "invalid_sender"},
    {21602, 21602, PROVIDER_BUG, "missing_parameter"},
    {21603, 21603, PROVIDER_CONTENT, "invalid_sender"},
    {21604, 21604, PROVIDER_BUG, "missing_parameter"},
    {21605, 21605, PROVIDER_CONTENT, "text_too_long"},
    {21606, 21606, PROVIDER_CONTENT, "invalid_sender"},
    {21608, 21608, PROVIDER_ACCOUNT, "unverified_number"},
    {21609, 21609, PROVIDER_BUG, "invalid_url"},
    {21610, 21610, PROVIDER_PERMANENT_SUPPRESS, "opted_out"},
    {21611, 21611, PROVIDER_TRANSIENT, "sender_queue_full"},
    {21612, 21612, PROVIDER_PERMANENT, "unreachable_number"},
    {21614, 21614, PROVIDER_PERMANENT, "not_mobile"},
    {21617, 21617, PROVIDER_CONTENT, "text_too_long"},
    {21619, 21619, PROVIDER_BUG, "missing_parameter"},
    {21620, 21620, PROVIDER_CONTENT, "media_refused"},
    {21623, 21623, PROVIDER_CONTENT, "media_refused"},
    {21626, 21626, PROVIDER_BUG, "invalid_url"},
    {21654, 21656, PROVIDER_CONTENT, "invalid_template"},
    {21703, 21705, PROVIDER_CONTENT, "invalid_sender"},
    /* delivery of a message failed */
    {30001, 30001, PROVIDER_TRANSIENT, "queue_overflow"},
    {30002, 30002, PROVIDER_ACCOUNT, "account_suspended"},
    {30003, 30003, PROVIDER_TRANSIENT_SLOW, "unreachable_handset"},
    {30004, 30004, PROVIDER_PERMANENT_SUPPRESS, "blocked"},
    {30005, 30005, PROVIDER_PERMANENT, "unknown_handset"},
    {30006, 30006, PROVIDER_PERMANENT, "landline"},
    {30007, 30007, PROVIDER_CONTENT, "content_filtered"},
    {30008, 30008, PROVIDER_TRANSIENT_SLOW, "unknown_error"},
    {30010, 30010, PROVIDER_CONTENT, "price_limit"},
    {30017, 30017, PROVIDER_TRANSIENT, "carrier_congestion"},
    {30018, 30018, PROVIDER_CONTENT, "sender_not_registered"},
    {30019, 30019, PROVIDER_CONTENT, "media_refused"},
    {30020, 30021, PROVIDER_TRANSIENT, "provider_error"},
    {30022, 30022, PROVIDER_TRANSIENT, "carrier_rate_limit"},
    {30023, 30023, PROVIDER_TRANSIENT_SLOW, "daily_limit"},
    {30024, 30024, PROVIDER_CONTENT, "sender_not_registered"},
    {30027, 30027, PROVIDER_TRANSIENT_SLOW, "daily_limit"},
    {30032, 30032, PROVIDER_CONTENT, "sender_not_registered"},
    {30034, 30034, PROVIDER_CONTENT, "sender_not_registered"},
    {30410, 30410, PROVIDER_TRANSIENT, "provider_error"},
    /* channels: WhatsApp */
    {63001, 63002, PROVIDER_ACCOUNT, "channel_configuration"},
    {63003, 63003, PROVIDER_PERMANENT, "not_on_channel"},
    {63005, 63006, PROVIDER_CONTENT, "content_refused"},
    {63007, 63008, PROVIDER_ACCOUNT, "channel_configuration"},
    {63009, 63010, PROVIDER_TRANSIENT, "provider_error"},
    {63012, 63012, PROVIDER_TRANSIENT, "provider_error"},
    {63013, 63013, PROVIDER_CONTENT, "policy_violation"},
    {63014, 63014, PROVIDER_PERMANENT_SUPPRESS, "blocked"},
    {63016, 63016, PROVIDER_CONTENT, "outside_window"},
    {63017, 63018, PROVIDER_TRANSIENT, "rate_limited"},
    {63019, 63019, PROVIDER_CONTENT, "media_refused"},
    {63020, 63020, PROVIDER_ACCOUNT, "channel_configuration"},
    {63021, 63021, PROVIDER_CONTENT, "content_refused"},
    {63022, 63022, PROVIDER_ACCOUNT, "channel_configuration"},
    {63023, 63023, PROVIDER_TRANSIENT, "provider_error"},
    {63024, 63024, PROVIDER_PERMANENT, "not_on_channel"},
    {63026, 63026, PROVIDER_CONTENT, "content_filtered"},
    {63027, 63028, PROVIDER_CONTENT, "invalid_template"},
    {63029, 63029, PROVIDER_TRANSIENT_SLOW, "template_download"},
    {63030, 63030, PROVIDER_CONTENT, "content_refused"},
    {63032, 63032, PROVIDER_TRANSIENT_SLOW, "delivery_limited"},
    {63033, 63033, PROVIDER_PERMANENT_SUPPRESS, "blocked"},
    {63034, 63034, PROVIDER_CONTENT, "media_refused"},
    {63038, 63038, PROVIDER_ACCOUNT, "account_daily_limit"},
    {63040, 63041, PROVIDER_CONTENT, "invalid_template"},
    {63049, 63049, PROVIDER_TRANSIENT_SLOW, "delivery_limited"},
    {63051, 63051, PROVIDER_ACCOUNT, "account_restricted"},
    {63112, 63112, PROVIDER_ACCOUNT, "account_restricted"},
    /* voice */
    {13223, 13223, PROVIDER_BUG, "invalid_number_format"},
    {13224, 13224, PROVIDER_PERMANENT, "unsupported_number"},
    {13225, 13225, PROVIDER_PERMANENT, "blocked_by_provider"},
    {13227, 13227, PROVIDER_ACCOUNT, "geo_permission"},
    {13210, 13258, PROVIDER_BUG, "invalid_dial"},
    {11200, 11237, PROVIDER_BUG, "webhook_failed"},
    {11751, 11751, PROVIDER_CONTENT, "media_refused"},
    {12100, 12102, PROVIDER_BUG, "invalid_twiml"},
    {12200, 12200, PROVIDER_BUG, "invalid_twiml"},
    {12300, 12300, PROVIDER_BUG, "invalid_twiml"},
    {32100, 32113, PROVIDER_BUG, "sip_error"},
};

const struct twilio_error *twilio_error_find(int64_t code)
{
    for (size_t i = 0; i < TH_LEN(errors); i++) {
        if (code >= errors[i].first && code <= errors[i].last)
            return &errors[i];
    }
    return NULL;
}

static const struct twilio_error sip_errors[] = {
    {403, 403, PROVIDER_ACCOUNT, "carrier_refused"},
    {404, 404, PROVIDER_PERMANENT, "invalid_number"},
    {407, 407, PROVIDER_ACCOUNT, "carrier_refused"},
    {408, 408, PROVIDER_TRANSIENT_SLOW, "no_answer"},
    {480, 480, PROVIDER_TRANSIENT_SLOW, "no_answer"},
    {484, 484, PROVIDER_PERMANENT, "invalid_number"},
    {486, 486, PROVIDER_TRANSIENT_SLOW, "busy"},
    {487, 487, PROVIDER_TRANSIENT_SLOW, "no_answer"},
    {500, 599, PROVIDER_TRANSIENT, "carrier_error"},
    {600, 600, PROVIDER_TRANSIENT_SLOW, "busy"},
    {603, 603, PROVIDER_PERMANENT, "declined"}, /* an answer from a human: not to be asked again */
    {604, 604, PROVIDER_PERMANENT, "invalid_number"},
};

struct twilio_error twilio_error_of_sip(int64_t sip_code)
{
    for (size_t i = 0; i < TH_LEN(sip_errors); i++) {
        if (sip_code >= sip_errors[i].first && sip_code <= sip_errors[i].last)
            return sip_errors[i];
    }
    return (struct twilio_error){0, 0, PROVIDER_TRANSIENT_SLOW, "call_failed"};
}
