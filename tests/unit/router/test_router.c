/*
 * test_router.c - what serves answers as what was trained, on every instruction set; and a blob
 * that is not one is refused, whatever its header says.
 */
#include "testing.h"

#include <math.h>

#include "base/memory.h"
#include "router/ask.h"
#include "router/router.h"
#include "router/train/export.h"
#include "support/network.h"
#include "support/tables.h"

struct served {
    struct nlsh__mlp mlp;
    struct nlsh__projection projection;
    void *bytes;
    size_t size;
    struct nlsh__groups groups;
    uint32_t first[8];
};

/* A network with random weights and biases behind components (0: none) of dim, its buckets in
 * groups (0: none). */
static struct served served_grouped(size_t dim, size_t components, size_t hidden, size_t nodes,
                                    size_t m, size_t n_groups, uint64_t stream)
{
    struct served s = {0};
    struct nlsh__rng rng;
    test_rng(&rng, stream);
    assert_true(n_groups < 8);
    for (size_t g = 0; g <= n_groups; g++)
        s.first[g] = (uint32_t)(g == n_groups   ? m
                                : n_groups == 0 ? 0
                                                : g * g * m / (n_groups * n_groups) + g);
    s.groups = (struct nlsh__groups){n_groups, s.first};
    size_t in = components > 0 ? components : dim;
    s.projection = (struct nlsh__projection){.dim = dim, .n_components = in, .scale = 0.37f};
    assert_int_equal(nlsh__alloc(&s.projection.mean, dim, sizeof(float), NULL), NLSH_OK);
    for (size_t d = 0; d < dim; d++) s.projection.mean[d] = (float)(3 * nlsh__rng_normal(&rng));
    if (components > 0) {
        assert_int_equal(nlsh__alloc(&s.projection.components, in * dim, sizeof(float), NULL),
                         NLSH_OK);
        for (size_t i = 0; i < in * dim; i++)
            s.projection.components[i] = (float)(nlsh__rng_normal(&rng) / sqrt((double)dim));
    }
    assert_int_equal(nlsh__mlp_create(in, hidden, nodes, n_groups + m, stream, &s.mlp, NULL),
                     NLSH_OK);
    for (size_t l = 0; l <= hidden; l++)
        for (size_t j = 0; j < s.mlp.sizes[l + 1]; j++)
            s.mlp.biases[l][j] = (float)nlsh__rng_normal(&rng);
    assert_int_equal(nlsh__router_export(&s.mlp, &s.projection, &s.groups, &s.bytes, &s.size, NULL),
                     NLSH_OK);
    assert_int_equal((uintptr_t)s.bytes % 64, 0);
    s.groups.first = NULL; /* the copy's would point into this one */
    return s;
}

static struct served served_new(size_t dim, size_t components, size_t hidden, size_t nodes,
                                size_t m, uint64_t stream)
{
    return served_grouped(dim, components, hidden, nodes, m, 0, stream);
}

static void served_free(struct served *s)
{
    nlsh__mlp_free(&s->mlp);
    nlsh__projection_free(&s->projection);
    free(s->bytes);
}

static float *floats(size_t n)
{
    float *out;
    assert_int_equal(nlsh__alloc(&out, n, sizeof *out, NULL), NLSH_OK);
    return out;
}

/* ---- what it should answer -------------------------------------------------------------------- */

/* What 127 steps stand for: the largest size of a row's values and of the sums of its pairs. */
static double largest_of(const float *row, size_t n)
{
    double most = 0;
    for (size_t d = 0; d < n; d++) {
        most = fmax(most, fabs((double)row[d]));
        if (d % 2 == 1) most = fmax(most, fabs((double)row[d] + (double)row[d - 1]));
    }
    return most;
}

/* The served network's arithmetic as router.h describes it, in double: each row of weights in 127
 * steps either way, each layer's input in 127 steps either way or, behind ReLU, in 255. */
static void quantised_log_p(const struct nlsh__mlp *mlp, const float *inputs, double *log_p)
{
    double now[512], next[512];
    for (size_t d = 0; d < mlp->sizes[0]; d++) now[d] = (double)inputs[d];
    for (size_t l = 0; l < mlp->n_layers; l++) {
        size_t from = mlp->sizes[l], to = mlp->sizes[l + 1];
        double most = 0, room = l == 0 ? 127 : 255, total = 0;
        assert_true(from <= 512 && to <= 512);
        for (size_t d = 0; d < from; d++) most = fmax(most, fabs(now[d]));
        for (size_t d = 0; d < from && most > 0; d++)
            now[d] = floor(now[d] * room / most + 0.5) * most / room;
        for (size_t r = 0; r < to; r++) {
            const float *row = mlp->weights[l] + r * from;
            double largest = largest_of(row, from);
            next[r] = (double)mlp->biases[l][r];
            for (size_t d = 0; d < from && largest > 0; d++)
                next[r] += rint((double)row[d] * 127 / largest) * largest / 127 * now[d];
            if (l + 1 < mlp->n_layers) next[r] = fmax(next[r], 0);
        }
        memcpy(now, next, to * sizeof *now);
        if (l + 1 < mlp->n_layers) continue;
        most = now[0];
        for (size_t b = 1; b < to; b++) most = fmax(most, now[b]);
        for (size_t b = 0; b < to; b++) total += exp(now[b] - most);
        for (size_t b = 0; b < to; b++) log_p[b] = now[b] - most - log(total);
    }
}

/* What the network should see of a query, within the rounding of floats. */
static void check_projection(const struct nlsh__projection *p, const float *query,
                             const float *inputs)
{
    for (size_t c = 0; c < p->n_components; c++) {
        double sum = 0, size = 0;
        for (size_t d = 0; d < p->dim; d++) {
            double x = (double)query[d] - (double)p->mean[d];
            double w = p->components != NULL ? (double)p->components[c * p->dim + d]
                       : d == c              ? (double)p->scale
                                             : 0;
            sum += w * x;
            size += fabs(w) * (fabs(x) + 2 * fabs((double)p->mean[d]));
        }
        assert_true(fabs(sum - (double)inputs[c]) <= 1e-6 * (1 + size));
    }
}

/* Counted over all queries of a test: in int8 a value now and then lies so near to half a step that
 * float and double round it apart. */
struct tally {
    size_t queries, apart; /* apart by more than float's rounding */
    double distance;       /* from the network in float, summed; total variation */
};

/* Some queries through the blob and through the network in double. */
static void compare(const struct served *s, uint64_t stream, struct tally *tally)
{
    size_t dim = s->projection.dim, m = s->mlp.sizes[s->mlp.n_layers];
    struct nlsh__router *router;
    struct nlsh__rng rng;
    test_rng(&rng, stream);
    assert_int_equal(nlsh__router_open(s->bytes, s->size, dim, m, &router, NULL), NLSH_OK);
    assert_int_equal(nlsh__router_n_buckets(router), m);
    assert_int_equal(nlsh__router_n_inputs(router), s->mlp.sizes[0]);
    size_t projected = s->projection.components != NULL ? s->mlp.sizes[0] * dim : 0;
    assert_int_equal(nlsh__router_n_weights(router), s->mlp.n_parameters + projected);
    assert_true(nlsh__router_output_size(router) >= m);
    float *query = floats(dim), *inputs = floats(nlsh__router_input_size(router));
    float *scratch = floats(nlsh__router_scratch_size(router));
    float *p = floats(nlsh__router_output_size(router));
    float *again = floats(nlsh__router_output_size(router));
    double *log_p = malloc(m * sizeof *log_p), *exact = malloc(m * sizeof *exact);
    double *w = network_doubles(&s->mlp);
    assert_true(log_p && exact);
    for (int q = 0; q < 5; q++) {
        for (size_t d = 0; d < dim; d++)
            query[d] = s->projection.mean[d] + (float)(2 * nlsh__rng_normal(&rng));
        nlsh__router_project(router, query, NULL, inputs);
        check_projection(&s->projection, query, inputs);
        quantised_log_p(&s->mlp, inputs, log_p);
        network_log_p(&s->mlp, w, inputs, exact);
        nlsh__router_forward(router, inputs, scratch, p);
        nlsh__router_forward(router, inputs, scratch, again);
        assert_memory_equal(p, again, m * sizeof *p);
        double total = 0, most = 0, variation = 0;
        for (size_t b = 0; b < m; b++) {
            most = fmax(most, fabs((double)p[b] - exp(log_p[b])));
            variation += fabs((double)p[b] - exp(exact[b])) / 2;
            total += (double)p[b];
        }
        if (!(most <= 0.05)) fail_msg("dim %zu, m %zu: off by %g", dim, m, most);
        assert_float_equal(total, 1, 1e-5);
        tally->queries++;
        tally->apart += most > 1e-5;
        tally->distance += variation;
    }
    free(query);
    free(inputs);
    free(again);
    free(scratch);
    free(p);
    free(log_p);
    free(exact);
    free(w);
    nlsh__router_close(router);
}

static void forward_is_the_trained_network(void **state)
{
    (void)state;
    const size_t dims[] = {1, 2, 15, 16, 17, 100}, ms[] = {1, 2, 15, 16, 17, 130};
    struct tally tally = {0};
    uint64_t stream = 1;
    for (size_t d = 0; d < 6; d++)
        for (size_t b = 0; b < 6; b++)
            for (size_t hidden = 0; hidden <= 2; hidden++, stream++) {
                size_t components = stream % 2 == 0 ? 0 : 1 + (stream * 7) % dims[d];
                struct served s =
                    served_new(dims[d], components, hidden, 1 + stream % 40, ms[b], stream);
                compare(&s, stream, &tally);
                served_free(&s);
            }
    for (size_t hidden = 3; hidden <= 8; hidden++) {
        struct served s = served_new(20, 10, hidden, 33, 50, hidden);
        compare(&s, hidden, &tally);
        served_free(&s);
    }
    struct served s = served_new(300, 64, 2, 256, 512, 99);
    compare(&s, 99, &tally);
    served_free(&s);
    double mean = tally.distance / (double)tally.queries;
    printf("%zu of %zu queries rounded apart; %.4f from the network in float\n", tally.apart,
           tally.queries, mean);
    assert_true(tally.apart <= tally.queries / 20);
    assert_true(mean < 0.02); /* what int8 costs: these networks are wilder than trained ones */
}

/* The same network with some of its outputs only, without groups. */
static struct served served_part(const struct served *whole, size_t output, size_t n)
{
    struct served s = {.projection = whole->projection};
    size_t last = whole->mlp.n_layers - 1, from = whole->mlp.sizes[last];
    assert_int_equal(nlsh__mlp_create(whole->mlp.sizes[0], last, last > 0 ? whole->mlp.sizes[1] : 1,
                                      n, 1, &s.mlp, NULL),
                     NLSH_OK);
    for (size_t l = 0; l < last; l++) {
        memcpy(s.mlp.weights[l], whole->mlp.weights[l],
               whole->mlp.sizes[l] * whole->mlp.sizes[l + 1] * sizeof(float));
        memcpy(s.mlp.biases[l], whole->mlp.biases[l], whole->mlp.sizes[l + 1] * sizeof(float));
    }
    memcpy(s.mlp.weights[last], whole->mlp.weights[last] + output * from, n * from * sizeof(float));
    memcpy(s.mlp.biases[last], whole->mlp.biases[last] + output, n * sizeof(float));
    assert_int_equal(nlsh__router_export(&s.mlp, &s.projection, &s.groups, &s.bytes, &s.size, NULL),
                     NLSH_OK);
    return s;
}

static void forward_of(const struct served *s, size_t dim, size_t m, const float *query, float *out)
{
    struct nlsh__router *router;
    assert_int_equal(nlsh__router_open(s->bytes, s->size, dim, m, &router, NULL), NLSH_OK);
    float *inputs = floats(nlsh__router_input_size(router));
    float *scratch = floats(nlsh__router_scratch_size(router));
    nlsh__router_project(router, query, NULL, inputs);
    nlsh__router_forward(router, inputs, scratch, out);
    free(inputs);
    free(scratch);
    nlsh__router_close(router);
}

/* A network that comes back from its bytes is the same but for rounding; in its old place it gives the old bytes. */
static void a_network_learns_on(void **state)
{
    (void)state;
    for (size_t hidden = 0; hidden < 3; hidden++)
        for (size_t n_groups = 0; n_groups < 6; n_groups += 5) {
            struct served s = served_grouped(12, hidden == 1 ? 0 : 7, hidden, 21, 33, n_groups, 60);
            struct nlsh__mlp back = {0};
            struct nlsh__groups groups;
            void *bytes = NULL;
            size_t size;
            assert_int_equal(nlsh__router_import(s.bytes, &back, &groups, NULL), NLSH_OK);
            assert_int_equal(groups.n, n_groups);
            assert_int_equal(back.n_layers, s.mlp.n_layers);
            for (size_t g = 0; n_groups > 0 && g <= n_groups; g++)
                assert_int_equal(groups.first[g], s.first[g]);
            for (size_t l = 0; l < back.n_layers; l++) {
                size_t from = s.mlp.sizes[l], to = s.mlp.sizes[l + 1];
                assert_true(back.sizes[l] == from && back.sizes[l + 1] == to);
                assert_memory_equal(back.biases[l], s.mlp.biases[l], to * sizeof(float));
                for (size_t i = 0; i < to * from; i++) {
                    const float *row = s.mlp.weights[l] + i / from * from;
                    double off = fabs((double)back.weights[l][i] - (double)s.mlp.weights[l][i]);
                    assert_true(off <= largest_of(row, from) / 127 * .5001);
                }
            }
            assert_int_equal(nlsh__router_export_again(s.bytes, &s.mlp, &bytes, &size, NULL),
                             NLSH_OK);
            assert_int_equal(size, s.size);
            assert_memory_equal(bytes, s.bytes, size);
            nlsh__free(bytes);
            nlsh__mlp_free(&back);
            served_free(&s);
        }
}

/* Buckets answer as in one layer, to the bit, and groups as a network of their own; one group's
 * logits are the same whichever others are asked for. */
static void groups_are_parts_of_one_network(void **state)
{
    (void)state;
    static const size_t ms[] = {7, 20, 64, 333};
    for (size_t i = 0; i < 4; i++)
        for (size_t hidden = 0; hidden < 3; hidden++) {
            size_t m = ms[i], n_groups = 3 + i, dim = 12;
            struct served s = served_grouped(dim, 8, hidden, 21, m, n_groups, 40 + i);
            struct served flat = served_part(&s, n_groups, m), top = served_part(&s, 0, n_groups);
            struct nlsh__router *router;
            struct nlsh__router_pass pass;
            assert_int_equal(nlsh__router_open(s.bytes, s.size, dim, m, &router, NULL), NLSH_OK);
            const struct nlsh__groups *groups = nlsh__router_groups(router);
            assert_int_equal(groups->n, n_groups);
            assert_memory_equal(groups->first, s.first, (n_groups + 1) * sizeof *s.first);
            assert_int_equal(nlsh__router_n_weights(router), s.mlp.n_parameters + 8 * dim);
            float query[12], *p = floats(m + 32), *q = floats(m + 32);
            float *inputs = floats(nlsh__router_input_size(router));
            float *scratch = floats(nlsh__router_scratch_size(router));
            for (size_t d = 0; d < dim; d++) query[d] = (float)(d * 5 % 7) - 3;
            forward_of(&s, dim, m, query, p);
            forward_of(&flat, dim, m, query, q);
            assert_memory_equal(p, q, m * sizeof *p);
            nlsh__router_project(router, query, NULL, inputs);
            nlsh__router_begin(router, inputs, scratch, &pass);
            forward_of(&top, dim, n_groups, query, q);
            assert_memory_equal(pass.groups, q, n_groups * sizeof *q);
            for (size_t g = 0; g < n_groups; g++) {
                nlsh__router_group(router, &pass, g, q);
                size_t n = groups->first[g + 1] - groups->first[g];
                const float *share = p + groups->first[g];
                for (size_t b = 1; b < n;
                     b++) /* differences of logits are ratios of probabilities */
                    assert_float_equal(share[b], share[0] * expf(q[b] - q[0]),
                                       1e-5 * (share[0] + share[b]) + 1e-9);
            }
            free(p);
            free(q);
            free(inputs);
            free(scratch);
            nlsh__router_close(router);
            nlsh__mlp_free(&flat.mlp);
            nlsh__mlp_free(&top.mlp);
            free(flat.bytes);
            free(top.bytes);
            served_free(&s);
        }
}

/* A query of floats that is rounded less the mean has nearly the inputs that it has as it is, however far the mean is from
 * the origin; and in a block to the bit those that it has alone. */
static void check_rounded(const struct served *s, size_t m, uint64_t stream)
{
    size_t dim = s->projection.dim, stride = (dim + 63) / 64 * 64, p = s->mlp.sizes[0];
    struct nlsh__router *router;
    struct nlsh__asker asker;
    struct nlsh__rng rng;
    uint8_t *bytes;
    float scales[NLSH__BLOCK];
    test_rng(&rng, stream);
    assert_int_equal(nlsh__router_open(s->bytes, s->size, dim, m, &router, NULL), NLSH_OK);
    assert_int_equal(nlsh__asker_create(router, &asker, NULL), NLSH_OK);
    assert_int_equal(nlsh__calloc(&bytes, (NLSH__BLOCK + 1) * stride, 1, NULL), NLSH_OK);
    size_t n_inputs = nlsh__router_input_size(router);
    float *queries = floats(NLSH__BLOCK * dim), *together = floats(NLSH__BLOCK * n_inputs);
    for (size_t i = 0; i < NLSH__BLOCK * dim; i++)
        queries[i] = s->projection.mean[i % dim] + (float)nlsh__rng_normal(&rng);
    nlsh__asker_round(&asker, s->projection.mean);
    assert_ptr_equal(asker.mean, s->projection.mean);
    for (size_t i = 0; i < NLSH__BLOCK; i++)
        scales[i] = nlsh__ask_round(&asker, queries + i * dim, bytes + i * stride);
    nlsh__router_project_block(router, bytes, stride, scales, NLSH__BLOCK, together);
    double off = 0, length = 0;
    for (size_t i = 0; i < NLSH__BLOCK; i++) {
        const float *query = queries + i * dim, *row = together + i * n_inputs;
        nlsh__asker_round(&asker, s->projection.mean);
        assert_memory_equal(nlsh__ask_inputs(&asker, query, NULL), row, p * sizeof *row);
        nlsh__asker_round(&asker, NULL);
        const float *exact = nlsh__ask_inputs(&asker, query, NULL);
        for (size_t c = 0; c < p; c++) {
            off += pow((double)exact[c] - (double)row[c], 2);
            length += (double)exact[c] * (double)exact[c];
        }
    }
    assert_true(off > 0 && off <= 0.03 * 0.03 * length);
    free(queries);
    free(together);
    free(bytes);
    nlsh__asker_free(&asker);
    nlsh__router_close(router);
}

/* Queries of bytes in a block, some or as many as it may have, to the bit as one by one. */
static void check_block(const struct served *s, size_t m, uint64_t stream)
{
    size_t dim = s->projection.dim, stride = (dim + 63) / 64 * 64;
    struct nlsh__router *router;
    struct nlsh__router_block *block;
    struct nlsh__rng rng;
    uint8_t *bytes;
    test_rng(&rng, stream);
    assert_int_equal(nlsh__router_open(s->bytes, s->size, dim, m, &router, NULL), NLSH_OK);
    assert_int_equal(nlsh__router_block_create(router, &block, NULL), NLSH_OK);
    assert_int_equal(nlsh__calloc(&bytes, (NLSH__BLOCK + 1) * stride, 1, NULL), NLSH_OK);
    assert_true(nlsh__router_projects_bytes(router));
    size_t n_inputs = nlsh__router_input_size(router), n_groups = nlsh__router_groups(router)->n;
    float *query = floats(dim), *together = floats(NLSH__BLOCK * n_inputs);
    float *inputs = floats(n_inputs), *scratch = floats(nlsh__router_scratch_size(router));
    float *want = floats(m + 16), *got = floats(m + 16);
    for (size_t n = 1; n <= NLSH__BLOCK; n += n == 1 ? 6 : NLSH__BLOCK - 7) {
        for (size_t i = 0; i < n; i++)
            for (size_t d = 0; d < dim; d++)
                bytes[i * stride + d] = (uint8_t)nlsh__rng_below(&rng, 256);
        nlsh__router_project_block(router, bytes, stride, NULL, n, together);
        nlsh__router_begin_block(router, block, together, n);
        for (size_t i = 0; i < n; i++) {
            struct nlsh__router_pass pass, single;
            for (size_t d = 0; d < dim; d++) query[d] = bytes[i * stride + d];
            nlsh__router_project(router, query, bytes + i * stride, inputs);
            assert_memory_equal(together + i * n_inputs, inputs, s->mlp.sizes[0] * sizeof *inputs);
            nlsh__router_begin(router, inputs, scratch, &single);
            nlsh__router_block_pass(block, i, &pass);
            assert_memory_equal(pass.groups, single.groups, n_groups * sizeof *pass.groups);
            for (size_t g = 0; g < n_groups; g++) {
                const uint32_t *first = nlsh__router_groups(router)->first;
                nlsh__router_group(router, &pass, g, got);
                nlsh__router_group(router, &single, g, want);
                assert_memory_equal(got, want, (first[g + 1] - first[g]) * sizeof *got);
            }
        }
    }
    free(query);
    free(together);
    free(inputs);
    free(scratch);
    free(want);
    free(got);
    free(bytes);
    nlsh__router_block_free(block);
    nlsh__router_close(router);
}

/* With groups a block computes only those that it is asked for, without groups all buckets. */
static void a_block_is_one_by_one(void **state)
{
    (void)state;
    static const size_t ms[] = {9, 70, 8200}, n_groups[] = {0, 3, 7};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            for (size_t hidden = 0; hidden < 3; hidden += 2) {
                size_t n = ms[i] > 9 ? n_groups[j] : 0;
                struct served s = served_grouped(21, 10, hidden, 150, ms[i], n, 60 + i);
                check_block(&s, ms[i], 60 + i);
                check_rounded(&s, ms[i], 90 + i);
                served_free(&s);
            }
}

/* Two products of a written pair with any bytes add up to what 16 bits hold; and a wider step than that
 * needs is not taken. */
static void written_pairs_fit(void **state)
{
    (void)state;
    for (size_t dim = 2; dim <= 40; dim++) {
        struct served s = served_grouped(dim, dim - 1, 2, 21, 30, 3, dim);
        struct nlsh__router_header h;
        struct nlsh__router_layout layout;
        memcpy(&h, s.bytes, sizeof h);
        assert_int_equal(nlsh__router_layout(&h, &layout), 0);
        for (size_t l = 0; l <= h.n_layers; l++) {
            int is_projection = l == h.n_layers;
            size_t n_chunks = ((is_projection ? dim : h.sizes[l]) + 3) / 4;
            size_t at = is_projection ? layout.projection_i8 : layout.weights[l];
            size_t rows = is_projection ? h.sizes[0] : l + 1 < h.n_layers ? h.sizes[l + 1] : 3;
            const int8_t *w = (const int8_t *)s.bytes + at;
            for (size_t row = 0; row < rows; row++) {
                int largest = 0;
                for (size_t i = 0; i < n_chunks * 4; i += 2) {
                    const int8_t *pair =
                        w + (row / 16 * n_chunks + i / 4) * 64 + row % 16 * 4 + i % 4;
                    int sum = abs(pair[0] + pair[1]);
                    assert_true(sum <= 128);
                    largest = sum > largest ? sum : largest;
                    largest = abs(pair[0]) > largest ? abs(pair[0]) : largest;
                    largest = abs(pair[1]) > largest ? abs(pair[1]) : largest;
                }
                assert_true(largest >= 126);
            }
        }
        served_free(&s);
    }
}

/* A query of bytes is projected in int8: near to the projection in float, a step at most for each
 * dimension and half of that for most. */
static void bytes_are_projected_in_int8(void **state)
{
    (void)state;
    for (size_t dim = 1; dim <= 131; dim += 13)
        for (size_t components = 1; components <= dim; components += 10) {
            struct served s = served_new(dim, components, 1, 8, 9, dim + components);
            struct nlsh__router *router;
            struct nlsh__rng rng;
            uint8_t *bytes;
            test_rng(&rng, dim);
            assert_int_equal(nlsh__router_open(s.bytes, s.size, dim, 9, &router, NULL), NLSH_OK);
            assert_int_equal(nlsh__calloc(&bytes, (dim + 3) / 4 * 4, 1, NULL), NLSH_OK);
            float *query = floats(dim), *z = floats(nlsh__router_input_size(router));
            float *exact = floats(nlsh__router_input_size(router));
            for (size_t d = 0; d < dim; d++)
                query[d] = bytes[d] = (uint8_t)nlsh__rng_below(&rng, 256);
            nlsh__router_project(router, query, NULL, exact);
            nlsh__router_project(router, query, bytes, z);
            for (size_t c = 0; c < components; c++) {
                double most = largest_of(s.projection.components + c * dim, dim);
                double sum = 0, squares = 0;
                for (size_t d = 0; d < dim; d++) {
                    sum += (double)query[d];
                    squares += (double)query[d] * (double)query[d];
                }
                double off = fabs((double)z[c] - (double)exact[c]), step = most / 127;
                assert_true(off <= sum * step / 2 + 1e-3);
                assert_true(off <= 4.5 * sqrt(squares / 12) * step + 1e-3);
            }
            free(query);
            free(bytes);
            free(z);
            free(exact);
            nlsh__router_close(router);
            served_free(&s);
        }
}

/* Rows of floats and of bytes, the last of them at the end of its memory, and what was projected before. */
static void an_asker_asks_as_one_would(void **state)
{
    (void)state;
    enum { ROWS = 3, D = 21, BUCKETS = 30 };
    for (size_t components = 0; components <= 12; components += 12) {
        struct served s = served_new(D, components, 1, 20, BUCKETS, 70 + components);
        struct nlsh__router *router;
        struct nlsh__asker asker;
        uint8_t *bytes = malloc(ROWS * D), padded[24] = {0};
        float values[ROWS * D];
        assert_non_null(bytes);
        assert_int_equal(nlsh__router_open(s.bytes, s.size, D, BUCKETS, &router, NULL), NLSH_OK);
        assert_int_equal(nlsh__asker_create(router, &asker, NULL), NLSH_OK);
        for (size_t i = 0; i < ROWS * D; i++) {
            bytes[i] = (uint8_t)(i * 37 % 11);
            values[i] = (float)bytes[i] - 5.5f;
        }
        const struct nlsh_matrix of[] = {{values, ROWS, D, NLSH_F32, 0},
                                         {bytes, ROWS, D, NLSH_U8, 0}};
        float *inputs = floats(nlsh__router_input_size(router)), query[D];
        float *scratch = floats(nlsh__router_scratch_size(router));
        float *want = floats(nlsh__router_output_size(router));
        for (size_t i = 0; i < 2 * ROWS; i++) {
            const struct nlsh_matrix *m = &of[i % 2];
            size_t row = i / 2;
            for (size_t d = 0; d < D; d++)
                query[d] = i % 2 == 0 ? values[row * D + d] : bytes[row * D + d];
            memcpy(padded, bytes + row * D, D);
            nlsh__router_project(router, query, i % 2 ? padded : NULL, inputs);
            nlsh__router_forward(router, inputs, scratch, want);
            assert_memory_equal(nlsh__ask_row(&asker, m, row), want, BUCKETS * sizeof *want);
            memset(asker.inputs, 0, nlsh__router_n_inputs(router) * sizeof *inputs);
            assert_memory_equal(nlsh__ask_projected(&asker, inputs), want, BUCKETS * sizeof *want);
        }
        free(bytes);
        free(inputs);
        free(scratch);
        free(want);
        nlsh__asker_free(&asker);
        nlsh__router_close(router);
        served_free(&s);
    }
}

/* Far out the softmax is 1 for one bucket and 0 for the others, never more, never not a number. */
static void certain_answers(void **state)
{
    (void)state;
    struct served s = served_new(6, 0, 1, 20, 33, 3);
    struct nlsh__router *router;
    assert_int_equal(nlsh__router_open(s.bytes, s.size, 6, 33, &router, NULL), NLSH_OK);
    float *scratch = floats(nlsh__router_scratch_size(router));
    float *p = floats(nlsh__router_output_size(router)), *query = floats(6);
    float *inputs = floats(nlsh__router_input_size(router));
    for (double far = 1; far < 1e12; far *= 30)
        for (int sign = -1; sign <= 1; sign += 2) {
            double total = 0;
            for (size_t d = 0; d < 6; d++) query[d] = (float)(far * sign * (d % 2 ? 1 : -1.5));
            nlsh__router_project(router, query, NULL, inputs);
            nlsh__router_forward(router, inputs, scratch, p);
            for (size_t b = 0; b < 33; b++) {
                assert_true(p[b] >= 0 && p[b] <= 1.00001f);
                total += (double)p[b];
            }
            assert_float_equal(total, 1, 1e-5);
        }
    free(scratch);
    free(p);
    free(query);
    free(inputs);
    nlsh__router_close(router);
    served_free(&s);
}

/* ---- hostile blobs --------------------------------------------------------------------------- */

/* Opens a blob in memory of exactly its size and, where it is let in, asks it something: under
 * ASan that must not touch a byte beyond. */
static enum nlsh_status try_blob(const void *bytes, size_t size, size_t dim, size_t m,
                                 struct nlsh_error *error)
{
    struct nlsh__router *router = (void *)&router;
    void *copy;
    assert_int_equal(nlsh__alloc(&copy, size, 1, NULL), NLSH_OK);
    memcpy(copy, bytes, size);
    enum nlsh_status status = nlsh__router_open(copy, size, dim, m, &router, error);
    if (status == NLSH_OK) {
        float *query = floats(dim), *scratch = floats(nlsh__router_scratch_size(router));
        float *p = floats(nlsh__router_output_size(router));
        float *inputs = floats(nlsh__router_input_size(router));
        uint8_t *padded;
        assert_int_equal(nlsh__calloc(&padded, (dim + 3) / 4 * 4, 1, NULL), NLSH_OK);
        for (size_t d = 0; d < dim; d++) query[d] = padded[d] = 200;
        for (int as_bytes = 0; as_bytes < 2; as_bytes++) {
            nlsh__router_project(router, query, as_bytes ? padded : NULL, inputs);
            nlsh__router_forward(router, inputs, scratch, p);
        }
        free(padded);
        free(inputs);
        free(query);
        free(scratch);
        free(p);
    } else {
        assert_null(router);
    }
    nlsh__router_close(router);
    free(copy);
    return status;
}

static void refused(const void *bytes, size_t size, size_t dim, size_t m)
{
    struct nlsh_error error;
    assert_int_equal(try_blob(bytes, size, dim, m, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "router"));
    assert_true(error.hint[0] != '\0');
}

static void every_field_of_the_header(void **state)
{
    (void)state;
    static const uint32_t values[] = {
        0,        1,        2,          3,        9,           10,
        11,       15,       16,         17,       32,          33,
        34,       255,      256,        65536,    1u << 20,    (1u << 20) + 1,
        1u << 26, 1u << 28, 0x7fffffff, 1u << 31, 0xfffffff0u, 0xffffffffu};
    for (size_t projected = 0; projected < 2; projected++) {
        struct served s = served_new(17, projected ? 16 : 0, 2, 16, 33, 5);
        struct nlsh__router_header good, bad;
        memcpy(&good, s.bytes, sizeof good);
        assert_int_equal(try_blob(s.bytes, s.size, 17, 33, NULL), NLSH_OK);
        uint32_t *const fields[] = {&bad.dim,      &bad.projected, &bad.n_layers, &bad.sizes[0],
                                    &bad.sizes[1], &bad.sizes[2],  &bad.sizes[3], &bad.sizes[4],
                                    &bad.sizes[9], &bad.n_groups,  &bad.n_outputs};
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                bad = good;
                if (*fields[f] == values[v]) continue;
                *fields[f] = values[v];
                memcpy(s.bytes, &bad, sizeof bad);
                /* A layer with a few nodes less may need as much room: then harmless. */
                struct nlsh__router_layout layout;
                if (bad.sizes[1] > 0 && bad.sizes[2] > 0 && bad.n_layers == good.n_layers &&
                    nlsh__router_layout(&bad, &layout) == 0 && layout.size == s.size && f >= 3 &&
                    f < 6)
                    (void)try_blob(s.bytes, s.size, 17, 33, NULL);
                else
                    refused(s.bytes, s.size, 17, 33);
            }
        for (size_t i = 0; i < sizeof bad.magic; i++) {
            bad = good;
            bad.magic[i] ^= 0x20;
            memcpy(s.bytes, &bad, sizeof bad);
            refused(s.bytes, s.size, 17, 33);
        }
        bad = good; /* written as 0, ignored when read */
        memset(bad.reserved, 0xff, sizeof bad.reserved);
        memcpy(s.bytes, &bad, sizeof bad);
        assert_int_equal(try_blob(s.bytes, s.size, 17, 33, NULL), NLSH_OK);
        const uint64_t sizes[] = {0, s.size - 1, s.size + 1, s.size + 64, 1ull << 63, UINT64_MAX};
        for (size_t i = 0; i < 6; i++) {
            bad = good;
            bad.size_bytes = sizes[i];
            memcpy(s.bytes, &bad, sizeof bad);
            refused(s.bytes, s.size, 17, 33);
        }
        const float scales[] = {NAN, -NAN, INFINITY, -INFINITY};
        for (size_t i = 0; i < 4; i++) {
            bad = good;
            bad.scale = scales[i];
            memcpy(s.bytes, &bad, sizeof bad);
            refused(s.bytes, s.size, 17, 33);
        }
        memcpy(s.bytes, &good, sizeof good);
        refused(s.bytes, s.size, 16, 33); /* it is right, but another index's */
        refused(s.bytes, s.size, 18, 33);
        refused(s.bytes, s.size, 17, 32);
        refused(s.bytes, s.size, 17, 34);
        served_free(&s);
    }
}

static void every_truncation(void **state)
{
    (void)state;
    struct served s = served_grouped(9, 4, 1, 5, 6, 2, 7);
    for (size_t size = 0; size < s.size; size++) refused(s.bytes, size, 9, 6);
    uint8_t *longer;
    assert_int_equal(nlsh__calloc(&longer, s.size + 64, 1, NULL), NLSH_OK);
    memcpy(longer, s.bytes, s.size);
    for (size_t more = 1; more <= 64; more++) refused(longer, s.size + more, 9, 6);
    free(longer);
    served_free(&s);
}

/* Several fields wrong at once, the lengths made to fit half of the time: what is let in must be
 * harmless. */
static void random_headers(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct served s = served_grouped(16, 0, 1, 16, 16, 3, 8);
    struct nlsh__router_header good, bad;
    size_t let_in = 0;
    test_rng(&rng, 9);
    memcpy(&good, s.bytes, sizeof good);
    for (size_t i = 0; i < 20000; i++) {
        struct nlsh__router_layout layout;
        bad = good;
        if (i % 2 == 0) bad.n_groups = bad.n_outputs = 0; /* whose table would have to be right */
        for (size_t changes = 1 + nlsh__rng_below(&rng, 3); changes > 0; changes--) {
            uint32_t value = (uint32_t)nlsh__rng_below(&rng, 40);
            if (nlsh__rng_below(&rng, 4) == 0) value = (uint32_t)nlsh__rng_u64(&rng);
            switch (nlsh__rng_below(&rng, 6)) {
            case 4: bad.n_groups = value; break;
            case 5: bad.n_outputs = value; break;
            case 0: bad.projected = value % 3; break;
            case 1: bad.n_layers = value; break;
            default: bad.sizes[nlsh__rng_below(&rng, 5)] = value; break;
            }
        }
        size_t size = s.size, m = 16;
        if (bad.n_layers >= 1 && bad.n_layers <= NLSH__ROUTER_MAX_LAYERS &&
            nlsh__rng_below(&rng, 2) == 0 && nlsh__router_layout(&bad, &layout) == 0 &&
            layout.size < 1 << 20) {
            size = bad.size_bytes = layout.size;
            m = bad.sizes[bad.n_layers];
        }
        uint8_t *bytes;
        assert_int_equal(nlsh__calloc(&bytes, size, 1, NULL), NLSH_OK);
        memcpy(bytes, &bad, sizeof bad);
        let_in += try_blob(bytes, size, 16, m, NULL) == NLSH_OK;
        free(bytes);
    }
    assert_true(let_in > 50);
    served_free(&s);
}

/* Weights that are not numbers may give any answer, but no crash. */
static void weights_that_are_not_numbers(void **state)
{
    (void)state;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct served s = served_new(5, 3, 2, 7, 19, 10 + i);
        uint8_t *bytes = s.bytes;
        for (size_t at = sizeof(struct nlsh__router_header); at < s.size; at += 4)
            if (at / 4 % (i + 2) == 0) memcpy(bytes + at, &bad[i], sizeof bad[i]);
        assert_int_equal(try_blob(bytes, s.size, 5, 19, NULL), NLSH_OK);
        served_free(&s);
    }
}

/* Each layer fits into memory's addresses, and two of them do not. */
static void layouts_that_overflow(void **state)
{
    (void)state;
    const uint32_t wide = 1u << 31; /* a matrix of such a layer has 2^62 bytes */
    struct nlsh__router_header h = {.dim = 16, .n_layers = 1, .sizes = {wide, wide}};
    struct nlsh__router_layout layout;
    assert_int_equal(nlsh__router_layout(&h, &layout), 0);
    assert_true(layout.size > (size_t)1 << 62 && layout.size < SIZE_MAX / 2);
    h.n_layers = 2;
    h.sizes[2] = wide;
    assert_int_equal(nlsh__router_layout(&h, &layout), -1);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_trained_network),
        cmocka_unit_test(a_network_learns_on),
        cmocka_unit_test(groups_are_parts_of_one_network),
        cmocka_unit_test(a_block_is_one_by_one),
        cmocka_unit_test(an_asker_asks_as_one_would),
        cmocka_unit_test(written_pairs_fit),
        cmocka_unit_test(bytes_are_projected_in_int8),
        cmocka_unit_test(certain_answers),
        cmocka_unit_test(every_field_of_the_header),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(random_headers),
        cmocka_unit_test(weights_that_are_not_numbers),
        cmocka_unit_test(layouts_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return each_table(run);
}
