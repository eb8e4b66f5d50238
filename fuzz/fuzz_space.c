/*
 * fuzz_space.c - the reader of search spaces on any text. What it accepts is sound, suggests points
 * of itself, and is the same after being written and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "tune/sample/sampler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const labels[] = {"soft", "hard", NULL};
static const struct nlsh__known_param known[] = {
    {"a", NLSH__PARAM_INT, -1e6, 1e6, NULL},
    {"b", NLSH__PARAM_FLOAT, 0, 1, NULL},
    {"c", NLSH__PARAM_CHOICE, 0, 0, labels},
    {"d", NLSH__PARAM_INT, 1, 100, NULL},
};

static void parse_again(const struct nlsh__search_space *space)
{
    struct nlsh__search_space again;
    char *text;
    if (nlsh__space_json(space, &text, NULL) != NLSH_OK) abort();
    if (nlsh__space_parse(text, strlen(text), "again", known, 4, &again, NULL) != NLSH_OK) abort();
    if (again.n != space->n) abort();
    for (size_t i = 0; i < space->n; i++) {
        if (strcmp(again.params[i].name, space->params[i].name) != 0) abort();
        if (again.params[i].parent_mask != space->params[i].parent_mask) abort();
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nlsh__search_space space;
    struct nlsh_error error = {0};
    enum nlsh_status status =
        nlsh__space_parse((const char *)data, size, "input", known, 4, &space, &error);
    if (status != NLSH_OK) {
        if (error.message[0] == '\0') abort();
        return 0;
    }
    if (nlsh__space_check(&space, NULL) != NLSH_OK) abort();
    for (int kind = 0; kind < 3; kind++) {
        struct nlsh__sampler_options options;
        double values[NLSH__MAX_PARAMS];
        nlsh__sampler_options_init(&options);
        options.kind = (enum nlsh_sampler)kind;
        if (nlsh__suggest(&space, &options, NULL, 0, values, NULL) != NLSH_OK) abort();
        if (nlsh__params_check(&space, values, NULL) != NLSH_OK) abort();
    }
    parse_again(&space);
    return 0;
}
