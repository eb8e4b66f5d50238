/* plain.h - a caller's matrix as the stages take it: without gaps, of bytes or f32. */
#ifndef NLSH_VECTORS_PLAIN_H
#define NLSH_VECTORS_PLAIN_H

#include "nlsh/nlsh.h"

/*
 * nlsh__matrix_plain() - the same vectors as U8, I8 or F32 without gaps.
 *
 *  out     views the caller's data where that is plain already, else *memory
 *  memory  NULL, or freed by the caller with nlsh__free()
 * NLSH_E_ARG (nlsh__matrix_check()'s, and I32), NLSH_E_DATA: an F64 beyond f32, with its row.
 */
enum nlsh_status nlsh__matrix_plain(const struct nlsh_matrix *matrix, struct nlsh_matrix *out,
                                    void **memory, struct nlsh_error *error);

#endif
