/*
 * test_threads.c - readers in several threads while one writes. Each state that a reader sees is one between two calls:
 * a group of keys is replaced at once, all by vectors that say which time it was, and nobody sees two times in one
 * state, or an earlier time after a later one.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "support/live.h"

enum { GROUP = 40, TIMES = 150, READERS = 3, FIRST_KEY = 5000, K = GROUP };

static struct nlsh_matrix pool;
static char path[512];
static struct nlsh_writer *writer;
static atomic_int done, n_states;

/* Vector i of a time: the time in its first two values, far from all others. */
static void group_at(unsigned time, uint8_t *out)
{
    memset(out, 0, GROUP * LIVE_DIM);
    for (size_t i = 0; i < GROUP; i++) {
        out[i * LIVE_DIM] = (uint8_t)(time % 16 * 16);
        out[i * LIVE_DIM + 1] = (uint8_t)(time / 16 * 16);
        out[i * LIVE_DIM + 2] = (uint8_t)i;
    }
}

/* x^2 + y^2 of the time that a state is of, as a search finds it; -1: its group is not what is nearest. */
static int squares_of(struct nlsh_searcher *searcher)
{
    uint8_t query[LIVE_DIM] = {0};
    uint64_t keys[K];
    float distances[K];
    struct nlsh_search_options o;
    struct nlsh_error error;
    const struct nlsh_matrix one = {query, 1, LIVE_DIM, NLSH_U8, 0};
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.probes = LIVE_BUCKETS;
    if (nlsh_search(searcher, &one, &o, keys, distances, NULL, &error) != NLSH_OK) abort();
    int squares = -1;
    for (size_t i = 0; i < K; i++) {
        /* the square of a distance is 256 (x^2 + y^2) + i^2 */
        if (keys[i] < FIRST_KEY || keys[i] >= FIRST_KEY + GROUP) return -1;
        double n = (double)(keys[i] - FIRST_KEY), d = (double)distances[i] * (double)distances[i];
        int found = (int)lround((d - n * n) / 256);
        if (squares >= 0 && found != squares) abort(); /* two times in one state */
        squares = found;
    }
    return squares;
}

/* The group of a state is whole, row by row. Returns its time, or -1. */
static int time_of_rows(const struct nlsh_index *index)
{
    int time = -1;
    size_t n = 0;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t place = 0; place < s->n_rows && s->keys != NULL; place++) {
            uint32_t row = s->rows[place];
            const uint8_t *v = (const uint8_t *)s->vectors + place * LIVE_DIM;
            if (s->tombstones != NULL && s->tombstones[row / 64] >> row % 64 & 1) continue;
            if (s->keys[row] < FIRST_KEY || s->keys[row] >= FIRST_KEY + GROUP) continue;
            int t = v[0] / 16 + v[1];
            if (v[2] != s->keys[row] - FIRST_KEY || (n > 0 && t != time)) abort();
            time = t;
            n++;
        }
    }
    if (n != 0 && n != GROUP) abort();
    return time;
}

/* What a reader of any sort does with one state after another. */
struct reader {
    int opens; /* it opened the file by itself, and refreshes that; else it takes snapshots */
    struct nlsh_index *first;
};

static void *read_on(void *user)
{
    const struct reader *r = user;
    struct nlsh_index *now = r->first, *next;
    struct nlsh_searcher *searcher = NULL;
    struct nlsh_error error;
    int last = -1;
    int owned = 0; /* a snapshot may be the first state once more, and is to be closed then, too */
    for (int again = 2; again > 0; again -= atomic_load(&done)) {
        enum nlsh_status status = r->opens ? nlsh_index_refresh(now, &next, &error)
                                           : nlsh_writer_snapshot(writer, &next, &error);
        if (status != NLSH_OK) abort();
        if (next == NULL) continue;
        if (searcher == NULL && nlsh_searcher_create(next, &searcher, NULL) != NLSH_OK) abort();
        if (nlsh_searcher_use(searcher, next, NULL) != NLSH_OK) abort();
        int time = time_of_rows(next), squares = squares_of(searcher);
        int wanted = time % 16 * (time % 16) + time / 16 * (time / 16);
        if (time < last || (time >= 0 && squares >= 0 && squares != wanted)) abort();
        last = time;
        if (owned) nlsh_index_close(now);
        now = next;
        owned = 1;
        atomic_fetch_add(&n_states, 1);
    }
    nlsh_searcher_free(searcher);
    if (owned) nlsh_index_close(now);
    return (void *)(intptr_t)last;
}

/* An index and its writer, which syncs all the time. */
static void begin(struct model *m)
{
    struct nlsh_build_options o;
    struct nlsh_writer_options how;
    struct nlsh_matrix base;
    snprintf(path, sizeof path, "%s", test_path("threads"));
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    model_init(m);
    base_of(&pool, NULL, m, &base);
    small_options(&o, LIVE_BUCKETS);
    nlsh_index_close(built_index(&base, &o, "threads"));
    nlsh_writer_options_init(&how, sizeof how);
    how.sync = NLSH_SYNC_INTERVAL;
    how.sync_seconds = .002;
    writer = writer_opened(path, &how);
}

static void end(struct model *m)
{
    assert_int_equal(nlsh_writer_close(writer, NULL), NLSH_OK);
    (void)unlink(path);
    (void)unlink(log_path_of(path));
    model_free(m);
    matrix_free(&pool);
}

static void put_group(unsigned time)
{
    static uint8_t group[GROUP * LIVE_DIM];
    uint64_t keys[GROUP];
    const struct nlsh_matrix rows = {group, GROUP, LIVE_DIM, NLSH_U8, 0};
    for (size_t i = 0; i < GROUP; i++) keys[i] = FIRST_KEY + i;
    group_at(time, group);
    if (nlsh_writer_put(writer, keys, &rows, NULL) != NLSH_OK) abort();
}

/* No state is made before somebody asks for one: the first snapshot has all, and so has each that follows. */
static void a_first_snapshot_has_all_that_was_put(void **state)
{
    struct nlsh_index *now;
    struct model m;
    (void)state;
    begin(&m);
    for (unsigned time = 0; time < 12; time++) {
        put_group(time);
        if (time < 9) continue;
        assert_int_equal(nlsh_writer_snapshot(writer, &now, NULL), NLSH_OK);
        assert_int_equal(time_of_rows(now), time);
        nlsh_index_close(now);
    }
    end(&m);
}

static void a_reader_sees_states_between_two_calls(void **state)
{
    uint64_t others[GROUP];
    struct model m;
    struct reader readers[2 * READERS + 2];
    pthread_t threads[2 * READERS + 2];
    size_t n_readers = sizeof readers / sizeof *readers;
    (void)state;
    begin(&m);
    struct nlsh_index *snapshot, *own[READERS];
    assert_int_equal(nlsh_writer_snapshot(writer, &snapshot, NULL), NLSH_OK);
    for (size_t i = 0; i < n_readers; i++) {
        /* snapshots; files that each opened; one that two have; the writer's state, refreshed */
        readers[i] = (struct reader){.opens = i >= READERS, .first = snapshot};
        if (i >= READERS && i < 2 * READERS)
            readers[i].first = own[i - READERS] = index_opened(path);
        if (i == 2 * READERS) readers[i].first = own[0];
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (unsigned time = 0; time < TIMES; time++) {
        put_group(time);
        /* and others come and go */
        for (size_t i = 0; i < GROUP; i++) others[i] = 9000 + time * 7 + i;
        const struct nlsh_matrix some = {pool.data, 1 + time % GROUP, LIVE_DIM, NLSH_U8, 0};
        if (nlsh_writer_put(writer, others, &some, NULL) != NLSH_OK) abort();
        if (nlsh_writer_delete(writer, others, 5, NULL, NULL) != NLSH_OK) abort();
    }
    atomic_store(&done, 1);
    for (size_t i = 0; i < n_readers; i++) {
        void *last;
        assert_int_equal(pthread_join(threads[i], &last), 0);
        assert_int_equal((intptr_t)last, (TIMES - 1) % 16 + (TIMES - 1) / 16 * 16);
    }
    print_message("%d states were seen\n", atomic_load(&n_states));
    for (size_t i = 0; i < READERS; i++) nlsh_index_close(own[i]);
    nlsh_index_close(snapshot);
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_snapshot_has_all_that_was_put),
        cmocka_unit_test(a_reader_sees_states_between_two_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
