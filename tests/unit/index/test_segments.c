/*
 * test_segments.c - indexes of several segments: they answer as brute force over the rows that are alive and
 * allowed, by their keys, whoever asks; and files whose segments do not fit together.
 */
#include "support/segments.h"

#include "support/counting.h"
#include "support/counts.h"

enum { N = 700, DIM = 17, M = 7, Q = 24, K = 25 };

static struct near want[N];
static uint8_t allowed[N];
static uint64_t keys[Q * K], again[Q * K];
static float distances[Q * K], distances_again[Q * K];
static struct counts stats, stats_again;

struct fixture {
    struct nlsh_matrix base, queries;
    struct nlsh_index *whole;
    enum kind kind;
    uint32_t bucket_of[N];
};

static void fixture_begin(struct fixture *f, enum kind kind)
{
    struct nlsh_build_options o;
    *f = (struct fixture){.kind = kind};
    f->base = matrix_new(kind, N, DIM, 9, 14, 1);
    f->queries = matrix_new(kind, Q, DIM, 9, 14, 2);
    small_options(&o, M);
    o.leaves = 0;
    f->whole = built_index(&f->base, &o, "whole");
    const struct nlsh__segment *all = &f->whole->segments[0];
    for (uint32_t b = 0; b < M; b++)
        for (size_t p = all->bucket_offsets[b]; p < all->bucket_offsets[b + 1]; p++)
            f->bucket_of[all->rows[p]] = b;
}

static void fixture_end(struct fixture *f)
{
    nlsh_index_close(f->whole);
    matrix_free(&f->base);
    matrix_free(&f->queries);
}

static void write_to(const struct segmented *s, const char *name)
{
    struct nlsh_error error;
    if (nlsh__index_write(test_path(name), s->sections, s->n_sections, &error) != NLSH_OK)
        fail_msg("%s", error.message);
}

static struct nlsh_index *opened(const struct segmented *s, const char *name)
{
    struct nlsh_index *index;
    struct nlsh_error error;
    write_to(s, name);
    if (nlsh_index_verify(test_path(name), &error) != NLSH_OK ||
        nlsh_index_open(test_path(name), NULL, &index, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return index;
}

/* ---- rows and their keys --------------------------------------------------------------------- */

#define FIRST_KEY (UINT64_C(1) << 40)

static uint64_t key_of(size_t row)
{
    return FIRST_KEY + row * UINT64_C(1000003);
}

/* What a key stands for: rows of segments without keys have their numbers. */
static uint64_t row_of(uint64_t key)
{
    if (key == NLSH_NO_KEY || key < FIRST_KEY) return key;
    assert_int_equal((key - FIRST_KEY) % 1000003, 0);
    return (key - FIRST_KEY) / 1000003;
}

static int is_dead(size_t row)
{
    return row * 2654435761u % 7 == 0;
}

static void add_keys(struct segmented *s, size_t segment)
{
    uint64_t *of = segmented_keys(s, segment);
    for (size_t row = s->first[segment]; row < s->first[segment + 1]; row++)
        of[row - s->first[segment]] = key_of(row);
}

static void add_tombstones(struct segmented *s, size_t segment)
{
    uint64_t *bits = segmented_tombstones(s, segment);
    for (size_t row = s->first[segment]; row < s->first[segment + 1]; row++) {
        size_t r = row - s->first[segment];
        if (is_dead(row)) bits[r / 64] |= UINT64_C(1) << r % 64;
    }
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The T most probable buckets of each query; shares [M]: what a bucket's probability counts. */
static void most_probable(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                          size_t T, const double *shares, uint8_t chosen[Q][M])
{
    static float p[Q * M];
    struct nlsh_searcher *s;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_route(s, queries, p, NULL), NLSH_OK);
    memset(chosen, 0, Q * M);
    for (size_t q = 0; q < Q; q++)
        for (size_t t = 0; t < T; t++) {
            size_t best = M;
            for (size_t b = 0; b < M; b++)
                if (!chosen[q][b] && (best == M || (double)p[q * M + b] * shares[b] >
                                                       (double)p[q * M + best] * shares[best]))
                    best = b;
            chosen[q][best] = 1;
        }
    nlsh_searcher_free(s);
}

/* One query after another, a batch and pools of several sizes: all say the same. */
static void ask_everyone(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                         struct nlsh_search_options how)
{
    struct nlsh_searcher *s;
    struct nlsh_error error;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    memset(&stats, 0, sizeof stats);
    if (nlsh_search(s, queries, &how, keys, distances, COUNT_INTO(&stats), &error) != NLSH_OK)
        fail_msg("%s", error.message);
    nlsh_searcher_free(s);
    for (size_t threads = 1; threads <= 3; threads++)
        for (int kept = 0; kept < 2; kept++) {
            struct nlsh_searcher_pool *pool;
            how.n_threads = threads;
            memset(again, 1, sizeof again);
            memset(&stats_again, 0, sizeof stats_again);
            assert_int_equal(nlsh_searcher_pool_create(index, threads, &pool, NULL), NLSH_OK);
            enum nlsh_status status =
                kept ? nlsh_searcher_pool_search(pool, queries, &how, again, distances_again,
                                                 COUNT_INTO(&stats_again), NULL)
                     : nlsh_search_batch(index, queries, &how, again, distances_again,
                                         COUNT_INTO(&stats_again), NULL);
            assert_int_equal(status, NLSH_OK);
            nlsh_searcher_pool_free(pool);
            assert_memory_equal(keys, again, sizeof keys);
            assert_memory_equal(distances, distances_again, sizeof distances);
            assert_memory_equal(&stats, &stats_again, sizeof stats);
        }
}

static int has_bit(const uint64_t *bits, size_t i)
{
    return (int)(bits[i / 64] >> i % 64 & 1);
}

static int key_is_odd(void *user, uint64_t key)
{
    (void)user;
    return (int)(row_of(key) & 1);
}

/* Rows that a filter and tombstones leave; the share that they are of each bucket [M], and how many. */
static size_t who_may(const struct fixture *f, const struct nlsh_index *index,
                      const struct nlsh_filter *filter, uint8_t may[N], double *shares)
{
    size_t n = 0, sizes[M] = {0}, left[M] = {0};
    for (size_t s = 0; s < index->n_segments; s++) {
        const struct nlsh__segment *segment = &index->segments[s];
        for (size_t r = 0; r < segment->n_rows; r++) {
            size_t row = segment->first_row + r;
            may[row] = !(segment->tombstones && is_dead(row)) &&
                       !(filter && filter->bits &&
                         (row >= filter->n_bits || !has_bit(filter->bits, row))) &&
                       !(filter && filter->allows && !(row & 1));
            n += may[row];
            sizes[f->bucket_of[row]]++;
            left[f->bucket_of[row]] += may[row];
        }
    }
    for (size_t b = 0; b < M; b++)
        shares[b] = filter == NULL ? 1 : (double)left[b] / (double)(sizes[b] + !sizes[b]);
    return n;
}

/* With a filter more buckets than T are scanned where those hold too little: what is found is no worse than what T
 * buckets have, and as many as there are. */
static void compare_some(const struct fixture *f, size_t q, size_t n_want, const uint8_t *may,
                         size_t n_may)
{
    size_t n = 0;
    for (size_t i = 0; i < K && keys[q * K + i] != NLSH_NO_KEY; i++, n++) {
        size_t row = row_of(keys[q * K + i]);
        double l2sq = true_l2sq(&f->queries, q, &f->base, row);
        double d = (double)distances[q * K + i];
        assert_true(row < N && may[row]);
        assert_true(fabs(d * d - l2sq) <= 1e-4 * (1 + l2sq));
        if (i < n_want) assert_true(l2sq <= want[i].l2sq * (1 + 1e-4));
        for (size_t j = 0; j < i; j++) assert_true(keys[q * K + i] != keys[q * K + j]);
    }
    assert_int_equal(n, n_may < K ? n_may : K);
    assert_true(stats.ranked[q] >= n && stats.candidates[q] >= stats.ranked[q]);
}

/* Asks with T buckets and a filter, and compares with brute force over what may be found there. */
static void compare(const struct fixture *f, const struct nlsh_index *index, double probes,
                    const struct nlsh_filter *filter)
{
    struct nlsh_search_options how;
    static uint8_t chosen[Q][M], may[N];
    double shares[M];
    uint64_t rows[K];
    size_t n_all[Q] = {0};
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    how.probes = probes;
    how.filter = filter;
    size_t n_may = who_may(f, index, filter, may, shares);
    most_probable(index, &f->queries, (size_t)probes, shares, chosen);
    ask_everyone(index, &f->queries, how);
    for (size_t q = 0; q < Q; q++) {
        for (size_t row = 0; row < N; row++) {
            n_all[q] += chosen[q][f->bucket_of[row]];
            allowed[row] = chosen[q][f->bucket_of[row]] && may[row];
        }
        size_t n = naive_search(&f->base, allowed, &f->queries, q, want);
        if (filter != NULL && probes < M) {
            compare_some(f, q, n < K ? n : K, may, n_may);
            continue;
        }
        for (size_t i = 0; i < K; i++) rows[i] = row_of(keys[q * K + i]);
        for (size_t i = 0; i < K && keys[q * K + i] != NLSH_NO_KEY; i++) {
            const struct nlsh__segment *segment = index->segments + index->n_segments - 1;
            while (rows[i] < segment->first_row) segment--;
            assert_int_equal(keys[q * K + i] >= FIRST_KEY, segment->keys != NULL);
        }
        check_answer(&f->base, &f->queries, q, want, n, K, rows, distances + q * K,
                     exact_pair(f->kind, f->kind));
        if (filter == NULL) assert_int_equal(stats.probes[q], (uint32_t)probes);
        assert_int_equal(stats.candidates[q], filter == NULL ? n_all[q] : n);
        assert_int_equal(stats.ranked[q], n); /* what is hidden is not measured */
    }
}

static void compare_filters(const struct fixture *f, const struct nlsh_index *index)
{
    uint64_t bits[N / 64 + 1];
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        bits[i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
    const struct nlsh_filter filters[] = {
        {.bits = bits, .n_bits = N},
        {.bits = bits, .n_bits = 300}, /* rows behind them are not allowed */
        {.bits = bits, .n_bits = 0},   /* nothing is */
        {.allows = key_is_odd},
        {.bits = bits, .n_bits = 650, .allows = key_is_odd},
    };
    for (double probes = 2; probes <= M; probes += M - 2) {
        compare(f, index, probes, NULL);
        for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
            compare(f, index, probes, &filters[i]);
    }
}

static void check_info(const struct nlsh_index *index, const struct segmented *s)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_segment segment = {.struct_size = sizeof segment};
    size_t n_alive = 0, n = s->meta.n_segments;
    int any_keys = 0;
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    for (size_t i = 0; i < n; i++) {
        const struct nlsh__segment *own = &index->segments[i];
        for (size_t row = s->first[i]; row < s->first[i + 1]; row++)
            n_alive += !(own->tombstones && is_dead(row));
        any_keys |= own->keys != NULL;
        assert_int_equal(nlsh_index_segment(index, i, &segment), 1);
        assert_int_equal(segment.n_rows, s->first[i + 1] - s->first[i]);
        assert_ptr_equal(segment.keys, own->keys);
    }
    assert_int_equal(nlsh_index_segment(index, n, &segment), 0);
    assert_int_equal(info.n_segments, n);
    assert_int_equal(info.n_rows, n_alive);
    assert_int_equal(info.has_keys, any_keys);
    size_t largest = 0, smallest = N;
    for (size_t b = 0; b < M; b++) {
        const uint32_t *of = index->segments[0].bucket_offsets;
        size_t size = 0;
        for (size_t i = 0; i < n; i++) {
            of = index->segments[i].bucket_offsets;
            size += of[b + 1] - of[b];
        }
        largest = size > largest ? size : largest;
        smallest = size < smallest ? size : smallest;
    }
    assert_int_equal(info.bucket_max, largest);
    assert_int_equal(info.bucket_min, smallest);
}

/* Margins so wide that every row that is scanned is ranked: any number of buckets is brute force then. */
static void segments_answer_as_brute_force(void **state)
{
    (void)state;
    static const struct {
        size_t n, n_rows[MOST_SEGMENTS];
        unsigned codes, keys, tombstones; /* a bit for each segment */
    } cuts[] = {
        {1, {N}, 1, 1, 1},      {2, {400, 300}, 3, 0, 0},     {2, {699, 1}, 0, 2, 1},
        {2, {1, 699}, 2, 1, 2}, {3, {300, 17, 383}, 7, 5, 6}, {3, {64, 256, 380}, 5, 7, 7},
    };
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct fixture f;
        fixture_begin(&f, kind);
        for (size_t c = kind % TEST_STRIDE; c < sizeof cuts / sizeof *cuts; c += TEST_STRIDE) {
            struct segmented s;
            segmented_cut(&s, f.whole, &f.base, cuts[c].n, cuts[c].n_rows, cuts[c].codes);
            segmented_wide_margins(&s, 1e8f);
            for (size_t i = 0; i < cuts[c].n; i++) {
                if (cuts[c].keys >> i & 1) add_keys(&s, i);
                if (cuts[c].tombstones >> i & 1) add_tombstones(&s, i);
            }
            struct nlsh_index *index = opened(&s, "segments");
            check_info(index, &s);
            compare_filters(&f, index);
            nlsh_index_close(index);
            segmented_free(&s);
        }
        fixture_end(&f);
    }
}

/* With margins as they were measured, a recall or a number of rows to rank: everyone says the same, nothing
 * dead or twice, and what is found is about what the whole finds. */
static void segments_keep_what_was_promised(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct fixture f;
        struct segmented s;
        fixture_begin(&f, kind);
        segmented_cut(&s, f.whole, &f.base, 3, (size_t[]){300, 17, 383}, 7);
        add_keys(&s, 1);
        struct nlsh_index *index = opened(&s, "segments");
        for (size_t i = 0; i < 4; i++) {
            struct nlsh_search_options how;
            size_t hits = 0, found = 0;
            nlsh_search_options_init(&how, sizeof how);
            how.k = K;
            how.recall = i == 0 ? 0.9 : 0.99;
            how.probes = i == 3 ? 0.05 : 0;
            how.rerank = i == 2 ? 60 : 0;
            struct nlsh_searcher *whole;
            static uint64_t of_whole[Q * K];
            assert_int_equal(nlsh_searcher_create(f.whole, &whole, NULL), NLSH_OK);
            assert_int_equal(nlsh_search(whole, &f.queries, &how, of_whole, NULL, NULL, NULL),
                             NLSH_OK);
            nlsh_searcher_free(whole);
            ask_everyone(index, &f.queries, how);
            for (size_t q = 0; q < Q; q++)
                for (size_t a = q * K; a < (q + 1) * K && keys[a] != NLSH_NO_KEY; a++, found++)
                    for (size_t b = q * K; b < (q + 1) * K; b++)
                        hits += row_of(keys[a]) == of_whole[b];
            assert_true(found >= Q * K / 2 && (double)hits >= 0.97 * (double)found);
        }
        nlsh_index_close(index);
        segmented_free(&s);
        fixture_end(&f);
    }
}

/* ---- files that do not hold together --------------------------------------------------------- */

static void expect(const struct segmented *s, enum nlsh_status open, enum nlsh_status verify,
                   const char *words)
{
    struct nlsh_index *index;
    struct nlsh_error error;
    write_to(s, "hostile");
    enum nlsh_status status = nlsh_index_open(test_path("hostile"), NULL, &index, &error);
    if (status != open) fail_msg("%s: open says %s", words, error.message);
    assert_int_equal(index != NULL, open == NLSH_OK);
    nlsh_index_close(index);
    status = nlsh_index_verify(test_path("hostile"), &error);
    if (status != verify || strstr(error.message, words) == NULL)
        fail_msg("%s: verify says %s", words, error.message);
}

static void refused(const struct segmented *s, const char *words)
{
    expect(s, NLSH_E_DATA, NLSH_E_DATA, words);
}

static void cut_in_two(struct segmented *s, const struct fixture *f)
{
    segmented_cut(s, f->whole, &f->base, 2, (size_t[]){400, 300}, 3);
}

static void what_a_segment_lacks(void **state)
{
    (void)state;
    static const enum nlsh__section_kind kinds[] = {NLSH__SECTION_BUCKETS, NLSH__SECTION_ROWS,
                                                    NLSH__SECTION_VECTORS};
    struct fixture f;
    struct segmented s;
    fixture_begin(&f, KIND_U8);
    for (size_t i = 0; i < 3; i++)
        for (size_t segment = 0; segment < 2; segment++) {
            char words[80];
            snprintf(words, sizeof words, "no section %s of segment %zu",
                     nlsh__section_name(kinds[i]), segment);
            cut_in_two(&s, &f);
            segmented_drop(&s, kinds[i], segment);
            refused(&s, words);
            segmented_free(&s);
        }
    cut_in_two(&s, &f);
    segmented_drop(&s, NLSH__SECTION_SEGMENT, 1);
    refused(&s, "segment 1 has 700 rows");
    segmented_free(&s);
    cut_in_two(&s, &f); /* codes are not needed */
    segmented_drop(&s, NLSH__SECTION_CODES, 1);
    expect(&s, NLSH_OK, NLSH_OK, "");
    s.meta.n_segments = 3;
    refused(&s, "rows"); /* none are left for a third */
    s.meta.n_segments = 1;
    refused(&s, "the segments hold 400 rows");
    segmented_free(&s);
    fixture_end(&f);
}

static void rows_that_do_not_add_up(void **state)
{
    (void)state;
    struct fixture f;
    struct segmented s;
    fixture_begin(&f, KIND_U8);
    cut_in_two(&s, &f);
    s.meta.n_rows = N + 1;
    refused(&s, "the segments hold 700 rows, and there are to be 701");
    s.meta.n_rows = N - 1;
    refused(&s, "segment 1 has 300 rows, all have 699");
    s.meta.n_rows = N;
    static const uint64_t wrong[] = {0, 299, 301, UINT32_MAX, UINT64_MAX, UINT64_MAX - 399};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s.of[1].n_rows = wrong[i];
        refused(&s, i == 1 ? "section rows of segment 1" : "segment 1 has");
    }
    s.of[1].n_rows = 300;
    s.of[1].data_hash ^= 1;
    expect(&s, NLSH_OK, NLSH_E_DATA, "not those it says");
    s.of[1].data_hash ^= 1;
    uint32_t *rows = (uint32_t *)(uintptr_t)segmented_find(&s, NLSH__SECTION_ROWS, 1)->data;
    uint32_t kept = rows[5];
    rows[5] = rows[6];
    refused(&s, "segment 1: place 6 holds row");
    rows[5] = 300; /* a row of all, but none of the segment */
    refused(&s, "segment 1: place 5 holds row 300, which is too large");
    rows[5] = kept;
    uint32_t *offsets = (uint32_t *)(uintptr_t)segmented_find(&s, NLSH__SECTION_BUCKETS, 1)->data;
    offsets[M]--;
    refused(&s, "segment 1: the buckets hold places 0 to 299");
    offsets[M]++;
    expect(&s, NLSH_OK, NLSH_OK, "");
    segmented_free(&s);
    fixture_end(&f);
}

static void keys_and_tombstones_that_do_not_fit(void **state)
{
    (void)state;
    struct fixture f;
    struct segmented s;
    fixture_begin(&f, KIND_U8);
    cut_in_two(&s, &f);
    uint64_t *own = segmented_keys(&s, 1), *bits = segmented_tombstones(&s, 0);
    for (size_t i = 0; i < 300; i++) own[i] = key_of(400 + i);
    struct nlsh__section_data *data = segmented_find(&s, NLSH__SECTION_KEYS, 1);
    const size_t key_sizes[] = {0, 8, 299 * 8, 300 * 8 - 1, 300 * 8 + 1, 300 * 4};
    for (size_t i = 0; i < sizeof key_sizes / sizeof *key_sizes; i++) {
        data->size = key_sizes[i];
        refused(&s, "section keys of segment 1");
    }
    data->size = 300 * 8;
    data = segmented_find(&s, NLSH__SECTION_TOMBSTONES, 0);
    const size_t bit_sizes[] = {0, 8, 6 * 8, 50, 7 * 8 + 1};
    for (size_t i = 0; i < sizeof bit_sizes / sizeof *bit_sizes; i++) {
        data->size = bit_sizes[i];
        refused(&s, "section tombstones of segment 0");
    }
    data->size = 7 * 8;
    expect(&s, NLSH_OK, NLSH_OK, "");
    bits[6] = ~UINT64_C(0) << 16; /* behind the last row: nobody's */
    struct nlsh_index *index = opened(&s, "segments");
    assert_int_equal(index->n_deleted, 0);
    nlsh_index_close(index);

    /* Twice in a segment; twice in two, of which one has row numbers; and once where one is dead. */
    own[7] = own[9];
    expect(&s, NLSH_OK, NLSH_E_DATA, "is there twice");
    own[7] = 33;
    expect(&s, NLSH_OK, NLSH_E_DATA, "the key 33 is there twice");
    bits[0] |= UINT64_C(1) << 33;
    expect(&s, NLSH_OK, NLSH_OK, "");
    own[7] = NLSH_NO_KEY;
    expect(&s, NLSH_OK, NLSH_E_DATA, "is none");
    segmented_free(&s);
    fixture_end(&f);
}

/* ---- files of the future --------------------------------------------------------------------- */

/* The file, with one entry changed and its header sealed again. */
static void patch(unsigned kind, unsigned segment, unsigned flags, unsigned more_versions)
{
    size_t size;
    uint8_t *file = test_read_file(test_path("future"), &size);
    struct nlsh__index_header *header = (void *)file;
    struct nlsh__index_entry *entries = (void *)(file + sizeof *header);
    size_t i = 0;
    while (i < header->n_sections && (entries[i].kind != kind || entries[i].segment != segment))
        i++;
    assert_true(i < header->n_sections);
    entries[i].flags |= (uint16_t)flags;
    entries[i].version = (uint16_t)(entries[i].version + more_versions);
    header->checksum = nlsh__index_checksum(header, entries);
    test_write_file(test_path("future"), file, size);
    free(file);
}

static void sections_of_the_future(void **state)
{
    (void)state;
    enum { UNKNOWN = 99 };
    struct fixture f;
    struct segmented s;
    struct nlsh_index *index;
    struct nlsh_error error;
    fixture_begin(&f, KIND_F32);
    cut_in_two(&s, &f);
    segmented_wide_margins(&s, 1e8f);
    add_keys(&s, 1);
    segmented_add(&s, (enum nlsh__section_kind)UNKNOWN, 1, "of the future", 13);
    static const struct {
        unsigned kind, segment, flags, more_versions;
        enum nlsh_status status;
    } changes[] = {
        {UNKNOWN, 1, 0xfffe, 3, NLSH_OK},
        {UNKNOWN, 1, NLSH__SECTION_REQUIRED, 0, NLSH_E_UNSUPPORTED},
        {NLSH__SECTION_CODES, 1, 0, 1, NLSH_OK}, /* skipped: its rows are ranked exactly */
        {NLSH__SECTION_CODES, 0, NLSH__SECTION_REQUIRED, 1, NLSH_E_UNSUPPORTED},
        {NLSH__SECTION_MARGINS, 0, 0, 7, NLSH_OK},
        {NLSH__SECTION_EFFORTS, 0, 0, 1, NLSH_OK},
        {NLSH__SECTION_OUTSIDE, 0, 0, 1, NLSH_OK},
        {NLSH__SECTION_KEYS, 1, 0, 1, NLSH_E_UNSUPPORTED},
        {NLSH__SECTION_VECTORS, 0, 0, 1, NLSH_E_UNSUPPORTED},
        {NLSH__SECTION_SEGMENT, 0, 0, 1, NLSH_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        write_to(&s, "future");
        patch(changes[i].kind, changes[i].segment, changes[i].flags, changes[i].more_versions);
        assert_int_equal(nlsh_index_verify(test_path("future"), &error), changes[i].status);
        assert_int_equal(nlsh_index_open(test_path("future"), NULL, &index, &error),
                         changes[i].status);
        if (changes[i].status != NLSH_OK) {
            assert_non_null(strstr(error.message, "newer nlsh"));
            continue;
        }
        if (changes[i].kind == NLSH__SECTION_CODES) assert_null(index->segments[1].codes);
        if (changes[i].kind == NLSH__SECTION_MARGINS) assert_int_equal(index->row_margins.n_ks, 0);
        if (changes[i].kind != NLSH__SECTION_MARGINS) compare(&f, index, 2, NULL);
        compare(&f, index, M, NULL);
        nlsh_index_close(index);
    }
    segmented_free(&s);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_answer_as_brute_force),
        cmocka_unit_test(segments_keep_what_was_promised),
        cmocka_unit_test(what_a_segment_lacks),
        cmocka_unit_test(rows_that_do_not_add_up),
        cmocka_unit_test(keys_and_tombstones_that_do_not_fit),
        cmocka_unit_test(sections_of_the_future),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("index/segments", tests, NULL, NULL));
}
