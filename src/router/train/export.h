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

/* A network that serves, of a blob that nlsh__router_open() took, to learn on: its weights as far as the blob still has
 * them. groups views the blob. NLSH_E_NOMEM; the network is freed in any case. */
enum nlsh_status nlsh__router_import(const void *bytes, struct nlsh__mlp *mlp,
                                     struct nlsh__groups *groups, struct nlsh_error *error);
/* That network as a blob again, with the projection and the groups that bytes have. */
enum nlsh_status nlsh__router_export_again(const void *bytes, const struct nlsh__mlp *mlp,
                                           void **out, size_t *size, struct nlsh_error *error);

#endif
