/* test_signals.c - products stay right while signals arrive: see gemm.c. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

#include "linalg/gemm.h"

enum { DIM = 784, ROWS = 512, ROUNDS = 60 };

static volatile sig_atomic_t signals;

static void count(int number)
{
    (void)number;
    signals++;
}

static void test_signals_do_no_harm(void **state)
{
    (void)state;
    size_t size = (size_t)DIM * DIM;
    float *a = malloc(sizeof(float) * ROWS * DIM), *quiet = malloc(sizeof(float) * size);
    float *busy = malloc(sizeof(float) * size);
    assert_true(a && quiet && busy);
    for (int i = 0; i < ROWS * DIM; i++) a[i] = (float)(i * 37 % 256 - 100);
    assert_int_equal(nlsh__gemm(1, 0, DIM, DIM, ROWS, a, DIM, a, DIM, 0, quiet, DIM, NULL), 0);
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval every = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
    for (int r = 0; r < ROUNDS; r++) {
        memset(busy, 0, sizeof(float) * size);
        assert_int_equal(nlsh__gemm(1, 0, DIM, DIM, ROWS, a, DIM, a, DIM, 0, busy, DIM, NULL), 0);
        assert_memory_equal(busy, quiet, sizeof(float) * size);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    print_message("%d signals\n", (int)signals);
    assert_true(signals >= 5); /* they did arrive, if only between products */
    free(a);
    free(quiet);
    free(busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_signals_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
