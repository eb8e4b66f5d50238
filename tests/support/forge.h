/*
 * forge.h - index files as a hostile writer would make them: numbers are changed where they decide
 * something, and the checksums are right. What opens is searched in every way; forge_use() knows what an
 * answer keeps whatever the file says. A fault ends the program: the fuzzer knows no other way.
 */
#ifndef NLSH_TESTS_FORGE_H
#define NLSH_TESTS_FORGE_H

#include <float.h>
#include <stdio.h>

#include "base/rng.h"
#include "sample_index.h"

enum {
    FORGE_QUERIES = 3,
    FORGE_WAYS = 4,         /* of searching, drawn for each file */
    FORGE_MOST_ROWS = 4096, /* a larger index is lawful, but slow */
    FORGE_HEADS = 128       /* bytes at the beginning of a section that are changed more often */
};

/* Which file is being tried, for the message. */
static char forge_case[128] = "a forged index";

static inline void forge_fault(const char *what)
{
    fprintf(stderr, "%s: %s\n", forge_case, what);
    abort();
}

/* ---- changes --------------------------------------------------------------------------------- */

struct forge_span {
    size_t offset, size;
};

/* A part of the file: now and then the header or its table, else a section, small ones as often as large
 * ones. */
static inline struct forge_span forge_span(struct nlsh__rng *rng, const uint8_t *file, size_t size)
{
    struct nlsh__index_header header;
    struct nlsh__index_entry entry;
    struct forge_span whole = {0, size}, table = {sizeof header, 0};
    uint64_t draw = nlsh__rng_below(rng, 20);
    if (size < sizeof header || draw == 0) return whole;
    memcpy(&header, file, sizeof header);
    if (header.n_sections < 1 || header.n_sections > (size - sizeof header) / sizeof entry)
        return whole;
    table.size = header.n_sections * sizeof entry;
    if (draw == 1) return (struct forge_span){0, sizeof header};
    if (draw <= 3) return table;
    size_t i = nlsh__rng_below(rng, header.n_sections);
    memcpy(&entry, file + sizeof header + i * sizeof entry, sizeof entry);
    if (entry.size == 0 || entry.offset > size || entry.size > size - entry.offset) return table;
    return (struct forge_span){(size_t)entry.offset, (size_t)entry.size};
}

static inline uint32_t forge_float(struct nlsh__rng *rng)
{
    static const float numbers[] = {0,    -0.0f, 1,       -1,       0.5f,  1e-30f, -1e-30f,
                                    1e9f, -1e9f, FLT_MAX, -FLT_MAX, 1e30f, 1e-40f, FLT_MIN};
    static const uint32_t others[] = {
        0x7f800000, 0xff800000, 0x7fc00000,
        0xffc00000, 0x7fffffff, 0xffffffff}; /* infinities, and NaN of either sign */
    uint64_t draw = nlsh__rng_below(rng, 20);
    uint32_t bits;
    if (draw < 6) return others[draw];
    memcpy(&bits, &numbers[draw - 6], sizeof bits);
    return bits;
}

static inline uint64_t forge_whole(struct nlsh__rng *rng)
{
    static const uint64_t numbers[] = {0,
                                       15,
                                       16,
                                       17,
                                       63,
                                       64,
                                       65,
                                       255,
                                       256,
                                       65535,
                                       65536,
                                       INT32_MAX,
                                       (uint64_t)INT32_MAX + 1,
                                       UINT32_MAX - 1,
                                       UINT32_MAX,
                                       (uint64_t)1 << 32,
                                       INT64_MAX,
                                       UINT64_MAX};
    if (nlsh__rng_below(rng, 3) == 0) return nlsh__rng_below(rng, 32);
    return numbers[nlsh__rng_below(rng, sizeof numbers / sizeof *numbers)];
}

/* One change of the span, at a multiple of the number's size. */
static inline void forge_change(struct nlsh__rng *rng, uint8_t *at, size_t size)
{
    size_t head = size > FORGE_HEADS && nlsh__rng_below(rng, 2) ? FORGE_HEADS : size;
    size_t place = nlsh__rng_below(rng, head), n = size / 4;
    uint64_t value;
    uint32_t number, other;
    if (size < 8 || nlsh__rng_below(rng, 5) == 0) { /* one bit */
        at[place] ^= (uint8_t)(1u << nlsh__rng_below(rng, 8));
        return;
    }
    place = place / 4 < n ? place / 4 : n - 1;
    switch (nlsh__rng_below(rng, 7)) {
    case 0: /* 64 bits */
        value = forge_whole(rng);
        place = place / 2 < size / 8 ? place / 2 : size / 8 - 1;
        memcpy(at + place * 8, &value, 8);
        return;
    case 1: /* 16 bits */
        value = forge_whole(rng);
        memcpy(at + place * 4 + 2 * nlsh__rng_below(rng, 2), &value, 2);
        return;
    case 2: /* near what it was */
        memcpy(&number, at + place * 4, 4);
        number += (uint32_t)nlsh__rng_below(rng, 5) - 2;
        break;
    case 3: /* two change places */
        memcpy(&number, at + place * 4, 4);
        size_t second = nlsh__rng_below(rng, n);
        memcpy(&other, at + second * 4, 4);
        memcpy(at + second * 4, &number, 4);
        number = other;
        break;
    case 4: /* a row of numbers, at times all of them */
        number = forge_float(rng);
        size_t end = nlsh__rng_below(rng, 4) == 0 ? n : place + 1 + nlsh__rng_below(rng, 64);
        for (; place + 1 < (end < n ? end : n); place++) memcpy(at + place * 4, &number, 4);
        break;
    case 5: number = forge_float(rng); break;
    default: number = (uint32_t)forge_whole(rng); break;
    }
    memcpy(at + place * 4, &number, 4);
}

/* Changes the file in one to four places; the checksums are right afterwards. */
static inline void forge_mutate(struct nlsh__rng *rng, uint8_t *file, size_t size)
{
    size_t n = nlsh__rng_below(rng, 2) ? 1 : 1 + nlsh__rng_below(rng, 4);
    for (size_t i = 0; i < n && size > 0; i++) {
        struct forge_span span = forge_span(rng, file, size);
        forge_change(rng, file + span.offset, span.size);
    }
    sample_seal(file, size);
}

/* ---- answers --------------------------------------------------------------------------------- */

static inline int forge_key_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A filter by key that lets two of three pass. */
static inline int forge_allows(void *user, uint64_t key)
{
    (void)user;
    return key % 3 != 0;
}

static inline int forge_bit(const uint64_t *bits, size_t i)
{
    return (int)(bits[i / 64] >> i % 64 & 1);
}

/* The keys that an answer may hold, as often as they are there, ascending; returns how many. */
static inline size_t forge_allowed(const struct nlsh_index *index, const struct nlsh_filter *f,
                                   uint64_t *out)
{
    size_t n = 0, first = 0;
    struct nlsh_segment s = {.struct_size = sizeof s};
    for (size_t i = 0; nlsh_index_segment(index, i, &s); first += s.n_rows, i++)
        for (size_t r = 0; r < s.n_rows; r++) {
            const uint64_t *tombstones = index->segments[i].tombstones;
            uint64_t key = s.keys != NULL ? s.keys[r] : first + r;
            if (tombstones != NULL && forge_bit(tombstones, r)) continue;
            if (f != NULL && f->bits != NULL &&
                (first + r >= f->n_bits || !forge_bit(f->bits, first + r)))
                continue;
            if (f != NULL && f->allows != NULL && !f->allows(f->user, key)) continue;
            out[n++] = key;
        }
    qsort(out, n, sizeof *out, forge_key_order);
    return n;
}

/* Keys of the index, none oftener than it is there; returns how many. given: of one query [k]. */
static inline size_t forge_check_keys(const uint64_t *allowed, size_t n_allowed,
                                      const uint64_t *given, size_t k)
{
    static uint64_t sorted[FORGE_MOST_ROWS];
    size_t n = 0, at = 0;
    for (size_t i = 0; i < k; i++)
        if (given[i] != NLSH_NO_KEY) sorted[n++] = given[i];
    qsort(sorted, n, sizeof *sorted, forge_key_order);
    for (size_t i = 0; i < n; i++, at++) {
        while (at < n_allowed && allowed[at] < sorted[i]) at++;
        if (at == n_allowed || allowed[at] != sorted[i])
            forge_fault("a key that is not in the index, or oftener than it is there");
    }
    return n;
}

/* Ascending, what is no number behind all that are. */
static inline void forge_check_order(const float *distances, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        float a = distances[i - 1], b = distances[i];
        if (!(b < a) && (isnan(b) || !isnan(a))) continue;
        fprintf(stderr, "place %zu: %g behind %g\n", i, (double)b, (double)a);
        forge_fault("distances that do not ascend");
    }
}

/* ---- ways of searching ----------------------------------------------------------------------- */

struct forge_answers {
    uint64_t allowed[FORGE_MOST_ROWS], keys[FORGE_QUERIES * FORGE_MOST_ROWS];
    float distances[FORGE_QUERIES * FORGE_MOST_ROWS];
    uint64_t bits[FORGE_MOST_ROWS / 64];
};

static inline void forge_expect_ok(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "%s\n", error->message);
    forge_fault("a search that failed");
}

/* Options of every sort; *filter is filled where they name it. */
static inline void forge_options(struct nlsh__rng *rng, const struct nlsh_index *index,
                                 struct forge_answers *a, struct nlsh_filter *filter,
                                 struct nlsh_search_options *o)
{
    static const double recalls[] = {.5, .95, .99};
    size_t n_rows = (size_t)index->meta.n_rows, m = index->meta.n_buckets;
    const double probes[] = {1, 2, (double)m, .01, .3, 0, 0, 0};
    const size_t ks[] = {1, 10, n_rows}, reranks[] = {0, 0, 1, 20, n_rows};
    nlsh_search_options_init(o, sizeof *o);
    o->probes = probes[nlsh__rng_below(rng, 8)];
    o->recall = recalls[nlsh__rng_below(rng, 3)];
    o->k = ks[nlsh__rng_below(rng, 3)];
    if (o->k > n_rows) o->k = n_rows;
    o->rerank = reranks[nlsh__rng_below(rng, 5)];
    *filter = (struct nlsh_filter){.bits = NULL};
    uint64_t draw = nlsh__rng_below(rng, 6);
    if (draw > 2) return;
    if (draw != 1) {
        for (size_t i = 0; i < FORGE_MOST_ROWS / 64; i++) a->bits[i] = nlsh__rng_u64(rng);
        filter->bits = a->bits;
        filter->n_bits = n_rows - nlsh__rng_below(rng, n_rows);
    }
    if (draw != 0) filter->allows = forge_allows;
    o->filter = filter;
}

static inline void forge_range(struct nlsh__rng *rng, struct nlsh_searcher *searcher,
                               const struct nlsh_matrix *queries,
                               const struct nlsh_search_options *o, size_t n_allowed,
                               struct forge_answers *a)
{
    static const double radii[] = {0, 1, 30, 1e30};
    struct nlsh_matrix one = *queries;
    struct nlsh_error error;
    size_t n_found = 0, capacity = nlsh__rng_below(rng, 2) ? 3 : FORGE_MOST_ROWS;
    double radius = radii[nlsh__rng_below(rng, 4)];
    one.n_rows = 1;
    forge_expect_ok(nlsh_search_range(searcher, &one, o, radius, a->keys, a->distances, capacity,
                                      &n_found, &error),
                    &error);
    if (n_found > n_allowed) forge_fault("a range that holds more than the index");
    size_t n = n_found < capacity ? n_found : capacity;
    forge_check_keys(a->allowed, n_allowed, a->keys, n);
    forge_check_order(a->distances, n);
    for (size_t i = 0; i < n; i++)
        if (!((double)a->distances[i] <= radius * 1.00001))
            forge_fault("a vector outside the radius");
}

static inline void forge_route(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries,
                               size_t n_buckets)
{
    struct nlsh_error error;
    size_t n = queries->n_rows * n_buckets;
    float *probabilities = malloc(n * sizeof *probabilities);
    if (probabilities == NULL) abort();
    forge_expect_ok(nlsh_route(searcher, queries, probabilities, &error), &error);
    for (size_t i = 0; i < n; i++)
        if (probabilities[i] < 0 || probabilities[i] > 1.0001f)
            forge_fault("a probability outside 0 to 1");
    free(probabilities);
}

/* What nlsh_search() and a pool answered. */
static inline void forge_check(const struct nlsh_index *index, const struct nlsh_search_options *o,
                               size_t n_allowed, const struct forge_answers *a)
{
    for (size_t q = 0; q < FORGE_QUERIES; q++) {
        const uint64_t *keys = a->keys + q * o->k;
        const float *distances = a->distances + q * o->k;
        size_t n = forge_check_keys(a->allowed, n_allowed, keys, o->k);
        if (n_allowed > 0 && a->allowed[n_allowed - 1] == NLSH_NO_KEY) continue; /* a row's key */
        forge_check_order(distances, n);
        for (size_t i = 0; i < o->k; i++)
            if ((i < n) != (keys[i] != NLSH_NO_KEY) || (i >= n && !(distances[i] == INFINITY)))
                forge_fault("missing slots that do not stand at the end");
        if (o->probes >= (double)index->meta.n_buckets &&
            n != (o->k < n_allowed ? o->k : n_allowed))
            forge_fault("all buckets were scanned, and vectors are missing");
    }
}

/* One way, drawn by rng. */
static inline void forge_search(struct nlsh__rng *rng, const struct nlsh_index *index,
                                const struct nlsh_matrix *queries, struct nlsh_searcher *searcher,
                                struct forge_answers *a)
{
    struct nlsh_search_options o;
    struct nlsh_filter filter;
    struct nlsh_searcher_pool *pool;
    struct nlsh_error error;
    forge_options(rng, index, a, &filter, &o);
    size_t n_allowed = forge_allowed(index, o.filter, a->allowed);
    switch (nlsh__rng_below(rng, 6)) {
    case 0: forge_range(rng, searcher, queries, &o, n_allowed, a); return;
    case 1: forge_route(searcher, queries, index->meta.n_buckets); return;
    case 2:
        forge_expect_ok(nlsh_searcher_pool_create(index, 2, &pool, &error), &error);
        forge_expect_ok(
            nlsh_searcher_pool_search(pool, queries, &o, a->keys, a->distances, NULL, &error),
            &error);
        nlsh_searcher_pool_free(pool);
        break;
    default:
        forge_expect_ok(nlsh_search(searcher, queries, &o, a->keys, a->distances, NULL, &error),
                        &error);
        break;
    }
    forge_check(index, &o, n_allowed, a);
}

/* Queries of the index's own type, or floats; freed with free(). */
static inline struct nlsh_matrix forge_queries(struct nlsh__rng *rng,
                                               const struct nlsh_index *index)
{
    size_t dim = index->meta.dim, n = FORGE_QUERIES * dim;
    enum nlsh_type type = (enum nlsh_type)index->meta.source_type;
    float *floats = malloc(n * sizeof *floats);
    if (floats == NULL) abort();
    if (nlsh__rng_below(rng, 2)) type = NLSH_F32;
    for (size_t i = 0; i < n; i++)
        if (type == NLSH_F32)
            floats[i] = (float)(1 + nlsh__rng_below(rng, 255));
        else
            ((uint8_t *)floats)[i] = (uint8_t)(1 + nlsh__rng_below(rng, 255));
    return (struct nlsh_matrix){floats, FORGE_QUERIES, dim, type, 0};
}

/* Searches an index that opened in FORGE_WAYS ways that rng draws. */
static inline void forge_use(struct nlsh__rng *rng, const struct nlsh_index *index)
{
    static struct forge_answers answers;
    struct nlsh_searcher *searcher;
    struct nlsh_error error;
    if (index->meta.n_rows > FORGE_MOST_ROWS || index->meta.dim > 1 << 20 ||
        nlsh__router_scratch_size(index->router) > (size_t)1 << 22)
        return;
    struct nlsh_matrix queries = forge_queries(rng, index);
    forge_expect_ok(nlsh_searcher_create(index, &searcher, &error), &error);
    for (int i = 0; i < FORGE_WAYS; i++) forge_search(rng, index, &queries, searcher, &answers);
    nlsh_searcher_free(searcher);
    free((void *)(uintptr_t)queries.data);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Opens these bytes (which begin at a multiple of 64) and uses what opens; returns whether it did. */
static inline int forge_open(struct nlsh__rng *rng, const void *bytes, size_t size)
{
    struct nlsh_index *index = (void *)1;
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_open_options how;
    nlsh_open_options_init(&how, sizeof how);
    how.memory = (enum nlsh_memory)nlsh__rng_below(rng, 3);
    enum nlsh_status status = nlsh_index_open_memory(bytes, size, "forged", &how, &index, &error);
    if (status != NLSH_OK) {
        if (index != NULL || error.message[0] == '\0' || error.status != status)
            forge_fault("a refusal without its words");
        if (status != NLSH_E_DATA && status != NLSH_E_UNSUPPORTED) {
            fprintf(stderr, "%s\n", error.message);
            forge_fault("a status that opening does not have");
        }
        return 0;
    }
    forge_use(rng, index);
    nlsh_index_close(index);
    return 1;
}

#endif
