/*
 * test_model.c - an index that changes holds what a plain array holds after the same calls: whatever its vectors,
 * metric and codes are, through reopening, compaction and processes that are killed; for who writes, who has it
 * open, who opens it anew, and who still looks at what was. NLSH_LIVE_STEPS says how many calls, NLSH_SOAK_SECONDS
 * for how long with seed after seed.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "support/live.h"
#include "support/segments.h"

enum { STEPS = 60, K = 10, QUERIES = 4, OLD = 3, MOST_LATER = 6 };

static struct nlsh_matrix pool, queries;

/* An index, and all who look at it. */
struct world {
    struct nlsh__rng rng;
    enum nlsh_metric metric;
    const char *path;
    struct nlsh_writer *writer;
    struct model now;
    struct nlsh_index *old[OLD]; /* states, and what they held */
    struct model then[OLD];
    struct nlsh_index *reader; /* opened by its path, refreshed now and then */
    struct nlsh_searcher *searcher;
    const struct nlsh_index *searched; /* what the searcher serves */
    size_t n_compacted, n_killed;
};

/* ---- bases ----------------------------------------------------------------------------------- */

enum variant { PLAIN, KEYED, NO_LEAVES, INNER, COSINE, NO_CODES, SEGMENTS, SIGNED, N_VARIANTS };
static const char *const variant_names[] = {"plain",  "keyed",    "no leaves", "inner product",
                                            "cosine", "no codes", "segments",  "signed"};
static const enum kind kinds[] = {KIND_U8,  KIND_F32,   KIND_F32, KIND_F32,
                                  KIND_F32, KIND_WHOLE, KIND_U8,  KIND_I8};

static struct {
    uint8_t *bytes;
    size_t size;
} built[N_VARIANTS]; /* each once */

/* The base in three segments: one with deleted rows, one without codes, one with keys. */
static void cut(const char *path, const struct nlsh_matrix *base, struct model *m)
{
    static const size_t sizes[] = {300, 100, 200};
    struct segmented s;
    struct nlsh_error error;
    struct nlsh_index *whole = index_opened(path);
    segmented_cut(&s, whole, base, 3, sizes, 5);
    uint64_t *dead = segmented_tombstones(&s, 0), *keys = segmented_keys(&s, 2);
    for (size_t i = 0; i < 200; i++) keys[i] = 90000 + 11 * i;
    m->n = 0;
    for (uint32_t row = 0; row < LIVE_BASE; row++) {
        if (row % 7 == 3 && row < 300) {
            dead[row / 64] |= UINT64_C(1) << row % 64;
            continue;
        }
        model_put(m, row < 400 ? row : keys[row - 400], row);
    }
    if (nlsh__index_write(path, s.sections, s.n_sections, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    nlsh_index_close(whole);
    segmented_free(&s);
}

static void build_base(struct world *w, enum variant v)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base;
    static uint64_t keys[LIVE_BASE];
    small_options(&o, LIVE_BUCKETS);
    base_of(&pool, v == KEYED ? keys : NULL, &w->now, &base);
    if (v == KEYED) o.keys = keys;
    if (v == INNER || v == COSINE) o.metric = v == INNER ? NLSH_IP : NLSH_COSINE;
    if (v == NO_LEAVES || v == SEGMENTS) o.leaves = 0;
    if (v == NO_CODES) o.code_bytes = 0;
    w->metric = o.metric;
    if (built[v].bytes == NULL) {
        nlsh_index_close(built_index(&base, &o, "live"));
        built[v].bytes = test_read_file(w->path, &built[v].size);
    }
    test_write_file(w->path, built[v].bytes, built[v].size);
    if (v == SEGMENTS) cut(w->path, &base, &w->now);
}

/* ---- looking --------------------------------------------------------------------------------- */

static void use(struct world *w, const struct nlsh_index *index)
{
    struct nlsh_error error;
    if (w->searched == index) return;
    enum nlsh_status status = w->searcher == NULL
                                  ? nlsh_searcher_create(index, &w->searcher, &error)
                                  : nlsh_searcher_use(w->searcher, index, &error);
    if (status != NLSH_OK) fail_msg("%s", error.message);
    w->searched = index;
}

/* The same filter by row numbers. */
static uint64_t *bits_of(const struct nlsh_index *index, size_t *n)
{
    *n = (size_t)index->meta.n_rows;
    uint64_t *bits = calloc(*n / 64 + 1, sizeof *bits);
    assert_non_null(bits);
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t r = 0; r < s->n_rows; r++) {
            size_t row = s->first_row + r;
            uint64_t key = s->keys != NULL ? s->keys[r] : row;
            bits[row / 64] |= (uint64_t)model_allows(NULL, key) << row % 64;
        }
    }
    return bits;
}

static void check_range(struct world *w, const struct model *m, const struct found *want, size_t n,
                        size_t q, const struct nlsh_search_options *o)
{
    static uint64_t keys[LIVE_MOST];
    static float distances[LIVE_MOST];
    struct nlsh_matrix one = queries;
    struct nlsh_error error;
    size_t found, at = n < 12 ? n / 2 : 11;
    if (n < 2) return;
    /* between two of them, so that rounding decides nothing */
    while (at < n && want[at].distance - want[at - 1].distance < 1e-3) at++;
    if (at >= n) return;
    double radius = (want[at - 1].distance + want[at].distance) / 2;
    if (w->metric == NLSH_L2) radius = sqrt(radius);
    if (w->metric == NLSH_COSINE && radius < 0) return;
    one.data = (const uint8_t *)queries.data + q * queries.dim * value_bytes(&queries);
    one.n_rows = 1;
    if (nlsh_search_range(w->searcher, &one, o, radius, keys, distances, LIVE_MOST, &found,
                          &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(found, at);
    check_found(m, &pool, w->metric, &queries, q, want, at, found, keys, distances);
}

/* All buckets are searched: alone, as a batch, filtered both ways, within a radius. */
static void check_search(struct world *w, const struct model *m, const struct nlsh_index *index)
{
    static struct found want[LIVE_MOST];
    uint64_t keys[QUERIES * K], again[QUERIES * K];
    float distances[QUERIES * K], distances_again[QUERIES * K];
    struct nlsh_filter filter = {.allows = model_allows};
    struct nlsh_search_options o;
    struct nlsh_error error;
    uint64_t way = nlsh__rng_below(&w->rng, 4);
    uint64_t *bits = NULL;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K < index->meta.n_rows ? K : (size_t)index->meta.n_rows;
    o.probes = LIVE_BUCKETS;
    if (way == 1) filter = (struct nlsh_filter){.bits = bits = bits_of(index, &filter.n_bits)};
    if (way == 1) filter.n_bits = (size_t)index->meta.n_rows;
    if (way <= 1) o.filter = &filter;
    use(w, index);
    if (nlsh_search(w->searcher, &queries, &o, keys, distances, NULL, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    o.n_threads = 2;
    if (nlsh_search_batch(index, &queries, &o, again, distances_again, NULL, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_memory_equal(keys, again, queries.n_rows * o.k * sizeof *keys);
    for (size_t q = 0; q < QUERIES; q++) {
        size_t n = model_search(m, &pool, w->metric, o.filter != NULL, &queries, q, want);
        check_found(m, &pool, w->metric, &queries, q, want, n, o.k, keys + q * o.k,
                    distances + q * o.k);
        if (q == 0) check_range(w, m, want, n, q, &o);
    }
    free(bits);
}

/* The mean share of the nearest that a search for a recall of .95 finds. */
static double recall_of(struct world *w, const struct model *m, const struct nlsh_index *index)
{
    enum { N = 60 };
    static struct found want[LIVE_MOST];
    static uint64_t keys[N * K];
    static float distances[N * K];
    struct nlsh_matrix some = pool;
    double found = 0;
    some.n_rows = N;
    use(w, index);
    assert_int_equal(nlsh_search(w->searcher, &some, NULL, keys, distances, NULL, NULL), NLSH_OK);
    for (size_t q = 0; q < N; q++) {
        size_t n = model_search(m, &pool, w->metric, 0, &some, q, want);
        assert_true(n >= K);
        double last = want[K - 1].distance + 1e-4 * (1 + fabs(want[K - 1].distance));
        for (size_t i = 0; i < K; i++) {
            double d = (double)distances[q * K + i];
            found += (w->metric == NLSH_L2 ? d * d : d) <= last;
        }
    }
    return found / (N * K);
}

static void check(struct world *w, const struct model *m, const struct nlsh_index *index)
{
    check_holds(m, index, &pool);
    check_search(w, m, index);
    if (m->n > 500 && nlsh__rng_below(&w->rng, 8) == 0) assert_true(recall_of(w, m, index) > .8);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void open_writer(struct world *w)
{
    struct nlsh_writer_options o;
    nlsh_writer_options_init(&o, sizeof o);
    o.memory = (enum nlsh_memory)nlsh__rng_below(&w->rng, 3);
    o.sync = nlsh__rng_below(&w->rng, 8) > 0 ? NLSH_SYNC_FLUSH
                                             : (enum nlsh_sync)nlsh__rng_below(&w->rng, 2);
    w->writer = writer_opened(w->path, &o);
}

static void close_writer(struct world *w)
{
    struct nlsh_error error;
    if (nlsh_writer_close(w->writer, &error) != NLSH_OK) fail_msg("%s", error.message);
    w->writer = NULL;
}

static void change(struct world *w)
{
    struct change c;
    struct nlsh_error error;
    size_t deleted;
    draw_change(&w->rng, &w->now, &c);
    if (writer_change(w->writer, &pool, &c, &deleted, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    assert_int_equal(deleted, model_change(&w->now, &c));
}

/* The state of now in place of an old one. */
static void take_snapshot(struct world *w)
{
    size_t i = nlsh__rng_below(&w->rng, OLD);
    struct nlsh_index *was = w->old[i];
    assert_int_equal(nlsh_writer_snapshot(w->writer, &w->old[i], NULL), NLSH_OK);
    model_copy(&w->then[i], &w->now);
    check(w, &w->now, w->old[i]);
    nlsh_index_close(was);
}

/* A state that there was, or the reader, sees what is there now. */
static void refresh(struct world *w, struct nlsh_index **index, const struct model *held)
{
    struct nlsh_index *now, *none;
    struct nlsh_error error;
    if (held != NULL) check(w, held, *index);
    if (nlsh_index_refresh(*index, &now, &error) != NLSH_OK) fail_msg("%s", error.message);
    if (now == NULL) {
        check(w, &w->now, *index);
        return;
    }
    check(w, &w->now, now);
    assert_int_equal(nlsh_index_refresh(now, &none, NULL), NLSH_OK);
    assert_null(none);
    if (held != NULL) check(w, held, *index);
    use(w, now);
    nlsh_index_close(*index);
    *index = now;
}

static void compact(struct world *w)
{
    static const size_t threads[] = {1, 2, 5};
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    struct nlsh_run run = {.struct_size = sizeof run,
                           .n_threads = threads[nlsh__rng_below(&w->rng, 3)]};
    struct nlsh_error error;
    if (w->now.n == 0) return;
    close_writer(w);
    if (nlsh_compact(w->path, NULL, &run, &report, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    assert_int_equal(report.n_rows, w->now.n);
    struct nlsh_index *index = index_opened(w->path);
    assert_int_equal(index->n_segments, 1);
    assert_int_equal(index->log_now.rows, 0);
    check(w, &w->now, index);
    if (w->now.n > 500) assert_true(recall_of(w, &w->now, index) > .85);
    use(w, w->reader);
    nlsh_index_close(index);
    if (nlsh_index_verify(w->path, &error) != NLSH_OK) fail_msg("%s", error.message);
    open_writer(w);
    w->n_compacted++;
    /* keys that are gone for good may come again */
    for (size_t i = w->now.next_key = 0; i < w->now.n; i++)
        if (w->now.keys[i] >= w->now.next_key) w->now.next_key = w->now.keys[i] + 1;
}

/* A process changes and is killed: what it said to have done is there, and of what it was at all or nothing. */
static void be_killed(struct world *w)
{
    struct change later[MOST_LATER];
    struct model after;
    struct nlsh_error error;
    int ends[2];
    char byte;
    size_t n = 1 + nlsh__rng_below(&w->rng, MOST_LATER), acknowledged = 0, deleted;
    size_t enough = nlsh__rng_below(&w->rng, n + 1);
    model_init(&after);
    model_copy(&after, &w->now);
    for (size_t i = 0; i < n; i++) {
        draw_change(&w->rng, &after, &later[i]);
        (void)model_change(&after, &later[i]);
    }
    close_writer(w);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct nlsh_writer *writer;
        if (nlsh_writer_open(w->path, NULL, &writer, &error) != NLSH_OK) _exit(1);
        for (size_t i = 0; i < n; i++) {
            if (writer_change(writer, &pool, &later[i], &deleted, &error) != NLSH_OK) _exit(2);
            if (write(ends[1], "", 1) != 1) _exit(3);
        }
        (void)pause();
    }
    close(ends[1]);
    while (acknowledged < enough && read(ends[0], &byte, 1) == 1) acknowledged++;
    if (nlsh__rng_below(&w->rng, 2)) usleep((useconds_t)nlsh__rng_below(&w->rng, 300));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(ends[0], &byte, 1) == 1) acknowledged++;
    close(ends[0]);
    assert_true(acknowledged >= enough);
    struct nlsh_index *index = index_opened(w->path);
    for (size_t i = 0; i < acknowledged; i++) (void)model_change(&w->now, &later[i]);
    if (acknowledged < n && model_differs(&w->now, index, &pool) != NULL)
        (void)model_change(&w->now, &later[acknowledged]);
    check(w, &w->now, index);
    use(w, w->reader);
    nlsh_index_close(index);
    model_free(&after);
    open_writer(w);
    w->n_killed++;
}

static void step(struct world *w)
{
    struct nlsh_index *index;
    uint64_t draw = nlsh__rng_below(&w->rng, 40);
    size_t i = nlsh__rng_below(&w->rng, OLD);
    if (draw < 24) {
        change(w);
    } else if (draw < 26) {
        assert_int_equal(nlsh_writer_flush(w->writer, NULL), NLSH_OK);
    } else if (draw < 29) {
        take_snapshot(w);
    } else if (draw < 32) {
        refresh(w, &w->reader, NULL);
    } else if (draw < 34 && w->old[i] != NULL) {
        refresh(w, &w->old[i], &w->then[i]);
        model_copy(&w->then[i], &w->now);
    } else if (draw < 36) {
        close_writer(w);
        open_writer(w);
        take_snapshot(w);
    } else if (draw < 38) {
        index = index_opened(w->path);
        check(w, &w->now, index);
        use(w, w->reader);
        nlsh_index_close(index);
    } else if (draw < 39) {
        compact(w);
    } else {
        be_killed(w);
    }
    assert_true(nlsh_writer_next_key(w->writer) >= w->now.next_key);
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void run(enum variant v, uint64_t stream, size_t n_steps)
{
    struct world w = {.path = test_path("live")};
    char path[512];
    struct nlsh_error error;
    snprintf(path, sizeof path, "%s", w.path);
    w.path = path;
    test_rng(&w.rng, 100 * stream + v);
    pool = matrix_new(kinds[v], LIVE_POOL, LIVE_DIM, 10, 12, 7);
    queries = matrix_new(kinds[v], QUERIES, LIVE_DIM, 10, 12, 8);
    model_init(&w.now);
    for (size_t i = 0; i < OLD; i++) model_init(&w.then[i]);
    build_base(&w, v);
    w.reader = index_opened(path);
    open_writer(&w);
    for (size_t i = 0; i < n_steps; i++) step(&w);
    compact(&w);
    close_writer(&w);
    refresh(&w, &w.reader, NULL);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    nlsh_searcher_free(w.searcher);
    nlsh_index_close(w.reader);
    for (size_t i = 0; i < OLD; i++) {
        nlsh_index_close(w.old[i]);
        model_free(&w.then[i]);
    }
    model_free(&w.now);
    matrix_free(&pool);
    matrix_free(&queries);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(log_path_of(path)), 0);
}

/* Vectors that no row of the base is like, so that codes say little of them, are found by themselves. */
static void what_is_far_from_all_buckets_is_found(void **state)
{
    enum { N = 300 };
    static uint8_t bytes[N * LIVE_DIM];
    static uint64_t keys[N], found[N];
    struct world w = {.path = test_path("live")};
    const struct nlsh_matrix far = {bytes, N, LIVE_DIM, NLSH_U8, 0};
    struct nlsh_search_options o;
    struct nlsh_index *index;
    size_t n = 0;
    (void)state;
    test_rng(&w.rng, 50);
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    model_init(&w.now);
    build_base(&w, PLAIN);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)nlsh__rng_u64(&w.rng);
    for (size_t i = 0; i < N; i++) keys[i] = 10000 + i;
    w.writer = writer_opened(w.path, NULL);
    assert_int_equal(nlsh_writer_put(w.writer, keys, &far, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_snapshot(w.writer, &index, NULL), NLSH_OK);
    nlsh_search_options_init(&o, sizeof o);
    o.k = 1;
    assert_int_equal(nlsh_search_batch(index, &far, &o, found, NULL, NULL, NULL), NLSH_OK);
    for (size_t i = 0; i < N; i++) n += found[i] == keys[i];
    print_message("%zu of %d\n", n, N);
    assert_true(n >= N * 80 / 100); /* with codes of them: 58 % */
    nlsh_index_close(index);
    close_writer(&w);
    assert_int_equal(unlink(log_path_of(w.path)), 0);
    model_free(&w.now);
    matrix_free(&pool);
}

static size_t steps_wanted(void)
{
    const char *value = getenv("NLSH_LIVE_STEPS");
    return value != NULL ? strtoul(value, NULL, 10) : STEPS;
}

static void of_any_base_it_holds_what_an_array_holds(void **state)
{
    (void)state;
    for (int v = 0; v < N_VARIANTS; v++) {
        print_message("%s\n", variant_names[v]);
        run((enum variant)v, 0, steps_wanted());
    }
}

/* A model's calls, once with each number of threads; the file's bytes are the same. */
static void same_calls_give_the_same_bytes(void **state)
{
    static const size_t threads[] = {1, 2, 5};
    uint8_t *first = NULL;
    size_t first_size = 0;
    (void)state;
    for (int v = 0; v < N_VARIANTS; v++) {
        for (size_t t = 0; t < 3; t++) {
            struct world w = {.path = test_path("live")};
            struct nlsh_run how = {.struct_size = sizeof how, .n_threads = threads[t]};
            struct nlsh_error error;
            size_t size;
            test_rng(&w.rng, 9000 + (uint64_t)v);
            pool = matrix_new(kinds[v], LIVE_POOL, LIVE_DIM, 10, 12, 7);
            model_init(&w.now);
            build_base(&w, (enum variant)v);
            w.writer = writer_opened(w.path, NULL);
            for (size_t i = 0; i < 12; i++) {
                change(&w);
                if (i % 4 != t) continue;
                close_writer(&w); /* which says nothing to the log */
                w.writer = writer_opened(w.path, NULL);
            }
            close_writer(&w);
            if (nlsh_compact(w.path, NULL, &how, NULL, &error) != NLSH_OK)
                fail_msg("%s", error.message);
            uint8_t *bytes = test_read_file(w.path, &size);
            if (t > 0) {
                assert_int_equal(size, first_size);
                assert_memory_equal(bytes, first, size);
            }
            free(first);
            first = bytes;
            first_size = size;
            assert_int_equal(unlink(log_path_of(w.path)), 0);
            model_free(&w.now);
            matrix_free(&pool);
        }
    }
    free(first);
}

/* ---- for hours ------------------------------------------------------------------------------- */

/* ./dev soak: seed after seed, each in a process of its own; says the seed of a failure. */
static int soak(double seconds, const char *self)
{
    uint64_t seed = (uint64_t)time(NULL) * 1000;
    time_t end = time(NULL) + (time_t)seconds;
    size_t n = 0;
    for (; time(NULL) < end; seed++, n++) {
        char value[32];
        int how;
        snprintf(value, sizeof value, "%llu", (unsigned long long)seed);
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            unsetenv("NLSH_SOAK_SECONDS");
            setenv("NLSH_TEST_SEED", value, 1);
            if (freopen("/dev/null", "w", stdout) == NULL) _exit(1);
            execl(self, self, (char *)NULL);
            _exit(127);
        }
        if (child < 0 || waitpid(child, &how, 0) != child || how != 0) {
            printf("failed with seed %s: NLSH_TEST_SEED=%s NLSH_LIVE_STEPS=%zu %s\n", value, value,
                   steps_wanted(), self);
            return 1;
        }
    }
    printf("%zu seeds up to %llu: no failure\n", n, (unsigned long long)seed - 1);
    return 0;
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("NLSH_SOAK_SECONDS");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_any_base_it_holds_what_an_array_holds),
        cmocka_unit_test(what_is_far_from_all_buckets_is_found),
        cmocka_unit_test(same_calls_give_the_same_bytes),
    };
    (void)argc;
    if (seconds != NULL) return soak(strtod(seconds, NULL), argv[0]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t v = 0; v < N_VARIANTS; v++) free(built[v].bytes);
    return failed;
}
