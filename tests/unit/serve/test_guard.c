/* test_guard.c - who may ask, and text as JSON. */
#include "testing.h"

#include <math.h>

#include "serve/guard.h"
#include "serve/text.h"

static void only_names_of_the_loopback_are_its_names(void **state)
{
    static const char *const good[] = {"localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080",
                                       "[::1]",     "[::1]:1",      "localhost:"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.nip.io",
                                      "127.0.0.10",
                                      "localhost:80@evil",
                                      "localhost:x",
                                      "[::1]x",
                                      "::1",
                                      " localhost",
                                      "evil:localhost"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!nlsh__guard_is_loopback(good[i])) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (nlsh__guard_is_loopback(bad[i])) fail_msg("taken: %s", bad[i]);
    assert_false(nlsh__guard_is_loopback(NULL));
}

static void a_page_of_another_server_is_not_ours(void **state)
{
    (void)state;
    assert_true(nlsh__guard_is_own(NULL, "localhost:1"));
    assert_true(nlsh__guard_is_own(NULL, NULL));
    assert_true(nlsh__guard_is_own("http://localhost:1", "localhost:1"));
    assert_true(nlsh__guard_is_own("https://a.example", "a.example"));
    assert_false(nlsh__guard_is_own("http://localhost:2", "localhost:1"));
    assert_false(nlsh__guard_is_own("http://localhost", "localhost:1"));
    assert_false(nlsh__guard_is_own("http://evil.example", "localhost:1"));
    assert_false(nlsh__guard_is_own("null", "localhost:1"));
    assert_false(nlsh__guard_is_own("localhost:1", "localhost:1"));
    assert_false(nlsh__guard_is_own("", "localhost:1"));
    assert_false(nlsh__guard_is_own("http://localhost:1", NULL));
}

static void a_token_is_itself_and_nothing_else(void **state)
{
    (void)state;
    assert_true(nlsh__guard_token("Bearer secret", "secret"));
    assert_true(nlsh__guard_token("bearer secret", "secret"));
    assert_false(nlsh__guard_token(NULL, "secret"));
    assert_false(nlsh__guard_token("", "secret"));
    assert_false(nlsh__guard_token("Bearer", "secret"));
    assert_false(nlsh__guard_token("Bearer ", "secret"));
    assert_false(nlsh__guard_token("Bearer secre", "secret"));
    assert_false(nlsh__guard_token("Bearer secrets", "secret"));
    assert_false(nlsh__guard_token("Bearer secretsecret", "secret"));
    assert_false(nlsh__guard_token("Bearer Secret", "secret"));
    assert_false(nlsh__guard_token("Bearer  secret", "secret"));
    assert_false(nlsh__guard_token("Basic secret", "secret"));
    assert_false(nlsh__guard_token("secret", "secret"));
}

static void check_string(const char *string, const char *want)
{
    struct nlsh__text text = {0};
    nlsh__text_string(&text, string);
    assert_int_equal(text.size, strlen(want));
    assert_memory_equal(text.bytes, want, text.size);
    nlsh__text_free(&text);
}

static void strings_are_json_whatever_is_in_them(void **state)
{
    (void)state;
    check_string("", "\"\"");
    check_string("a\"b\\c\n\x1f", "\"a\\\"b\\\\c\\u000a\\u001f\"");
    check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                 "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    check_string("\xff", "\"\xef\xbf\xbd\"");
    check_string("\xc3", "\"\xef\xbf\xbd\"");
    check_string("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    check_string("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    check_string("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void numbers_and_keys_are_json(void **state)
{
    struct nlsh__text text = {0};
    static const char want[] = "0 12 -1.5 999999999 1e+09 0.100000001 null null 7 null "
                               "9007199254740992 \"9007199254740993\"";
    (void)state;
    const double numbers[] = {0,          12, -1.5, 999999999, 1e9, (double)0.1f, (double)INFINITY,
                              (double)NAN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        nlsh__text_number(&text, numbers[i]);
        nlsh__text_add(&text, " ", 1);
    }
    const uint64_t keys[] = {7, NLSH_NO_KEY, UINT64_C(9007199254740992),
                             UINT64_C(9007199254740993)};
    for (size_t i = 0; i < 4; i++) {
        nlsh__text_add(&text, " ", i > 0);
        nlsh__text_key(&text, keys[i]);
    }
    assert_int_equal(text.size, sizeof want - 1);
    assert_memory_equal(text.bytes, want, text.size);
    nlsh__text_free(&text);
}

/* What is read again is the same float, in no more digits than printf() takes. */
static void floats_come_back_as_they_were(void **state)
{
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 1);
    for (int i = 0; i < 200000 / TEST_STRIDE; i++) {
        struct nlsh__text text = {0};
        float value;
        uint32_t bits = (uint32_t)nlsh__rng_u64(&rng);
        char want[64];
        memcpy(&value, &bits, sizeof value);
        if (i % 2)
            value = (float)(nlsh__rng_uniform(&rng) * pow(10, (int)nlsh__rng_below(&rng, 14) - 4));
        if (!isfinite(value)) continue;
        nlsh__text_number(&text, (double)value);
        nlsh__text_add(&text, "", 1);
        snprintf(want, sizeof want, "%.9g", (double)value);
        if (strtof(text.bytes, NULL) != value ||
            (strlen(text.bytes) > strlen(want) && fabsf(value) < 1e8f))
            fail_msg("%s, not %s", text.bytes, want);
        nlsh__text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_names_of_the_loopback_are_its_names),
        cmocka_unit_test(a_page_of_another_server_is_not_ours),
        cmocka_unit_test(a_token_is_itself_and_nothing_else),
        cmocka_unit_test(strings_are_json_whatever_is_in_them),
        cmocka_unit_test(numbers_and_keys_are_json),
        cmocka_unit_test(floats_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
