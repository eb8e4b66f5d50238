/* neighbors.c - see neighbors.h. */
#include "base/neighbors.h"

#include "base/memory.h"

void nlsh__neighbors_free(struct nlsh__neighbors *neighbors)
{
    nlsh__free(neighbors->ids);
    nlsh__free(neighbors->l2sq);
    *neighbors = (struct nlsh__neighbors){0};
}
