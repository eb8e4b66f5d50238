/* part.h - some rows of a log as a segment that searches read, in shared memory of its own. */
#ifndef NLSH_LIVE_PART_H
#define NLSH_LIVE_PART_H

#include "index/index.h"
#include "live/log.h"

/* Rows of a log, and the file whose buckets and codes they have. */
struct nlsh__rows_of {
    const struct nlsh_index *file;
    const struct nlsh__row_form *form;
    const struct nlsh__log_rows *rows;
};

/* Rows first .. first + n - 1. */
struct nlsh__part {
    size_t first, n;
    void *block;                  /* base/shared.h; NULL: none */
    struct nlsh__segment segment; /* views block; its tombstones are not set */
};

/* Depends on the rows alone. The block is the caller's to drop. NLSH_E_NOMEM. */
enum nlsh_status nlsh__part_create(const struct nlsh__rows_of *of, size_t first, size_t n,
                                   struct nlsh__part *out, struct nlsh_error *error);

#endif
