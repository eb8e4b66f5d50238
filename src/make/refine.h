/* refine.h - buckets that graph and router agree on. */
#ifndef NLSH_MAKE_REFINE_H
#define NLSH_MAKE_REFINE_H

#include "base/job.h"
#include "router/router.h"

/*
 * nlsh__reassign() - puts every row where the router would look for it, as far as there is room.
 *
 *  inputs     [n x router's inputs] projected rows
 *  cap        the most rows a bucket may hold
 *  bucket_of  [n] in and out; no bucket is left empty
 * The surest rows choose first, among their CHOICES most probable buckets; who finds no room there
 * stays, or goes to the emptiest. Deterministic.
 */
enum nlsh_status nlsh__reassign(const struct nlsh__router *router, const float *inputs, size_t n,
                                size_t cap, const struct nlsh__job *job, uint32_t *bucket_of,
                                struct nlsh_error *error);

#endif
