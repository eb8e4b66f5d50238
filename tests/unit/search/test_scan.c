/* test_scan.c - one query through buckets that are named to it: exactly, by codes, by leaves, by as many rows as
 * the caller says; what it costs; and lanes of a file that no row has. */
#include "search/scan.h"

#include "codes/codes.h"
#include "kernels/topk.h"
#include "router/ask.h"
#include "support/built.h"
#include "support/counting.h"

enum { N = 900, DIM = 20, M = 6, Q = 12, MOST_K = 40 };

static struct near want[20000];
static uint8_t allowed[20000];
static uint64_t best[MOST_K];

struct fixture {
    struct nlsh_matrix base, queries;
    enum nlsh_metric metric;
    struct nlsh_index *index;
    struct nlsh__scan scan;
    struct nlsh__query query;
    struct nlsh__asker asker;
    float floats[DIM], scaled[DIM];
    uint8_t bytes[DIM];
    uint32_t buckets[M];
    float probabilities[M];
    struct nlsh__routed routed;
};

static void begin(struct fixture *f, enum kind kind, enum nlsh_metric metric, size_t n)
{
    struct nlsh_build_options o;
    struct nlsh_open_options how;
    struct nlsh_error error;
    *f = (struct fixture){.metric = metric};
    f->base = matrix_new(kind, n, DIM, 9, 25, 1);
    f->queries = matrix_new(kind, Q, DIM, 9, 25, 2);
    small_options(&o, M);
    o.metric = metric;
    o.epochs = 1;
    nlsh_index_close(built_index(&f->base, &o, "scan"));
    nlsh_open_options_init(&how, sizeof how);
    how.memory = NLSH_MEMORY_ALL; /* a copy, which a test may change */
    if (nlsh_index_open(test_path("scan"), &how, &f->index, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_non_null(f->index->segments[0].leaves);
    assert_int_equal(nlsh__scan_create(f->index, &f->scan, NULL), NLSH_OK);
    assert_int_equal(nlsh__chooser_reserve(&f->scan.chooser, n, NULL), NLSH_OK);
    assert_int_equal(nlsh__asker_create(f->index->router, &f->asker, NULL), NLSH_OK);
    f->query = (struct nlsh__query){.floats = f->floats,
                                    .routed = metric == NLSH_IP ? f->scaled : f->floats,
                                    .bytes = f->bytes};
}

static void end(struct fixture *f)
{
    nlsh__asker_free(&f->asker);
    nlsh__scan_free(&f->scan);
    nlsh_index_close(f->index);
    matrix_free(&f->base);
    matrix_free(&f->queries);
}

/* Query q on its way to every bucket that mask has, and their rows allowed; returns how many rows. */
static size_t ask(struct fixture *f, size_t q, unsigned mask)
{
    const struct nlsh__segment *s = &f->index->segments[0];
    size_t n = 0, n_rows = 0;
    assert_int_equal(nlsh__query_set(&f->query, f->index, &f->queries, q, NULL), NLSH_OK);
    const float *inputs =
        nlsh__ask_inputs(&f->asker, f->query.routed, f->query.as_bytes ? f->query.bytes : NULL);
    memset(allowed, 0, f->base.n_rows);
    for (uint32_t i = 0; i < M; i++) {
        uint32_t b = (i + (uint32_t)q) % M; /* in some order */
        if ((mask >> b & 1) == 0) continue;
        f->buckets[n] = b;
        f->probabilities[n++] = 1 / (float)M;
        n_rows += s->bucket_offsets[b + 1] - s->bucket_offsets[b];
        for (size_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++)
            allowed[s->rows[p]] = 1;
    }
    f->routed = (struct nlsh__routed){inputs, f->buckets, f->probabilities, n, NAN};
    return n_rows;
}

static double score_of(const struct fixture *f, size_t q, size_t row)
{
    double dot = 0, left = 0, right = 0;
    if (f->metric == NLSH_L2) return true_l2sq(&f->queries, q, &f->base, row);
    for (size_t d = 0; d < DIM; d++) {
        double x = matrix_at(&f->queries, q, d), y = matrix_at(&f->base, row, d);
        dot += x * y;
        left += x * x;
        right += y * y;
    }
    return f->metric == NLSH_IP ? -dot : 1 - dot / sqrt(left * right);
}

/* best against brute force over the rows that are allowed. */
static void check(const struct fixture *f, size_t q, size_t k)
{
    size_t n = 0;
    for (size_t row = 0; row < f->base.n_rows; row++)
        if (allowed[row]) want[n++] = (struct near){score_of(f, q, row), (uint32_t)row};
    qsort(want, n, sizeof *want, near_order);
    for (size_t i = 0; i < k; i++) {
        if (i >= n) {
            assert_true(best[i] == UINT64_MAX);
            continue;
        }
        double score = score_of(f, q, (uint32_t)best[i]), slack = 1e-5 * (1 + fabs(want[i].l2sq));
        if (!allowed[(uint32_t)best[i]] || fabs(score - want[i].l2sq) > slack)
            fail_msg("query %zu, rank %zu: row %u at %g, not %u at %g", q, i, (uint32_t)best[i],
                     score, want[i].id, want[i].l2sq);
        for (size_t j = 0; j < i; j++) assert_true((uint32_t)best[i] != (uint32_t)best[j]);
    }
}

/* Margins that allow any error: each way looks at all rows of the buckets. */
static void every_way_is_brute_force(void **state)
{
    (void)state;
    static const unsigned masks[] = {1, 2 + 16, 63, 8 + 32 + 1};
    static const size_t ks[] = {1, 10, MOST_K};
    static const struct {
        enum kind kind;
        enum nlsh_metric metric;
    } cases[] = {{KIND_U8, NLSH_L2},
                 {KIND_I8, NLSH_L2},
                 {KIND_F32, NLSH_L2},
                 {KIND_F32, NLSH_IP},
                 {KIND_F32, NLSH_COSINE}};
    for (size_t way = 0; way < sizeof cases / sizeof *cases; way++) {
        struct fixture f;
        begin(&f, cases[way].kind, cases[way].metric, N);
        for (size_t i = 0; i < 12; i++) {
            size_t k = ks[i % 3], n = ask(&f, i, masks[i % 4]);
            struct nlsh__plan plan = {.k = k, .margin = 1e8f, .leaf_margin = INFINITY};
            struct nlsh__plan exactly = plan, reranked = plan, by_leaves = plan;
            exactly.exactly = 1;
            reranked.rerank = N;
            by_leaves.leaf_margin = 1e8f;
            const struct nlsh__plan *plans[] = {&plan, &exactly, &reranked, &by_leaves};
            for (size_t p = 0; p < 4; p++) {
                struct nlsh__cost cost =
                    nlsh__scan_query(&f.scan, f.index, &f.query, plans[p], &f.routed, best);
                check(&f, i, k);
                assert_int_equal(cost.candidates, n);
                assert_int_equal(cost.ranked, n);
            }
        }
        end(&f);
    }
}

/* More rows than a round holds. */
static void rounds_follow_each_other(void **state)
{
    (void)state;
    enum {
        MANY = NLSH__ROUND + 3616
    }; /* 20,000: bits of rows that are too few do not hide in padding */
    struct fixture f;
    begin(&f, KIND_U8, NLSH_L2, MANY);
    for (size_t q = 0; q < 4; q++) {
        size_t n = ask(&f, q, 63);
        struct nlsh__plan plan = {.k = 10, .margin = 1e8f, .leaf_margin = INFINITY};
        assert_int_equal(n, MANY);
        struct nlsh__cost cost =
            nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
        check(&f, q, 10);
        assert_int_equal(cost.ranked, MANY);
        static const size_t reranks[] = {500, NLSH__ROUND, NLSH__ROUND + 2000};
        for (size_t i = 0; i < 3; i++) {
            plan.rerank = reranks[i];
            cost = nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
            assert_int_equal(cost.candidates, MANY);
            assert_int_equal(cost.ranked, reranks[i]);
        }
        plan.rerank = 0;
        plan.leaf_margin = 1e8f;
        cost = nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
        check(&f, q, 10);
        assert_int_equal(cost.candidates, MANY);
        plan.leaf_margin = INFINITY;
        plan.margin = nlsh__margin_at(&f.index->row_margins, 10, .001);
        cost = nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
        assert_int_equal(cost.candidates, MANY);
        assert_true(cost.ranked >= 10 && cost.ranked < MANY / 4);
    }
    end(&f);
}

/* What the margins leave out is the more the smaller they are. */
static void margins_spare_rows_and_leaves(void **state)
{
    (void)state;
    struct fixture f;
    size_t last_ranked = SIZE_MAX, last_candidates = SIZE_MAX;
    begin(&f, KIND_F32, NLSH_L2, 6000);
    for (float margin = 16; margin > .5f; margin /= 4) {
        size_t ranked = 0, candidates = 0;
        for (size_t q = 0; q < Q; q++) {
            size_t n = ask(&f, q, 63);
            struct nlsh__plan plan = {.k = 10, .margin = margin, .leaf_margin = INFINITY};
            struct nlsh__cost cost =
                nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
            assert_int_equal(cost.candidates, n);
            ranked += cost.ranked;
            plan.leaf_margin = margin / 4 - .5f;
            cost = nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
            assert_true(cost.candidates <= n && cost.ranked <= cost.candidates);
            candidates += cost.candidates;
        }
        assert_true(ranked < last_ranked && candidates < last_candidates);
        last_ranked = ranked;
        last_candidates = candidates;
    }
    end(&f);
}

/* The rows of leaves whose score, less the margin at their bucket's probability, is at most the limit that the
 * answer gives. */
static size_t rows_that_matter(struct fixture *f, float leaf_margin, size_t k)
{
    const struct nlsh__segment *s = &f->index->segments[0];
    const struct nlsh__leaves *l = s->leaves;
    static float scores[1024] __attribute__((aligned(64)));
    struct nlsh__units units;
    size_t n = 0;
    nlsh__query_units(f->index, s, &f->query, f->routed.inputs, &units);
    float limit =
        (float)nlsh__exact_score(f->index, &f->query, best[k - 1]) * units.factor - units.offset;
    for (size_t i = 0; i < f->routed.n_buckets; i++) {
        uint32_t b = f->routed.buckets[i], first = s->bucket_offsets[b];
        size_t n_rows = s->bucket_offsets[b + 1] - first, group = l->group_offsets[b];
        struct nlsh__probe probe;
        assert_true(n_rows <= 16 * 1024);
        nlsh__probe_bucket(s->codes, 0, f->routed.inputs, units.outside, b, f->scan.origin,
                           f->scan.weights, &probe);
        nlsh__score_groups(&l->leaves, &probe, f->scan.weights, group,
                           l->group_offsets[b + 1] - group, scores);
        float p = f->routed.probabilities[i] * f->index->weights[b];
        float margin = leaf_margin + f->index->leaf_slope * logf(100 * p);
        for (size_t leaf = 0; 16 * leaf < n_rows; leaf++) {
            float error = (float)l->leaves.errors[16 * group + leaf] * l->error_unit * probe.length;
            size_t rows = n_rows - 16 * leaf < 16 ? n_rows - 16 * leaf : 16;
            if (scores[leaf] - margin * error <= limit - 1e-4f * fabsf(limit)) n += rows;
        }
    }
    return n;
}

/* The leaves for a first limit are those with the least scores, whatever the margin: 8 of them, and few more. */
static void the_first_leaves_do_not_depend_on_the_margin(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, KIND_U8, NLSH_L2, 6000);
    struct nlsh__leaf_scan *l = &f.scan.leaves;
    for (size_t q = 0; q < Q; q++) {
        size_t chosen[3];
        ask(&f, q, 63);
        for (size_t i = 0; i < 3; i++) {
            const struct nlsh__leaves_of of = {
                .index = f.index,
                .inputs = f.routed.inputs,
                .origin = f.scan.origin,
                .buckets = f.routed.buckets,
                .probabilities = f.routed.probabilities,
                .n_buckets = f.routed.n_buckets,
                .margin = 8 * ((float)i - 1),
            };
            nlsh__leaves_begin(l);
            nlsh__leaves_add(l, &f.index->segments[0], NULL);
            nlsh__leaves_score(l, &of);
            nlsh__leaves_first(l, 1);
            chosen[i] = l->n_chosen;
        }
        assert_true(chosen[1] >= 8 && chosen[1] < 24);
        assert_int_equal(chosen[0], chosen[1]);
        assert_int_equal(chosen[2], chosen[1]);
    }
    f.index->leaf_slope = 0;
    for (size_t q = 0; q < Q; q++) { /* of a negative margin no part is enough */
        size_t chosen[2];
        ask(&f, q, 63);
        for (size_t i = 0; i < 2; i++) {
            const struct nlsh__leaves_of of = {
                .index = f.index,
                .inputs = f.routed.inputs,
                .origin = f.scan.origin,
                .buckets = f.routed.buckets,
                .probabilities = f.routed.probabilities,
                .n_buckets = f.routed.n_buckets,
                .margin = -2,
            };
            nlsh__leaves_begin(l);
            nlsh__leaves_add(l, &f.index->segments[0], NULL);
            nlsh__leaves_score(l, &of);
            float middle = l->scores[0];
            nlsh__leaves_within(l, i == 0 ? .5f : 1, middle);
            chosen[i] = l->n_chosen;
        }
        assert_int_equal(chosen[0], chosen[1]);
    }
    end(&f);
}

/* Leaves that say they have no error, far from every query: with no margin for leaves none is left out. */
static void without_a_margin_no_leaf_is_left_out(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, KIND_U8, NLSH_L2, N);
    const struct nlsh__grouped *leaves = &f.index->segments[0].leaves->leaves;
    memset((uint8_t *)(uintptr_t)leaves->errors, 0, leaves->n_groups * 16);
    for (size_t q = 0; q < Q; q++) {
        size_t n = ask(&f, q, 63);
        struct nlsh__plan plan = {.k = 1, .margin = 1e8f, .leaf_margin = INFINITY};
        struct nlsh__cost cost =
            nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
        assert_int_equal(cost.candidates, n);
        check(&f, q, 1);
        plan.leaf_margin = 0;
        cost = nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
        assert_true(cost.candidates < n);
    }
    end(&f);
}

/* Scratch for leaves is of an index that has some. */
static void without_leaves_there_is_no_room_for_them(void **state)
{
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_U8, 300, DIM, 9, 25, 1);
    struct nlsh_build_options o;
    struct nlsh__leaf_scan l = {.room = 0};
    small_options(&o, M);
    o.leaves = 0;
    o.epochs = 1;
    struct nlsh_index *index = built_index(&base, &o, "none");
    assert_int_equal(nlsh__leaf_scan_fit(&l, index, NULL), NLSH_OK);
    assert_true(l.scores == NULL && l.probes == NULL && l.chosen == NULL && l.parts == NULL);
    nlsh__leaf_scan_free(&l);
    nlsh_index_close(index);
    matrix_free(&base);
}

static void leaves_within_the_margin_are_scanned(void **state)
{
    (void)state;
    struct fixture f;
    size_t scanned = 0, needed = 0;
    begin(&f, KIND_U8, NLSH_L2, 6000);
    f.index->leaf_slope = .2f;
    for (size_t q = 0; q < Q; q++)
        for (float margin = 0; margin < 2; margin += .25f) {
            const struct nlsh__plan plan = {.k = 10, .margin = 1e8f, .leaf_margin = margin};
            ask(&f, q, 63);
            struct nlsh__cost cost =
                nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
            size_t matter = rows_that_matter(&f, margin, 10);
            assert_true(cost.candidates >= matter);
            scanned += cost.candidates;
            needed += matter;
        }
    assert_true(scanned < needed + needed / 2); /* the first 8 leaves may be needless */
    end(&f);
}

/* Many segments of one file's buckets, with more leaves than a round has scores: they are left out as those of one are,
 * and room for them is made when a searcher comes to them. */
static void more_leaves_than_a_round_holds(void **state)
{
    (void)state;
    enum { COPIES = 60 };
    struct fixture f;
    static struct nlsh__segment segments[COPIES];
    begin(&f, KIND_U8, NLSH_L2, 6000);
    f.index->leaf_slope = .2f;
    struct nlsh_index many = *f.index;
    many.segments = segments;
    many.n_segments = COPIES;
    for (size_t i = 0; i < COPIES; i++) {
        segments[i] = f.index->segments[0];
        segments[i].first_row = (uint32_t)(6000 * i);
    }
    assert_true(f.scan.leaves.room < NLSH__ROUND / 2);
    assert_int_equal(nlsh__leaf_scan_fit(&f.scan.leaves, &many, NULL), NLSH_OK);
    assert_true(f.scan.leaves.room > NLSH__ROUND);
    for (size_t q = 0; q < Q; q++)
        for (float margin = 0; margin < 2; margin += .5f) {
            /* of 60 rows at the nearest row's distance all are found, and the limit is that */
            const struct nlsh__plan plan = {.k = 10, .margin = 1e8f, .leaf_margin = margin};
            const struct nlsh__plan nearest = {.k = 1, .margin = 1e8f, .leaf_margin = margin};
            ask(&f, q, 63);
            nlsh__scan_query(&f.scan, f.index, &f.query, &nearest, &f.routed, best);
            size_t matter = rows_that_matter(&f, margin, 1);
            struct nlsh__cost cost =
                nlsh__scan_query(&f.scan, &many, &f.query, &plan, &f.routed, best);
            assert_true(cost.candidates >= COPIES * matter);
            assert_true(cost.candidates < COPIES * (matter + 16 * 16));
            assert_true(cost.candidates < COPIES * 6000);
        }
    end(&f);
}

/* ---- lanes that fill up ---------------------------------------------------------------------- */

/* The bias of every lane behind a bucket's last row or leaf, in the copy of the file. */
static size_t set_filling(const struct nlsh__grouped *g, const uint32_t *groups,
                          const uint32_t *offsets, float bias)
{
    float *all = (float *)(uintptr_t)g->bias;
    size_t n = 0;
    for (size_t b = 0; b < M; b++)
        for (size_t lane = 16 * (size_t)groups[b] + offsets[b + 1] - offsets[b];
             lane < 16 * (size_t)groups[b + 1]; lane++, n++)
            all[lane] = bias;
    return n;
}

/* A file has +infinity in lanes behind a bucket's end. Where it says something else, no row of the next bucket
 * may answer and nothing behind the last one be read: it is as if it had said so. */
static void lanes_behind_a_bucket_answer_nothing(void **state)
{
    (void)state;
    static const float lies[] = {INFINITY, 0, -1e30f, -INFINITY};
    struct answer {
        uint64_t best[10];
        struct nlsh__cost cost;
    };
    for (enum kind kind = KIND_U8; kind <= KIND_F32; kind += KIND_F32 - KIND_U8) {
        struct fixture f;
        static struct answer honest[Q][4];
        begin(&f, kind, NLSH_L2, N);
        const struct nlsh__segment *s = &f.index->segments[0];
        float margin = nlsh__margin_at(&f.index->row_margins, 10, .01);
        for (size_t lie = 0; lie < 4; lie++) {
            assert_true(set_filling(&s->codes->rows, s->codes->group_offsets, s->bucket_offsets,
                                    lies[lie]) > 0);
            for (size_t q = 0; q < Q; q++)
                for (size_t way = 0; way < 4; way++) {
                    const struct nlsh__plan plan = {.k = 10,
                                                    .rerank = way == 1 ? 30 : 0,
                                                    .margin = margin,
                                                    .leaf_margin =
                                                        way >= 2 ? (float)way - 2 : INFINITY};
                    struct answer now = {.cost = {0}};
                    ask(&f, q, (unsigned)(q * 11 % 62 + 1));
                    now.cost = nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
                    memcpy(now.best, best, sizeof now.best);
                    if (lie == 0) honest[q][way] = now;
                    assert_memory_equal(&now, &honest[q][way], sizeof now);
                }
        }
        end(&f);
    }
}

/* The same of leaves: such a file may have wrong answers, but of its own buckets' rows. */
static void lanes_behind_the_leaves_do_no_harm(void **state)
{
    (void)state;
    static const float lies[] = {0, -1e30f, -INFINITY, NAN};
    struct fixture f;
    begin(&f, KIND_U8, NLSH_L2, N);
    const struct nlsh__segment *s = &f.index->segments[0];
    for (size_t lie = 0; lie < 4; lie++) {
        assert_true(set_filling(&s->leaves->leaves, s->leaves->group_offsets,
                                s->codes->group_offsets, lies[lie]) > 0);
        for (size_t q = 0; q < Q; q++) {
            const struct nlsh__plan plan = {.k = 10, .margin = 2, .leaf_margin = .5f};
            size_t n = ask(&f, q, (unsigned)(q * 11 % 62 + 1));
            struct nlsh__cost cost =
                nlsh__scan_query(&f.scan, f.index, &f.query, &plan, &f.routed, best);
            assert_true(cost.candidates <= n && cost.ranked <= cost.candidates);
            for (size_t i = 0; i < 10 && best[i] != UINT64_MAX; i++) {
                assert_true((uint32_t)best[i] < N && allowed[(uint32_t)best[i]]);
                assert_true(i == 0 || best[i] > best[i - 1]);
            }
        }
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_is_brute_force),
        cmocka_unit_test(rounds_follow_each_other),
        cmocka_unit_test(margins_spare_rows_and_leaves),
        cmocka_unit_test(leaves_within_the_margin_are_scanned),
        cmocka_unit_test(the_first_leaves_do_not_depend_on_the_margin),
        cmocka_unit_test(without_a_margin_no_leaf_is_left_out),
        cmocka_unit_test(without_leaves_there_is_no_room_for_them),
        cmocka_unit_test(more_leaves_than_a_round_holds),
        cmocka_unit_test(lanes_behind_a_bucket_answer_nothing),
        cmocka_unit_test(lanes_behind_the_leaves_do_no_harm),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("search/scan", tests, NULL, NULL));
}
