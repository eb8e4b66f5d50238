/*
 * machine.c - what this machine can do at most, for the floors in docs/results.md.
 *
 *   ninja -C build/release bench_machine
 *   taskset -c 1 build/release/bench_machine [--csv]
 *
 * One thread. Reading: bytes a second from a buffer of each size, in order, best of several passes;
 * the smallest sizes show the caches, the largest memory. Following: nanoseconds a 64-byte line at
 * a random place costs when each address depends on the last one read, and bytes a second when it
 * does not. Arithmetic: byte products accumulated a second (vpdpbusd: 64 to an instruction with
 * AVX-512) and float multiply-adds, from registers alone; where the processor has AMX and the kernel
 * lets it be used, byte products in tiles too (tdpbusd: 16,384 to an instruction). Ours; no method
 * beyond the textbook's.
 */
#define _GNU_SOURCE /* syscall() */
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"

enum { LINE = 64, PASSES = 7, CHAINS = 12 };

static volatile uint64_t sink;

/* Seconds of the fastest of PASSES calls. */
static double fastest(void (*run)(void *), void *state)
{
    double best = 1e30;
    for (int pass = 0; pass < PASSES; pass++) {
        double start = nlsh__now();
        run(state);
        double spent = nlsh__now() - start;
        if (spent < best) best = spent;
    }
    return best;
}

struct buffer {
    uint8_t *bytes;
    size_t size, repeats;
    uint32_t *places; /* lines at random places */
    size_t n_places;
};

__attribute__((target("avx512f,avx512vl"))) static void read_512(void *state)
{
    const struct buffer *b = state;
    __m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;
    for (size_t r = 0; r < b->repeats; r++) {
        for (size_t i = 0; i < b->size; i += 4 * LINE) {
            a0 = _mm512_or_si512(a0, _mm512_load_si512(b->bytes + i));
            a1 = _mm512_or_si512(a1, _mm512_load_si512(b->bytes + i + LINE));
            a2 = _mm512_or_si512(a2, _mm512_load_si512(b->bytes + i + 2 * LINE));
            a3 = _mm512_or_si512(a3, _mm512_load_si512(b->bytes + i + 3 * LINE));
        }
        __asm__ volatile("" ::: "memory");
    }
    a0 = _mm512_or_si512(_mm512_or_si512(a0, a1), _mm512_or_si512(a2, a3));
    sink = (uint64_t)_mm512_reduce_add_epi64(a0);
}

static void read_plain(void *state)
{
    const struct buffer *b = state;
    uint64_t a[8] = {0};
    for (size_t r = 0; r < b->repeats; r++) {
        for (size_t i = 0; i < b->size; i += LINE)
            for (size_t j = 0; j < 8; j++) {
                uint64_t word;
                memcpy(&word, b->bytes + i + 8 * j, 8);
                a[j] |= word;
            }
        __asm__ volatile("" ::: "memory");
    }
    for (size_t j = 0; j < 8; j++) sink = sink + a[j];
}

/* Each line holds the number of the next one. */
static void follow(void *state)
{
    const struct buffer *b = state;
    uint32_t at = 0;
    for (size_t i = 0; i < b->n_places; i++) memcpy(&at, b->bytes + (size_t)at * LINE, sizeof at);
    sink = at;
}

static void gather(void *state)
{
    const struct buffer *b = state;
    uint64_t sum = 0;
    for (size_t i = 0; i < b->n_places; i++) sum += b->bytes[(size_t)b->places[i] * LINE];
    sink = sum;
}

/* One cycle through all lines (Sattolo), so that following never falls into a short loop. */
static void make_cycle(struct buffer *b, struct nlsh__rng *rng)
{
    size_t n = b->size / LINE;
    uint32_t *order = b->places;
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = (size_t)nlsh__rng_below(rng, i);
        uint32_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    for (size_t i = 0; i < n; i++) memcpy(b->bytes + i * LINE, &order[i], sizeof order[i]);
}

enum { ROUNDS = 4000000 };

/* One statement, not the intrinsic: gcc 12 would copy every sum twice. */
__attribute__((target("avx512f,avx512vnni"))) static void products_512(void *state)
{
    __m512i x = _mm512_set1_epi8(*(const char *)state), y = _mm512_set1_epi8(3);
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a, e = a, f = a, g = a, h = a, i = a,
            j = a, k = a, l = a;
    for (int r = 0; r < ROUNDS; r++)
        __asm__ volatile("vpdpbusd %13, %12, %0\n\tvpdpbusd %13, %12, %1\n\t"
                         "vpdpbusd %13, %12, %2\n\tvpdpbusd %13, %12, %3\n\t"
                         "vpdpbusd %13, %12, %4\n\tvpdpbusd %13, %12, %5\n\t"
                         "vpdpbusd %13, %12, %6\n\tvpdpbusd %13, %12, %7\n\t"
                         "vpdpbusd %13, %12, %8\n\tvpdpbusd %13, %12, %9\n\t"
                         "vpdpbusd %13, %12, %10\n\tvpdpbusd %13, %12, %11"
                         : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h),
                           "+v"(i), "+v"(j), "+v"(k), "+v"(l)
                         : "v"(x), "v"(y));
    sink = (uint64_t)_mm512_reduce_add_epi32(a);
}

__attribute__((target("avx2"))) static void products_256(void *state)
{
    __m256i a[CHAINS], x = _mm256_set1_epi8(*(const char *)state), y = _mm256_set1_epi8(3);
    for (int c = 0; c < CHAINS; c++) a[c] = _mm256_set1_epi16((short)c);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) a[c] = _mm256_add_epi16(a[c], _mm256_maddubs_epi16(x, y));
        __asm__ volatile("" : "+x"(x));
    }
    for (int c = 1; c < CHAINS; c++) a[0] = _mm256_add_epi16(a[0], a[c]);
    sink = (uint64_t)_mm256_extract_epi64(a[0], 0);
}

__attribute__((target("avx512f"))) static void floats_512(void *state)
{
    __m512 a[CHAINS], x = _mm512_set1_ps(*(const char *)state), y = _mm512_set1_ps(0.25f);
    for (int c = 0; c < CHAINS; c++) a[c] = _mm512_set1_ps((float)c);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) a[c] = _mm512_fmadd_ps(x, y, a[c]);
        __asm__ volatile("" : "+v"(x));
    }
    for (int c = 1; c < CHAINS; c++) a[0] = _mm512_add_ps(a[0], a[c]);
    sink = (uint64_t)_mm512_reduce_add_ps(a[0]);
}

__attribute__((target("avx2,fma"))) static void floats_256(void *state)
{
    __m256 a[CHAINS], x = _mm256_set1_ps(*(const char *)state), y = _mm256_set1_ps(0.25f);
    for (int c = 0; c < CHAINS; c++) a[c] = _mm256_set1_ps((float)c);
    for (int r = 0; r < ROUNDS; r++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++) a[c] = _mm256_fmadd_ps(x, y, a[c]);
        __asm__ volatile("" : "+x"(x));
    }
    for (int c = 1; c < CHAINS; c++) a[0] = _mm256_add_ps(a[0], a[c]);
    sink = (uint64_t)_mm256_cvtss_f32(a[0]);
}

/* Tiles of 16 rows of 64 bytes, all eight alike (Intel's manual, LDTILECFG). */
struct tiles {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* CPUID leaf 7: AMX-TILE and AMX-INT8; the kernel gives the tiles' state to who asks for it. */
static int may_use_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d = 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3) return 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

__attribute__((target("amx-tile,amx-int8"))) static void products_tiles(void *state)
{
    struct tiles tiles = {.palette = 1};
    uint8_t bytes[16 * 64];
    for (int t = 0; t < 8; t++) tiles.rows[t] = 16, tiles.row_bytes[t] = 64;
    memset(bytes, *(const char *)state, sizeof bytes);
    _tile_loadconfig(&tiles);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, bytes, 64);
    _tile_loadd(5, bytes, 64);
    _tile_loadd(6, bytes, 64);
    _tile_loadd(7, bytes, 64);
    for (int r = 0; r < ROUNDS / 100; r++) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, bytes, 64);
    sink = bytes[0];
    _tile_release();
}

static int csv;

static void say(const char *name, size_t bytes, double value, const char *unit)
{
    if (csv)
        printf("%s,%zu,%.3f,%s\n", name, bytes, value, unit);
    else if (bytes == 0)
        printf("%-10s %10s %10.1f %s\n", name, "", value, unit);
    else
        printf("%-10s %7zu KB %10.1f %s\n", name, bytes >> 10, value, unit);
}

static void memory_of(size_t size, int wide, struct nlsh__rng *rng)
{
    struct buffer b = {.size = size, .repeats = size < (64U << 20) ? (256U << 20) / size : 1};
    b.bytes = aligned_alloc(1 << 12, size);
    b.places = malloc(size / LINE * sizeof *b.places);
    if (b.bytes == NULL || b.places == NULL) abort();
    make_cycle(&b, rng);
    double seconds = fastest(wide ? read_512 : read_plain, &b);
    say("read", size, (double)size * (double)b.repeats / seconds / 1e9, "GB/s");
    b.n_places = size / LINE < 2000000 ? size / LINE : 2000000;
    say("follow", size, fastest(follow, &b) / (double)b.n_places * 1e9, "ns a line");
    say("gather", size, (double)b.n_places * LINE / fastest(gather, &b) / 1e9, "GB/s of lines");
    free(b.bytes);
    free(b.places);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {32U << 10, 512U << 10, 4U << 20,
                                   16U << 20, 64U << 20,  512U << 20};
    csv = argc > 1 && strcmp(argv[1], "--csv") == 0;
    if (argc > 1 + csv) {
        fprintf(stderr, "usage: %s [--csv]\n", argv[0]);
        return 2;
    }
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 1);
    char one = (char)(argc > 0);
    int wide = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl");
    if (csv) puts("what,bytes,value,unit");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) memory_of(sizes[i], wide, &rng);
    double n = (double)ROUNDS * CHAINS;
    if (wide) {
        say("products", 0, n * 64 / fastest(products_512, &one) / 1e9, "billion byte products/s");
        say("floats", 0, n * 16 / fastest(floats_512, &one) / 1e9, "billion multiply-adds/s");
    } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        say("products", 0, n * 32 / fastest(products_256, &one) / 1e9, "billion byte products/s");
        say("floats", 0, n * 8 / fastest(floats_256, &one) / 1e9, "billion multiply-adds/s");
    }
    if (may_use_tiles())
        say("tiles", 0, ROUNDS / 100 * 4 * 16384.0 / fastest(products_tiles, &one) / 1e9,
            "billion byte products/s");
    return 0;
}
