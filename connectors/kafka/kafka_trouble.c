#include "connectors/kafka/kafka_trouble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define FETCH_VERSIONS "ApiKey Fetch (1) Versions "
#define FETCH_OF_4     4 /* Kafka 4 took the versions below away */

/* What it says, and what to do. The first that is found holds. */
static const struct {
    const char *said;
    const char *hint;
} hints[] = {
    {"certificate verify failed",
     "kafka_ca must name its authority, and the host be called as its certificate calls it"},
    {"bad certificate", "it wants a certificate of ours: set kafka_certificate and kafka_key"},
    {"certificate required", "it wants a certificate of ours: set kafka_certificate and kafka_key"},
    {"unknown ca", "it does not know the authority of kafka_certificate"},
    {"requesting ApiVersion", "if it speaks TLS, set kafka_tls=yes"},
    {"SSL handshake failed", "does it speak TLS?"},
    {"unexpected eof", "does it speak TLS?"},
    {"closed by peer", "if it speaks TLS, set kafka_tls=yes"}, /* newer ones say no more */
    {"Unsupported SASL mechanism", "set kafka_login to one that it has"},
    {"SASL authentication error", "kafka_user or kafka_password is wrong"},
};

void kafka_trouble_init(struct kafka_trouble *trouble, bool is_old_scram)
{
    *trouble = (struct kafka_trouble){.is_scram = is_old_scram};
    pthread_mutex_init(&trouble->lock, NULL);
}

void kafka_trouble_fini(struct kafka_trouble *trouble)
{
    pthread_mutex_destroy(&trouble->lock);
}

/* Without the thread in front, and how long it took behind. */
static void keep_reason(struct kafka_trouble *trouble, const char *text)
{
    const char *thread_end = *text == '[' ? strstr(text, "]: ") : NULL;

    snprintf(trouble->reason, sizeof trouble->reason, "%s", thread_end ? thread_end + 3 : text);
    char *after = strstr(trouble->reason, " (after ");
    if (after)
        *after = '\0';
}

void kafka_trouble_note(struct kafka_trouble *trouble, const char *facility, const char *text)
{
    const char *versions = strstr(text, FETCH_VERSIONS);

    pthread_mutex_lock(&trouble->lock);
    if (strcmp(facility, "FAIL") == 0)
        keep_reason(trouble, text);
    else if (versions)
        trouble->is_kafka_4 = strtol(versions + strlen(FETCH_VERSIONS), NULL, 10) >= FETCH_OF_4;
    pthread_mutex_unlock(&trouble->lock);
}

static const char *hint_of(const struct kafka_trouble *trouble)
{
    if (trouble->is_scram && trouble->is_kafka_4 &&
        strstr(trouble->reason, "SASL authentication error"))
        return "Kafka 4.1 and later refuse SCRAM of librdkafka before 2.6.1 even with the right "
               "password: set kafka_login=plain with kafka_tls=yes, or kafka_certificate";
    for (size_t i = 0; i < TH_LEN(hints); i++)
        if (strstr(trouble->reason, hints[i].said))
            return hints[i].hint;
    return NULL;
}

void kafka_trouble_say(struct kafka_trouble *trouble, char *out, size_t size)
{
    pthread_mutex_lock(&trouble->lock);
    const char *hint = hint_of(trouble);
    snprintf(out, size, "%s%s%s", trouble->reason, hint ? ": " : "", hint ? hint : "");
    pthread_mutex_unlock(&trouble->lock);
}
