/* rows.h - the rows of a list one after another, each fetched ahead of its use. */
#ifndef NLSH_KERNELS_ROWS_H
#define NLSH_KERNELS_ROWS_H

#include "kernels/kernels.h"
#include "kernels/prefetch.h"
#include "kernels/softmax.h"

NLSH__BODY void nlsh__l2sq_u8_rows_body(uint32_t (*l2sq)(const uint8_t *, const uint8_t *, size_t),
                                        const uint8_t *query, const uint8_t *base, size_t dim,
                                        const uint32_t *rows, size_t n, size_t n_more,
                                        uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (i + NLSH__AHEAD < n + n_more)
            nlsh__prefetch_bytes(base + rows[i + NLSH__AHEAD] * dim, dim);
        out[i] = l2sq(query, base + rows[i] * dim, dim);
    }
}

#endif
