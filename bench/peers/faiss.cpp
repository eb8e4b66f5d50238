/*
 * faiss.cpp - faiss (Debian's libfaiss-dev) as peers of compare.c: HNSW, IVF-Flat, and IVF with
 * 4-bit product quantisation or, from faiss 1.15 on, RaBitQ, scanned fast and refined by exact distances.
 *
 * The library's own threads are used; BLAS should be OpenBLAS held to one thread. Which instruction
 * set it was built for is asked of the library and stands in the version.
 */
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <faiss/Index.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFFastScan.h>
#include <faiss/IndexRefine.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <faiss/utils/utils.h>
#include <memory>
#include <omp.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "peer.h"

namespace {

struct Index {
    std::unique_ptr<faiss::Index> index;
    faiss::IndexIVF *ivf = nullptr;
    faiss::IndexRefine *refine = nullptr;
    faiss::IndexHNSW *hnsw = nullptr;
    std::unique_ptr<faiss::IDSelectorBitmap> allowed;
    double queries = 0;
    size_t code_bytes = 0; /* of a vector as it is scanned */
};

void look_inside(Index *i)
{
    i->hnsw = dynamic_cast<faiss::IndexHNSW *>(i->index.get());
    i->refine = dynamic_cast<faiss::IndexRefine *>(i->index.get());
    faiss::Index *inner = i->refine != nullptr ? i->refine->base_index : i->index.get();
    i->ivf = dynamic_cast<faiss::IndexIVF *>(inner);
    i->code_bytes = i->ivf != nullptr ? i->ivf->code_size : i->index->d * sizeof(float);
}

/* Lists to try: about one and two square roots of n, as faiss advises, and on both sides of it; the
 * likeliest first. */
std::vector<size_t> list_counts(size_t n, int quick)
{
    if (n < 20000) return {quick ? size_t{64} : size_t{128}};
    if (n < 300000) return quick ? std::vector<size_t>{512} : std::vector<size_t>{512, 256, 1024};
    return quick ? std::vector<size_t>{2048} : std::vector<size_t>{2048, 1024, 4096};
}

const char *nth(const std::vector<std::string> &list, size_t i)
{
    static thread_local std::string text;
    if (i >= list.size()) return nullptr;
    text = list[i];
    return text.c_str();
}

const char *build_hnsw(const peer_data *base, int quick, size_t i)
{
    if (quick || base->n_rows > 300000) return nth({"HNSW16 efC=200"}, i);
    return nth({"HNSW16 efC=200", "HNSW32 efC=200"}, i);
}

const char *build_flat(const peer_data *base, int quick, size_t i)
{
    std::vector<std::string> list;
    for (size_t n : list_counts(base->n_rows, quick))
        list.push_back("IVF" + std::to_string(n) + ",Flat");
    return nth(list, i);
}

/* 4-bit codes of as many parts as give 4, 8 or 2 dimensions to each. */
const char *build_fast(const peer_data *base, int quick, size_t i)
{
    std::vector<std::string> list;
    for (size_t n : list_counts(base->n_rows, quick))
        for (size_t d : {size_t{4}, size_t{2}, size_t{8}}) {
            if (base->dim % d != 0 || (quick && d != 4)) continue;
            list.push_back("IVF" + std::to_string(n) + ",PQ" + std::to_string(base->dim / d) +
                           "x4fs,RFlat");
        }
    return nth(list, i);
}

/* RaBitQ with a bit a dimension; versions before 1.15, Debian's among them, were not tried. */
const char *build_rabitq(const peer_data *base, int quick, size_t i)
{
    std::vector<std::string> list;
    for (size_t n : list_counts(base->n_rows, quick))
        if (FAISS_VERSION_MAJOR > 1 || FAISS_VERSION_MINOR >= 15)
            list.push_back("IVF" + std::to_string(n) + ",RaBitQfs,RFlat");
    return nth(list, i);
}

/* Of an index that changes. Few lists make adding cheap, many make queries fast. Training costs neither: a few points
 * a list do. */
const char *build_changing_flat(const peer_data *base, int, size_t i)
{
    if (base->n_rows < 300000)
        return nth({"IVF" + std::to_string(list_counts(base->n_rows, 1)[0]) + ",Flat"}, i);
    return nth({"IVF1024,Flat points=64", "IVF4096,Flat points=64"}, i);
}

/* Whose rows can be removed: neither fast scan nor refinement has that. So a code has a byte for each dimension: with
 * fewer, recall .95 is out of reach. */
const char *build_changing_coded(const peer_data *base, int, size_t i)
{
    size_t lists = base->n_rows < 300000 ? list_counts(base->n_rows, 1)[0] : 4096;
    return nth({"IVF" + std::to_string(lists) + ",PQ" + std::to_string(base->dim) + " points=64"},
               i);
}

void *open(const peer_data *base, const char *build, const char *file)
{
    omp_set_num_threads(1);
    auto made = std::make_unique<Index>();
    try {
        if (access(file, R_OK) == 0) {
            made->index.reset(faiss::read_index(file));
            look_inside(made.get());
            return made.release();
        }
        std::string text(build), factory = text.substr(0, text.find(' '));
        made->index.reset(faiss::index_factory(static_cast<int>(base->dim), factory.c_str()));
        look_inside(made.get());
        size_t ef = 0, points = 0;
        if (made->ivf != nullptr && sscanf(build, "%*s points=%zu", &points) == 1)
            made->ivf->cp.max_points_per_centroid = static_cast<int>(points);
        if (made->hnsw != nullptr && sscanf(build, "%*s efC=%zu", &ef) == 1)
            made->hnsw->hnsw.efConstruction = static_cast<int>(ef);
        made->index->train(static_cast<int64_t>(base->n_rows), base->rows);
        made->index->add(static_cast<int64_t>(base->n_rows), base->rows);
        faiss::write_index(made->index.get(), file);
        return made.release();
    } catch (const std::exception &e) {
        fprintf(stderr, "faiss: %s: %s\n", build, e.what());
        return nullptr;
    }
}

/* It knows where each vector stands, so that removing one does not look at all. */
void *open_changing(const peer_data *base, const char *build, const char *file)
{
    auto *made = static_cast<Index *>(open(base, build, file));
    if (made != nullptr) made->ivf->set_direct_map_type(faiss::DirectMap::Hashtable);
    return made;
}

void close(void *index)
{
    delete static_cast<Index *>(index);
}

const char *setting_hnsw(void *, size_t k, int quick, size_t i)
{
    std::vector<std::string> list;
    for (size_t ef : {10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512})
        if (ef >= k && (!quick || ef == 16 || ef == 64))
            list.push_back("efSearch=" + std::to_string(ef));
    return nth(list, i);
}

const char *setting_flat(void *, size_t, int quick, size_t i)
{
    std::vector<std::string> list;
    for (size_t probes :
         {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160})
        if (!quick || probes == 4 || probes == 16)
            list.push_back("nprobe=" + std::to_string(probes));
    return nth(list, i);
}

const char *setting_fast(void *, size_t k, int quick, size_t i)
{
    std::vector<std::string> list;
    for (size_t probes : {2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384})
        for (size_t factor : {2, 4, 8, 12, 20, 32}) {
            if (k >= 100 && factor > 8) continue;
            if (quick && ((probes != 4 && probes != 16) || factor != 8)) continue;
            list.push_back("nprobe=" + std::to_string(probes) +
                           " k_factor=" + std::to_string(k == 1 ? factor * 4 : factor));
        }
    return nth(list, i);
}

void set(void *index, size_t, const char *setting)
{
    auto *i = static_cast<Index *>(index);
    size_t a = 0;
    float factor = 1;
    if (sscanf(setting, "efSearch=%zu", &a) == 1) i->hnsw->hnsw.efSearch = static_cast<int>(a);
    if (sscanf(setting, "nprobe=%zu", &a) == 1) i->ivf->nprobe = a;
    if (sscanf(setting, "nprobe=%*u k_factor=%f", &factor) == 1) i->refine->k_factor = factor;
    faiss::indexIVF_stats.reset();
    faiss::hnsw_stats.reset();
    i->queries = 0;
}

void search(void *index, const peer_data *queries, size_t first, size_t n, size_t k,
            size_t n_threads, uint32_t *ids)
{
    auto *i = static_cast<Index *>(index);
    static thread_local std::vector<int64_t> labels;
    static thread_local std::vector<float> distances;
    labels.resize(n * k);
    distances.resize(n * k);
    omp_set_num_threads(static_cast<int>(n_threads));
    faiss::SearchParametersIVF filtered;
    filtered.sel = i->allowed.get();
    if (i->allowed != nullptr) filtered.nprobe = i->ivf->nprobe;
    i->index->search(static_cast<int64_t>(n), queries->rows + first * queries->dim,
                     static_cast<int64_t>(k), distances.data(), labels.data(),
                     i->allowed != nullptr ? &filtered : nullptr);
    for (size_t j = 0; j < n * k; j++)
        ids[j] = labels[j] < 0 ? UINT32_MAX : static_cast<uint32_t>(labels[j]);
    i->queries += static_cast<double>(n);
}

/* Of IVF-Flat. HNSW and the fast scan of this version take no selector. */
void filter(void *index, const uint64_t *bits, size_t n_rows)
{
    static_cast<Index *>(index)->allowed = std::make_unique<faiss::IDSelectorBitmap>(
        (n_rows + 7) / 8, reinterpret_cast<const uint8_t *>(bits));
}

/* Distances to centroids are not counted: as with our router, they are not candidates. */
void cost(void *index, double *candidates, double *bytes, double *products)
{
    const auto *i = static_cast<const Index *>(index);
    double d = i->index->d;
    *candidates = static_cast<double>(i->ivf != nullptr ? faiss::indexIVF_stats.ndis
                                                        : faiss::hnsw_stats.ndis) /
                  i->queries;
    if (*candidates == 0) *candidates = NAN; /* faiss 1.7 does not count for HNSW */
    double lists = i->ivf != nullptr ? static_cast<double>(i->ivf->nlist) : 0;
    *bytes = *candidates * static_cast<double>(i->code_bytes) + lists * d * sizeof(float);
    *products = NAN;
}

/* The library's threads are as many as open() said: one. */
int add(void *index, const peer_data *data, const uint32_t *rows, size_t n)
{
    std::vector<float> vectors(n * data->dim);
    std::vector<int64_t> ids(rows, rows + n);
    for (size_t i = 0; i < n; i++)
        memcpy(&vectors[i * data->dim], data->rows + rows[i] * data->dim,
               data->dim * sizeof(float));
    try {
        static_cast<Index *>(index)->index->add_with_ids(static_cast<int64_t>(n), vectors.data(),
                                                         ids.data());
        return 1;
    } catch (const std::exception &e) {
        fprintf(stderr, "faiss: %s\n", e.what());
        return 0;
    }
}

int remove(void *index, const uint32_t *rows, size_t n)
{
    std::vector<int64_t> ids(rows, rows + n);
    try {
        faiss::IDSelectorArray which(n, ids.data()); /* what a hash of places takes */
        static_cast<Index *>(index)->index->remove_ids(which);
        return 1;
    } catch (const std::exception &e) {
        fprintf(stderr, "faiss: %s\n", e.what());
        return 0;
    }
}

const char *version()
{
    static std::string text;
    if (text.empty()) {
        text = std::to_string(FAISS_VERSION_MAJOR) + "." + std::to_string(FAISS_VERSION_MINOR) +
               "." + std::to_string(FAISS_VERSION_PATCH) + " " + faiss::get_compile_options();
        for (char &c : text)
            if (c == ',' || c == '"') c = ';';
        while (!text.empty() && text.back() == ' ') text.pop_back();
    }
    return text.c_str();
}

} // namespace

extern "C" const peer *nlsh_bench_peers(void)
{
    static peer peers[] = {
        {"faiss HNSW", version(), 1, build_hnsw, open, close, setting_hnsw, set, search, cost,
         nullptr, nullptr, nullptr, nullptr, nullptr},
        {"faiss IVF-Flat", version(), 1, build_flat, open, close, setting_flat, set, search, cost,
         nullptr, filter, "nprobe=", nullptr, nullptr},
        {"faiss IVF-PQ fast scan + refine", version(), 1, build_fast, open, close, setting_fast,
         set, search, cost, nullptr, nullptr, nullptr, nullptr, nullptr},
        {"faiss IVF-RaBitQ fast scan + refine", version(), 1, build_rabitq, open, close,
         setting_fast, set, search, cost, nullptr, nullptr, nullptr, nullptr, nullptr},
        {}};
    return peers;
}

extern "C" const peer *nlsh_bench_changing(void)
{
    static peer peers[] = {
        {"faiss IVF-Flat", version(), 1, build_changing_flat, open_changing, close, setting_flat,
         set, search, cost, nullptr, filter, "nprobe=", add, remove},
        {"faiss IVF-PQ", version(), 1, build_changing_coded, open_changing, close, setting_flat,
         set, search, cost, nullptr, filter, "nprobe=", add, remove},
        {}};
    return peers;
}
