/* test_kernels.c - which table is chosen. The choice is made once a process, so every answer comes
 * from a child: this program again, with NLSH_CPU set and an argument. */
#include <ctype.h>

#include "kernels/kernels.h"
#include "kernels/tables.h"
#include "support/child.h"

static int answer(void)
{
    struct nlsh_error error = {0};
    enum nlsh_status status = nlsh__kernels_check(&error);
    printf("%d|%s|%s|%s|%s\n", (int)status, nlsh__kernels()->name, nlsh_cpu(), error.message,
           error.hint);
    return 0;
}

static void expect(const char *cap, const char *name)
{
    char expected[64], said[1024];
    snprintf(expected, sizeof expected, "0|%s|%s||\n", name, name);
    ask_child(cap, said, sizeof said);
    assert_string_equal(said, expected);
}

static void the_widest_by_default(void **state)
{
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    (void)state;
    const char *widest = all[n - 1]->name;
#if defined(__x86_64__)
    /* Intel's bf16 without tiles is there to be asked for: see kernels.c. */
    if (strcmp(widest, "avx512bf16") == 0 && __builtin_cpu_is("intel")) widest = all[n - 2]->name;
#endif
    expect(NULL, widest);
    expect("", widest);
}

/* A name in any case of letters. */
static void a_name_caps_it(void **state)
{
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    char loud[32];
    (void)state;
    for (size_t i = 0; i < n; i++) {
        expect(all[i]->name, all[i]->name);
        for (size_t j = 0; j <= strlen(all[i]->name); j++)
            loud[j] = (char)toupper((unsigned char)all[i]->name[j]);
        expect(loud, all[i]->name);
    }
}

/* A cap that the processor does not reach is no error: the widest below serves. */
static void a_cap_out_of_reach(void **state)
{
#if defined(__x86_64__)
    const char *last = "amx";
#elif defined(NLSH__ARM_PRODUCTS)
    const char *last = "neoni8mm";
#else
    const char *last = "scalar";
#endif
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    char said[1024];
    (void)state;
    if (strcmp(all[n - 1]->name, last) == 0) skip();
    ask_child(last, said, sizeof said);
    assert_int_equal(said[0], '0');
}

/* The status, the value in the message, the names in the hint, and kernels that run on every
 * processor. */
static void another_name_is_refused(void **state)
{
    static const char *const names[] = {"avx9", "sse4", "avx512vnni ", "scalar,avx2", "0"};
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    char start[64], said[1024];
    (void)state;
    snprintf(start, sizeof start, "%d|scalar|scalar|", (int)NLSH_E_UNSUPPORTED);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ask_child(names[i], said, sizeof said);
        assert_memory_equal(said, start, strlen(start));
        assert_non_null(strstr(said, names[i]));
        assert_non_null(strstr(said, "NLSH_CPU"));
        const char *hint = strrchr(said, '|');
        assert_non_null(hint);
        for (size_t t = 0; t < n; t++) assert_non_null(strstr(hint, all[t]->name));
    }
#if defined(__x86_64__)
    assert_non_null(strstr(said, "|use scalar, avx2, "));
    assert_non_null(strstr(said, "avx512bf16 or amx\n"));
#elif defined(NLSH__ARM_PRODUCTS)
    assert_non_null(strstr(said, "|use scalar, neon, neondot or neoni8mm\n"));
#endif
}

static void tables_are_whole(void **state)
{
    const struct nlsh__kernels *all[NLSH__N_TABLES + 1] = {NULL};
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    (void)state;
    assert_true(n >= 1 && n <= NLSH__N_TABLES);
    assert_string_equal(all[0]->name, "scalar");
    for (size_t i = 0; i < n; i++) {
        const struct nlsh__kernels *t = all[i];
        assert_true(t->l2sq_u8 && t->l2sq_f32 && t->l2sq_f32_u8 && t->dot_f32 && t->l2sq_u8_rows);
        assert_true(t->l2sq_f32_f16 && t->dot_f32_f16 && t->l2sq_f32_bf16 && t->dot_f32_bf16);
        assert_true(t->l2sq_f32_i8 && t->dot_f32_i8);
        assert_true(t->panel_u8 && t->panel_f32);
        assert_true(t->matvec_f32 && t->matvec_i8 && t->matmat_i8);
        assert_true(t->softmax_f32 && t->quantise_u8);
        assert_true(t->code_query && t->scan_u4 && t->scan_u4_at && t->bound_f32 && t->near_f32);
        int is_bf16 = strcmp(t->name, "avx512bf16") == 0 || strcmp(t->name, "amx") == 0;
        assert_int_equal(t->bf16 != NULL, is_bf16);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(t->name, all[j]->name);
    }
    const struct nlsh__kernels *first[2] = {NULL, NULL};
    assert_int_equal(nlsh__kernels_all(first, 1), n); /* the capacity is kept */
    assert_ptr_equal(first[0], all[0]);
    assert_null(first[1]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_widest_by_default), cmocka_unit_test(a_name_caps_it),
        cmocka_unit_test(a_cap_out_of_reach),    cmocka_unit_test(another_name_is_refused),
        cmocka_unit_test(tables_are_whole),
    };
    if (argc > 1 && strcmp(argv[1], "answer") == 0) return answer();
    unsetenv("NLSH_CPU"); /* a cap leaves tables out */
    return cmocka_run_group_tests_name("kernels/kernels", tests, NULL, NULL);
}
