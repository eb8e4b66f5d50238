/*
 * symphonyqg.cpp - SymphonyQG as RaBitQ-Library has it (github.com/VectorDB-NTU/RaBitQ-Library,
 * headers only, Apache 2.0) as a peer of compare.c. Not built by the project, which holds nothing of
 * it; with its sources in $RABITQ:
 *
 *   g++ -Ofast -march=native -std=c++17 -fopenmp -shared -fPIC -fvisibility=hidden -I bench/peers \
 *       -isystem $RABITQ/include bench/outside/symphonyqg.cpp -o symphonyqg.so
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <unistd.h>

#include "peer.h"
#include "rabitqlib/defines.hpp"
#include "rabitqlib/index/symqg/qg.hpp"
#include "rabitqlib/index/symqg/qg_builder.hpp"

#ifndef SYMPHONYQG_VERSION
#define SYMPHONYQG_VERSION "RaBitQ-Library 7c2d0d7"
#endif

namespace {

using Index = rabitqlib::symqg::QuantizedGraph<float>;

const char *build(const peer_data *base, int quick, size_t i)
{
    static const char *const all[] = {"degree=32 ef=200", "degree=64 ef=200", "degree=32 ef=400"};
    size_t n = quick || base->n_rows > 300000 ? 1 : sizeof all / sizeof *all;
    return i < n ? all[i] : nullptr;
}

void *open(const peer_data *base, const char *build, const char *file)
{
    size_t degree, ef;
    if (sscanf(build, "degree=%zu ef=%zu", &degree, &ef) != 2) return nullptr;
    try {
        if (access(file, R_OK) == 0) {
            auto index = std::make_unique<Index>();
            index->load(file);
            return index.release();
        }
        auto index = std::make_unique<Index>(base->n_rows, base->dim, degree);
        rabitqlib::symqg::QGBuilder builder(*index, static_cast<uint32_t>(ef), base->rows, 1);
        builder.build();
        index->save(file);
        return index.release();
    } catch (const std::exception &e) {
        fprintf(stderr, "SymphonyQG: %s: %s\n", build, e.what());
        return nullptr;
    }
}

void close(void *index)
{
    delete static_cast<Index *>(index);
}

const char *setting(void *, size_t k, int quick, size_t i)
{
    static const size_t all[] = {10,  12,  14,  16,  18,  20,  24,  28,  32,   36,  40,
                                 48,  56,  64,  72,  80,  96,  112, 128, 144,  160, 192,
                                 224, 256, 320, 384, 448, 512, 640, 768, 1024, 1536};
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
    static_cast<Index *>(index)->set_ef(strtoul(setting + 3, nullptr, 10));
}

void search(void *index, const peer_data *queries, size_t first, size_t n, size_t k, size_t,
            uint32_t *ids)
{
    auto *graph = static_cast<Index *>(index);
    for (size_t q = 0; q < n; q++) {
        std::fill(ids + q * k, ids + (q + 1) * k, UINT32_MAX);
        graph->search(queries->rows + (first + q) * queries->dim, static_cast<uint32_t>(k),
                      ids + q * k);
    }
}

} // namespace

extern "C" const peer *nlsh_bench_peers(void)
{
    static const peer peers[] = {{"SymphonyQG", SYMPHONYQG_VERSION " AVX-512", 0, build, open,
                                  close, setting, set, search, nullptr, nullptr},
                                 {}};
    return peers;
}
