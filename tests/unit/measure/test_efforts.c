/* test_efforts.c - what is measured by searching is what public searches find, counted anew; and tables that
 * come of it hold their order and their meaning. */
#include "measure/efforts.h"

#include "base/job.h"
#include "base/matrix.h"
#include "search/plan.h"
#include "support/built.h"
#include "support/counting.h"

enum { N = 3000, DIM = 16, M = 24, Q = 80, K = 100, KS = NLSH__CALIBRATION_KS };

struct fixture {
    struct nlsh_matrix base, queries;
    struct nlsh_index *index;
    struct nlsh_neighbors truth;
    struct nlsh__neighbors known;
    uint32_t bucket_of[N];
    struct nlsh__calibration calibration;
    struct nlsh__job job;
};

static struct fixture fixture;

static int set_up(void **state)
{
    struct fixture *f = &fixture;
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    uint32_t rows[Q], truth_buckets[Q * K];
    *state = f;
    f->base = matrix_new(KIND_F32, N, DIM, 60, 22, 1);
    f->queries = matrix_new(KIND_F32, Q, DIM, 60, 22, 5);
    small_options(&o, M);
    f->index = built_index(&f->base, &o, "efforts");
    f->truth = (struct nlsh_neighbors){.struct_size = sizeof f->truth};
    assert_int_equal(nlsh__job_begin(&run, &f->job, NULL), NLSH_OK);
    assert_int_equal(nlsh_ground_truth(&f->base, &f->queries, NLSH_L2, K, &run, &f->truth, NULL),
                     NLSH_OK);
    const struct nlsh__segment *s = &f->index->segments[0];
    for (uint32_t b = 0; b < M; b++)
        for (size_t i = s->bucket_offsets[b]; i < s->bucket_offsets[b + 1]; i++)
            f->bucket_of[s->rows[i]] = b;
    f->known = (struct nlsh__neighbors){.n_rows = Q, .k = K};
    f->known.ids = malloc(Q * K * sizeof(uint32_t));
    for (size_t i = 0; i < Q * K; i++) {
        f->known.ids[i] = (uint32_t)f->truth.ids[i];
        truth_buckets[i] = f->bucket_of[f->truth.ids[i]];
    }
    for (uint32_t i = 0; i < Q; i++) rows[i] = i;
    const struct nlsh__played played = {&f->queries, rows, Q};
    const struct nlsh__bucketed bucketed = {f->bucket_of, N, M};
    assert_int_equal(nlsh__calibrate(f->index->router, &played, &bucketed, truth_buckets, K,
                                     &f->job, &f->calibration, NULL),
                     NLSH_OK);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    nlsh__job_end(&f->job);
    free(f->known.ids);
    nlsh_neighbors_free(&f->truth);
    nlsh_index_close(f->index);
    matrix_free(&f->base);
    matrix_free(&f->queries);
    return 0;
}

static void add(const struct fixture *f, struct nlsh__shares *shares)
{
    const struct nlsh__known known = {.index = f->index,
                                      .queries = f->queries,
                                      .truth = &f->known,
                                      .n_asking = f->queries.n_rows};
    assert_int_equal(nlsh__shares_add(&known, &f->calibration, &f->job, shares, NULL), NLSH_OK);
}

static void shares_add_up(void **state)
{
    static struct nlsh__shares once, twice;
    const struct fixture *f = *state;
    add(f, &once);
    add(f, &twice);
    assert_memory_equal(&once, &twice, sizeof once);
    add(f, &twice);
    for (size_t i = 0; i < KS; i++)
        for (size_t r = 0; r < NLSH__RUNGS; r++) {
            size_t k = nlsh__calibration_ks[i];
            assert_int_equal(twice.found[i][r], 2 * once.found[i][r]);
            assert_int_equal(twice.routed[i][r], 2 * once.routed[i][r]);
            if (k > K) assert_int_equal(once.routed[i][r], 0);
            assert_true(once.routed[i][r] <= Q * k && once.found[i][r] <= Q * k);
            if (once.routed[i][r] > 0) assert_true(once.routed[i][r] >= once.routed[i][0]);
        }
}

/* The recall that the tables say is what nlsh_search() reaches on these very queries or more: the bound only
 * lowers it. */
static void tables_keep_their_word(void **state)
{
    struct fixture *f = *state;
    static struct nlsh__shares shares;
    static struct nlsh__measured_efforts e;
    struct nlsh__effort_table tables[KS];
    add(f, &shares);
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &shares, &e);
    assert_int_equal(e.n, 7); /* 1, 2, 5, 10, 20, 50 and 100 */
    assert_int_equal(e.n_queries, Q);
    struct nlsh_index with = *f->index;
    with.efforts = (struct nlsh__efforts){e.n, tables};
    for (size_t t = 0; t < e.n; t++) {
        tables[t] = (struct nlsh__effort_table){e.k[t], e.n_points[t], e.points[t]};
        assert_int_equal(nlsh__efforts_wrong(&tables[t]), e.n_points[t]);
        assert_true(e.n_points[t] >= 3);
    }
    for (size_t t = 0; t < e.n; t++)
        for (size_t i = 0; i < e.n_points[t]; i++) {
            static uint64_t keys[Q * K];
            static float distances[Q * K];
            size_t k = e.k[t];
            double recall = 0, promised = (double)e.points[t][i].recall;
            struct nlsh_search_options o;
            nlsh_search_options_init(&o, sizeof o);
            o.k = k;
            o.recall = promised;
            assert_int_equal(nlsh_search_batch(&with, &f->queries, &o, keys, distances, NULL, NULL),
                             NLSH_OK);
            for (size_t q = 0; q < Q; q++)
                recall += nlsh_recall(keys + q * k, distances + q * k, f->truth.ids + q * K,
                                      f->truth.distances + q * K, k) /
                          Q;
            if (recall < promised - 1e-6)
                fail_msg("recall@%zu: %g promised, %g reached", k, promised, recall);
            if (promised > .9 && recall > promised + .25)
                fail_msg("recall@%zu: %g promised, %g reached: too careful", k, promised, recall);
        }
}

static const struct nlsh__effort_point *same_effort(const struct nlsh__measured_efforts *e,
                                                    size_t t, const struct nlsh__effort_point *p)
{
    for (size_t i = 0; i < e->n_points[t]; i++) {
        const struct nlsh__effort_point *q = &e->points[t][i];
        if (q->threshold == p->threshold && q->margin == p->margin &&
            q->leaf_margin == p->leaf_margin)
            return q;
    }
    return NULL;
}

/* Five efforts are asked. The share that is found by one between them lies between theirs, in proportion to the
 * neighbours that it may miss. */
static void efforts_between_those_that_were_asked(void **state)
{
    const struct fixture *f = *state;
    static struct nlsh__shares all, some;
    static struct nlsh__measured_efforts whole, part;
    /* .5 at the recalls of up to .8, .6 at .9, .7 at .95, .8 at .99, .9 at .9995 */
    static const size_t asked[] = {3, 5, 7, 11, 15};
    static const double shares[] = {.5,
                                    .55,
                                    .6,
                                    .65,
                                    .7,
                                    .75,
                                    .775,
                                    .7875,
                                    .8,
                                    .8 + .005 / .095,
                                    .8 + .008 / .095,
                                    .8 + .009 / .095,
                                    .9};
    enum { SHARES = sizeof shares / sizeof *shares };
    int seen[SHARES] = {0};
    for (size_t i = 0; i < KS; i++)
        for (size_t a = 0; a < 5; a++) {
            all.routed[i][asked[a]] = some.routed[i][asked[a]] = all.found[i][asked[a]] = 1000000;
            some.found[i][asked[a]] = 500000 + 100000 * a;
        }
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &all, &whole);
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &some, &part);
    assert_int_equal(part.n, whole.n);
    for (size_t t = 0; t < part.n; t++)
        for (size_t i = 0; i < part.n_points[t]; i++) {
            const struct nlsh__effort_point *p = &part.points[t][i],
                                            *of = same_effort(&whole, t, p);
            size_t s = 0;
            if (of == NULL) continue;
            double share = (double)p->recall / (double)of->recall;
            while (s < SHARES && fabs(share - shares[s]) > 1e-5) s++;
            if (s == SHARES)
                fail_msg("recall@%zu of %g: a share of %g", part.k[t], of->recall, share);
            seen[s] = 1;
        }
    assert_true(seen[1] && seen[3] && seen[5] && seen[6]);

    memset(some.found[1], 0,
           sizeof some.found[1]); /* k = 2 finds nothing: there is no table of it */
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &some, &part);
    assert_int_equal(part.n, whole.n - 1);
    assert_int_equal(part.k[0], 1);
    for (size_t t = 1; t < part.n; t++) assert_int_equal(part.k[t], whole.k[t + 1]);
}

/* What a scan of all buckets finds is taken to be what one of nearly all finds, but where it was asked and found less than
 * chance explains. */
static void a_scan_of_all_is_asked_too(void **state)
{
    const struct fixture *f = *state;
    static struct nlsh__shares shares, none;
    static struct nlsh__measured_efforts like, less, asked;
    add(f, &shares);
    for (size_t i = 0; i < KS; i++) {
        size_t k = nlsh__calibration_ks[i];
        assert_int_equal(shares.all_routed[i], k <= K ? (Q + 14) / 15 * k : 0);
        assert_true(shares.all_found[i] <= shares.all_routed[i]);
    }
    for (size_t i = 0; i < KS; i++) none.routed[i][15] = none.found[i][15] = 1000;
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &none, &like);
    for (size_t i = 0; i < KS; i++) {
        none.all_routed[i] = 60 * nlsh__calibration_ks[i];
        none.all_found[i] =
            59 * nlsh__calibration_ks[i]; /* one of 60 found nothing: it may be chance */
    }
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &none, &asked);
    assert_memory_equal(&like, &asked, sizeof like);
    for (size_t i = 0; i < KS; i++) none.all_found[i] = 50 * nlsh__calibration_ks[i];
    nlsh__efforts_from(&f->calibration, &f->index->row_margins, &f->index->leaf_margins,
                       nlsh__index_row_bytes(f->index), &none, &less);
    for (size_t t = 0; t < like.n; t++) {
        const struct nlsh__effort_point *last = &like.points[t][like.n_points[t] - 1];
        assert_true(last->threshold == 0 && last->recall > .98f);
        last = &less.points[t][less.n_points[t] -
                               1]; /* .82 is less than buckets reach: no such line */
        assert_true(last->threshold > 0 || last->recall < .84f);
    }
}

/* Rows that are the index's own do not find themselves: as if they were asked beside the others. */
static void own_rows_are_left_out(void **state)
{
    const struct fixture *f = *state;
    static struct nlsh__shares shares;
    struct nlsh_neighbors graph = {.struct_size = sizeof graph};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    uint32_t own[Q], ids[Q * 10];
    assert_int_equal(
        nlsh_graph_build(&f->base, NLSH_L2, NLSH_GRAPH_EXACT, 10, 1, &run, &graph, NULL), NLSH_OK);
    for (uint32_t i = 0; i < Q; i++) own[i] = i;
    for (size_t i = 0; i < Q * 10; i++) ids[i] = (uint32_t)graph.ids[i];
    struct nlsh_matrix first = f->base;
    first.n_rows = Q;
    const struct nlsh__neighbors truth = {Q, 10, ids, NULL};
    const struct nlsh__known known = {
        .index = f->index, .queries = first, .truth = &truth, .own = own, .n_asking = first.n_rows};
    assert_int_equal(nlsh__shares_add(&known, &f->calibration, &f->job, &shares, NULL), NLSH_OK);
    for (size_t i = 0; i < 4;
         i++) /* k = 1, 2, 5, 10: nearly all that lies in the buckets is found */
        for (size_t r = 8; r < NLSH__RUNGS; r++) {
            if (shares.routed[i][r] == 0) continue;
            assert_true(shares.found[i][r] * 100 >= shares.routed[i][r] * 90);
            assert_true(shares.found[i][r] <= Q * nlsh__calibration_ks[i]);
        }
    assert_int_equal(shares.routed[4][0], 0); /* 20 neighbours were not known */
    nlsh_neighbors_free(&graph);
}

/* A file may be sorted: those that ask stand for all of it. */
static void who_asks_is_spread_over_all(void **state)
{
    const struct fixture *f = *state;
    static struct nlsh__shares some, others;
    struct nlsh_matrix second = matrix_new(KIND_F32, Q / 2, DIM, 60, 22, 5);
    uint32_t *ids = malloc(sizeof *ids * (Q / 2) * K);
    size_t row_bytes = nlsh__row_bytes(&f->queries);
    assert_non_null(ids);
    for (size_t i = 0; i < Q / 2; i++) {
        memcpy((uint8_t *)(uintptr_t)second.data + i * row_bytes, nlsh__row(&f->queries, 2 * i),
               row_bytes);
        memcpy(ids + i * K, f->known.ids + 2 * i * K, K * sizeof *ids);
    }
    const struct nlsh__neighbors truth = {Q / 2, K, ids, NULL};
    const struct nlsh__known known = {
        .index = f->index, .queries = f->queries, .truth = &f->known, .n_asking = Q / 2};
    const struct nlsh__known alone = {
        .index = f->index, .queries = second, .truth = &truth, .n_asking = Q};
    assert_int_equal(nlsh__shares_add(&known, &f->calibration, &f->job, &some, NULL), NLSH_OK);
    assert_int_equal(nlsh__shares_add(&alone, &f->calibration, &f->job, &others, NULL), NLSH_OK);
    assert_true(some.routed[3][7] > 0);
    assert_memory_equal(&some, &others, sizeof some);
    free(ids);
    matrix_free(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_add_up),
        cmocka_unit_test(who_asks_is_spread_over_all),
        cmocka_unit_test(tables_keep_their_word),
        cmocka_unit_test(efforts_between_those_that_were_asked),
        cmocka_unit_test(a_scan_of_all_is_asked_too),
        cmocka_unit_test(own_rows_are_left_out),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("measure/efforts", tests, set_up, tear_down));
}
