/* trials_csv.h - trials.csv: a row a trial, for spreadsheets; the study itself has more. */
#ifndef NLSH_TUNE_RUN_TRIALS_CSV_H
#define NLSH_TUNE_RUN_TRIALS_CSV_H

#include "tune/run/stage.h"

enum nlsh_status nlsh__trials_csv(const struct nlsh__request *request,
                                  const struct nlsh__stage *stages, size_t n_stages,
                                  struct nlsh_error *error);

#endif
