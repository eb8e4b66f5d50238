/* test_sized.c - structs of other sizes than ours: shorter ones of older programs, longer ones of newer. */
#include "base/sized.h"

#include "testing.h"

struct ours {
    size_t struct_size;
    uint32_t a, b;
    double c;
};

enum { BEFORE_C = offsetof(struct ours, c), MORE = 24, GUARD = 16 };

static const struct ours defaults = {.struct_size = sizeof defaults, .a = 1, .b = 2, .c = 3.5};

/* A caller's struct of any size, with marked bytes behind it. */
union theirs {
    struct ours ours;
    uint8_t bytes[sizeof(struct ours) + MORE + GUARD];
};

static union theirs marked(size_t size)
{
    union theirs t;
    memset(&t, 0x77, sizeof t);
    memcpy(&t, &size, sizeof size);
    return t;
}

static void check_behind(const union theirs *t, size_t size)
{
    for (size_t i = size; i < sizeof *t; i++)
        if (t->bytes[i] != 0x77) fail_msg("size %zu: byte %zu was written", size, i);
}

static size_t size_in(const union theirs *t)
{
    size_t size;
    memcpy(&size, t, sizeof size);
    return size;
}

static void init_fills_what_there_is(void **state)
{
    (void)state;
    for (size_t size = sizeof(size_t); size <= sizeof(struct ours) + MORE; size++) {
        union theirs t = marked(99);
        nlsh__options_init(&t, size, &defaults, sizeof defaults);
        assert_int_equal(size_in(&t), size);
        size_t common = size < sizeof defaults ? size : sizeof defaults;
        assert_memory_equal(t.bytes + sizeof size, (const uint8_t *)&defaults + sizeof size,
                            common - sizeof size);
        for (size_t i = sizeof defaults; i < size; i++) assert_int_equal(t.bytes[i], 0);
        check_behind(&t, size);
    }
    for (size_t size = 0; size < sizeof size; size++) { /* no room for the size itself */
        union theirs t = marked(99);
        nlsh__options_init(&t, size, &defaults, sizeof defaults);
        assert_int_equal(size_in(&t), 99);
        check_behind(&t, sizeof size);
    }
}

static void options_are_taken(void **state)
{
    (void)state;
    struct ours got = defaults;
    struct nlsh_error error;
    assert_int_equal(nlsh__options_take(&got, sizeof got, NULL, "x", &error), NLSH_OK);
    assert_memory_equal(&got, &defaults, sizeof got);

    union theirs t = {.ours = {.struct_size = BEFORE_C, .a = 10, .b = 20, .c = 99}};
    assert_int_equal(nlsh__options_take(&got, sizeof got, &t, "x", &error), NLSH_OK);
    assert_true(got.a == 10 && got.b == 20 && got.c == 3.5); /* c is not theirs: our default */
    assert_int_equal(got.struct_size, sizeof got);

    for (size_t more = 0; more <= MORE; more++) { /* longer, the rest of it 0 */
        memset(&t, 0, sizeof t);
        t.ours = (struct ours){.struct_size = sizeof got + more, .a = 7, .b = 8, .c = 9};
        memset(t.bytes + sizeof got + more, 0x77, GUARD); /* not theirs any more */
        got = defaults;
        assert_int_equal(nlsh__options_take(&got, sizeof got, &t, "x", &error), NLSH_OK);
        assert_true(got.a == 7 && got.b == 8 && got.c == 9);
        assert_int_equal(got.struct_size, sizeof got);
    }
}

/* Any bit of what we do not know is refused, and nothing is taken. */
static void an_unknown_member_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8 * MORE; i++) {
        struct nlsh_error error;
        struct ours got = defaults;
        char where[16];
        union theirs t = {{0}};
        t.ours = (struct ours){.struct_size = sizeof got + MORE, .a = 7, .b = 8, .c = 9};
        t.bytes[sizeof got + i / 8] = (uint8_t)(1 << i % 8);
        assert_int_equal(nlsh__options_take(&got, sizeof got, &t, "nlsh_x", &error),
                         NLSH_E_UNSUPPORTED);
        assert_memory_equal(&got, &defaults, sizeof got);
        snprintf(where, sizeof where, "byte %zu ", sizeof got + i / 8);
        assert_non_null(strstr(error.message, "nlsh_x"));
        assert_non_null(strstr(error.message, where));
        assert_true(error.hint[0] != '\0');
    }
}

/* 0, the size's own size, and what chance puts there. */
static void a_size_that_was_never_set(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 8, 4097, (size_t)0x7777777777777777, SIZE_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct nlsh_error error;
        struct ours got = defaults;
        union theirs t = marked(sizes[i]);
        assert_int_equal(nlsh__options_take(&got, sizeof got, &t, "nlsh_x", &error), NLSH_E_ARG);
        assert_memory_equal(&got, &defaults, sizeof got);
        assert_non_null(strstr(error.message, "nlsh_x"));
        assert_non_null(strstr(error.hint, "_init()"));
        assert_int_equal(nlsh__answer_check(&t, "nlsh_y", &error), NLSH_E_ARG);
        assert_non_null(strstr(error.message, "nlsh_y"));
        assert_non_null(strstr(error.hint, "sizeof"));
    }
}

static void answers_are_given_as_far_as_there_is_room(void **state)
{
    (void)state;
    const struct ours answer = {.struct_size = 12345, .a = 5, .b = 6, .c = 7};
    for (size_t size = sizeof(size_t) + 1; size <= sizeof answer + MORE; size++) {
        union theirs t = marked(size);
        assert_int_equal(nlsh__answer_check(&t, "x", NULL), NLSH_OK);
        nlsh__answer_give(&t, &answer, sizeof answer);
        assert_int_equal(size_in(&t), size); /* stays the caller's */
        size_t common = size < sizeof answer ? size : sizeof answer;
        assert_memory_equal(t.bytes + sizeof size, (const uint8_t *)&answer + sizeof size,
                            common - sizeof size);
        for (size_t i = sizeof answer; i < size; i++) assert_int_equal(t.bytes[i], 0);
        check_behind(&t, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_fills_what_there_is),
        cmocka_unit_test(options_are_taken),
        cmocka_unit_test(an_unknown_member_is_refused),
        cmocka_unit_test(a_size_that_was_never_set),
        cmocka_unit_test(answers_are_given_as_far_as_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
