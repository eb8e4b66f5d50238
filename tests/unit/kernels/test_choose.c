/* test_choose.c - the choice of an instruction set, for processors of every kind. */
#include "kernels/choose.h"
#include "testing.h"

enum { SCALAR, AVX2, AVXVNNI, AVX512, VNNI, BF16, AMX, N };
static const char *const names[N] = {"scalar",     "avx2",       "avxvnni", "avx512",
                                     "avx512vnni", "avx512bf16", "amx"};

static uint32_t bit(size_t i)
{
    return (uint32_t)1 << i;
}

static void names_are_found_in_any_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < N; i++) assert_int_equal(nlsh__set_find(names, N, names[i]), i);
    assert_int_equal(nlsh__set_find(names, N, "AVX2"), AVX2);
    assert_int_equal(nlsh__set_find(names, N, "Avx512VNNI"), VNNI);
    assert_int_equal(nlsh__set_find(names, N, "SCALAR"), SCALAR);
    static const char *const none[] = {"",      "avx",  "avx2 ",       " avx2", "avx22", "sse4",
                                       "avx51", "neon", "scalar,avx2", "0",     "AMX!",  "amx\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(nlsh__set_find(names, N, none[i]), N);
}

/* Of every processor, whatever it has: the answer is one of its sets and not above the cap, and
 * every wider one up to the cap is either not there or better avoided. */
static void the_widest_below_the_cap(void **state)
{
    (void)state;
    for (uint32_t has = 1; has < bit(N); has += 2)
        for (uint32_t avoid = 0; avoid < bit(N); avoid += 2)
            for (size_t cap = 0; cap < N; cap++) {
                size_t found = nlsh__set_choose(has, avoid, cap);
                assert_true(found <= cap && (has & bit(found)));
                if (has & bit(cap)) { /* asked for by name */
                    assert_int_equal(found, cap);
                    continue;
                }
                assert_false(avoid & bit(found));
                for (size_t i = found + 1; i <= cap; i++)
                    assert_true(!(has & bit(i)) || (avoid & bit(i)));
            }
}

/* Processors as they are sold. */
static void known_processors(void **state)
{
    const uint32_t haswell = bit(SCALAR) | bit(AVX2), alder_lake = haswell | bit(AVXVNNI);
    const uint32_t skylake_x = haswell | bit(AVX512), ice_lake = skylake_x | bit(VNNI);
    const uint32_t cooper_lake = ice_lake | bit(BF16);
    (void)state;
    assert_int_equal(nlsh__set_choose(bit(SCALAR), 0, AMX), SCALAR);
    assert_int_equal(nlsh__set_choose(haswell, 0, AMX), AVX2);
    assert_int_equal(nlsh__set_choose(haswell, 0, AVX512), AVX2); /* a cap it does not reach */
    assert_int_equal(nlsh__set_choose(haswell, 0, SCALAR), SCALAR);
    assert_int_equal(nlsh__set_choose(alder_lake, 0, AVX512), AVXVNNI);
    assert_int_equal(nlsh__set_choose(skylake_x, 0, AVXVNNI), AVX2);
    assert_int_equal(nlsh__set_choose(ice_lake, bit(BF16), BF16), VNNI);
    assert_int_equal(nlsh__set_choose(cooper_lake, bit(BF16), AMX), VNNI);
    assert_int_equal(nlsh__set_choose(cooper_lake, bit(BF16), BF16), BF16); /* asked for by name */
    assert_int_equal(nlsh__set_choose(cooper_lake, 0, AMX), BF16);          /* a Zen 4 */
    assert_int_equal(nlsh__set_choose(bit(N) - 1, bit(BF16), AMX), AMX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_any_case),
        cmocka_unit_test(the_widest_below_the_cap),
        cmocka_unit_test(known_processors),
    };
    return cmocka_run_group_tests_name("kernels/choose", tests, NULL, NULL);
}
