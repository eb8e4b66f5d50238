/* asking.h - promises of an index that is about to be written, measured with rows that its router did not learn from. */
#ifndef NLSH_MAKE_ASKING_H
#define NLSH_MAKE_ASKING_H

#include "base/neighbors.h"
#include "make/merged.h"
#include "measure/calibrate.h"
#include "measure/efforts.h"

/* At most so many rows ask, for at most so many neighbours; with fewer, nothing is measured. */
enum { NLSH__MOST_ASKING = 1000, NLSH__LEAST_ASKING = 50, NLSH__ASKING_K = 1000 };

struct nlsh__asking {
    size_t n;
    const uint32_t
        *rows; /* [n] their numbers in the index; those that are not there have other numbers */
    struct nlsh__played as_rows; /* the same, as they are stored and come as queries */
    struct nlsh_matrix queries;  /* [n] as a caller has them */
    struct nlsh__neighbors
        truth; /* [n][k] of the index, without themselves; k the least of NLSH__ASKING_K and all others */
};

/* What was measured of an index. */
struct nlsh__asked {
    struct nlsh__calibration calibration;
    struct nlsh__measured_efforts efforts;
};
/* What its buckets hold of their neighbours: into the calibration. */
enum nlsh_status
nlsh__ask_buckets(const struct nlsh__asking *asking, const struct nlsh__router *router,
                  const struct nlsh__bucketed *bucketed, const struct nlsh__job *job,
                  struct nlsh__asked *out, struct nlsh_error *error);
/* Behind that: what codes and leaves lose of them, by searching the index: into the efforts. by: struct nlsh__known. */
enum nlsh_status nlsh__ask_index(const struct nlsh__asking *asking, const struct nlsh_index *index,
                                 const struct nlsh__known_by *by, size_t n_rows,
                                 const struct nlsh__job *job, struct nlsh__asked *out,
                                 struct nlsh_error *error);
/* The meter's numbers of now. */
void nlsh__meter_measured(const struct nlsh__calibration *calibration,
                          struct nlsh__meter_header *meter);
/* Those of now are those of a router that was just trained. */
void nlsh__meter_trained(struct nlsh__meter_header *meter);
/* As sections. */
enum nlsh_status nlsh__asked_add(const struct nlsh__asked *asked, struct nlsh__merged *merged,
                                 struct nlsh_error *error);

/*
 * nlsh__ask_merged() - measures, and adds the sections that promise.
 *
 *  path        of the file that is to be; it is written there for a while, under a temporary name
 *  bucketed    the buckets of its rows
 *  meter       out, of it what queries for recall .95 need now
 * NLSH_E_NOMEM, NLSH_E_CANT_CREATE, NLSH_E_INTERRUPTED.
 */
enum nlsh_status nlsh__ask_merged(const struct nlsh__asking *asking, const char *path,
                                  const struct nlsh__router *router,
                                  const struct nlsh__bucketed *bucketed,
                                  const struct nlsh__job *job, struct nlsh__merged *merged,
                                  struct nlsh__meter_header *meter, struct nlsh_error *error);

#endif
