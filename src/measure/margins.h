/*
 * margins.h - how far scores by code may be off (search/round.h, search/leaves.h say what a search does with
 * it), measured on held-out rows.
 */
#ifndef NLSH_MEASURE_MARGINS_H
#define NLSH_MEASURE_MARGINS_H

#include "base/neighbors.h"
#include "codes/leaves.h"
#include "codes/make/encode.h"
#include "promise/margins.h"
#include "router/router.h"

/* Neighbours of a row that margins are measured with, at most: nearly always 100 of them are scanned. */
enum { NLSH__MARGINS_K = 200 };

enum { NLSH__MARGIN_KS = 3, NLSH__ROW_LOSSES = 7, NLSH__LEAF_LOSSES = 8 };

struct nlsh__row_margins {
    uint32_t k[NLSH__MARGIN_KS];
    float loss[NLSH__ROW_LOSSES];
    float margin[NLSH__MARGIN_KS * NLSH__ROW_LOSSES];
    /* What a search for recall@10 then costs where .2 % of the neighbours may be lost: mean rows scanned by
     * their codes, and ranked exactly. */
    double candidates, ranked;
};

struct nlsh__leaf_margins {
    uint32_t k[NLSH__MARGIN_KS];
    float loss[NLSH__LEAF_LOSSES];
    float margin[NLSH__MARGIN_KS * NLSH__LEAF_LOSSES];
    float slope;
    double scanned; /* mean leaves a query that a search for recall@10 of .95 scans */
};

/* As a search takes them: views. */
struct nlsh__margins nlsh__row_margins_of(const struct nlsh__row_margins *margins);
struct nlsh__margins nlsh__leaf_margins_of(const struct nlsh__leaf_margins *margins);

/* What is measured, and with which rows. */
struct nlsh__measured {
    const struct nlsh__encode *encode; /* the base, its buckets, and rows as queries */
    const struct nlsh__codes *codes;
    const struct nlsh__router *router;
    const uint32_t *rows; /* [n_rows] held-out base rows, which play queries */
    size_t n_rows;
    const struct nlsh__neighbors *truth; /* [n_rows or more] the rows' neighbours, with scores */
};

/*
 * nlsh__measure_rows() - for each number of neighbours, and each share of them that may be lost: how many
 * errors beyond the k-th exact score of the scanned rows the scores of the k nearest of them lie. Of a row whose
 * truth names fewer that are scanned, those are the nearest.
 *
 *  thresholds  [NLSH__MARGIN_KS] the routing that the measurement uses for each number: one that scans too few
 *              rows for it would take far ones for neighbours
 */
enum nlsh_status nlsh__measure_rows(const struct nlsh__measured *of, const float *thresholds,
                                    const struct nlsh__job *job, struct nlsh__row_margins *out,
                                    struct nlsh_error *error);

/*
 * nlsh__measure_leaves() - the same of leaves, and the slope.
 *
 *  thresholds  [NLSH__MARGIN_KS] the loosest routing that searches for 1, 10 and 100 neighbours use
 */
enum nlsh_status nlsh__measure_leaves(const struct nlsh__measured *of,
                                      const struct nlsh__leaves *leaves, const float *thresholds,
                                      const struct nlsh__job *job, struct nlsh__leaf_margins *out,
                                      struct nlsh_error *error);

#endif
