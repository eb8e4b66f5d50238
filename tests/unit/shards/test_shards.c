/* test_shards.c - shards together are the index that they were cut of, to the bit. */
#include <unistd.h>

#include "base/hash.h"
#include "index/layout.h"
#include "meeting.h"
#include "shards/cut.h"
#include "support/counts.h"
#include "support/refused.h"

enum { MOST_K = 80, QUERIES = 150 };

/* The answers of one way of searching. */
struct found {
    uint64_t keys[QUERIES * MOST_K];
    float distances[QUERIES * MOST_K];
    struct counts counts;
};
static struct found want, is;

/* An index, its queries, and its shards. */
struct set {
    struct nlsh_matrix base, queries;
    struct nlsh_index *index;
    char path[256], manifest[280];
    struct nlsh_search_options how;
};

static void set_create(struct set *s, enum kind kind, enum nlsh_metric metric, size_t n, size_t m,
                       const uint64_t *keys)
{
    struct nlsh_build_options o;
    *s = (struct set){.base = matrix_new(kind, n, 12, 15, 12, kind),
                      .queries = matrix_new(kind, QUERIES, 12, 15, 14, 20 + kind)};
    small_options(&o, m);
    o.metric = metric;
    o.keys = keys;
    s->index = built_index(&s->base, &o, "whole");
    snprintf(s->path, sizeof s->path, "%s", test_path("whole"));
    snprintf(s->manifest, sizeof s->manifest, "%s.shards", s->path);
}

static void set_free(struct set *s)
{
    nlsh_index_close(s->index);
    assert_int_equal(unlink(s->path), 0);
    matrix_free(&s->base);
    matrix_free(&s->queries);
}

static void cut(const struct set *s, uint32_t n)
{
    struct nlsh__manifest manifest;
    struct nlsh_error error;
    if (nlsh__cut_index(s->index, n, s->manifest, NULL, &manifest, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    for (uint32_t i = 0; i < n; i++)
        if (nlsh_index_verify(manifest.shards[i].path, &error) != NLSH_OK)
            fail_msg("%s", error.message);
    nlsh__manifest_free(&manifest);
}

static void shard_path(const struct set *s, size_t i, char out[320])
{
    snprintf(out, 320, "%s.%zu.nlsh", s->manifest, i);
}

static void remove_shards(const struct set *s, size_t n)
{
    char path[320];
    for (size_t i = 0; i < n; i++) {
        shard_path(s, i, path);
        unlink(path);
    }
    assert_int_equal(unlink(s->manifest), 0);
}

/* ---- the same answers -------------------------------------------------------------------------- */

/* By recall, by buckets, by probability, and all; k that leaves columns by 64 and by others. */
static const struct way {
    double recall, probes;
    size_t k;
} ways[] = {{.5, 0, 10}, {.95, 0, 1},  {.99, 0, MOST_K}, {0, 1, 30},
            {0, 3, 10},  {0, .05, 70}, {0, 4, 10},       {0, 1000, 10}};

static void search_whole(const struct set *s)
{
    struct nlsh_searcher *searcher;
    struct nlsh_error error;
    assert_int_equal(nlsh_searcher_create(s->index, &searcher, &error), NLSH_OK);
    if (nlsh_search(searcher, &s->queries, &s->how, want.keys, want.distances,
                    COUNT_INTO(&want.counts), &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    nlsh_searcher_free(searcher);
}

/* One way, by rank 0. */
static void compare(struct set *s, struct nlsh__shards *shards, const struct way *way)
{
    struct nlsh_error error;
    size_t n = s->queries.n_rows * way->k;
    nlsh_search_options_init(&s->how, sizeof s->how);
    s->how.k = way->k;
    s->how.probes = way->probes;
    if (way->recall > 0) s->how.recall = way->recall;
    search_whole(s);
    memset(&is, 0x11, sizeof is);
    if (nlsh__shards_search(shards, &s->queries, &s->how, is.keys, is.distances,
                            COUNT_INTO(&is.counts), &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    assert_memory_equal(is.keys, want.keys, n * sizeof *is.keys);
    assert_memory_equal(is.distances, want.distances, n * sizeof *is.distances);
    for (size_t i = 0; i < s->queries.n_rows; i++) {
        assert_int_equal(is.counts.probes[i], want.counts.probes[i]);
        assert_int_equal(is.counts.candidates[i], want.counts.candidates[i]);
        assert_int_equal(is.counts.ranked[i], want.counts.ranked[i]);
    }
}

static struct set *searched; /* of the ranks that run */

static void *run_rank(void *ctx)
{
    const struct attendant *a = ctx;
    const struct nlsh__shards_options options = {.n_threads = 1 + a->ranks.own % 2};
    struct nlsh__shards *shards;
    struct nlsh_error error;
    if (nlsh__shards_open(searched->manifest, &options, &a->ranks, &shards, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    for (size_t i = 0; i < sizeof ways / sizeof *ways && a->ranks.own == 0; i++)
        compare(searched, shards, &ways[i]);
    if (a->ranks.own != 0 && nlsh__shards_serve(shards, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    nlsh__shards_close(shards);
    return NULL;
}

static void compare_ways(struct set *s, size_t n_ranks)
{
    struct attendant attendants[MOST_RANKS];
    searched = s;
    meet(n_ranks, run_rank, attendants);
}

static void shards_answer_as_the_whole_does(void **state)
{
    static const uint32_t n_shards[] = {1, 2, 3, 7};
    static const size_t n_ranks[] = {1, 2, 3, 3};
    (void)state;
    for (enum kind kind = 0; kind < N_KINDS; kind += TEST_STRIDE) {
        struct set s;
        set_create(&s, kind, NLSH_L2, 1000, 12, NULL);
        for (size_t i = 0; i < 4; i++) {
            cut(&s, n_shards[i]);
            compare_ways(&s, n_ranks[(i + kind) % 4]);
            remove_shards(&s, n_shards[i]);
        }
        set_free(&s);
    }
}

static void other_metrics_and_keys_too(void **state)
{
    enum { ROWS = 800 };
    static uint64_t keys[ROWS];
    (void)state;
    for (size_t i = 0; i < ROWS; i++) keys[i] = (i * 7919 + 13) % 100003;
    for (enum nlsh_metric metric = NLSH_IP; metric <= NLSH_COSINE; metric++) {
        struct set s;
        set_create(&s, KIND_F32, metric, ROWS, 12, keys);
        cut(&s, 4);
        compare_ways(&s, 2);
        remove_shards(&s, 4);
        set_free(&s);
    }
}

/* More rows than a round of codes has. */
static void rounds_are_those_of_the_whole(void **state)
{
    struct set s;
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, NLSH__ROUND + 2000, 5, NULL);
    s.queries.n_rows = 8;
    cut(&s, 3);
    compare_ways(&s, 3);
    assert_true(want.counts.candidates[0] > NLSH__ROUND); /* of the last way: all buckets */
    remove_shards(&s, 3);
    set_free(&s);
}

/* ---- the files --------------------------------------------------------------------------------- */

static void one_shard_is_the_file(void **state)
{
    struct set s;
    size_t size, shard_size;
    char path[320];
    (void)state;
    set_create(&s, KIND_F32, NLSH_L2, 200, 8, NULL);
    cut(&s, 1);
    shard_path(&s, 0, path);
    uint8_t *whole = test_read_file(s.path, &size), *shard = test_read_file(path, &shard_size);
    assert_int_equal(size, shard_size);
    assert_memory_equal(whole, shard, size);
    free(whole);
    free(shard);
    remove_shards(&s, 1);
    set_free(&s);
}

static void shards_hold_all_buckets_and_about_as_much(void **state)
{
    struct set s;
    struct nlsh__manifest m;
    struct nlsh_error error;
    uint64_t n_rows = 0, n_buckets = 0;
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, 1200, 60, NULL);
    cut(&s, 4);
    assert_int_equal(nlsh__manifest_read(s.manifest, &m, &error), NLSH_OK);
    for (size_t i = 0; i < m.n; i++) {
        n_rows += m.shards[i].n_rows;
        n_buckets += m.shards[i].n_buckets;
        assert_true(m.shards[i].n_rows < 1.3 * 1200 / 4);
    }
    assert_int_equal(n_rows, 1200);
    assert_int_equal(n_buckets, 60);
    nlsh__manifest_free(&m);
    remove_shards(&s, 4);
    set_free(&s);
}

/* Alone it would answer as if there were nothing else. */
static void a_shard_alone_is_neither_searched_nor_changed(void **state)
{
    struct set s;
    struct nlsh_index *shard;
    struct nlsh_searcher *searcher;
    struct nlsh_writer *writer;
    struct nlsh__manifest manifest;
    struct nlsh_error error;
    char path[320];
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, 200, 8, NULL);
    cut(&s, 2);
    shard_path(&s, 1, path);
    assert_int_equal(nlsh_index_open(path, NULL, &shard, &error), NLSH_OK);
    assert_int_equal(nlsh_searcher_create(shard, &searcher, &error), NLSH_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "shard 1 of 2"));
    assert_int_equal(nlsh__cut_index(shard, 2, path, NULL, &manifest, &error), NLSH_E_UNSUPPORTED);
    nlsh_index_close(shard);
    assert_int_equal(nlsh_writer_open(path, NULL, &writer, &error), NLSH_E_UNSUPPORTED);
    remove_shards(&s, 2);
    set_free(&s);
}

/* The section in a file's bytes; its entry gets the checksum that it has by then, and so does the header. */
static uint8_t *find_section(uint8_t *file, struct nlsh__index_entry **entry)
{
    struct nlsh__index_header *header = (void *)file;
    struct nlsh__index_entry *entries = (void *)(file + sizeof *header);
    for (uint32_t i = 0; i < header->n_sections; i++)
        if (entries[i].kind == NLSH__SECTION_SHARD) {
            *entry = &entries[i];
            return file + entries[i].offset;
        }
    fail_msg("there is no section");
    return NULL;
}

static void seal(uint8_t *file, struct nlsh__index_entry *entry)
{
    struct nlsh__index_header *header = (void *)file;
    entry->checksum = nlsh__hash_of(file + entry->offset, (size_t)entry->size);
    header->checksum = nlsh__index_checksum(header, (void *)(file + sizeof *header));
}

/* Numbers that decide something, with checksums that are right. */
static void a_forged_shard_does_not_open(void **state)
{
    enum { M8 = 8 };
    struct set s;
    struct nlsh_index *index;
    struct nlsh_error error;
    struct nlsh__index_entry *entry = NULL;
    char path[320];
    size_t size;
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, 200, M8, NULL);
    cut(&s, 2);
    shard_path(&s, 1, path);
    uint8_t *file = test_read_file(path, &size);
    uint32_t *words = (void *)find_section(file, &entry);
    size_t last = (size_t)entry->size / 4 - 1, sizes = 16, owners = sizes + M8, rows = owners + M8;
    const struct {
        size_t at;
        uint32_t value;
    } cases[] = {{0, 2}, /* the number of another set */
                 {0, 0}, /* of another shard */
                 {1, 1}, /* shards */
                 {2, 201} /* rows of the whole */,
                 {sizes, words[sizes] + 1},
                 {owners, 2},
                 {owners, 1 - words[owners]},
                 {rows + 1, words[rows]},
                 {last, 200}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t was = words[cases[i].at];
        words[cases[i].at] = cases[i].value;
        seal(file, entry);
        test_write_file(path, file, size);
        if (nlsh_index_open(path, NULL, &index, &error) != NLSH_E_DATA) fail_msg("case %zu", i);
        assert_non_null(strstr(error.message, "section shard"));
        words[cases[i].at] = was;
    }
    seal(file, entry);
    test_write_file(path, file, size);
    assert_int_equal(nlsh_index_open(path, NULL, &index, &error), NLSH_OK);
    nlsh_index_close(index);
    free(file);
    remove_shards(&s, 2);
    set_free(&s);
}

/* ---- what is missing --------------------------------------------------------------------------- */

static enum nlsh_status open_alone(const struct set *s, int partial, struct nlsh__shards **out,
                                   struct nlsh_error *error)
{
    const struct nlsh__shards_options options = {.partial = partial, .n_threads = 1};
    return nlsh__shards_open(s->manifest, &options, &NLSH__ALONE, out, error);
}

/* Answers without a shard are those of the rows that the others have. */
static void check_partial(const struct set *s, uint32_t missing)
{
    struct nlsh__shards *shards;
    struct nlsh_error error;
    struct nlsh_search_options how;
    size_t k = 10, in_missing = 0;
    nlsh_search_options_init(&how, sizeof how);
    how.k = k;
    how.probes = 1000;
    assert_int_equal(open_alone(s, 1, &shards, &error), NLSH_OK);
    assert_int_equal(shards->n_missing, 1);
    assert_int_equal(nlsh__shards_search(shards, &s->queries, &how, is.keys, is.distances,
                                         COUNT_INTO(&is.counts), &error),
                     NLSH_OK);
    uint8_t *allowed = calloc(s->base.n_rows, 1);
    struct near *near = malloc(s->base.n_rows * sizeof *near);
    assert_true(allowed != NULL && near != NULL);
    const struct nlsh__segment *segment = &s->index->segments[0];
    for (size_t b = 0; b < s->index->meta.n_buckets; b++) {
        int there = shards->whole.owners[b] != missing;
        in_missing += !there;
        for (size_t i = segment->bucket_offsets[b]; i < segment->bucket_offsets[b + 1]; i++)
            allowed[segment->rows[i]] = (uint8_t)there;
    }
    for (size_t q = 0; q < s->queries.n_rows; q++) {
        size_t n = naive_search(&s->base, allowed, &s->queries, q, near);
        check_answer(&s->base, &s->queries, q, near, n, k, is.keys + q * k, is.distances + q * k,
                     1);
    }
    assert_int_equal(shards->work.buckets, s->queries.n_rows * s->index->meta.n_buckets);
    assert_int_equal(shards->work.buckets_missing, s->queries.n_rows * in_missing);
    assert_true(in_missing > 0);
    free(allowed);
    free(near);
    nlsh__shards_close(shards);
}

static void a_missing_or_damaged_shard_is_an_error_or_left_out(void **state)
{
    struct set s;
    struct nlsh__shards *shards;
    struct nlsh_error error;
    char path[320];
    size_t size;
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, 200, 8, NULL);
    cut(&s, 3);
    shard_path(&s, 2, path);
    uint8_t *bytes = test_read_file(path, &size);
    for (int how = 0; how < 3; how++) { /* cut short, another's, not there */
        char other[320];
        shard_path(&s, 0, other);
        if (how == 0) test_write_file(path, bytes, size / 2);
        if (how == 1) {
            size_t other_size;
            uint8_t *others = test_read_file(other, &other_size);
            test_write_file(path, others, other_size);
            free(others);
        }
        if (how == 2) assert_int_equal(unlink(path), 0);
        assert_int_equal(open_alone(&s, 0, &shards, &error), how == 0   ? NLSH_E_DATA
                                                             : how == 1 ? NLSH_E_MISMATCH
                                                                        : NLSH_E_NO_INPUT);
        assert_non_null(strstr(error.message, path));
        check_partial(&s, 2);
    }
    free(bytes);
    for (size_t i = 0; i < 2; i++) { /* and without any */
        shard_path(&s, i, path);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(open_alone(&s, 1, &shards, &error), NLSH_E_NO_INPUT);
    remove_shards(&s, 0);
    set_free(&s);
}

/* ---- what is asked wrongly --------------------------------------------------------------------- */

static void what_is_wrong_is_said_and_the_ranks_go_on(void **state)
{
    struct set s;
    struct nlsh__shards *shards;
    struct nlsh_error error;
    (void)state;
    set_create(&s, KIND_F32, NLSH_L2, 200, 8, NULL);
    cut(&s, 2);
    assert_int_equal(open_alone(&s, 0, &shards, &error), NLSH_OK);
    nlsh_search_options_init(&s.how, sizeof s.how);
    s.how.k = 201;
    assert_int_equal(nlsh__shards_search(shards, &s.queries, &s.how, is.keys, NULL, NULL, &error),
                     NLSH_E_ARG);
    s.how.k = 10;
    s.how.rerank = 100;
    assert_int_equal(nlsh__shards_search(shards, &s.queries, &s.how, is.keys, NULL, NULL, &error),
                     NLSH_E_UNSUPPORTED);
    s.how.rerank = 0;
    ((float *)(uintptr_t)s.queries.data)[3] = NAN;
    assert_int_equal(nlsh__shards_search(shards, &s.queries, &s.how, is.keys, NULL, NULL, &error),
                     NLSH_E_ARG);
    assert_int_equal(shards->in_step, 1);
    nlsh__shards_close(shards);
    remove_shards(&s, 2);
    set_free(&s);
}

static enum nlsh_status open_and_search(void *ctx, struct nlsh_error *error)
{
    const struct set *s = ctx;
    struct nlsh__shards *shards;
    enum nlsh_status status = open_alone(s, 0, &shards, error);
    if (status != NLSH_OK) return status;
    status = nlsh__shards_search(shards, &s->queries, &s->how, is.keys, is.distances, NULL, error);
    nlsh__shards_close(shards);
    return status;
}

static void memory_that_is_refused(void **state)
{
    struct set s;
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, 200, 4, NULL);
    s.queries.n_rows = 3;
    cut(&s, 2);
    nlsh_search_options_init(&s.how, sizeof s.how);
    assert_true(refuse_places(open_and_search, &s) > 20);
    remove_shards(&s, 2);
    set_free(&s);
}

static void a_manifest_that_is_wrong_is_refused(void **state)
{
    struct set s;
    struct nlsh__manifest m;
    struct nlsh_error error;
    size_t size;
    static const char *const texts[] = {
        "{", "{}", "{\"format\": \"nlsh shards\"}",
        "{\"format\": \"nlsh shards\", \"version\": 1, \"set\": \"0000000000000000\", \"vectors\": "
        "1, \"data_hash\": \"0000000000000000\", \"dim\": 1, \"buckets\": 1, \"shards\": []}",
        "{\"format\": \"nlsh shards\", \"version\": 1, \"set\": \"0000000000000000\", \"vectors\": "
        "1, \"data_hash\": \"0000000000000000\", \"dim\": 1, \"buckets\": 1, \"shards\": "
        "[{\"file\": "
        "\"../x\", \"bytes\": 1, \"checksum\": \"0000000000000000\", \"vectors\": 1, \"buckets\": "
        "1}]}"};
    (void)state;
    set_create(&s, KIND_U8, NLSH_L2, 300, 4, NULL);
    cut(&s, 2);
    uint8_t *bytes = test_read_file(s.manifest, &size);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        test_write_file(s.manifest, texts[i], strlen(texts[i]));
        assert_int_equal(nlsh__manifest_read(s.manifest, &m, &error), NLSH_E_DATA);
        assert_non_null(strstr(error.message, s.manifest));
    }
    test_write_file(s.manifest, bytes, size);
    assert_int_equal(nlsh__manifest_read(s.manifest, &m, &error), NLSH_OK);
    nlsh__manifest_free(&m);
    free(bytes);
    remove_shards(&s, 2);
    set_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_answer_as_the_whole_does),
        cmocka_unit_test(other_metrics_and_keys_too),
        cmocka_unit_test(rounds_are_those_of_the_whole),
        cmocka_unit_test(one_shard_is_the_file),
        cmocka_unit_test(shards_hold_all_buckets_and_about_as_much),
        cmocka_unit_test(a_shard_alone_is_neither_searched_nor_changed),
        cmocka_unit_test(a_forged_shard_does_not_open),
        cmocka_unit_test(a_missing_or_damaged_shard_is_an_error_or_left_out),
        cmocka_unit_test(what_is_wrong_is_said_and_the_ranks_go_on),
        cmocka_unit_test(a_manifest_that_is_wrong_is_refused),
        cmocka_unit_test(memory_that_is_refused),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, NULL, NULL));
}
