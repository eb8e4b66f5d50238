/* test_body.c - requests' bodies: numbers as strtod() reads them, every shape that is wrong, limits, raw f32. */
#include "testing.h"

#include <math.h>

#include "base/memory.h"
#include "serve/body.h"

static const struct nlsh__limits limits = {.k = 100, .n_vectors = 3, .n_answers = 1000};
enum { ALL = 255 };

/* From memory of exactly that size, so that a sanitizer sees a look too far. */
static enum nlsh_status read_text(const char *text, size_t size, size_t dim, unsigned allows,
                                  struct nlsh__question *out, struct nlsh_error *error)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    enum nlsh_status status = nlsh__body_json(copy, size, dim, allows, &limits, out, error);
    free(copy);
    return status;
}

static void good(const char *text, struct nlsh__question *out)
{
    struct nlsh_error error = {0};
    if (read_text(text, strlen(text), 2, ALL, out, &error) != NLSH_OK)
        fail_msg("%s: %s", text, error.message);
}

/* says: what the message holds. */
static void bad(const char *text, const char *says)
{
    struct nlsh__question asked;
    struct nlsh_error error = {0};
    if (read_text(text, strlen(text), 2, ALL, &asked, &error) != NLSH_E_ARG)
        fail_msg("taken: %s", text);
    if (strstr(error.message, says) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", text, error.message, says);
    assert_null(asked.vectors);
    assert_null(asked.keys);
}

static void what_is_said_is_read(void **state)
{
    struct nlsh__question a;
    (void)state;
    good(" {\"vector\" :[1 , -2.5e1],\"k\":7,\n\"recall\":0.5,\"cautious\":true}\r\n", &a);
    assert_int_equal(a.n_vectors, 1);
    assert_true(a.vectors[0] == 1 && a.vectors[1] == -25);
    assert_int_equal(a.k, 7);
    assert_true(a.recall == 0.5 && a.cautious == 1 && a.exact == 0);
    assert_int_equal(a.said,
                     NLSH__SAYS_VECTORS | NLSH__SAYS_K | NLSH__SAYS_RECALL | NLSH__SAYS_CAUTIOUS);
    nlsh__question_free(&a);
    good("{\"vectors\":[[1,2],[3,4],[5,6]],\"keys\":[0,\"18446744073709551614\",9007199254740993]}",
         &a);
    assert_int_equal(a.n_vectors, 3);
    assert_true(a.vectors[5] == 6);
    assert_int_equal(a.n_keys, 3);
    assert_true(a.keys[1] == UINT64_MAX - 1 && a.keys[2] == UINT64_C(9007199254740993));
    nlsh__question_free(&a);
    good("{}", &a);
    assert_int_equal(a.said, 0);
    assert_int_equal(a.k, 10);
    assert_true(a.recall == .95);
    nlsh__question_free(&a);
    good("{\"vectors\":[],\"keys\":[],\"row\":4294967295,\"probes\":3,\"exact\":false}", &a);
    assert_int_equal(a.n_vectors, 0);
    assert_int_equal(a.row, UINT32_MAX);
    nlsh__question_free(&a);
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    bad("", "ends at byte 0");
    bad("   ", "ends at byte 3");
    bad("[1,2]", "byte 0");
    bad("{", "ends at byte 1");
    bad("{\"vector\":[1,2]", "ends at byte 15");
    bad("{\"vector\":[1,2]}}", "byte 16");
    bad("{\"vector\":[1,2]} x", "byte 17");
    bad("{\"vector\":[1,2],}", "byte 16");
    bad("{\"vector\":[1,2,]}", "more values");
    bad("{\"vector\":[1]}", "fewer values");
    bad("{\"vector\":[]}", "fewer values");
    bad("{\"vector\":[1,2,3]}", "more values");
    bad("{\"vector\":[[1,2]]}", "a number is wanted");
    bad("{\"vectors\":[1,2]}", "a list of numbers is wanted");
    bad("{\"vectors\":[[1,2],[1,2],[1,2],[1,2]]}", "more than 3 vectors");
    bad("{\"vectors\":[[1,2] [1,2]]}", "byte 18");
    bad("{\"vector\":[1,2],\"vectors\":[[1,2]]}", "said twice");
    bad("{\"k\":1,\"k\":2}", "said twice");
    bad("{\"quux\":1}", "quux");
    bad("{\"vec\\u0074or\":[1,2]}", "end of a string");
    bad("{vector:[1,2]}", "a string is wanted");
    bad("{'vector':[1,2]}", "a string is wanted");
    bad("{\"k\":0}", "from 1 to 100");
    bad("{\"k\":101}", "from 1 to 100");
    bad("{\"k\":1e99}", "from 1 to 100");
    bad("{\"k\":-1}", "from 1 to 100");
    bad("{\"k\":1.5}", "from 1 to 100");
    bad("{\"k\":\"5\"}", "a number is wanted");
    bad("{\"row\":4294967296}", "row is");
    bad("{\"cautious\":1}", "true or false");
    bad("{\"cautious\":tru}", "true or false");
    bad("{\"vector\":[1,nan]}", "a number");
    bad("{\"vector\":[1,Infinity]}", "a number");
    bad("{\"vector\":[1,null]}", "a number");
    bad("{\"vector\":[1,1e39]}", "value 1 is beyond f32");
    bad("{\"vector\":[1,-1e999]}", "value 1 is beyond f32");
    bad("{\"keys\":[-1]}", "key 0");
    bad("{\"keys\":[1,1.0]}", "key 1");
    bad("{\"keys\":[1e3]}", "key 0");
    bad("{\"keys\":[18446744073709551615]}", "key 0");
    bad("{\"keys\":[18446744073709551616]}", "key 0");
    bad("{\"keys\":[\"\"]}", "key 0");
    bad("{\"keys\":[\"12a\"]}", "key 0");
    bad("{\"keys\":[\"111111111111111111111111111\"]}", "known name");
    bad("{\"keys\":1}", "a list of keys");
}

static void a_nul_ends_nothing(void **state)
{
    struct nlsh__question a;
    struct nlsh_error error = {0};
    static const char text[] = "{\"vector\":[1,2]}\0}";
    (void)state;
    assert_int_equal(read_text(text, sizeof text - 1, 2, ALL, &a, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "byte 16"));
}

static void what_a_request_may_not_say_it_may_not(void **state)
{
    struct nlsh__question a;
    struct nlsh_error error = {0};
    (void)state;
    assert_int_equal(read_text("{\"keys\":[1]}", 12, 2, NLSH__SAYS_K, &a, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "\"keys\" means nothing"));
}

/* Every beginning of a good text is refused, and so is every text with one byte of it changed to what JSON has not. */
static void no_part_of_a_text_is_taken_for_it(void **state)
{
    static const char text[] = "{\"vectors\":[[1.5e1,-2],[0,4]],\"keys\":[1,\"2\"],\"exact\":true}";
    struct nlsh__question a;
    char changed[sizeof text];
    (void)state;
    good(text, &a);
    nlsh__question_free(&a);
    for (size_t n = 0; n + 1 < sizeof text; n++) {
        assert_int_equal(read_text(text, n, 2, ALL, &a, NULL), NLSH_E_ARG);
        memcpy(changed, text, sizeof text);
        changed[n] = '\x01';
        assert_int_equal(read_text(changed, sizeof text - 1, 2, ALL, &a, NULL), NLSH_E_ARG);
    }
}

static void check_number(const char *digits)
{
    struct nlsh__question a;
    struct nlsh_error error = {0};
    char text[128];
    snprintf(text, sizeof text, "{\"probes\":%s}", digits);
    if (read_text(text, strlen(text), 1, ALL, &a, &error) != NLSH_OK)
        fail_msg("%s: %s", digits, error.message);
    double want = strtod(digits, NULL);
    if (memcmp(&a.probes, &want, sizeof want) != 0)
        fail_msg("%s: %.17g, not %.17g", digits, a.probes, want);
    nlsh__question_free(&a);
}

static void numbers_are_those_of_strtod(void **state)
{
    static const char *const digits[] = {"0",
                                         "-0",
                                         "0.0",
                                         "0e5",
                                         "1e22",
                                         "1e23",
                                         "1e-22",
                                         "1e-23",
                                         "9007199254740992",
                                         "9007199254740993",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "123456789012345678901234567890",
                                         "0.1",
                                         "1.7976931348623157e308",
                                         "5e-324",
                                         "1e-400",
                                         "1e400",
                                         "2.2250738585072011e-308",
                                         "0.000000000000000000000000000000000001",
                                         "1e99999999999",
                                         "100000000000000000000000e-23",
                                         "3.141592653589793238462643383279"};
    struct nlsh__rng rng;
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof digits / sizeof digits[0]; i++) check_number(digits[i]);
    test_rng(&rng, 1);
    for (int i = 0; i < 20000 / TEST_STRIDE; i++) {
        uint64_t bits = nlsh__rng_u64(&rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        snprintf(text, sizeof text, "%.*g", 1 + (int)nlsh__rng_below(&rng, 18),
                 i % 2 ? value : (double)(int64_t)bits / 1e6);
        check_number(text);
    }
}

/* The same in a vector, whose short numbers are read in another way; and with space between them. */
static void numbers_of_a_vector_are_the_same(void **state)
{
    static const char *const digits[] = {
        "0",   "7",   "255", "999999999", "1000000000",         "-3", "16777217", "4294967297",
        "1.5", "0.1", "2e3", "123456789", "1234567890123456789"};
    enum { N = sizeof digits / sizeof digits[0] };
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 2);
    for (int t = 0; t < 3000 / TEST_STRIDE; t++) {
        struct nlsh__question q;
        float want[8];
        char text[512];
        size_t n = (size_t)snprintf(text, sizeof text, "{\"vector\":[");
        for (size_t d = 0; d < 8; d++) {
            const char *one = digits[nlsh__rng_below(&rng, N)];
            want[d] = (float)strtod(one, NULL);
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s%s", d > 0 ? "," : "",
                                  nlsh__rng_below(&rng, 4) == 0 ? " " : "", one);
        }
        snprintf(text + n, sizeof text - n, "]}");
        assert_int_equal(read_text(text, strlen(text), 8, ALL, &q, NULL), NLSH_OK);
        assert_memory_equal(q.vectors, want, sizeof want);
        nlsh__question_free(&q);
        assert_int_equal(read_text(text, strlen(text), 7, ALL, &q, NULL), NLSH_E_ARG);
        assert_int_equal(read_text(text, strlen(text), 9, ALL, &q, NULL), NLSH_E_ARG);
    }
    bad("{\"vector\":[01,2]}", "");
    bad("{\"vector\":[1,02]}", "");
    bad("{\"vector\":[,1]}", "a number");
    bad("{\"vector\":[1,,2]}", "a number");
}

static void numbers_that_json_has_not_are_refused(void **state)
{
    static const char *const digits[] = {"01", "00",  "+1",  ".5",  "1.",   "1.e5",
                                         "-",  "--1", "1e",  "1e+", "0x10", "1_0",
                                         "1,", "1f",  "-.5", "e5",  "1e5.5"};
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof digits / sizeof digits[0]; i++) {
        struct nlsh__question a;
        snprintf(text, sizeof text, "{\"probes\":%s}", digits[i]);
        if (read_text(text, strlen(text), 1, ALL, &a, NULL) == NLSH_OK) fail_msg("taken: %s", text);
    }
}

/* ---- raw ------------------------------------------------------------------------------------- */

static const char *argument(void *user, const char *name)
{
    const char *const *list = user; /* name, value, ..., NULL */
    for (; *list != NULL; list += 2)
        if (strcmp(*list, name) == 0) return list[1];
    return NULL;
}

static enum nlsh_status read_raw(size_t n_bytes, const char *const *arguments,
                                 struct nlsh__question *out, struct nlsh_error *error)
{
    static float values[16] = {1, 2, 3, 4};
    return nlsh__body_f32(values, n_bytes, 2, ALL & ~(unsigned)NLSH__SAYS_ROW, &limits, argument,
                          (void *)(uintptr_t)arguments, out, error);
}

static void raw_bodies_take_the_rest_from_the_url(void **state)
{
    static const char *const all[] = {"k",    "3",   "recall", "0.99", "exact", "true",
                                      "keys", "5,6", "row",    "x",    NULL};
    struct nlsh__question a;
    (void)state;
    assert_int_equal(read_raw(16, all, &a, NULL), NLSH_OK);
    assert_int_equal(a.n_vectors, 2);
    assert_true(a.vectors[3] == 4 && a.k == 3 && a.recall == .99 && a.exact);
    assert_true(a.n_keys == 2 && a.keys[0] == 5 && a.keys[1] == 6);
    nlsh__question_free(&a);
}

static void raw_bodies_that_are_wrong_are_refused(void **state)
{
    static const char *const none[] = {NULL}, *const k[] = {"k", "3x", NULL},
                             *const keys[] = {"keys", "1,,2", NULL},
                             *const empty[] = {"k", "", NULL};
    struct nlsh__question a;
    struct nlsh_error error = {0};
    (void)state;
    assert_int_equal(read_raw(0, none, &a, &error), NLSH_E_ARG);
    assert_int_equal(read_raw(7, none, &a, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "7 bytes"));
    assert_int_equal(read_raw(32, none, &a, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "more than 3 vectors"));
    assert_int_equal(read_raw(8, k, &a, &error), NLSH_E_ARG);
    assert_int_equal(read_raw(8, keys, &a, &error), NLSH_E_ARG);
    assert_int_equal(read_raw(8, empty, &a, &error), NLSH_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_read),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(a_nul_ends_nothing),
        cmocka_unit_test(what_a_request_may_not_say_it_may_not),
        cmocka_unit_test(no_part_of_a_text_is_taken_for_it),
        cmocka_unit_test(numbers_are_those_of_strtod),
        cmocka_unit_test(numbers_of_a_vector_are_the_same),
        cmocka_unit_test(numbers_that_json_has_not_are_refused),
        cmocka_unit_test(raw_bodies_take_the_rest_from_the_url),
        cmocka_unit_test(raw_bodies_that_are_wrong_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
