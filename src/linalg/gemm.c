/*
 * gemm.c - see gemm.h. oneDNN 2 and 3 share this part of the C API.
 *
 * Signals wait while oneDNN works. Its AVX-512 kernel for f32 (2.6.3) keeps data below the stack
 * pointer, beyond the 128 bytes that the ABI leaves to a function, and a signal's frame destroys
 * them: an interrupted build died of a corrupted heap. tests/unit/linalg/test_signals.c shows it.
 */
#include "linalg/gemm.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <signal.h>

#include "base/error.h"

enum nlsh_status nlsh__gemm(int transpose_a, int transpose_b, size_t m, size_t n, size_t k,
                            const float *a, size_t lda, const float *b, size_t ldb, float beta,
                            float *c, size_t ldc, struct nlsh_error *error)
{
    /* Our threads are the pool's: the setting belongs to the calling thread and costs a store. */
    omp_set_num_threads(1);
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* what a fault raises must not wait */
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    dnnl_status_t result = dnnl_sgemm(
        transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n,
        (dnnl_dim_t)k, 1.0f, a, (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == dnnl_success) return NLSH_OK;
    if (result == dnnl_out_of_memory)
        return nlsh__fail(error, NLSH_E_NOMEM, "free some memory, or use fewer threads",
                          "oneDNN: out of memory for a %zu x %zu x %zu product", m, n, k);
    return nlsh__fail(error, NLSH_E_INTERNAL, "please report it",
                      "oneDNN: a %zu x %zu x %zu product failed with status %d", m, n, k,
                      (int)result);
}
