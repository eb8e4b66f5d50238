/*
 * fake_kahip.c - libraries that look like libkahip, to prove what surrounds the real one.
 *
 * FAKE_IDX_BYTES: the width of its indices. FAKE_SAYS: what kahip_sizeof_idx() answers; left out,
 * there is no such function (older KaHIP). FAKE_NO_KAFFPA: another library altogether.
 * $FAKE_KAHIP says how kaffpa() behaves.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if FAKE_IDX_BYTES == 8
typedef int64_t idx;
#else
typedef int32_t idx;
#endif

#ifdef FAKE_SAYS
int kahip_sizeof_idx(void);
int kahip_sizeof_idx(void)
{
    return FAKE_SAYS;
}
#endif

#ifdef FAKE_NO_KAFFPA
#define kaffpa something_else
#endif

void kaffpa(int *n, int *vwgt, idx *xadj, idx *adjcwgt, idx *adjncy, int *nparts, double *imbalance,
            bool suppress_output, int seed, int mode, idx *edgecut, int *part);

/* The arrays must be the graph that the test gave, in the width that was asked for. */
static bool plausible(int n, const idx *xadj, const idx *adjcwgt, const idx *adjncy)
{
    if (xadj[0] != 0) return false;
    for (int i = 0; i < n; i++) {
        if (xadj[i + 1] < xadj[i] || xadj[i + 1] - xadj[i] >= n) return false;
        for (idx e = xadj[i]; e < xadj[i + 1]; e++) {
            if (adjncy[e] < 0 || adjncy[e] >= n || adjncy[e] == i) return false;
            if (e > xadj[i] && adjncy[e] <= adjncy[e - 1]) return false;
            if (adjcwgt[e] < 1 || adjcwgt[e] > 2) return false;
        }
    }
    return true;
}

void kaffpa(int *n, int *vwgt, idx *xadj, idx *adjcwgt, idx *adjncy, int *nparts, double *imbalance,
            bool suppress_output, int seed, int mode, idx *edgecut, int *part)
{
    const char *how = getenv("FAKE_KAHIP");
    if (how == NULL) how = "stripes";
    if (vwgt != NULL || !suppress_output || seed < 0 || mode < 0 || mode > 5 || *imbalance <= 0.0 ||
        *nparts < 2 || !plausible(*n, xadj, adjcwgt, adjncy))
        how = "range";
    *edgecut = -1;
    if (strcmp(how, "untouched") == 0) return;
    for (int i = 0; i < *n; i++) part[i] = (int)((int64_t)i * *nparts / *n);
    if (strcmp(how, "range") == 0) part[*n / 2] = *nparts;
    if (strcmp(how, "negative") == 0) part[*n - 1] = -1;
    for (int i = 0; i < *n; i++) {
        if (strcmp(how, "one bucket") == 0) part[i] = 0;
        if (strcmp(how, "empty") == 0 && part[i] == 1) part[i] = 0;
    }
}
