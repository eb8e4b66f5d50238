/*
 * many.c - bench_many: some 65,000 small buckets that a network chooses among, beside an index's own leaves.
 *
 *   bench_many INDEX GRAPH QUERIES [EPOCHS [HOW MANY QUERIES [components]]]
 *   bench_many sift.nlsh sift20.ivecs sift_query.bvecs 1 2000
 *
 * INDEX has leaves, by l2. GRAPH has the neighbours of its vectors (nlsh graph --knn 10 or more). The small buckets are the
 * leaves of the index, 16 vectors each, and the large ones its buckets. A search of the index chooses leaves by distances.
 * Here a network does: by a softmax over the large buckets, and one over the small buckets of each large one (Goodman,
 * "Classes for fast maximum entropy training", 2001). All small buckets stand in one order, by the product of both.
 *
 * The first softmax is the index's router. The second sees that network's last hidden layer and the principal components;
 * with the word components it sees these alone. It begins as a softmax of squared distances to the means of the small
 * buckets: it starts with what geometry knows. Then it learns which small buckets hold the neighbours of the rows that
 * taught the router. The loss of the product needs only the small buckets beside a row's neighbours, so no other is
 * computed. AdamW moves only weights that have a gradient.
 *
 * After each epoch, and before the first, there is a line for each recall of 10 neighbours. Factor f: a large bucket is
 * asked where its probability is above f times the threshold for a product. Then: the vectors in the small buckets above
 * that threshold, which are to be scanned; the outputs of the second softmax that are computed; the large buckets that are
 * asked. Figures are interpolated between thresholds a twelfth of an octave apart, and are of exact distances: what codes
 * lose comes on top. What the index itself needs: bench_lost, nlsh evaluate.
 */
#include <math.h>
#include <string.h>
#include <time.h>

#include "../common.h"
#include "base/rng.h"
#include "index/index.h"
#include "kernels/kernels.h"
#include "linalg/gemm.h"
#include "make/merged.h"
#include "nlsh/learn.h"
#include "router/ask.h"
#include "router/train/export.h"
#include "router/train/train.h"

enum {
    K = 10,
    KNN = 10, /* nearest neighbours that teach */
    LEAF = 16,
    BATCH = 2048,
    HELD = 2000, /* rows that did not teach, for the loss */
    ASKED = 256, /* queries at once */
    OCTAVES = 16,
    OCTAVE = 12, /* thresholds in an octave */
    BINS = OCTAVES * OCTAVE
};

#define RATE .003 /* of learning, at most */

static const double recalls[] = {.9, .95, .99};
static const double factors[] = {1, 4, 16};
enum { N_RECALLS = 3, N_FACTORS = 3 };

/* The second softmax's part of a large bucket. */
struct head {
    uint32_t first, n;                      /* small buckets */
    float *weights, *first_moment, *second; /* [n x width], the last column is the bias */
    uint64_t step;
};

/* A row and a large bucket in which neighbours of it lie. */
struct pair {
    uint32_t row, large; /* row of the batch */
    uint32_t n, labels[KNN];
};

static struct {
    struct nlsh_index *index;
    struct nlsh_matrix queries;
    size_t n, m, n_small;            /* rows, large buckets, small buckets */
    uint32_t *place_of, *small_of;   /* [n] of a row; of a place */
    uint32_t *large_of, *small_rows; /* [n_small] */
    float *inputs;                   /* [n x p] by row */
    uint32_t *near;                  /* [n x knn] by row: the small buckets of its neighbours */
    size_t knn, p, hidden, width;    /* of neighbours; of what heads see: components, nodes, all */
    size_t from;                     /* the last layer's first large bucket */
    struct nlsh__mlp mlp;
    struct head *heads;
} g;

/* Of a batch. */
static struct {
    float *layers[NLSH__MAX_LAYERS + 1];
    struct pair *pairs; /* by large bucket */
    struct pair *unsorted;
    size_t n_pairs, *begins;      /* [m + 1] */
    float *x, *logits, *gradient; /* of a head */
} b;

static double processor_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void gemm(int ta, int tb, size_t m, size_t n, size_t k, const float *a, size_t lda,
                 const float *w, size_t ldb, float beta, float *c, size_t ldc)
{
    struct nlsh_error error;
    must(nlsh__gemm(ta, tb, m, n, k, a, lda, w, ldb, beta, c, ldc, &error), &error);
}

/* ---- what is there ------------------------------------------------------------------------------ */

static void find_small(void)
{
    const struct nlsh__segment *s = &g.index->segments[0];
    g.m = g.index->meta.n_buckets;
    g.n = s->n_rows;
    g.heads = room(g.m, sizeof *g.heads);
    g.small_of = room(g.n, sizeof *g.small_of);
    g.place_of = room(g.n, sizeof *g.place_of);
    g.large_of = room(g.n / LEAF + g.m + 1, sizeof *g.large_of);
    g.small_rows = room(g.n / LEAF + g.m + 1, sizeof *g.small_rows);
    for (size_t l = 0; l < g.m; l++) {
        g.heads[l].first = (uint32_t)g.n_small;
        for (uint32_t place = s->bucket_offsets[l]; place < s->bucket_offsets[l + 1]; place++) {
            if ((place - s->bucket_offsets[l]) % LEAF == 0) g.large_of[g.n_small++] = (uint32_t)l;
            g.small_of[place] = (uint32_t)g.n_small - 1;
            g.small_rows[g.n_small - 1]++;
            g.place_of[s->rows[place]] = place;
        }
        g.heads[l].n = (uint32_t)g.n_small - g.heads[l].first;
    }
}

static void read_graph(const char *path)
{
    struct nlsh_error error;
    struct nlsh_neighbors graph;
    nlsh_neighbors_init(&graph, sizeof graph);
    must(nlsh_neighbors_read(path, &graph, &error), &error);
    if (graph.n_rows != g.n || graph.k == 0) {
        fprintf(stderr, "%s: not a graph of the vectors of that index\n", path);
        exit(1);
    }
    g.knn = graph.k < KNN ? graph.k : KNN;
    g.near = room(g.n * g.knn, sizeof *g.near);
    for (size_t i = 0; i < g.n; i++)
        for (size_t j = 0; j < g.knn; j++)
            g.near[i * g.knn + j] = g.small_of[g.place_of[graph.ids[i * graph.k + j]]];
    nlsh_neighbors_free(&graph);
}

static void see_rows(void)
{
    struct nlsh_error error;
    struct nlsh__asker asker;
    const struct nlsh__segment *s = &g.index->segments[0];
    const struct nlsh_matrix rows = {s->vectors, g.n, g.index->meta.dim, nlsh__index_form(g.index),
                                     0};
    must(nlsh__asker_create(g.index->router, &asker, &error), &error);
    g.p = nlsh__router_n_inputs(g.index->router);
    g.inputs = room(g.n * g.p, sizeof *g.inputs);
    for (size_t place = 0; place < g.n; place++) {
        (void)nlsh__ask_row(&asker, &rows, place);
        memcpy(g.inputs + s->rows[place] * g.p, asker.inputs, g.p * sizeof(float));
    }
    nlsh__asker_free(&asker);
}

/* components: heads see no more than these. */
static void import_router(int components)
{
    struct nlsh_error error;
    struct nlsh__merged sections = {0};
    struct nlsh__groups groups;
    must(nlsh__merged_keep(g.index, NLSH__SECTION_ROUTER, &sections, &error), &error);
    must(nlsh__router_import(sections.of[0].data, &g.mlp, &groups, &error), &error);
    g.from = groups.n;
    g.hidden = components ? 0 : g.mlp.sizes[g.mlp.n_layers - 1];
    g.width = g.hidden + g.p + 1;
}

static void make_scratch(void)
{
    size_t most = 1;
    for (size_t l = 0; l < g.m; l++)
        if (g.heads[l].n > most) most = g.heads[l].n;
    for (size_t l = 0; l <= g.mlp.n_layers; l++) {
        b.layers[l] = room(BATCH * g.mlp.sizes[l], sizeof(float));
    }
    b.pairs = room(BATCH * KNN, sizeof *b.pairs);
    b.unsorted = room(BATCH * KNN, sizeof *b.unsorted);
    b.begins = room(g.m + 2, sizeof *b.begins);
    b.x = room(BATCH * g.width, sizeof(float));
    b.logits = room(BATCH * most, sizeof(float));
    b.gradient = room(most * g.width, sizeof(float));
}

/* Heads that answer with a softmax of -sharpness |x - mean|^2. */
static void begin_heads(double sharpness)
{
    const struct nlsh__segment *s = &g.index->segments[0];
    for (size_t l = 0; l < g.m; l++) {
        struct head *h = &g.heads[l];
        size_t size = h->n * g.width;
        if (h->weights == NULL) {
            h->weights = room(size, sizeof(float));
            h->first_moment = room(size, sizeof(float));
            h->second = room(size, sizeof(float));
        }
        for (size_t i = 0; i < h->n; i++) {
            float *w = h->weights + i * g.width;
            size_t place = s->bucket_offsets[l] + i * LEAF, n = g.small_rows[h->first + i];
            double norm = 0;
            for (size_t d = 0; d < g.p; d++) {
                double mean = 0;
                for (size_t r = 0; r < n; r++)
                    mean += (double)g.inputs[s->rows[place + r] * g.p + d] / (double)n;
                w[g.hidden + d] = (float)(2 * sharpness * mean);
                norm += mean * mean;
            }
            w[g.hidden + g.p] = (float)(-sharpness * norm);
        }
    }
}

/* ---- forward ------------------------------------------------------------------------------------ */

/* n rows of b.layers[0] through layers of the network; the last without the groups' outputs. */
static void forward(size_t n, size_t layers)
{
    for (size_t l = 0; l < layers; l++) {
        int hidden = l + 1 < g.mlp.n_layers;
        size_t from = g.mlp.sizes[l], to = g.mlp.sizes[l + 1], skip = hidden ? 0 : g.from;
        float *out = b.layers[l + 1];
        gemm(0, 1, n, to - skip, from, b.layers[l], from, g.mlp.weights[l] + skip * from, from, 0,
             out, to);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < to - skip; j++) {
                float v = out[i * to + j] + g.mlp.biases[l][skip + j];
                out[i * to + j] = hidden && v < 0 ? 0 : v;
            }
    }
}

/* Logits to probabilities; returns the logarithm of their sum. */
static double softmax(float *x, size_t n)
{
    return (double)nlsh__kernels()->softmax_f32(x, n);
}

/* What a head sees of row i of the batch. */
static void see(size_t i, float *x)
{
    memcpy(x, b.layers[g.mlp.n_layers - 1] + i * g.hidden, g.hidden * sizeof *x);
    memcpy(x + g.hidden, b.layers[0] + i * g.p, g.p * sizeof *x);
    x[g.hidden + g.p] = 1;
}

/* ---- learning ----------------------------------------------------------------------------------- */

static void pair_up(const uint32_t *rows, size_t n)
{
    size_t n_pairs = 0;
    memset(b.begins, 0, (g.m + 2) * sizeof *b.begins);
    for (size_t i = 0; i < n; i++) {
        size_t first = n_pairs;
        for (size_t j = 0; j < g.knn; j++) {
            uint32_t small = g.near[rows[i] * g.knn + j];
            size_t at = first;
            while (at < n_pairs && b.unsorted[at].large != g.large_of[small]) at++;
            if (at == n_pairs) {
                b.unsorted[n_pairs++] =
                    (struct pair){.row = (uint32_t)i, .large = g.large_of[small]};
                b.begins[g.large_of[small] + 2]++;
            }
            struct pair *p = &b.unsorted[at];
            p->labels[p->n++] = small - g.heads[p->large].first;
        }
    }
    for (size_t l = 0; l < g.m; l++) b.begins[l + 2] += b.begins[l + 1];
    for (size_t i = 0; i < n_pairs; i++)
        b.pairs[b.begins[b.unsorted[i].large + 1]++] = b.unsorted[i];
    b.n_pairs = n_pairs;
}

/* Loss of a head over its pairs; learning: it takes a step. */
static double head_loss(size_t l, size_t n, double lr, int learning)
{
    struct head *h = &g.heads[l];
    const struct pair *pairs = b.pairs + b.begins[l];
    size_t n_pairs = b.begins[l + 1] - b.begins[l];
    double loss = 0;
    if (n_pairs == 0) return 0;
    for (size_t i = 0; i < n_pairs; i++) see(pairs[i].row, b.x + i * g.width);
    gemm(0, 1, n_pairs, h->n, g.width, b.x, g.width, h->weights, g.width, 0, b.logits, h->n);
    for (size_t i = 0; i < n_pairs; i++) {
        float *x = b.logits + i * h->n;
        const struct pair *p = &pairs[i];
        double wanted = 0, share = (double)p->n / (double)g.knn;
        for (size_t j = 0; j < p->n; j++) wanted += (double)x[p->labels[j]] / (double)g.knn;
        loss += softmax(x, h->n) * share - wanted;
        for (size_t j = 0; j < h->n; j++) x[j] *= (float)share;
        for (size_t j = 0; j < p->n; j++) x[p->labels[j]] -= 1 / (float)g.knn;
    }
    if (!learning) return loss;
    gemm(1, 0, h->n, g.width, n_pairs, b.logits, h->n, b.x, g.width, 0, b.gradient, g.width);
    for (size_t i = 0; i < h->n * g.width; i++) b.gradient[i] /= (float)n;
    nlsh__adamw(h->weights, b.gradient, h->first_moment, h->second, h->n * g.width, ++h->step, lr,
                0);
    return loss;
}

/* Summed loss of rows. */
static double run_batch(const uint32_t *rows, size_t n, double lr, int learning)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++)
        memcpy(b.layers[0] + i * g.p, g.inputs + rows[i] * g.p, g.p * sizeof(float));
    forward(n, g.mlp.n_layers - 1);
    pair_up(rows, n);
    for (size_t l = 0; l < g.m; l++) loss += head_loss(l, n, lr, learning);
    return loss;
}

static double held_loss(void)
{
    size_t n = g.index->meter.n < HELD ? g.index->meter.n : HELD;
    double loss = 0;
    for (size_t i = 0; i < n; i += BATCH)
        loss += run_batch(g.index->untaught + i, n - i < BATCH ? n - i : BATCH, 0, 0);
    return loss / (double)n;
}

static void choose_sharpness(void)
{
    double best = INFINITY, at = 0;
    for (double sharpness = 1.0 / 64; sharpness <= 256; sharpness *= 2) {
        begin_heads(sharpness);
        double loss = held_loss();
        if (loss >= best) continue;
        best = loss;
        at = sharpness;
    }
    begin_heads(at);
}

/* ---- what it finds ------------------------------------------------------------------------------ */

/* Sums over queries by the bin of the highest threshold that still takes something. */
struct tally {
    double hits[BINS], scanned[BINS], outputs[BINS], large[BINS];
};

static size_t bin_of(double p)
{
    double bin = -log2(p) * OCTAVE;
    return bin <= 0 ? 0 : bin >= BINS - 1 ? BINS - 1 : (size_t)bin;
}

/* hits [small] of query i of the batch. */
static void tally_query(size_t i, const uint32_t *truth, struct tally tallies[N_FACTORS])
{
    const float *p = b.layers[g.mlp.n_layers] + i * g.mlp.sizes[g.mlp.n_layers];
    for (size_t l = 0; l < g.m; l++) {
        const struct head *h = &g.heads[l];
        if (bin_of((double)p[l]) == BINS - 1) continue;
        see(i, b.x);
        gemm(0, 1, 1, h->n, g.width, b.x, g.width, h->weights, g.width, 0, b.logits, h->n);
        (void)softmax(b.logits, h->n);
        for (size_t f = 0; f < N_FACTORS; f++) {
            double asked = (double)p[l] / factors[f];
            tallies[f].outputs[bin_of(asked)] += h->n;
            tallies[f].large[bin_of(asked)]++;
            for (size_t j = 0; j < h->n; j++) {
                size_t rows = g.small_rows[h->first + j];
                double each = (double)p[l] * (double)b.logits[j] * LEAF / (double)rows;
                tallies[f].scanned[bin_of(fmin(each, asked))] += (double)rows;
            }
            for (size_t j = 0; j < K; j++) {
                if (g.large_of[truth[j]] != l) continue;
                size_t small = truth[j] - h->first, rows = g.small_rows[truth[j]];
                double each = (double)p[l] * (double)b.logits[small] * LEAF / (double)rows;
                tallies[f].hits[bin_of(fmin(each, asked))]++;
            }
        }
    }
}

static void print_tally(const struct tally *t, double n, size_t epoch, double factor)
{
    double found = 0, scanned = 0, outputs = 0, large = 0;
    size_t next = 0;
    for (size_t bin = 0; bin + 1 < BINS && next < N_RECALLS; bin++) {
        double hits = t->hits[bin] / n / K;
        while (next < N_RECALLS && found + hits >= recalls[next]) {
            double part = (recalls[next] - found) / hits;
            printf("%zu,%.2f,%g,%.0f,%.0f,%.1f\n", epoch, recalls[next++], factor,
                   scanned + part * t->scanned[bin] / n, outputs + part * t->outputs[bin] / n,
                   large + part * t->large[bin] / n);
        }
        found += hits;
        scanned += t->scanned[bin] / n;
        outputs += t->outputs[bin] / n;
        large += t->large[bin] / n;
    }
}

static void measure(size_t epoch, const struct nlsh_neighbors *truth)
{
    struct nlsh_error error;
    struct nlsh__asker asker;
    struct tally *tallies = room(N_FACTORS, sizeof *tallies);
    size_t layers = g.mlp.n_layers, ld = g.mlp.sizes[layers];
    must(nlsh__asker_create(g.index->router, &asker, &error), &error);
    for (size_t first = 0; first < g.queries.n_rows; first += ASKED) {
        size_t left = g.queries.n_rows - first, n = left < ASKED ? left : ASKED;
        for (size_t i = 0; i < n; i++) {
            (void)nlsh__ask_row(&asker, &g.queries, first + i);
            memcpy(b.layers[0] + i * g.p, asker.inputs, g.p * sizeof(float));
        }
        forward(n, layers);
        for (size_t i = 0; i < n; i++) {
            uint32_t small[K];
            for (size_t j = 0; j < K; j++) small[j] = g.small_of[truth->ids[(first + i) * K + j]];
            (void)softmax(b.layers[layers] + i * ld, g.m);
            tally_query(i, small, tallies);
        }
    }
    for (size_t f = 0; f < N_FACTORS; f++)
        print_tally(&tallies[f], (double)g.queries.n_rows, epoch, factors[f]);
    fflush(stdout);
    nlsh__asker_free(&asker);
    free(tallies);
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static size_t rows_to_learn(uint32_t *out)
{
    size_t n = 0, held = 0;
    for (uint32_t row = 0; row < g.n; row++) {
        if (held < g.index->meter.n && g.index->untaught[held] == row)
            held++;
        else
            out[n++] = row;
    }
    return n;
}

static void learn(size_t epochs, const struct nlsh_neighbors *truth)
{
    uint32_t *order = room(g.n, sizeof *order);
    size_t n = rows_to_learn(order), steps = (n + BATCH - 1) / BATCH, done = 0;
    double used = 0;
    fprintf(stderr, "epoch 0: held-out loss %.3f\n", held_loss());
    measure(0, truth);
    for (size_t epoch = 1; epoch <= epochs; epoch++) {
        struct nlsh__rng rng;
        double loss = 0, start = processor_time();
        nlsh__rng_init(&rng, 1, epoch);
        nlsh__rng_shuffle(&rng, order, n);
        for (size_t i = 0; i < n; i += BATCH, done++)
            loss +=
                run_batch(order + i, n - i < BATCH ? n - i : BATCH,
                          RATE * nlsh__schedule(NLSH_SCHEDULER_COSINE, done, steps * epochs), 1);
        used += processor_time() - start;
        fprintf(stderr, "epoch %zu: loss %.3f, held-out %.3f, %.0f s of processor time\n", epoch,
                loss / (double)n, held_loss(), used);
        measure(epoch, truth);
    }
    free(order);
}

int main(int argc, char **argv)
{
    struct nlsh_error error;
    struct nlsh_vectors *read;
    struct nlsh_neighbors truth;
    struct nlsh_run run;
    if (argc < 4) {
        fprintf(stderr,
                "bench_many INDEX GRAPH QUERIES [EPOCHS [HOW MANY QUERIES [components]]]\n");
        return 2;
    }
    nlsh_run_init(&run, sizeof run);
    run.n_threads = 1;
    must(nlsh_index_open(argv[1], NULL, &g.index, &error), &error);
    must(nlsh_vectors_read(argv[3], NLSH_FORMAT_AUTO, &read, &error), &error);
    g.queries = *nlsh_vectors_matrix(read);
    if (argc > 5 && strtoull(argv[5], NULL, 10) < g.queries.n_rows)
        g.queries.n_rows = strtoull(argv[5], NULL, 10);
    find_small();
    read_graph(argv[2]);
    see_rows();
    import_router(argc > 6 && strcmp(argv[6], "components") == 0);
    make_scratch();
    const struct nlsh__segment *s = &g.index->segments[0];
    const struct nlsh_matrix base = {s->vectors, g.n, g.index->meta.dim, g.index->meta.storage_type,
                                     0};
    nlsh_neighbors_init(&truth, sizeof truth);
    must(nlsh_ground_truth(&base, &g.queries, NLSH_L2, K, &run, &truth, &error), &error);
    fprintf(stderr, "%zu vectors, %zu large buckets, %zu small ones\n", g.n, g.m, g.n_small);
    choose_sharpness();
    printf("epoch,recall,factor,scanned,outputs,large buckets asked\n");
    learn(argc > 4 ? strtoull(argv[4], NULL, 10) : 3, &truth);
    nlsh_index_close(g.index);
    nlsh_vectors_free(read);
    return 0;
}
