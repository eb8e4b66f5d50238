/*
 * peers.c - searches through filters beside other libraries, for docs/recall.md.
 *
 *   ninja -C build/bench bench_filter_peers peer_faiss peer_hnswlib
 *   build/bench/bench_filter_peers --index my.nlsh --set QUERIES [--labels FILE] [--queries N] [--cache FOLDER]
 *       build/bench/peer_faiss.so build/bench/peer_hnswlib.so
 *
 * The base is that of the index. Filters: 50, 10, 1 and .1 % by chance; with labels (as bench_filters has them) the
 * rows of a label, and all but those, for two labels each. k = 10. Ours is asked for a recall and says what came
 * back. Each other library's number of lists or length of its list of candidates is raised until it reaches as much
 * on these very queries; where it never does, it is said. Queries a second of processor time, on one thread, all in
 * one call; what a filter costs beforehand stands apart, in milliseconds.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common.h"
#include "base/matrix.h"
#include "base/rng.h"
#include "nlsh/learn.h"
#include "peer.h"

enum { K = 10, MOST_PEERS = 8, TURNS = 2 };

static const double shares[] = {.5, .1, .01, .001};
static const double recalls[] = {.9, .95, .99};
enum { SHARES = 4, RECALLS = 3 };
/* A peer that takes longer for a pass is not raised any further. */
#define MOST_SECONDS 10.0

static struct {
    const char *index, *set, *labels, *cache;
    size_t n_queries;
} g = {.n_queries = 1000, .cache = "."};

struct other {
    const struct peer *peer;
    void *index;
    char build[64];
};

struct asked {
    const struct nlsh_index *index;
    struct nlsh_searcher_pool *pool;
    const struct nlsh_matrix *base, *queries;
    struct peer_data rows, asks;
    enum nlsh_metric metric;
    uint8_t *labels;
    struct other others[MOST_PEERS];
    size_t n_others;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- filters --------------------------------------------------------------------------------- */

struct filter {
    const char *name;
    double share;
    uint64_t *bits;
    size_t n;
    struct nlsh_neighbors truth;
};

/* share: NAN with labels, of a row's label or of all others. */
static void choose(const struct asked *a, double share, int others, size_t turn, struct filter *f)
{
    struct nlsh__rng rng;
    size_t n = a->base->n_rows, row_bytes = nlsh__row_bytes(a->base);
    nlsh__rng_init(&rng, 11, turn);
    uint8_t label = a->labels != NULL ? a->labels[nlsh__rng_below(&rng, n)] : 0;
    *f = (struct filter){.name = isnan(share) ? others ? "not-label" : "label" : "chance",
                         .share = share,
                         .bits = room(n / 64 + 1, sizeof *f->bits)};
    uint64_t *rows = room(n, sizeof *rows);
    char *vectors = room(n, row_bytes);
    for (size_t i = 0; i < n; i++) {
        int in = isnan(share) ? (a->labels[i] == label) != others : nlsh__rng_uniform(&rng) < share;
        if (!in) continue;
        f->bits[i / 64] |= UINT64_C(1) << i % 64;
        memcpy(vectors + f->n * row_bytes, (const char *)a->base->data + i * row_bytes, row_bytes);
        rows[f->n++] = i;
    }
    struct nlsh_error error;
    const struct nlsh_matrix allowed = {vectors, f->n, a->base->dim, a->base->type, 0};
    nlsh_neighbors_init(&f->truth, sizeof f->truth);
    must(nlsh_ground_truth(&allowed, a->queries, a->metric, K, NULL, &f->truth, &error), &error);
    for (size_t i = 0; i < f->truth.n_rows * K; i++) f->truth.ids[i] = rows[f->truth.ids[i]];
    free(rows);
    free(vectors);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static double l2sq(const struct asked *a, size_t query, uint32_t row)
{
    double sum = 0;
    const float *x = a->asks.rows + query * a->asks.dim, *y = a->rows.rows + row * a->rows.dim;
    for (size_t d = 0; d < a->asks.dim; d++) {
        double off = (double)x[d] - (double)y[d];
        sum += off * off;
    }
    return sum;
}

/* By distance: of rows that are as far as the last true one each counts. */
static double recall_of(const struct asked *a, const struct filter *f, const uint32_t *ids)
{
    size_t found = 0;
    for (size_t q = 0; q < a->queries->n_rows; q++) {
        double last = l2sq(a, q, (uint32_t)f->truth.ids[q * K + K - 1]) * (1 + 1e-6);
        for (size_t j = 0; j < K; j++) {
            uint32_t id = ids[q * K + j];
            found +=
                id != UINT32_MAX && (f->bits[id / 64] >> id % 64 & 1) && l2sq(a, q, id) <= last;
        }
    }
    return (double)found / (double)(a->queries->n_rows * K);
}

static void print(const struct filter *f, const char *method, const char *setting, double asked,
                  double reached, double qps, double before)
{
    printf("%s,%g,%zu,%s,%s,%g,%.4f,%.0f,%.1f\n", f->name, f->share, f->n, method, setting, asked,
           reached, qps, before * 1e3);
    fflush(stdout);
}

static void ask_ours(const struct asked *a, const struct filter *f, double reached[RECALLS])
{
    struct nlsh_error error;
    struct nlsh_search_options options;
    struct nlsh_counted_filter *counted;
    size_t n = a->queries->n_rows;
    uint64_t *keys = room(n * K, sizeof *keys);
    uint32_t *ids = room(n * K, sizeof *ids);
    const struct nlsh_filter filter = {.bits = f->bits, .n_bits = a->base->n_rows};
    double begin = seconds();
    must(nlsh_counted_filter_create(a->index, &filter, &counted, &error), &error);
    must(nlsh_counted_filter_fit(counted, &error), &error);
    double before = seconds() - begin;
    nlsh_search_options_init(&options, sizeof options);
    options.k = K;
    options.counted = counted;
    for (size_t r = 0; r < RECALLS; r++) {
        options.recall = recalls[r];
        double least = INFINITY;
        for (size_t pass = 0; pass < 3; pass++) {
            begin = seconds();
            must(nlsh_searcher_pool_search(a->pool, a->queries, &options, keys, NULL, NULL, &error),
                 &error);
            least = fmin(least, seconds() - begin);
        }
        for (size_t i = 0; i < n * K; i++)
            ids[i] = keys[i] == NLSH_NO_KEY ? UINT32_MAX : (uint32_t)keys[i];
        reached[r] = recall_of(a, f, ids);
        print(f, "nlsh", "", recalls[r], reached[r], (double)n / least, before);
    }
    nlsh_counted_filter_free(counted);
    free(keys);
    free(ids);
}

/* Settings rise by a quarter; the first that reaches as much as was asked of ours is told. */
static void ask_other(const struct asked *a, const struct other *o, const struct filter *f)
{
    size_t n = a->queries->n_rows, r = 0;
    uint32_t *ids = room(n * K, sizeof *ids);
    double begin = seconds(), took = 0, recall = 0;
    char setting[64] = "";
    o->peer->filter(o->index, f->bits, a->base->n_rows);
    double before = seconds() - begin;
    /* a list of candidates is never shorter than k */
    size_t first = strcmp(o->peer->knob, "ef=") == 0 ? K : 1;
    for (size_t knob = first; knob <= 65536 && r < RECALLS && took < MOST_SECONDS;
         knob += knob / 4 + 1) {
        snprintf(setting, sizeof setting, "%s%zu", o->peer->knob, knob);
        o->peer->set(o->index, K, setting);
        begin = seconds();
        o->peer->search(o->index, &a->asks, 0, n, K, 1, ids);
        took = seconds() - begin;
        recall = recall_of(a, f, ids);
        for (; r < RECALLS && recall >= recalls[r]; r++)
            print(f, o->peer->name, setting, recalls[r], recall, (double)n / took, before);
    }
    for (; r < RECALLS; r++) /* never reached */
        print(f, o->peer->name, setting, recalls[r], recall, NAN, before);
    free(ids);
}

static void tell(const struct asked *a, double share, int others)
{
    for (size_t turn = 0; turn < TURNS; turn++) {
        struct filter f;
        double reached[RECALLS];
        choose(a, share, others, turn, &f);
        ask_ours(a, &f, reached);
        for (size_t i = 0; i < a->n_others; i++) ask_other(a, &a->others[i], &f);
        nlsh_neighbors_free(&f.truth);
        free(f.bits);
    }
}

/* ---- what is asked --------------------------------------------------------------------------- */

static struct peer_data floats_of(const struct nlsh_matrix *m)
{
    float *floats = room(m->n_rows * m->dim, sizeof *floats);
    for (size_t i = 0; i < m->n_rows; i++)
        nlsh__row_to_f32(nlsh__row(m, i), m->type, m->dim, floats + i * m->dim);
    return (struct peer_data){floats, NULL, m->n_rows, m->dim};
}

static void open_others(struct asked *a, const char *file)
{
    const struct peer *(*peers)(void) = NULL;
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library != NULL) *(void **)&peers = dlsym(library, "nlsh_bench_peers");
    if (peers == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    for (const struct peer *p = peers(); p->name != NULL && a->n_others < MOST_PEERS; p++) {
        char cache[1024];
        struct other *o = &a->others[a->n_others];
        if (p->filter == NULL) continue;
        o->peer = p;
        snprintf(o->build, sizeof o->build, "%s", p->build(&a->rows, 0, 0));
        snprintf(cache, sizeof cache, "%s/filter-%s-%zu.index", g.cache, p->name, a->rows.n_rows);
        for (char *c = cache; *c != '\0'; c++)
            if (*c == ' ') *c = '_';
        o->index = p->open(&a->rows, o->build, cache);
        if (o->index == NULL) exit(1);
        printf("# %s %s, %s\n", p->name, p->version, o->build);
        a->n_others++;
    }
}

/* The last n bytes of a file. */
static uint8_t *read_labels(const char *path, size_t n)
{
    uint8_t *labels = room(n, 1);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, -(long)n, SEEK_END) != 0 || fread(labels, 1, n, file) != n) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return labels;
}

static void run(char **libraries, size_t n)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    struct nlsh_vectors *queries, *base;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    must(nlsh_index_open(g.index, NULL, &index, &error), &error);
    must(nlsh_index_info(index, &info, &error), &error);
    must(nlsh_vectors_read(g.set, NLSH_FORMAT_AUTO, &queries, &error), &error);
    must(nlsh_index_vectors(index, &base, &error), &error);
    struct nlsh_matrix view = *nlsh_vectors_matrix(queries);
    if (view.n_rows > g.n_queries) view.n_rows = g.n_queries;
    struct asked a = {.index = index,
                      .base = nlsh_vectors_matrix(base),
                      .queries = &view,
                      .rows = floats_of(nlsh_vectors_matrix(base)),
                      .asks = floats_of(&view),
                      .metric = info.metric};
    if (g.labels != NULL) a.labels = read_labels(g.labels, info.n_rows);
    must(nlsh_searcher_pool_create(index, 1, &a.pool, &error), &error);
    for (size_t i = 0; i < n; i++) open_others(&a, libraries[i]);
    printf("filter,share,allowed,method,setting,asked,reached,qps,before_ms\n");
    for (size_t s = 0; s < SHARES; s++) tell(&a, shares[s], 0);
    for (int others = 0; others < 2 && a.labels != NULL; others++) tell(&a, NAN, others);
    for (size_t i = 0; i < a.n_others; i++) a.others[i].peer->close(a.others[i].index);
    nlsh_searcher_pool_free(a.pool);
    nlsh_vectors_free(base);
    nlsh_vectors_free(queries);
    nlsh_index_close(index);
    free((void *)a.rows.rows);
    free((void *)a.asks.rows);
    free(a.labels);
}

int main(int argc, char **argv)
{
    static const struct option flags[] = {
        {"index", required_argument, NULL, 'i'},  {"set", required_argument, NULL, 'q'},
        {"labels", required_argument, NULL, 'l'}, {"queries", required_argument, NULL, 'n'},
        {"cache", required_argument, NULL, 'c'},  {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", flags, NULL)) != -1;) switch (c) {
        case 'i': g.index = optarg; break;
        case 'q': g.set = optarg; break;
        case 'l': g.labels = optarg; break;
        case 'n': g.n_queries = strtoul(optarg, NULL, 10); break;
        case 'c': g.cache = optarg; break;
        default: return 2;
        }
    if (g.index == NULL || g.set == NULL) {
        fprintf(stderr, "--index FILE --set FILE are needed\n");
        return 2;
    }
    run(argv + optind, (size_t)(argc - optind));
    return 0;
}
