/*
 * test_kahip.c - nlsh__partition_kahip(): how a library is found and what is made of its answers,
 * with fakes; and the real one where it is installed or NLSH_KAHIP names it.
 */
#include "unit/partition/graphs.h"

/* FAKES: the folder of the fakes, from the build. */
static void use_fake(const char *name, const char *how)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/%s", FAKES, name);
    assert_int_equal(setenv("NLSH_KAHIP", path, 1), 0);
    assert_int_equal(setenv("FAKE_KAHIP", how, 1), 0);
}

static enum nlsh_status cut(const struct nlsh__csr *csr, size_t m, uint32_t *bucket_of,
                            struct nlsh_error *error)
{
    *error = (struct nlsh_error){0};
    return nlsh__partition_kahip(csr, m, 0.03, 1, SEED, NULL, bucket_of, error);
}

static void both_widths_are_spoken(void **state)
{
    (void)state;
    static const char *const names[] = {"fake_kahip_old.so", "fake_kahip_32.so",
                                        "fake_kahip_64.so"};
    struct nlsh__csr csr = grid_graph(20);
    uint32_t bucket_of[400];
    struct nlsh_error error;
    for (size_t i = 0; i < 3; i++) {
        use_fake(names[i], "stripes");
        if (cut(&csr, 8, bucket_of, &error) != NLSH_OK) fail_msg("%s: %s", names[i], error.message);
        for (size_t v = 0; v < 400; v++) assert_int_equal(bucket_of[v], v / 50);
    }
    free_csr(&csr);
}

static void what_cannot_be_loaded(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"no_such_file.so", "no_such_file.so"},
                                           {"fake_kahip_other.so", "no function kaffpa"},
                                           {"fake_kahip_odd.so", "16 bytes"}};
    struct nlsh__csr csr = grid_graph(20);
    uint32_t bucket_of[400];
    struct nlsh_error error;
    for (size_t i = 0; i < 3; i++) {
        use_fake(names[i][0], "stripes");
        assert_int_equal(cut(&csr, 8, bucket_of, &error), NLSH_E_UNSUPPORTED);
        if (strstr(error.message, names[i][1]) == NULL) fail_msg("message: %s", error.message);
        assert_non_null(strstr(error.hint, "NLSH_KAHIP"));
        assert_non_null(strstr(error.hint, "--partitioner metis"));
        /* Also where nothing would have to be cut: an answer must not hide what is missing. */
        assert_int_equal(cut(&csr, 1, bucket_of, &error), NLSH_E_UNSUPPORTED);
    }
    free_csr(&csr);
}

static void bad_answers_are_caught(void **state)
{
    (void)state;
    static const char *const hows[] = {"range", "negative", "untouched"};
    struct nlsh__csr csr = grid_graph(20);
    uint32_t bucket_of[400];
    struct nlsh_error error;
    for (size_t i = 0; i < 3; i++) {
        use_fake(i % 2 ? "fake_kahip_64.so" : "fake_kahip_32.so", hows[i]);
        assert_int_equal(cut(&csr, 8, bucket_of, &error), NLSH_E_INTERNAL);
        assert_non_null(strstr(error.message, "of 8"));
    }
    free_csr(&csr);
}

static void poor_answers_are_repaired(void **state)
{
    (void)state;
    static const char *const hows[] = {"empty", "one bucket"};
    static const size_t ms[] = {2, 8, 39, 200, 399};
    struct named_graph graphs[N_GRAPHS];
    struct nlsh_error error;
    make_graphs(graphs);
    for (size_t g = 0; g < N_GRAPHS; g++)
        for (size_t i = 0; i < 10; i++) {
            uint32_t *bucket_of = malloc(graphs[g].csr.n * sizeof *bucket_of);
            size_t m = ms[i / 2];
            assert_non_null(bucket_of);
            use_fake("fake_kahip_32.so", hows[i % 2]);
            if (m <= graphs[g].csr.n) {
                /* The fake knows weights of 1 and 2 only, which is what k-NN graphs hold. */
                if (cut(&graphs[g].csr, m, bucket_of, &error) != NLSH_OK)
                    fail_msg("%s, m %zu: %s", graphs[g].name, m, error.message);
                assert_valid(graphs[g].name, bucket_of, graphs[g].csr.n, m, 0.03);
            }
            free(bucket_of);
        }
    free_graphs(graphs);
}

static void settings_and_graphs_are_checked_before(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(10);
    uint32_t bucket_of[100];
    struct nlsh_error error = {0};
    use_fake("fake_kahip_32.so", "range"); /* would give NLSH_E_INTERNAL if asked */
    assert_int_equal(nlsh__partition_kahip(&csr, 4, 0.03, -1, 1, NULL, bucket_of, &error),
                     NLSH_E_ARG);
    assert_int_equal(nlsh__partition_kahip(&csr, 4, 0.03, 6, 1, NULL, bucket_of, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "mode 6"));
    assert_int_equal(nlsh__partition_kahip(&csr, 0, 0.03, 1, 1, NULL, bucket_of, &error),
                     NLSH_E_ARG);
    assert_int_equal(nlsh__partition_kahip(&csr, 101, 0.03, 1, 1, NULL, bucket_of, &error),
                     NLSH_E_ARG);
    assert_int_equal(nlsh__partition_kahip(&csr, 4, -1.0, 1, 1, NULL, bucket_of, &error),
                     NLSH_E_ARG);
    assert_int_equal(nlsh__partition_kahip(&csr, 1, 0.03, 1, 1, NULL, bucket_of, &error), NLSH_OK);
    assert_valid("m 1", bucket_of, 100, 1, 0.03);
    assert_int_equal(nlsh__partition_kahip(&csr, 100, 0.03, 1, 1, NULL, bucket_of, &error),
                     NLSH_OK);
    assert_valid("m n", bucket_of, 100, 100, 0.03);
    csr.weights[0] = 1;
    assert_int_equal(nlsh__partition_kahip(&csr, 4, 0.03, 1, 1, NULL, bucket_of, &error),
                     NLSH_E_DATA);
    free_csr(&csr);
}

/* ---- the real one ---------------------------------------------------------------------------- */

static const char *real_path; /* what NLSH_KAHIP was at the start, or NULL */

/* 1 where it is here; otherwise the test is skipped. */
static int use_real(void)
{
    struct nlsh__csr csr = grid_graph(4);
    uint32_t bucket_of[16];
    if (real_path != NULL)
        setenv("NLSH_KAHIP", real_path, 1);
    else
        unsetenv("NLSH_KAHIP");
    enum nlsh_status status = nlsh__partition_kahip(&csr, 1, 0.03, 0, 1, NULL, bucket_of, NULL);
    free_csr(&csr);
    /* Who names a library wants it tested. */
    if (real_path != NULL) assert_int_equal(status, NLSH_OK);
    return status == NLSH_OK;
}

static void real_every_graph(void **state)
{
    (void)state;
    struct named_graph graphs[N_GRAPHS];
    struct nlsh_error error = {0};
    struct hush hush;
    char text[400];
    if (!use_real()) skip();
    make_graphs(graphs);
    hush_begin(&hush);
    for (size_t g = 0; g < N_GRAPHS; g++) {
        size_t n = graphs[g].csr.n, ms[] = {2, 5, n / 20, n / 2};
        uint32_t *bucket_of = malloc(n * sizeof *bucket_of), *again = malloc(n * sizeof *again);
        assert_true(bucket_of && again);
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
            for (int mode = 0; mode < 4; mode += 3) {
                for (int turn = 0; turn < 2; turn++)
                    if (nlsh__partition_kahip(&graphs[g].csr, ms[i], 0.03, mode, SEED, NULL,
                                              turn ? again : bucket_of, &error) != NLSH_OK)
                        fail_msg("%s, m %zu: %s", graphs[g].name, ms[i], error.message);
                assert_valid(graphs[g].name, bucket_of, n, ms[i], 0.03);
                assert_memory_equal(bucket_of, again, n * sizeof *again);
            }
        free(bucket_of);
        free(again);
    }
    size_t printed = hush_end(&hush, text, sizeof text);
    if (printed > 0) print_message("KaHIP printed %zu bytes: %s\n", printed, text);
    free_graphs(graphs);
}

static void real_cliques_are_found(void **state)
{
    (void)state;
    if (!use_real()) skip();
    struct nlsh__csr csr = clique_graph(16, 20, 1);
    uint32_t bucket_of[320];
    for (int mode = 0; mode <= 5; mode++) {
        assert_int_equal(nlsh__partition_kahip(&csr, 16, 0.03, mode, 1, NULL, bucket_of, NULL),
                         NLSH_OK);
        assert_int_equal(cut_weight(&csr, bucket_of), 16);
    }
    free_csr(&csr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_widths_are_spoken),
        cmocka_unit_test(what_cannot_be_loaded),
        cmocka_unit_test(bad_answers_are_caught),
        cmocka_unit_test(poor_answers_are_repaired),
        cmocka_unit_test(settings_and_graphs_are_checked_before),
        cmocka_unit_test(real_every_graph),
        cmocka_unit_test(real_cliques_are_found),
    };
    const char *named = getenv("NLSH_KAHIP");
    if (named != NULL && named[0] != '\0') real_path = strdup(named);
    printf("seed %u\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
