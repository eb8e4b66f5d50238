/*
 * forecast_rows.c - see forecast_rows.h. The sample is built as forecast.c foretells it. What comes after that is a time for
 * each row, which loops measured here and constants give, and one for the rows that teach.
 */
#include "make/forecast_rows.h"

#include <math.h>

#include "base/memory.h"
#include "make/asking.h"
#include "make/forecast.h"
#include "make/relearned.h"
#include "make/resolve.h"
#include "make/speed.h"

/* ---- the disk ---------------------------------------------------------------------------------- */

/* Bytes of an index's row beside its vector: numbers, a code, its part of the network. */
#define OF_SAMPLES_ROW 128

/* For a build that goes on: the sample's index, buckets, and neighbours as they are found. Of the rows that ask the block i of
 * the base finds one i-th anew, so all find 1 + ln(blocks) times as many as stay. */
static double kept_bytes(const struct nlsh__memory_plan *plan, double n, double row_bytes)
{
    double blocks = n / (double)plan->block + 1;
    double found = (double)plan->asking * NLSH__ASKING_K * 8 * (1 + log(blocks));
    return n * 4 + found + (double)plan->sample * (row_bytes + OF_SAMPLES_ROW);
}

uint64_t nlsh__disk_bytes(const struct nlsh_matrix *stored, const struct nlsh_build_options *o,
                          const struct nlsh__memory_plan *plan)
{
    struct nlsh_build_forecast f;
    double n = (double)stored->n_rows, row = nlsh__stored_row_bytes(stored, o);
    double inputs = o->code_bytes == 0 ? 0 : n * (double)o->components * sizeof(float);
    nlsh__forecast_bytes(stored, o, &f);
    return (uint64_t)(n * row + inputs + (double)f.index_bytes + kept_bytes(plan, n, row));
}

/* ---- time -------------------------------------------------------------------------------------- */

/* Seconds of a row beside what loops are measured for: read three times, put into its place and its leaf, coded, written. Of
 * 40 million rows of 96 bytes 6e-6, and 3e-6 more as they were routed than the loops say. */
static const double placed = 9e-6;

/* Seconds in which a row that teaches finds its neighbours among a million vectors, and the power of their number that it grows
 * with: 1.3e-3 among 40 million, whose index was larger than memory. */
static const double found = 1e-4, found_power = 0.7;

static double row_seconds(const struct nlsh_matrix *stored, const struct nlsh_build_options *o,
                          const struct nlsh__memory_plan *plan, const struct nlsh__speed *speed)
{
    int cells =
        (o->partitioner == NLSH_PARTITIONER_AUTO || o->partitioner == NLSH_PARTITIONER_KMEANS) &&
        o->metric != NLSH_IP;
    double outputs = (double)o->n_buckets * (double)o->components;
    double route = cells ? outputs * speed->cell_dim : nlsh__visit_seconds(o, speed) / 3;
    double ask = (double)plan->asking * (speed->pair + (double)stored->dim * speed->pair_dim);
    return route + ask + placed;
}

static double teaching_seconds(const struct nlsh_matrix *stored, const struct nlsh_build_options *o,
                               const struct nlsh__memory_plan *plan,
                               const struct nlsh__speed *speed)
{
    double teachers = (double)nlsh__n_teaching(plan, o->components, o->label_knn);
    double n = (double)stored->n_rows, each = found * pow(n / 1e6, found_power);
    if (o->code_bytes == 0) return 0;
    return fmin(teachers, n) * each + NLSH__VISITS_ON * nlsh__visit_seconds(o, speed);
}

/* The sample's index, and before that the comparison of partitions where a graph to cut has no memory for all of the sample. */
static enum nlsh_status sample_seconds(const struct nlsh_matrix *stored,
                                       const struct nlsh_build_options *options,
                                       const struct nlsh__memory_plan *plan, size_t n_threads,
                                       double *out, struct nlsh_error *error)
{
    struct nlsh_build_forecast all, some = {.seconds = 0};
    struct nlsh_build_options o = *options;
    struct nlsh_matrix rows = *stored;
    rows.n_rows = plan->compared;
    enum nlsh_status status = NLSH_OK;
    if (plan->compared > 0) {
        status = nlsh__forecast(&rows, &o, n_threads, &some, error);
        o.partitioner = NLSH_PARTITIONER_KMEANS;
    }
    rows.n_rows = plan->sample;
    if (status == NLSH_OK) status = nlsh__forecast(&rows, &o, n_threads, &all, error);
    if (status == NLSH_OK) *out = all.seconds + some.seconds;
    return status;
}

enum nlsh_status nlsh__forecast_rows(const struct nlsh_matrix *stored,
                                     const struct nlsh_build_options *options,
                                     const struct nlsh__memory_plan *plan, size_t n_threads,
                                     struct nlsh_build_forecast *out, struct nlsh_error *error)
{
    struct nlsh__speed speed;
    struct nlsh_run machine;
    nlsh_run_init(&machine, sizeof machine);
    if (n_threads > machine.n_threads) n_threads = machine.n_threads;
    *out = (struct nlsh_build_forecast){.struct_size = sizeof *out};
    enum nlsh_status status =
        sample_seconds(stored, options, plan, n_threads, &out->seconds, error);
    if (status == NLSH_OK) status = nlsh__speed(stored->type, &speed, error);
    if (status != NLSH_OK) return status;
    double all = (double)stored->n_rows * row_seconds(stored, options, plan, &speed) +
                 teaching_seconds(stored, options, plan, &speed);
    out->seconds += all / (double)n_threads;
    nlsh__forecast_bytes(stored, options, out);
    out->disk_bytes = nlsh__disk_bytes(stored, options, plan);
    return NLSH_OK;
}
