/* models.h - what a study comes to: indexes of the whole base, and the list of them. */
#ifndef NLSH_TUNE_RUN_MODELS_H
#define NLSH_TUNE_RUN_MODELS_H

#include "tune/run/model.h"

struct nlsh__models {
    struct nlsh__model *models; /* best trial first */
    size_t n;
};

/* The stage's settings as an index that any user would have; it also decides what partitioner `auto` stands
 * for: out->options. Freed by nlsh__model_free(). */
enum nlsh_status nlsh__defaults_make(const struct nlsh__request *request,
                                     const struct nlsh__stage *stage, struct nlsh__model *out,
                                     struct nlsh_error *error);

/* The best settings of all stages on all data, none twice. NLSH_E_ARG: no trial was completed. */
enum nlsh_status nlsh__models_make(const struct nlsh__request *request,
                                   const struct nlsh__stage *stages, size_t n_stages,
                                   const struct nlsh__model *defaults, struct nlsh__models *out,
                                   struct nlsh_error *error);
void nlsh__models_free(struct nlsh__models *models);

/* That with the fewest candidates held out; the defaults, where no model has fewer than they. */
const struct nlsh__model *nlsh__models_best(const struct nlsh__models *models,
                                            const struct nlsh__model *defaults);
/* That with the fewest of the models alone. */
const struct nlsh__model *nlsh__models_fewest(const struct nlsh__models *models);

/* index.json. first: the value of the first trial; NAN where it has none. list.c */
enum nlsh_status
nlsh__models_write(const struct nlsh__request *request, const struct nlsh__models *models,
                   const struct nlsh__model *defaults, double first, struct nlsh_error *error);

#endif
