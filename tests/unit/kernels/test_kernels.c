/* test_kernels.c - which table is chosen. The choice is made once a process, so every answer comes
 * from a child: this program again, with NLSH_CPU set and an argument. */
#include "kernels/kernels.h"
#include "support/child.h"

static int answer(void)
{
    struct nlsh_error error = {0};
    enum nlsh_status status = nlsh__kernels_check(&error);
    printf("%d|%s|%s|%s|%s\n", (int)status, nlsh__kernels()->name, nlsh_cpu(), error.message,
           error.hint);
    return 0;
}

static void the_widest_by_default(void **state)
{
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    char expected[64], said[1024];
    (void)state;
    const char *widest = all[n - 1]->name;
#if defined(__x86_64__)
    /* Intel's bf16 without tiles is there to be asked for: see kernels.c. */
    if (strcmp(widest, "avx512bf16") == 0 && __builtin_cpu_is("intel")) widest = all[n - 2]->name;
#endif
    snprintf(expected, sizeof expected, "0|%s|%s||\n", widest, widest);
    ask_child(NULL, said, sizeof said);
    assert_string_equal(said, expected);
    ask_child("", said, sizeof said);
    assert_string_equal(said, expected);
}

static void a_name_caps_it(void **state)
{
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    char expected[64], said[1024];
    (void)state;
    for (size_t i = 0; i < n; i++) {
        ask_child(all[i]->name, said, sizeof said);
        snprintf(expected, sizeof expected, "0|%s|%s||\n", all[i]->name, all[i]->name);
        assert_string_equal(said, expected);
    }
}

/* Not known, or known and not here: the status, the value in the message, the names in the hint,
 * and kernels that run on every processor. */
static void another_name_is_refused(void **state)
{
    static const char *const names[] = {"avx9", "AVX2", "avx512vnni ", "neon", "scalar,avx2", "0"};
    char start[64], said[1024];
    (void)state;
    snprintf(start, sizeof start, "%d|scalar|scalar|", (int)NLSH_E_UNSUPPORTED);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ask_child(names[i], said, sizeof said);
        assert_memory_equal(said, start, strlen(start));
        assert_non_null(strstr(said, names[i]));
        assert_non_null(strstr(said, "NLSH_CPU"));
        assert_non_null(strstr(said, "use scalar, avx2, avx512, avx512vnni, avx512bf16 or amx"));
    }
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    if (nlsh__kernels_all(all, NLSH__N_TABLES) == NLSH__N_TABLES) return;
    ask_child("amx", said, sizeof said);
    assert_memory_equal(said, start, strlen(start));
}

static void tables_are_whole(void **state)
{
    static const char *const names[NLSH__N_TABLES] = {"scalar",     "avx2",       "avx512",
                                                      "avx512vnni", "avx512bf16", "amx"};
    const struct nlsh__kernels *all[NLSH__N_TABLES + 1] = {NULL};
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    (void)state;
    assert_true(n >= 1 && n <= NLSH__N_TABLES);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(all[i]->name, names[i]);
        assert_true(all[i]->l2sq_u8 && all[i]->l2sq_f32 && all[i]->l2sq_f32_u8 && all[i]->dot_f32);
        assert_true(all[i]->panel_u8 && all[i]->panel_f32);
        assert_true(all[i]->matvec_f32 && all[i]->softmax_f32);
        assert_int_equal(all[i]->bf16 != NULL, i >= 4);
    }
    const struct nlsh__kernels *first[2] = {NULL, NULL};
    assert_int_equal(nlsh__kernels_all(first, 1), n); /* the capacity is kept */
    assert_ptr_equal(first[0], all[0]);
    assert_null(first[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_widest_by_default),
        cmocka_unit_test(a_name_caps_it),
        cmocka_unit_test(another_name_is_refused),
        cmocka_unit_test(tables_are_whole),
    };
    if (argc > 1 && strcmp(argv[1], "answer") == 0) return answer();
    unsetenv("NLSH_CPU"); /* a cap leaves tables out */
    return cmocka_run_group_tests_name("kernels/kernels", tests, NULL, NULL);
}
