/*
 * map.h - a map of the buckets: their means in two dimensions, by principal components; and where a vector stands
 * on it. Also the vectors themselves, as pictures.
 */
#ifndef NLSH_SERVE_MAP_H
#define NLSH_SERVE_MAP_H

#include "index/index.h"

struct nlsh__map_2d {
    size_t n_buckets, dim;
    float *points;     /* [n_buckets x 2] from -1 to 1 */
    uint8_t *is_empty; /* [n_buckets] 1: there was no vector to take a mean of */
    float *mean;       /* [dim] of the means */
    float *axes;       /* [2 x dim], with the scale of points */
    float low, high;   /* of floats: values that are black and white in a picture */
};

/* Of an index of now. Means are of at most 64 vectors a bucket. NLSH_E_NOMEM. Cost: a pass over those, and some 60 over
 * the means. Source: power iteration of two vectors at a time (orthogonal iteration, Golub and Van Loan, "Matrix
 * Computations", 8.2.4). */
enum nlsh_status nlsh__map_create(const struct nlsh_index *index, struct nlsh__map_2d *out,
                                  struct nlsh_error *error);
void nlsh__map_free(struct nlsh__map_2d *map);

/* Where a caller's vector [dim] stands: at most 1.2 from the middle, since it is drawn. */
void nlsh__map_place(const struct nlsh__map_2d *map, const struct nlsh_index *index,
                     const float *vector, float at[2]);

/* ---- rows ------------------------------------------------------------------------------------ */

/* A row, and where it is. */
struct nlsh__found {
    size_t row;
    const struct nlsh__segment *segment; /* NULL: there is no such row, or it was deleted */
    size_t place;                        /* in the segment */
    size_t order;                        /* nlsh__find_rows()'s own */
};

/* Finds the rows of found [n]. Cost: a look at the row number of each vector in the segments that they are of. */
void nlsh__find_rows(const struct nlsh_index *index, struct nlsh__found *found, size_t n);

/* The bucket of a place. */
size_t nlsh__bucket_of(const struct nlsh_index *index, const struct nlsh__segment *segment,
                       size_t place);

/* Up to n rows of a bucket, evenly from its places in the segment that has most of it; returns how many. */
size_t nlsh__bucket_sample(const struct nlsh_index *index, size_t bucket, size_t n, size_t *rows);
/* Rows of a bucket, deleted ones too. */
size_t nlsh__bucket_size(const struct nlsh_index *index, size_t bucket);

/* A stored vector as the caller would give it. */
void nlsh__row_vector(const struct nlsh_index *index, const struct nlsh__segment *segment,
                      size_t place, float *out);
/* 1: none of some 256 vectors has a value below 0. Pictures have none; what a network made has many. It is a guess: 1,
 * too, where there is no vector, and 0 where memory is short. */
int nlsh__may_be_pictures(const struct nlsh_index *index);
/* The same as a picture's bytes, 0 to 255. */
void nlsh__row_picture(const struct nlsh__map_2d *map, const struct nlsh_index *index,
                       const struct nlsh__segment *segment, size_t place, uint8_t *out);

#endif
