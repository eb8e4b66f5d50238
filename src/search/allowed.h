/* allowed.h - which rows a call's filter lets an answer hold: counted once a call, for all its queries. */
#ifndef NLSH_SEARCH_ALLOWED_H
#define NLSH_SEARCH_ALLOWED_H

#include "index/index.h"

/* In the order of places, so that a bucket's rows stand together. A row that was deleted is not allowed. */
struct nlsh__allowed {
    uint64_t *bits;   /* of all segments, each from a word of its own on */
    size_t room;      /* words of bits */
    uint32_t *counts; /* [m] rows of a bucket that are allowed, in all segments */
    uint32_t *sizes;  /* [m] rows of a bucket, in all segments */
    size_t n;         /* rows that are allowed */
    size_t
        n_scanned; /* rows of groups of 16 that have one which is allowed: codes are scanned by groups */
    struct nlsh__fit
        *fit;       /* what was measured of a filter that goes with the content, or NULL: fit.h */
    int by_content; /* 1: buckets' shares of them differ by more than chance would have it */
};

/*
 * nlsh__allowed_count() - what a filter allows, into *out, whose memory serves call after call of one index and of
 * its states. It begins as zeros. NLSH_E_NOMEM. Cost: a look at the filter for each row of the index.
 */
enum nlsh_status nlsh__allowed_count(const struct nlsh_index *index,
                                     const struct nlsh_filter *filter, struct nlsh__allowed *out,
                                     struct nlsh_error *error);
void nlsh__allowed_free(struct nlsh__allowed *allowed);

struct nlsh_counted_filter {
    const struct nlsh_index *index;
    struct nlsh__allowed allowed;
};

/* NLSH_E_ARG where a filter says nothing. */
enum nlsh_status nlsh__filter_check(const struct nlsh_filter *filter, struct nlsh_error *error);

/* The bits of a segment; NULL where there is no filter. */
const uint64_t *nlsh__allowed_in(const struct nlsh__allowed *allowed,
                                 const struct nlsh_index *index, size_t segment);

/* Bits first .. end - 1, at most 16 of them. */
static inline uint32_t nlsh__allowed_bits(const uint64_t *bits, size_t first, size_t end)
{
    uint64_t word = bits[first / 64] >> first % 64;
    if (first % 64 + (end - first) > 64) word |= bits[first / 64 + 1] << (64 - first % 64);
    return (uint32_t)(word & ((UINT64_C(1) << (end - first)) - 1));
}

/* Whether a bit of first .. end - 1, at most 16 of them, is set. */
static inline int nlsh__any_allowed(const uint64_t *bits, size_t first, size_t end)
{
    return nlsh__allowed_bits(bits, first, end) != 0;
}

#endif
