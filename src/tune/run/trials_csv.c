/* trials_csv.c - see trials_csv.h. */
#include "tune/run/trials_csv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "tune/run/points.h"

/* Text that grows; `failed` once memory has run out. */
struct text {
    char *bytes;
    size_t size, room;
    int failed;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *format, ...)
{
    char piece[256];
    va_list values;
    va_start(values, format);
    int n = vsnprintf(piece, sizeof piece, format, values);
    va_end(values);
    if (n < 0 || (size_t)n >= sizeof piece) n = 0; /* nothing here is that long */
    if (t->size + (size_t)n + 1 > t->room) {
        size_t room = 2 * t->room + 4096;
        char *more = realloc(t->bytes, room);
        t->failed |= more == NULL;
        if (more == NULL) return;
        t->bytes = more;
        t->room = room;
    }
    memcpy(t->bytes + t->size, piece, (size_t)n);
    t->size += (size_t)n;
}

static void add_number(struct text *t, double value)
{
    if (isfinite(value))
        add(t, ",%.9g", value);
    else
        add(t, ",");
}

static const char *state_name(const struct nlsh__trial *t)
{
    static const char *const names[] = {"complete", "pruned", "running", "failed", "waiting"};
    return names[t->state];
}

/* before, after: empty columns for the other stages' parameters. */
static void add_trial(struct text *to, const struct nlsh__stage *stage,
                      const struct nlsh__trials *trials, const struct nlsh__trial *t, size_t before,
                      size_t after)
{
    char value[NLSH__MAX_PARAM_NAME];
    double values[NLSH__MAX_PARAMS];
    const struct nlsh__step *last = t->n_steps > 0 ? &t->steps[t->n_steps - 1] : NULL;
    (void)nlsh__trial_point(&stage->space, trials, t, values);
    add(to, "%s,%llu,%s", stage->kind, (unsigned long long)t->number, state_name(t));
    add_number(to, t->value);
    add_number(to, t->seconds);
    add(to, ",%lld", last != NULL ? (long long)last->step : 0);
    add_number(to, last != NULL ? last->value : (double)NAN);
    while (before-- > 0) add(to, ",");
    for (size_t i = 0; i < stage->space.n; i++) {
        nlsh__param_text(&stage->space.params[i], values[i], value);
        add(to, ",%s", value);
    }
    while (after-- > 0) add(to, ",");
    add(to, "\n");
}

static enum nlsh_status add_stages(const struct nlsh__stage *stages, size_t n_stages,
                                   struct text *to, struct nlsh_error *error)
{
    size_t n_params = 0, before = 0;
    add(to, "stage,trial,state,value,seconds,steps,last_step");
    for (size_t s = 0; s < n_stages; s++) {
        const struct nlsh__search_space *space = &stages[s].space;
        for (size_t i = 0; i < space->n; i++) add(to, ",%s", space->params[i].name);
        n_params += space->n;
    }
    add(to, "\n");
    for (size_t s = 0; s < n_stages; s++) {
        struct nlsh__trials trials;
        const struct nlsh__stage *stage = &stages[s];
        enum nlsh_status status = nlsh__store_trials(stage->store, &trials, error);
        if (status != NLSH_OK) return status;
        for (size_t i = 0; i < trials.n; i++)
            add_trial(to, stage, &trials, &trials.trials[i], before,
                      n_params - before - stage->space.n);
        before += stage->space.n;
        nlsh__trials_free(&trials);
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__trials_csv(const struct nlsh__request *request,
                                  const struct nlsh__stage *stages, size_t n_stages,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct text text = {0};
    struct nlsh__output *output = NULL;
    char *path = NULL;
    NLSH_TRY(nlsh__request_path(request, "trials.csv", &path, error));
    NLSH_TRY(add_stages(stages, n_stages, &text, error));
    if (text.failed) {
        status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        goto out;
    }
    NLSH_TRY(nlsh__output_open(path, &output, error));
    status = nlsh__output_write(output, text.bytes, text.size, error);
    if (status == NLSH_OK)
        status = nlsh__output_commit(output, error);
    else
        nlsh__output_abort(output);
out:
    free(text.bytes);
    free(path);
    return status;
}
