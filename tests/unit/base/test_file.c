/* test_file.c - an output appears whole or not at all, and a map shows what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"

static char dir[] = "/tmp/nlsh test file XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static size_t n_entries(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void put(const char *path, const char *text)
{
    struct nlsh__output *output;
    assert_int_equal(nlsh__output_open(path, &output, NULL), NLSH_OK);
    assert_int_equal(nlsh__output_write(output, text, strlen(text), NULL), NLSH_OK);
    assert_int_equal(nlsh__output_commit(output, NULL), NLSH_OK);
}

static void check_holds(const char *path, const void *data, size_t size)
{
    struct nlsh__map map;
    assert_int_equal(nlsh__map_open(path, &map, NULL), NLSH_OK);
    assert_int_equal(map.size, size);
    if (size > 0) assert_memory_equal(map.data, data, size);
    nlsh__map_close(&map);
}

/* Pieces of random sizes, around the buffer's too, come back as one; patches land where they were
 * meant. A copy kept in memory is the judge. */
static void what_is_written_is_read(void **state)
{
    enum { MOST = 5 << 20 };
    (void)state;
    uint8_t *want = malloc(MOST);
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 0);
    for (int round = 0; round < 6; round++) {
        struct nlsh__output *output;
        size_t size = 0;
        assert_int_equal(nlsh__output_open(in_dir("a"), &output, NULL), NLSH_OK);
        for (int piece = 0; piece < 20; piece++) {
            static const size_t bounds[] = {1, 70, 5000, 300000, (1 << 20) + 2};
            size_t n = nlsh__rng_below(&rng, bounds[nlsh__rng_below(&rng, 5)]);
            if (size + n + 64 > MOST) break;
            for (size_t i = 0; i < n; i++) want[size + i] = (uint8_t)nlsh__rng_u64(&rng);
            assert_int_equal(nlsh__output_write(output, want + size, n, NULL), NLSH_OK);
            size += n;
            if (nlsh__rng_below(&rng, 2)) {
                assert_int_equal(nlsh__output_align(output, 64, NULL), NLSH_OK);
                while (size % 64 != 0) want[size++] = 0;
            }
            assert_int_equal(nlsh__output_offset(output), size);
            if (size >= 8) {
                size_t at = nlsh__rng_below(&rng, size - 7);
                memset(want + at, piece, 8);
                assert_int_equal(nlsh__output_patch(output, at, want + at, 8, NULL), NLSH_OK);
            }
        }
        assert_int_equal(nlsh__output_commit(output, NULL), NLSH_OK);
        check_holds(in_dir("a"), want, size);
        assert_int_equal(n_entries(), 1);
    }
    free(want);
    unlink(in_dir("a"));
}

static void the_target_changes_at_commit_only(void **state)
{
    (void)state;
    struct nlsh__output *output;
    put(in_dir("b"), "old");
    assert_int_equal(nlsh__output_open(in_dir("b"), &output, NULL), NLSH_OK);
    assert_int_equal(nlsh__output_write(output, "new", 3, NULL), NLSH_OK);
    check_holds(in_dir("b"), "old", 3);
    nlsh__output_abort(output);
    check_holds(in_dir("b"), "old", 3);
    assert_int_equal(n_entries(), 1);
    put(in_dir("b"), "");
    check_holds(in_dir("b"), "", 0);
    unlink(in_dir("b"));
}

/* A writer that was killed leaves the target alone, and its temporary file goes with the next. */
static void a_killed_writer_leaves_nothing_for_long(void **state)
{
    (void)state;
    put(in_dir("c"), "old");
    put(in_dir(".c.nlsh-note.tmp"), "not ours: no process number"); /* must survive */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct nlsh__output *output;
        if (nlsh__output_open(in_dir("c"), &output, NULL) != NLSH_OK) _exit(1);
        _exit(0); /* as good as kill -9: nothing is cleaned up */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(n_entries(), 3);
    check_holds(in_dir("c"), "old", 3);
    put(in_dir("c"), "new");
    assert_int_equal(n_entries(), 2);
    unlink(in_dir("c"));
    unlink(in_dir(".c.nlsh-note.tmp"));
}

static void failures_name_the_file(void **state)
{
    (void)state;
    struct nlsh__output *output = (void *)&output;
    struct nlsh_error error;
    struct nlsh__map map;
    assert_int_equal(nlsh__output_open(in_dir("none/x"), &output, &error), NLSH_E_CANT_CREATE);
    assert_null(output);
    assert_non_null(strstr(error.message, "none/x"));
    assert_int_equal(nlsh__output_open(dir, &output, &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, dir));
    assert_int_equal(nlsh__map_open(in_dir("none"), &map, &error), NLSH_E_NO_INPUT);
    assert_non_null(strstr(error.message, "none"));
    assert_int_equal(nlsh__map_open(dir, &map, &error), NLSH_E_NO_INPUT);
    assert_int_equal(n_entries(), 0);
}

/* /dev/full takes the open and refuses the bytes: the disk that fills up half-way. */
static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    struct nlsh__output *output;
    struct nlsh_error error;
    if (access("/dev/full", W_OK) != 0) skip();
    assert_int_equal(nlsh__output_open("/dev/full", &output, &error), NLSH_OK);
    assert_int_equal(nlsh__output_write(output, "x", 1, &error), NLSH_OK); /* buffered */
    assert_int_equal(nlsh__output_commit(output, &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "/dev/full"));
    assert_true(strlen(error.hint) > 0);
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* still the device */
}

static void directories_are_made_with_their_parents(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(nlsh__make_dirs(in_dir("p/q//r/"), NULL), NLSH_OK);
    assert_int_equal(nlsh__make_dirs(in_dir("p/q/r"), NULL), NLSH_OK);
    assert_int_equal(stat(in_dir("p/q/r"), &st), 0);
    put(in_dir("p/file"), "x");
    assert_int_equal(nlsh__make_dirs(in_dir("p/file/r"), NULL), NLSH_E_CANT_CREATE);
    unlink(in_dir("p/file"));
    rmdir(in_dir("p/q/r"));
    rmdir(in_dir("p/q"));
    rmdir(in_dir("p"));
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_target_changes_at_commit_only),
        cmocka_unit_test(a_killed_writer_leaves_nothing_for_long),
        cmocka_unit_test(failures_name_the_file),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(directories_are_made_with_their_parents),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
