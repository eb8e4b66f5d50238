/*
 * hnswlib.cpp - hnswlib (Debian's libhnswlib-dev, headers only) as a peer of compare.c: HNSW over
 * floats. Compiled with -march=native, as its authors do, so that it takes its widest kernels.
 */
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <hnswlib/hnswlib.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include "peer.h"

#ifndef HNSWLIB_VERSION
#define HNSWLIB_VERSION "0.6.2"
#endif

namespace {

struct Index {
    hnswlib::L2Space space;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;
    std::vector<bool> hidden;
    explicit Index(size_t dim) : space(dim)
    {
    }
};

const char *build(const peer_data *base, int quick, size_t i)
{
    static const char *const all[] = {"M=16 efC=200", "M=24 efC=200", "M=12 efC=200",
                                      "M=32 efC=200", "M=8 efC=200",  "M=48 efC=200",
                                      "M=12 efC=400", "M=32 efC=400"};
    size_t n = quick || base->n_rows > 300000 ? 1 : sizeof all / sizeof *all;
    return i < n ? all[i] : nullptr;
}

void *open(const peer_data *base, const char *build, const char *file)
{
    size_t m, ef;
    auto index = std::make_unique<Index>(base->dim);
    if (sscanf(build, "M=%zu efC=%zu", &m, &ef) != 2) return nullptr;
    try {
        if (access(file, R_OK) == 0) {
            index->graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(&index->space, file);
            return index.release();
        }
        index->graph =
            std::make_unique<hnswlib::HierarchicalNSW<float>>(&index->space, base->n_rows, m, ef);
        for (size_t i = 0; i < base->n_rows; i++)
            index->graph->addPoint(base->rows + i * base->dim, i);
        index->graph->saveIndex(file);
        return index.release();
    } catch (const std::exception &e) {
        fprintf(stderr, "hnswlib: %s\n", e.what());
        return nullptr;
    }
}

void close(void *index)
{
    delete static_cast<Index *>(index);
}

const char *setting(void *, size_t k, int quick, size_t i)
{
    static const size_t all[] = {10,  11,  12,  13,  14,  16,  18,  20,  22,  24,  28,  32,
                                 36,  40,  44,  48,  56,  64,  72,  80,  96,  112, 128, 160,
                                 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024};
    static const size_t few[] = {16, 32, 64, 128};
    static thread_local char text[32];
    const size_t *list = quick ? few : all;
    size_t n = quick ? sizeof few / sizeof *few : sizeof all / sizeof *all, at = 0;
    if (!quick && k < 10 && i < 4) { /* ef below 10 means something for k = 1 */
        snprintf(text, sizeof text, "ef=%zu", 2 * (i + 1));
        return text;
    }
    if (!quick && k < 10) i -= 4;
    while (at < n && list[at] < k) at++;
    if (at + i >= n) return nullptr;
    snprintf(text, sizeof text, "ef=%zu", list[at + i]);
    return text;
}

std::atomic<size_t> queries_since_set;

void set(void *index, size_t, const char *setting)
{
    auto *graph = static_cast<Index *>(index)->graph.get();
    graph->setEf(strtoul(setting + 3, nullptr, 10));
    graph->metric_distance_computations = 0;
    queries_since_set = 0;
}

void search(void *index, const peer_data *queries, size_t first, size_t n, size_t k, size_t,
            uint32_t *ids)
{
    const auto *graph = static_cast<Index *>(index)->graph.get();
    for (size_t q = 0; q < n; q++) {
        auto found = graph->searchKnn(queries->rows + (first + q) * queries->dim, k);
        for (size_t j = found.size(); j < k; j++) ids[q * k + j] = UINT32_MAX;
        for (size_t j = found.size(); j-- > 0; found.pop())
            ids[q * k + j] = static_cast<uint32_t>(found.top().second);
    }
    queries_since_set += n;
}

/* 0.6.2 has no functor that says what is allowed, as 0.7 does. Rows that are marked as deleted are walked through and
 * not returned, which is how that functor is used as well. */
void filter(void *index, const uint64_t *bits, size_t n_rows)
{
    auto *i = static_cast<Index *>(index);
    i->hidden.resize(n_rows);
    for (size_t row = 0; row < n_rows; row++) {
        bool hide = (bits[row / 64] >> row % 64 & 1) == 0;
        if (hide && !i->hidden[row]) i->graph->markDelete(row);
        if (!hide && i->hidden[row]) i->graph->unmarkDelete(row);
        i->hidden[row] = hide;
    }
}

void cost(void *index, double *candidates, double *bytes, double *products)
{
    const auto *i = static_cast<const Index *>(index);
    double dim = static_cast<double>(i->graph->data_size_) / sizeof(float);
    *candidates = static_cast<double>(i->graph->metric_distance_computations) /
                  static_cast<double>(queries_since_set);
    *bytes = *candidates * dim * sizeof(float);
    *products = *candidates * dim;
}

int add(void *index, const peer_data *data, const uint32_t *rows, size_t n)
{
    auto *graph = static_cast<Index *>(index)->graph.get();
    try {
        if (graph->cur_element_count + n > graph->max_elements_)
            graph->resizeIndex((graph->cur_element_count + n) * 3 / 2);
        for (size_t i = 0; i < n; i++) graph->addPoint(data->rows + rows[i] * data->dim, rows[i]);
        return 1;
    } catch (const std::exception &e) {
        fprintf(stderr, "hnswlib: %s\n", e.what());
        return 0;
    }
}

int remove(void *index, const uint32_t *rows, size_t n)
{
    try {
        for (size_t i = 0; i < n; i++) static_cast<Index *>(index)->graph->markDelete(rows[i]);
        return 1;
    } catch (const std::exception &e) {
        fprintf(stderr, "hnswlib: %s\n", e.what());
        return 0;
    }
}

#if defined(USE_AVX512)
#define ISA " AVX-512"
#elif defined(USE_AVX)
#define ISA " AVX"
#else
#define ISA " SSE"
#endif

} // namespace

extern "C" const peer *nlsh_bench_peers(void)
{
    static const peer peers[] = {{"hnswlib", HNSWLIB_VERSION ISA, 0, build, open, close, setting,
                                  set, search, cost, nullptr, filter, "ef=", add, remove},
                                 {}};
    return peers;
}

extern "C" const peer *nlsh_bench_changing(void)
{
    return nlsh_bench_peers();
}
