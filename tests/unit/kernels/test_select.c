/* test_select.c - the n smallest, at once and as they come, against a sort, for keys spread in every way. */
#include <time.h>

#include "kernels/select.h"
#include "testing.h"

enum { MOST = 3000 };
enum spread {
    ANYWHERE,
    SAME_SCORE,
    FEW_SCORES,
    ASCENDING,
    DESCENDING,
    ONE_FAR,
    BOTH_ENDS,
    N_SPREADS
};

static struct nlsh__rng rng;

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Scores above, the row below: keys are distinct as a scan's are. */
static void fill(uint64_t *keys, size_t size, enum spread spread)
{
    for (size_t i = 0; i < size; i++) {
        uint64_t score = nlsh__rng_u64(&rng) >> 32;
        if (spread == SAME_SCORE) score = 0x80000000u;
        if (spread == FEW_SCORES) score = 7 + nlsh__rng_below(&rng, 5);
        if (spread == ASCENDING) score = 1000 * i;
        if (spread == DESCENDING) score = UINT32_MAX - 1000 * i;
        if (spread == ONE_FAR) score = i == size / 3 ? UINT32_MAX : nlsh__rng_below(&rng, 1000);
        if (spread == BOTH_ENDS) score = i % 2 ? UINT32_MAX : 0;
        keys[i] = score << 32 | i;
    }
    for (size_t i = size; spread != ASCENDING && spread != DESCENDING && i > 1; i--) {
        size_t j = nlsh__rng_below(&rng, i);
        uint64_t t = keys[i - 1];
        keys[i - 1] = keys[j];
        keys[j] = t;
    }
}

static void check(size_t size, size_t n, enum spread spread)
{
    static uint64_t keys[MOST + 2], all[MOST];
    keys[0] = keys[size + 1] = 42;
    fill(keys + 1, size, spread);
    memcpy(all, keys + 1, size * sizeof *all);
    qsort(all, size, sizeof *all, by_value);
    nlsh__select_smallest(keys + 1, size, n);
    assert_true(keys[0] == 42 && keys[size + 1] == 42);
    size_t front = n < size ? n : size;
    qsort(keys + 1, front, sizeof *keys, by_value);
    qsort(keys + 1 + front, size - front, sizeof *keys, by_value);
    if (memcmp(keys + 1, all, size * sizeof *all) != 0)
        fail_msg("%zu of %zu, spread %d", n, size, (int)spread);
}

static void moves_the_smallest_to_the_front(void **state)
{
    (void)state;
    for (enum spread spread = ANYWHERE; spread < N_SPREADS; spread++) {
        for (size_t size = 0; size <= 60; size++)
            for (size_t n = 0; n <= size + 2; n++) check(size, n, spread);
        for (int repeat = 0; repeat < 100; repeat++) {
            size_t size = nlsh__rng_below(&rng, MOST + 1);
            check(size, nlsh__rng_below(&rng, size + 2), spread);
            check(size, nlsh__rng_below(&rng, 100), spread);
        }
    }
}

/* As they come, some at a time, also fewer than are kept; the greatest kept is last after each. */
static void keeps_the_smallest_that_came(void **state)
{
    static uint64_t keys[MOST], all[MOST], kept[100], came[MOST + 100];
    (void)state;
    for (enum spread spread = ANYWHERE; spread < N_SPREADS; spread++)
        for (size_t n = 1; n <= 100; n += 1 + n / 5)
            for (size_t size = 0; size <= 300; size += 1 + size / 4) {
                fill(keys, size, spread);
                for (size_t i = 0; i < n; i++) kept[i] = UINT64_MAX;
                for (size_t done = 0, some; done < size; done += some) {
                    some = 1 + (size_t)nlsh__rng_below(&rng, size - done);
                    memcpy(came, keys + done, some * sizeof *came);
                    nlsh__keep_smallest(kept, n, came, some);
                    for (size_t i = 0; i < n; i++) assert_true(kept[i] <= kept[n - 1]);
                }
                memcpy(all, keys, size * sizeof *all);
                for (size_t i = size; i < n; i++) all[i] = UINT64_MAX;
                qsort(all, size > n ? size : n, sizeof *all, by_value);
                qsort(kept, n, sizeof *kept, by_value);
                if (memcmp(kept, all, n * sizeof *all) != 0)
                    fail_msg("%zu of %zu, spread %d", n, size, (int)spread);
            }
}

/* Musser's order, in which the median of the first, the middle and the last key is nearly the smallest each time; all
 * keys in one bin. */
static void no_order_of_keys_makes_it_slow(void **state)
{
    enum { SIZE = 400000, HALF = SIZE / 2 };
    uint64_t *keys = malloc(SIZE * sizeof *keys), *sorted = malloc(SIZE * sizeof *sorted);
    (void)state;
    assert_true(keys != NULL && sorted != NULL);
    for (uint64_t i = 1; i <= HALF; i++) {
        if (i % 2 == 1) keys[i - 1] = i;
        if (i % 2 == 1) keys[i] = HALF + i;
        keys[HALF + i - 1] = 2 * i;
    }
    memcpy(sorted, keys, SIZE * sizeof *keys);
    qsort(sorted, SIZE, sizeof *sorted, by_value);
    clock_t begin = clock();
    nlsh__select_smallest(keys, SIZE, HALF);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    /* .01 s; with medians of three alone 3e10 looks at keys */
    if (seconds > 1) fail_msg("%g s", seconds);
    qsort(keys, HALF, sizeof *keys, by_value);
    assert_memory_equal(keys, sorted, HALF * sizeof *keys);
    free(keys);
    free(sorted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves_the_smallest_to_the_front),
                                       cmocka_unit_test(keeps_the_smallest_that_came),
                                       cmocka_unit_test(no_order_of_keys_makes_it_slow)};
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("kernels/select", tests, NULL, NULL);
}
