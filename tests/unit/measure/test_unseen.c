/* test_unseen.c - nlsh__unseen_buckets(): who lies where because of a held-out row. */
#include "measure/unseen.h"

#include "base/csr.h"
#include "support/counting.h"
#include "testing.h"

enum { HELD, X, A, B, C, D, N };

/* x and its edges: to the held-out row, to a and b in the same bucket 0, to c and d in bucket 1. */
static struct nlsh__csr star(const int32_t weights[5], int32_t offsets[N + 1],
                             int32_t neighbors[10], int32_t all[10])
{
    static const int32_t ends[5] = {HELD, A, B, C, D};
    int32_t n = 0;
    for (int32_t row = 0; row < N; row++) {
        offsets[row] = n;
        for (int i = 0; i < 5; i++) {
            if (weights[i] == 0 || (row != X && row != ends[i])) continue;
            neighbors[n] = row == X ? ends[i] : X;
            all[n++] = weights[i];
        }
    }
    offsets[N] = n;
    return (struct nlsh__csr){N, offsets, neighbors, all};
}

static uint32_t bucket_of_x(const int32_t weights[5], const uint32_t bucket_of[N])
{
    int32_t offsets[N + 1], neighbors[10], all[10];
    struct nlsh__csr csr = star(weights, offsets, neighbors, all);
    const uint32_t rows[] = {HELD};
    uint32_t ids[] = {X}, out;
    struct nlsh__neighbors truth = {.ids = ids, .n_rows = 1, .k = 1};
    assert_int_equal(nlsh__unseen_buckets(&csr, rows, 1, &truth, truth.k, bucket_of, 3, &out, NULL),
                     NLSH_OK);
    return out;
}

static void a_neighbour_goes_where_its_other_edges_lead(void **state)
{
    (void)state;
    const uint32_t bucket_of[N] = {0, 0, 0, 0, 1, 1};
    /* the edge to the held-out row decides: 2 + 1 against 2, 1 without it */
    assert_int_equal(bucket_of_x((int32_t[]){2, 1, 0, 1, 1}, bucket_of), 1);
    /* as many in both buckets with it */
    assert_int_equal(bucket_of_x((int32_t[]){2, 1, 0, 1, 2}, bucket_of), 1);
    /* without it there are still more in bucket 0, or as many */
    assert_int_equal(bucket_of_x((int32_t[]){2, 2, 1, 1, 1}, bucket_of), 0);
    assert_int_equal(bucket_of_x((int32_t[]){2, 1, 1, 1, 1}, bucket_of), 0);
    /* it lies in bucket 0 though more edges lead to 1: something else keeps it there */
    assert_int_equal(bucket_of_x((int32_t[]){1, 1, 0, 2, 2}, bucket_of), 0);
    /* no edge to the held-out row at all */
    assert_int_equal(bucket_of_x((int32_t[]){0, 1, 1, 2, 0}, bucket_of), 0);
    /* no other edge: nothing else asks for it */
    assert_int_equal(bucket_of_x((int32_t[]){2, 0, 0, 0, 0}, bucket_of), 0);
}

static void a_neighbour_in_another_bucket_stays(void **state)
{
    (void)state;
    const uint32_t bucket_of[N] = {2, 0, 0, 1, 1, 1};
    assert_int_equal(bucket_of_x((int32_t[]){2, 1, 2, 2, 2}, bucket_of), 0);
}

/* Scratch is as it was between neighbours; without a graph all are where they are. */
static void many_rows(void **state)
{
    (void)state;
    int32_t offsets[N + 1], neighbors[10], all[10];
    struct nlsh__csr csr = star((int32_t[]){2, 1, 0, 1, 1}, offsets, neighbors, all);
    const uint32_t bucket_of[N] = {0, 0, 0, 0, 1, 1}, rows[] = {HELD, A, C};
    uint32_t ids[] = {X, A, X, D, X, HELD}, out[6];
    struct nlsh__neighbors truth = {.ids = ids, .n_rows = 3, .k = 2};
    assert_int_equal(nlsh__unseen_buckets(&csr, rows, 3, &truth, truth.k, bucket_of, 2, out, NULL),
                     NLSH_OK);
    const uint32_t expected[] = {1, 0, 0, 1, 0, 0};
    assert_memory_equal(out, expected, sizeof out);
    assert_int_equal(nlsh__unseen_buckets(NULL, rows, 3, &truth, truth.k, bucket_of, 2, out, NULL),
                     NLSH_OK);
    for (int i = 0; i < 6; i++) assert_int_equal(out[i], bucket_of[ids[i]]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_neighbour_goes_where_its_other_edges_lead),
        cmocka_unit_test(a_neighbour_in_another_bucket_stays),
        cmocka_unit_test(many_rows),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, NULL, NULL));
}
