/*
 * importance.c - how much one parameter alone explains of how good the trials were.
 *
 * The whole trials are ranked by their value (ties share their mean rank) and grouped by the
 * parameter: a group for each choice, for each integer where they are few, else for each fifth of the
 * numbers; those without the parameter are a group too. The answer is the correlation ratio of
 * ranks and groups, the variance between groups over the whole - what Kruskal and Wallis ("Use of
 * ranks in one-criterion variance analysis", 1952) test - with Kelley's correction ("An unbiased
 * correlation ratio measure", 1935) for what groups of noise would explain by chance:
 *
 *   epsilon^2 = 1 - (1 - eta^2) (n - 1) / (n - groups), not below 0
 *
 * It is the unary term of functional ANOVA (Hutter, Hoos, Leyton-Brown, ICML 2014) by groups in place
 * of a forest. Ranks, because values have outliers: a diverged trial would be all of their variance.
 * What it leaves out: what two parameters do together, and that a sampler tries good values more
 * often.
 */
#include <math.h>
#include <stdlib.h>

#include "report/study.h"

enum { MOST_GROUPS = 32, FIFTHS = 5, FEWEST = 8 };

struct member {
    double value; /* of the parameter */
    double rank;
    size_t group;
};

static int by_value(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static double rank_of(const struct study *study, double value)
{
    double below = 0, equal = 0;
    for (size_t i = 0; i < study->of->trials.n; i++) {
        const struct nlsh__trial *t = &study->of->trials.trials[i];
        if (!trial_counts(t)) continue;
        below += t->value < value;
        equal += t->value == value;
    }
    return below + (equal + 1) / 2;
}

/* Groups the members that have the parameter, sorted by it: by value where that is asked for or
 * there are few values, else by fifths whose bounds part different values. Returns how many. */
static size_t group(struct member *members, size_t n, bool by_choice)
{
    size_t n_values = 0, n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        n_values += i == 0 || members[i].value != members[i - 1].value;
    }
    bool whole = by_choice || n_values <= FIFTHS;
    for (size_t i = 0; i < n; i++) {
        bool differs = i > 0 && members[i].value != members[i - 1].value;
        bool next = whole ? differs : differs && i * FIFTHS >= n_groups * n;
        if (i == 0 || (next && n_groups < MOST_GROUPS)) n_groups++;
        members[i].group = n_groups - 1;
    }
    return n_groups;
}

/* epsilon^2 of n members in groups numbered from 0. */
static double explained(const struct member *members, size_t n, size_t n_groups)
{
    double sums[MOST_GROUPS + 2] = {0}, counts[MOST_GROUPS + 2] = {0};
    double mean = ((double)n + 1) / 2, all = 0, between = 0;
    for (size_t i = 0; i < n; i++) {
        sums[members[i].group] += members[i].rank;
        counts[members[i].group]++;
        all += (members[i].rank - mean) * (members[i].rank - mean);
    }
    for (size_t g = 0; g < n_groups; g++) {
        if (counts[g] > 0) between += counts[g] * pow(sums[g] / counts[g] - mean, 2);
    }
    if (all == 0 || n_groups < 2 || n <= n_groups) return 0;
    return fmax(0, 1 - (1 - between / all) * ((double)n - 1) / (double)(n - n_groups));
}

double parameter_importance(const struct study *study, size_t parameter)
{
    const struct parameter *p = &study->parameters[parameter];
    const struct nlsh__trials *trials = &study->of->trials;
    struct member *members = calloc(trials->n ? trials->n : 1, sizeof *members);
    size_t n = 0, n_with = 0;
    if (members == NULL) return NAN;
    for (int with = 1; with >= 0; with--) { /* first those that have the parameter */
        for (size_t i = 0; i < trials->n; i++) {
            const struct nlsh__trial *t = &trials->trials[i];
            if (!trial_counts(t)) continue;
            if (isnan(p->values[i]) == (with == 1)) continue;
            members[n++] = (struct member){.value = p->values[i], .rank = rank_of(study, t->value)};
        }
        if (with == 1) n_with = n;
    }
    qsort(members, n_with, sizeof *members, by_value);
    size_t n_groups = group(members, n_with, p->drawn->choices != NULL);
    for (size_t i = n_with; i < n; i++) members[i].group = n_groups;
    if (n > n_with) n_groups++;
    double result = n < FEWEST ? NAN : explained(members, n, n_groups);
    free(members);
    return result;
}
