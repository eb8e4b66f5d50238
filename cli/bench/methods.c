/*
 * bench_methods.c - the methods of `nlsh bench`, each at the settings of its sweep.
 *
 * What a sweep takes is set by the number of rows, of dimensions and of buckets alone, and by
 * distances sampled from the base: docs/baselines.md. A sweep goes from few candidates to many and
 * ends where half of the base is scanned.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "talk.h"
#include "timing.h"

enum {
    max_list = 32,
    sample_best = 500, /* queries for our exact scan: about a second */
    sample_plain = 50, /* for the plain one, 10 to 20 times slower */
    most_tables = 32   /* of LSH: beyond, its ids take more room than vectors of 128 bytes */
};

/* ---- exact scans ----------------------------------------------------------------------------- */

struct brute_ctx {
    struct nlsh__brute *brute;
    size_t n_rows;
};

static enum nlsh_status brute_answer(void *ctx, const struct nlsh_matrix *some, size_t k,
                                     uint64_t *keys, float *distances,
                                     struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    const struct brute_ctx *c = ctx;
    for (size_t i = 0; i < some->n_rows; i++) {
        stats->candidates[i] = (uint32_t)c->n_rows;
        stats->probes[i] = stats->ranked[i] = 0;
    }
    return nlsh__brute_search(c->brute, some, k, keys, distances, error);
}

static int brute_row(struct bench *b, enum nlsh__brute_method how, size_t most, const char *setting,
                     double *seconds)
{
    struct nlsh_error error = {0};
    struct brute_ctx ctx = {NULL, b->base.matrix.n_rows};
    struct bench_method m = {
        .name = "exact scan", .by_row = true, .answer = brute_answer, .ctx = &ctx};
    if (nlsh__brute_create(&b->base.matrix, how, &ctx.brute, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    size_t value = how == NLSH__BRUTE_BEST && b->base.matrix.type != NLSH_F32 ? 1 : sizeof(float);
    m.bytes = b->base.matrix.n_rows * b->base.matrix.dim * value;
    int code = bench_row(b, &m, most, setting);
    if (code == 0) *seconds = b->rows[b->n_rows - 1].seconds;
    nlsh__brute_free(ctx.brute);
    return code;
}

/* Always run, since all else is measured against them; the rows are left out where not asked for. */
static int run_brute(struct bench *b)
{
    bench_stage(b, "exact scan", sample_best + sample_plain);
    int code = brute_row(b, NLSH__BRUTE_BEST, sample_best, "best", &b->best_seconds);
    if (code != 0) return code;
    return brute_row(b, NLSH__BRUTE_PLAIN, sample_plain, "plain float", &b->plain_seconds);
}

/* ---- baselines ------------------------------------------------------------------------------- */

struct baseline_ctx {
    struct nlsh__baseline *baseline;
    struct nlsh__baseline_options options; /* as the build filled them */
    double probes;
    size_t rerank;
};

static enum nlsh_status baseline_answer(void *ctx, const struct nlsh_matrix *some, size_t k,
                                        uint64_t *keys, float *distances,
                                        struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    struct baseline_ctx *c = ctx;
    return nlsh__baseline_search(c->baseline, some, c->probes, c->rerank, k, keys, distances, stats,
                                 error);
}

/* Builds what c->options say, timed. */
static int build(struct bench *b, struct baseline_ctx *c, struct bench_method *m)
{
    struct nlsh_error error = {0};
    double began = now_seconds();
    c->options.seed = args_count(b->args, "seed");
    if (nlsh__baseline_build(&b->base.matrix, &c->options, &b->run, &c->baseline, &error) !=
        NLSH_OK) {
        return talk_failed(&error);
    }
    m->answer = baseline_answer;
    m->ctx = c;
    m->build_seconds = now_seconds() - began;
    m->bytes = nlsh__baseline_bytes(c->baseline);
    bench_stage(b, m->name, 0);
    return 0;
}

/* Whether the last row scanned so much that more of it is of no use. */
static bool enough(const struct bench *b)
{
    return b->rows[b->n_rows - 1].score.candidates > 0.5 * (double)b->base.matrix.n_rows;
}

/* A row at so many probes; the first of a build is preceded by some that do not count. */
static int probe_row(struct bench *b, struct baseline_ctx *c, const struct bench_method *m,
                     double probes, bool first, const char *setting)
{
    c->probes = probes;
    int code = first ? bench_warm(b, m) : 0;
    return code == 0 ? bench_row(b, m, SIZE_MAX, setting) : code;
}

/* LSH: L = 1, 2, 4 ... tables for each of three k about the automatic one. */
static int run_lsh(struct bench *b)
{
    static const double about[] = {0.6, 1, 1.5};
    size_t usual = 0;
    int code = 0;
    for (size_t i = 0; i < 3 && code == 0; i++) {
        struct baseline_ctx c = {NULL, {0}, 1, 0};
        struct bench_method m = {.name = "LSH", .by_row = true};
        char setting[48];
        nlsh__baseline_options_init(&c.options);
        c.options.method = NLSH__BASELINE_LSH;
        if (usual == 0) {
            c.options.n_tables = 1;
            code = build(b, &c, &m); /* only to learn k */
            usual = c.options.n_hashes;
            nlsh__baseline_free(c.baseline);
            c.baseline = NULL;
        }
        c.options.n_tables = most_tables;
        c.options.n_hashes = (size_t)fmax(1, round(about[i] * (double)usual));
        if (code == 0) code = build(b, &c, &m);
        snprintf(m.group, sizeof m.group, "%zu hash%s a table; window %.4g", c.options.n_hashes,
                 c.options.n_hashes == 1 ? "" : "es", c.options.window);
        for (size_t l = 1; l <= most_tables && code == 0; l *= 2) {
            snprintf(setting, sizeof setting, "%zu table%s", l, l == 1 ? "" : "s");
            code = probe_row(b, &c, &m, (double)l, l == 1, setting);
            if (code == 0 && enough(b)) break;
        }
        nlsh__baseline_free(c.baseline);
    }
    return code;
}

/* Hypercube: 1, 4, 16 ... corners for each of three d'. */
static int run_hypercube(struct bench *b)
{
    static const int about[] = {-3, 0, 3};
    struct nlsh__baseline_options usual;
    size_t bits = 0;
    int code = 0;
    for (size_t n = b->base.matrix.n_rows; n > 1; n /= 2) bits++;
    bits = bits > 4 ? bits - 4 : 1;
    for (size_t i = 0; i < 3 && code == 0; i++) {
        struct baseline_ctx c = {NULL, {0}, 1, 0};
        struct bench_method m = {.name = "Hypercube", .by_row = true};
        char setting[48];
        nlsh__baseline_options_init(&usual);
        c.options = usual;
        c.options.method = NLSH__BASELINE_HYPERCUBE;
        if (about[i] < 0 && bits <= (size_t)-about[i]) continue;
        c.options.n_bits = bits + (size_t)about[i];
        code = build(b, &c, &m);
        snprintf(m.group, sizeof m.group, "%zu bits; window %.4g", c.options.n_bits,
                 c.options.window);
        for (size_t probes = 1; probes <= (size_t)1 << c.options.n_bits && code == 0; probes *= 4) {
            snprintf(setting, sizeof setting, "%zu corner%s", probes, probes == 1 ? "" : "s");
            code = probe_row(b, &c, &m, (double)probes, probes == 1, setting);
            if (code == 0 && enough(b)) break;
        }
        nlsh__baseline_free(c.baseline);
    }
    return code;
}

/* --probes over one build. */
static int probe_rows(struct bench *b, struct baseline_ctx *c, const struct bench_method *m)
{
    double probes[max_list];
    size_t n = args_list(b->args, "probes", probes, max_list), lists = c->options.n_lists;
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        char setting[48];
        if (probes[i] > (double)lists) continue;
        snprintf(setting, sizeof setting, "%.0f of %zu cells", probes[i], lists);
        code = probe_row(b, c, m, floor(probes[i]), i == 0, setting);
    }
    return code;
}

static void ivf_options(const struct bench *b, enum nlsh__baseline_method method,
                        struct nlsh__baseline_options *options)
{
    nlsh__baseline_options_init(options);
    options->method = method;
    if (b->index != NULL) options->n_lists = b->info.n_buckets; /* as many as Neural LSH has */
}

static int run_ivfflat(struct bench *b)
{
    struct baseline_ctx c = {NULL, {0}, 1, 0};
    struct bench_method m = {.name = "IVF-Flat", .by_row = true};
    ivf_options(b, NLSH__BASELINE_IVFFLAT, &c.options);
    int code = build(b, &c, &m);
    if (code == 0) code = probe_rows(b, &c, &m);
    nlsh__baseline_free(c.baseline);
    return code;
}

/* IVF-PQ: codes of a 16th and of an 8th of the dimension, 5 and 20 k vectors ranked exactly. */
static int run_ivfpq(struct bench *b)
{
    static const size_t dims[] = {16, 8}, times[] = {5, 20};
    int code = 0;
    for (size_t i = 0; i < 2 && code == 0; i++) {
        struct baseline_ctx c = {NULL, {0}, 1, 0};
        struct bench_method m = {.name = "IVF-PQ", .by_row = true};
        ivf_options(b, NLSH__BASELINE_IVFPQ, &c.options);
        size_t bytes = b->base.matrix.dim / dims[i];
        c.options.n_subspaces = bytes > 0 ? bytes : 1;
        code = build(b, &c, &m);
        for (size_t t = 0; t < 2 && code == 0; t++) {
            c.rerank = times[t] * b->k;
            snprintf(m.group, sizeof m.group, "codes of %zu byte%s; %zu ranked exactly",
                     c.options.n_subspaces, c.options.n_subspaces == 1 ? "" : "s", c.rerank);
            code = probe_rows(b, &c, &m);
        }
        nlsh__baseline_free(c.baseline);
    }
    return code;
}

/* ---- Neural LSH ------------------------------------------------------------------------------ */

static void t_text(double t, char setting[48])
{
    snprintf(setting, 48, t < 1 ? "T = %g" : "T = %.0f", t);
}

/* The index's buckets, scanned as the baselines' are. */
static int run_routed(struct bench *b)
{
    struct baseline_ctx c = {NULL, {0}, 1, 0};
    struct bench_method m = {.name = "NLSH exact", .by_row = true};
    double t[max_list];
    size_t n = args_list(b->args, "T", t, max_list);
    nlsh__baseline_options_init(&c.options);
    c.options.method = NLSH__BASELINE_ROUTED;
    c.options.index = b->index;
    int code = build(b, &c, &m);
    m.build_seconds = b->index_seconds;
    m.bytes = b->info.size_bytes;
    for (size_t i = 0; i < n && code == 0; i++) {
        char setting[48];
        if (t[i] > (double)b->info.n_buckets) continue;
        t_text(t[i], setting);
        code = probe_row(b, &c, &m, t[i], i == 0, setting);
    }
    nlsh__baseline_free(c.baseline);
    return code;
}

struct nlsh_ctx {
    struct nlsh_searcher *searcher;
    struct nlsh_search_options options;
};

static enum nlsh_status nlsh_answer(void *ctx, const struct nlsh_matrix *some, size_t k,
                                    uint64_t *keys, float *distances,
                                    struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    struct nlsh_ctx *c = ctx;
    c->options.k = k;
    return nlsh_search(c->searcher, some, &c->options, keys, distances, stats, error);
}

static int nlsh_rows(struct bench *b, struct nlsh_ctx *c, const struct bench_method *m)
{
    double t[max_list], recall[max_list];
    char setting[48];
    size_t n_t = args_list(b->args, "T", t, max_list);
    size_t n_recall = args_list(b->args, "recall", recall, max_list);
    bench_stage(b, "Neural LSH", (uint64_t)(n_t + n_recall) * b->queries.matrix.n_rows);
    c->options.probes = 1;
    int code = bench_warm(b, m);
    for (size_t i = 0; i < n_t && code == 0; i++) {
        if (t[i] > (double)b->info.n_buckets) continue;
        c->options.probes = t[i];
        t_text(t[i], setting);
        code = bench_row(b, m, SIZE_MAX, setting);
    }
    c->options.probes = 0;
    for (size_t i = 0; i < n_recall && code == 0; i++) {
        c->options.recall = recall[i];
        snprintf(setting, sizeof setting, "recall %g", recall[i]);
        code = bench_row(b, m, SIZE_MAX, setting);
    }
    return code;
}

static int run_nlsh(struct bench *b)
{
    struct nlsh_error error = {0};
    struct nlsh_ctx c;
    struct bench_method m = {.name = "Neural LSH",
                             .answer = nlsh_answer,
                             .ctx = &c,
                             .build_seconds = b->index_seconds,
                             .bytes = b->info.size_bytes};
    nlsh_search_options_init(&c.options, sizeof c.options);
    if (nlsh_searcher_create(b->index, &c.searcher, &error) != NLSH_OK) return talk_failed(&error);
    int code = nlsh_rows(b, &c, &m);
    nlsh_searcher_free(c.searcher);
    return code;
}

const struct bench_kind bench_kinds[] = {{"brute", false, run_brute},
                                         {"lsh", false, run_lsh},
                                         {"hypercube", false, run_hypercube},
                                         {"ivfflat", false, run_ivfflat},
                                         {"ivfpq", false, run_ivfpq},
                                         {"routed", true, run_routed},
                                         {"nlsh", true, run_nlsh}};
const size_t n_bench_kinds = sizeof bench_kinds / sizeof bench_kinds[0];
