/*
 * test_strange.c - a log that holds vectors unlike those of its file is noticed, and what is asked from there is found;
 * where they are alike, nothing is done for it.
 */
#include "support/live.h"

enum { N = 3000, PUT = 1000, DIM = 16, M = 40, Q = 100, K = 10 };

static struct nlsh_matrix base, like, unlike, like_queries, unlike_queries;
static char path[512];

static struct nlsh_matrix noise(size_t n, uint64_t stream)
{
    struct nlsh__rng rng;
    float *data = malloc(n * DIM * sizeof *data);
    assert_non_null(data);
    test_rng(&rng, stream);
    for (size_t i = 0; i < n * DIM; i++) data[i] = (float)(60 * nlsh__rng_uniform(&rng) - 30);
    return (struct nlsh_matrix){data, n, DIM, NLSH_F32, 0};
}

/* From here on the index is one of this metric. */
static void begin(enum nlsh_metric metric)
{
    struct nlsh_build_options o;
    snprintf(path, sizeof path, "%s", test_path("strange"));
    small_options(&o, M);
    o.metric = metric;
    nlsh_index_close(built_index(&base, &o, "strange"));
}

static int set_up(void **state)
{
    (void)state;
    base = matrix_new(KIND_F32, N, DIM, 60, 12, 1);
    like = matrix_new(KIND_F32, PUT, DIM, 60, 12, 2);
    like_queries = matrix_new(KIND_F32, Q, DIM, 60, 12, 3);
    unlike = noise(PUT, 4);
    unlike_queries = noise(Q, 5);
    begin(NLSH_L2);
    return 0;
}

static int tear_down(void **state)
{
    struct nlsh_matrix *all[] = {&base, &like, &unlike, &like_queries, &unlike_queries};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) matrix_free(all[i]);
    return 0;
}

/* The state after rows were put, so many a call; as the writer has it, and as it is opened. */
static void put(const struct nlsh_matrix *rows, size_t a_call, struct nlsh_index **written,
                struct nlsh_index **opened)
{
    uint64_t keys[PUT];
    struct nlsh_writer *w = writer_opened(path, NULL);
    for (size_t i = 0; i < rows->n_rows; i++) keys[i] = N + i;
    for (size_t i = 0; i < rows->n_rows; i += a_call) {
        struct nlsh_matrix some = *rows;
        some.data = (const float *)rows->data + i * DIM;
        some.n_rows = rows->n_rows - i < a_call ? rows->n_rows - i : a_call;
        assert_int_equal(nlsh_writer_put(w, keys + i, &some, NULL), NLSH_OK);
    }
    assert_int_equal(nlsh_writer_snapshot(w, written, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    *opened = index_opened(path);
    assert_int_equal(unlink(log_path_of(path)), 0);
}

struct asked {
    uint64_t keys[Q * K];
    float distances[Q * K];
    uint32_t candidates[Q];
};

static void ask(const struct nlsh_index *index, const struct nlsh_matrix *queries, double probes,
                struct asked *out)
{
    struct nlsh_search_options o;
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = out->candidates};
    nlsh_search_options_init(&o, sizeof o);
    o.probes = probes;
    assert_int_equal(nlsh_search_batch(index, queries, &o, out->keys, out->distances, &stats, NULL),
                     NLSH_OK);
}

static double recall(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                     struct asked *out)
{
    static struct asked truth;
    double found = 0;
    ask(index, queries, 0, out);
    ask(index, queries, (double)index->meta.n_buckets, &truth);
    for (size_t q = 0; q < Q; q++)
        found += nlsh_recall(out->keys + q * K, out->distances + q * K, truth.keys + q * K,
                             truth.distances + q * K, K) /
                 Q;
    return found;
}

static double scanned(const struct asked *a)
{
    double sum = 0;
    for (size_t q = 0; q < Q; q++) sum += a->candidates[q];
    return sum / Q;
}

static void what_is_like_the_file_costs_nothing(void **state)
{
    static struct asked asked;
    struct nlsh_index *written, *opened;
    (void)state;
    put(&like, 100, &written, &opened);
    assert_true(opened->strange == 0 && written->strange == 0);
    assert_true(recall(opened, &like_queries, &asked) > .92);
    assert_true(scanned(&asked) < (N + PUT) / 4);
    nlsh_index_close(written);
    nlsh_index_close(opened);
}

/* By a file whose promises do not know them: all is compared for such queries, and for no others. */
static void what_is_unlike_is_found(void **state)
{
    static struct asked asked, again;
    struct nlsh_index *written, *opened;
    (void)state;
    put(&unlike, 100, &written, &opened);
    assert_true(opened->strange > opened->far && opened->far > 0);
    assert_true(recall(opened, &unlike_queries, &asked) > .99);
    assert_true(scanned(&asked) > .95 * (N + PUT));
    ask(written, &unlike_queries, 0, &again);
    assert_memory_equal(&asked, &again, sizeof asked);
    assert_true(recall(opened, &like_queries, &asked) > .92);
    assert_true(scanned(&asked) < (N + PUT) / 4);
    /* who says how many buckets gets those */
    ask(opened, &unlike_queries, 2, &asked);
    assert_true(scanned(&asked) < (N + PUT) / 2);
    nlsh_index_close(written);
    nlsh_index_close(opened);
}

/* It depends on the rows alone, and two of them are not enough of them. */
static void it_is_the_same_however_they_come(void **state)
{
    struct nlsh_index *a, *b, *c, *d;
    (void)state;
    put(&unlike, PUT, &a, &b);
    put(&unlike, 7, &c, &d);
    assert_true(a->strange == b->strange && b->strange == c->strange && c->strange == d->strange);
    nlsh_index_close(a);
    nlsh_index_close(b);
    nlsh_index_close(c);
    nlsh_index_close(d);
    struct nlsh_matrix few = unlike;
    few.n_rows = 64; /* one of them asks */
    put(&few, 64, &a, &b);
    assert_true(a->strange == 0 && b->strange == 0);
    nlsh_index_close(a);
    nlsh_index_close(b);
    few.n_rows = 65;
    put(&few, 65, &a, &b);
    assert_true(a->strange > 0 && a->strange == b->strange);
    nlsh_index_close(a);
    nlsh_index_close(b);
}

/* Neighbours of any query may be among them, where many neighbours are wanted: then the log is compared whole. */
static void a_query_that_reaches_them_finds_them(void **state)
{
    struct nlsh_index *written, *opened;
    struct nlsh_search_options o;
    enum { MANY = 200 };
    static uint64_t keys[Q * MANY], true_keys[Q * MANY];
    static float distances[Q * MANY], true_distances[Q * MANY];
    static uint32_t candidates[Q];
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    float *middle = calloc(PUT, DIM * sizeof *middle);
    double found = 0;
    (void)state;
    assert_non_null(middle);
    struct nlsh_matrix rows = {middle, PUT, DIM, NLSH_F32, 0};
    put(&rows, PUT, &written, &opened);
    assert_true(opened->strange > 0);
    nlsh_search_options_init(&o, sizeof o);
    o.k = MANY;
    assert_int_equal(nlsh_search_batch(opened, &like_queries, &o, keys, distances, &stats, NULL),
                     NLSH_OK);
    o.probes = (double)opened->meta.n_buckets;
    assert_int_equal(
        nlsh_search_batch(opened, &like_queries, &o, true_keys, true_distances, NULL, NULL),
        NLSH_OK);
    for (size_t q = 0; q < Q; q++) {
        found += nlsh_recall(keys + q * MANY, distances + q * MANY, true_keys + q * MANY,
                             true_distances + q * MANY, MANY) /
                 Q;
        assert_true(candidates[q] >= PUT);
    }
    assert_true(found > .92);
    nlsh_index_close(written);
    nlsh_index_close(opened);
    free(middle);
}

/* By angle as by distance. By inner product they are far where no product is as large as is usual of queries of one length, and
 * what is long may be among the nearest of any query. */
static void so_it_is_by_other_metrics(void **state)
{
    static const enum nlsh_metric metrics[] = {NLSH_COSINE, NLSH_IP};
    static struct asked asked;
    struct nlsh_index *written, *opened;
    (void)state;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        begin(metrics[i]);
        put(&like, 100, &written, &opened);
        assert_true(opened->strange == 0 && written->strange == 0 && opened->far != 0);
        assert_true(recall(opened, &like_queries, &asked) > .92);
        assert_true(scanned(&asked) < (N + PUT) / 4);
        nlsh_index_close(written);
        nlsh_index_close(opened);
        put(&unlike, 100, &written, &opened);
        assert_true(opened->strange != 0 && opened->strange == written->strange);
        assert_true(recall(opened, &unlike_queries, &asked) > .99);
        assert_true(scanned(&asked) > .95 * (N + PUT));
        assert_true(recall(opened, &like_queries, &asked) > .92);
        nlsh_index_close(written);
        nlsh_index_close(opened);
    }
    begin(NLSH_L2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_like_the_file_costs_nothing),
        cmocka_unit_test(what_is_unlike_is_found),
        cmocka_unit_test(it_is_the_same_however_they_come),
        cmocka_unit_test(a_query_that_reaches_them_finds_them),
        cmocka_unit_test(so_it_is_by_other_metrics),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
