/* export.h - the trained network and its projection as the blob that serves. */
#ifndef NLSH_ROUTER_TRAIN_EXPORT_H
#define NLSH_ROUTER_TRAIN_EXPORT_H

#include "linalg/pca.h"
#include "router/train/mlp.h"

/* groups: as the network was trained with, n = 0 for none. *bytes [*size] is freed with nlsh__free(); aligned to 64. */
enum nlsh_status nlsh__router_export(const struct nlsh__mlp *mlp,
                                     const struct nlsh__projection *projection,
                                     const struct nlsh__groups *groups, void **bytes, size_t *size,
                                     struct nlsh_error *error);

#endif
