/*
 * fuzz_neighbors.c - the reader of graph files on any bytes.
 *
 * A random change never gets past the checksums, so where the first byte is odd they are made
 * right before reading: what lies behind them is then reached too.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vectors/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reseal(uint8_t *bytes, size_t size)
{
    uint64_t hash = XXH3_64bits(bytes + 64, size - 64);
    memcpy(bytes + 48, &hash, 8);
    hash = XXH3_64bits(bytes, 56);
    memcpy(bytes + 56, &hash, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nlsh_neighbors g = {.struct_size = sizeof g};
    struct nlsh_error error = {0};
    if (size == 0) return 0;
    uint8_t *bytes = malloc(size - 1 > 0 ? size - 1 : 1);
    if (bytes == NULL) return 0;
    memcpy(bytes, data + 1, size - 1);
    if ((data[0] & 1) && size - 1 >= 64) {
        memcpy(bytes, "NLSHKNN\0\2\0\0\0\100\0\0", 16);
        reseal(bytes, size - 1);
    }
    enum nlsh_status status = nlsh__neighbors_parse(bytes, size - 1, "input", &g, &error);
    if (status != NLSH_OK) {
        if (g.ids != NULL || g.distances != NULL || error.message[0] == '\0') abort();
    } else {
        /* A graph file, or other programs' ids, of 4 bytes at least. */
        size_t n = g.n_rows * g.k;
        if (g.distances == NULL ? n * 4 + 8 > size - 1 : 64 + n * 8 != size - 1) abort();
        uint64_t sum = 0;
        for (size_t i = 0; i < n; i++) {
            sum += g.ids[i];
            if (g.distances == NULL) continue;
            if (isnan(g.distances[i]) || (g.metric != NLSH_IP && g.distances[i] < 0)) abort();
        }
        volatile uint64_t sink = sum;
        (void)sink;
        nlsh_neighbors_free(&g);
    }
    free(bytes);
    return 0;
}
