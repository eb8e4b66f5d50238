/* test_coder.c - a vector that comes later gets the code that the build would have given it. */
#include "live/coder.h"
#include "support/live.h"

enum { N = 1200, BUCKETS = 3 };

/* The largest difference of scores' biases between the rows as they were built, and as they come again. */
static double worst_bias(size_t components, double *spread)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, LIVE_DIM, 10, 12, 7);
    small_options(&o, BUCKETS);
    o.components = components;
    o.code_bytes = (components + 1) / 2;
    struct nlsh_index *index = built_index(&base, &o, "coder");
    const struct nlsh__segment *s = &index->segments[0];
    const struct nlsh__codes *codes = s->codes;
    const struct nlsh__row_form form = {nlsh__index_row_bytes(index), codes->n_components / 2};
    struct nlsh__row_maker maker;
    struct nlsh__log_rows row;
    uint32_t sizes[BUCKETS] = {0};
    double worst = 0;
    void *bytes = aligned_alloc(64, (nlsh__put_size(&form, 1) + 63) / 64 * 64);
    assert_non_null(bytes);
    nlsh__rows_in(&form, 1, bytes, &row);
    assert_int_equal(nlsh__row_maker_create(index, &maker, NULL), NLSH_OK);
    *spread = 0;
    for (size_t b = 0; b < BUCKETS; b++)
        for (size_t place = s->bucket_offsets[b]; place < s->bucket_offsets[b + 1]; place++) {
            size_t lane = codes->group_offsets[b] * (size_t)16 + place - s->bucket_offsets[b];
            assert_int_equal(
                nlsh__make_row(&maker, &base, s->rows[place], sizes, N, &form, 0, &row, NULL),
                NLSH_OK);
            if (row.buckets[0] != b) continue; /* the router would put it elsewhere */
            worst = fmax(worst, fabs((double)row.biases[0] - (double)codes->rows.bias[lane]));
            *spread = fmax(*spread, fabs((double)codes->rows.bias[lane]));
        }
    print_message("%zu components: biases up to %.3g, off by %.3g at most\n", components, *spread,
                  worst);
    nlsh__row_maker_free(&maker);
    nlsh_index_close(index);
    free(bytes);
    matrix_free(&base);
    return worst;
}

static void a_row_that_comes_again_scores_as_it_did(void **state)
{
    double spread;
    (void)state;
    /* all that there is stands in the code: nothing but rounding differs */
    assert_true(worst_bias(LIVE_DIM, &spread) < 1e-3 * spread);
    /* outside of it the mean of a bucket is that of a sample */
    assert_true(worst_bias(8, &spread) < .03 * spread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_comes_again_scores_as_it_did),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
