/* test_zstd_absent.c - what a build without libzstd says of .zst files. src/vectors/zstd_absent.c is linked in here. */
#include "testing.h"

#include "vectors/parse.h"

static void the_remedy_is_said(void **state)
{
    static const uint8_t packed[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 9, 0, 0, 7};
    struct nlsh_vectors v;
    struct nlsh_rows rows = {.struct_size = sizeof rows};
    struct nlsh_error error;
    (void)state;
    for (int i = 0; i < 3; i++) {
        enum nlsh_status status =
            i == 2 ? nlsh__rows_parse(packed, sizeof packed, "a.u8bin.zst", NLSH_FORMAT_AUTO, &rows,
                                      &error)
                   : nlsh__vectors_parse(packed, sizeof packed, "a.u8bin.zst",
                                         i == 0 ? NLSH_FORMAT_AUTO : NLSH_FORMAT_FBIN, NULL, &v,
                                         &error);
        assert_int_equal(status, NLSH_E_UNSUPPORTED);
        assert_non_null(strstr(error.message, "a.u8bin.zst: compressed by zstd"));
        assert_non_null(strstr(error.hint, "zstd -d a.u8bin.zst"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_remedy_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
