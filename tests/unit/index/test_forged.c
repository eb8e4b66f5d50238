/*
 * test_forged.c - small indexes of every kind, built here and then forged: numbers changed, checksums right.
 * Each opens or is refused, and what opens answers with its own keys; nothing is read behind its end.
 * NLSH_FORGED says how many a kind (500); NLSH_FORGED_AT tries that one alone, as a fault names it; an
 * argument is the kind that is tried alone (it may end in *).
 */
#include "support/forge.h"
#include "support/guard.h"
#include "support/segments.h"

enum { N = 400, DIM = 20, M = 6 };

enum features {
    LEAVES = 1,
    GROUPS = 2,
    KEYS = 4,
    SEGMENTS = 8,
    TOMBSTONES = 16,
    BARE = 32,     /* no codes */
    PROJECTED = 64 /* the router sees principal components */
};

static const struct forged_kind {
    const char *name;
    enum kind kind;
    enum nlsh_metric metric;
    unsigned features;
} kinds[] = {
    {"bytes", KIND_U8, NLSH_L2, 0},
    {"bytes without codes", KIND_U8, NLSH_L2, BARE},
    {"signed bytes", KIND_I8, NLSH_L2, PROJECTED},
    {"floats", KIND_F32, NLSH_L2, PROJECTED},
    {"inner product", KIND_F32, NLSH_IP, 0},
    {"inner product, leaves", KIND_F32, NLSH_IP, LEAVES},
    {"cosine", KIND_F32, NLSH_COSINE, 0},
    {"leaves", KIND_U8, NLSH_L2, LEAVES},
    {"leaves of floats", KIND_F32, NLSH_L2, LEAVES},
    {"groups of buckets", KIND_U8, NLSH_L2, GROUPS | LEAVES},
    {"keys", KIND_U8, NLSH_L2, KEYS},
    {"segments", KIND_U8, NLSH_L2, SEGMENTS | KEYS | TOMBSTONES},
    {"segments of floats", KIND_F32, NLSH_L2, SEGMENTS},
    {"tombstones", KIND_U8, NLSH_L2, TOMBSTONES},
};

/* ---- true files ------------------------------------------------------------------------------ */

static void options_of(const struct forged_kind *kind, const uint64_t *keys,
                       struct nlsh_build_options *o)
{
    small_options(o, kind->features & GROUPS ? 24 : M);
    o->metric = kind->metric;
    o->leaves = (kind->features & LEAVES) != 0;
    if (kind->features & GROUPS) o->groups = 4;
    if (kind->features & BARE) o->code_bytes = 0;
    if (kind->features & PROJECTED) o->components = 8;
    if (kind->features & KEYS && !(kind->features & SEGMENTS)) o->keys = keys;
}

/* The index again, cut into segments with what the kind wants of them. */
static void cut(const struct forged_kind *kind, const struct nlsh_matrix *base, const char *path)
{
    static struct segmented s;
    static const size_t three[] = {150, 90, 160}, one[] = {N};
    struct nlsh_index *whole;
    size_t n = kind->features & SEGMENTS ? 3 : 1;
    assert_int_equal(nlsh_index_open(path, NULL, &whole, NULL), NLSH_OK);
    segmented_cut(&s, whole, base, n, n == 3 ? three : one, kind->features & KEYS ? 5 : 7);
    if (kind->features & TOMBSTONES) {
        uint64_t *bits = segmented_tombstones(&s, n - 1);
        for (size_t i = 0; i < 90; i += 5) bits[i / 64] |= UINT64_C(1) << i % 64;
    }
    if (kind->features & KEYS) {
        uint64_t *keys = segmented_keys(&s, 1);
        for (size_t i = 0; i < three[1]; i++) keys[i] = (UINT64_C(1) << 40) + i * 77;
    }
    assert_int_equal(nlsh__index_write(path, s.sections, s.n_sections, NULL), NLSH_OK);
    nlsh_index_close(whole);
    segmented_free(&s);
}

static uint8_t *true_file(const struct forged_kind *kind, size_t *size)
{
    static uint64_t keys[N];
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_matrix base = matrix_new(kind->kind, N, DIM, 9, 14, 1);
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("true.nlsh"));
    for (size_t i = 0; i < N; i++) keys[i] = UINT64_MAX / 2 - i * 1000003;
    options_of(kind, keys, &o);
    if (nlsh_build(&base, &o, path, &run, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
    if (kind->features & (SEGMENTS | TOMBSTONES)) cut(kind, &base, path);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    uint8_t *bytes = test_read_file(path, size);
    matrix_free(&base);
    return bytes;
}

/* What a kind is named for is in its file. */
static void check_features(const struct forged_kind *kind, const uint8_t *bytes, size_t size)
{
    const struct nlsh__map map = sample_copy(bytes, size);
    struct nlsh_index *index;
    struct nlsh_error error;
    if (nlsh_index_open_memory(map.data, size, "true", NULL, &index, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    unsigned f = kind->features;
    const struct nlsh__segment *last = &index->segments[index->n_segments - 1];
    assert_int_equal(last->codes != NULL, !(f & BARE));
    assert_int_equal(last->leaves != NULL, (f & LEAVES) != 0);
    assert_int_equal(index->n_segments, f & SEGMENTS ? 3 : 1);
    assert_int_equal(last->tombstones != NULL, (f & TOMBSTONES) != 0);
    assert_int_equal(index->metric, kind->metric);
    nlsh_index_close(index);
    free((void *)(uintptr_t)map.data);
}

/* ---- forged ones ----------------------------------------------------------------------------- */

static size_t number_of(const char *name, size_t otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoull(value, NULL, 0) : otherwise;
}

/* Where memory ends: at the byte for a sanitizer, before an untouchable page for masked loads. */
static int try_file(struct nlsh__rng *rng, const uint8_t *bytes, size_t size,
                    const struct guarded *guarded)
{
    if (nlsh__rng_below(rng, 2)) {
        void *tail = guarded_tail(guarded, (size + 63) / 64 * 64);
        memcpy(tail, bytes, size);
        return forge_open(rng, tail, size);
    }
    const struct nlsh__map map = sample_copy(bytes, size);
    int opened = forge_open(rng, map.data, size);
    free((void *)(uintptr_t)map.data);
    return opened;
}

static void forged(void **state)
{
    const struct forged_kind *kind = *state;
    size_t size, n = number_of("NLSH_FORGED", 500 / TEST_STRIDE),
                 at = number_of("NLSH_FORGED_AT", SIZE_MAX);
    size_t n_opened = 0, first = at == SIZE_MAX ? 0 : at, end = at == SIZE_MAX ? n : at + 1;
    uint8_t *bytes = true_file(kind, &size), *copy = malloc(size);
    struct guarded guarded = guarded_alloc((size + 63) / 64 * 64);
    assert_non_null(copy);
    check_features(kind, bytes, size);
    for (size_t i = first; i < end; i++) {
        struct nlsh__rng rng;
        test_rng(&rng, ((uint64_t)(kind - kinds) << 32) + i);
        snprintf(forge_case, sizeof forge_case, "%s, NLSH_FORGED_AT=%zu", kind->name, i);
        memcpy(copy, bytes, size);
        forge_mutate(&rng, copy, size);
        n_opened += (size_t)try_file(&rng, copy, size, &guarded);
    }
    fprintf(stderr, "%s: %zu forged, %zu of them opened\n", kind->name, end - first, n_opened);
    if (end - first >= 100) { /* neither is what always happens */
        assert_true(n_opened > (end - first) / 4);
        assert_true(n_opened < (end - first) * 95 / 100);
    }
    guarded_free(&guarded);
    free(copy);
    free(bytes);
}

/* The file as it is keeps what forged ones have to keep. */
static void true_files_pass(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t size;
        struct nlsh__rng rng;
        uint8_t *bytes = true_file(&kinds[k], &size);
        const struct nlsh__map map = sample_copy(bytes, size);
        test_rng(&rng, k);
        snprintf(forge_case, sizeof forge_case, "%s, not forged", kinds[k].name);
        for (int i = 0; i < 10; i++) assert_true(forge_open(&rng, map.data, size));
        free((void *)(uintptr_t)map.data);
        free(bytes);
    }
}

/* ---- vectors that are no numbers ------------------------------------------------------------- */

/* Every other row of the file becomes NaN, of either sign. */
static void spoil_vectors(uint8_t *bytes, size_t size)
{
    static const uint32_t nans[] = {0x7fc00000, 0xffc00000};
    const struct nlsh__index_entry *e = (const void *)(bytes + sizeof(struct nlsh__index_header));
    while (e->kind != NLSH__SECTION_VECTORS) e++;
    for (size_t i = 0; i < N; i += 2)
        for (size_t d = 0; d < DIM; d++)
            memcpy(bytes + e->offset + (i * DIM + d) * 4, &nans[i / 2 % 2], 4);
    sample_seal(bytes, size);
}

/* Whatever the metric, they stand behind all others. */
static void what_is_no_number_is_last(void **state)
{
    static uint64_t keys[N];
    static float distances[N];
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        const struct forged_kind kind = {"NaN", KIND_F32, (enum nlsh_metric)metric, 0};
        size_t size;
        uint8_t *bytes = true_file(&kind, &size);
        spoil_vectors(bytes, size);
        const struct nlsh__map map = sample_copy(bytes, size);
        struct nlsh_index *index;
        struct nlsh_searcher *s;
        struct nlsh_search_options how;
        struct nlsh_matrix query = matrix_new(KIND_F32, 1, DIM, 9, 14, 2);
        nlsh_search_options_init(&how, sizeof how);
        how.k = N;
        how.probes = M;
        assert_int_equal(nlsh_index_open_memory(map.data, size, "NaN", NULL, &index, NULL), 0);
        assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
        assert_int_equal(nlsh_search(s, &query, &how, keys, distances, NULL, NULL), NLSH_OK);
        for (size_t i = 0; i < N; i++) assert_int_equal(isnan(distances[i]) != 0, i >= N / 2);
        nlsh_searcher_free(s);
        nlsh_index_close(index);
        matrix_free(&query);
        free((void *)(uintptr_t)map.data);
        free(bytes);
    }
}

int main(int argc, char **argv)
{
    enum { N_KINDS_FORGED = sizeof kinds / sizeof *kinds };
    struct CMUnitTest tests[N_KINDS_FORGED + 2] = {cmocka_unit_test(true_files_pass),
                                                   cmocka_unit_test(what_is_no_number_is_last)};
    for (size_t i = 0; i < N_KINDS_FORGED; i++)
        tests[i + 2] = (struct CMUnitTest){.name = kinds[i].name,
                                           .test_func = forged,
                                           .initial_state = (void *)(uintptr_t)&kinds[i]};
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("index/forged", tests, NULL, NULL);
}
