/* settle.h - values as a file has them, brought to what the library works with. */
#ifndef NLSH_VECTORS_SETTLE_H
#define NLSH_VECTORS_SETTLE_H

#include "vectors/parse.h"

/*
 * nlsh__settle() - the machine's byte order, row after row, and F16 and F64 as F32.
 *
 *  layout  says how *memory lies; its swap and columns become 0, its type may become F32
 *  memory  n_rows x dim values; freed and replaced where they need another size or order
 * An F64 too large for F32 becomes infinite.
 */
enum nlsh_status nlsh__settle(struct nlsh__layout *layout, void **memory, struct nlsh_error *error);

#endif
