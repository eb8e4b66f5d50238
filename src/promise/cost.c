/* cost.c - see cost.h. */
#include "promise/cost.h"

#define BYTE_NS 0.045 /* 22 GB/s */
#define ROW_NS 20
#define ROW_BYTE_NS 0.04 /* 25 GB/s */
#define WEIGHTS_A_NS 110
#define FLOATS_A_NS 20
#define GROUPS_COMPUTED 10

enum { BIAS_AND_ERROR = 5 };

double nlsh__cost_of_scan(double rows, size_t code_bytes)
{
    return rows * BYTE_NS * (double)(code_bytes + BIAS_AND_ERROR);
}

double nlsh__cost_of_ranking(double rows, size_t row_bytes)
{
    return rows * (ROW_NS + ROW_BYTE_NS * (double)row_bytes);
}

double nlsh__cost_of_weights(double weights)
{
    return weights / WEIGHTS_A_NS;
}

double nlsh__cost_of_network(const struct nlsh__network_size *n)
{
    double h = (double)n->nodes, m = (double)n->buckets, p = (double)n->inputs;
    double outputs =
        n->groups > 0 ? (double)n->groups + GROUPS_COMPUTED * m / (double)n->groups : m;
    double weights = n->layers == 0 ? p * outputs : h * (p + outputs + h * (double)(n->layers - 1));
    return nlsh__cost_of_weights(weights);
}

double nlsh__cost_of_projection(size_t dim, size_t inputs, int as_bytes)
{
    return (double)dim * (double)inputs / (as_bytes ? WEIGHTS_A_NS : FLOATS_A_NS);
}
