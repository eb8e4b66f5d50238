/*
 * glass.cpp - glass (github.com/zilliztech/pyglass, headers only, MIT) as a peer of compare.c: its
 * HNSW over bytes (SQ8U). Not built by the project, which holds nothing of it; with its sources in
 * $GLASS:
 *
 *   g++ -Ofast -march=native -std=c++20 -fopenmp -shared -fPIC -fvisibility=hidden -I bench/peers \
 *       -isystem $GLASS -isystem $GLASS/third_party/helpa bench/outside/glass.cpp -o glass.so
 */
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <omp.h>
#include <unistd.h>

#include "glass/builder.hpp"
#include "glass/hnsw/hnsw.hpp"
#include "glass/searcher/graph_searcher.hpp"
#include "peer.h"

#ifndef GLASS_VERSION
#define GLASS_VERSION "2.1"
#endif

namespace {

struct Index {
    std::unique_ptr<glass::GraphSearcherBase> searcher;
    double size = 0;
};

const char *build(const peer_data *base, int quick, size_t i)
{
    static const char *const all[] = {"HNSW R=32 L=200 SQ8U", "HNSW R=16 L=200 SQ8U",
                                      "HNSW R=24 L=200 SQ8U", "HNSW R=48 L=200 SQ8U"};
    size_t n = quick || base->n_rows > 300000 ? 1 : sizeof all / sizeof *all;
    return i < n ? all[i] : nullptr;
}

void *open(const peer_data *base, const char *build, const char *file)
{
    int degree, width, rows = static_cast<int>(base->n_rows), dim = static_cast<int>(base->dim);
    if (sscanf(build, "HNSW R=%d L=%d", &degree, &width) != 2) return nullptr;
    omp_set_num_threads(1);
    try {
        glass::Graph<int> graph;
        if (access(file, R_OK) == 0) {
            graph.load(file);
        } else {
            auto builder = glass::create_hnsw("L2", "SQ8U", degree, width);
            graph = builder->Build(base->rows, rows, dim);
            graph.save(file);
        }
        auto index = std::make_unique<Index>();
        index->size =
            static_cast<double>(base->n_rows) * (static_cast<double>(base->dim) + 4.0 * degree);
        index->searcher = glass::create_searcher(std::move(graph), "L2", "SQ8U");
        index->searcher->SetData(base->rows, rows, dim);
        index->searcher->SetEf(32);
        index->searcher->Optimize(1);
        return index.release();
    } catch (const std::exception &e) {
        fprintf(stderr, "glass: %s: %s\n", build, e.what());
        return nullptr;
    }
}

void close(void *index)
{
    delete static_cast<Index *>(index);
}

const char *setting(void *, size_t k, int quick, size_t i)
{
    static const size_t all[] = {10, 12, 14, 16, 18,  20,  22,  24,  28,  32,  36,  40,  48,  56,
                                 64, 72, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512, 768, 1024};
    static const size_t few[] = {16, 64, 192};
    static thread_local char text[32];
    for (size_t j = 0; j < (quick ? sizeof few : sizeof all) / sizeof *all; j++) {
        size_t ef = (quick ? few : all)[j];
        if (ef < k || i-- > 0) continue;
        snprintf(text, sizeof text, "ef=%zu", ef);
        return text;
    }
    return nullptr;
}

void set(void *index, size_t, const char *setting)
{
    static_cast<Index *>(index)->searcher->SetEf(atoi(setting + 3));
}

void search(void *index, const peer_data *queries, size_t first, size_t n, size_t k,
            size_t n_threads, uint32_t *ids)
{
    const auto *searcher = static_cast<Index *>(index)->searcher.get();
    const float *rows = queries->rows + first * queries->dim;
    auto *out = reinterpret_cast<int32_t *>(ids);
    if (n == 1) {
        searcher->Search(rows, static_cast<int32_t>(k), out);
        return;
    }
    omp_set_num_threads(static_cast<int>(n_threads));
    searcher->SearchBatch(rows, static_cast<int32_t>(n), static_cast<int32_t>(k), out);
}

double size(void *index)
{
    return static_cast<Index *>(index)->size;
}

} // namespace

extern "C" const peer *nlsh_bench_peers(void)
{
    static const peer peers[] = {{"glass", GLASS_VERSION " AVX-512", 1, build, open, close, setting,
                                  set, search, nullptr, size},
                                 {}};
    return peers;
}
