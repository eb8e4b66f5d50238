/* test_learner.c - a learner learns what a build of the same rows does, run after run, and scores
 * queries as an index of them would find their neighbours. */
#include "support/built.h"

#include "evaluate/curve.h"
#include "index/index.h"
#include "make/learner.h"
#include "vectors/vectors.h"

struct seen {
    size_t epochs;
    double last; /* candidates */
    const struct nlsh__learner *learner;
    size_t stop_after;
};

static enum nlsh_status watch(void *user, size_t epoch, const struct nlsh__glimpse *now,
                              struct nlsh_error *error)
{
    struct seen *seen = user;
    struct nlsh__held_out_score score;
    assert_int_equal(epoch, seen->epochs++);
    if (nlsh__learner_glimpse(seen->learner, now, SIZE_MAX, 1, 0.9, &score, error) != NLSH_OK)
        fail();
    seen->last = score.candidates;
    return seen->epochs == seen->stop_after ? NLSH_E_INTERRUPTED : NLSH_OK;
}

/* A point of an index's own curve at T = 2, and what the learner says. */
static void compare_scores(const char *path, const struct nlsh_matrix *queries,
                           const struct nlsh_neighbors *truth, const struct nlsh__learner *learner,
                           size_t n_rows)
{
    struct nlsh_index *index;
    struct nlsh_curve *curve;
    struct nlsh__held_out_score top, threshold;
    struct nlsh_error error;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) fail_msg("%s", error.message);
    struct nlsh_neighbors ids_only = *truth;
    ids_only.distances = NULL; /* ties: a learner takes the truth as it stands */
    assert_int_equal(nlsh_evaluate(index, queries, &ids_only, 10, &run, &curve, &error), NLSH_OK);
    const struct nlsh_curve_point *two = NULL, *low = NULL;
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        if (p->rule == NLSH_RULE_TOP && p->value == 2) two = p;
        if (p->rule == NLSH_RULE_THRESHOLD && p->recall > 0.7 && low == NULL) low = p;
    }
    assert_true(two && low);
    assert_int_equal(nlsh__learner_score(learner, SIZE_MAX, 2, low->recall, &top, &error), NLSH_OK);
    assert_int_equal(nlsh__learner_score(learner, SIZE_MAX, low->value, 1.1, &threshold, &error),
                     NLSH_OK);
    /* An index may round queries of floats before it projects them; a learner does not. */
    int rounds = nlsh__index_query_mean(index) != NULL;
    double off = rounds ? 0.02 : 1e-12;
    assert_float_equal(top.recall, two->recall, off);
    assert_float_equal(threshold.recall, low->recall, off);
    if (!rounds) {
        assert_float_equal(top.candidates, low->candidates, 1e-6);
        assert_float_equal(top.threshold, low->value, 1e-6);
    }
    assert_float_equal(threshold.candidates, (double)n_rows, 0); /* out of reach */
    nlsh_curve_free(curve);
    nlsh_index_close(index);
}

/* All but what is measured: of few rows a build does that with folds, and a trial does not. */
static void compare_sections(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    struct nlsh_index *one, *other;
    const struct nlsh_open_options copied = {.struct_size = sizeof copied,
                                             .memory = NLSH_MEMORY_ALL};
    struct nlsh_section_info s = {.struct_size = sizeof s}, t = {.struct_size = sizeof t};
    size_t i = 0, n_compared = 0;
    assert_int_equal(nlsh_index_open_memory(a, a_size, "a", &copied, &one, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open_memory(b, b_size, "b", &copied, &other, NULL), NLSH_OK);
    for (; nlsh_index_section(one, i, &s); i++) {
        assert_true(nlsh_index_section(other, i, &t));
        assert_string_equal(s.name, t.name);
        if (strcmp(s.name, "efforts") == 0 || strcmp(s.name, "outside") == 0 ||
            strcmp(s.name, "meter") == 0)
            continue;
        assert_int_equal(s.size_bytes, t.size_bytes);
        assert_memory_equal(a + s.offset, b + t.offset, s.size_bytes);
        n_compared++;
    }
    assert_false(nlsh_index_section(other, i, &t));
    assert_true(n_compared >= 8);
    nlsh_index_close(one);
    nlsh_index_close(other);
}

static void compare(enum nlsh_metric metric, enum kind kind)
{
    struct nlsh_build_options o, other;
    struct nlsh_matrix base = matrix_new(kind, 700, 20, 15, 14, 1);
    struct nlsh_matrix queries = matrix_new(kind, 90, 20, 15, 14, 2);
    struct nlsh_neighbors graph = {.struct_size = sizeof graph}, truth = graph;
    struct nlsh__neighbors narrow_graph, narrow_truth;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh_error error;
    struct nlsh__job job;
    struct nlsh__learner *learner;
    int from_cache;
    size_t size, learned_size;
    small_options(&o, 12);
    o.metric = metric;
    o.partitioner = NLSH_PARTITIONER_METIS;
    o.components = 8;
    assert_int_equal(nlsh_graph_build(&base, metric, NLSH_GRAPH_EXACT, 60, 1, &run, &graph, &error),
                     NLSH_OK);
    assert_int_equal(nlsh_ground_truth(&base, &queries, metric, 10, &run, &truth, &error), NLSH_OK);
    assert_int_equal(nlsh__neighbors_take(&graph, 700, &narrow_graph, &error), NLSH_OK);
    assert_int_equal(nlsh__neighbors_take(&truth, 700, &narrow_truth, &error), NLSH_OK);
    struct nlsh__learner_input input = {.rows = base,
                                        .queries = queries,
                                        .truth = narrow_truth.ids,
                                        .truth_k = 10,
                                        .graphs = {narrow_graph}};
    assert_int_equal(nlsh__job_begin(&run, &job, &error), NLSH_OK);
    if (nlsh__learner_create(&input, &o, &job, &learner, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    /* Other settings before, so that nothing of theirs may stay. */
    other = o;
    other.components = 5;
    other.knn = 4;
    other.n_buckets = 7;
    other.layers = 1;
    assert_int_equal(nlsh__learner_run(learner, &other, NULL, &from_cache, &error), NLSH_OK);
    struct seen seen = {.learner = learner};
    const struct nlsh__watch watcher = {watch, &seen};
    if (nlsh__learner_run(learner, &o, &watcher, &from_cache, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(seen.epochs, o.epochs);
    struct nlsh__held_out_score score;
    assert_int_equal(nlsh__learner_score(learner, SIZE_MAX, 1, 0.9, &score, &error), NLSH_OK);
    assert_float_equal(score.candidates, seen.last, 0);
    assert_int_equal(nlsh__learner_write(learner, test_path("learned"), &error), NLSH_OK);
    uint8_t *bytes = build(&base, &o, &run, NULL, &size);
    uint8_t *learned_bytes = test_read_file(test_path("learned"), &learned_size);
    compare_sections(bytes, size, learned_bytes, learned_size);
    compare_scores(test_path("learned"), &queries, &truth, learner, base.n_rows);
    /* A watcher can end it. */
    seen = (struct seen){.learner = learner, .stop_after = 1};
    assert_int_equal(nlsh__learner_run(learner, &o, &watcher, &from_cache, &error),
                     NLSH_E_INTERRUPTED);
    assert_int_equal(seen.epochs, 1);
    free(bytes);
    free(learned_bytes);
    nlsh__learner_free(learner);
    nlsh__job_end(&job);
    nlsh__neighbors_free(&narrow_graph);
    nlsh__neighbors_free(&narrow_truth);
    nlsh_neighbors_free(&graph);
    nlsh_neighbors_free(&truth);
    matrix_free(&base);
    matrix_free(&queries);
}

static void learns_what_a_build_does(void **state)
{
    (void)state;
    compare(NLSH_L2, KIND_U8);
    compare(NLSH_L2, KIND_I8);
    compare(NLSH_L2, KIND_F32);
    compare(NLSH_COSINE, KIND_F32);
    compare(NLSH_COSINE, KIND_U8);
    compare(NLSH_IP, KIND_F32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_what_a_build_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
