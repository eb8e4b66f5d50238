/* efforts.h - what searches of an index reach with an effort (promise/efforts.h), by asking it. */
#ifndef NLSH_MEASURE_EFFORTS_H
#define NLSH_MEASURE_EFFORTS_H

#include "base/neighbors.h"
#include "index/index.h"
#include "measure/calibrate.h"
#include "promise/margins.h"
#include "search/plan.h"

/* Efforts that are tried for each number of neighbours. */
enum { NLSH__RUNGS = 16, NLSH__EFFORT_QUERIES = 1000, NLSH__RUNGS_ASKED = 5 };

/* Who searches an index that is not in one place. */
struct nlsh__known_by {
    void *user;
    const uint32_t *bucket_of; /* [n_rows] */
    /* Queries [n] by a plan: best [n x plan->k] as a search has them, of rows of the index; scanned [n x n_buckets]
     * 1 where a bucket was. */
    enum nlsh_status (*search)(void *user, const struct nlsh__plan *plan,
                               const struct nlsh_matrix *queries, uint64_t *best, uint8_t *scanned,
                               struct nlsh_error *error);
    /* The exact scores of rows [n], one for each query, as best has them. */
    enum nlsh_status (*scores)(void *user, const struct nlsh_matrix *queries, const uint32_t *rows,
                               uint32_t *scores, struct nlsh_error *error);
};

/* Queries of which the answers are known. */
struct nlsh__known {
    const struct nlsh_index *index;
    struct nlsh_matrix queries; /* as a caller of nlsh_search() has them */
    /* Of the first queries.n_rows of its rows: their neighbours, by row numbers of the index. */
    const struct nlsh__neighbors *truth;
    const uint32_t
        *own; /* [queries.n_rows] rows of the index that they are, and do not find; or NULL */
    /* So many of them ask, or all, where they are fewer: evenly spaced, since their order may mean something. */
    size_t n_asking;
    const struct nlsh__known_by
        *by;       /* or NULL: all of the index is here. Else it has what plans need */
    size_t n_rows; /* of all, where by is not NULL */
};

/* Of the neighbours in the buckets that searches scanned, those that they found: for each number of neighbours
 * of nlsh__calibration_ks, and each effort that is tried. */
struct nlsh__shares {
    uint64_t found[NLSH__CALIBRATION_KS][NLSH__RUNGS], routed[NLSH__CALIBRATION_KS][NLSH__RUNGS];
    /* Where all buckets are scanned by their codes; 0: it was not asked. */
    uint64_t all_found[NLSH__CALIBRATION_KS], all_routed[NLSH__CALIBRATION_KS];
};

/* What efforts are made of. */
struct nlsh__evidence {
    struct nlsh__calibration calibration;
    struct nlsh__shares shares;
};

/*
 * nlsh__shares_add() - asks an index, and adds what it found.
 *
 * Where a query's neighbours are to be found, buckets say, which is measured with many queries (calibrate.h).
 * What codes and leaves lose of them is much the same for all queries, and searching tells it with few: n_asking of them,
 * NLSH__EFFORT_QUERIES in all; a fifth of those for more than 10 neighbours, a 15th for more than 100 and where all buckets are
 * scanned; and a few of the efforts, or all between two that lose unlike shares. They are tried along the split of
 * promise/budget.h, with the buckets that calibration names. The same for any number of threads.
 * NLSH_E_NOMEM, NLSH_E_INTERRUPTED.
 */
enum nlsh_status nlsh__shares_add(const struct nlsh__known *of,
                                  const struct nlsh__calibration *calibration,
                                  const struct nlsh__job *job, struct nlsh__shares *shares,
                                  struct nlsh_error *error);

/* Tables of efforts; those that were not measured are not there. */
struct nlsh__measured_efforts {
    size_t n;
    size_t k[NLSH__CALIBRATION_KS], n_points[NLSH__CALIBRATION_KS];
    struct nlsh__effort_point points[NLSH__CALIBRATION_KS][NLSH__RUNGS + 1];
    struct nlsh__outside_point outside[NLSH__CALIBRATION_POINTS]; /* calibration's */
    float far;        /* of the queries: nlsh__far_of(); 0: not known */
    size_t n_queries; /* that calibration was made of */
};

/* Of n distances to queries' nearest neighbours, which it orders: what 99 of 100 are within. */
float nlsh__far(float *distances, size_t n);
/* The same of the first n queries with these true neighbours, or 0: not known. By inner product they come as they are routed,
 * so all of one length, and distances are products, negated: not known where those of usual queries are not all above 0.
 * NLSH_E_NOMEM. */
enum nlsh_status nlsh__far_of(const struct nlsh__neighbors *truth, size_t n,
                              enum nlsh_metric metric, float *out, struct nlsh_error *error);

/* Which effort surely reaches which recall: what buckets surely hold, times the share of it that is found. The
 * margins are those of the index; n_ks is 0 where it has no codes, or no leaves. row_bytes: as it keeps a row. */
void nlsh__efforts_from(const struct nlsh__calibration *calibration,
                        const struct nlsh__margins *rows, const struct nlsh__margins *leaves,
                        size_t row_bytes, const struct nlsh__shares *shares,
                        struct nlsh__measured_efforts *out);

#endif
