/* meter.c - see meter.h. */
#include "tune/run/meter.h"

#include <math.h>
#include <stdio.h>

enum { UNITS = 1000 }; /* a trial */

void nlsh__meter_init(struct nlsh__meter *meter, const struct nlsh_run *run)
{
    *meter = (struct nlsh__meter){.told = *run};
}

static int progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    const struct nlsh__meter *m = user;
    if (m->told.progress == NULL) return 0;
    if (m->label[0] == '\0') return m->told.progress(m->told.user, stage, done, total);
    double so_far = ((double)m->n_done + m->share) * UNITS, all = (double)m->n_wanted * UNITS;
    /* Never the last unit: the bar ends when the trials have. */
    return m->told.progress(m->told.user, m->label, (uint64_t)fmin(so_far, all - 1), (uint64_t)all);
}

struct nlsh_run nlsh__meter_run(struct nlsh__meter *meter)
{
    struct nlsh_run run = meter->told;
    run.progress = progress;
    run.note = NULL;
    run.user = meter;
    return run;
}

void nlsh__meter_trials(struct nlsh__meter *meter, const char *stage, size_t n_done,
                        size_t n_wanted, double best)
{
    size_t room = sizeof meter->label;
    meter->n_done = n_done < n_wanted ? n_done : n_wanted;
    meter->n_wanted = n_wanted;
    meter->share = 0;
    int n = snprintf(meter->label, room, "%s: %zu of %zu", stage, n_done, n_wanted);
    if (!isnan(best) && n > 0 && (size_t)n < room)
        snprintf(meter->label + n, room - (size_t)n, ", best %.5g", best);
}

void nlsh__meter_share(struct nlsh__meter *meter, double share)
{
    meter->share = share;
}

enum nlsh_status nlsh__meter_tell(struct nlsh__meter *meter, struct nlsh_error *error)
{
    struct nlsh__job job = {.run = nlsh__meter_run(meter)};
    return nlsh__job_progress(&job, "trials", 0, 0, error);
}

void nlsh__meter_end(struct nlsh__meter *meter)
{
    uint64_t all = UNITS * (uint64_t)meter->n_wanted;
    if (meter->told.progress != NULL)
        (void)meter->told.progress(meter->told.user, meter->label, all, all);
}
