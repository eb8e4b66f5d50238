/* test_params.c - what a space refuses, what a point must be, and that a file says the same as the
 * space it was written from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tune/sample/params.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static const char *const labels[] = {"soft", "hard", NULL};

static const struct nlsh__known_param known[] = {
    {"layers", NLSH__PARAM_INT, 1, 8, NULL},
    {"nodes", NLSH__PARAM_INT, 8, 4096, NULL},
    {"dropout", NLSH__PARAM_FLOAT, 0, 0.9, NULL},
    {"rate", NLSH__PARAM_FLOAT, 0, 1, NULL},
    {"labels", NLSH__PARAM_CHOICE, 0, 0, labels},
    {"label_k", NLSH__PARAM_INT, 1, 100, NULL},
    {"a_name_of_31_characters_just_so", NLSH__PARAM_INT, 0, 9, NULL},
};

static struct nlsh_error error;

static enum nlsh_status parse(const char *text, struct nlsh__search_space *out)
{
    return nlsh__space_parse(text, strlen(text), "s.json", known, LENGTH(known), out, &error);
}

static struct nlsh__search_space usual(void)
{
    struct nlsh__search_space space = {0};
    assert_int_equal(nlsh__space_int(&space, "layers", 1, 4, 0, 1), 0);
    assert_int_equal(nlsh__space_int(&space, "nodes", 64, 1024, 1, 1), 1);
    assert_int_equal(nlsh__space_float(&space, "dropout", 0, 0.5, 0, 0.1), 2);
    assert_int_equal(nlsh__space_float(&space, "rate", 1e-5, 1e-1, 1, 0), 3);
    int parent = nlsh__space_choice(&space, "labels", labels, 2);
    assert_int_equal(nlsh__space_int(&space, "label_k", 5, 50, 0, 5), 5);
    nlsh__space_when(&space, parent, 1u << 0);
    assert_int_equal(nlsh__space_check(&space, &error), NLSH_OK);
    return space;
}

static void test_refused(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    assert_int_equal(nlsh__space_check(&space, &error), NLSH_E_ARG);
    assert_int_equal(nlsh__space_float(&space, "", 0, 1, 0, 0), -1);
    assert_int_equal(nlsh__space_float(&space, "a name that is too long by one  .", 0, 1, 0, 0),
                     -1);
    assert_int_equal(nlsh__space_float(&space, "x", 1, 0, 0, 0), -1);
    assert_int_equal(nlsh__space_float(&space, "x", NAN, 1, 0, 0), -1);
    assert_int_equal(nlsh__space_float(&space, "x", 0, INFINITY, 0, 0), -1);
    assert_int_equal(nlsh__space_float(&space, "x", 0, 1, 1, 0), -1);
    assert_int_equal(nlsh__space_float(&space, "x", 1, 2, 1, 0.5), -1);
    assert_int_equal(nlsh__space_float(&space, "x", 0, 1, 0, -1), -1);
    assert_int_equal(nlsh__space_int(&space, "x", 1, 9, 0, 0), -1);
    assert_int_equal(nlsh__space_int(&space, "x", 1, 9, 0, 1.5), -1);
    assert_int_equal(nlsh__space_int(&space, "x", 1, 9, 1, 2), -1);
    assert_int_equal(nlsh__space_int(&space, "x", 0.5, 9, 0, 1), -1);
    assert_int_equal(nlsh__space_choice(&space, "x", labels, 0), -1);
    assert_int_equal(nlsh__space_choice(&space, "x", (const char *const[]){"a", "a"}, 2), -1);
    assert_int_equal(nlsh__space_choice(&space, "x", (const char *const[]){""}, 1), -1);
    assert_int_equal(space.n, 0);
    assert_int_equal(nlsh__space_float(&space, "x", 3, 3, 0, 0), 0);
    assert_int_equal(nlsh__space_float(&space, "x", 0, 1, 0, 0), -1);
}

static void test_conditions_refused(void **state)
{
    (void)state;
    struct nlsh__search_space space = usual();
    nlsh__space_when(&space, 5, 1);
    assert_int_equal(nlsh__space_check(&space, &error), NLSH_E_ARG);
    nlsh__space_when(&space, 0, 1);
    assert_int_equal(nlsh__space_check(&space, &error), NLSH_E_ARG);
    nlsh__space_when(&space, 4, 1u << 2);
    assert_int_equal(nlsh__space_check(&space, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "label_k"));
}

static void test_full(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    for (int i = 0; i < NLSH__MAX_PARAMS; i++) {
        char name[3] = {(char)('a' + i / 8), (char)('a' + i % 8), 0};
        assert_int_equal(nlsh__space_float(&space, name, 0, 1, 0, 0), i);
    }
    assert_int_equal(nlsh__space_float(&space, "more", 0, 1, 0, 0), -1);
    assert_int_equal(nlsh__space_choice(&space, "more", labels, 2), -1);
}

static void test_points(void **state)
{
    (void)state;
    struct nlsh__search_space space = usual();
    double good[] = {2, 100, 0.3, 1e-3, 0, 25}, hard[] = {2, 100, 0.3, 1e-3, 1, NAN};
    assert_int_equal(nlsh__params_check(&space, good, &error), NLSH_OK);
    assert_int_equal(nlsh__params_check(&space, hard, &error), NLSH_OK);
    static const struct {
        size_t i;
        double value;
    } wrong[] = {{0, 0}, {0, 2.5}, {0, NAN}, {1, 1025}, {2, 0.35}, {3, 1},
                 {4, 2}, {4, -1},  {4, 0.5}, {4, 1},    {5, 26},   {5, NAN}};
    for (size_t w = 0; w < LENGTH(wrong); w++) {
        double point[6];
        memcpy(point, good, sizeof point);
        point[wrong[w].i] = wrong[w].value;
        assert_int_equal(nlsh__params_check(&space, point, &error), NLSH_E_ARG);
    }
    assert_true(nlsh__params_equal(&space, hard, hard));
    assert_false(nlsh__params_equal(&space, hard, good));
}

static void test_high_on_grid(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_int(&space, "a", 1, 10, 0, 4);
    nlsh__space_float(&space, "b", 0, 0.3, 0, 0.1);
    assert_true(space.params[0].high == 9);
    assert_true(fabs(space.params[1].high - 0.3) < 1e-12);
}

static void test_text(void **state)
{
    (void)state;
    char text[NLSH__MAX_PARAM_NAME];
    static const double values[] = {0.1, 1.0 / 3, -1.7976931348623157e308, 2.2250738585072014e-308,
                                    1024};
    struct nlsh__param plain = {.kind = NLSH__PARAM_FLOAT};
    for (size_t i = 0; i < LENGTH(values); i++) {
        nlsh__param_text(&plain, values[i], text);
        assert_true(strtod(text, NULL) == values[i]);
    }
    nlsh__param_text(&plain, 0.1, text);
    assert_string_equal(text, "0.1");
    nlsh__param_text(&plain, NAN, text);
    assert_string_equal(text, "");
    struct nlsh__param choice = {.kind = NLSH__PARAM_CHOICE, .n_choices = 2};
    strcpy(choice.choices[0], "256");
    strcpy(choice.choices[1], "auto");
    nlsh__param_text(&choice, 1, text);
    assert_string_equal(text, "auto");
    assert_true(nlsh__param_number(&choice, 0) == 256);
    assert_true(isnan(nlsh__param_number(&choice, 1)));
    assert_true(isnan(nlsh__param_number(&choice, NAN)));
    assert_true(nlsh__param_number(&plain, 7) == 7);
}

static void assert_same(const struct nlsh__search_space *a, const struct nlsh__search_space *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct nlsh__param *p = &a->params[i], *q = &b->params[i];
        assert_string_equal(p->name, q->name);
        assert_true(p->kind == q->kind && p->low == q->low && p->high == q->high);
        assert_true(p->log == q->log && p->step == q->step && p->n_choices == q->n_choices);
        for (size_t c = 0; c < p->n_choices; c++) assert_string_equal(p->choices[c], q->choices[c]);
        assert_true(p->parent == q->parent && p->parent_mask == q->parent_mask);
    }
}

static void test_written_and_read(void **state)
{
    (void)state;
    struct nlsh__search_space space = usual(), again;
    char *text;
    assert_int_equal(nlsh__space_json(&space, &text, &error), NLSH_OK);
    assert_int_equal(parse(text, &again), NLSH_OK);
    assert_same(&space, &again);
    free(text);
}

static void test_read(void **state)
{
    (void)state;
    struct nlsh__search_space space;
    assert_int_equal(parse("[{\"name\": \"layers\", \"range\": [1, 4]},"
                           " {\"name\": \"nodes\", \"choices\": [64, 128]},"
                           " {\"name\": \"rate\", \"range\": [1e-4, 1e-1], \"log\": true},"
                           " {\"name\": \"labels\", \"choices\": [\"hard\", \"soft\"]},"
                           " {\"name\": \"label_k\", \"range\": [5, 53], \"step\": 5,"
                           "  \"when\": {\"labels\": \"soft\"}}]",
                           &space),
                     NLSH_OK);
    assert_int_equal(space.params[0].kind, NLSH__PARAM_INT);
    assert_int_equal(space.params[1].kind, NLSH__PARAM_CHOICE);
    assert_true(nlsh__param_number(&space.params[1], 1) == 128);
    assert_true(space.params[2].log);
    assert_true(space.params[4].high == 50);
    assert_int_equal(space.params[4].parent, 3);
    assert_int_equal(space.params[4].parent_mask, 1u << 1);
}

/* Each with a word that its message must have. */
static void test_read_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
        enum nlsh_status status;
    } wrong[] = {
        {"", "s.json", NLSH_E_DATA},
        {"{\"parameters\": [", "line 1", NLSH_E_DATA},
        {"{}", "s.json", NLSH_E_DATA},
        {"[]", "s.json", NLSH_E_DATA},
        {"[1]", "no name", NLSH_E_DATA},
        {"[{\"range\": [1, 2]}]", "no name", NLSH_E_DATA},
        {"[{\"name\": \"layer\", \"range\": [1, 2]}]", "layer", NLSH_E_ARG},
        {"[{\"name\": \"layers\"}]", "layers", NLSH_E_DATA},
        {"[{\"name\": \"layers\", \"range\": [1, 2], \"choices\": [1]}]", "layers", NLSH_E_DATA},
        {"[{\"name\": \"layers\", \"range\": [1]}]", "range", NLSH_E_DATA},
        {"[{\"name\": \"layers\", \"range\": [1, \"2\"]}]", "range", NLSH_E_DATA},
        {"[{\"name\": \"layers\", \"range\": [3, 2]}]", "[3, 2]", NLSH_E_ARG},
        {"[{\"name\": \"layers\", \"range\": [1, 9]}]", "[1, 9]", NLSH_E_ARG},
        {"[{\"name\": \"layers\", \"range\": [1, 2], \"lag\": true}]", "lag", NLSH_E_DATA},
        {"[{\"name\": \"layers\", \"range\": [1, 2], \"log\": 1}]", "log", NLSH_E_DATA},
        {"[{\"name\": \"rate\", \"range\": [0, 1], \"log\": true}]", "logarithm", NLSH_E_ARG},
        {"[{\"name\": \"layers\", \"range\": [1, 2.5]}]", "whole", NLSH_E_ARG},
        {"[{\"name\": \"layers\", \"range\": [1, 2]}, {\"name\": \"layers\", \"range\": [1, 2]}]",
         "twice", NLSH_E_ARG},
        {"[{\"name\": \"labels\", \"range\": [1, 2]}]", "needs choices", NLSH_E_DATA},
        {"[{\"name\": \"labels\", \"choices\": []}]", "labels", NLSH_E_DATA},
        {"[{\"name\": \"labels\", \"choices\": [\"weak\"]}]", "weak", NLSH_E_ARG},
        {"[{\"name\": \"labels\", \"choices\": [\"soft\", \"soft\"]}]", "twice", NLSH_E_ARG},
        {"[{\"name\": \"labels\", \"choices\": [null]}]", "choice 0", NLSH_E_DATA},
        {"[{\"name\": \"nodes\", \"choices\": [64, 100000]}]", "100000", NLSH_E_ARG},
        {"[{\"name\": \"nodes\", \"choices\": [64.5]}]", "64.5", NLSH_E_ARG},
        {"[{\"name\": \"nodes\", \"choices\": [\"many\"]}]", "many", NLSH_E_ARG},
        {"[{\"name\": \"label_k\", \"range\": [5, 9], \"when\": {\"labels\": \"soft\"}}]",
         "does not come before", NLSH_E_ARG},
        {"[{\"name\": \"layers\", \"range\": [1, 2]},"
         " {\"name\": \"label_k\", \"range\": [5, 9], \"when\": {\"layers\": 1}}]",
         "no choices", NLSH_E_ARG},
        {"[{\"name\": \"labels\", \"choices\": [\"hard\"]},"
         " {\"name\": \"label_k\", \"range\": [5, 9], \"when\": {\"labels\": [\"soft\"]}}]",
         "soft", NLSH_E_ARG},
        {"[{\"name\": \"labels\", \"choices\": [\"hard\"]},"
         " {\"name\": \"label_k\", \"range\": [5, 9], \"when\": {\"labels\": []}}]",
         "label_k", NLSH_E_ARG},
    };
    for (size_t w = 0; w < LENGTH(wrong); w++) {
        struct nlsh__search_space space = {.n = 77};
        memset(&error, 0, sizeof error);
        enum nlsh_status status = parse(wrong[w].text, &space);
        if (status != wrong[w].status || !strstr(error.message, wrong[w].word)) {
            fail_msg("%s: status %d, \"%s\"", wrong[w].text, status, error.message);
        }
        assert_non_null(strstr(error.message, "s.json"));
        assert_int_equal(space.n, 77);
    }
    struct nlsh__search_space space;
    parse("[{\"name\": \"layer\", \"range\": [1, 2]}]", &space);
    assert_non_null(strstr(error.hint, "label_k"));
    assert_int_equal(nlsh__space_read("/no/such.json", known, LENGTH(known), &space, &error),
                     NLSH_E_NO_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_conditions_refused),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_high_on_grid),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
