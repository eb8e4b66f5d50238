/* gemm.h - matrix products for training, by oneDNN: the one file that knows it. */
#ifndef NLSH_LINALG_GEMM_H
#define NLSH_LINALG_GEMM_H

#include "nlsh/nlsh.h"

/* C = op(A) op(B) + beta C, row-major f32, on the calling thread alone. op transposes where the
 * flag is 1. m x n is C, k what is summed over. NLSH_E_INTERNAL where oneDNN fails. */
enum nlsh_status nlsh__gemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                            const float *a, size_t lda, const float *b, size_t ldb, float beta,
                            float *c, size_t ldc, struct nlsh_error *error);

#endif
