/*
 * lorann.cpp - LoRANN (github.com/ejaasaari/lorann, headers only, MIT) as a peer of compare.c. Not
 * built by the project, which holds nothing of it; with its sources in $LORANN:
 *
 *   g++ -O3 -march=native -std=c++17 -fopenmp -DNDEBUG -flax-vector-conversions -shared -fPIC \
 *       -fvisibility=hidden -I bench/peers -I $LORANN/lorann bench/outside/lorann.cpp -o lorann.so
 *
 * Bytes where the data are bytes, 4-bit and 8-bit factors.
 */
#include <Eigen/Dense>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <omp.h>
#include <unistd.h>
#include <vector>

#include "lorann.h"
#include "peer.h"

#ifndef LORANN_VERSION
#define LORANN_VERSION "0.4.5"
#endif

namespace {

struct Index {
    std::unique_ptr<Lorann::LorannBase<uint8_t>> bytes;
    std::unique_ptr<Lorann::LorannBase<float>> floats;
    int clusters = 0, probes = 0, rerank = 0;
};

const char *build(const peer_data *base, int quick, size_t i)
{
    static const char *const small[] = {
        "clusters=256 dim=128 rank=32 sq4",  "clusters=512 dim=128 rank=32 sq4",
        "clusters=1024 dim=128 rank=32 sq4", "clusters=256 dim=64 rank=32 sq4",
        "clusters=512 dim=64 rank=32 sq4",   "clusters=1024 dim=64 rank=32 sq4",
        "clusters=512 dim=128 rank=16 sq4",  "clusters=1024 dim=128 rank=16 sq4",
        "clusters=512 dim=128 rank=32 sq8",  "clusters=1024 dim=128 rank=32 sq8"};
    static const char *const large[] = {"clusters=1024 dim=128 rank=32 sq4"};
    int is_large = base->n_rows > 300000;
    size_t n = quick || is_large ? 1 : sizeof small / sizeof *small;
    return i < n ? (is_large ? large : small)[i] : nullptr;
}

template <typename T>
std::unique_ptr<Lorann::LorannBase<T>> make(const T *rows, const peer_data *base, const char *build,
                                            const char *file)
{
    int clusters, dim, rank, bits;
    std::unique_ptr<Lorann::LorannBase<T>> index;
    if (access(file, R_OK) == 0) {
        std::ifstream in(file, std::ios::binary);
        cereal::BinaryInputArchive archive(in);
        archive(index);
        return index;
    }
    if (sscanf(build, "clusters=%d dim=%d rank=%d sq%d", &clusters, &dim, &rank, &bits) != 4)
        return nullptr;
    T *data = const_cast<T *>(rows);
    int n = static_cast<int>(base->n_rows), d = static_cast<int>(base->dim);
    if (bits == 4)
        index = std::make_unique<Lorann::Lorann<T, Lorann::SQ4Quantizer>>(data, n, d, clusters, dim,
                                                                          rank, 5, Lorann::L2);
    else
        index = std::make_unique<Lorann::Lorann<T, Lorann::SQ8Quantizer>>(data, n, d, clusters, dim,
                                                                          rank, 5, Lorann::L2);
    index->build(true, false, 1);
    std::ofstream out(file, std::ios::binary);
    cereal::BinaryOutputArchive archive(out);
    archive(index);
    return index;
}

void *open(const peer_data *base, const char *build, const char *file)
{
    auto index = std::make_unique<Index>();
    omp_set_num_threads(1);
    try {
        if (base->bytes != nullptr)
            index->bytes = make(base->bytes, base, build, file);
        else
            index->floats = make(base->rows, base, build, file);
        sscanf(build, "clusters=%d", &index->clusters);
        return index.release();
    } catch (const std::exception &e) {
        fprintf(stderr, "LoRANN: %s: %s\n", build, e.what());
        return nullptr;
    }
}

void close(void *index)
{
    delete static_cast<Index *>(index);
}

const char *setting(void *index, size_t k, int quick, size_t i)
{
    static const int probes[] = {1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128};
    static const int ranks[] = {10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640};
    static thread_local char text[48];
    for (int p : probes) {
        if (p >= static_cast<Index *>(index)->clusters) break;
        for (int r : ranks) {
            size_t rerank = k == 1 ? static_cast<size_t>(r) / 5 : static_cast<size_t>(r);
            if (rerank < k || (k > 10 && rerank > 10 * k) || r > 20 * p + 60) continue;
            if (quick && ((p != 8 && p != 24) || r != 160)) continue;
            if (i-- > 0) continue;
            snprintf(text, sizeof text, "clusters_to_search=%d rerank=%zu", p, rerank);
            return text;
        }
    }
    return nullptr;
}

void set(void *index, size_t, const char *setting)
{
    auto *i = static_cast<Index *>(index);
    sscanf(setting, "clusters_to_search=%d rerank=%d", &i->probes, &i->rerank);
}

void search(void *index, const peer_data *queries, size_t first, size_t n, size_t k, size_t,
            uint32_t *ids)
{
    const auto *i = static_cast<const Index *>(index);
    std::vector<int> found(k);
    for (size_t q = 0; q < n; q++) {
        size_t at = (first + q) * queries->dim;
        std::fill(found.begin(), found.end(), -1);
        if (i->bytes)
            i->bytes->search(queries->bytes + at, static_cast<int>(k), i->probes, i->rerank,
                             found.data());
        else
            i->floats->search(queries->rows + at, static_cast<int>(k), i->probes, i->rerank,
                              found.data());
        for (size_t j = 0; j < k; j++)
            ids[q * k + j] = found[j] < 0 ? UINT32_MAX : static_cast<uint32_t>(found[j]);
    }
}

} // namespace

extern "C" const peer *nlsh_bench_peers(void)
{
    static const peer peers[] = {{"LoRANN", LORANN_VERSION " AVX-512", 0, build, open, close,
                                  setting, set, search, nullptr, nullptr},
                                 {}};
    return peers;
}
