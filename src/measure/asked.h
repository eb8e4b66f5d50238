/* asked.h - a held-out row asked as a search would ask it, and scored by codes. */
#ifndef NLSH_MEASURE_ASKED_H
#define NLSH_MEASURE_ASKED_H

#include "codes/score.h"
#include "measure/askers.h"
#include "measure/margins.h"

/* The scratch of one thread, and the answer about the row that was asked last. */
struct nlsh__asked_row {
    struct nlsh__asker *asker;
    float *origin;   /* [stride] zeros */
    int8_t *weights; /* [stride] */
    float *scores;   /* [n_scores] */
    struct nlsh__units units;
};

/* One for each thread, with room for n_scores; freed in any case. NLSH_E_NOMEM. */
enum nlsh_status nlsh__asked_create(const struct nlsh__measured *of,
                                    const struct nlsh__askers *askers, size_t n_scores,
                                    struct nlsh__asked_row **out, struct nlsh_error *error);
void nlsh__asked_free(struct nlsh__asked_row *asked, size_t n);

/* Where base rows stand: an encode's order the other way round. */
struct nlsh__places {
    uint32_t *of;     /* [base rows] the place of a row */
    uint32_t *bucket; /* [base rows] the bucket of a place */
};

/* Freed in any case. NLSH_E_NOMEM. */
enum nlsh_status nlsh__places_create(const struct nlsh__encode *encode, struct nlsh__places *out,
                                     struct nlsh_error *error);
void nlsh__places_free(struct nlsh__places *places);

/* Asks a base row: inputs and probabilities are the asker's, and the units are set. */
void nlsh__ask_base_row(const struct nlsh__measured *of, struct nlsh__asked_row *a, size_t row);

/* A bucket's probability per vector, for the row that was asked. */
float nlsh__asked_probability(const struct nlsh__measured *of, const struct nlsh__asked_row *a,
                              size_t bucket);

/* The row against a bucket's centroid; weights are the scratch's. */
void nlsh__asked_probe(const struct nlsh__measured *of, const struct nlsh__asked_row *a,
                       size_t bucket, struct nlsh__probe *out);

/* Descending, for qsort(). */
int nlsh__descending_f32(const void *a, const void *b);

#endif
