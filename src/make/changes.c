/*
 * changes.c - see changes.h.
 *
 * Rows that come are asked as queries of the file. What the router leaves over of its probabilities says whether it knows
 * their kind, and where it is sure of the wrong buckets, how far away what is found lies (search/likeness.c). Both rows that come and
 * rows that go are judged by where they stand, too: by chance all buckets get and lose alike.
 */
#include "make/changes.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "vectors/values.h"

enum { ASKED = 1000, ASKED_K = 10 };
#define ASKED_RECALL 0.95

/* Rows are unlike, too, where more than this share of them, and not only a few, have no neighbour as near as 99 in 100 have
 * usually. Of vectors of the same kind .4 to 1.8 % have none. */
#define FAR 0.05
#define FAR_ROWS 8

/* Shares that buckets lost, or got, vary beyond what chance explains, and by as much as their mean. Three buckets of forty
 * that are deleted make the squared variation 14, rows of Fashion-MNIST's classes 5 to 9 beside 0 to 4 make it 6, MNIST's
 * 1.8; rows that come or go by chance 0 to .2. */
#define UNEVEN 1.0
#define ERRORS 3

/* ---- what came ------------------------------------------------------------------------------- */

static int is_dead(const struct nlsh__segment *s, size_t row)
{
    return s->tombstones != NULL && (s->tombstones[row / 64] >> row % 64 & 1) != 0;
}

static size_t n_alive(const struct nlsh_index *file, const struct nlsh_index *state)
{
    size_t n = 0;
    for (size_t i = file->n_segments; i < state->n_segments; i++)
        for (size_t row = 0; row < state->segments[i].n_rows; row++)
            n += !is_dead(&state->segments[i], row);
    return n;
}

/* The log's rows that are not deleted, evenly, up to ASKED: copies of vectors; returns how many. */
static size_t draw(const struct nlsh_index *file, const struct nlsh_index *state, uint8_t *out)
{
    size_t row_bytes = nlsh__index_row_bytes(state), alive = n_alive(file, state);
    size_t most = alive < ASKED ? alive : ASKED, seen = 0, n = 0;
    for (size_t i = file->n_segments; i < state->n_segments && n < most; i++) {
        const struct nlsh__segment *s = &state->segments[i];
        const uint8_t *vectors = s->vectors;
        for (size_t place = 0; place < s->n_rows; place++) {
            if (is_dead(s, s->rows[place]) || ++seen * most < (n + 1) * alive) continue;
            memcpy(out + n++ * row_bytes, vectors + place * row_bytes, row_bytes);
        }
    }
    return n;
}

static enum nlsh_status ask(const struct nlsh_index *file, const struct nlsh_matrix *rows,
                            const struct nlsh__job *job, struct nlsh_likeness *out,
                            struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_search_options options;
    uint64_t *keys = NULL;
    float *distances = NULL, *outside = NULL;
    size_t n = rows->n_rows;
    nlsh_search_options_init(&options, sizeof options);
    options.k = ASKED_K;
    options.recall = ASKED_RECALL;
    options.n_threads = nlsh__pool_n_threads(job->pool);
    NLSH_TRY(nlsh__alloc(&keys, n * ASKED_K, sizeof *keys, error));
    NLSH_TRY(nlsh__alloc(&distances, n * ASKED_K, sizeof *distances, error));
    NLSH_TRY(nlsh__alloc(&outside, n, sizeof *outside, error));
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .outside = outside};
    NLSH_TRY(nlsh_search_batch(file, rows, &options, keys, distances, &stats, error));
    NLSH_TRY(nlsh_likeness(file, &options, outside, distances, n, out, error));
out:
    nlsh__free(keys);
    nlsh__free(distances);
    nlsh__free(outside);
    return status;
}

static enum nlsh_status judge_likeness(const struct nlsh_index *file,
                                       const struct nlsh_index *state, const struct nlsh__job *job,
                                       int *unlike, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_likeness l = {.struct_size = sizeof l};
    uint8_t *bytes = NULL;
    size_t row_bytes = nlsh__index_row_bytes(state);
    *unlike = 0;
    NLSH_TRY(nlsh__alloc(&bytes, ASKED, row_bytes, error));
    size_t n = draw(file, state, bytes);
    if (n == 0) goto out;
    enum nlsh_type type = (enum nlsh_type)state->meta.storage_type;
    if (state->meta.source_type == NLSH_I8) type = NLSH_I8; /* they are stored as U8 */
    const struct nlsh_matrix rows = {bytes, n, state->meta.dim, type, 0};
    if (rows.type == NLSH_I8) nlsh__flip_sign(bytes, n * row_bytes, bytes);
    NLSH_TRY(ask(file, &rows, job, &l, error));
    *unlike = l.unlike || (l.far > FAR && l.far * (double)l.n_queries > FAR_ROWS);
out:
    nlsh__free(bytes);
    return status;
}

/* ---- where it came, and what went ------------------------------------------------------------ */

/* What each bucket holds, what came of it, and what went. */
struct shares {
    size_t *held, *came, *went; /* [m] */
};

static void count(const struct nlsh_index *file, const struct nlsh_index *state,
                  const struct shares *to)
{
    for (size_t i = 0; i < state->n_segments; i++) {
        const struct nlsh__segment *s = &state->segments[i];
        size_t *rows = i < file->n_segments ? to->held : to->came;
        for (size_t b = 0; b < state->meta.n_buckets; b++)
            for (size_t place = s->bucket_offsets[b]; place < s->bucket_offsets[b + 1]; place++) {
                rows[b]++;
                to->went[b] += (size_t)is_dead(s, s->rows[place]);
            }
    }
}

/* Standard errors that a sum of squares lies above what chance makes of it: of few buckets it is far from normal, its third
 * root is not (Wilson and Hilferty, "The distribution of chi-square", 1931). */
static double errors_beyond(double squares, double df)
{
    double error = 2 / (9 * df);
    return (cbrt(squares / df) - (1 - error)) / sqrt(error);
}

/* The squared variation of shares of[b] / held[b] about their mean, less what chance makes (a Poisson's is its mean). 0
 * where chance alone might do it. */
static double variation(const size_t *of, const size_t *held, size_t m)
{
    double n = 0, all = 0, squares = 0, df = (double)m - 1;
    for (size_t b = 0; b < m; b++) {
        n += (double)of[b];
        all += (double)held[b];
    }
    if (n == 0 || all == 0 || m < 2) return 0;
    for (size_t b = 0; b < m; b++) {
        double expected = n * (double)held[b] / all, off = (double)of[b] - expected;
        squares += off * off / fmax(expected, n / all); /* a bucket of none counts as one of one */
    }
    double beyond = squares / df - 1;
    return errors_beyond(squares, df) > ERRORS ? beyond / (n / (double)m) : 0;
}

static enum nlsh_status judge_shares(const struct nlsh_index *file, const struct nlsh_index *state,
                                     int *uneven, struct nlsh_error *error)
{
    size_t m = state->meta.n_buckets, *counts = NULL;
    enum nlsh_status status = nlsh__calloc(&counts, m, 3 * sizeof *counts, error);
    if (status != NLSH_OK) return status;
    const struct shares s = {counts, counts + m, counts + 2 * m};
    count(file, state, &s);
    *uneven = variation(s.came, s.held, m) > UNEVEN || variation(s.went, s.held, m) > UNEVEN;
    nlsh__free(counts);
    return NLSH_OK;
}

enum nlsh_status nlsh__judge_changes(const struct nlsh_index *file, const struct nlsh_index *state,
                                     const struct nlsh__job *job, struct nlsh__changes *out,
                                     struct nlsh_error *error)
{
    *out = (struct nlsh__changes){.unlike = 0};
    if (file->efforts.n == 0 || file->meta.n_rows < ASKED_K)
        return NLSH_OK; /* nothing is promised */
    enum nlsh_status status = judge_shares(file, state, &out->uneven, error);
    if (status == NLSH_OK) status = judge_likeness(file, state, job, &out->unlike, error);
    return status;
}
