/* test_spool.c - arrays in files without names: room that is there or an error, zeros, and nothing left behind. */
#include "base/spool.h"
#include "testing.h"

static size_t n_files(void)
{
    size_t n = 0;
    DIR *dir = opendir(test_dir());
    assert_non_null(dir);
    while (readdir(dir) != NULL) n++;
    closedir(dir);
    return n;
}

static void it_holds_what_is_written(void **state)
{
    struct nlsh__spool spool;
    size_t before = n_files(), n = 300001;
    (void)state;
    assert_int_equal(nlsh__spool_create(test_path("index"), n, sizeof(uint32_t), &spool, NULL),
                     NLSH_OK);
    assert_int_equal(n_files(), before); /* it has no name, and its target is not made */
    uint32_t *values = spool.data;
    for (size_t i = 0; i < n; i++) assert_int_equal(values[i], 0);
    for (size_t i = 0; i < n; i++) values[i * 7919 % n] = (uint32_t)(i * 7919 % n);
    nlsh__spool_use(&spool, NLSH__SPOOL_IN_ORDER);
    for (size_t i = 0; i < n; i++) assert_int_equal(values[i], i);
    nlsh__spool_free(&spool);
    assert_null(spool.data);
    nlsh__spool_free(&spool);
    assert_int_equal(n_files(), before);
    assert_int_equal(nlsh__spool_create(test_path("index"), 0, 8, &spool, NULL), NLSH_OK);
    assert_null(spool.data);
}

static void what_there_is_no_room_for_is_said(void **state)
{
    struct nlsh__spool spool;
    struct nlsh_error error;
    (void)state;
    assert_int_equal(
        nlsh__spool_create(test_path("index"), (size_t)1 << 40, (size_t)1 << 22, &spool, &error),
        NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "index"));
    assert_null(spool.data);
    assert_int_equal(nlsh__spool_create(test_path("index"), SIZE_MAX, 8, &spool, &error),
                     NLSH_E_NOMEM);
    assert_int_equal(nlsh__spool_create("/nowhere/at/all", 8, 8, &spool, &error),
                     NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__spool_check(test_path("index"), 4096, &error), NLSH_OK);
    assert_int_equal(nlsh__spool_check(test_path("index"), UINT64_MAX / 2, &error),
                     NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "are free"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_is_written),
        cmocka_unit_test(what_there_is_no_room_for_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
