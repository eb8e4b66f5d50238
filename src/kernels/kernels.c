/* kernels.c - which table serves on this processor. */
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kernels/tables.h"

static const struct nlsh__kernels *chosen;
static const char *refused; /* what NLSH_CPU said, where it cannot be had */

static struct nlsh__kernels bf16_table, amx_table; /* what is added to a narrower one */
static const struct nlsh__kernels *all[NLSH__N_TABLES] = {&nlsh__kernels_scalar};
static size_t n_all = 1;

#if defined(__x86_64__)
static void find_x86(void)
{
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    int vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    int bf16 = vnni && __builtin_cpu_supports("avx512bf16");
    if (avx2) all[n_all++] = &nlsh__kernels_avx2;
    if (avx512) all[n_all++] = &nlsh__kernels_avx512;
    if (vnni) all[n_all++] = &nlsh__kernels_avx512vnni;
    if (!bf16) return;
    bf16_table = nlsh__kernels_avx512vnni;
    bf16_table.name = "avx512bf16";
    bf16_table.bf16 = &nlsh__bf16_avx512;
    all[n_all++] = &bf16_table;
    /* The process is asked for its tiles, once and for all its threads: not where a cap rules them out. */
    const char *cap = getenv("NLSH_CPU");
    if (cap != NULL && *cap != '\0' && strcmp(cap, "amx") != 0) return;
    if (!nlsh__amx_allowed()) return;
    amx_table = bf16_table;
    nlsh__amx_fill(&amx_table);
    all[n_all++] = &amx_table;
}
#endif

static void find_once(void)
{
#if defined(__x86_64__)
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_x86);
#endif
}

size_t nlsh__kernels_all(const struct nlsh__kernels **out, size_t capacity)
{
    find_once();
    for (size_t i = 0; i < n_all && i < capacity; i++) out[i] = all[i];
    return n_all;
}

/* The widest; but a vdpbf16ps of Intel's does no more a cycle than two products of f32, and packing
 * comes on top: an epoch of 60,000 x 128 through 256-256 to 1,024 takes 1.43 s with it and 0.98 s
 * without. AMD's does twice as much. */
static const struct nlsh__kernels *widest(void)
{
#if defined(__x86_64__)
    if (all[n_all - 1] == &bf16_table && __builtin_cpu_is("intel")) return all[n_all - 2];
#endif
    return all[n_all - 1];
}

static void choose(void)
{
    find_once();
    chosen = widest();
    const char *cap = getenv("NLSH_CPU");
    if (cap == NULL || *cap == '\0') return;
    for (size_t i = 0; i < n_all; i++)
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
    return nlsh__fail(
        error, NLSH_E_UNSUPPORTED,
        "use scalar, avx2, avx512, avx512vnni, avx512bf16 or amx, and no more than this "
        "processor has",
        "NLSH_CPU is \"%s\": this processor has no such instruction set for nlsh", refused);
}

const char *nlsh_cpu(void)
{
    return nlsh__kernels()->name;
}
