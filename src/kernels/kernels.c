/* kernels.c - which table serves on this processor. */
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kernels/tables.h"

static const struct nlsh__kernels *chosen;
static const char *refused; /* what NLSH_CPU said, where it cannot be had */

size_t nlsh__kernels_all(const struct nlsh__kernels **out, size_t capacity)
{
    const struct nlsh__kernels *all[4] = {&nlsh__kernels_scalar};
    size_t n = 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx2) all[n++] = &nlsh__kernels_avx2;
    if (avx512) all[n++] = &nlsh__kernels_avx512;
    if (avx512 && __builtin_cpu_supports("avx512vnni")) all[n++] = &nlsh__kernels_avx512vnni;
#endif
    for (size_t i = 0; i < n && i < capacity; i++) out[i] = all[i];
    return n;
}

static void choose(void)
{
    const struct nlsh__kernels *all[4];
    size_t n = nlsh__kernels_all(all, 4);
    chosen = all[n - 1];
    const char *cap = getenv("NLSH_CPU");
    if (cap == NULL || *cap == '\0') return;
    for (size_t i = 0; i < n; i++)
        if (strcmp(cap, all[i]->name) == 0) {
            chosen = all[i];
            return;
        }
    chosen = all[0];
    refused = cap;
}

static void choose_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
}

const struct nlsh__kernels *nlsh__kernels(void)
{
    choose_once();
    return chosen;
}

enum nlsh_status nlsh__kernels_check(struct nlsh_error *error)
{
    choose_once();
    if (refused == NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                      "use scalar, avx2, avx512 or avx512vnni, and no more than this processor has",
                      "NLSH_CPU is \"%s\": this processor has no such instruction set for nlsh",
                      refused);
}

const char *nlsh_cpu(void)
{
    return nlsh__kernels()->name;
}
