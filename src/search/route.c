/* route.c - see route.h. */
#include "search/route.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/select.h"

/* The threshold for a recall, from the table that the build measured: linear in the logarithm of
 * the threshold between two measured points. Beyond the table's end the threshold falls with the
 * recall that is missing, as the last points do: no point was measured there. */
static float calibrated(const struct nlsh_index *index, double recall)
{
    const float *table = index->calibration;
    size_t n = index->n_calibration, i = 0;
    while (i < n && (double)table[2 * i] < recall) i++;
    if (n == 0) return 0;
    if (i == 0) return table[1];
    double r0 = (double)table[2 * (i - 1)], t0 = log((double)table[2 * i - 1]);
    if (i == n) return (float)exp(t0 + log((1 - recall) / (1 - r0)));
    double r1 = (double)table[2 * i], t1 = log((double)table[2 * i + 1]);
    return (float)exp(t0 + (t1 - t0) * (recall - r0) / (r1 - r0));
}

enum nlsh_status nlsh__rule_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__rule *out, struct nlsh_error *error)
{
    size_t m = index->meta.n_buckets;
    double probes = options->probes;
    *out = (struct nlsh__rule){0};
    if (probes == 0) {
        if (!(options->recall > 0 && options->recall < 1))
            return nlsh__fail(error, NLSH_E_ARG, "ask for a recall like 0.95",
                              "recall is %g: it must lie between 0 and 1", options->recall);
        out->threshold = calibrated(index, options->recall);
    } else if (probes > 0 && probes < 1) {
        out->threshold = (float)probes;
    } else if (probes >= 1 && probes == floor(probes) && probes <= 4294967296.0) {
        out->top = probes < (double)m ? (size_t)probes : m;
    } else {
        return nlsh__fail(error, NLSH_E_ARG,
                          "give a whole number of buckets, or a probability below 1",
                          "T is %g: neither a whole number >= 1 nor between 0 and 1", probes);
    }
    return NLSH_OK;
}

/* Largest probability first, then the lower bucket: complemented bits order downwards. */
static uint64_t key(float p, size_t bucket)
{
    uint32_t bits;
    memcpy(&bits, &p, sizeof bits);
    return (uint64_t)~bits << 32 | bucket;
}

size_t nlsh__choose_buckets(const float *probabilities, size_t m, const struct nlsh__rule *rule,
                            uint32_t *buckets, uint64_t *scratch)
{
    size_t n = 0;
    if (rule->top == 0) {
        for (size_t b = 0; b < m; b++) {
            buckets[n] = (uint32_t)b;
            n += probabilities[b] > rule->threshold;
            if (n == m) break;
        }
        if (n == 0) buckets[n++] = (uint32_t)nlsh__argmax(probabilities, m);
        return n;
    }
    if (rule->top >= m) {
        for (size_t b = 0; b < m; b++) buckets[b] = (uint32_t)b;
        return m;
    }
    if (rule->top == 1) {
        buckets[0] = (uint32_t)nlsh__argmax(probabilities, m);
        return 1;
    }
    for (size_t b = 0; b < m; b++) scratch[b] = key(probabilities[b], b);
    nlsh__select_smallest(scratch, m, rule->top);
    for (size_t i = 0; i < rule->top; i++) buckets[i] = (uint32_t)scratch[i];
    return rule->top;
}
