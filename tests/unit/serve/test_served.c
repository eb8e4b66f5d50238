/* test_served.c - seats and states: a seat that was taken before a change searches what it was taken for, and the next time
 * what there is then. */
#include "support/built.h"

#include "nlsh/learn.h"
#include "serve/served.h"

enum { DIM = 12, N_BASE = 300 };

static char path[512];

static uint64_t nearest(const struct nlsh__seat *seat, const float *query)
{
    struct nlsh_search_options o;
    uint64_t key;
    nlsh_search_options_init(&o, sizeof o);
    o.k = 1;
    o.probes = 8;
    const struct nlsh_matrix one = {query, 1, DIM, NLSH_F32, 0};
    assert_int_equal(nlsh_search(seat->searcher, &one, &o, &key, NULL, NULL, NULL), NLSH_OK);
    return key;
}

static void a_seat_goes_over_to_the_newest_state_when_it_is_taken(void **state)
{
    static const float far[DIM] = {255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0};
    const struct nlsh_matrix vector = {far, 1, DIM, NLSH_F32, 0};
    const uint64_t key = 9000;
    struct nlsh__served *served;
    struct nlsh__seat *held, *other, *again;
    struct nlsh_error error = {0};
    size_t n_rows, n_deleted;
    (void)state;
    if (nlsh__served_open(path, NLSH_MEMORY_MAP, 1, NLSH_SYNC_FLUSH, &served, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(nlsh__served_take(served, &held, NULL), NLSH_OK);
    assert_int_equal(held->state->number, 1);
    assert_int_equal(nlsh__served_put(served, &key, &vector, NULL, &n_rows, NULL), NLSH_OK);
    assert_int_equal(n_rows, N_BASE + 1);
    /* What is held does not change; what is taken now has it. */
    assert_int_not_equal(nearest(held, far), key);
    assert_int_equal(held->state->info.n_rows, N_BASE);
    assert_int_equal(nlsh__served_take(served, &other, NULL), NLSH_OK);
    assert_int_equal(nearest(other, far), key);
    assert_int_equal(other->state->number, 2);
    assert_int_equal(other->state->file, 1);
    nlsh__served_give(served, other);
    nlsh__served_give(served, held);
    /* The seat that was held through the change is the next one, and has gone over. */
    assert_int_equal(nlsh__served_take(served, &again, NULL), NLSH_OK);
    assert_ptr_equal(again, held);
    assert_int_equal(nearest(again, far), key);
    assert_int_equal(again->state->info.n_rows, N_BASE + 1);
    nlsh__served_give(served, again);
    /* Idle seats go over by themselves. */
    assert_int_equal(nlsh__served_delete(served, &key, 1, &n_deleted, &n_rows, NULL), NLSH_OK);
    assert_true(n_deleted == 1 && n_rows == N_BASE);
    assert_int_equal(nlsh__served_take(served, &again, NULL), NLSH_OK);
    assert_int_not_equal(nearest(again, far), key);
    nlsh__served_give(served, again);
    assert_int_equal(nlsh__served_close(served, NULL), NLSH_OK);
}

static void one_that_only_reads_refuses_changes(void **state)
{
    static const float zeros[DIM];
    const struct nlsh_matrix vector = {zeros, 1, DIM, NLSH_F32, 0};
    struct nlsh__served *served;
    struct nlsh_error error = {0};
    size_t n;
    const uint64_t key = 1;
    (void)state;
    assert_int_equal(nlsh__served_open(path, NLSH_MEMORY_ALL, 0, NLSH_SYNC_ALWAYS, &served, &error),
                     NLSH_OK);
    assert_false(nlsh__served_writes(served));
    assert_int_equal(nlsh__served_put(served, &key, &vector, NULL, &n, &error), NLSH_E_UNSUPPORTED);
    assert_int_equal(nlsh__served_delete(served, &key, 1, &n, &n, &error), NLSH_E_UNSUPPORTED);
    assert_int_equal(nlsh__served_refresh(served, &error), NLSH_OK);
    assert_int_equal(nlsh__served_close(served, NULL), NLSH_OK);
    assert_int_equal(nlsh__served_close(NULL, NULL), NLSH_OK);
}

static int set_up(void **state)
{
    struct nlsh_build_options o;
    (void)state;
    small_options(&o, 8);
    struct nlsh_matrix base = matrix_new(KIND_U8, N_BASE, DIM, 12, 12, 1);
    nlsh_index_close(built_index(&base, &o, "served.nlsh"));
    snprintf(path, sizeof path, "%s", test_path("served.nlsh"));
    matrix_free(&base);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seat_goes_over_to_the_newest_state_when_it_is_taken),
        cmocka_unit_test(one_that_only_reads_refuses_changes),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
