/*
 * faiss_shards.cpp - bench_faiss_shards: faiss's own shards, beside `mpirun -n SHARDS nlsh search`.
 *
 *   OPENBLAS_NUM_THREADS=1 bench_faiss_shards BASE.u8bin QUERIES.u8bin TRUTH.ivecs KIND LISTS SHARDS FILE [HOW MANY]
 *
 * IndexShards over IVF indexes, a thread each, that have the same centroids; each holds a part of the base, in its order. KIND
 * is flat (floats), bytes (QT_8bit_direct) or pq (a byte for four values; ten times as many as are wanted are ranked by their
 * bytes). All queries go in one call, with the fewest lists that reach recall@10 .90, .95 and .99. The shards are kept as
 * FILE.0, FILE.1, ... and taken from there. A line each: lists, recall, queries a second in the best of five passes, processor
 * time a query of all threads, memory. Shards of one process send nothing.
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexRefine.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/IndexShards.h>
#include <faiss/clone_index.h>
#include <faiss/index_io.h>
#include <memory>
#include <omp.h>
#include <set>
#include <string>
#include <vector>

#include "faiss_rows.h"

namespace {

constexpr int PASSES = 5;
constexpr float RANKED = 10; /* of pq, times as many as are wanted */

using Shards = std::vector<std::unique_ptr<faiss::Index>>;

/* ---- making ------------------------------------------------------------------------------------ */

std::unique_ptr<faiss::IndexIVF> make_ivf(const std::string &kind, size_t dim, size_t lists)
{
    auto *centroids = new faiss::IndexFlatL2((int64_t)dim);
    std::unique_ptr<faiss::IndexIVF> ivf;
    if (kind == "flat")
        ivf = std::make_unique<faiss::IndexIVFFlat>(centroids, dim, lists);
    else if (kind == "pq")
        ivf = std::make_unique<faiss::IndexIVFPQ>(centroids, dim, lists, dim / 4, 8);
    else if (kind == "bytes")
        ivf = std::make_unique<faiss::IndexIVFScalarQuantizer>(
            centroids, dim, lists, faiss::ScalarQuantizer::QT_8bit_direct, faiss::METRIC_L2, false);
    else
        die("the kind is flat, bytes or pq, and not " + kind);
    ivf->own_fields = true;
    return ivf;
}

/* The next n rows as a shard. */
std::unique_ptr<faiss::Index> fill(const faiss::IndexIVF &trained, bool refined, const Bytes &base,
                                   size_t n)
{
    std::unique_ptr<faiss::Index> shard(faiss::clone_index(&trained));
    if (refined) {
        auto *exact = new faiss::IndexScalarQuantizer(
            (int)base.dim, faiss::ScalarQuantizer::QT_8bit_direct, faiss::METRIC_L2);
        auto both = std::make_unique<faiss::IndexRefine>(shard.release(), exact);
        both->own_fields = both->own_refine_index = true;
        both->k_factor = RANKED;
        shard = std::move(both);
    }
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t some = std::min(BLOCK, n - done);
        auto rows = read_rows(base, some);
        shard->add((int64_t)some, rows.data());
    }
    return shard;
}

void make_shards(const Bytes &base, const std::string &kind, size_t lists, size_t n,
                 const std::string &file)
{
    auto trained = make_ivf(kind, base.dim, lists);
    size_t sampled = std::min(base.n, lists * TRAIN_A_LIST);
    trained->train((int64_t)sampled, read_rows(base, sampled).data());
    fseek(base.file, 8, SEEK_SET);
    for (size_t i = 0; i < n; i++) {
        size_t first = base.n * i / n, last = base.n * (i + 1) / n;
        auto shard = fill(*trained, kind == "pq", base, last - first);
        faiss::write_index(shard.get(), (file + "." + std::to_string(i)).c_str());
    }
}

Shards read_shards(const std::string &file, size_t n)
{
    Shards shards;
    for (size_t i = 0; i < n; i++)
        shards.emplace_back(faiss::read_index((file + "." + std::to_string(i)).c_str()));
    return shards;
}

/* ---- asking ------------------------------------------------------------------------------------ */

struct Asked {
    std::vector<float> queries;
    size_t n;
    std::vector<std::vector<int>> truth;
};

void set_probes(const Shards &shards, size_t probes)
{
    for (const auto &shard : shards) {
        auto *refine = dynamic_cast<faiss::IndexRefine *>(shard.get());
        auto *inner = refine != nullptr ? refine->base_index : shard.get();
        dynamic_cast<faiss::IndexIVF &>(*inner).nprobe = probes;
    }
}

double recall(const faiss::Index &index, const Asked &asked)
{
    std::vector<float> distances(asked.n * K);
    std::vector<int64_t> ids(asked.n * K);
    size_t found = 0;
    index.search((int64_t)asked.n, asked.queries.data(), K, distances.data(), ids.data());
    for (size_t i = 0; i < asked.n; i++) {
        std::set<int64_t> wanted(asked.truth[i].begin(), asked.truth[i].begin() + K);
        for (size_t j = 0; j < K; j++) found += wanted.count(ids[i * K + j]);
    }
    return (double)found / (double)(asked.n * K);
}

/* The fewest lists that reach it, or 0. */
size_t fewest_probes(const faiss::Index &index, const Shards &shards, size_t lists,
                     const Asked &asked, double wanted)
{
    size_t low = 0, high = 1;
    auto reaches = [&](size_t probes) {
        set_probes(shards, probes);
        return recall(index, asked) >= wanted;
    };
    for (; !reaches(high); high *= 2) {
        low = high;
        if (high * 2 > lists) return 0;
    }
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        (reaches(middle) ? high : low) = middle;
    }
    set_probes(shards, high);
    return high;
}

void measure(const faiss::Index &index, const Asked &asked, double wanted, size_t probes)
{
    double best = 0, reached = 0;
    clock_t worked = clock();
    for (int pass = 0; pass < PASSES; pass++) {
        auto began = std::chrono::steady_clock::now();
        reached = recall(index, asked);
        std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        best = std::max(best, (double)asked.n / took.count());
    }
    double micros = (double)(clock() - worked) / CLOCKS_PER_SEC * 1e6 / PASSES / (double)asked.n;
    printf(
        "recall %.2f: %zu lists reach %.4f; %.0f queries a second, %.0f us of processors a query; "
        "%.0f MB resident\n",
        wanted, probes, reached, best, micros, resident_mb());
    fflush(stdout);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 8 && argc != 9)
        die("usage: bench_faiss_shards BASE.u8bin QUERIES.u8bin TRUTH.ivecs KIND LISTS SHARDS FILE "
            "[HOW MANY]");
    Bytes base = open_bytes(argv[1]), queries = open_bytes(argv[2]);
    Asked asked;
    asked.truth = read_truth(argv[3]);
    std::string kind = argv[4], file = argv[7];
    size_t lists = strtoul(argv[5], nullptr, 10), n = strtoul(argv[6], nullptr, 10),
           most = argc == 9 ? strtoul(argv[8], nullptr, 10) : 1000;
    if (n < 1 || lists < 1) die("give one list and one shard at least");
    asked.n = std::min({queries.n, most, asked.truth.size()});
    asked.queries = read_rows(queries, asked.n);
    omp_set_num_threads(1);
    if (access((file + "." + std::to_string(n - 1)).c_str(), R_OK) != 0)
        make_shards(base, kind, lists, n, file);
    Shards shards = read_shards(file, n);
    faiss::IndexShards index((int64_t)base.dim, n > 1, true);
    for (auto &shard : shards) index.add_shard(shard.get());
    index.runOnIndex([](int, faiss::Index *) { omp_set_num_threads(1); });
    printf("%s, %zu vectors in %zu lists, %zu shards\n", kind.c_str(), base.n, lists, n);
    for (double wanted : {.90, .95, .99}) {
        size_t probes = fewest_probes(index, shards, lists, asked, wanted);
        if (probes > 0)
            measure(index, asked, wanted, probes);
        else
            printf("recall %.2f: is not reached\n", wanted);
    }
    return 0;
}
