/*
 * tpe.c - the samplers on functions whose minimum is known (tests/functions.h).
 *
 *   bench_tpe list                                   the functions' names
 *   bench_tpe run FUNCTION SAMPLER TRIALS SEEDS [FIRST]  function,sampler,seed,best as CSV rows
 *   bench_tpe space FUNCTION                         the whole numbers' names, its space as JSON
 *   bench_tpe eval FUNCTION                          a point a line in, its value out, until the end
 *   bench_tpe time                                   microseconds a suggestion, n from 10 to 1,000
 *
 * With space and eval bench/tpe_optuna.py gives the same functions to Optuna.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/names.h"
#include "base/rng.h"
#include "functions.h"
#include "tune/sample/sampler.h"

static int failed(const struct nlsh_error *error)
{
    fprintf(stderr, "bench_tpe: %s\n", error->message);
    return 1;
}

static int usage(void)
{
    fputs("bench_tpe list | run FUNCTION SAMPLER TRIALS SEEDS [FIRST] | space FUNCTION | "
          "eval FUNCTION | time\n",
          stderr);
    return 2;
}

/* The best of so many trials. */
static int study(const struct function *f, struct nlsh__sampler_options *options, size_t n_trials,
                 double *best, struct nlsh_error *error)
{
    struct nlsh__search_space space = {0};
    f->space(&space);
    struct nlsh__observation *seen = calloc(n_trials, sizeof *seen);
    double(*values)[NLSH__MAX_PARAMS] = calloc(n_trials, sizeof *values);
    int code = seen == NULL || values == NULL;
    *best = INFINITY;
    for (size_t t = 0; t < n_trials && code == 0; t++) {
        options->trial = t;
        code = nlsh__suggest(&space, options, seen, t, values[t], error) != NLSH_OK;
        seen[t] = (struct nlsh__observation){.values = values[t], .number = t};
        seen[t].value = f->value(values[t]);
        *best = fmin(*best, seen[t].value);
    }
    free(seen);
    free(values);
    return code;
}

static int run(const struct function *f, const char *sampler, size_t n_trials, uint64_t n_seeds,
               uint64_t first)
{
    struct nlsh_error error = {0};
    struct nlsh__sampler_options options;
    nlsh__sampler_options_init(&options);
    int kind = nlsh__value(NLSH__SAMPLER, sampler);
    if (kind < 0) return usage();
    options.kind = (enum nlsh_sampler)kind;
    for (options.seed = first; options.seed < first + n_seeds; options.seed++) {
        double best;
        if (study(f, &options, n_trials, &best, &error) != 0) return failed(&error);
        printf("%s,ours-%s,%" PRIu64 ",%.9g\n", f->name, sampler, options.seed, best);
    }
    return 0;
}

static int show_space(const struct function *f)
{
    struct nlsh_error error = {0};
    struct nlsh__search_space space = {0};
    char *text;
    f->space(&space);
    for (size_t i = 0; i < space.n; i++) {
        if (space.params[i].kind == NLSH__PARAM_INT) printf("%s ", space.params[i].name);
    }
    puts("");
    if (nlsh__space_json(&space, &text, &error) != NLSH_OK) return failed(&error);
    puts(text);
    free(text);
    return 0;
}

/* A line has a number a parameter, "nan" where it is absent. */
static int eval(const struct function *f)
{
    struct nlsh__search_space space = {0};
    f->space(&space);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        struct nlsh_error error = {0};
        double values[NLSH__MAX_PARAMS];
        char *at = line;
        for (size_t i = 0; i < space.n; i++) values[i] = strtod(at, &at);
        if (nlsh__params_check(&space, values, &error) != NLSH_OK) return failed(&error);
        printf("%.17g\n", f->value(values));
        fflush(stdout);
    }
    return 0;
}

/* Fifteen parameters of all kinds: those of mixed and of choices, and one more. */
static int show_time(void)
{
    struct nlsh__search_space space = {0}, more = {0};
    mixed_space(&space);
    choices_space(&more);
    for (size_t i = 0; i < more.n; i++) space.params[space.n++] = more.params[i];
    nlsh__space_int(&space, "count", 1, 1000, 0, 1);
    static double values[1000][NLSH__MAX_PARAMS];
    static struct nlsh__observation seen[1000];
    struct nlsh__sampler_options options;
    struct nlsh_error error = {0};
    nlsh__sampler_options_init(&options);
    for (size_t t = 0; t < 1000; t++) {
        options.trial = t;
        nlsh__suggest_random(&space, &options, values[t]);
        seen[t] = (struct nlsh__observation){
            .values = values[t], .number = t, .value = mixed(values[t]) + choices(values[t] + 8)};
    }
    for (size_t n = 10; n <= 1000; n *= 10) {
        double out[NLSH__MAX_PARAMS], begin = nlsh__now();
        for (size_t i = 0; i < 100; i++) {
            options.trial = n + i;
            if (nlsh__suggest(&space, &options, seen, n, out, &error)) return failed(&error);
        }
        printf("%zu parameters, %zu observations: %.0f us\n", space.n, n,
               (nlsh__now() - begin) / 100 * 1e6);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "time") == 0) return show_time();
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (size_t i = 0; i < N_FUNCTIONS; i++) puts(functions[i].name);
        return 0;
    }
    const struct function *f = argc > 2 ? function_by_name(argv[2]) : NULL;
    if (f == NULL) return usage();
    if (argc >= 6 && strcmp(argv[1], "run") == 0) {
        return run(f, argv[3], strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10),
                   argc > 6 ? strtoul(argv[6], NULL, 10) : 1);
    }
    if (argc == 3 && strcmp(argv[1], "space") == 0) return show_space(f);
    if (argc == 3 && strcmp(argv[1], "eval") == 0) return eval(f);
    return usage();
}
