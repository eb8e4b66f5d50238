/* objective.c - see objective.h. */
#include "tune/run/objective.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const char *const names[] = {"recall", "candidates", "qps"};

enum nlsh_status nlsh__objective_parse(const char *text, struct nlsh__objective *out,
                                       struct nlsh_error *error)
{
    size_t length = strcspn(text, "@");
    for (int kind = 0; kind < 3; kind++) {
        if (strlen(names[kind]) != length || strncmp(names[kind], text, length) != 0) continue;
        char *end;
        const char *number = text[length] == '@' ? text + length + 1 : "";
        double standard = kind == NLSH__RECALL_AT ? 1 : 0.95;
        double at = text[length] == '@' ? strtod(number, &end) : standard;
        if (text[length] == '@' && (end == number || *end != '\0')) break;
        int is_T = (at > 0 && at < 1) || (at >= 1 && at <= 65536 && at == floor(at));
        if (!(kind == NLSH__RECALL_AT ? is_T : at > 0 && at < 1)) break;
        out->kind = (enum nlsh__objective_kind)kind;
        out->at = at;
        snprintf(out->name, sizeof out->name, "%s@%.9g", names[kind], at);
        return NLSH_OK;
    }
    return nlsh__fail(
        error, NLSH_E_ARG,
        "take recall@T, T as a search takes it (5, or 0.05), candidates@R or qps@R, R "
        "a recall between 0 and 1 (.95)",
        "objective \"%s\"", text);
}

int nlsh__objective_maximize(const struct nlsh__objective *objective)
{
    return objective->kind != NLSH__CANDIDATES_AT;
}

int nlsh__objective_better(const struct nlsh__objective *objective, double a, double b)
{
    if (isnan(a) || isnan(b)) return !isnan(a);
    return nlsh__objective_maximize(objective) ? a > b : a < b;
}

double nlsh__objective_worst(const struct nlsh__objective *objective, size_t n_rows)
{
    return objective->kind == NLSH__CANDIDATES_AT ? (double)n_rows : 0;
}
