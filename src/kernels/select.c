/*
 * select.c - see select.h.
 *
 * First a histogram over the keys' upper halves finds, without a branch that depends on a key,
 * nearly the n smallest: keys are counted in BINS equal ranges between the least and the greatest,
 * and those up to the bin in which the n-th lies move to the front, those of that bin last. Only they
 * go to quickselect (Hoare, "Algorithm 65: FIND", 1961). There are orders of keys in which a median of three is
 * a bad pivot each time (Musser, "Introspective sorting and selection algorithms", 1997), and a log from a stranger may
 * hold one: where pivots were bad, the range of values is halved instead, which ends after 64 times.
 */
#include "kernels/select.h"

#include <string.h>

#include "kernels/topk.h"

enum {
    BINS = 256,
    FEW = 48,     /* below this quickselect alone is quicker */
    FEW_CAME = 4, /* up to so many are kept one by one */
    LOOKS = 8,    /* at a key, on average, before pivots are bad: of keys in any usual order 3 */
    MOST_SPREAD = 1024 /* keys that are sorted by ranges, in 8 kB of the stack */
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

/* BINS equal ranges of scores: that of a score is (score - least) x scale / 2^32, below BINS for the greatest as
 * well. scale is 0 where scores lie so close that it says nothing. */
struct ranges {
    uint32_t least;
    uint64_t scale;
};

static struct ranges ranges_of(const uint64_t *keys, size_t size)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (size_t i = 0; i < size; i++) {
        uint32_t score = (uint32_t)(keys[i] >> 32);
        least = score < least ? score : least;
        most = score > most ? score : most;
    }
    uint64_t n = (uint64_t)(most - least) + 1;
    return (struct ranges){least, n > BINS ? ((uint64_t)BINS << 32) / n : 0};
}

static size_t bin_of(const struct ranges *r, uint64_t key)
{
    return ((key >> 32) - r->least) * r->scale >> 32;
}

/* Keys whose bin is at most bin move to the front; returns how many. */
static size_t bins_to_front(const struct ranges *r, size_t bin, uint64_t *keys, size_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t key = keys[i];
        size_t low = bin_of(r, key) <= bin;
        keys[i] = keys[kept];
        keys[kept] = key;
        kept += low;
    }
    return kept;
}

void nlsh__select_smallest(uint64_t *keys, size_t size, size_t n)
{
    size_t below = 0; /* of the n smallest, those in lower bins than the n-th */
    if (n >= size || n == 0) return;
    if (size > FEW) {
        const struct ranges ranges = ranges_of(keys, size);
        uint32_t counts[BINS] = {0};
        size_t bin = 0, with;
        for (size_t i = 0; i < size; i++) counts[bin_of(&ranges, keys[i])]++;
        for (with = counts[0]; with < n; with += counts[++bin]) {}
        if (with < size) size = bins_to_front(&ranges, bin, keys, size);
        if (bin > 0) below = bins_to_front(&ranges, bin - 1, keys, size);
    }
    quickselect(keys + below, size - below, n - below);
}

void nlsh__settle_smallest(uint64_t *keys, size_t size, size_t n)
{
    size_t last = 0;
    nlsh__select_smallest(keys, size, n);
    for (size_t i = 1; i < n; i++) last = keys[i] > keys[last] ? i : last;
    uint64_t greatest = keys[last];
    keys[last] = keys[n - 1];
    keys[n - 1] = greatest;
}

void nlsh__keep_smaller(uint64_t *keys, size_t n, uint64_t key)
{
    uint64_t greatest = key;
    size_t at = n - 1;
    if (key >= keys[n - 1]) return;
    for (size_t i = 0; i + 1 < n; i++) {
        int is_greater = keys[i] > greatest;
        at = is_greater ? i : at;
        greatest = is_greater ? keys[i] : greatest;
    }
    keys[at] = key;
    keys[n - 1] = greatest;
}

void nlsh__keep_smallest(uint64_t *keys, size_t n, uint64_t *came, size_t n_came)
{
    size_t n_all = n_came;
    if (n_came <= FEW_CAME || n == 1) {
        for (size_t i = 0; i < n_came; i++) nlsh__keep_smaller(keys, n, came[i]);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (keys[i] != UINT64_MAX) came[n_all++] = keys[i];
    size_t n_kept = n_all < n ? n_all : n;
    nlsh__settle_smallest(came, n_all, n_kept);
    memcpy(keys, came, n_kept * sizeof *keys);
    for (size_t i = n_kept; i < n; i++) keys[i] = UINT64_MAX;
}

/* Keys by score into as many equal ranges as there are bins, then by insertion: scores of neighbours lie close
 * together, and a few share a range. 0 where too many do, or keys are too many, and nothing was moved. */
static int sort_by_ranges(uint64_t *keys, size_t k)
{
    uint64_t sorted[MOST_SPREAD];
    uint32_t ends[BINS + 1] = {0};
    if (k > MOST_SPREAD) return 0;
    const struct ranges ranges = ranges_of(keys, k);
    for (size_t i = 0; i < k; i++) ends[bin_of(&ranges, keys[i]) + 1]++;
    for (size_t b = 0; b < BINS; b++) {
        if (ends[b + 1] > FEW) return 0;
        ends[b + 1] += ends[b];
    }
    for (size_t i = 0; i < k; i++) sorted[ends[bin_of(&ranges, keys[i])]++] = keys[i];
    for (size_t i = 0; i < k; i++) {
        size_t at = i;
        for (; at > 0 && keys[at - 1] > sorted[i]; at--) keys[at] = keys[at - 1];
        keys[at] = sorted[i];
    }
    return 1;
}

/* The greatest goes to the front of what is left of the heap, which so shrinks from the front: descending, and
 * then turned round. */
static void sort_heap(uint64_t *keys, size_t k)
{
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

void nlsh__topk_sort(uint64_t *keys, size_t k)
{
    if (k <= NLSH__TOPK_SORTED) return; /* they are */
    if (!sort_by_ranges(keys, k)) sort_heap(keys, k);
}

size_t nlsh__argmax(const float *values, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (values[i] > values[best]) best = i;
    return best;
}
