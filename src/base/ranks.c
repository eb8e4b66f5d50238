/* ranks.c - see ranks.h. */
#include "base/ranks.h"

enum nlsh_status nlsh__ranks_gather(const struct nlsh__ranks *ranks, const struct nlsh__bytes *own,
                                    struct nlsh__bytes *all, size_t *ends, struct nlsh_error *error)
{
    all->n = 0;
    if (own->failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    if (ranks->n > 1) return ranks->gather(ranks->user, own, all, ends, error);
    nlsh__bytes_add(all, own->at, own->n);
    ends[0] = own->n;
    return all->failed ? nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory") : NLSH_OK;
}

enum nlsh_status nlsh__ranks_tell(const struct nlsh__ranks *ranks, struct nlsh__bytes *bytes,
                                  struct nlsh_error *error)
{
    if (bytes->failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    return ranks->n > 1 ? ranks->tell(ranks->user, bytes, error) : NLSH_OK;
}

enum nlsh_status nlsh__ranks_tell_values(const struct nlsh__ranks *ranks, void *values, size_t size,
                                         struct nlsh_error *error)
{
    /* a piece at a time: messages have a largest size */
    enum { PIECE = 1 << 28 };
    enum nlsh_status status = NLSH_OK;
    struct nlsh__bytes bytes = {0};
    uint8_t *at = values;
    for (size_t left = size; left > 0 && ranks->n > 1;) {
        size_t n = left < PIECE ? left : PIECE;
        bytes.n = 0;
        if (ranks->own == 0) nlsh__bytes_add(&bytes, at, n);
        NLSH_TRY(nlsh__ranks_tell(ranks, &bytes, error));
        if (ranks->own != 0) memcpy(at, bytes.at, n);
        at += n;
        left -= n;
    }
out:
    nlsh__bytes_free(&bytes);
    return status;
}

enum nlsh_status nlsh__ranks_agree(const struct nlsh__ranks *ranks, enum nlsh_status reached,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__bytes own = {0}, all = {0};
    struct nlsh_error verdict = {.status = NLSH_OK}, other;
    size_t *ends = NULL;
    if (ranks->n == 1) return reached;
    if (reached != NLSH_OK && error != NULL) verdict = *error;
    verdict.status = reached;
    NLSH_TRY(nlsh__alloc(&ends, ranks->n, sizeof *ends, error));
    nlsh__bytes_add(&own, &verdict, sizeof verdict);
    NLSH_TRY(nlsh__ranks_gather(ranks, &own, &all, ends, error));
    for (size_t i = 0; i < ranks->n && ranks->own == 0 && verdict.status == NLSH_OK; i++) {
        memcpy(&other, all.at + i * sizeof other, sizeof other);
        verdict = other;
    }
    NLSH_TRY(nlsh__ranks_tell_values(ranks, &verdict, sizeof verdict, error));
    if (error != NULL) *error = verdict;
    status = verdict.status;
out:
    nlsh__bytes_free(&own);
    nlsh__bytes_free(&all);
    nlsh__free(ends);
    return status;
}
