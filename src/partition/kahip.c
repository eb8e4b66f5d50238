/*
 * kahip.c - KaHIP's kaffpa(), from a shared library looked for at run time.
 *
 * Source: Sanders and Schulz, "Engineering Multilevel Graph Partitioning Algorithms", 2011; the
 * prototype is from its interface/kaHIP_interface.h, which is not valid C.
 *
 *  - Its edge indices are int, or int64_t in a build that says so by kahip_sizeof_idx() = 8; n,
 *    nparts, vwgt and part are int in both.
 *  - suppress_output is ignored by kaffpa(), its random numbers are static, srand() included, and
 *    where memory runs out it ends the process: it runs in one of its own, apart.h.
 *  - It checks nothing of its input: nlsh__partition_input() does before. Empty parts and parts
 *    over its limit do come: nlsh__partition_repair() after.
 *  - imbalance = 0 starts another, far slower search for perfect balance: half a vertex more than
 *    the cap is the same limit and never 0.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "partition/apart.h"
#include "partition/partition.h"
#include "partition/repair.h"

typedef void kaffpa_fn(int *n, int *vwgt, void *xadj, void *adjcwgt, void *adjncy, int *nparts,
                       double *imbalance, bool suppress_output, int seed, int mode, void *edgecut,
                       int *part);
typedef int sizeof_idx_fn(void);

struct library {
    void *handle;
    kaffpa_fn *kaffpa;
    int idx_bytes;
};

/* The arrays in the library's own width; they point into the graph where that is 32 bits. */
struct arrays {
    void *offsets, *neighbors, *weights;
    int64_t *wide; /* owns them where they are 64 bits */
};

static const char *const remedy =
    "install libkahip (newer Debian and Ubuntu have it), or build it from github.com/KaHIP/KaHIP "
    "and set NLSH_KAHIP to its libkahip.so, or use --partitioner metis";

static const char default_name[] = "libkahip.so";

static void *open_any(const char **tried)
{
    /* libkahip.so is the development link; the others are what runtime packages ship. */
    static const char *const names[] = {default_name, "libkahip.so.3", "libkahip.so.3.1",
                                        "libkahip.so.2", "libkahip.dylib"};
    const char *named = getenv("NLSH_KAHIP");
    if (named != NULL && named[0] != '\0') {
        *tried = named;
        return dlopen(named, RTLD_NOW | RTLD_LOCAL);
    }
    *tried = default_name;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle != NULL) return handle;
    }
    return NULL;
}

/* A function pointer from a dlsym() pointer, as POSIX would have it and C11 will not. */
static int find(void *handle, const char *name, void *function)
{
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static enum nlsh_status load(struct library *library, struct nlsh_error *error)
{
    const char *tried;
    sizeof_idx_fn *sizeof_idx;
    library->handle = open_any(&tried);
    if (library->handle == NULL) {
        const char *why = dlerror();
        if (tried != default_name && why != NULL)
            return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy,
                              "KaHIP cannot be loaded from NLSH_KAHIP: %s", why);
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy,
                          "KaHIP is not installed: the system has no libkahip.so");
    }
    if (!find(library->handle, "kaffpa", &library->kaffpa))
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy, "KaHIP: %s has no function kaffpa()",
                          tried);
    library->idx_bytes = 4;
    if (find(library->handle, "kahip_sizeof_idx", &sizeof_idx)) library->idx_bytes = sizeof_idx();
    if (library->idx_bytes != 4 && library->idx_bytes != 8)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, remedy,
                          "KaHIP: %s has indices of %d bytes, not 4 or 8", tried,
                          library->idx_bytes);
    return NLSH_OK;
}

enum nlsh_status nlsh__kahip_check(struct nlsh_error *error)
{
    struct library library = {0};
    return load(&library, error); /* stays open: see nlsh__partition_kahip() */
}

static void widen(const int32_t *from, size_t count, int64_t *to)
{
    for (size_t i = 0; i < count; i++) to[i] = from[i];
}

static enum nlsh_status make_arrays(const struct nlsh__csr *csr, int idx_bytes,
                                    struct arrays *arrays, struct nlsh_error *error)
{
    size_t n = csr->n + 1, n_edges = (size_t)csr->offsets[csr->n];
    *arrays = (struct arrays){csr->offsets, csr->neighbors, csr->weights, NULL};
    if (idx_bytes == 4) return NLSH_OK;
    enum nlsh_status status =
        nlsh__alloc(&arrays->wide, n + 2 * n_edges, sizeof *arrays->wide, error);
    if (status != NLSH_OK) return status;
    widen(csr->offsets, n, arrays->wide);
    widen(csr->neighbors, n_edges, arrays->wide + n);
    widen(csr->weights, n_edges, arrays->wide + n + n_edges);
    arrays->offsets = arrays->wide;
    arrays->neighbors = arrays->wide + n;
    arrays->weights = arrays->wide + n + n_edges;
    return NLSH_OK;
}

struct cut {
    const struct library *library;
    const struct arrays *arrays;
    size_t n, m, cap;
    int mode;
    uint64_t seed;
};

/* In a process of its own. */
static int run(void *ctx, uint32_t *bucket_of)
{
    const struct cut *c = ctx;
    int n = (int)c->n, n_parts = (int)c->m;
    int64_t weight = 0; /* wide enough for either library */
    /* KaHIP's limit is (1 + imbalance) x ceil(n / m), cut to a whole number. */
    double mean = ceil((double)n / (double)c->m);
    double imbalance = ((double)c->cap + 0.5) / mean - 1.0;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, c->seed, 0);
    /* A part that the library does not write stays out of range and is caught. */
    for (size_t i = 0; i < c->n; i++) bucket_of[i] = UINT32_MAX;
    c->library->kaffpa(&n, NULL, c->arrays->offsets, c->arrays->weights, c->arrays->neighbors,
                       &n_parts, &imbalance, true, (int)nlsh__rng_below(&rng, INT32_MAX), c->mode,
                       &weight, (int *)bucket_of);
    return 0;
}

enum nlsh_status nlsh__partition_kahip(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       int mode, uint64_t seed, const struct nlsh__job *job,
                                       uint32_t *bucket_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct library library = {0};
    struct arrays arrays = {0};
    int answer;
    size_t n = csr->n, cap = nlsh__bucket_cap(n, m, imbalance);
    if (mode < 0 || mode > 5)
        return nlsh__fail(error, NLSH_E_ARG,
                          "0 fast, 1 eco, 2 strong; 3 to 5 the same for social networks",
                          "KaHIP mode %d is not 0 to 5", mode);
    NLSH_TRY(nlsh__partition_input(csr, m, imbalance, error));
    NLSH_TRY(load(&library, error));
    if (nlsh__partition_trivial(csr, m, bucket_of)) goto out;
    NLSH_TRY(make_arrays(csr, library.idx_bytes, &arrays, error));
    struct cut cut = {&library, &arrays, n, m, cap, mode, seed};
    NLSH_TRY(nlsh__apart("KaHIP", run, &cut, bucket_of, n, job, &answer, error));
    NLSH_TRY(nlsh__partition_repair(csr, m, cap, bucket_of, NULL, error));
    NLSH_TRY(nlsh__partition_check(bucket_of, n, m, cap, error));
out:
    nlsh__free(arrays.wide);
    /* The handle stays open: libgomp, which KaHIP brings along, does not survive being unloaded,
     * and opening again only counts up. */
    return status;
}
