/* test_cache.c - entries come back as they were put, and nothing else ever comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/output.h"
#include "cache/cache.h"
#include "cache/directory.h"
#include "cache/entry.h"

enum { N_ROWS = 7, N_BASE = 50 };

struct fixture {
    char dir[64];
    struct nlsh__job job;
    int n_notes;
    char note[512]; /* the last */
};

static void take_note(void *user, const char *sentence)
{
    struct fixture *f = user;
    f->n_notes++;
    snprintf(f->note, sizeof f->note, "%s", sentence);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/nlsh-cache-XXXXXX");
    if (mkdtemp(f->dir) == NULL) return -1;
    f->job.run = (struct nlsh_run){.n_threads = 1, .note = take_note, .user = f};
    f->job.run.cache_dir = f->dir;
    *state = f;
    return 0;
}

static void path_in(const struct fixture *f, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", f->dir, name);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    DIR *d = opendir(f->dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[512];
        path_in(f, e->d_name, path);
        if (e->d_name[0] != '.' || e->d_name[1] == 'g' || e->d_name[1] == 'p') remove(path);
    }
    if (d != NULL) closedir(d);
    rmdir(f->dir);
    free(f);
    return 0;
}

/* Neighbours whose values tell their place. */
static struct nlsh__neighbors make_neighbors(size_t k)
{
    struct nlsh__neighbors n = {.n_rows = N_ROWS, .k = k};
    assert_int_equal(nlsh__alloc(&n.ids, N_ROWS * k, sizeof *n.ids, NULL), NLSH_OK);
    assert_int_equal(nlsh__alloc(&n.l2sq, N_ROWS * k, sizeof *n.l2sq, NULL), NLSH_OK);
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t j = 0; j < k; j++) {
            n.ids[i * k + j] = (uint32_t)((i * 3 + j + 1) % N_BASE); /* never i */
            n.l2sq[i * k + j] = (float)(i + 10 * j);
        }
    return n;
}

static void put(const struct fixture *f, size_t k)
{
    struct nlsh__neighbors n = make_neighbors(k);
    nlsh__cache_put_neighbors(&f->job, "exact", 17, 0, 0, N_BASE, &n);
    nlsh__neighbors_free(&n);
}

/* 1 where found; then everything must be right. */
static int get(const struct fixture *f, size_t k)
{
    struct nlsh__neighbors n, expected = make_neighbors(k);
    int found;
    assert_int_equal(
        nlsh__cache_get_neighbors(&f->job, "exact", 17, 0, 0, N_ROWS, N_BASE, k, &n, &found, NULL),
        NLSH_OK);
    if (found) {
        assert_int_equal(n.n_rows, N_ROWS);
        assert_int_equal(n.k, k);
        assert_memory_equal(n.ids, expected.ids, N_ROWS * k * 4);
        assert_memory_equal(n.l2sq, expected.l2sq, N_ROWS * k * 4);
    } else {
        assert_null(n.ids);
    }
    nlsh__neighbors_free(&n);
    nlsh__neighbors_free(&expected);
    return found;
}

static size_t list(const struct fixture *f, struct nlsh__cache_file **entries)
{
    size_t n;
    assert_int_equal(nlsh__cache_list(f->dir, entries, &n, NULL), NLSH_OK);
    return n;
}

static void only_entry(const struct fixture *f, struct nlsh__cache_file *entry)
{
    struct nlsh__cache_file *entries;
    assert_int_equal(list(f, &entries), 1);
    *entry = entries[0];
    free(entries);
}

static size_t read_all(const char *path, uint8_t *buffer, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(buffer, 1, capacity, file);
    fclose(file);
    return n;
}

static void write_all(const char *path, const uint8_t *data, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
}

/* ---- neighbours ------------------------------------------------------------------------------ */

static void test_larger_k_serves_smaller(void **state)
{
    struct fixture *f = *state;
    assert_false(get(f, 5));
    put(f, 10);
    for (size_t k = 1; k <= 10; k++) assert_true(get(f, k));
    assert_false(get(f, 11));
    assert_int_equal(f->n_notes, 0);
}

static void test_put_keeps_the_larger(void **state)
{
    struct fixture *f = *state;
    struct nlsh__cache_file entry;
    put(f, 8);
    put(f, 4);
    assert_true(get(f, 8));
    put(f, 12);
    assert_true(get(f, 12));
    only_entry(f, &entry);
    assert_string_equal(entry.what, "k-NN graph, exact, k=12, 7 rows");
    assert_false(entry.damaged);
    assert_true(entry.size_bytes >= N_ROWS * 12 * 8);
}

static void test_every_parameter_counts(void **state)
{
    struct fixture *f = *state;
    struct nlsh__neighbors n;
    int found;
    put(f, 5);
    struct {
        const char *method;
        uint64_t base, queries, seed;
        size_t rows, n_base;
    } other[] = {{"ivfflat", 17, 0, 0, N_ROWS, N_BASE}, {"exact", 18, 0, 0, N_ROWS, N_BASE},
                 {"exact", 17, 1, 0, N_ROWS, N_BASE},   {"exact", 17, 0, 1, N_ROWS, N_BASE},
                 {"exact", 17, 0, 0, 6, N_BASE},        {"exact", 17, 0, 0, N_ROWS, 51}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_int_equal(nlsh__cache_get_neighbors(&f->job, other[i].method, other[i].base,
                                                   other[i].queries, other[i].seed, other[i].rows,
                                                   other[i].n_base, 5, &n, &found, NULL),
                         NLSH_OK);
        assert_false(found);
    }
    assert_true(get(f, 5));
}

static void test_no_directory_named(void **state)
{
    struct fixture *f = *state;
    struct nlsh__cache_file *entries;
    f->job.run.cache_dir = NULL;
    put(f, 5);
    assert_false(get(f, 5));
    f->job.run.cache_dir = f->dir;
    assert_int_equal(list(f, &entries), 0);
    assert_false(get(f, 5));
}

static void test_directory_is_made(void **state)
{
    struct fixture *f = *state;
    char deep[512], middle[512];
    path_in(f, "a/b", deep);
    path_in(f, "a", middle);
    f->job.run.cache_dir = deep;
    assert_false(get(f, 5));
    assert_int_equal(access(middle, F_OK), -1); /* a look makes nothing */
    put(f, 5);
    assert_true(get(f, 5));
    assert_int_equal(nlsh__cache_clear(deep, NULL, NULL), NLSH_OK);
    rmdir(deep);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void test_every_changed_byte_is_seen(void **state)
{
    struct fixture *f = *state;
    struct nlsh__cache_file entry;
    static uint8_t good[8192];
    char path[512], expected[256];
    put(f, 5);
    only_entry(f, &entry);
    path_in(f, entry.name, path);
    snprintf(expected, sizeof expected, "cache: damaged entry removed: %s", entry.name);
    size_t size = read_all(path, good, sizeof good);
    assert_int_equal(size, entry.size_bytes);
    for (size_t i = 0; i < size; i++) {
        uint8_t before = good[i];
        good[i] ^= (uint8_t)(1u << (i % 8));
        write_all(path, good, size);
        good[i] = before;
        f->n_notes = 0;
        assert_false(get(f, 5));
        assert_int_equal(f->n_notes, 1);
        assert_string_equal(f->note, expected);
        assert_int_equal(access(path, F_OK), -1);
    }
    for (size_t n = 0; n <= size + 1; n++) {
        write_all(path, good, n);
        assert_int_equal(get(f, 5), n == size);
    }
}

static void test_list_marks_damage(void **state)
{
    struct fixture *f = *state;
    struct nlsh__cache_file entry;
    char path[512];
    put(f, 5);
    only_entry(f, &entry);
    assert_false(entry.damaged);
    path_in(f, entry.name, path);
    assert_int_equal(truncate(path, 100), 0);
    only_entry(f, &entry);
    assert_true(entry.damaged);
    assert_int_equal(access(path, F_OK), 0); /* a listing removes nothing */
    put(f, 3);                               /* a damaged entry does not keep a good one out */
    assert_true(get(f, 3));
}

static void test_renamed_entry_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct nlsh__neighbors n = make_neighbors(5), got;
    struct nlsh__cache_file entry, *both;
    char from[512], to[512];
    int found;
    put(f, 5);
    only_entry(f, &entry);
    nlsh__cache_put_neighbors(&f->job, "exact", 18, 0, 0, N_BASE, &n);
    assert_int_equal(list(f, &both), 2);
    path_in(f, entry.name, from);
    path_in(f, both[strcmp(both[0].name, entry.name) == 0].name, to);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(nlsh__cache_get_neighbors(&f->job, "exact", 18, 0, 0, N_ROWS, N_BASE, 5, &got,
                                               &found, NULL),
                     NLSH_OK);
    assert_false(found);
    nlsh__cache_put_neighbors(&f->job, "exact", 18, 0, 0, N_BASE, &n);
    assert_int_equal(nlsh__cache_get_neighbors(&f->job, "exact", 18, 0, 0, N_ROWS, N_BASE, 5, &got,
                                               &found, NULL),
                     NLSH_OK);
    assert_true(found);
    nlsh__neighbors_free(&got);
    nlsh__neighbors_free(&n);
    free(both);
}

/* ---- forged entries: everything agrees with its checksum ------------------------------------- */

/* Writes the only entry again with another payload, and with a width of k. */
static void forge(const struct fixture *f, const void *ids, size_t ids_bytes, const void *l2sq,
                  size_t l2sq_bytes, size_t k)
{
    struct nlsh__cache_file listed;
    struct nlsh__entry_view view;
    struct nlsh__entry_part parts[2] = {{ids, ids_bytes}, {l2sq, l2sq_bytes}};
    char path[512], *key;
    only_entry(f, &listed);
    path_in(f, listed.name, path);
    assert_int_equal(nlsh__entry_open(path, &view, NULL), NLSH__ENTRY_WHOLE);
    struct nlsh__entry entry = {
        .kind = (enum nlsh__entry_kind)view.header.kind, .n_rows = view.header.n_rows, .width = k};
    entry.key = key = strndup(view.key, view.header.key_size);
    nlsh__entry_close(&view);
    assert_int_equal(nlsh__entry_write(path, &entry, parts, l2sq_bytes > 0 ? 2 : 1, NULL), NLSH_OK);
    free(key);
    only_entry(f, &listed);
    assert_false(listed.damaged); /* whole, as far as a checksum can tell */
}

/* It is not taken, it goes, and the stage's own answer is kept in its place. */
static void assert_refused(struct fixture *f, size_t k)
{
    struct nlsh__cache_file *entries;
    f->n_notes = 0;
    assert_false(get(f, k));
    assert_int_equal(f->n_notes, 1);
    assert_non_null(strstr(f->note, "damaged entry removed"));
    assert_int_equal(list(f, &entries), 0);
    put(f, k);
    assert_true(get(f, k));
}

static void test_forged_neighbors(void **state)
{
    struct fixture *f = *state;
    enum { K = 5, BYTES = N_ROWS * K * 4 };
    static const struct {
        size_t at;
        uint32_t id;
        float l2sq;
    } forged[] = {
        {3, N_BASE, 30},       /* no row */
        {4, NLSH__NO_ROW, 40}, /* missing, which no stage leaves */
        {6, 1, 11},            /* row 1 names itself */
        {3, 4, NAN},           /* no distance */
        {0, 1, NAN},
        {3, 4, 5}, /* out of order */
        {1, 1, 0}, /* the neighbour before, again */
    };
    put(f, K);
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        struct nlsh__neighbors n = make_neighbors(K);
        n.ids[forged[i].at] = forged[i].id;
        n.l2sq[forged[i].at] = forged[i].l2sq;
        forge(f, n.ids, BYTES, n.l2sq, BYTES, K);
        nlsh__neighbors_free(&n);
        assert_refused(f, K);
    }
    /* All ids missing; more neighbours than rows; fewer bytes than the header says; none. */
    struct nlsh__neighbors n = make_neighbors(K), wide = make_neighbors(N_BASE);
    for (size_t i = 0; i < (size_t)N_ROWS * K; i++) n.ids[i] = NLSH__NO_ROW;
    forge(f, n.ids, BYTES, n.l2sq, BYTES, K);
    assert_refused(f, K);
    forge(f, wide.ids, (size_t)N_ROWS * N_BASE * 4, wide.l2sq, (size_t)N_ROWS * N_BASE * 4, N_BASE);
    assert_refused(f, K);
    nlsh__neighbors_free(&n);
    n = make_neighbors(K);
    forge(f, n.ids, BYTES, n.l2sq, BYTES - 4, K);
    assert_refused(f, K);
    forge(f, n.ids, BYTES, n.l2sq, BYTES, 0);
    assert_refused(f, K);
    forge(f, n.ids, BYTES, n.l2sq, BYTES, SIZE_MAX / 2);
    assert_refused(f, K);
    nlsh__neighbors_free(&n);
    nlsh__neighbors_free(&wide);
}

static void test_forged_partitions(void **state)
{
    struct fixture *f = *state;
    static const uint32_t forged[][3] = {{0, 3, 1}, {0, NLSH__NO_ROW, 1}, {0, 1, 1}, {2, 2, 2}};
    static const uint32_t good[3] = {0, 2, 1};
    uint32_t out[3] = {9, 9, 9};
    int found;
    for (size_t i = 0; i < 4; i++) {
        nlsh__cache_put_partition(&f->job, "x", 1, 3, 3, good);
        forge(f, forged[i], sizeof good, NULL, 0, 3);
        assert_int_equal(nlsh__cache_get_partition(&f->job, "x", 1, 3, 3, out, &found, NULL),
                         NLSH_OK);
        assert_false(found);
        assert_int_equal(out[0], 9);
        assert_non_null(strstr(f->note, "damaged entry removed"));
    }
    nlsh__cache_put_partition(&f->job, "x", 1, 3, 3, good);
    forge(f, good, 8, NULL, 0, 3);
    assert_int_equal(nlsh__cache_get_partition(&f->job, "x", 1, 3, 3, out, &found, NULL), NLSH_OK);
    assert_false(found);
}

static void test_failed_write_is_a_note(void **state)
{
    struct fixture *f = *state;
    char file[512], below[600];
    path_in(f, "plain", file);
    write_all(file, (const uint8_t *)"x", 1);
    snprintf(below, sizeof below, "%s/cache", file);
    f->job.run.cache_dir = below;
    put(f, 5);
    assert_int_equal(f->n_notes, 1);
    assert_non_null(strstr(f->note, "cache: not kept"));
    assert_false(get(f, 5));
    f->job.run.cache_dir = f->dir;

    /* A disk that fills: writes past the limit fail. */
    struct rlimit old, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 300;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    put(f, 5);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(f->n_notes, 2);
    assert_false(get(f, 5));
    struct nlsh__cache_file *entries;
    assert_int_equal(list(f, &entries), 0);
    DIR *d = opendir(f->dir);
    int n_files = 0;
    while (readdir(d) != NULL) n_files++;
    closedir(d);
    assert_int_equal(n_files, 3); /* ., .., plain: no temporary file is left */
}

/* ---- partitions ------------------------------------------------------------------------------ */

static void test_partition(void **state)
{
    struct fixture *f = *state;
    uint32_t in[6] = {0, 1, 2, 2, 1, 0}, out[6];
    int found;
    char settings[1000]; /* longer than any description */
    memset(settings, 'a', sizeof settings);
    settings[sizeof settings - 1] = '\0';
    nlsh__cache_put_partition(&f->job, settings, 5, 6, 3, in);
    assert_int_equal(nlsh__cache_get_partition(&f->job, settings, 5, 6, 3, out, &found, NULL),
                     NLSH_OK);
    assert_true(found);
    assert_memory_equal(in, out, sizeof in);
    settings[998] = 'b';
    assert_int_equal(nlsh__cache_get_partition(&f->job, settings, 5, 6, 3, out, &found, NULL), 0);
    assert_false(found);
    settings[998] = 'a';
    assert_int_equal(nlsh__cache_get_partition(&f->job, settings, 5, 6, 4, out, &found, NULL), 0);
    assert_false(found);
    assert_int_equal(nlsh__cache_get_partition(&f->job, settings, 6, 6, 3, out, &found, NULL), 0);
    assert_false(found);
}

/* ---- the directory --------------------------------------------------------------------------- */

static void make_file(const struct fixture *f, const char *name, long age)
{
    char path[512];
    path_in(f, name, path);
    write_all(path, (const uint8_t *)"x", 1);
    struct utimbuf times = {time(NULL) - age, time(NULL) - age};
    utime(path, &times);
}

static int is_there(const struct fixture *f, const char *name)
{
    char path[512];
    path_in(f, name, path);
    return access(path, F_OK) == 0;
}

/* A process id that is surely gone. */
static long dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    return (long)pid;
}

static void test_clear_removes_only_ours(void **state)
{
    struct fixture *f = *state;
    const char *hash = "0123456789abcdef0123456789abcdef";
    char ours[128], temporary[160], living[160], directory[128], path[512];
    const char *others[] = {"notes.txt",
                            "graph-12.nlshcache",
                            "graph-0123456789abcdef0123456789abcdeF.nlshcache",
                            "graph-0123456789abcdef0123456789abcdef.nlshcache.bak",
                            "other-0123456789abcdef0123456789abcdef.nlshcache",
                            ".graph-x.nlsh-1.tmp"};
    size_t n;
    put(f, 5);
    snprintf(ours, sizeof ours, "graph-%s.nlshcache", hash);
    snprintf(directory, sizeof directory, "truth-%s.nlshcache", hash);
    snprintf(temporary, sizeof temporary, ".%s.nlsh-%ld-0.tmp", ours, dead_pid());
    snprintf(living, sizeof living, ".%s.nlsh-%ld-0.tmp", ours, (long)getpid());
    make_file(f, ours, 0);
    make_file(f, temporary, 0);
    make_file(f, living, 0);
    path_in(f, directory, path);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) make_file(f, others[i], 0);

    assert_int_equal(nlsh__cache_clear(f->dir, &n, NULL), NLSH_OK);
    assert_int_equal(n, 2);
    assert_false(is_there(f, ours));
    assert_false(is_there(f, temporary));
    assert_true(is_there(f, living));
    assert_true(is_there(f, directory));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_true(is_there(f, others[i]));
    assert_int_equal(nlsh__cache_clear(f->dir, &n, NULL), NLSH_OK);
    assert_int_equal(n, 0);
}

static void test_put_sweeps_old_orphans(void **state)
{
    struct fixture *f = *state;
    char old[160], fresh[160];
    long pid = dead_pid();
    snprintf(old, sizeof old, ".truth-%032d.nlshcache.nlsh-%ld-0.tmp", 1, pid);
    snprintf(fresh, sizeof fresh, ".truth-%032d.nlshcache.nlsh-%ld-0.tmp", 2, pid);
    make_file(f, old, 100000);
    make_file(f, fresh, 0);
    put(f, 5);
    assert_false(is_there(f, old));
    assert_true(is_there(f, fresh));
    nlsh__cache_sweep(f->dir, 0);
    assert_false(is_there(f, fresh));
}

/* What base/file.c really leaves behind must be what the sweep looks for. */
static void test_dead_writers_file_is_swept(void **state)
{
    struct fixture *f = *state;
    char name[160], path[512], left[256] = "";
    struct dirent *e;
    snprintf(name, sizeof name, "truth-%032d.nlshcache", 3);
    path_in(f, name, path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct nlsh__output *output;
        _exit(nlsh__output_open(path, &output, NULL) == NLSH_OK ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    DIR *d = opendir(f->dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (strstr(e->d_name, name) != NULL) snprintf(left, sizeof left, "%s", e->d_name);
    closedir(d);
    assert_true(left[0] != '\0'); /* it did leave one */
    nlsh__cache_sweep(f->dir, 0);
    assert_false(is_there(f, left));
}

static void test_listing_absent_directory(void **state)
{
    struct fixture *f = *state;
    struct nlsh__cache_file *entries;
    struct nlsh_error error;
    char path[512];
    size_t n = 5;
    path_in(f, "nowhere", path);
    assert_int_equal(nlsh__cache_list(path, &entries, &n, &error), NLSH_OK);
    assert_int_equal(n, 0);
    assert_null(entries);
    assert_int_equal(nlsh__cache_clear(path, &n, &error), NLSH_OK);
    make_file(f, "nowhere", 0);
    assert_int_equal(nlsh__cache_list(path, &entries, &n, &error), NLSH_E_NO_INPUT);
    assert_non_null(strstr(error.message, "nowhere"));
    assert_int_equal(nlsh__cache_list(NULL, &entries, &n, &error), NLSH_E_ARG);
}

static void test_default_directory(void **state)
{
    (void)state;
    setenv("NLSH_CACHE", "/x/own", 1);
    setenv("XDG_CACHE_HOME", "/x/xdg", 1);
    setenv("HOME", "/x/home", 1);
    assert_string_equal(nlsh_cache_default_dir(), "/x/own");
    setenv("NLSH_CACHE", "", 1);
    assert_string_equal(nlsh_cache_default_dir(), "/x/xdg/nlsh");
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_string_equal(nlsh_cache_default_dir(), "/x/home/.cache/nlsh");
    unsetenv("HOME");
    assert_null(nlsh_cache_default_dir());
}

/* ---- several processes ----------------------------------------------------------------------- */

enum { SHARED_ROWS = 40000 }; /* several pages, several writes */

/* Puts whole entries that begin with a value again and again; a mixture of two writers would show. */
static void hammer_write(const struct fixture *f, uint32_t value, double seconds)
{
    uint32_t *bucket_of = malloc(SHARED_ROWS * sizeof *bucket_of);
    for (size_t i = 0; i < SHARED_ROWS; i++) bucket_of[i] = (uint32_t)(value + i) % 100;
    for (double end = nlsh__now() + seconds; nlsh__now() < end;) {
        nlsh__cache_put_partition(&f->job, "shared", 1, SHARED_ROWS, 100, bucket_of);
        if (value == 1 && nlsh__cache_clear(f->dir, NULL, NULL) != NLSH_OK) _exit(3);
    }
    free(bucket_of);
    if (f->n_notes) fprintf(stderr, "%s\n", f->note);
    _exit(f->n_notes == 0 ? 0 : 1);
}

static void hammer_read(const struct fixture *f, double seconds)
{
    uint32_t *bucket_of = malloc(SHARED_ROWS * sizeof *bucket_of);
    int found, n_found = 0;
    for (double end = nlsh__now() + seconds; nlsh__now() < end || n_found == 0;) {
        if (nlsh__cache_get_partition(&f->job, "shared", 1, SHARED_ROWS, 100, bucket_of, &found,
                                      NULL) != NLSH_OK)
            _exit(4);
        n_found += found;
        for (size_t i = 0; found && i < SHARED_ROWS; i++)
            if (bucket_of[i] != (bucket_of[0] + i) % 100) _exit(5);
    }
    free(bucket_of);
    if (f->n_notes) fprintf(stderr, "%s\n", f->note);
    _exit(f->n_notes == 0 ? 0 : 2);
}

static void test_processes_share_a_directory(void **state)
{
    struct fixture *f = *state;
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            if (i < 2)
                hammer_write(f, (uint32_t)i, 1.0);
            else
                hammer_read(f, 0.8);
        }
    }
    for (int i = 0; i < 4; i++) {
        int result;
        waitpid(children[i], &result, 0);
        assert_true(WIFEXITED(result));
        assert_int_equal(WEXITSTATUS(result), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_larger_k_serves_smaller),
        TEST(test_put_keeps_the_larger),
        TEST(test_every_parameter_counts),
        TEST(test_no_directory_named),
        TEST(test_directory_is_made),
        TEST(test_every_changed_byte_is_seen),
        TEST(test_list_marks_damage),
        TEST(test_renamed_entry_is_not_taken),
        TEST(test_forged_neighbors),
        TEST(test_forged_partitions),
        TEST(test_failed_write_is_a_note),
        TEST(test_partition),
        TEST(test_clear_removes_only_ours),
        TEST(test_put_sweeps_old_orphans),
        TEST(test_dead_writers_file_is_swept),
        TEST(test_listing_absent_directory),
        TEST(test_processes_share_a_directory),
        cmocka_unit_test(test_default_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
