/* pack.h - what was measured, as the bytes of a section (docs/index-format.md). */
#ifndef NLSH_MAKE_PACK_H
#define NLSH_MAKE_PACK_H

#include "index/index.h"
#include "measure/efforts.h"
#include "measure/margins.h"

/* Where section sizes are counted in whole cache lines. */
static inline size_t nlsh__padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* sampled: as struct nlsh__efforts_header has it. *bytes is the caller's. NLSH_E_NOMEM. */
enum nlsh_status nlsh__pack_efforts(const struct nlsh__measured_efforts *efforts, int sampled,
                                    void **bytes, size_t *size, struct nlsh_error *error);

/* What the router expected outside, of the same queries. */
enum nlsh_status nlsh__pack_outside(const struct nlsh__measured_efforts *efforts, void **bytes,
                                    size_t *size, struct nlsh_error *error);

/* leaves may be NULL. */
enum nlsh_status nlsh__pack_margins(const struct nlsh__row_margins *rows,
                                    const struct nlsh__leaf_margins *leaves, void **bytes,
                                    size_t *size, struct nlsh_error *error);

/* rows [meter->n], ascending. */
enum nlsh_status nlsh__pack_meter(const struct nlsh__meter_header *meter, const uint32_t *rows,
                                  void **bytes, size_t *size, struct nlsh_error *error);

#endif
