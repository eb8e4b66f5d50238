/*
 * vector.h - vectors as SQL has them: blobs of f32 or f16 in sqlite-vec's layout (little-endian values and nothing
 * else), and JSON text.
 */
#ifndef NLSH_SQL_VECTOR_H
#define NLSH_SQL_VECTOR_H

#include <sqlite3ext.h>

#include "nlsh/nlsh.h"

/* Subtypes of blobs: sqlite-vec's for f32; of f16, which it does not have, one of ours. */
enum { NLSH__SQL_IS_F32 = 223, NLSH__SQL_IS_F16 = 231 };

/* A vector of any length, taken from a value. */
struct nlsh__sqlite_vector {
    float *values; /* [dim] sqlite3_free() */
    size_t dim;
};

/* What a value holds. On an error *message is set, or NULL where memory ran out; it is SQLite's to free, and speaks
 * of the value as `what`. Values are finite. */
int nlsh__sqlite_vector_of(sqlite3_value *value, const char *what, struct nlsh__sqlite_vector *out,
                           char **message);

/* The same into out [dim], with this dimension and no other, and for a metric: values whose squares f32 can add up; for
 * NLSH_COSINE not all of them 0. */
int nlsh__sqlite_vector_into(sqlite3_value *value, const char *what, enum nlsh_metric metric,
                             size_t dim, float *out, char **message);

/* JSON text of values [dim]: the shortest that reads as the same floats. NULL where memory ran out. */
char *nlsh__sqlite_json(const float *values, size_t dim);

/* f32 as IEEE binary16, to the nearest, ties to even; too large becomes infinite. */
uint16_t nlsh__sqlite_to_f16(float value);

/* The scalar functions: nlsh_f32, nlsh_f16, nlsh_to_json, nlsh_distance_*. */
int nlsh__sqlite_functions(sqlite3 *db);

#endif
