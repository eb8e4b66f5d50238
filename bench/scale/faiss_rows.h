/* faiss_rows.h - what measurements of faiss beside shards and disks share: rows of bytes, true neighbours, memory. */
#ifndef NLSH_BENCH_FAISS_ROWS_H
#define NLSH_BENCH_FAISS_ROWS_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>
#include <vector>

constexpr size_t K = 10, BLOCK = 1000000, TRAIN_A_LIST = 64;

[[noreturn]] inline void die(const std::string &message)
{
    fprintf(stderr, "%s\n", message.c_str());
    exit(1);
}

struct Bytes {
    size_t n = 0, dim = 0;
    FILE *file = nullptr;
};

inline Bytes open_bytes(const char *path)
{
    Bytes b;
    uint32_t head[2];
    b.file = fopen(path, "rb");
    if (b.file == nullptr || fread(head, sizeof head, 1, b.file) != 1)
        die(std::string("cannot read ") + path);
    b.n = head[0];
    b.dim = head[1];
    return b;
}

/* The next n rows. */
inline std::vector<float> read_rows(const Bytes &b, size_t n)
{
    std::vector<uint8_t> bytes(n * b.dim);
    if (fread(bytes.data(), b.dim, n, b.file) != n) die("a file is too short");
    return std::vector<float>(bytes.begin(), bytes.end());
}

inline std::vector<std::vector<int>> read_truth(const char *path)
{
    std::vector<std::vector<int>> rows;
    int32_t k;
    FILE *file = fopen(path, "rb");
    if (file == nullptr) die(std::string("cannot read ") + path);
    while (fread(&k, sizeof k, 1, file) == 1) {
        std::vector<int> row((size_t)k);
        if (fread(row.data(), sizeof(int), row.size(), file) != row.size()) die("truth is cut off");
        rows.push_back(row);
    }
    fclose(file);
    return rows;
}

inline double resident_mb()
{
    size_t all, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == nullptr || fscanf(f, "%zu %zu", &all, &resident) != 2) resident = 0;
    if (f != nullptr) fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

#endif
