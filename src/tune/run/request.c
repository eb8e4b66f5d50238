/* request.c - see request.h. */
#include "tune/run/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/sized.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "tune/run/folds.h"
#include "tune/run/space.h"
#include "vectors/plain.h"
#include "vectors/vectors.h"

/* ---- checks ---------------------------------------------------------------------------------- */

static enum nlsh_status check_range(const char *name, double value, double low, double high,
                                    struct nlsh_error *error)
{
    if (value >= low && value <= high) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "nlsh tune --help lists what there is",
                      "%s is %g: it must lie between %g and %g", name, value, low, high);
}

static enum nlsh_status check_choice(const char *name, enum nlsh__named of, int value,
                                     struct nlsh_error *error)
{
    if (nlsh__name(of, value) != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "use the names that the header gives its values",
                      "%s is %d: there is no such choice", name, value);
}

static enum nlsh_status check_options(const struct nlsh_tune_options *o, struct nlsh_error *error)
{
    enum nlsh_status status;
    if (o->folder == NULL || o->folder[0] == '\0')
        return nlsh__fail(error, NLSH_E_ARG, "name one", "a tuning run needs a folder");
    NLSH_TRY(check_range("tune_trials", (double)o->n_trials, 1, 1e6, error));
    NLSH_TRY(check_range("tune_folds", (double)o->n_folds, 1, NLSH__MAX_FOLDS, error));
    NLSH_TRY(check_range("tune_epochs", (double)o->epochs, 1, 1e5, error));
    NLSH_TRY(check_range("top_k", (double)o->top_k, 1, 1e4, error));
    NLSH_TRY(check_range("final_epochs", (double)o->final_epochs, 1, 1e5, error));
    NLSH_TRY(check_range("timeout", o->timeout, 0, 1e9, error));
    NLSH_TRY(check_choice("sampler", NLSH__SAMPLER, (int)o->sampler, error));
    NLSH_TRY(check_choice("pruner", NLSH__PRUNER, (int)o->pruner, error));
out:
    return status;
}

/* ---- taking it ------------------------------------------------------------------------------- */

/* A caller without a cache gets one for the run: no partition is to be made twice. */
static enum nlsh_status need_cache(struct nlsh__request *r, struct nlsh_error *error)
{
    if (r->run.cache_dir != NULL) return NLSH_OK;
    enum nlsh_status status = nlsh__request_path(r, "cache.tmp", &r->own_cache, error);
    r->run.cache_dir = r->own_cache;
    return status;
}

enum nlsh_status
nlsh__request_take(const struct nlsh_matrix *base, const struct nlsh_tune_options *options,
                   const struct nlsh_run *run, struct nlsh__request *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__request){0};
    nlsh_run_init(&out->run, sizeof out->run);
    nlsh_tune_options_init(&out->options, sizeof out->options);
    NLSH_TRY(nlsh__options_take(&out->run, sizeof out->run, run, "nlsh_run", error));
    NLSH_TRY(nlsh__options_take(&out->options, sizeof out->options, options, "nlsh_tune_options",
                                error));
    NLSH_TRY(nlsh__take_settings(out->options.build, &out->build, error));
    NLSH_TRY(nlsh__matrix_plain(base, &out->base, &out->memory, error));
    NLSH_TRY(check_options(&out->options, error));
    NLSH_TRY(nlsh__objective_parse(out->options.objective, &out->objective, error));
    NLSH_TRY(nlsh__resolve(&out->base, &out->build, error));
    if (out->options.space != NULL)
        NLSH_TRY(nlsh__space_file(out->options.space, &out->space, error));
    else
        nlsh__space_network(&out->build, &out->space);
    NLSH_TRY(need_cache(out, error));
    out->data_hash = nlsh_data_hash(&out->base);
out:
    return status;
}

void nlsh__request_free(struct nlsh__request *request)
{
    free(request->own_cache);
    nlsh__free(request->memory);
    *request = (struct nlsh__request){0};
}

/* ---- what it comes to ------------------------------------------------------------------------ */

size_t nlsh__steps_a_fold(const struct nlsh__request *request)
{
    return request->objective.kind == NLSH__QPS_AT ? 1 : request->options.epochs;
}

size_t nlsh__steps_a_trial(const struct nlsh__request *request)
{
    return nlsh__steps_a_fold(request) * request->options.n_folds;
}

enum nlsh_status nlsh__request_path(const struct nlsh__request *request, const char *name,
                                    char **out, struct nlsh_error *error)
{
    const char *folder = request->options.folder;
    size_t size = strlen(folder) + strlen(name) + 2;
    *out = malloc(size);
    if (*out == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    snprintf(*out, size, "%s/%s", folder, name);
    return NLSH_OK;
}

void nlsh__request_note(const struct nlsh__request *request, const char *format, ...)
{
    char sentence[512];
    if (request->run.note == NULL) return;
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    request->run.note(request->run.user, sentence);
}
