/* state.h - how far a trial is: what a study keeps of it and what samplers and pruners ask. */
#ifndef NLSH_TUNE_STATE_H
#define NLSH_TUNE_STATE_H

enum nlsh__trial_state {
    NLSH__TRIAL_COMPLETE,
    NLSH__TRIAL_PRUNED,
    NLSH__TRIAL_RUNNING, /* in this process or in another one, now */
    NLSH__TRIAL_FAILED,  /* teaches nothing, except GRID not to try it again */
    NLSH__TRIAL_WAITING  /* put in the queue and not begun: no sampler sees it */
};

#endif
