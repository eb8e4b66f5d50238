/* resolve.c - see resolve.h. */
#include "make/resolve.h"

#include <math.h>

#include "base/error.h"
#include "base/job.h"
#include "base/memory.h"
#include "base/sized.h"
#include "kernels/kernels.h"
#include "make/components.h"
#include "make/forecast.h"
#include "make/kept.h"
#include "make/settings.h"
#include "make/stages.h"
#include "vectors/plain.h"
#include "vectors/values.h"

enum { LEAVES_FROM = 128 }; /* vectors a bucket: below, looking at leaves costs what it saves */

double nlsh__imbalance(const struct nlsh_build_options *options, enum nlsh_partitioner partitioner)
{
    if (options->imbalance >= 0) return options->imbalance;
    return partitioner == NLSH_PARTITIONER_METIS || partitioner == NLSH_PARTITIONER_KAHIP ? 0.2
                                                                                          : 0.5;
}

/* Many small buckets beat few large ones, and beyond 1,024 the router's last layer costs more than it saves on sets of up
 * to a million. Of ten million a query is 1.04 times as fast with 2,048 (docs/scale.md). */
size_t nlsh__auto_buckets(size_t n)
{
    size_t m = 1, most = n < 8000000 ? 1024 : 2048;
    while (m < most && n / (2 * m) >= 40) m *= 2;
    return m;
}

/* About 360,000 vectors seen: 6 epochs of 60,000, but 2 of any number, and 3 of many. Small sets are learned by
 * heart long before that: siftsmall (10,000, m=128, k-means cells) needs 813 held-out candidates
 * after 25 epochs, 873 after 50 and 987 after 100; still smaller ones need their 500 steps. SIFT-1M and GloVe-100 need
 * up to 1.3 % more after 3 and 2 than they did after 4 and 3 without Nesterov's momentum (docs/algorithm.md). */
static size_t auto_epochs(size_t n)
{
    double epochs = ceil(360e3 / (double)n), most = fmax(25, 250e3 / (double)n);
    size_t least = n < 500000 ? 2 : 3;
    epochs = fmin(fmin(epochs, most), 100);
    return epochs < (double)least ? least : (size_t)epochs;
}

/* The second layer is worth its weights to images: without it Fashion-MNIST needs 1 to 4 % more candidates at .95 and 3 to
 * 7 % at .99, SIFT-1M 1 and 2 %. Floats of a model need as many with one layer: USE-512 1,809 and 4,631 (with two
 * 1,813 and 4,719), GloVe-100 9,157 and 30,049 (9,125 and 29,945). nlsh build --layers 1 and 2, nlsh search. */
static size_t auto_layers(enum nlsh_type stored)
{
    return stored == NLSH_U8 ? 2 : 1;
}

/* A query needs the groups' outputs and those of the few groups that matter, g + t m / g of them in
 * all: least where g is the root of t m, with t about 4. With few buckets there is nothing to gain. */
size_t nlsh__auto_groups(size_t m)
{
    return m < 256 ? 0 : (size_t)(2 * sqrt((double)m) + 0.5);
}

int nlsh__in_leaves(const struct nlsh_build_options *o, size_t n)
{
    if (o->code_bytes == 0) return 0;
    return o->leaves == NLSH_AUTO ? n / o->n_buckets >= LEAVES_FROM : o->leaves == 1;
}

void nlsh__leaves_of_all(struct nlsh_build_options *o, size_t sample, size_t n)
{
    if (o->leaves == NLSH_AUTO && sample < n && nlsh__in_leaves(o, n)) o->leaves = 1;
}

size_t nlsh__whole_code(const struct nlsh_build_options *options)
{
    return (options->components + 1) / 2; /* 4 bits a component */
}

static enum nlsh_status check_range(const char *name, double value, double low, double high,
                                    struct nlsh_error *error)
{
    if (value >= low && value <= high) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "nlsh build --help lists the settings and their ranges",
                      "%s is %g: it must lie between %g and %g for these vectors", name, value, low,
                      high);
}

int nlsh__stored_as_bytes(const struct nlsh_matrix *base, enum nlsh_metric metric)
{
    size_t n = base->n_rows * base->dim;
    if (metric != NLSH_L2 || base->dim > NLSH__MAX_DIM_U8) return 0;
    return base->type != NLSH_F32 || nlsh__first_not_byte(base->data, n, 0) == n;
}

struct nlsh_matrix nlsh__as_stored(const struct nlsh_matrix *base, enum nlsh_metric metric)
{
    return (struct nlsh_matrix){NULL, base->n_rows, base->dim,
                                nlsh__stored_as_bytes(base, metric) ? NLSH_U8 : NLSH_F32, 0};
}

/* values: of base, for what is measured; or NULL, where nothing is. */
static enum nlsh_status resolve(const struct nlsh_matrix *base, const struct nlsh_matrix *values,
                                struct nlsh_build_options *o, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = base->n_rows;
    if (n < 2)
        return nlsh__fail(error, NLSH_E_ARG, "an index needs at least two vectors",
                          "the base has %zu vector", n);
    if (n > INT32_MAX)
        return nlsh__fail(error, NLSH_E_ARG, "split the base", "the base has %zu vectors", n);
    NLSH_TRY(nlsh__settings_check(o, error));
    double most = (double)(n < 65536 ? n : 65536);
    if (o->n_buckets == NLSH_AUTO) o->n_buckets = nlsh__auto_buckets(n);
    if (o->layers == NLSH_AUTO) o->layers = auto_layers(base->type);
    if (o->epochs == NLSH_AUTO) o->epochs = auto_epochs(n);
    if (o->label_knn > n - 1) o->label_knn = n - 1;
    if (o->knn > n - 1) o->knn = n - 1;
    NLSH_TRY(check_range("m", (double)o->n_buckets, 1, most, error));
    if (o->groups == NLSH_AUTO) o->groups = nlsh__auto_groups(o->n_buckets);
    NLSH_TRY(check_range("groups", (double)o->groups, 0, (double)o->n_buckets, error));
    if (o->components == NLSH_AUTO && values != NULL)
        NLSH_TRY(nlsh__auto_components(values, o, &o->components, error));
    if (o->components == NLSH_AUTO) o->components = nlsh__usual_components(base->dim);
    if (o->components > base->dim) o->components = base->dim;
    if (o->code_bytes != NLSH_AUTO && o->code_bytes > nlsh__whole_code(o))
        o->code_bytes = nlsh__whole_code(o);
    if (!nlsh__in_leaves(o, n)) o->leaves = 0;
    o->graph = nlsh__graph_method(base, o->graph);
    if (o->store == NLSH_STORE_AUTO && values != NULL && base->type == NLSH_F32 &&
        nlsh__kept_by_f16(values, o->metric))
        o->store = NLSH_STORE_F16;
out:
    return status;
}

enum nlsh_status nlsh__resolve(const struct nlsh_matrix *base, struct nlsh_build_options *o,
                               struct nlsh_error *error)
{
    const struct nlsh_matrix stored = nlsh__as_stored(base, o->metric);
    return resolve(&stored, base, o, error);
}

enum nlsh_status nlsh__resolve_unseen(const struct nlsh_matrix *stored,
                                      struct nlsh_build_options *o, struct nlsh_error *error)
{
    return resolve(stored, NULL, o, error);
}

enum nlsh_status nlsh_build_resolve(const struct nlsh_matrix *base,
                                    struct nlsh_build_options *options, const struct nlsh_run *run,
                                    struct nlsh_build_forecast *forecast, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_build_options ours;
    struct nlsh_run wishes;
    struct nlsh_matrix plain;
    void *memory = NULL;
    nlsh__error_clear(error);
    nlsh_run_init(&wishes, sizeof wishes);
    if (forecast != NULL) NLSH_TRY(nlsh__answer_check(forecast, "nlsh_build_forecast", error));
    NLSH_TRY(nlsh__options_take(&wishes, sizeof wishes, run, "nlsh_run", error));
    NLSH_TRY(nlsh__take_settings(options, &ours, error));
    NLSH_TRY(nlsh__matrix_plain(base, &plain, &memory, error));
    NLSH_TRY(nlsh__resolve(&plain, &ours, error));
    nlsh__answer_give(options, &ours, sizeof ours);
    if (forecast != NULL) {
        struct nlsh_build_forecast f;
        const struct nlsh_matrix stored = nlsh__as_stored(&plain, ours.metric);
        NLSH_TRY(nlsh__forecast(&stored, &ours, wishes.n_threads, &f, error));
        nlsh__answer_give(forecast, &f, sizeof f);
    }
out:
    nlsh__free(memory);
    return status;
}

void nlsh__unresolve(size_t n, struct nlsh_build_options *o)
{
    if (o->groups == nlsh__auto_groups(o->n_buckets)) o->groups = NLSH_AUTO;
    if (o->epochs == auto_epochs(n)) o->epochs = NLSH_AUTO;
    if (o->n_buckets != nlsh__auto_buckets(n)) return;
    o->n_buckets = NLSH_AUTO;
    o->code_bytes = NLSH_AUTO;
    o->leaves = NLSH_AUTO;
}
