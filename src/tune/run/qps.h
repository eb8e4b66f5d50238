/* qps.h - the speed of a trial's index. */
#ifndef NLSH_TUNE_RUN_QPS_H
#define NLSH_TUNE_RUN_QPS_H

#include "tune/run/folds.h"
#include "tune/run/request.h"

/* Queries a second of the learner's last run at a threshold, one thread; 0 for threshold 0, which is that
 * no threshold reaches the recall. The index is a file of the run's folder meanwhile. */
enum nlsh_status nlsh__measure_qps(const struct nlsh__request *request,
                                   const struct nlsh__fold *fold, double threshold, double *qps,
                                   struct nlsh_error *error);

#endif
