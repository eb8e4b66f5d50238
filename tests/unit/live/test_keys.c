/* test_keys.c - which row a key stands for: as a plain table says, and quickly whatever the keys are. */
#include <stdlib.h>
#include <time.h>

#include "testing.h"

#include "base/rng.h"
#include "live/keys.h"

static void put(struct nlsh__keys *t, uint64_t key, uint32_t row)
{
    assert_int_equal(nlsh__keys_reserve(t, 1, NULL), NLSH_OK);
    nlsh__keys_put(t, key, row);
}

static void a_key_stands_for_the_last_row_that_was_put(void **state)
{
    enum { N = 5000, PUTS = 20000 };
    struct nlsh__keys t = {.n = 0};
    struct nlsh__rng rng;
    uint32_t *wanted = malloc(N * sizeof *wanted);
    (void)state;
    assert_non_null(wanted);
    test_rng(&rng, 1);
    assert_int_equal(nlsh__keys_find(&t, 3), NLSH__NO_ROW);
    for (size_t i = 0; i < N; i++) wanted[i] = NLSH__NO_ROW;
    for (uint32_t i = 0; i < PUTS; i++) {
        size_t key = nlsh__rng_below(&rng, N);
        put(&t, (uint64_t)key << 40, i);
        wanted[key] = i;
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(nlsh__keys_find(&t, (uint64_t)i << 40), wanted[i]);
        assert_int_equal(nlsh__keys_find(&t, (uint64_t)i << 40 | 1), NLSH__NO_ROW);
    }
    assert_int_equal(nlsh__keys_find(&t, NLSH_NO_KEY), NLSH__NO_ROW);
    nlsh__keys_free(&t);
    free(wanted);
}

/* x * 0x9E3779B97F4A7C15 is the inverse of: keys whose product has the given bits. */
static uint64_t divided(uint64_t product)
{
    uint64_t inverse = 1;
    for (int i = 0; i < 6; i++) inverse *= 2 - UINT64_C(0x9E3779B97F4A7C15) * inverse;
    uint64_t folded = product * inverse;
    return folded ^ folded >> 32; /* of key ^ key >> 32 */
}

/* Numbers of a record and its part; distances in the upper bits; and those that Fibonacci hashing, which this table had
 * once, puts into one place of any table of up to 2^24. */
static uint64_t chosen(int way, uint64_t i)
{
    switch (way) {
    case 0: return i << 32 | i;
    case 1: return i << 44;
    case 2: return i * 1000003;
    default: return divided(i << 44 | (i & 0xFFFFF));
    }
}

static void keys_that_were_chosen_to_collide_are_found_quickly(void **state)
{
    enum { N = 100000 };
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct nlsh__keys t = {.n = 0};
        clock_t begin = clock();
        for (uint32_t i = 0; i < N; i++) put(&t, chosen(way, i), i);
        for (uint32_t i = 0; i < N; i++) assert_int_equal(nlsh__keys_find(&t, chosen(way, i)), i);
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        /* .02 s; where they all collide, 6 s */
        if (seconds > 2) fail_msg("way %d: %g s", way, seconds);
        nlsh__keys_free(&t);
    }
}

static void tables_draw_their_places_themselves(void **state)
{
    struct nlsh__keys a = {.n = 0}, b = {.n = 0};
    (void)state;
    put(&a, 1, 1);
    put(&b, 1, 1);
    assert_true(a.seed != b.seed); /* once in 2^64 */
    nlsh__keys_free(&a);
    nlsh__keys_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_stands_for_the_last_row_that_was_put),
        cmocka_unit_test(keys_that_were_chosen_to_collide_are_found_quickly),
        cmocka_unit_test(tables_draw_their_places_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
