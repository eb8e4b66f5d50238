/* test_memory.c - aligned, padded with zeros, and never less than was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static void test_sizes(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n++)
        for (int clear = 0; clear < 2; clear++) {
            uint8_t *memory = NULL;
            enum nlsh_status status =
                clear ? nlsh__calloc(&memory, n, 3, NULL) : nlsh__alloc(&memory, 3, n, NULL);
            assert_int_equal(status, NLSH_OK);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % NLSH_ALIGN, 0);
            /* the padding up to the next multiple is there, and zero */
            size_t padded = (3 * n + NLSH_ALIGN - 1) / NLSH_ALIGN * NLSH_ALIGN;
            for (size_t i = clear ? 0 : 3 * n; i < padded; i++) assert_int_equal(memory[i], 0);
            memset(memory, 0xff, padded);
            free(memory);
        }
}

static void expect_none(size_t count, size_t size)
{
    for (int clear = 0; clear < 2; clear++) {
        struct nlsh_error error;
        void *memory = &error;
        enum nlsh_status status = clear ? nlsh__calloc(&memory, count, size, &error)
                                        : nlsh__alloc(&memory, count, size, &error);
        assert_int_equal(status, NLSH_E_NOMEM);
        assert_null(memory);
        assert_int_equal(error.status, NLSH_E_NOMEM);
        assert_non_null(strstr(error.message, "out of memory"));
    }
}

static void test_overflow(void **state)
{
    (void)state;
    expect_none(SIZE_MAX, 2);
    expect_none(2, SIZE_MAX);
    expect_none(SIZE_MAX / 2 + 1, 2); /* wraps to 0 */
    expect_none(SIZE_MAX, SIZE_MAX);
    expect_none(((size_t)1 << 62) + 4, 4); /* wraps to 16 */
    expect_none(1, SIZE_MAX);              /* no room for the padding */
    expect_none(1, SIZE_MAX - 1);
    expect_none(1, SIZE_MAX - NLSH_ALIGN);
}

static void test_mul(void **state)
{
    (void)state;
    size_t product = 1;
    assert_int_equal(nlsh__mul(0, SIZE_MAX, &product), 0);
    assert_true(product == 0);
    assert_int_equal(nlsh__mul(SIZE_MAX, 1, &product), 0);
    assert_true(product == SIZE_MAX);
    assert_int_equal(nlsh__mul((size_t)1 << 32, ((size_t)1 << 32) - 1, &product), 0);
    assert_int_equal(nlsh__mul((size_t)1 << 32, (size_t)1 << 32, &product), -1);
    assert_int_equal(nlsh__mul(SIZE_MAX, 2, &product), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_mul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
