/* test_memory_plan.c - what a build in a part of the memory uses it for: never more than there is, and more of it learns more. */
#include "make/memory_plan.h"
#include "support/built.h"

static enum nlsh_status read_none(void *user, size_t first, size_t n, void *values,
                                  struct nlsh_error *error)
{
    (void)user;
    (void)first;
    (void)n;
    (void)values;
    (void)error;
    return NLSH_E_INTERNAL;
}

static struct nlsh_rows rows_of(size_t n, size_t dim, enum nlsh_type type)
{
    struct nlsh_rows rows;
    nlsh_rows_init(&rows, sizeof rows);
    rows.n_rows = n;
    rows.dim = dim;
    rows.type = type;
    rows.read = read_none;
    return rows;
}

static void parts_are_no_more_than_the_whole(void **state)
{
    static const struct {
        size_t n, dim;
        enum nlsh_type type;
    } sets[] = {{1000000, 128, NLSH_U8},  {1000000, 25, NLSH_F32},  {10000000, 96, NLSH_I8},
                {2000000, 768, NLSH_F32}, {100000000, 96, NLSH_U8}, {300000, 2048, NLSH_F32}};
    size_t apart = 0;
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const struct nlsh_rows rows = rows_of(sets[i].n, sets[i].dim, sets[i].type);
        struct nlsh_build_options o;
        size_t before = 0, worked = 0;
        uint64_t whole;
        nlsh_build_options_init(&o, sizeof o);
        assert_int_equal(nlsh_build_memory(&rows, &o, &whole, NULL), NLSH_OK);
        o.n_buckets = 1024;
        for (uint64_t memory = 10000000; memory < 2 * whole; memory += memory / 8) {
            struct nlsh__memory_plan plan;
            struct nlsh_error error;
            enum nlsh_status status = nlsh__plan_memory(&rows, &o, memory, &plan, &error);
            if (status != NLSH_OK) {
                assert_int_equal(status, NLSH_E_ARG);
                assert_non_null(strstr(error.message, "MB of memory are too little"));
                assert_int_equal(worked, 0); /* more memory never begins to be too little */
                const char *number = strpbrk(error.hint, "0123456789");
                assert_non_null(number);
                uint64_t enough = strtoull(number, NULL, 10) * 1000000;
                assert_int_equal(nlsh__plan_memory(&rows, &o, enough, &plan, NULL), NLSH_OK);
                continue;
            }
            worked++;
            assert_true(plan.sample >= 2048 && plan.sample <= sets[i].n && plan.sample >= before);
            if (plan.compared > 0) {
                struct nlsh_build_options cells = o;
                uint64_t values = plan.sample * sets[i].dim * (sets[i].type == NLSH_F32 ? 4 : 1);
                cells.partitioner = NLSH_PARTITIONER_KMEANS;
                assert_true(plan.compared < plan.sample && plan.compared >= 2048);
                assert_true(nlsh__bytes_of_build(&rows, &cells, plan.sample) <= memory);
                assert_true(nlsh__bytes_of_build(&rows, &o, plan.compared) + values <= memory);
                apart++;
            } else {
                assert_true(nlsh__bytes_of_build(&rows, &o, plan.sample) <= memory);
            }
            if (plan.sample < sets[i].n) {
                assert_true(plan.sample <= NLSH__MOST_SAMPLE);
                assert_true(sets[i].n - plan.sample >= plan.asking && plan.asking >= 1000);
                assert_true(plan.asking * 1000 * 8 <= memory / 10 || plan.asking == 1000);
            } else {
                assert_true(memory >= whole);
            }
            size_t row = sets[i].dim * (sets[i].type == NLSH_F32 ? 4 : 1);
            assert_true(plan.block >= 1024);
            if (plan.sample < sets[i].n) {
                assert_true(plan.block * row <= memory / 2);
                assert_true(plan.teaching_bytes + 64 * (uint64_t)sets[i].n <= memory);
            }
            before = plan.sample < sets[i].n ? plan.sample : 0;
        }
        assert_true(worked > 3);
    }
    assert_true(apart > 20); /* a cut got fewer rows than k-means */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_are_no_more_than_the_whole)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
