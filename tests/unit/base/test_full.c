/*
 * test_full.c - a disk that is full at any byte of a file, of every writer: an error that names the file, the
 * old content under its name, and nothing that lies about. And input files that end at any byte, or cannot be
 * read at all.
 */
#include "support/built.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum nlsh_status (*writer)(const char *path, struct nlsh_error *error);

enum { N = 90, DIM = 12, K = 7 };

static struct nlsh_matrix of_bytes, of_signed, of_floats;
static struct nlsh_neighbors neighbors;

/* Bytes that a file may have from now on; RLIM_INFINITY: any. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Files that an unfinished output of this name left. */
static size_t n_left(const char *name)
{
    char prefix[64];
    size_t n = 0;
    DIR *dir = opendir(test_dir());
    assert_non_null(dir);
    snprintf(prefix, sizeof prefix, ".%s", name);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return n;
}

/* Limits from nothing to one byte too few: each of the first, then some. The old content is what a whole run
 * wrote. */
static void check_writer(writer write, const char *name)
{
    struct nlsh_error error;
    char path[600];
    size_t size, size_now;
    snprintf(path, sizeof path, "%s", test_path(name));
    if (write(path, &error) != NLSH_OK) fail_msg("%s: %s (%s)", name, error.message, error.hint);
    uint8_t *old = test_read_file(path, &size);
    for (size_t limit = 0; limit < size; limit += 1 + limit / 9) {
        limit_files(limit);
        enum nlsh_status status = write(path, &error);
        limit_files(RLIM_INFINITY);
        if (status != NLSH_E_CANT_CREATE || strstr(error.message, name) == NULL)
            fail_msg("%s, %zu of %zu bytes: status %d, %s", name, limit, size, (int)status,
                     status == NLSH_OK ? "" : error.message);
        uint8_t *now = test_read_file(path, &size_now);
        assert_int_equal(size_now, size);
        assert_memory_equal(now, old, size);
        assert_int_equal(n_left(name), 0);
        free(now);
    }
    free(old);
    assert_int_equal(unlink(path), 0);
}

static enum nlsh_status write_floats(const char *path, struct nlsh_error *error)
{
    return nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &of_floats, error);
}

static enum nlsh_status write_bytes(const char *path, struct nlsh_error *error)
{
    return nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &of_bytes, error);
}

static enum nlsh_status write_signed(const char *path, struct nlsh_error *error)
{
    return nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &of_signed, error);
}

static enum nlsh_status write_neighbors(const char *path, struct nlsh_error *error)
{
    return nlsh_neighbors_write(path, &neighbors, error);
}

static enum nlsh_status write_index(const char *path, struct nlsh_error *error)
{
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_build_options o;
    small_options(&o, 3);
    o.epochs = 1;
    return nlsh_build(&of_bytes, &o, path, &run, NULL, error);
}

static const struct {
    writer write;
    const char *name;
} writers[] = {
    {write_floats, "a.fvecs"},     {write_floats, "a.fbin"},     {write_floats, "a.npy"},
    {write_bytes, "b.bvecs"},      {write_bytes, "b.u8bin"},     {write_bytes, "b.npy"},
    {write_bytes, "b-idx3-ubyte"}, {write_signed, "c.i8bin"},    {write_signed, "c.npy"},
    {write_neighbors, "d.graph"},  {write_neighbors, "d.ivecs"}, {write_neighbors, "d.ibin"},
    {write_neighbors, "d.npy"},    {write_index, "e.nlsh"},
};

static void disks_that_are_full(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++)
        check_writer(writers[i].write, writers[i].name);
}

/* ---- input that ends too early ---------------------------------------------------------------- */

static enum nlsh_status read_any(const char *path, struct nlsh_error *error)
{
    struct nlsh_vectors *vectors = (void *)1;
    struct nlsh_neighbors read = {.struct_size = sizeof read};
    enum nlsh_status status;
    if (strstr(path, "/d.") != NULL) {
        status = nlsh_neighbors_read(path, &read, error);
        nlsh_neighbors_free(&read);
        return status;
    }
    if (strstr(path, ".nlsh") != NULL) return nlsh_index_verify(path, error);
    status = nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &vectors, error);
    if (status != NLSH_OK) assert_null(vectors);
    nlsh_vectors_free(vectors);
    return status;
}

/* Rows that stand behind each other without a head may end between two of them. */
static int may_end_here(const char *name, size_t n)
{
    const char *end = strrchr(name, '.');
    size_t value = end == NULL ? 0 : strcmp(end, ".bvecs") == 0 ? 1 : 4;
    size_t row = 4 + value * (name[0] == 'd' ? K : DIM);
    return end != NULL && strstr(end, "vecs") != NULL && n > 0 && n % row == 0;
}

static void files_that_end_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        struct nlsh_error error;
        char path[600];
        size_t size;
        snprintf(path, sizeof path, "%s", test_path(writers[i].name));
        assert_int_equal(writers[i].write(path, &error), NLSH_OK);
        if (read_any(path, &error) != NLSH_OK) fail_msg("%s", error.message);
        uint8_t *bytes = test_read_file(path, &size);
        for (size_t n = 0; n < size; n += n < 300 ? 1 : 97) {
            assert_int_equal(truncate(path, 0), 0);
            FILE *f = fopen(path, "wb");
            assert_true(f != NULL && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
            enum nlsh_status status = read_any(path, &error);
            if (may_end_here(writers[i].name, n)) {
                assert_int_equal(status, NLSH_OK);
                continue;
            }
            if (status != NLSH_E_DATA || strstr(error.message, writers[i].name) == NULL)
                fail_msg("%s, %zu of %zu bytes: status %d, %s", writers[i].name, n, size,
                         (int)status, status == NLSH_OK ? "" : error.message);
            assert_true(error.hint[0] != '\0');
        }
        free(bytes);
        assert_int_equal(unlink(path), 0);
    }
}

/* A directory, a file that nobody may read, a name that is too long, a link to itself, nothing. */
static void files_that_cannot_be_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        struct nlsh_error error;
        char path[600], below[640], name[5000];
        snprintf(path, sizeof path, "%s", test_path(writers[i].name));
        assert_int_equal(read_any(path, &error), NLSH_E_NO_INPUT);
        assert_non_null(strstr(error.message, path));
        assert_int_equal(mkdir(path, 0777), 0);
        assert_int_not_equal(read_any(path, &error), NLSH_OK);
        assert_non_null(strstr(error.message, "directory"));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(symlink(path, path), 0);
        assert_int_equal(read_any(path, &error), NLSH_E_NO_INPUT);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(writers[i].write(path, &error), NLSH_OK);
        snprintf(below, sizeof below, "%s/%s", path, writers[i].name);
        assert_int_equal(read_any(below, &error), NLSH_E_NO_INPUT); /* no directory leads there */
        assert_int_equal(writers[i].write(below, &error), NLSH_E_CANT_CREATE);
        assert_int_equal(unlink(path), 0);
        memset(name, 'x', sizeof name);
        snprintf(name, sizeof name, "%s", path);
        name[strlen(name)] = '/';
        snprintf(name + sizeof name - 20, 20, "/%s", writers[i].name);
        assert_int_equal(read_any(name, &error), NLSH_E_NO_INPUT);
        if (geteuid() == 0) continue; /* who may read everything */
        assert_int_equal(writers[i].write(path, &error), NLSH_OK);
        assert_int_equal(chmod(path, 0), 0);
        assert_int_not_equal(read_any(path, &error), NLSH_OK);
        assert_int_equal(unlink(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_that_are_full),
        cmocka_unit_test(files_that_end_anywhere),
        cmocka_unit_test(files_that_cannot_be_read),
    };
    signal(SIGXFSZ, SIG_IGN);
    of_bytes = matrix_new(KIND_U8, N, DIM, 5, 12, 1);
    of_signed = matrix_new(KIND_I8, N, DIM, 5, 12, 2);
    of_floats = matrix_new(KIND_F32, N, DIM, 5, 12, 3);
    neighbors.struct_size = sizeof neighbors;
    struct nlsh_error error;
    if (nlsh_graph_build(&of_bytes, NLSH_L2, NLSH_GRAPH_EXACT, K, 1, NULL, &neighbors, &error) !=
        NLSH_OK)
        return 1;
    int failed = cmocka_run_group_tests_name("base/full", tests, NULL, NULL);
    nlsh_neighbors_free(&neighbors);
    matrix_free(&of_bytes);
    matrix_free(&of_signed);
    matrix_free(&of_floats);
    return failed;
}
