/*
 * kernels.c - which table serves on this processor.
 *
 * Once a process: NLSH_CPU is read, the tables of all sets up to that cap are made, narrowest first,
 * and choose.h picks one of them. Sets above the cap are not even asked for: a process that caps AMX
 * away does not get the tile registers.
 */
#include "kernels/kernels.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kernels/choose.h"
#include "kernels/scalar.h"
#include "kernels/tables.h"

#define NAME(name) #name,
#define SET(name) {nlsh__kernels_has_##name, nlsh__kernels_fill_##name},

static const char *const names[] = {NLSH__SETS(NAME)};
static const struct {
    int (*has)(void);
    void (*fill)(struct nlsh__kernels *table);
} sets[] = {NLSH__SETS(SET)};

enum { N_SETS = sizeof sets / sizeof *sets };
_Static_assert(N_SETS <= NLSH__N_TABLES, "tests have no room for every table");

static struct nlsh__kernels tables[N_SETS]; /* of the sets in has */
static uint32_t has;                        /* bit i: set i is here, and NLSH_CPU allows it */
static const struct nlsh__kernels *chosen;
static const char *refused; /* what NLSH_CPU said, where that is no name */

int nlsh__kernels_has_scalar(void)
{
    return 1;
}

void nlsh__kernels_fill_scalar(struct nlsh__kernels *table)
{
    nlsh__scalar_l2sq(table);
    nlsh__scalar_codes(table);
    nlsh__scalar_network(table);
    nlsh__scalar_training(table);
}

/* The sets that are slower than a narrower one. A vdpbf16ps of Intel's does no more a cycle than two
 * products of f32, and packing comes on top: an epoch of 60,000 x 128 through 256-256 to 1,024 takes
 * 1.43 s with it and 0.98 s without. AMD's does twice as much. */
static uint32_t slower(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_is("intel"))
        return (uint32_t)1 << nlsh__set_find(names, N_SETS, "avx512bf16");
#endif
    return 0;
}

static void make_tables(size_t cap)
{
    struct nlsh__kernels table = {0};
    for (size_t i = 0; i <= cap; i++) {
        if (!sets[i].has()) continue;
        sets[i].fill(&table);
        table.name = names[i];
        tables[i] = table;
        has |= (uint32_t)1 << i;
    }
}

static void choose(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    const char *wish = getenv("NLSH_CPU");
    size_t cap = N_SETS - 1;
    int is_capped = wish != NULL && *wish != '\0';
    if (is_capped) cap = nlsh__set_find(names, N_SETS, wish);
    if (cap == N_SETS) {
        refused = wish;
        cap = 0;
    }
    make_tables(cap);
    const struct nlsh__kernels *best = &tables[nlsh__set_choose(has, slower(), cap)];
    __atomic_store_n(&chosen, best, __ATOMIC_RELEASE);
}

static void choose_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
}

size_t nlsh__kernels_all(const struct nlsh__kernels **out, size_t capacity)
{
    choose_once();
    size_t n = 0;
    for (size_t i = 0; i < N_SETS; i++) {
        if (!(has >> i & 1)) continue;
        if (n < capacity) out[n] = &tables[i];
        n++;
    }
    return n;
}

const struct nlsh__kernels *nlsh__kernels(void)
{
    /* a query asks some 150 times: a load each in place of a call to pthread_once() */
    const struct nlsh__kernels *there = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (there != NULL) return there;
    choose_once();
    return chosen;
}

/* "use a, b or c". */
static void list_names(char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "use %s", names[0]);
    for (size_t i = 1; i < N_SETS && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i + 1 < N_SETS ? ", " : " or ", names[i]);
}

enum nlsh_status nlsh__kernels_check(struct nlsh_error *error)
{
    char hint[sizeof error->hint];
    choose_once();
    if (refused == NULL) return NLSH_OK;
    list_names(hint, sizeof hint);
    return nlsh__fail(error, NLSH_E_UNSUPPORTED, hint,
                      "NLSH_CPU is \"%s\": nlsh knows no such instruction set", refused);
}

const char *nlsh_cpu(void)
{
    return nlsh__kernels()->name;
}
