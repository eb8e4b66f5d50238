/*
 * select.c - see select.h.
 *
 * First a histogram over the keys' upper halves finds, without a branch that depends on a key,
 * nearly the n smallest: keys are counted in BINS equal ranges between the least and the greatest,
 * and those up to the bin in which the n-th lies move to the front. What is left, a little more
 * than n, goes to quickselect (Hoare, "Algorithm 65: FIND", 1961). There are orders of keys in which a median of three is
 * a bad pivot each time (Musser, "Introspective sorting and selection algorithms", 1997), and a log from a stranger may
 * hold one: where pivots were bad, the range of values is halved instead, which ends after 64 times.
 */
#include "kernels/select.h"

#include <string.h>

#include "kernels/topk.h"

enum {
    BINS = 256,
    FEW = 48, /* below this quickselect alone is quicker */
    LOOKS = 8 /* at a key, on average, before pivots are bad: of keys in any usual order 3 */
};

static uint64_t median_of_three(const uint64_t *keys, size_t low, size_t high)
{
    uint64_t a = keys[low], b = keys[low + (high - low) / 2], c = keys[high - 1];
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

/* Of values, not of keys: above the least, and not above the greatest. */
static uint64_t middle(const uint64_t *keys, size_t low, size_t high)
{
    uint64_t least = keys[low], most = keys[low];
    for (size_t i = low; i < high; i++) {
        least = keys[i] < least ? keys[i] : least;
        most = keys[i] > most ? keys[i] : most;
    }
    return least + (most - least) / 2 + (most - least) % 2;
}

static void quickselect(uint64_t *keys, size_t size, size_t n)
{
    size_t low = 0, high = size, left = LOOKS * size;
    while (high - low > 1 && n > low && n < high) {
        int bad = high - low > left;
        uint64_t pivot = bad ? middle(keys, low, high) : median_of_three(keys, low, high);
        left -= bad ? left : high - low;
        size_t i = low, j = high;
        for (;;) {
            while (keys[i] < pivot) i++;
            do j--;
            while (keys[j] > pivot);
            if (i >= j) break;
            uint64_t t = keys[i];
            keys[i] = keys[j];
            keys[j] = t;
            i++;
        }
        /* keys are distinct: [low, i) < pivot <= [i, high) */
        if (i == low) i++; /* the pivot is the smallest and stands first */
        if (n < i)
            high = i;
        else
            low = i;
    }
}

/* The size of a front part that holds at least the n smallest. */
static size_t front(uint64_t *keys, size_t size, size_t n)
{
    uint32_t counts[BINS + 1];
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < size; i++) {
        uint32_t score = (uint32_t)(keys[i] >> 32);
        least = score < least ? score : least;
        most = score > most ? score : most;
    }
    if (most - least < BINS) return size;
    /* bin = (score - least) x scale / 2^32, below BINS for the greatest as well */
    uint64_t scale = ((uint64_t)BINS << 32) / ((uint64_t)(most - least) + 1);
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < size; i++) counts[((keys[i] >> 32) - least) * scale >> 32]++;
    size_t bin = 0, sum = counts[0];
    while (sum < n) sum += counts[++bin];
    size_t kept = 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t key = keys[i];
        size_t low = ((key >> 32) - least) * scale >> 32 <= bin;
        keys[i] = keys[kept];
        keys[kept] = key;
        kept += low;
    }
    return kept;
}

void nlsh__select_smallest(uint64_t *keys, size_t size, size_t n)
{
    if (n >= size || n == 0) return;
    if (size > FEW) size = front(keys, size, n);
    if (size > n) quickselect(keys, size, n);
}

/* The greatest goes to the front of what is left of the heap, which so shrinks from the front: descending, and
 * then turned round. */
void nlsh__topk_sort(uint64_t *keys, size_t k)
{
    if (k <= NLSH__TOPK_SORTED) return;
    for (size_t done = 0; done + 1 < k; done++) {
        uint64_t greatest = keys[k - 1], last = keys[done];
        keys[done] = greatest;
        nlsh__heap_replace(keys, k, k - done - 1, last);
    }
    for (size_t i = 0, j = k - 1; i < j; i++, j--) {
        uint64_t t = keys[i];
        keys[i] = keys[j];
        keys[j] = t;
    }
}

size_t nlsh__argmax(const float *values, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (values[i] > values[best]) best = i;
    return best;
}
