/*
 * test_power.c - power fails at any moment of a thousand calls, and a compaction among them.
 *
 * This program's own write(), fsync() and their like stand before those of the C library, and keep a record of what
 * was written and what was synced. For a beginning of the record a disk is made that could be found afterwards. All
 * that was synced is on it. Of the rest, each block of 512 bytes is there or is not, also later ones without the
 * earlier; files have their new sizes or the old ones; names are made and changed in order, as far as they got. What
 * is opened then has to hold all that was acknowledged, and of what was not nothing in part.
 *
 * NLSH_POWER_STEP says that every so many-th beginning is tried (1: all of them).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "support/live.h"

enum {
    STEP = 11,
    AFTER = 8,
    CALLS = 1000,
    BLOCK = 512,
    MOST_EVENTS = 20000,
    MOST_FILES = 24,
    MOST_NAMES = 64
};

/* ---- the record ------------------------------------------------------------------------------ */

enum event_kind { WRITE, TRUNCATE, SYNC, CREATE, RENAME, SYNC_NAMES, BEGUN, DURABLE };

struct event {
    enum event_kind kind;
    size_t file;       /* of files */
    uint64_t at, size; /* of WRITE; TRUNCATE to size; BEGUN, DURABLE: calls so far */
    uint8_t *bytes;
    char name[128], to[128];
};

static struct {
    pthread_mutex_t lock;
    int on;     /* it is kept */
    int killed; /* the process is to be thought dead: it writes and syncs nothing */
    struct event events[MOST_EVENTS];
    size_t n;
    ino_t inodes[MOST_FILES];
    size_t n_files;
} record = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct event *new_event(enum event_kind kind, size_t file)
{
    if (record.n == MOST_EVENTS) abort();
    struct event *e = &record.events[record.n++];
    *e = (struct event){.kind = kind, .file = file};
    return e;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The number of the file; one that is new gets its name. */
static size_t file_of(int fd, const struct stat *st)
{
    char link[64], path[512];
    for (size_t i = 0; i < record.n_files; i++)
        if (record.inodes[i] == st->st_ino) return i;
    if (record.n_files == MOST_FILES) abort();
    record.inodes[record.n_files] = st->st_ino;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) abort();
    path[n] = '\0';
    struct event *e = new_event(CREATE, record.n_files);
    snprintf(e->name, sizeof e->name, "%.127s", last_part(path));
    return record.n_files++;
}

/* An event of an open file, or of the directory. 0: nothing is recorded. */
static int note(int fd, enum event_kind kind, uint64_t at, const void *bytes, uint64_t size)
{
    struct stat st;
    if (!record.on || fstat(fd, &st) != 0) return 0;
    pthread_mutex_lock(&record.lock);
    if (S_ISDIR(st.st_mode)) {
        (void)new_event(SYNC_NAMES, 0);
    } else if (S_ISREG(st.st_mode)) {
        size_t file = file_of(fd, &st);
        struct event *e = new_event(kind, file);
        e->at = at;
        e->size = size;
        if (bytes != NULL) e->bytes = memcpy(malloc(size + 1), bytes, size);
    }
    pthread_mutex_unlock(&record.lock);
    return 1;
}

static void note_call(enum event_kind kind, size_t n)
{
    pthread_mutex_lock(&record.lock);
    new_event(kind, 0)->size = n;
    pthread_mutex_unlock(&record.lock);
}

/* ---- in place of the C library's -------------------------------------------------------------- */

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    if (record.killed) return (ssize_t)size;
    ssize_t n = syscall(SYS_pwrite64, fd, bytes, size, at);
    if (n > 0) (void)note(fd, WRITE, (uint64_t)at, bytes, (uint64_t)n);
    return n;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    off_t at = record.on ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t n = syscall(SYS_write, fd, bytes, size);
    if (n > 0 && at >= 0) (void)note(fd, WRITE, (uint64_t)at, bytes, (uint64_t)n);
    return n;
}

/* No disk is waited for. */
static int sync_file(int fd)
{
    if (!record.killed) (void)note(fd, SYNC, 0, NULL, 0);
    return 0;
}

int fsync(int fd)
{
    return sync_file(fd);
}

int fdatasync(int fd)
{
    return sync_file(fd);
}

int ftruncate(int fd, off_t size)
{
    int failed = (int)syscall(SYS_ftruncate, fd, size);
    if (failed == 0) (void)note(fd, TRUNCATE, 0, NULL, (uint64_t)size);
    return failed;
}

/* Another file may get the number of the one that had this name. */
static void forget_file(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return;
    for (size_t i = 0; i < record.n_files; i++)
        if (record.inodes[i] == st.st_ino) record.inodes[i] = 0;
}

int unlink(const char *path)
{
    if (record.on) forget_file(path);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to)
{
    if (!record.on) return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    pthread_mutex_lock(&record.lock);
    forget_file(to);
    int failed = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (failed == 0) {
        struct event *e = new_event(RENAME, 0);
        snprintf(e->name, sizeof e->name, "%.127s", last_part(from));
        snprintf(e->to, sizeof e->to, "%.127s", last_part(to));
    }
    pthread_mutex_unlock(&record.lock);
    return failed;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static struct nlsh_matrix pool;
static struct change changes[CALLS];
static size_t n_calls;
static struct model start; /* before all calls */
static struct {
    uint8_t *bytes;
    size_t size;
} built;

static void call(struct nlsh__rng *rng, struct model *m, struct nlsh_writer *w, int durable)
{
    struct change *c = &changes[n_calls];
    struct nlsh_error error;
    size_t deleted;
    draw_change(rng, m, c);
    if (nlsh__rng_below(rng, 16) > 0 && c->n > 4) c->n = 1 + c->n % 4;
    note_call(BEGUN, n_calls + 1);
    if (writer_change(w, &pool, c, &deleted, &error) != NLSH_OK) fail_msg("%s", error.message);
    n_calls++;
    if (durable) note_call(DURABLE, n_calls);
    (void)model_change(m, c);
}

static struct nlsh_writer *opened(const char *path, enum nlsh_sync sync)
{
    struct nlsh_writer_options o;
    nlsh_writer_options_init(&o, sizeof o);
    o.sync = sync;
    o.sync_seconds = .001;
    return writer_opened(path, &o);
}

static void closed(struct nlsh_writer *w)
{
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    note_call(DURABLE, n_calls);
}

/* The process ends, and the system keeps what it wrote until power fails. */
static void killed(struct nlsh_writer *w)
{
    record.killed = 1;
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    record.killed = 0;
}

static void flushed(struct nlsh_writer *w)
{
    assert_int_equal(nlsh_writer_flush(w, NULL), NLSH_OK);
    note_call(DURABLE, n_calls);
}

static void make_record(const char *path)
{
    struct nlsh__rng rng;
    struct nlsh_error error;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct model m;
    test_rng(&rng, 77);
    model_init(&m);
    model_copy(&m, &start);
    record.on = 1;
    struct nlsh_writer *w = opened(path, NLSH_SYNC_ALWAYS);
    while (n_calls < CALLS * 2 / 10) call(&rng, &m, w, 1);
    killed(w);
    w = opened(path, NLSH_SYNC_INTERVAL);
    while (n_calls < CALLS * 4 / 10) call(&rng, &m, w, 0);
    closed(w);
    /* processes that are killed, with nothing of theirs synced */
    for (size_t end = CALLS * 4 / 10 + 40; end <= CALLS * 6 / 10; end += 40) {
        w = opened(path, NLSH_SYNC_FLUSH);
        if (end % 80 == 0) flushed(w);
        while (n_calls < end) call(&rng, &m, w, 0);
        killed(w);
    }
    w = opened(path, NLSH_SYNC_FLUSH);
    while (n_calls < CALLS * 7 / 10) {
        call(&rng, &m, w, 0);
        if (nlsh__rng_below(&rng, 20) == 0) flushed(w);
    }
    killed(w);
    if (nlsh_compact(path, NULL, &run, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
    note_call(DURABLE, n_calls);
    w = opened(path, NLSH_SYNC_ALWAYS);
    while (n_calls < CALLS) call(&rng, &m, w, 1);
    closed(w);
    record.on = 0;
    model_free(&m);
}

/* ---- a disk ---------------------------------------------------------------------------------- */

/* A file's bytes. */
struct bytes {
    uint8_t *at;
    size_t size, room;
};

struct names {
    char of[MOST_NAMES][128];
    size_t files[MOST_NAMES], n;
};

/* What is surely there, and which events came since. */
static struct disk {
    struct bytes files[MOST_FILES];
    struct names names;
    size_t synced[MOST_FILES], names_synced; /* events before this one are in it */
    size_t n;                                /* events so far */
} disk;

/* How a disk forgets. */
enum forgetting { NOTHING, ALL, BY_CHANCE, BEHIND_A_BLOCK, THE_FIRST, BUT_SIZES, N_FORGETTING };

static void resize(struct bytes *b, size_t size)
{
    if (size > b->room) {
        b->room = 2 * size;
        b->at = realloc(b->at, b->room);
        assert_non_null(b->at);
    }
    if (size > b->size) memset(b->at + b->size, 0, size - b->size);
    b->size = size;
}

static void write_some(struct bytes *b, const struct event *e, enum forgetting how, size_t *block,
                       size_t torn, struct nlsh__rng *rng)
{
    uint64_t end = e->at + e->size;
    for (uint64_t at = e->at, next; at < end; at = next, ++*block) {
        next = at / BLOCK * BLOCK + BLOCK < end ? at / BLOCK * BLOCK + BLOCK : end;
        int there = how == NOTHING || (how == BY_CHANCE && nlsh__rng_below(rng, 2)) ||
                    (how == BEHIND_A_BLOCK && *block < torn) || (how == THE_FIRST && *block > 0);
        if ((there || how == BUT_SIZES) && next > b->size) resize(b, (size_t)next);
        if (there) memcpy(b->at + at, e->bytes + (at - e->at), (size_t)(next - at));
    }
}

/* Events of one file into its bytes, as far as the disk has not forgotten them. */
static void take_file(struct bytes *b, size_t file, size_t first, size_t end, enum forgetting how,
                      struct nlsh__rng *rng)
{
    size_t block = 0, torn = rng != NULL ? nlsh__rng_below(rng, 12) : 0;
    int cuts = how == NOTHING || (how != ALL && nlsh__rng_below(rng, 2));
    for (size_t i = first; i < end; i++) {
        const struct event *e = &record.events[i];
        if (e->file != file || (e->kind != WRITE && e->kind != TRUNCATE)) continue;
        if (e->kind == TRUNCATE && cuts) resize(b, (size_t)e->size);
        if (e->kind == WRITE) write_some(b, e, how, &block, torn, rng);
    }
}

static size_t *name_of(struct names *names, const char *name)
{
    size_t i = 0;
    while (i < names->n && strcmp(names->of[i], name) != 0) i++;
    if (i == MOST_NAMES) abort();
    if (i == names->n) {
        snprintf(names->of[i], sizeof names->of[i], "%s", name);
        names->files[i] = SIZE_MAX;
        names->n++;
    }
    return &names->files[i];
}

static void take_names(struct names *names, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const struct event *e = &record.events[i];
        if (e->kind == CREATE) *name_of(names, e->name) = e->file;
        if (e->kind != RENAME) continue;
        *name_of(names, e->to) = *name_of(names, e->name);
        *name_of(names, e->name) = SIZE_MAX;
    }
}

/* One event more. */
static void go_on(void)
{
    const struct event *e = &record.events[disk.n++];
    if (e->kind == SYNC) {
        take_file(&disk.files[e->file], e->file, disk.synced[e->file], disk.n, NOTHING, NULL);
        disk.synced[e->file] = disk.n;
    } else if (e->kind == SYNC_NAMES) {
        take_names(&disk.names, disk.names_synced, disk.n);
        disk.names_synced = disk.n;
    }
}

static void put_file(const char *path, const struct names *names, const char *name,
                     enum forgetting how, struct nlsh__rng *rng)
{
    struct bytes b = {.size = 0};
    size_t file = SIZE_MAX;
    (void)unlink(path);
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->of[i], name) == 0) file = names->files[i];
    if (file == SIZE_MAX) return;
    resize(&b, disk.files[file].size + 1);
    resize(&b, disk.files[file].size);
    if (b.size > 0) memcpy(b.at, disk.files[file].at, b.size);
    take_file(&b, file, disk.synced[file], disk.n, how, rng);
    test_write_file(path, b.at, b.size);
    free(b.at);
}

/* The disk at this moment, as files at path and beside it. */
static void make_disk(const char *path, enum forgetting how, struct nlsh__rng *rng)
{
    struct names names = disk.names;
    size_t end = how == NOTHING ? disk.n : disk.names_synced;
    if (how == BUT_SIZES) end = disk.n;
    if (how > ALL && how != BUT_SIZES) end += nlsh__rng_below(rng, disk.n - end + 1);
    take_names(&names, disk.names_synced, end);
    put_file(path, &names, "power", how, rng);
    put_file(log_path_of(path), &names, "power-log", how, rng);
}

/* ---- what is found on it --------------------------------------------------------------------- */

static size_t n_disks, n_written, n_torn;

/* The model after the call that the index ends with: one of least .. most. */
static void find_state(const struct nlsh_index *index, struct model *m, size_t least, size_t most)
{
    const char *differs = model_differs(m, index, &pool);
    for (size_t i = least; i < most && differs != NULL; i++) {
        (void)model_change(m, &changes[i]);
        differs = model_differs(m, index, &pool);
    }
    if (differs != NULL)
        fail_msg("event %zu, %zu of %zu calls were durable: %s", disk.n, least, most, differs);
}

/* The next writer goes on. */
static void check_goes_on(const char *path, struct model *m, struct nlsh__rng *rng)
{
    struct change c;
    struct nlsh_error error;
    size_t deleted;
    struct nlsh_writer *w = writer_opened(path, NULL);
    for (size_t i = 0; i < 3; i++) {
        draw_change(rng, m, &c);
        if (writer_change(w, &pool, &c, &deleted, &error) != NLSH_OK) fail_msg("%s", error.message);
        assert_int_equal(deleted, model_change(m, &c));
    }
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    struct nlsh_index *index = index_opened(path);
    check_holds(m, index, &pool);
    assert_int_equal(index->log_now.left, 0);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    n_written++;
}

static void check_disk(const char *path, const struct model *durable, size_t least, size_t most,
                       enum forgetting how, struct nlsh__rng *rng)
{
    struct model m;
    struct nlsh_index *index;
    struct nlsh_error error;
    make_disk(path, how, rng);
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK)
        fail_msg("event %zu, disk %d: %s", disk.n, (int)how, error.message);
    model_init(&m);
    model_copy(&m, durable);
    if (index->log_now.damaged)
        fail_msg("event %zu, disk %d: taken for damage at %llu", disk.n, (int)how,
                 (unsigned long long)index->log_now.bytes);
    n_torn += index->log_now.left > 0;
    find_state(index, &m, least, most);
    nlsh_index_close(index);
    if (n_disks++ % 3 == 0) check_goes_on(path, &m, rng);
    model_free(&m);
}

static void what_was_acknowledged_survives_a_loss_of_power(void **state)
{
    char path[512], disk_path[512];
    struct nlsh_build_options o;
    struct nlsh_matrix base;
    struct nlsh__rng rng;
    struct model durable;
    const char *value = getenv("NLSH_POWER_STEP");
    size_t step = value != NULL ? strtoul(value, NULL, 10) : STEP, least = 0, most = 0, named = 0;
    (void)state;
    test_rng(&rng, 78);
    snprintf(path, sizeof path, "%s", test_path("power"));
    snprintf(disk_path, sizeof disk_path, "%s", test_path("disk"));
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    model_init(&start);
    model_init(&durable);
    base_of(&pool, NULL, &start, &base);
    small_options(&o, LIVE_BUCKETS);
    nlsh_index_close(built_index(&base, &o, "power"));
    built.bytes = test_read_file(path, &built.size);
    make_record(path);
    disk.files[MOST_FILES - 1] = (struct bytes){built.bytes, built.size, built.size};
    *name_of(&disk.names, "power") = MOST_FILES - 1;
    model_copy(&durable, &start);
    for (size_t i = 0; i < record.n; i++) {
        const struct event *e = &record.events[i];
        go_on();
        if (e->kind == BEGUN) most = (size_t)e->size;
        for (; e->kind == DURABLE && least < e->size; least++)
            (void)model_change(&durable, &changes[least]);
        /* all of those about names, as there are few, and what follows them */
        if (e->kind == CREATE || e->kind == RENAME || e->kind == SYNC_NAMES) named = i;
        if (i % step != 0 && i > named + AFTER) continue;
        enum forgetting by_turns =
            (enum forgetting)(BY_CHANCE + n_disks % (N_FORGETTING - BY_CHANCE));
        for (enum forgetting how = NOTHING; how < N_FORGETTING; how++)
            if (how < BY_CHANCE || how == by_turns || i <= named + AFTER)
                check_disk(disk_path, &durable, least, most, how, &rng);
    }
    assert_int_equal(n_calls, CALLS);
    assert_int_equal(least, CALLS);
    print_message("%zu events, %zu disks, %zu of them written to, %zu with a torn end\n", record.n,
                  n_disks, n_written, n_torn);
    assert_true(n_torn > 10);
    for (size_t i = 0; i < record.n; i++) free(record.events[i].bytes);
    for (size_t i = 0; i < MOST_FILES; i++) free(disk.files[i].at);
    model_free(&durable);
    model_free(&start);
    matrix_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_a_loss_of_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
