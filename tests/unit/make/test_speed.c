/* What this machine does in a second: measured once, sensible, and what forecasts are made of. */
#include "testing.h"

#include <math.h>

#include "base/clock.h"
#include "make/forecast.h"
#include "make/resolve.h"
#include "make/speed.h"

static void speeds_are_positive_and_measured_once(void **state)
{
    (void)state;
    static const enum nlsh_type types[] = {NLSH_U8, NLSH_F32};
    for (size_t t = 0; t < 2; t++) {
        struct nlsh__speed first, again;
        struct nlsh_error error;
        assert_int_equal(nlsh__speed(types[t], &first, &error), NLSH_OK);
        double start = nlsh__now();
        for (int i = 0; i < 1000; i++)
            assert_int_equal(nlsh__speed(types[t], &again, &error), NLSH_OK);
        assert_true(nlsh__now() - start < 1); /* not 1000 measurements */
        assert_memory_equal(&first, &again, sizeof first);
        /* A core does from a hundred million to a hundred million million operations a second. */
        print_message("%s: pair %.3g s, dimension %.3g, weight %.3g, output %.3g, cell %.3g\n",
                      nlsh_cpu(), first.pair, first.pair_dim, first.weight, first.output,
                      first.cell_dim);
        double two_rows = first.pair + 784 * first.pair_dim;
        assert_true(two_rows > 1568 / 1e14 && two_rows < 1568 / 1e8);
        assert_true(first.weight > 6 / 1e14 && first.weight < 6 / 1e8);
        assert_true(first.cell_dim > 2 / 1e14 && first.cell_dim < 2 / 1e8);
        assert_true(first.output >= 0 && isfinite(first.output));
    }
}

static double seconds_of(size_t n_rows, size_t epochs, size_t n_threads)
{
    static const uint8_t data[1]; /* its values do not matter */
    struct nlsh_matrix base = {data, n_rows, 100, NLSH_U8, 0};
    struct nlsh_build_options options;
    struct nlsh_build_forecast forecast;
    struct nlsh_error error;
    nlsh_build_options_init(&options, sizeof options);
    options.epochs = epochs;
    options.components = 64; /* auto would look at values */
    assert_int_equal(nlsh__resolve(&base, &options, &error), NLSH_OK);
    assert_int_equal(nlsh__forecast(&base, &options, n_threads, &forecast, &error), NLSH_OK);
    return forecast.seconds;
}

static void more_work_takes_longer_and_threads_beyond_the_machine_gain_nothing(void **state)
{
    (void)state;
    struct nlsh_run machine;
    nlsh_run_init(&machine, sizeof machine);
    assert_true(seconds_of(20000, 10, 1) > seconds_of(10000, 10, 1));
    assert_true(seconds_of(10000, 20, 1) > seconds_of(10000, 10, 1));
    assert_true(seconds_of(10000, 10, machine.n_threads) <= seconds_of(10000, 10, 1));
    assert_true(seconds_of(10000, 10, 4096) == seconds_of(10000, 10, machine.n_threads));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speeds_are_positive_and_measured_once),
        cmocka_unit_test(more_work_takes_longer_and_threads_beyond_the_machine_gain_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
