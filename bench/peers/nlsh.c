/*
 * nlsh.c - our own index and our exact scans as peers of bench/peers/compare.c.
 *
 * An index is searched with the recall that is asked of it (`--recall`), over a fine grid: which
 * buckets that takes was measured on held-out base vectors when the index was built.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baselines/methods.h"
#include "measure.h"

struct own_index own_indexes[16];
size_t n_own_indexes;

static void must(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "error: %s\n", error->message);
    exit(70);
}

static struct nlsh_matrix rows_of(const struct peer_data *data, size_t first, size_t n)
{
    if (data->bytes != NULL)
        return (struct nlsh_matrix){data->bytes + first * data->dim, n, data->dim, NLSH_U8, 0};
    return (struct nlsh_matrix){data->rows + first * data->dim, n, data->dim, NLSH_F32, 0};
}

/* ---- an index -------------------------------------------------------------------------------- */

struct own {
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_search_options options;
    struct nlsh_index_info info;
    uint64_t *keys;                /* [most x options.k] */
    uint32_t *candidates, *ranked; /* [most] */
    size_t most, most_keys, code_bytes;
    double n_queries, n_candidates, n_ranked; /* since set() */
};

static const char *own_build(const struct peer_data *base, int quick, size_t i)
{
    (void)base, (void)quick;
    return i < n_own_indexes ? own_indexes[i].label : NULL;
}

static void *own_open(const struct peer_data *base, const char *build, const char *file)
{
    struct nlsh_error error = {0};
    struct own *own = room(1, sizeof *own);
    (void)base, (void)file;
    for (size_t i = 0; i < n_own_indexes; i++) {
        if (strcmp(own_indexes[i].label, build) != 0) continue;
        struct nlsh_open_options how;
        nlsh_open_options_init(&how, sizeof how);
        how.memory = NLSH_MEMORY_ALL;
        must(nlsh_index_open(own_indexes[i].file, &how, &own->index, &error), &error);
        must(nlsh_searcher_create(own->index, &own->searcher, &error), &error);
        own->info.struct_size = sizeof own->info;
        must(nlsh_index_info(own->index, &own->info, &error), &error);
        nlsh_search_options_init(&own->options, sizeof own->options);
        struct nlsh_section_info section = {.struct_size = sizeof section};
        for (size_t s = 0; nlsh_index_section(own->index, s, &section); s++)
            if (strcmp(section.name, "codes") == 0)
                own->code_bytes = (size_t)section.size_bytes / own->info.n_rows;
        return own;
    }
    free(own);
    return NULL;
}

static void own_close(void *index)
{
    struct own *own = index;
    nlsh_searcher_free(own->searcher);
    nlsh_index_close(own->index);
    free(own->keys);
    free(own->candidates);
    free(own->ranked);
    free(own);
}

static const char *own_setting(void *index, size_t k, int quick, size_t i)
{
    static const char *const all[] = {"recall=0.5",    "recall=0.6",
                                      "recall=0.7",    "recall=0.75",
                                      "recall=0.8",    "recall=0.825",
                                      "recall=0.85",   "recall=0.875",
                                      "recall=0.89",   "recall=0.9",
                                      "recall=0.905",  "recall=0.91",
                                      "recall=0.92",   "recall=0.93",
                                      "recall=0.94",   "recall=0.945",
                                      "recall=0.95",   "recall=0.955",
                                      "recall=0.96",   "recall=0.965",
                                      "recall=0.97",   "recall=0.975",
                                      "recall=0.98",   "recall=0.985",
                                      "recall=0.9875", "recall=0.99",
                                      "recall=0.991",  "recall=0.9925",
                                      "recall=0.9935", "recall=0.995",
                                      "recall=0.997",  "recall=0.998",
                                      "recall=0.999",  NULL};
    static const char *const few[] = {"recall=0.8", "recall=0.9", "recall=0.95", "recall=0.99",
                                      NULL};
    (void)index, (void)k;
    const char *const *list = quick ? few : all;
    for (size_t j = 0; j < i; j++)
        if (list[j] == NULL) return NULL;
    return list[i];
}

static void own_set(void *index, size_t k, const char *setting)
{
    struct own *own = index;
    own->options.k = k;
    own->options.probes = 0;
    own->options.recall = atof(strchr(setting, '=') + 1);
    own->n_queries = own->n_candidates = own->n_ranked = 0;
}

/* Room for the answers of n queries. */
static void own_reserve(struct own *own, size_t n, size_t k)
{
    if (n > own->most) {
        free(own->candidates);
        free(own->ranked);
        own->candidates = room(n, sizeof *own->candidates);
        own->ranked = room(n, sizeof *own->ranked);
        own->most = n;
    }
    if (n * k > own->most_keys) {
        free(own->keys);
        own->keys = room(n * k, sizeof *own->keys);
        own->most_keys = n * k;
    }
}

/* Row numbers, which are what peers answer with. */
static void narrow(const uint64_t *keys, size_t n, uint32_t *ids)
{
    for (size_t i = 0; i < n; i++) ids[i] = (uint32_t)keys[i]; /* NLSH_NO_KEY: UINT32_MAX */
}

static void own_search(void *index, const struct peer_data *queries, size_t first, size_t n,
                       size_t k, size_t n_threads, uint32_t *ids)
{
    struct own *own = index;
    struct nlsh_error error = {0};
    struct nlsh_matrix some = rows_of(queries, first, n);
    own_reserve(own, n, k);
    struct nlsh_search_stats stats = {
        .struct_size = sizeof stats, .candidates = own->candidates, .ranked = own->ranked};
    own->options.n_threads = n_threads;
    must(n == 1
             ? nlsh_search(own->searcher, &some, &own->options, own->keys, NULL, &stats, &error)
             : nlsh_search_batch(own->index, &some, &own->options, own->keys, NULL, &stats, &error),
         &error);
    narrow(own->keys, n * k, ids);
    own->n_queries += (double)n;
    for (size_t i = 0; i < n; i++) {
        own->n_candidates += own->candidates[i];
        own->n_ranked += own->ranked[i];
    }
}

/* A query reads the network and the projection a byte a weight, the codes of its candidates and the
 * vectors that it ranks exactly; each byte read is a factor of one product. */
static void own_cost(void *index, double *candidates, double *bytes, double *products)
{
    const struct own *own = index;
    size_t element = own->info.type == NLSH_F32 ? 4 : 1;
    double reranked = own->n_ranked / own->n_queries, dim = (double)own->info.dim;
    *candidates = own->n_candidates / own->n_queries;
    double shared = (double)own->info.router_weights + *candidates * (double)own->code_bytes;
    *products = shared + reranked * dim;
    *bytes = shared + reranked * dim * (double)element;
}

/* ---- exact scans ----------------------------------------------------------------------------- */

struct scan {
    struct nlsh__brute *brute;
    size_t n_rows, row_bytes;
};

static const char *scan_build(const struct peer_data *base, int quick, size_t i)
{
    static const char *const all[] = {"best", "plain float", NULL};
    (void)base, (void)quick;
    return i < 3 ? all[i] : NULL;
}

static void *scan_open(const struct peer_data *base, const char *build, const char *file)
{
    struct nlsh_error error = {0};
    struct scan *scan = room(1, sizeof *scan);
    int best = strcmp(build, "best") == 0;
    struct nlsh_matrix all = rows_of(base, 0, base->n_rows);
    (void)file;
    scan->n_rows = base->n_rows;
    scan->row_bytes = base->dim * (best && base->bytes != NULL ? 1 : 4);
    must(
        nlsh__brute_create(&all, best ? NLSH__BRUTE_BEST : NLSH__BRUTE_PLAIN, &scan->brute, &error),
        &error);
    return scan;
}

static void scan_close(void *index)
{
    struct scan *scan = index;
    nlsh__brute_free(scan->brute);
    free(scan);
}

static const char *scan_setting(void *index, size_t k, int quick, size_t i)
{
    (void)index, (void)k, (void)quick;
    return i == 0 ? "" : NULL;
}

static void scan_set(void *index, size_t k, const char *setting)
{
    (void)index, (void)k, (void)setting;
}

static void scan_search(void *index, const struct peer_data *queries, size_t first, size_t n,
                        size_t k, size_t n_threads, uint32_t *ids)
{
    struct scan *scan = index;
    struct nlsh_error error = {0};
    struct nlsh_matrix some = rows_of(queries, first, n);
    uint64_t *keys = room(n * k, sizeof *keys);
    float *distances = room(n * k, sizeof *distances);
    (void)n_threads;
    must(nlsh__brute_search(scan->brute, &some, k, keys, distances, &error), &error);
    narrow(keys, n * k, ids);
    free(keys);
    free(distances);
}

static void scan_cost(void *index, double *candidates, double *bytes, double *products)
{
    const struct scan *scan = index;
    *candidates = (double)scan->n_rows;
    *bytes = (double)(scan->n_rows * scan->row_bytes);
    *products = scan->row_bytes % 4 == 0 ? *bytes : NAN;
}

static double scan_size(void *index)
{
    const struct scan *scan = index;
    return (double)(scan->n_rows * scan->row_bytes);
}

const struct peer own_peers[] = {{.name = "nlsh",
                                  .version = NLSH_VERSION,
                                  .own_threads = 1,
                                  .build = own_build,
                                  .open = own_open,
                                  .close = own_close,
                                  .setting = own_setting,
                                  .set = own_set,
                                  .search = own_search,
                                  .cost = own_cost},
                                 {.name = "exact scan",
                                  .version = NLSH_VERSION,
                                  .build = scan_build,
                                  .open = scan_open,
                                  .close = scan_close,
                                  .setting = scan_setting,
                                  .set = scan_set,
                                  .search = scan_search,
                                  .cost = scan_cost,
                                  .size = scan_size},
                                 {.name = NULL}};
