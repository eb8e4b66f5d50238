/*
 * faiss_disk.cpp - bench_faiss_disk: faiss's inverted lists on a disk, beside bench_disk.
 *
 *   bench_faiss_disk BASE.u8bin QUERIES.u8bin TRUTH.ivecs LISTS FILE [HOW MANY]
 *
 * IVF with bytes as they are (QT_8bit_direct), whose lists are merged into FILE (OnDiskInvertedLists, with their
 * prefetching). One query at a time, one thread, with the least of 1, 2, 3, 4, 6, 8, 12, ... lists that reaches
 * recall@10 .95 and .99. "cold": before each query the system is asked to forget the file's pages.
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <faiss/IndexFlat.h>
#include <faiss/IndexScalarQuantizer.h>
#include <faiss/invlists/OnDiskInvertedLists.h>
#include <fcntl.h>
#include <memory>
#include <omp.h>
#include <set>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "faiss_rows.h"

namespace {

struct Searched {
    double recall, p50, p99;
};

Searched search(const faiss::IndexIVF &index, const std::vector<float> &queries, size_t n,
                const std::vector<std::vector<int>> &truth, const std::string &forget)
{
    const auto *lists = dynamic_cast<const faiss::OnDiskInvertedLists *>(index.invlists);
    std::vector<double> micros(n);
    size_t found = 0;
    int fd = forget.empty() ? -1 : open(forget.c_str(), O_RDONLY);
    for (size_t i = 0; i < n; i++) {
        float distances[K];
        faiss::Index::idx_t ids[K];
        if (fd >= 0) {
            madvise(lists->ptr, lists->totsize, MADV_DONTNEED);
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        }
        auto begin = std::chrono::steady_clock::now();
        index.search(1, queries.data() + i * (size_t)index.d, K, distances, ids);
        std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
        micros[i] = took.count();
        std::set<int> wanted(truth[i].begin(), truth[i].begin() + K);
        for (auto id : ids) found += wanted.count((int)id);
    }
    if (fd >= 0) close(fd);
    std::sort(micros.begin(), micros.end());
    return {(double)found / (double)(n * K), micros[n / 2], micros[n * 99 / 100]};
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        die("usage: bench_faiss_disk BASE.u8bin QUERIES.u8bin TRUTH.ivecs LISTS FILE [HOW MANY]");
    Bytes base = open_bytes(argv[1]), asked = open_bytes(argv[2]);
    auto truth = read_truth(argv[3]);
    size_t lists = strtoul(argv[4], nullptr, 10),
           most = argc == 7 ? strtoul(argv[6], nullptr, 10) : 1000;
    std::string path = argv[5];
    auto begin = std::chrono::steady_clock::now();
    faiss::IndexFlatL2 quantizer((faiss::Index::idx_t)base.dim);
    auto make = [&] {
        return std::make_unique<faiss::IndexIVFScalarQuantizer>(
            &quantizer, base.dim, lists, faiss::ScalarQuantizer::QT_8bit_direct, faiss::METRIC_L2,
            false);
    };
    auto index = make();
    size_t sampled = std::min(base.n, lists * TRAIN_A_LIST);
    auto sample = read_rows(base, sampled);
    index->train((faiss::Index::idx_t)sampled, sample.data());
    sample = {};
    fseek(base.file, 8, SEEK_SET);
    std::vector<std::unique_ptr<faiss::IndexIVFScalarQuantizer>> parts;
    std::vector<const faiss::InvertedLists *> of_parts;
    for (size_t done = 0; done < base.n; done += BLOCK) {
        size_t n = std::min(BLOCK, base.n - done);
        auto rows = read_rows(base, n);
        std::vector<faiss::Index::idx_t> ids(n);
        for (size_t i = 0; i < n; i++) ids[i] = (faiss::Index::idx_t)(done + i);
        parts.push_back(make());
        parts.back()->is_trained = true;
        parts.back()->add_with_ids((faiss::Index::idx_t)n, rows.data(), ids.data());
        of_parts.push_back(parts.back()->invlists);
    }
    auto *disk = new faiss::OnDiskInvertedLists(lists, index->code_size, path.c_str());
    index->replace_invlists(disk, true);
    index->ntotal = (faiss::Index::idx_t)disk->merge_from(of_parts.data(), (int)of_parts.size());
    parts.clear();
    std::chrono::duration<double> built = std::chrono::steady_clock::now() - begin;
    printf("%zu vectors in %zu lists, built in %.0f s\n", base.n, lists, built.count());
    omp_set_num_threads(1);
    size_t n = std::min({asked.n, most, truth.size()});
    auto queries = read_rows(asked, n);
    for (double wanted : {.95, .99})
        for (size_t probes = 1, half = 0; probes <= lists;
             half = probes, probes += std::max<size_t>(1, half / 2)) {
            index->nprobe = probes;
            if (search(*index, queries, n, truth, "").recall < wanted) continue;
            Searched warm = search(*index, queries, n, truth, ""),
                     cold = search(*index, queries, std::min<size_t>(n, 300), truth, path);
            printf("recall %.2f: %zu lists reach %.4f; warm p50 %.0f us, p99 %.0f us; cold p50 "
                   "%.0f us, p99 %.0f us; %.0f MB resident\n",
                   wanted, probes, warm.recall, warm.p50, warm.p99, cold.p50, cold.p99,
                   resident_mb());
            break;
        }
    unlink(path.c_str());
    return 0;
}
