#include "processors/cli/match.h"

#include "common/buf.h"
#include "common/encode.h"

#include <string.h>

#define TOKEN_BYTES_MIN 24
#define TOKEN_BYTES_MAX 200

void match_fini(struct match *match)
{
    free(match->sends);
    *match = (struct match){0};
}

uint64_t match_bit(int64_t n)
{
    return n >= 1 && n <= MATCH_ATTEMPTS_MAX ? UINT64_C(1) << (n - 1) : 0;
}

enum th_code match_add(struct match *match, const struct match_send *send)
{
    if (match->n == match->cap) {
        size_t cap = match->cap ? 2 * match->cap : 1024;
        struct match_send *larger = reallocarray(match->sends, cap, sizeof *larger);

        if (!larger)
            return TH_NOMEM;
        match->sends = larger;
        match->cap = cap;
    }
    match->sends[match->n++] = *send;
    match->is_sorted = false;
    return TH_OK;
}

static int by_send(const void *a, const void *b)
{
    return th_id_cmp(((const struct match_send *)a)->send, ((const struct match_send *)b)->send);
}

static struct match_send *find(struct match *match, struct th_id id)
{
    struct match_send wanted = {.send = id};

    if (match->n == 0)
        return NULL;
    if (!match->is_sorted)
        qsort(match->sends, match->n, sizeof *match->sends, by_send);
    match->is_sorted = true;
    return bsearch(&wanted, match->sends, match->n, sizeof wanted, by_send);
}

void match_execution(struct match *match, struct th_id send, int64_t n, struct th_str to)
{
    struct match_send *ours = find(match, send);
    uint64_t bit = match_bit(n);

    if (!ours) {
        match->strangers++;
        return;
    }
    if (!bit || (ours->there & bit) || !th_str_eq(to, th_str(ours->phone)))
        ours->is_other = true;
    ours->there |= bit;
}

enum match_verdict match_judge(const struct match_send *send)
{
    bool is_missing = (send->must & ~send->there) != 0;
    bool is_extra = (send->there & ~(send->must | send->may)) != 0;

    if (!is_missing && !is_extra && !send->is_other)
        return MATCH_AGREES;
    if (send->there == 0 && !send->is_other)
        return MATCH_ONLY_HERE;
    return send->must == 0 && send->may == 0 ? MATCH_ONLY_THERE : MATCH_DIFFERENT;
}

bool match_attempt_of_url(struct th_str url, struct th_id *out_send, int64_t *out_n)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    struct th_str rest = url;
    struct th_str segment;

    while (th_str_cut(rest, '/', &segment, &rest)) {
    }
    if (th_base64url_parse(segment, &bytes) != TH_OK || bytes.n < TOKEN_BYTES_MIN ||
        bytes.n > TOKEN_BYTES_MAX || bytes.p[0] != 1)
        return false;
    memcpy(out_send->b, bytes.p + 5, sizeof out_send->b);
    *out_n = ((int64_t)(unsigned char)bytes.p[21] << 8) | (unsigned char)bytes.p[22];
    return true;
}
