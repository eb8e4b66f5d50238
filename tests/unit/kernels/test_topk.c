/* test_topk.c - the k smallest of a stream against a sort of all of it. */
#include <math.h>

#include "kernels/topk.h"
#include "testing.h"

enum { MOST = 500 };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void compare(uint64_t *stream, size_t n, size_t k)
{
    uint64_t keys[MOST + 2] = {42};
    keys[k + 1] = 43; /* neighbours that must stay */
    nlsh__topk_clear(keys + 1, k);
    for (size_t i = 0; i < n; i++) nlsh__topk_insert(keys + 1, k, stream[i]);
    qsort(stream, n, sizeof *stream, by_value);
    for (size_t i = 0; i < k; i++) assert_int_equal(keys[1 + i], i < n ? stream[i] : UINT64_MAX);
    assert_int_equal(keys[0], 42);
    assert_int_equal(keys[k + 1], 43);
}

static void equals_a_sort(void **state)
{
    static const size_t ks[] = {1, 2, 3, 10, 33, 100};
    static const uint64_t ranges[] = {1, 3, 1000, UINT64_MAX}; /* few values: many ties */
    uint64_t stream[MOST];
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 0);
    for (int repeat = 0; repeat < 20; repeat++)
        for (size_t a = 0; a < sizeof ks / sizeof *ks; a++)
            for (size_t b = 0; b < sizeof ranges / sizeof *ranges; b++) {
                size_t n = nlsh__rng_below(&rng, MOST + 1);
                for (size_t i = 0; i < n; i++) stream[i] = nlsh__rng_below(&rng, ranges[b]);
                compare(stream, n, ks[a]);
            }
}

static void takes_any_order(void **state)
{
    uint64_t stream[MOST];
    (void)state;
    for (size_t k = 1; k <= 20; k++) {
        for (size_t i = 0; i < MOST; i++) stream[i] = i;
        compare(stream, MOST, k);
        for (size_t i = 0; i < MOST; i++) stream[i] = MOST - i;
        compare(stream, MOST, k);
    }
}

/* Where scores lie in a few ranges, all in one, and more than are sorted by ranges; fewer keys than k, too. */
static void a_heap_is_sorted_however_scores_lie(void **state)
{
    enum { LARGE = 2000 };
    static const size_t ks[] = {64, 65, 100, 1000, 1024, 1025, 1500};
    static uint64_t stream[LARGE], keys[LARGE + 2];
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 0);
    for (size_t a = 0; a < sizeof ks / sizeof *ks; a++)
        for (int spread = 0; spread < 5; spread++)
            for (size_t n = ks[a] - 30; n <= LARGE; n += 310) {
                size_t k = ks[a];
                for (size_t i = 0; i < n; i++) {
                    uint64_t score = nlsh__rng_below(&rng, UINT32_MAX);
                    if (spread == 1) score = 7;
                    if (spread == 2) score = nlsh__rng_below(&rng, 255);
                    if (spread == 3)
                        score = i == n / 2 ? 0 : UINT32_MAX - nlsh__rng_below(&rng, 900);
                    if (spread == 4) score = 1000 * (i % 300);
                    stream[i] = score << 32 | i;
                }
                keys[0] = keys[k + 1] = 43; /* neighbours that must stay */
                nlsh__topk_clear(keys + 1, k);
                for (size_t i = 0; i < n; i++) nlsh__topk_push(keys + 1, k, stream[i]);
                nlsh__topk_sort(keys + 1, k);
                qsort(stream, n, sizeof *stream, by_value);
                for (size_t i = 0; i < k; i++)
                    assert_int_equal(keys[1 + i], i < n ? stream[i] : UINT64_MAX);
                assert_true(keys[0] == 43 && keys[k + 1] == 43);
            }
}

static void keys_order_by_score_then_id(void **state)
{
    static const float scores[] = {0, 1e-45f, 1e-38f, 0.5f, 1, 1.0000001f, 3e38f, INFINITY};
    (void)state;
    for (size_t i = 0; i < sizeof scores / sizeof *scores; i++) {
        assert_true(nlsh__key_f32(scores[i], 7) < nlsh__key_f32(scores[i], 8));
        assert_true(nlsh__key_score_f32(nlsh__key_f32(scores[i], UINT32_MAX)) == scores[i]);
        if (i == 0) continue;
        assert_true(nlsh__key_f32(scores[i - 1], UINT32_MAX) < nlsh__key_f32(scores[i], 0));
    }
    assert_true(nlsh__key_u32(5, 1) < nlsh__key_u32(5, 2));
    assert_true(nlsh__key_u32(5, UINT32_MAX) < nlsh__key_u32(6, 0));
    assert_true(nlsh__key_u32(UINT32_MAX, UINT32_MAX - 1) < UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_sort),
        cmocka_unit_test(takes_any_order),
        cmocka_unit_test(a_heap_is_sorted_however_scores_lie),
        cmocka_unit_test(keys_order_by_score_then_id),
    };
    return cmocka_run_group_tests_name("kernels/topk", tests, NULL, NULL);
}
