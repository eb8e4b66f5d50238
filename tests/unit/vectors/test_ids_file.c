/*
 * test_ids_file.c - neighbours as numpy and big-ann write them: the ids come back as they were, and
 * what is no id, or not all of them, is an error.
 */
#include "testing.h"

#include "base/rng.h"
#include "vectors/parse.h"

static struct nlsh_error error;

enum { N_ROWS = 5, K = 7, N_IDS = N_ROWS * K };
static uint64_t ids[N_IDS]; /* a missing one among them */

static void make_ids(void)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 3, 0);
    for (size_t i = 0; i < N_IDS; i++) ids[i] = nlsh__rng_below(&rng, INT32_MAX);
    ids[0] = 0;
    ids[1] = INT32_MAX;
    ids[N_IDS - 1] = NLSH_NO_KEY;
}

static enum nlsh_status parse(const void *bytes, size_t size, struct nlsh_neighbors *out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of just its size, for ASan */
    memcpy(copy, bytes, size);
    nlsh_neighbors_init(out, sizeof *out);
    enum nlsh_status status = nlsh__neighbors_parse(copy, size, "gt", out, &error);
    free(copy);
    if (status != NLSH_OK)
        assert_true(out->ids == NULL && out->distances == NULL && out->n_rows == 0);
    return status;
}

static void expect_ids(const void *bytes, size_t size)
{
    struct nlsh_neighbors g;
    if (parse(bytes, size, &g) != NLSH_OK) fail_msg("%s", error.message);
    assert_int_equal(g.n_rows, N_ROWS);
    assert_int_equal(g.k, K);
    assert_memory_equal(g.ids, ids, sizeof ids);
    assert_null(g.distances);
    nlsh_neighbors_free(&g);
}

/* u32 rows, u32 k, ids; n_behind bytes behind them. */
static size_t make_bin(uint8_t *out, size_t n_behind)
{
    memcpy(out, (uint32_t[2]){N_ROWS, K}, 8);
    for (size_t i = 0; i < N_IDS; i++) memcpy(out + 8 + 4 * i, (uint32_t[1]){(uint32_t)ids[i]}, 4);
    memset(out + 8 + 4 * N_IDS, 0x3f, n_behind);
    return 8 + 4 * N_IDS + n_behind;
}

static void big_ann(void **state)
{
    (void)state;
    uint8_t bytes[8 + 2 * 4 * N_IDS + 4];
    struct nlsh_neighbors g;
    expect_ids(bytes, make_bin(bytes, 0));
    expect_ids(bytes,
               make_bin(bytes, 4 * (size_t)N_IDS)); /* with distances, which are left aside */
    for (size_t behind = 1; behind < 4 * (size_t)N_IDS + 4; behind++) {
        if (behind == 4 * (size_t)N_IDS) continue;
        assert_int_equal(parse(bytes, make_bin(bytes, behind), &g), NLSH_E_DATA);
    }
    for (size_t size = 0; size < 8 + 4 * (size_t)N_IDS; size++)
        assert_int_equal(parse(bytes, size, &g), NLSH_E_DATA);
    size_t size = make_bin(bytes, 0);
    memcpy(bytes + 8 + 4 * 9, (int32_t[1]){-2}, 4);
    assert_int_equal(parse(bytes, size, &g), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 1, column 2"));
}

/* A .npy of ids of a type; returns its size. */
static size_t make_npy(uint8_t *out, const char *descr, const char *shape)
{
    int n = snprintf((char *)out + 10, 118,
                     "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    memcpy(out, "\x93NUMPY\1\0\x76\0", 10);
    memset(out + 10 + n, ' ', (size_t)(118 - n));
    out[127] = '\n';
    size_t width = (size_t)(descr[2] - '0');
    for (size_t i = 0; i < N_IDS; i++) {
        uint64_t id = ids[i] == NLSH_NO_KEY && descr[1] == 'i' ? UINT64_MAX : ids[i];
        memcpy(out + 128 + i * width, &id, width);
    }
    return 128 + N_IDS * width;
}

static void numpy(void **state)
{
    (void)state;
    static const char *const types[] = {"<i4", "<i8", "<u4", "<u8"};
    uint8_t bytes[128 + N_IDS * 8];
    struct nlsh_neighbors g;
    for (int t = 0; t < 4; t++) {
        ids[N_IDS - 1] = t < 2 ? NLSH_NO_KEY : UINT32_C(4000000000); /* unsigned: none is missing */
        size_t size = make_npy(bytes, types[t], "(5, 7)");
        expect_ids(bytes, size);
        assert_int_equal(parse(bytes, size - 1, &g), NLSH_E_DATA);
        make_npy(bytes, types[t], "(7, 7)");
        assert_int_equal(parse(bytes, size, &g), NLSH_E_DATA);
        make_npy(bytes, types[t], "(35,)");
        assert_int_equal(parse(bytes, size, &g), NLSH_E_DATA);
        make_npy(bytes, types[t], "(5, 7)");
        memset(bytes + 128 + 2 * (size_t)(types[t][2] - '0'), 0xfe, (size_t)(types[t][2] - '0'));
        int fits = strcmp(types[t], "<u4") == 0;
        assert_int_equal(parse(bytes, size, &g), fits ? NLSH_OK : NLSH_E_DATA);
        nlsh_neighbors_free(&g);
    }
    ids[N_IDS - 1] = NLSH_NO_KEY;
    static const char *const others[] = {"<f4", ">i4", "<i2", "<f8"};
    for (int t = 0; t < 4; t++) {
        size_t size = make_npy(bytes, others[t], "(5, 7)");
        assert_int_equal(parse(bytes, size, &g), NLSH_E_DATA);
        assert_non_null(strstr(error.message, others[t]));
    }
}

/* What is written under one of these names is read again. */
static void there_and_back(void **state)
{
    (void)state;
    static const char *const names[] = {"b.ibin", "b.npy", "b.ivecs"};
    struct nlsh_neighbors g, back;
    nlsh_neighbors_init(&g, sizeof g);
    nlsh_neighbors_init(&back, sizeof back);
    g.n_rows = N_ROWS;
    g.k = K;
    g.ids = ids;
    for (int i = 0; i < 3; i++) {
        const char *path = test_path(names[i]);
        assert_int_equal(nlsh_neighbors_write(path, &g, &error), NLSH_OK);
        assert_int_equal(nlsh_neighbors_read(path, &back, &error), NLSH_OK);
        assert_int_equal(back.n_rows, N_ROWS);
        assert_int_equal(back.k, K);
        assert_memory_equal(back.ids, ids, sizeof ids);
        nlsh_neighbors_free(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_ann),
        cmocka_unit_test(numpy),
        cmocka_unit_test(there_and_back),
    };
    make_ids();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
