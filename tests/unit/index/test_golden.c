/*
 * test_golden.c - index files of each version of the format, as the command of their day wrote them, and
 * what it answered (tests/golden/make.py): today's library opens and verifies them, and answers the same.
 */
#include "testing.h"

#include <math.h>

#include "nlsh/learn.h"

enum { K = 7, MOST_QUERIES = 64 };

/* As tests/golden/make.py asked: in this order, each under a line that begins with #. */
static const struct {
    const char *title;
    double probes, recall;
} searches[] = {{"recall .95", 0, 0.95}, {"T 2", 2, 0.95}, {"T 8", 8, 0.95}};

static const struct {
    const char *name, *ending;
    enum nlsh_metric metric;
    int has_codes, has_leaves;
} files[] = {
    {"bytes", "u8bin", NLSH_L2, 1, 0},
    {"bytes-groups", "u8bin", NLSH_L2, 1, 0},
    {"bytes-leaves", "u8bin", NLSH_L2, 1, 1},
    {"signed", "i8bin", NLSH_L2, 1, 0},
    {"floats", "fbin", NLSH_L2, 1, 0},
    {"floats-bare", "fbin", NLSH_L2, 0, 0},
    {"floats-leaves", "fbin", NLSH_L2, 1, 1},
    {"ip", "fbin", NLSH_IP, 1, 0},
    {"ip-leaves", "fbin", NLSH_IP, 1, 1},
    {"cosine", "fbin", NLSH_COSINE, 1, 0},
    {"cosine-groups-leaves", "fbin", NLSH_COSINE, 1, 1},
};

/* Good until the fourth call after this one. */
static char *golden_path(const char *version, const char *name, const char *ending)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s/%s.%s", GOLDEN, version, name, ending);
    return path;
}

/* One search's lines: query, rank from 1, row, distance. Those that are not there were not found. */
static void compare(FILE *expected, const char *name, size_t search, size_t n_queries,
                    const uint64_t *keys, const float *distances)
{
    char line[128], title[64];
    size_t n_lines = 0, n_found = 0;
    assert_non_null(fgets(line, sizeof line, expected));
    snprintf(title, sizeof title, "# %s\n", searches[search].title);
    assert_string_equal(line, title);
    for (size_t i = 0; i < n_queries * K; i++) n_found += keys[i] != NLSH_NO_KEY;
    while (n_lines < n_found) {
        size_t query, rank;
        unsigned long long row;
        double distance;
        assert_non_null(fgets(line, sizeof line, expected));
        assert_int_equal(sscanf(line, "%zu,%zu,%llu,%lf", &query, &rank, &row, &distance), 4);
        assert_true(query < n_queries && rank >= 1 && rank <= K);
        size_t at = query * K + rank - 1;
        double off = fabs((double)distances[at] - distance);
        if (keys[at] != row || !(off <= 2e-6 * fabs(distance) + 1e-7))
            fail_msg("%s, %s: query %zu, rank %zu: row %llu at %.9g, not %llu at %.9g", name,
                     searches[search].title, query, rank, (unsigned long long)keys[at],
                     (double)distances[at], row, distance);
        n_lines++;
    }
}

static void search_all(const struct nlsh_index *index, const char *name, const char *version,
                       const struct nlsh_matrix *queries)
{
    static uint64_t keys[MOST_QUERIES * K];
    static float distances[MOST_QUERIES * K];
    struct nlsh_error error;
    FILE *expected = fopen(golden_path(version, name, "expected.csv"), "r");
    assert_non_null(expected);
    assert_true(queries->n_rows > 0 && queries->n_rows <= MOST_QUERIES);
    for (size_t s = 0; s < sizeof searches / sizeof *searches; s++) {
        struct nlsh_search_options how;
        nlsh_search_options_init(&how, sizeof how);
        how.k = K;
        how.probes = searches[s].probes;
        how.recall = searches[s].recall;
        if (nlsh_search_batch(index, queries, &how, keys, distances, NULL, &error) != NLSH_OK)
            fail_msg("%s: %s", name, error.message);
        compare(expected, name, s, queries->n_rows, keys, distances);
    }
    assert_int_equal(fgetc(expected), EOF);
    fclose(expected);
}

static int has_section(const struct nlsh_index *index, const char *name)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++)
        if (strcmp(section.name, name) == 0) return section.used;
    return 0;
}

static void files_of_format_2_answer_as_ever(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct nlsh_index *index;
        struct nlsh_index_info info = {.struct_size = sizeof info};
        struct nlsh_vectors *queries;
        struct nlsh_error error;
        char ending[32];
        snprintf(ending, sizeof ending, "queries.%s", files[i].ending);
        if (nlsh_index_verify(golden_path("v2", files[i].name, "nlsh"), &error) != NLSH_OK)
            fail_msg("%s", error.message);
        for (int memory = NLSH_MEMORY_MAP; memory <= NLSH_MEMORY_ALL; memory++) {
            struct nlsh_open_options how;
            nlsh_open_options_init(&how, sizeof how);
            how.memory = (enum nlsh_memory)memory;
            if (nlsh_index_open(golden_path("v2", files[i].name, "nlsh"), &how, &index, &error) !=
                    NLSH_OK ||
                nlsh_vectors_read(golden_path("v2", files[i].name, ending), NLSH_FORMAT_AUTO,
                                  &queries, &error) != NLSH_OK)
                fail_msg("%s", error.message);
            assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
            assert_int_equal(info.format, 2);
            assert_int_equal(info.n_segments, 1);
            assert_int_equal(info.has_keys, 0);
            assert_int_equal(info.metric, files[i].metric);
            assert_int_equal(has_section(index, "codes"), files[i].has_codes);
            assert_int_equal(has_section(index, "leaves"), files[i].has_leaves);
            search_all(index, files[i].name, "v2", nlsh_vectors_matrix(queries));
            nlsh_vectors_free(queries);
            nlsh_index_close(index);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_format_2_answer_as_ever),
    };
    return cmocka_run_group_tests_name("index/golden", tests, NULL, NULL);
}
