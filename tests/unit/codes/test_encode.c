/* test_encode.c - codes as they are made: centroids, levels, biases and errors against the vectors that they
 * stand for (codes/make/encode.c has the formulas). All components are coded and scaled, so that a code's
 * score differs from the distance by what the levels leave out alone. */
#include "codes/make/encode.h"

#include "base/memory.h"
#include "support/built.h"

enum { N = 333, DIM = 16, M = 4 };

struct fixture {
    struct nlsh__job job;
    struct nlsh_matrix base;
    struct nlsh__projection projection;
    float *inputs;
    uint32_t offsets[M + 1], ids[N];
    struct nlsh__encode encode;
    void *bytes;
    struct nlsh__codes *codes;
    float means[M * DIM]; /* see_means(): of the inputs, a bucket's each */
    double inside,
        outside; /* mean squared lengths of rows about them, and of rows, outside the first components */
};

/* n_components inputs, of which the first n_coded are coded. */
static void begin_coded(struct fixture *f, enum kind kind, size_t n_components, size_t n_coded,
                        int inner)
{
    static const uint32_t offsets[M + 1] = {0, 150, 150, 161, N}; /* one is empty */
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    size_t size;
    *f = (struct fixture){.base = matrix_new(kind, N, DIM, 3, 20, 1)};
    assert_int_equal(nlsh__job_begin(&run, &f->job, NULL), NLSH_OK);
    assert_int_equal(
        inner ? nlsh__pca_uncentred(&f->base, n_components, 1, &f->job, &f->projection, NULL)
              : nlsh__pca(&f->base, n_components, 1, &f->job, &f->projection, NULL),
        NLSH_OK);
    f->inputs = malloc((size_t)N * n_components * sizeof(float));
    assert_non_null(f->inputs);
    assert_int_equal(nlsh__project(&f->projection, &f->base, &f->job, f->inputs, NULL), NLSH_OK);
    memcpy(f->offsets, offsets, sizeof offsets);
    for (uint32_t i = 0; i < N; i++) f->ids[i] = i * 10 % N;
    f->encode = (struct nlsh__encode){.base = &f->base,
                                      .projection = &f->projection,
                                      .inputs = f->inputs,
                                      .query_inputs = f->inputs,
                                      .queries = &f->base,
                                      .n_components = n_coded,
                                      .inner = inner,
                                      .bucket_offsets = f->offsets,
                                      .n_buckets = M,
                                      .ids = f->ids};
    assert_int_equal(nlsh__encode_rows(&f->encode, &f->job, &f->bytes, &size, NULL), NLSH_OK);
    const struct nlsh__codes_of of = {f->offsets, M, n_components, DIM};
    struct nlsh_error error;
    if (nlsh__codes_open(f->bytes, size, NLSH__CODES_VERSION, &of, &f->codes, &error) != NLSH_OK)
        fail_msg("%s", error.message);
}

static void begin(struct fixture *f, enum kind kind, size_t n_components, int inner)
{
    begin_coded(f, kind, n_components, n_components, inner);
}

/* With as many inputs as dimensions: what they are about the buckets' means, of which the first p components are coded. */
static void see_means(struct fixture *f, size_t p)
{
    for (size_t b = 0; b < M; b++) {
        float *mean = f->means + b * DIM;
        double n = f->offsets[b + 1] - f->offsets[b];
        for (size_t d = 0; d < DIM; d++) {
            double sum = 0;
            for (size_t i = f->offsets[b]; i < f->offsets[b + 1]; i++)
                sum += (double)f->inputs[f->ids[i] * DIM + d];
            mean[d] = n > 0 ? (float)(sum / n) : 0;
        }
        for (size_t i = f->offsets[b]; i < f->offsets[b + 1]; i++)
            for (size_t d = 0; d < DIM; d++) {
                double x = (double)f->inputs[f->ids[i] * DIM + d];
                if (d < p)
                    f->inside += (x - (double)mean[d]) * (x - (double)mean[d]) / N;
                else
                    f->outside += x * x / N;
            }
    }
}

static void end(struct fixture *f)
{
    nlsh__codes_close(f->codes);
    nlsh__free(f->bytes);
    free(f->inputs);
    nlsh__projection_free(&f->projection);
    nlsh__job_end(&f->job);
    matrix_free(&f->base);
}

static double level(const struct nlsh__codes *codes, size_t lane, size_t component)
{
    uint8_t byte =
        codes->rows
            .values[((lane / 16 * codes->rows.n_chunks + component / 8) * 16 + lane % 16) * 4 +
                    component % 4];
    return component % 8 < 4 ? byte & 15 : byte >> 4;
}

/* Means, the best step for a normal distribution, and of 16 levels the nearest. */
static void levels_are_the_nearest(void **state)
{
    (void)state;
    struct fixture f;
    for (size_t p = 5; p <= DIM; p += 11) {
        begin(&f, KIND_F32, p, 0);
        const struct nlsh__codes *c = f.codes;
        assert_int_equal(c->n_components, (p + 7) / 8 * 8);
        for (size_t d = 0; d < p; d++) {
            double sum = 0;
            for (size_t b = 0; b < M; b++) {
                double mean = 0, n = f.offsets[b + 1] - f.offsets[b];
                for (size_t i = f.offsets[b]; i < f.offsets[b + 1]; i++)
                    mean += (double)f.inputs[f.ids[i] * p + d] / n;
                assert_float_equal(c->centroids[b * c->stride + d], mean, 1e-5);
                for (size_t i = f.offsets[b]; i < f.offsets[b + 1]; i++)
                    sum += pow((double)f.inputs[f.ids[i] * p + d] - mean, 2);
            }
            double step = .3352 * sqrt(sum / N);
            assert_true(fabs((double)c->steps[d] / step - 1) < 1e-4);
            for (size_t b = 0; b < M; b++)
                for (size_t i = f.offsets[b]; i < f.offsets[b + 1]; i++) {
                    size_t lane = 16 * c->group_offsets[b] + i - f.offsets[b];
                    double v =
                        (double)(f.inputs[f.ids[i] * p + d] - c->centroids[b * c->stride + d]);
                    double own = fabs(v - (level(c, lane, d) - 7.5) * step);
                    for (int l = 0; l < 16; l++)
                        assert_true(own <= fabs(v - (l - 7.5) * step) + 1e-4 * step);
                }
        }
        for (size_t d = p; d < c->n_components; d++) assert_true(c->steps[d] == 0);
        end(&f);
    }
}

/* With all components coded a row's bias is its squared distance to the centroid, and its error 2 |e| over the
 * root of their number, rounded up to a unit: docs/index-format.md has both. */
static void biases_and_errors_are_the_formula(void **state)
{
    (void)state;
    struct fixture f;
    for (enum kind kind = KIND_U8; kind <= KIND_F32; kind += KIND_F32 - KIND_U8) {
        begin(&f, kind, DIM, 0);
        const struct nlsh__codes *c = f.codes;
        double largest = 0;
        size_t n_filling = 0;
        for (size_t b = 0; b < M; b++)
            for (size_t lane = 16 * c->group_offsets[b]; lane < 16 * c->group_offsets[b + 1];
                 lane++) {
                size_t i = f.offsets[b] + lane - 16 * c->group_offsets[b];
                if (i >= f.offsets[b + 1]) {
                    n_filling++;
                    assert_true(c->rows.bias[lane] == INFINITY);
                    continue;
                }
                double bias = 0, left_out = 0;
                for (size_t d = 0; d < DIM; d++) {
                    double v =
                        (double)(f.inputs[f.ids[i] * DIM + d] - c->centroids[b * c->stride + d]);
                    double e = v - (level(c, lane, d) - 7.5) * (double)c->steps[d];
                    bias += v * v;
                    left_out += e * e;
                }
                double error = 2 * sqrt(left_out / DIM), unit = (double)c->error_unit;
                double stored = unit * c->rows.errors[lane];
                assert_true(fabs((double)c->rows.bias[lane] - bias) <= 1e-4 * (1 + bias));
                assert_true(stored >= error - 1e-4 * unit && stored < error + 1.001 * unit);
                largest = fmax(largest, error);
            }
        assert_true(n_filling > 0);
        assert_true(fabs((double)c->error_unit * 255 / largest - 1) < 1e-4);
        end(&f);
    }
}

/* The size that a row's error has: what its code leaves out inside and outside, by what queries have there. */
static double error_of(const struct fixture *f, size_t b, size_t row, size_t lane, size_t p)
{
    const struct nlsh__codes *c = f->codes;
    double inside = 0, outside = 0;
    for (size_t d = 0; d < DIM; d++) {
        double v = (double)(f->inputs[row * DIM + d] - f->means[b * DIM + d]);
        double e = d < p ? v - (level(c, lane, d) - 7.5) * (double)c->steps[d] : v;
        *(d < p ? &inside : &outside) += e * e;
    }
    return 2 * sqrt(f->inside * inside / (double)p + f->outside * outside / (double)(DIM - p));
}

/* Of some components the rest is outside. Rows' errors grow by what a query has there, as much as rows do on the
 * average; and a weight that is given is kept. */
static void outside_weighs_as_much_as_codes_leave_out(void **state)
{
    enum { P = 8 };
    (void)state;
    struct fixture f;
    begin_coded(&f, KIND_F32, DIM, P, 0);
    see_means(&f, P);
    const struct nlsh__codes *c = f.codes;
    double inside = 0, outside = 0, length = f.inside + (double)c->outside_weight * f.outside;
    for (size_t b = 0; b < M; b++)
        for (size_t i = f.offsets[b]; i < f.offsets[b + 1]; i++) {
            size_t lane = 16 * c->group_offsets[b] + i - f.offsets[b];
            double error = error_of(&f, b, f.ids[i], lane, P) / sqrt(length);
            double stored = (double)c->error_unit * c->rows.errors[lane];
            assert_true(fabs(stored - error) < 1.01 * (double)c->error_unit);
            for (size_t d = 0; d < DIM; d++) {
                double v = (double)(f.inputs[f.ids[i] * DIM + d] - f.means[b * DIM + d]);
                double e = d < P ? v - (level(c, lane, d) - 7.5) * (double)c->steps[d] : v;
                *(d < P ? &inside : &outside) += e * e;
            }
        }
    double weight = outside / (DIM - P) / (inside / P);
    assert_true(weight > 2);
    assert_true(fabs((double)c->outside_weight / weight - 1) < 1e-3);
    f.encode.outside_weight = 3;
    void *bytes;
    size_t size;
    struct nlsh__codes_header header;
    assert_int_equal(nlsh__encode_rows(&f.encode, &f.job, &bytes, &size, NULL), NLSH_OK);
    memcpy(&header, bytes, sizeof header);
    assert_true(header.outside_weight == 3);
    nlsh__free(bytes);
    end(&f);
}

static enum nlsh_status opened(const struct fixture *f, float weight, unsigned version, float *out)
{
    const struct nlsh__codes_of of = {f->offsets, M, DIM, DIM};
    struct nlsh__codes_header *header = f->bytes;
    struct nlsh__codes *codes;
    struct nlsh_error error;
    float kept = header->outside_weight;
    header->outside_weight = weight;
    enum nlsh_status status =
        nlsh__codes_open(f->bytes, header->size_bytes, version, &of, &codes, &error);
    header->outside_weight = kept;
    if (status == NLSH_OK) *out = codes->outside_weight;
    if (status != NLSH_OK) assert_non_null(strstr(error.message, "weight"));
    nlsh__codes_close(codes);
    return status;
}

static void weights_are_checked_and_of_version_1_there_is_none(void **state)
{
    static const float wrong[] = {0, -1, 1e-7f, 1e7f, INFINITY, NAN};
    struct fixture f;
    float weight = 0;
    (void)state;
    begin(&f, KIND_F32, DIM, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(opened(&f, wrong[i], 2, &weight), NLSH_E_DATA);
        assert_int_equal(opened(&f, wrong[i], 1, &weight), NLSH_OK);
        assert_true(weight == 1);
    }
    assert_int_equal(opened(&f, 7.5f, 2, &weight), NLSH_OK);
    assert_true(weight == 7.5f);
    end(&f);
}

static void by_inner_product_there_is_no_bias(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, KIND_F32, 8, 1);
    for (size_t lane = 0, b = 0; b < M; b++)
        for (lane = 16 * f.codes->group_offsets[b]; lane < 16 * f.codes->group_offsets[b + 1];
             lane++) {
            size_t i = f.offsets[b] + lane - 16 * f.codes->group_offsets[b];
            assert_true(f.codes->rows.bias[lane] == (i < f.offsets[b + 1] ? 0 : INFINITY));
        }
    for (size_t d = 0; d < DIM; d++) assert_true(f.codes->mean[d] == 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_the_nearest),
        cmocka_unit_test(biases_and_errors_are_the_formula),
        cmocka_unit_test(outside_weighs_as_much_as_codes_leave_out),
        cmocka_unit_test(weights_are_checked_and_of_version_1_there_is_none),
        cmocka_unit_test(by_inner_product_there_is_no_bias),
    };
    return cmocka_run_group_tests_name("codes/encode", tests, NULL, NULL);
}
