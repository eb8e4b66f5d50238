/* names.c - see names.h. */
#include "base/names.h"

#include <stddef.h>
#include <string.h>

const char *const *nlsh__names(enum nlsh__named of)
{
    static const char *const metrics[] = {NLSH__NAMES(NLSH__METRIC_LIST)};
    static const char *const graphs[] = {NLSH__NAMES(NLSH__GRAPH_LIST)};
    static const char *const partitioners[] = {NLSH__NAMES(NLSH__PARTITIONER_LIST)};
    static const char *const labels[] = {NLSH__NAMES(NLSH__LABELS_LIST)};
    static const char *const schedulers[] = {NLSH__NAMES(NLSH__SCHEDULER_LIST)};
    static const char *const stores[] = {NLSH__NAMES(NLSH__STORE_LIST)};
    static const char *const samplers[] = {NLSH__NAMES(NLSH__SAMPLER_LIST)};
    static const char *const pruners[] = {NLSH__NAMES(NLSH__PRUNER_LIST)};
    static const char *const *const all[] = {
        [NLSH__METRIC] = metrics,           [NLSH__GRAPH] = graphs,
        [NLSH__PARTITIONER] = partitioners, [NLSH__LABELS] = labels,
        [NLSH__SCHEDULER] = schedulers,     [NLSH__STORE] = stores,
        [NLSH__SAMPLER] = samplers,         [NLSH__PRUNER] = pruners,
    };
    return all[of];
}

const char *nlsh__name(enum nlsh__named of, int value)
{
    const char *const *name = nlsh__names(of);
    if (value < 0) return NULL;
    while (value > 0 && *name != NULL) name++, value--;
    return *name;
}

int nlsh__value(enum nlsh__named of, const char *name)
{
    const char *const *names = nlsh__names(of);
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}
