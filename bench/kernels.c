/*
 * kernels.c - what each kernel takes with each instruction set that this processor has.
 *
 *   ninja -C build/release bench_kernels
 *   taskset -c 1 build/release/bench_kernels [KERNEL...]
 *   bench_kernels --count [KERNEL...]      under qemu with bench/arm/count.c
 *
 * A row is a kernel and the shape that it is called with; a column is a table of kernels (kernels.h).
 * The first table shows nanoseconds a call, the second thousand millions of multiply-adds a second (of
 * values, where a kernel multiplies nothing). Names in the arguments choose the kernels that begin
 * with them. All data lie in the caches: this measures arithmetic, not memory. Of several passes the
 * fastest counts. --count: instructions in place of nanoseconds, and how many times fewer than those of
 * the first table. Ours; no method beyond the textbook's.
 */
#define _GNU_SOURCE /* syscall */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/half.h"
#include "base/rng.h"
#include "bench/arm/count.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

enum {
    DIM = 128,
    LONG = 784,
    GROUPS = 64,
    QUERIES = 48,
    ROWS = GROUPS * 16,
    FEW = 59,
    CHUNKS = 8,
    WIDTH = 512,
    PASSES = 7
};

static const struct nlsh__kernels *table;
static volatile float sink;

/* Everything that a kernel is called with; what they write goes to the last arrays. */
static _Alignas(64) uint8_t bytes[ROWS * DIM], errors[ROWS], codes[GROUPS * CHUNKS * 64];
static _Alignas(64) int8_t query_bytes[QUERIES * DIM], weights[WIDTH], layer_values[WIDTH * WIDTH];
static _Alignas(64) float floats[ROWS * DIM], queries[QUERIES * DIM], bias[ROWS], steps[DIM];
static _Alignas(64) uint16_t halves[LONG];
static _Alignas(64) int32_t layer_sums[WIDTH], limits_i32[QUERIES];
static _Alignas(64) uint8_t inputs[(NLSH__BLOCK + 1) * WIDTH];
static uint32_t numbers[ROWS];
static float limits_f32[QUERIES], ones[NLSH__BLOCK];
static struct nlsh__panel_u8 panel_u8;
static struct nlsh__panel_f32 panel_f32;
static _Alignas(64) float scores[ROWS], answers[NLSH__BLOCK * WIDTH];
static uint32_t list[ROWS + 16], n_hits[QUERIES], hit_ids[QUERIES * (ROWS + 16)];
static float least[ROWS + 16], hit_scores[QUERIES * (ROWS + 16)];
static uint8_t quantised[WIDTH];
static int8_t made[DIM];
static struct nlsh__layer_i8 layer = {WIDTH / 16, WIDTH / 4, layer_values, bias, bias,
                                      layer_sums, 0};
static _Alignas(64) int8_t small_values[WIDTH * WIDTH]; /* whose pairs fit */
static struct nlsh__layer_i8 fitting = {WIDTH / 16, WIDTH / 4, small_values, bias, bias,
                                        layer_sums, 1};

static void fill(void)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 1);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    for (size_t i = 0; i < sizeof inputs; i++) inputs[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    for (size_t i = 0; i < sizeof query_bytes; i++)
        query_bytes[i] = (int8_t)((int)nlsh__rng_below(&rng, 256) - 128);
    for (size_t i = 0; i < sizeof layer_values; i++)
        layer_values[i] = (int8_t)((int)nlsh__rng_below(&rng, 255) - 127);
    for (size_t i = 0; i < sizeof small_values; i++)
        small_values[i] = (int8_t)((int)nlsh__rng_below(&rng, 129) - 64);
    for (size_t i = 0; i < WIDTH; i++) weights[i] = (int8_t)((int)nlsh__rng_below(&rng, 255) - 127);
    for (size_t i = 0; i < ROWS * DIM; i++) floats[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < LONG; i++) halves[i] = nlsh__to_f16(floats[LONG + i]);
    for (size_t i = 0; i < QUERIES * DIM; i++) queries[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < DIM; i++) steps[i] = (float)nlsh__rng_uniform(&rng);
    for (size_t i = 0; i < ROWS; i++) {
        bias[i] = scores[i] = (float)nlsh__rng_normal(&rng);
        errors[i] = (uint8_t)nlsh__rng_below(&rng, 256);
        numbers[i] = (uint32_t)nlsh__rng_below(&rng, GROUPS);
    }
    for (size_t i = 0; i < NLSH__BLOCK; i++) ones[i] = 1;
    for (size_t i = 0; i < QUERIES; i++) {
        limits_i32[i] = INT32_MIN / 2;
        limits_f32[i] = -1e30f;
    }
    if (nlsh__panel_u8_create(bytes, ROWS, DIM, &panel_u8, NULL) != NLSH_OK) abort();
    if (nlsh__panel_f32_create(floats, NULL, ROWS, DIM, &panel_f32, NULL) != NLSH_OK) abort();
}

/* ---- a call of each kernel ------------------------------------------------------------------- */

static void run_l2sq_u8(void)
{
    sink = (float)table->l2sq_u8(bytes, bytes + DIM, DIM);
}

static void run_l2sq_u8_long(void)
{
    sink = (float)table->l2sq_u8(bytes, bytes + LONG, LONG);
}

static void run_l2sq_f32_long(void)
{
    sink = table->l2sq_f32(floats, floats + LONG, LONG);
}

static void run_l2sq_f32(void)
{
    sink = table->l2sq_f32(floats, floats + DIM, DIM);
}

static void run_l2sq_f32_u8(void)
{
    sink = table->l2sq_f32_u8(floats, bytes, DIM);
}

static void run_dot_f32(void)
{
    sink = table->dot_f32(floats, floats + DIM, DIM);
}

static void run_l2sq_f32_f16(void)
{
    sink = table->l2sq_f32_f16(floats, halves, LONG);
}

static void run_l2sq_f32_bf16(void)
{
    sink = table->l2sq_f32_bf16(floats, halves, LONG);
}

static void run_l2sq_f32_i8(void)
{
    sink = table->l2sq_f32_i8(floats, (const int8_t *)bytes, 0.37f, LONG);
}

static void run_dot_f32_f16(void)
{
    sink = table->dot_f32_f16(floats, halves, LONG);
}

static void run_l2sq_u8_rows(void)
{
    table->l2sq_u8_rows(bytes, bytes, DIM, numbers, GROUPS, 8, list);
}

static void run_panel_u8(void)
{
    struct nlsh__hits hits = {ROWS + 16, n_hits, hit_ids, {.f32 = hit_scores}};
    struct nlsh__limits_u8 limits = {limits_i32, NULL, NULL};
    table->panel_u8(&panel_u8, 0, GROUPS, query_bytes, QUERIES, &limits, &hits);
}

static void run_panel_f32(void)
{
    struct nlsh__hits hits = {ROWS + 16, n_hits, hit_ids, {.f32 = hit_scores}};
    struct nlsh__limits_f32 limits = {limits_f32, NULL, NULL};
    table->panel_f32(&panel_f32, 0, GROUPS, queries, QUERIES, &limits, &hits);
}

static void run_code_query(void)
{
    struct nlsh__code_query out;
    table->code_query(floats, queries, steps, 8 * CHUNKS, made, &out);
    sink = out.unit;
}

static void run_scan_u4(void)
{
    table->scan_u4(codes, bias, GROUPS, CHUNKS, weights, 1, 0.5f, answers);
}

static void run_scan_u4_at(void)
{
    table->scan_u4_at(codes, bias, numbers, GROUPS, 8, CHUNKS, weights, 1, 0.5f, answers);
}

static void run_bound_f32(void)
{
    sink = table->bound_f32(scores, ROWS, 10);
}

/* One row in 50 is near. */
static void run_near_f32(void)
{
    table->near_f32(scores, errors, ROWS, 0, 2.05f, 1e9f, 0, list, least);
}

/* A bucket whose rows fill no whole registers. */
static void run_near_f32_few(void)
{
    table->near_f32(scores, errors, FEW, 0, 2.05f, 1e9f, 0, list, least);
}

static void run_matvec_f32(void)
{
    table->matvec_f32(panel_f32.values, bias, WIDTH / 16, DIM, queries, answers);
}

static void run_matvec_i8(void)
{
    table->matvec_i8(&layer, inputs, 1, 128, 1, answers);
}

static void run_matvec_i8_fitting(void)
{
    table->matvec_i8(&fitting, inputs, 1, 128, 1, answers);
}

static void run_matmat_i8(void)
{
    table->matmat_i8(&layer, inputs, WIDTH, NLSH__BLOCK, ones, 128, 1, answers, WIDTH);
}

static void run_matmat_i8_fitting(void)
{
    table->matmat_i8(&fitting, inputs, WIDTH, NLSH__BLOCK, ones, 128, 1, answers, WIDTH);
}

static void run_quantise_u8(void)
{
    sink = table->quantise_u8(floats, WIDTH, 128, quantised);
}

static void run_softmax_f32(void)
{
    memcpy(answers, floats, WIDTH * sizeof *answers);
    sink = table->softmax_f32(answers, WIDTH);
}

/* A group's rows of one slice of a batch: 16 by 16, of 256. */
enum { MET = 16, NODES = 256 };

static void run_dots_f32(void)
{
    const float *x[MET];
    float *out[MET];
    for (size_t i = 0; i < MET; i++) {
        x[i] = queries + i % 4 * NODES;
        out[i] = answers + i * MET;
    }
    table->dots_f32(x, MET, panel_f32.values, MET, bias, NODES, out);
}

static void run_mix_f32(void)
{
    const float *b[MET];
    float *c[MET];
    for (size_t i = 0; i < MET; i++) {
        b[i] = panel_f32.values + i * NODES;
        c[i] = answers + i * NODES;
    }
    table->mix_f32(c, MET, bias, MET, 1, b, MET, NODES);
}

static const struct {
    const char *name, *shape;
    double work; /* multiply-adds a call, or values */
    void (*run)(void);
} kernels[] = {
    {"l2sq_u8", "128", DIM, run_l2sq_u8},
    {"l2sq_u8", "784", LONG, run_l2sq_u8_long},
    {"l2sq_f32", "128", DIM, run_l2sq_f32},
    {"l2sq_f32", "784", LONG, run_l2sq_f32_long},
    {"l2sq_f32_u8", "128", DIM, run_l2sq_f32_u8},
    {"dot_f32", "128", DIM, run_dot_f32},
    {"l2sq_f32_f16", "784", LONG, run_l2sq_f32_f16},
    {"dot_f32_f16", "784", LONG, run_dot_f32_f16},
    {"l2sq_f32_bf16", "784", LONG, run_l2sq_f32_bf16},
    {"l2sq_f32_i8", "784", LONG, run_l2sq_f32_i8},
    {"l2sq_u8_rows", "64 x 128", GROUPS *DIM, run_l2sq_u8_rows},
    {"panel_u8", "48 x 1024 x 128", (double)QUERIES *ROWS *DIM, run_panel_u8},
    {"panel_f32", "48 x 1024 x 128", (double)QUERIES *ROWS *DIM, run_panel_f32},
    {"code_query", "64", 8 * CHUNKS, run_code_query},
    {"scan_u4", "1024 x 64", (double)ROWS * 8 * CHUNKS, run_scan_u4},
    {"scan_u4_at", "1024 x 64", (double)ROWS * 8 * CHUNKS, run_scan_u4_at},
    {"bound_f32", "10th of 1024", ROWS, run_bound_f32},
    {"near_f32", "1024", ROWS, run_near_f32},
    {"near_f32", "59", FEW, run_near_f32_few},
    {"matvec_f32", "512 x 128", (double)WIDTH *DIM, run_matvec_f32},
    {"matvec_i8", "512 x 512", (double)WIDTH *WIDTH, run_matvec_i8},
    {"matvec_i8", "pairs fit", (double)WIDTH *WIDTH, run_matvec_i8_fitting},
    {"matmat_i8", "64 x 512 x 512", (double)NLSH__BLOCK *WIDTH *WIDTH, run_matmat_i8},
    {"matmat_i8", "pairs fit", (double)NLSH__BLOCK *WIDTH *WIDTH, run_matmat_i8_fitting},
    {"quantise_u8", "512", WIDTH, run_quantise_u8},
    {"softmax_f32", "512", WIDTH, run_softmax_f32},
    {"dots_f32", "16 x 16 x 256", (double)MET *MET *NODES, run_dots_f32},
    {"mix_f32", "16 x 16 x 256", (double)MET *MET *NODES, run_mix_f32},
};
enum { N_KERNELS = sizeof kernels / sizeof *kernels };

/* Nanoseconds a call: the fastest of PASSES rows of calls that take about 4 ms each. */
static double time_of(void (*run)(void))
{
    size_t calls = 1;
    double spent = 0, best = 1e30;
    for (; spent < 2e-3; calls *= 2) {
        double start = nlsh__now();
        for (size_t i = 0; i < calls; i++) run();
        spent = nlsh__now() - start;
    }
    for (int pass = 0; pass < PASSES; pass++) {
        double start = nlsh__now();
        for (size_t i = 0; i < calls; i++) run();
        spent = (nlsh__now() - start) / (double)calls;
        if (spent < best) best = spent;
    }
    return 1e9 * best;
}

/* How many instructions this process has run, as the plugin says. */
static uint64_t n_instructions(const int *ends)
{
    uint64_t n;
    (void)syscall(COUNT_CALL, ends[1]);
    if (read(ends[0], &n, sizeof n) == sizeof n) return n;
    fprintf(stderr, "nobody counts: run this under qemu with bench/arm/count.c\n");
    exit(2);
}

/* Of a second call: in the first one the loader still looks for functions. */
static double count_of(void (*run)(void))
{
    static int ends[2];
    if (ends[1] == 0 && (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)) abort();
    run();
    (void)n_instructions(ends);
    uint64_t start = n_instructions(ends), own = n_instructions(ends) - start;
    start = n_instructions(ends);
    run();
    return (double)(n_instructions(ends) - start - own);
}

static int is_wanted(const char *name, int n, char **wanted)
{
    for (int i = 0; i < n; i++)
        if (strncmp(name, wanted[i], strlen(wanted[i])) == 0) return 1;
    return n == 0;
}

int main(int argc, char **argv)
{
    static double spent[N_KERNELS][NLSH__N_TABLES];
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n_tables = nlsh__kernels_all(all, NLSH__N_TABLES);
    int counts = argc > 1 && strcmp(argv[1], "--count") == 0;
    fill();
    for (size_t k = 0; k < N_KERNELS; k++)
        for (size_t t = 0;
             is_wanted(kernels[k].name, argc - 1 - counts, argv + 1 + counts) && t < n_tables;
             t++) {
            table = all[t];
            spent[k][t] = counts ? count_of(kernels[k].run) : time_of(kernels[k].run);
        }
    for (int rate = 0; rate < 2; rate++) {
        const char *unit = rate     ? counts ? "times fewer" : "G a second"
                           : counts ? "instructions"
                                    : "ns a call";
        printf("%s%-13s %-16s", rate ? "\n" : "", unit, "");
        for (size_t t = 0; t < n_tables; t++) printf(" %10s", all[t]->name);
        printf("\n");
        for (size_t k = 0; k < N_KERNELS; k++) {
            if (spent[k][0] == 0) continue;
            printf("%-13s %-16s", kernels[k].name, kernels[k].shape);
            for (size_t t = 0; t < n_tables; t++) {
                double work = counts ? spent[k][0] : kernels[k].work;
                printf(" %10.*f", counts && !rate ? 0 : 1, rate ? work / spent[k][t] : spent[k][t]);
            }
            printf("\n");
        }
    }
    nlsh__panel_u8_free(&panel_u8);
    nlsh__panel_f32_free(&panel_f32);
    return 0;
}
