/*
 * test_codes.c - the kernels of scanning by codes: every table gives the bits of the plain one, and
 * the plain one what its comment in kernels.h says. What they touch ends at a page that may not be
 * touched.
 */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "support/guard.h"

enum { MOST_GROUPS = 9, MOST_CHUNKS = 17, MOST_ROWS = 30, MOST_DIM = 200 };

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;
static struct guarded room[8];

static int setup(void **state)
{
    (void)state;
    nlsh__rng_init(&rng, 20261127, 0);
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    for (size_t i = 0; i < 8; i++) room[i] = guarded_alloc(65536);
    return 0;
}

static float any(float size)
{
    return (float)((double)size * nlsh__rng_normal(&rng));
}

/* ---- a query as weights ---------------------------------------------------------------------- */

static void check_code_query(size_t n, int zeros)
{
    float *inputs = guarded_tail(&room[0], n * sizeof *inputs);
    float *centroid = guarded_tail(&room[1], n * sizeof *centroid);
    float *steps = guarded_tail(&room[2], n * sizeof *steps);
    int8_t *weights = guarded_tail(&room[3], n), first[16 * MOST_CHUNKS];
    struct nlsh__code_query code, plain = {0};
    double length = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        inputs[i] = any(3);
        centroid[i] = zeros ? inputs[i] : any(2);
        steps[i] = fabsf(any(0.3f));
        double d = (double)inputs[i] - (double)centroid[i];
        length += d * d;
        most = fmax(most, fabs(d * (double)steps[i]));
    }
    for (size_t t = 0; t < n_tables; t++) {
        tables[t]->code_query(inputs, centroid, steps, n, weights, &code);
        int32_t sum = 0;
        for (size_t i = 0; i < n; i++) sum += weights[i];
        assert_int_equal(code.sum, sum);
        if (t == 0) {
            plain = code;
            memcpy(first, weights, n);
            continue;
        }
        assert_memory_equal(&code, &plain, sizeof code);
        assert_memory_equal(weights, first, n);
    }
    assert_true(fabs((double)plain.length - length) <= 1e-5 * length);
    assert_true(fabs(127 * (double)plain.unit - most) <= 1e-5 * most);
    for (size_t i = 0; i < n; i++) {
        double weight = ((double)inputs[i] - (double)centroid[i]) * (double)steps[i];
        assert_true(fabs(first[i] * (double)plain.unit - weight) <= 0.501 * (double)plain.unit);
    }
}

static void queries_become_weights(void **state)
{
    (void)state;
    for (size_t n = 16; n <= 16 * MOST_CHUNKS; n += 16)
        for (int i = 0; i < 20; i++) check_code_query(n, i == 0);
}

/* Whatever a damaged file holds, there are weights and no trap. */
static void weights_of_what_is_not_finite(void **state)
{
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f};
    _Alignas(64) float inputs[16], centroid[16], steps[16];
    _Alignas(64) int8_t weights[16];
    struct nlsh__code_query code;
    for (int i = 0; i < 500; i++) {
        for (size_t j = 0; j < 16; j++) {
            inputs[j] = any(1);
            centroid[j] = nlsh__rng_below(&rng, 3) == 0 ? odd[nlsh__rng_below(&rng, 6)] : any(1);
            steps[j] = nlsh__rng_below(&rng, 3) == 0 ? odd[nlsh__rng_below(&rng, 6)] : any(1);
        }
        for (size_t t = 0; t < n_tables; t++)
            tables[t]->code_query(inputs, centroid, steps, 16, weights, &code);
    }
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* Some groups, out of order and more than once, score what they score among all. */
static void check_scan_at(const struct nlsh__kernels *table, const uint8_t *values,
                          const float *bias, size_t n_groups, size_t n_chunks,
                          const int8_t *weights, float constant, float slope, const float *plain,
                          float *scores)
{
    uint32_t groups[MOST_GROUPS];
    for (size_t i = 0; i < n_groups; i++) groups[i] = (uint32_t)nlsh__rng_below(&rng, n_groups);
    size_t n_more = nlsh__rng_below(&rng, n_groups), n = n_groups - n_more;
    table->scan_u4_at(values, bias, groups, n, n_more, n_chunks, weights, constant, slope, scores);
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(scores + i * NLSH__GROUP, plain + groups[i] * NLSH__GROUP,
                            NLSH__GROUP * sizeof *scores);
}

/* extreme: the largest codes with the largest or the smallest weights, which 16 bits hold least of. */
static void check_scan(size_t n_groups, size_t n_chunks, int extreme)
{
    size_t n_rows = n_groups * NLSH__GROUP, n = n_chunks * 8;
    uint8_t *values = guarded_tail(&room[0], n_groups * n_chunks * 64);
    float *bias = guarded_tail(&room[1], n_rows * sizeof *bias);
    int8_t *weights = guarded_tail(&room[2], n);
    float *scores = guarded_tail(&room[3], n_rows * sizeof *scores);
    float constant = any(100), slope = any(1), plain[MOST_GROUPS * NLSH__GROUP];
    for (size_t i = 0; i < n_groups * n_chunks * 64; i++)
        values[i] = extreme ? 255 : (uint8_t)nlsh__rng_below(&rng, 256);
    for (size_t i = 0; i < n; i++) {
        weights[i] = (int8_t)((int)nlsh__rng_below(&rng, 256) - 128);
        if (extreme) weights[i] = extreme > 0 ? 127 : -128;
    }
    for (size_t i = 0; i < n_rows; i++) bias[i] = i % 7 == 6 ? INFINITY : any(1000);
    for (size_t r = 0; r < n_rows; r++) {
        int32_t dot = 0;
        for (size_t c = 0; c < n; c++) {
            uint8_t byte = values[(r / 16 * n_chunks + c / 8) * 64 + r % 16 * 4 + c % 4];
            dot += (c % 8 < 4 ? byte & 15 : byte >> 4) * weights[c];
        }
        plain[r] = (bias[r] + constant) - slope * (float)dot;
    }
    for (size_t t = 0; t < n_tables; t++) {
        tables[t]->scan_u4(values, bias, n_groups, n_chunks, weights, constant, slope, scores);
        assert_memory_equal(scores, plain, n_rows * sizeof *scores);
        check_scan_at(tables[t], values, bias, n_groups, n_chunks, weights, constant, slope, plain,
                      scores);
    }
}

static void scores_of_codes(void **state)
{
    (void)state;
    for (size_t n_groups = 1; n_groups <= MOST_GROUPS; n_groups++)
        for (size_t n_chunks = 1; n_chunks <= MOST_CHUNKS; n_chunks++)
            for (int extreme = -1; extreme <= 1; extreme++) check_scan(n_groups, n_chunks, extreme);
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void check_bound(size_t n, size_t k, int kind)
{
    float *scores = guarded_tail(&room[0], n * sizeof *scores);
    size_t finite = 0, columns = 0;
    for (size_t i = 0; i < n; i++) {
        scores[i] = kind == 0 ? any(50) : (float)nlsh__rng_below(&rng, 5);
        if (kind == 2 && nlsh__rng_below(&rng, 2)) scores[i] = INFINITY;
        if (kind == 3 && nlsh__rng_below(&rng, 9) == 0) scores[i] = NAN;
        finite += isfinite(scores[i]);
    }
    float bound = tables[0]->bound_f32(scores, n, k);
    for (size_t t = 1; t < n_tables; t++) assert_true(tables[t]->bound_f32(scores, n, k) == bound);
    size_t below = 0;
    for (size_t i = 0; i < n; i++) below += scores[i] <= bound;
    assert_true(below >= (k < finite ? k : finite));
    if (kind != 0 || n < 64) return;
    /* the k-th of the columns' least: no more rows than all columns' that reach it can hold */
    for (size_t c = 0; c < 64; c++) {
        int has = 0;
        for (size_t i = c; i < n; i += 64) has |= scores[i] <= bound;
        columns += (size_t)has;
    }
    assert_int_equal(columns, k);
}

static void bounds_leave_enough(void **state)
{
    (void)state;
    for (size_t n = 16; n <= 512; n += 16)
        for (size_t k = 1; k <= 16; k++)
            for (int kind = 0; kind < 4; kind++) check_bound(n, k, kind);
}

static void check_near(size_t n, float unit)
{
    size_t padded = (n + 15) / 16 * 16; /* scores is aligned: what stands behind it is near */
    float *scores = guarded_tail(&room[0], padded * sizeof *scores);
    uint8_t *errors = guarded_tail(&room[1], n);
    uint32_t *rows = guarded_tail(&room[2], (n + 16) * sizeof *rows), first_rows[600];
    float *least = guarded_tail(&room[3], (n + 16) * sizeof *least), first_least[600];
    float above = any(20), limit = above + fabsf(any(30));
    for (size_t i = 0; i < n; i++) {
        scores[i] = i % 13 == 5 ? INFINITY : i % 17 == 3 ? NAN : any(50);
        errors[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    }
    /* a row at the limit is near, one at the other end is not */
    size_t edge = nlsh__rng_below(&rng, n), other = nlsh__rng_below(&rng, n);
    if (isfinite(scores[edge])) limit = scores[edge] - unit * (float)errors[edge];
    if (isfinite(scores[other]) && scores[other] < limit) above = scores[other];
    for (size_t i = n; i < padded; i++) scores[i] = (above + limit) / 2;
    size_t want = 0;
    for (size_t i = 0; i < n; i++) {
        float low = scores[i] - unit * (float)errors[i];
        if (!(scores[i] > above && low <= limit)) continue;
        first_rows[want] = 1000 + (uint32_t)i;
        first_least[want++] = low;
    }
    for (size_t t = 0; t < n_tables; t++) {
        size_t found =
            tables[t]->near_f32(scores, errors, n, unit, above, limit, 1000, rows, least);
        assert_int_equal(found, want);
        assert_memory_equal(rows, first_rows, want * sizeof *rows);
        assert_memory_equal(least, first_least, want * sizeof *least);
    }
}

static void near_rows_are_listed(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 200; n++)
        for (int i = 0; i < 8; i++) check_near(n, i % 2 ? 0.1f : 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void check_rows(size_t dim, size_t n, int extremes)
{
    uint8_t *base = guarded_tail(&room[0], MOST_ROWS * dim);
    uint8_t *query = guarded_tail(&room[1], dim);
    uint32_t *out = guarded_tail(&room[3], n * sizeof *out);
    size_t n_more = nlsh__rng_below(&rng, 9);
    uint32_t *rows = guarded_tail(&room[2], (n + n_more) * sizeof *rows);
    for (size_t i = 0; i < MOST_ROWS * dim; i++)
        base[i] = (uint8_t)(extremes ? 255 * nlsh__rng_below(&rng, 2) : nlsh__rng_below(&rng, 256));
    for (size_t i = 0; i < dim; i++)
        query[i] =
            (uint8_t)(extremes ? 255 * nlsh__rng_below(&rng, 2) : nlsh__rng_below(&rng, 256));
    for (size_t i = 0; i < n + n_more; i++) rows[i] = (uint32_t)nlsh__rng_below(&rng, MOST_ROWS);
    for (size_t t = 0; t < n_tables; t++) {
        tables[t]->l2sq_u8_rows(query, base, dim, rows, n, n_more, out);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(out[i], tables[0]->l2sq_u8(query, base + rows[i] * dim, dim));
    }
}

static void rows_of_a_list(void **state)
{
    (void)state;
    for (size_t dim = 1; dim <= MOST_DIM; dim++)
        for (size_t n = 0; n <= 5; n++) check_rows(dim, n, (int)(n % 2));
    check_rows(784, 17, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_become_weights), cmocka_unit_test(weights_of_what_is_not_finite),
        cmocka_unit_test(scores_of_codes),        cmocka_unit_test(bounds_leave_enough),
        cmocka_unit_test(near_rows_are_listed),   cmocka_unit_test(rows_of_a_list),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
