/* sample.h - queries of a caller's that say what an index reaches: nothing of it was made with them. */
#ifndef NLSH_MEASURE_SAMPLE_H
#define NLSH_MEASURE_SAMPLE_H

#include "measure/efforts.h"

/*
 * nlsh__measure_sample() - the efforts of an index for queries like these.
 *
 *  queries  as a caller of nlsh_search() has them; NLSH__EFFORT_QUERIES of them search, all are routed
 *  most_k   efforts are for up to so many neighbours
 * Their true neighbours are found by an exact search of the index, which leaves out what was deleted. The same for
 * any number of threads. NLSH_E_ARG (a value of a query), NLSH_E_NOMEM, NLSH_E_INTERRUPTED. Cost: that of an
 * exact search.
 */
enum nlsh_status nlsh__measure_sample(const struct nlsh_index *index,
                                      const struct nlsh_matrix *queries, size_t most_k,
                                      const struct nlsh__job *job,
                                      struct nlsh__measured_efforts *out, struct nlsh_error *error);

#endif
