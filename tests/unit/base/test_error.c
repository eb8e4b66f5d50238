/* test_error.c - what went wrong gets to the caller whole, or with its two ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void test_filled(void **state)
{
    (void)state;
    struct nlsh_error error;
    memset(&error, 0xaa, sizeof error);
    assert_int_equal(nlsh__fail(&error, NLSH_E_DATA, "do this", "%s: %d", "file", 7), NLSH_E_DATA);
    assert_int_equal(error.status, NLSH_E_DATA);
    assert_string_equal(error.message, "file: 7");
    assert_string_equal(error.hint, "do this");
    assert_int_equal(nlsh__fail(&error, NLSH_E_IO, NULL, "x"), NLSH_E_IO);
    assert_string_equal(error.hint, "");
    assert_int_equal(nlsh__fail_errno(&error, NLSH_E_NO_INPUT, ENOENT, NULL, "%s", "a/b"),
                     NLSH_E_NO_INPUT);
    assert_string_equal(error.message, "a/b: No such file or directory");
    nlsh__error_clear(&error);
    assert_int_equal(error.status, NLSH_OK);
    assert_int_equal(error.message[0], '\0');
    assert_int_equal(error.hint[0], '\0');
}

static void test_null_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(nlsh__fail(NULL, NLSH_E_DATA, "h", "%d", 1), NLSH_E_DATA);
    assert_int_equal(nlsh__fail_errno(NULL, NLSH_E_IO, EIO, "h", "%d", 1), NLSH_E_IO);
    nlsh__error_clear(NULL);
}

/* A path of any length: its start, and the reason behind it, are both there. */
static void test_long_paths(void **state)
{
    (void)state;
    static char path[8000];
    struct nlsh_error error;
    for (size_t n = 0; n < sizeof path; n += n < 1100 ? 1 : 997) {
        memset(path, 'p', sizeof path);
        path[n] = '\0';
        if (n > 0) path[0] = '/';
        assert_int_equal(nlsh__fail_errno(&error, NLSH_E_IO, ENOENT, path, "%s: size %d", path, 5),
                         NLSH_E_IO);
        assert_true(strlen(error.message) < sizeof error.message);
        const char *end = ": size 5: No such file or directory";
        assert_true(strlen(error.message) >= strlen(end));
        assert_string_equal(error.message + strlen(error.message) - strlen(end), end);
        if (n > 0) assert_int_equal(error.message[0], '/');
        int whole = n + strlen(end) < sizeof error.message;
        assert_int_equal(strstr(error.message, "...") == NULL, whole);
        if (!whole) assert_true(strlen(error.message) >= sizeof error.message - 4);
        assert_int_equal(strstr(error.hint, "...") == NULL, n < sizeof error.hint);
    }
}

static int is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p != '\0') {
        int more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : -1;
        if (more < 0) return 0;
        p++;
        while (more-- > 0)
            if (*p++ >> 6 != 2) return 0;
    }
    return 1;
}

static void test_characters_stay_whole(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x8c"};
    for (int c = 0; c < 3; c++)
        for (int shift = 0; shift < 8; shift++) {
            struct nlsh_error error;
            char text[2000] = "";
            memset(text, 'a', (size_t)shift);
            while (strlen(text) < 1500) strcat(text, characters[c]);
            (void)!nlsh__fail(&error, NLSH_E_DATA, text, "%s", text);
            assert_true(is_utf8(error.message));
            assert_true(is_utf8(error.hint));
            assert_non_null(strstr(error.message, "..."));
        }
}

/* A caller may put words around the error that it got. */
static void test_wrapping_itself(void **state)
{
    (void)state;
    struct nlsh_error error;
    (void)!nlsh__fail(&error, NLSH_E_DATA, "the hint", "inner");
    (void)!nlsh__fail(&error, NLSH_E_DATA, error.hint, "outer: %s", error.message);
    assert_string_equal(error.message, "outer: inner");
    assert_string_equal(error.hint, "the hint");
}

/* Frozen values, each with a name of its own. */
static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "NLSH_OK",
        "NLSH_E_ARG",
        "NLSH_E_NOMEM",
        "NLSH_E_NO_INPUT",
        "NLSH_E_IO",
        "NLSH_E_CANT_CREATE",
        "NLSH_E_DATA",
        "NLSH_E_MISMATCH",
        "NLSH_E_UNSUPPORTED",
        "NLSH_E_INTERRUPTED",
        "NLSH_E_INTERNAL",
        "NLSH_E_BUSY",
    };
    for (int i = 0; i < 12; i++)
        assert_string_equal(nlsh_status_name((enum nlsh_status)i), names[i]);
    assert_string_equal(nlsh_status_name((enum nlsh_status)12), "unknown status");
    assert_string_equal(nlsh_status_name((enum nlsh_status) - 1), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filled),          cmocka_unit_test(test_null_is_accepted),
        cmocka_unit_test(test_long_paths),      cmocka_unit_test(test_characters_stay_whole),
        cmocka_unit_test(test_wrapping_itself), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
