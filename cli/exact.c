/* exact.c - see exact.h. */
#include "exact.h"

#include <stdlib.h>

#include "baselines/methods.h"
#include "inputs.h"
#include "talk.h"

/* Enough for a mean, over in a second. */
enum { TIMED_QUERIES = 200 };

/* One of the two is not NULL. */
struct scan {
    struct nlsh__brute *brute;
    struct nlsh_searcher *searcher;
    struct nlsh_search_options options;
    uint64_t *keys;
    float *distances;
};

static enum nlsh_status scan_create(const struct nlsh_index *index, const struct nlsh_matrix *base,
                                    size_t k, const struct nlsh_counted_filter *counted,
                                    struct scan *s, struct nlsh_error *error)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    enum nlsh_status status = nlsh_index_info(index, &info, error);
    if (status != NLSH_OK) return status;
    s->keys = calloc(k, sizeof *s->keys);
    s->distances = calloc(k, sizeof *s->distances);
    if (s->keys == NULL || s->distances == NULL) return error->status = NLSH_E_NOMEM;
    nlsh_search_options_init(&s->options, sizeof s->options);
    s->options.k = k;
    s->options.counted = counted;
    s->options.probes = (double)info.n_buckets;
    if (info.metric != NLSH_L2) return nlsh_searcher_create(index, &s->searcher, error);
    return nlsh__brute_create(base, NLSH__BRUTE_BEST, &s->brute, error);
}

static void scan_free(struct scan *s)
{
    nlsh__brute_free(s->brute);
    nlsh_searcher_free(s->searcher);
    free(s->keys);
    free(s->distances);
}

static enum nlsh_status scan_one(struct scan *s, const struct nlsh_matrix *one,
                                 struct nlsh_error *error)
{
    if (s->searcher == NULL) {
        return nlsh__brute_search(s->brute, one, s->options.k, s->keys, s->distances, error);
    }
    return nlsh_search(s->searcher, one, &s->options, s->keys, NULL, NULL, error);
}

static enum nlsh_status scan_pass(struct scan *s, const struct nlsh_matrix *queries, size_t n,
                                  struct passes *passes, struct nlsh_error *error)
{
    double spent = 0;
    for (size_t i = 0; i < n; i++) {
        struct nlsh_matrix one = matrix_rows(queries, i, 1);
        double began = now_seconds();
        enum nlsh_status status = scan_one(s, &one, error);
        spent += now_seconds() - began;
        if (status != NLSH_OK) return status;
        if (talk_progress(NULL, "true search", 0, 0)) return error->status = NLSH_E_INTERRUPTED;
    }
    passes_add(passes, spent, n);
    return NLSH_OK;
}

int exact_time(const struct nlsh_index *index, const struct nlsh_matrix *base,
               const struct nlsh_matrix *queries, size_t k,
               const struct nlsh_counted_filter *counted, struct timing *out)
{
    struct nlsh_error error = {0};
    struct scan scan = {.brute = NULL};
    struct passes passes = {.n = 0};
    size_t n = queries->n_rows < TIMED_QUERIES ? queries->n_rows : TIMED_QUERIES;
    enum nlsh_status status = scan_create(index, base, k, counted, &scan, &error);
    while (status == NLSH_OK && !passes_enough(&passes)) {
        status = scan_pass(&scan, queries, n, &passes, &error);
    }
    scan_free(&scan);
    if (status != NLSH_OK) return talk_failed(&error);
    talk_stage_end();
    *out = passes_timing(&passes);
    return 0;
}
