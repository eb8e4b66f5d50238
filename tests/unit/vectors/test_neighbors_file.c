/* test_neighbors_file.c - graph files: round trips, the layout byte by byte, every damage. */
#include "testing.h"

#include <math.h>

#include "base/hash.h"
#include "vectors/parse.h"

static struct nlsh_error error;

static uint64_t ids[] = {3, 1, 2, 0, 7, 8, 0, 1, 2, 5, 6, NLSH_NO_KEY};
static const uint32_t file_ids[] = {3, 1, 2, 0, 7, 8, 0, 1, 2, 5, 6, UINT32_MAX};
static float distances[] = {0, 1, 1e9f, 0, 0.5f, 0.5f, 2, 3, 4, 1, 1, INFINITY};
static struct nlsh_neighbors graph = {.struct_size = sizeof graph,
                                      .n_rows = 4,
                                      .k = 3,
                                      .ids = ids,
                                      .distances = distances,
                                      .metric = NLSH_L2};
enum { SIZE = 64 + 4 * 3 * 8 };

/* Into *out, whose struct_size is set. */
static enum nlsh_status parse(const uint8_t *bytes, size_t size, struct nlsh_neighbors *out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* of just its size, for ASan */
    if (size > 0) memcpy(copy, bytes, size);
    enum nlsh_status status = nlsh__neighbors_parse(copy, size, "a.graph", out, &error);
    free(copy);
    if (status != NLSH_OK)
        assert_true(out->ids == NULL && out->distances == NULL && out->n_rows == 0);
    return status;
}

static void expect(const uint8_t *bytes, size_t size, enum nlsh_status status, const char *words)
{
    struct nlsh_neighbors g = {.struct_size = sizeof g};
    enum nlsh_status is = parse(bytes, size, &g);
    if (is != status || (words != NULL && strstr(error.message, words) == NULL))
        fail_msg("status %d, wanted %d with '%s': %s", is, status, words != NULL ? words : "",
                 error.message);
    nlsh_neighbors_free(&g);
}

static uint8_t *written(void)
{
    size_t size;
    const char *path = test_path("a.graph");
    assert_int_equal(nlsh_neighbors_write(path, &graph, &error), NLSH_OK);
    uint8_t *bytes = test_read_file(path, &size);
    assert_int_equal(size, SIZE);
    return bytes;
}

/* Makes both checksums right again. */
static void reseal(uint8_t *bytes, size_t size)
{
    uint64_t hash = nlsh__hash_of(bytes + 64, size - 64);
    memcpy(bytes + 48, &hash, 8);
    hash = nlsh__hash_of(bytes, 56);
    memcpy(bytes + 56, &hash, 8);
}

static void round_trip_and_layout(void **state)
{
    (void)state;
    uint8_t golden[SIZE] = "NLSHKNN\0\2\0\0\0\100\0\0\0\4\0\0\0\0\0\0\0\3"; /* 64 is octal 100 */
    memcpy(golden + 64, file_ids, sizeof file_ids);
    memcpy(golden + 64 + sizeof file_ids, distances, sizeof distances);
    struct nlsh_neighbors g = {.struct_size = sizeof g};
    for (int metric = NLSH_COSINE; metric >= NLSH_L2; metric--) {
        golden[32] = (uint8_t)metric;
        reseal(golden, sizeof golden);
        graph.metric = (enum nlsh_metric)metric;
        uint8_t *bytes = written();
        assert_memory_equal(bytes, golden, SIZE);
        free(bytes);
        assert_int_equal(nlsh_neighbors_read(test_path("a.graph"), &g, &error), NLSH_OK);
        assert_int_equal(g.metric, metric);
        nlsh_neighbors_free(&g);
    }
    assert_int_equal(nlsh_neighbors_read(test_path("a.graph"), &g, &error), NLSH_OK);
    assert_int_equal(g.n_rows, 4);
    assert_int_equal(g.k, 3);
    assert_memory_equal(g.ids, ids, sizeof ids);
    assert_memory_equal(g.distances, distances, sizeof distances);
    nlsh_neighbors_free(&g);
    nlsh_neighbors_free(&g);
    nlsh_neighbors_free(NULL);
}

static void every_byte_and_every_truncation(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    uint8_t *bytes = written();
    for (size_t at = 0; at < SIZE; at++)
        for (size_t j = 0; j < 3; j++) {
            bytes[at] ^= flips[j];
            expect(bytes, SIZE, NLSH_E_DATA, NULL);
            bytes[at] ^= flips[j];
        }
    for (size_t n = 0; n < SIZE; n++) expect(bytes, n, NLSH_E_DATA, NULL);
    uint8_t longer[SIZE + 1] = {0};
    memcpy(longer, bytes, SIZE);
    expect(longer, SIZE + 1, NLSH_E_DATA, "bytes follow");
    expect(bytes, SIZE, NLSH_OK, NULL);
    free(bytes);
}

/* A file whose checksums agree may still say nonsense. */
static void sealed_nonsense(void **state)
{
    (void)state;
    static const uint64_t sizes[][2] = {{0, 3},
                                        {4, 0},
                                        {UINT64_MAX, 3},
                                        {4, UINT64_MAX},
                                        {UINT64_C(1) << 61, 8},
                                        {UINT64_C(1) << 32, 1},
                                        {3, 4 + 1}};
    static const struct {
        size_t at; /* which distance or id */
        float distance;
        uint32_t id;
    } rows[] = {{0, NAN, 3}, {0, -1, 3}, {1, NAN, 1}, {2, 0.5f, 2}, {5, 0.4999f, 9}};
    uint8_t *bytes = written(), kept[SIZE];
    memcpy(kept, bytes, SIZE);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memcpy(bytes + 16, sizes[i], 16);
        reseal(bytes, SIZE);
        expect(bytes, SIZE, NLSH_E_DATA, NULL);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memcpy(bytes, kept, SIZE);
        memcpy(bytes + 64 + rows[i].at * 4, &rows[i].id, 4);
        memcpy(bytes + 64 + sizeof file_ids + rows[i].at * 4, &rows[i].distance, 4);
        reseal(bytes, SIZE);
        expect(bytes, SIZE, NLSH_E_DATA, "ascending");
    }
    memcpy(bytes, kept, SIZE);
    bytes[8] = 1; /* squared distances, of an unknown metric */
    reseal(bytes, SIZE);
    expect(bytes, SIZE, NLSH_E_DATA, "version 1");
    bytes[8] = 3;
    reseal(bytes, SIZE);
    expect(bytes, SIZE, NLSH_E_DATA, "version 3");
    memcpy(bytes, kept, SIZE);
    bytes[32] = NLSH_COSINE + 1;
    reseal(bytes, SIZE);
    expect(bytes, SIZE, NLSH_E_DATA, "does not write");
    memcpy(bytes, kept, SIZE);
    memset(bytes + 36, 0xff, 12); /* reserved: ignored */
    reseal(bytes, SIZE);
    expect(bytes, SIZE, NLSH_OK, NULL);
    free(bytes);
}

/* Distances are rounded: of two that read the same the farther may have the smaller id. */
static void equal_distances_in_any_order(void **state)
{
    (void)state;
    uint64_t swapped[] = {8, 7, 0};
    float same[] = {0.5f, 0.5f, 0.5f};
    struct nlsh_neighbors g = {.struct_size = sizeof g};
    struct nlsh_neighbors one = {
        .struct_size = sizeof one, .n_rows = 1, .k = 3, .ids = swapped, .distances = same};
    assert_int_equal(nlsh_neighbors_write(test_path("a.graph"), &one, &error), NLSH_OK);
    if (nlsh_neighbors_read(test_path("a.graph"), &g, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_memory_equal(g.ids, swapped, sizeof swapped);
    nlsh_neighbors_free(&g);
}

/* A negated product may be below 0; distances of the others may not. */
static void products_are_negative(void **state)
{
    (void)state;
    float products[] = {-7, -1, 2};
    struct nlsh_neighbors g = {.struct_size = sizeof g};
    struct nlsh_neighbors one = {
        .struct_size = sizeof one, .n_rows = 1, .k = 3, .ids = ids, .distances = products};
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        one.metric = (enum nlsh_metric)metric;
        assert_int_equal(nlsh_neighbors_write(test_path("a.graph"), &one, &error), NLSH_OK);
        assert_int_equal(nlsh_neighbors_read(test_path("a.graph"), &g, &error),
                         metric == NLSH_IP ? NLSH_OK : NLSH_E_DATA);
        nlsh_neighbors_free(&g);
    }
}

static void as_ivecs(void **state)
{
    (void)state;
    static const uint8_t golden[] = {3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0};
    struct nlsh_neighbors g = {.struct_size = sizeof g};
    size_t size;
    const char *path = test_path("a.ivecs");
    assert_int_equal(nlsh_neighbors_write(path, &graph, &error), NLSH_OK);
    uint8_t *bytes = test_read_file(path, &size);
    assert_int_equal(size, 4 * 4 * 4);
    assert_memory_equal(bytes, golden, sizeof golden);
    assert_int_equal(nlsh_neighbors_read(path, &g, &error), NLSH_OK);
    assert_memory_equal(g.ids, ids, sizeof ids); /* a missing one, written as -1, included */
    assert_null(g.distances);
    /* Without distances there is no graph file, but ids again. */
    assert_int_equal(nlsh_neighbors_write(test_path("b.graph"), &g, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_neighbors_write(test_path("b.ivecs"), &g, &error), NLSH_OK);
    nlsh_neighbors_free(&g);
    bytes[7] = 0x80; /* a negative id */
    test_write_file(path, bytes, size);
    assert_int_equal(nlsh_neighbors_read(path, &g, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 0, column 0"));
    free(bytes);
    static uint64_t high[] = {UINT64_C(1) << 31, UINT32_MAX - 1, UINT32_MAX, UINT64_C(1) << 40};
    struct nlsh_neighbors large = graph;
    large.n_rows = large.k = 1;
    for (int i = 0; i < 4; i++) {
        large.ids = &high[i];
        assert_int_equal(nlsh_neighbors_write(path, &large, &error), NLSH_E_ARG);
        enum nlsh_status status = nlsh_neighbors_write(test_path("large.graph"), &large, &error);
        assert_int_equal(status, i < 2 ? NLSH_OK : NLSH_E_ARG);
    }
}

static void arguments(void **state)
{
    (void)state;
    struct nlsh_neighbors g = {.struct_size = sizeof g}, none = g, unset = {0};
    assert_int_equal(nlsh_neighbors_read(test_path("absent"), &g, &error), NLSH_E_NO_INPUT);
    assert_int_equal(nlsh_neighbors_read(test_path("absent.ivecs"), &g, &error), NLSH_E_NO_INPUT);
    assert_int_equal(nlsh_neighbors_read(NULL, &g, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_neighbors_write(test_path("a"), &none, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_neighbors_write(test_path("a"), NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_neighbors_write(test_path("a"), &unset, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_neighbors_read(test_path("a.graph"), &unset, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_neighbors_write("/no/such/dir/a", &graph, NULL), NLSH_E_CANT_CREATE);
    static const uint8_t other[] = "something else";
    expect(other, sizeof other, NLSH_E_DATA, "no graph file");
    expect(other, 0, NLSH_E_DATA, "empty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_and_layout),
        cmocka_unit_test(every_byte_and_every_truncation),
        cmocka_unit_test(sealed_nonsense),
        cmocka_unit_test(equal_distances_in_any_order),
        cmocka_unit_test(products_are_negative),
        cmocka_unit_test(as_ivecs),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
