/*
 * bench.c - how a row of `nlsh bench` is measured.
 *
 * One thread, one query at a time, in this process, on the same data. A row takes all queries or as
 * many as --seconds allows, at least a few. Passes shorter than half a second are repeated and the
 * fastest counts: what else the machine does can only slow a pass down.
 */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "talk.h"
#include "timing.h"
#include "truth.h"

enum {
    fewest_queries = 50,
    a_call = 25, /* queries */
    most_passes = 50,
    warm_up = 200 /* queries before a method's first row: pages and caches are then there */
};

static const double repeat_seconds = 0.5;

/* Runs queries until `most` of them or the row's time are used, `a_call` in a call: each is still
 * answered on its own, and what a call costs besides is shared. */
static enum nlsh_status one_pass(struct bench *b, const struct bench_method *m, size_t most,
                                 size_t *n_done, double *spent, struct nlsh_error *error)
{
    struct answers *a = &b->answers;
    *spent = 0;
    *n_done = 0;
    while (*n_done < most && (*n_done < fewest_queries || *spent < b->row_seconds)) {
        size_t at = *n_done, n = most - at < a_call ? most - at : a_call;
        struct nlsh_matrix some = matrix_rows(&b->queries.matrix, at, n);
        struct nlsh_search_stats stats = stats_from(&a->stats, at);
        double began = now_seconds();
        enum nlsh_status status = m->answer(m->ctx, &some, b->k, a->keys + at * b->k,
                                            a->distances + at * b->k, &stats, error);
        *spent += now_seconds() - began;
        if (status != NLSH_OK) return status;
        *n_done += n;
        uint64_t total = b->stage_total ? b->stage_total + 1 : 0;
        if (talk_progress(NULL, b->stage, b->stage_done + *n_done, total)) {
            return error->status = NLSH_E_INTERRUPTED;
        }
    }
    return NLSH_OK;
}

/* The truth is by key. Without the index's own keys these are row numbers. */
static void rows_to_keys(struct bench *b, size_t n)
{
    uint64_t *keys = b->answers.keys;
    for (size_t i = 0; i < n * b->k && b->info.has_keys; i++) {
        if (keys[i] != NLSH_NO_KEY) keys[i] = key_of_row(b->index, keys[i]);
    }
}

static enum nlsh_status measure(struct bench *b, const struct bench_method *m, size_t most,
                                struct bench_row *row, struct nlsh_error *error)
{
    double total = 0, spent;
    size_t n = 0;
    row->seconds = HUGE_VAL;
    for (size_t pass = 0; pass < most_passes && total < repeat_seconds; pass++) {
        enum nlsh_status status = one_pass(b, m, most, &n, &spent, error);
        if (status != NLSH_OK) return status;
        total += spent;
        if (spent / (double)n < row->seconds) row->seconds = spent / (double)n;
    }
    row->n_queries = n;
    if (m->by_row && b->index != NULL) rows_to_keys(b, n);
    score_answers(&b->answers, n, &b->truth, &row->score);
    return NLSH_OK;
}

void bench_stage(struct bench *b, const char *stage, uint64_t total)
{
    talk_stage_end();
    b->stage = stage;
    b->stage_done = 0;
    b->stage_total = total;
    talk_progress(NULL, stage, 0, total ? total + 1 : 0);
}

static bool have_room(struct bench *b)
{
    if (b->n_rows < b->capacity) return true;
    size_t capacity = b->capacity ? 2 * b->capacity : 64;
    struct bench_row *rows = realloc(b->rows, capacity * sizeof *rows);
    if (rows == NULL) return false;
    b->rows = rows;
    b->capacity = capacity;
    return true;
}

int bench_row(struct bench *b, const struct bench_method *m, size_t most, const char *setting)
{
    struct nlsh_error error = {0};
    size_t n = b->queries.matrix.n_rows;
    if (most > n) most = n;
    if (!have_room(b)) return talk_error(EXIT_BUG, NULL, "out of memory");
    struct bench_row *row = &b->rows[b->n_rows];
    *row =
        (struct bench_row){.method = m->name, .build_seconds = m->build_seconds, .bytes = m->bytes};
    snprintf(row->group, sizeof row->group, "%s", m->group);
    snprintf(row->setting, sizeof row->setting, "%s", setting);
    if (measure(b, m, most, row, &error) != NLSH_OK) return talk_failed(&error);
    b->stage_done += most;
    b->n_rows++;
    return 0;
}

int bench_warm(struct bench *b, const struct bench_method *m)
{
    int code = bench_row(b, m, warm_up, "");
    if (code == 0) b->n_rows--;
    b->stage_done = 0;
    return code;
}
