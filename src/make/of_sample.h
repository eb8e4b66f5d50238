/* of_sample.h - steps of a build of more vectors than memory holds, between the passes: the index of the sample, and what
 * the rows that ask are brought into the form for. */
#ifndef NLSH_MAKE_OF_SAMPLE_H
#define NLSH_MAKE_OF_SAMPLE_H

#include "make/asking.h"
#include "make/cells.h"
#include "make/placed.h"

/* The index of the sample, whose rows are freed. keys: of these rows, or NULL. compared: struct nlsh__memory_plan; where
 * what cuts the graph is the better one there, the sample has no more rows from then on. path: of the file that is to be; the sample's
 * lies beside it for a moment; with unfinished it stays, or is there already. */
enum nlsh_status nlsh__learn_sample(struct nlsh__sampled *sampled,
                                    const struct nlsh_build_options *options, size_t compared,
                                    const uint64_t *keys, const char *path,
                                    struct nlsh__unfinished *unfinished,
                                    const struct nlsh__job *job, struct nlsh_index **out,
                                    struct nlsh_build_report *report, struct nlsh_error *error);

/* Its cells, where it was divided by k-means and they know borders better than the router does; else none. */
enum nlsh_status
nlsh__cells_of_sample(const struct nlsh_index *sample, const struct nlsh_build_options *options,
                      enum nlsh_partitioner partitioner, const struct nlsh__job *job,
                      struct nlsh__bucket_cells *out, struct nlsh_error *error);

/* The rows that ask, as nlsh__ask_merged() takes them: views of both. *numbers [n], 0, 1, ..., is the caller's to free. */
enum nlsh_status nlsh__asking_of_sample(const struct nlsh__sampled *sampled,
                                        const struct nlsh__askers_of *from, uint32_t **numbers,
                                        struct nlsh__asking *out, struct nlsh_error *error);

/* The share of them that the router would put elsewhere by now. */
enum nlsh_status nlsh__estimate_elsewhere(const struct nlsh__router *router,
                                          const struct nlsh__asking *asking,
                                          const uint32_t *bucket_of, const struct nlsh__job *job,
                                          double *out, struct nlsh_error *error);

#endif
