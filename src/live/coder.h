/* coder.h - what makes a caller's vector a row of an index: its stored form, its bucket and its code. */
#ifndef NLSH_LIVE_CODER_H
#define NLSH_LIVE_CODER_H

#include "codes/row.h"
#include "live/log.h"
#include "router/ask.h"
#include "search/query.h"

/* The most buckets that are looked at first for one that is not full. */
#define NLSH__MOST_CHOICES 8
/* None. */
#define NLSH__NO_BUCKET UINT32_MAX
/* A bucket takes rows until it holds so many times the mean of all. */
#define NLSH__MOST_OF_MEAN 1.5

/* Scratch of one thread. */
struct nlsh__row_maker {
    const struct nlsh_index *index; /* of the file */
    struct nlsh__query query;
    struct nlsh__asker asker;
    uint32_t *buckets; /* [m] */
    float *probabilities;
    uint64_t *bucket_keys;
    struct nlsh__coder coder;
    float *means, *mean_inputs; /* of the coder, or NULL */
    float least; /* a query looks at buckets whose probability per vector is above it: WANTED */
};

/* Of an index file's rows. NLSH_E_NOMEM. Cost: a look at up to 64 rows of each bucket. */
enum nlsh_status nlsh__row_maker_create(const struct nlsh_index *index, struct nlsh__row_maker *out,
                                        struct nlsh_error *error);
void nlsh__row_maker_free(struct nlsh__row_maker *maker);

/* Where there are means: sets mean_inputs by them. To be called by who has put others in their place. */
void nlsh__see_means(struct nlsh__row_maker *maker);

/*
 * nlsh__take_row() - vector i of a caller's: what follows is asked about it, until the next is taken.
 *
 *  number  what messages call it
 *  row     [nlsh__index_form_bytes()] out, with the values that the index stores; or NULL
 * NLSH_E_ARG (a value), NLSH_E_MISMATCH (the index stores bytes, and the vector is none).
 */
enum nlsh_status nlsh__take_row(struct nlsh__row_maker *maker, const struct nlsh_matrix *vectors,
                                size_t i, size_t number, void *row, struct nlsh_error *error);

/* Its buckets by the router's probability, the most probable first: out [NLSH__MOST_CHOICES]. Returns how many. */
size_t nlsh__row_choices(struct nlsh__row_maker *maker, uint32_t *out);
/* So many rows fill one of m buckets that hold n rows together. */
size_t nlsh__bucket_full(size_t n, size_t m, double most_of_mean);
/* The first of n choices that is not full, or NLSH__NO_BUCKET: sizes [m], and most rows fill a bucket. */
uint32_t nlsh__choose_bucket(const uint32_t *choices, size_t n, const uint32_t *sizes, size_t most);

/* Of all buckets that are not full the one that the router holds most probable: where all its choices are full. Not all of
 * them may be. */
uint32_t nlsh__look_further(struct nlsh__row_maker *maker, const uint32_t *sizes, size_t most);
/* The same, of probabilities [m]. */
uint32_t nlsh__best_not_full(const float *probabilities, size_t m, const uint32_t *sizes,
                             size_t most);

/* What the router sees of it, as of a row of the index: [n_inputs], until the maker is asked again. */
const float *nlsh__row_inputs(struct nlsh__row_maker *maker);

/*
 * nlsh__make_row() - vector i of a caller's as row j of rows, but for its key.
 *
 *  sizes  [m] rows in each bucket; most: so many rows fill a bucket
 * Its bucket is the router's most probable one that is not full, if a query from there would look at that as well; else
 * the most probable one, full or not: where many vectors are alike, no other is where they are looked for. As
 * nlsh__take_row(); the message counts vectors from 0.
 */
enum nlsh_status nlsh__make_row(struct nlsh__row_maker *maker, const struct nlsh_matrix *vectors,
                                size_t i, const uint32_t *sizes, size_t most,
                                const struct nlsh__row_form *form, size_t j,
                                const struct nlsh__log_rows *rows, struct nlsh_error *error);

#endif
