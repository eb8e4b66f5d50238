/*
 * test_output.c - an output is there whole or not at all, whatever happens on the way and whatever
 * its name; what dead writers left is cleared away, what living ones hold is not.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/output.h"
#include "base/rng.h"
#include "support/scratch.h"

/* ---- helpers ---------------------------------------------------------------------------------- */

static struct nlsh__output *output_new(const char *path)
{
    struct nlsh__output *output;
    struct nlsh_error error;
    if (nlsh__output_open(path, &output, &error) != NLSH_OK) fail_msg("%s", error.message);
    return output;
}

static void put(struct nlsh__output *output, const char *text)
{
    assert_int_equal(nlsh__output_write(output, text, strlen(text), NULL), NLSH_OK);
}

static void assert_holds(const char *path, const char *text)
{
    size_t size = 0;
    uint8_t *bytes = slurp(path, &size);
    if (bytes == NULL) fail_msg("%s is not there", path);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
}

static void write_whole(const char *path, const char *text)
{
    struct nlsh__output *output = output_new(path);
    put(output, text);
    assert_int_equal(nlsh__output_commit(output, NULL), NLSH_OK);
}

static void cannot_open(const char *path)
{
    struct nlsh_error error;
    struct nlsh__output *output = (void *)1;
    assert_int_equal(nlsh__output_open(path, &output, &error), NLSH_E_CANT_CREATE);
    assert_null(output);
    assert_int_equal(error.status, NLSH_E_CANT_CREATE);
    assert_true(error.hint[0] != '\0');
}

/* The exit status of what a child does; it must exit. */
static int in_child(int (*what)(const void *), const void *arg)
{
    int how;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(what(arg));
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

/* ---- whole or not at all ---------------------------------------------------------------------- */

static void test_commit_and_abort(void **state)
{
    (void)state;
    const char *path = scratch_path("atomic");
    struct nlsh__output *output = output_new(path);
    put(output, "one");
    assert_int_equal(access(path, F_OK), -1); /* not before the commit */
    assert_int_equal(scratch_count(".atomic"), 1);
    assert_int_equal(nlsh__output_commit(output, NULL), NLSH_OK);
    assert_holds(path, "one");
    assert_int_equal(scratch_count(".atomic"), 0);

    output = output_new(path);
    put(output, "two");
    assert_holds(path, "one");
    nlsh__output_abort(output);
    assert_holds(path, "one");
    assert_int_equal(scratch_count(".atomic"), 0);
    nlsh__output_abort(NULL);

    write_whole(path, "");
    assert_holds(path, "");
}

/* Pieces of every size around the buffer's, alignment and patches, against a copy in memory. */
static void test_same_as_memory(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    enum { CAPACITY = 24 << 20 };
    uint8_t *expected = calloc(1, CAPACITY), *noise = malloc(4 << 20);
    assert_non_null(expected);
    assert_non_null(noise);
    nlsh__rng_init(&rng, 11, 0);
    for (size_t i = 0; i < (size_t)4 << 20; i++) noise[i] = (uint8_t)nlsh__rng_u64(&rng);
    for (int round = 0; round < 12; round++) {
        static const size_t sizes[] = {
            0, 1, 63, 1000, 1 << 19, 1 << 20, 3 << 20, (1 << 20) - 1, (1 << 20) + 1, 77777};
        const char *path = scratch_path("random");
        struct nlsh__output *output = output_new(path);
        size_t size = 0;
        while (size < (size_t)8 << 20 && nlsh__rng_below(&rng, 40) != 0) {
            size_t n = sizes[nlsh__rng_below(&rng, 10)];
            size_t from = (size_t)nlsh__rng_below(&rng, ((size_t)4 << 20) - n + 1);
            assert_int_equal(nlsh__output_write(output, noise + from, n, NULL), NLSH_OK);
            memcpy(expected + size, noise + from, n);
            size += n;
            if (nlsh__rng_below(&rng, 3) == 0) {
                size_t alignment = (size_t)1 << nlsh__rng_below(&rng, 13);
                assert_int_equal(nlsh__output_align(output, alignment, NULL), NLSH_OK);
                size_t next = (size + alignment - 1) / alignment * alignment;
                memset(expected + size, 0, next - size);
                size = next;
            }
            if (size > 0 && nlsh__rng_below(&rng, 3) == 0) {
                size_t width = (size_t)nlsh__rng_below(&rng, size < 5000 ? size : 5000);
                size_t at = (size_t)nlsh__rng_below(&rng, size - width + 1);
                assert_int_equal(nlsh__output_patch(output, at, noise, width, NULL), NLSH_OK);
                memcpy(expected + at, noise, width);
            }
            assert_true(nlsh__output_offset(output) == size);
        }
        assert_int_equal(nlsh__output_commit(output, NULL), NLSH_OK);
        size_t got_size;
        uint8_t *got = slurp(path, &got_size);
        assert_int_equal(got_size, size);
        assert_true(memcmp(got, expected, size) == 0);
        free(got);
        memset(expected, 0, CAPACITY);
    }
    free(noise);
    free(expected);
}

/* The disk is full at some byte (a limit on the file's size): an error then and ever after, the old
 * content stays, nothing lies about. */
static int write_limited(const void *arg)
{
    const rlim_t bytes = *(const rlim_t *)arg;
    const struct rlimit limit = {bytes, bytes};
    static const uint8_t zeros[1 << 16];
    struct nlsh__output *output;
    struct nlsh_error error;
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    if (nlsh__output_open(scratch_path("limited"), &output, NULL) != NLSH_OK) return 3;
    enum nlsh_status status = NLSH_OK;
    for (int i = 0; i < 50 && status == NLSH_OK; i++) /* 3.2 MB */
        status = nlsh__output_write(output, zeros, sizeof zeros, &error);
    if (status == NLSH_OK) status = nlsh__output_patch(output, 0, zeros, 1, &error);
    if (status != NLSH_E_CANT_CREATE || strstr(error.message, "limited") == NULL) return 4;
    if (nlsh__output_write(output, zeros, 1, NULL) != NLSH_E_CANT_CREATE) return 5;
    if (nlsh__output_patch(output, 0, zeros, 1, NULL) != NLSH_E_CANT_CREATE) return 6;
    return nlsh__output_commit(output, NULL) == NLSH_E_CANT_CREATE ? 0 : 7;
}

static void test_disk_full(void **state)
{
    (void)state;
    static const rlim_t limits[] = {0, 1, 4096, 1 << 20, (1 << 20) + 1, 3 << 20};
    const char *path = scratch_path("limited");
    write_whole(path, "the old one");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(in_child(write_limited, &limits[i]), 0);
        assert_holds(path, "the old one");
        assert_int_equal(scratch_count(".limited"), 0);
    }
    /* a small output that only commit would write */
    struct nlsh_error error;
    struct nlsh__output *output = output_new("/dev/full");
    put(output, "x");
    assert_int_equal(nlsh__output_commit(output, &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.hint, "room"));
}

/* The directory vanishes before the commit. */
static void test_directory_gone(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("gone"), 0777), 0);
    struct nlsh__output *output = output_new(scratch_path("gone/x"));
    put(output, "x");
    scratch_remove_tree(scratch_path("gone"), 0);
    assert_int_equal(nlsh__output_commit(output, NULL), NLSH_E_CANT_CREATE);
}

/* ---- what dead and living writers leave ------------------------------------------------------- */

static int die_half_way(const void *arg)
{
    struct nlsh__output *output;
    if (nlsh__output_open(arg, &output, NULL) != NLSH_OK) return 2;
    if (nlsh__output_write(output, "half", 4, NULL) != NLSH_OK) return 3;
    return 0; /* _exit: neither commit nor abort */
}

static void test_orphans(void **state)
{
    (void)state;
    const char *path = scratch_path("orphan");
    for (int i = 0; i < 2; i++) { /* without and with an old file */
        for (int round = 0; round < 3; round++) {
            assert_int_equal(in_child(die_half_way, path), 0);
            assert_int_equal(scratch_count(".orphan"), 1); /* each clears its predecessor's */
            if (i == 0)
                assert_int_equal(access(path, F_OK), -1);
            else
                assert_holds(path, "whole");
        }
        write_whole(path, "whole");
        assert_int_equal(scratch_count(".orphan"), 0);
    }
}

/* Files that only look a little like ours, and those of other targets, are nobody's to remove. */
static void test_not_orphans(void **state)
{
    (void)state;
    static const char *const names[] = {
        ".near.nlsh-.tmp",     ".near.nlsh-1.tmp",    ".near.nlsh-1-.tmp",    ".near.nlsh-a-0.tmp",
        ".near.nlsh-1-0.tmp2", ".near.nlsh-1-0",      ".nearer.nlsh-1-0.tmp", "near.nlsh-1-0.tmp",
        ".near.bak",           ".near.nlsh--1-0.tmp", "nea.nlsh-1-0.tmp",     ".nea.nlsh-1-0.tmp",
    };
    for (int i = 0; i < 12; i++) spit(scratch_path("%s", names[i]), "x", 1);
    /* of our very form, but no file, or a link: left alone as well */
    assert_int_equal(mkdir(scratch_path(".near.nlsh-1-1.tmp"), 0777), 0);
    assert_int_equal(symlink(scratch_path("near-elsewhere"), scratch_path(".near.nlsh-1-2.tmp")),
                     0);
    spit(scratch_path("near-elsewhere"), "y", 1);
    spit(scratch_path(".near.nlsh-999999999-7.tmp"), "x", 1); /* this one goes */
    write_whole(scratch_path("near"), "whole");
    for (int i = 0; i < 12; i++) assert_holds(scratch_path("%s", names[i]), "x");
    assert_int_equal(access(scratch_path(".near.nlsh-1-1.tmp"), F_OK), 0);
    assert_holds(scratch_path(".near.nlsh-1-2.tmp"), "y");
    assert_int_equal(access(scratch_path(".near.nlsh-999999999-7.tmp"), F_OK), -1);
}

/* Two outputs of one target in one process, and one in another: each has its own file, none
 * removes another's, the last commit wins. */
static int write_beside(const void *path)
{
    struct nlsh__output *output;
    if (nlsh__output_open(path, &output, NULL) != NLSH_OK) return 2;
    if (nlsh__output_write(output, "child", 5, NULL) != NLSH_OK) return 3;
    return nlsh__output_commit(output, NULL) == NLSH_OK ? 0 : 4;
}

static void test_living_writers(void **state)
{
    (void)state;
    const char *path = scratch_path("shared");
    struct nlsh__output *a = output_new(path), *b = output_new(path);
    put(a, "a");
    put(b, "bb");
    assert_int_equal(scratch_count(".shared"), 2);
    assert_int_equal(in_child(write_beside, path), 0);
    assert_holds(path, "child");
    assert_int_equal(scratch_count(".shared"), 2);
    assert_int_equal(nlsh__output_commit(b, NULL), NLSH_OK);
    assert_holds(path, "bb");
    assert_int_equal(nlsh__output_commit(a, NULL), NLSH_OK);
    assert_holds(path, "a");
    assert_int_equal(scratch_count(".shared"), 0);
}

/* Many processes at once: every writer succeeds, and the file is one of theirs, whole. */
static int write_often(const void *arg)
{
    const int me = *(const int *)arg;
    char text[5000];
    memset(text, 'a' + me, sizeof text);
    for (int i = 0; i < 40; i++) {
        struct nlsh__output *output;
        if (nlsh__output_open(scratch_path("race"), &output, NULL) != NLSH_OK) return 2;
        if (nlsh__output_write(output, text, sizeof text, NULL) != NLSH_OK) return 3;
        if (i % 5 == 4)
            nlsh__output_abort(output);
        else if (nlsh__output_commit(output, NULL) != NLSH_OK)
            return 4;
    }
    return 0;
}

static void test_race(void **state)
{
    (void)state;
    enum { N = 6 };
    pid_t children[N];
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) _exit(write_often(&i));
    }
    for (int i = 0; i < N; i++) {
        int how;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), 0);
    }
    size_t size = 0;
    uint8_t *bytes = slurp(scratch_path("race"), &size);
    assert_int_equal(size, 5000);
    for (size_t i = 0; i < size; i++) assert_int_equal(bytes[i], bytes[0]);
    free(bytes);
    assert_int_equal(scratch_count(".race"), 0);
}

/* ---- names and kinds of targets --------------------------------------------------------------- */

static void test_long_names(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 199, 200, 201, 228, 240, 254, 255}; /* 255 is the limit */
    char name[300];
    for (int i = 0; i < 8; i++) {
        size_t n = lengths[i];
        memset(name, 'n', n);
        name[n] = '\0';
        write_whole(scratch_path("%s", name), "long");
        assert_holds(scratch_path("%s", name), "long");
        assert_int_equal(in_child(die_half_way, scratch_path("%s", name)), 0);
        write_whole(scratch_path("%s", name), "longer"); /* finds the orphan of a hashed name too */
        assert_int_equal(scratch_count("."), 0);
        unlink(scratch_path("%s", name));
    }
    memset(name, 'n', 256);
    name[256] = '\0';
    struct nlsh_error error;
    struct nlsh__output *output;
    assert_int_equal(nlsh__output_open(scratch_path("%s", name), &output, &error),
                     NLSH_E_CANT_CREATE); /* now, not at the rename after the work */
    assert_non_null(strstr(error.hint, "shorter"));
}

static void test_odd_names(void **state)
{
    (void)state;
    static const char *const names[] = {" ",        "-rf",       "a b",  ".hidden", "caf\xc3\xa9",
                                        "\xff\xfe", "new\nline", "%s%n", "*",       "..."};
    for (int i = 0; i < 10; i++) {
        const char *path = scratch_path("%s", names[i]);
        write_whole(path, "odd");
        assert_holds(path, "odd");
        unlink(path);
    }
    /* without a directory in front */
    char here[1024];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(scratch), 0);
    write_whole("bare", "bare");
    assert_int_equal(chdir(here), 0);
    assert_holds(scratch_path("bare"), "bare");
}

static void test_no_target(void **state)
{
    (void)state;
    cannot_open("");
    cannot_open(scratch);
    cannot_open(scratch_path("absent/"));
    cannot_open(scratch_path("absent/x"));
    write_whole(scratch_path("file"), "x");
    cannot_open(scratch_path("file/x"));
    cannot_open(scratch_path("file/"));
    assert_int_equal(symlink("loop", scratch_path("loop")), 0);
    cannot_open(scratch_path("loop"));
}

static void test_links_stay(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(mkdir(scratch_path("there"), 0777), 0);
    write_whole(scratch_path("there/real"), "old");
    assert_int_equal(symlink("there/real", scratch_path("link")), 0);
    write_whole(scratch_path("link"), "new");
    assert_int_equal(lstat(scratch_path("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_holds(scratch_path("there/real"), "new");
}

static void test_rights_stay(void **state)
{
    (void)state;
    struct stat st;
    const char *path = scratch_path("private");
    const mode_t old_mask = umask(022);
    write_whole(path, "x");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* a new file: as the user's umask has it */
    assert_int_equal(chmod(path, 0600), 0);
    write_whole(path, "y");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    umask(old_mask);
}

/* "/dev/stdout" must mean the caller's stdout, at its place in it, also where that is a file. */
static int write_stdout(const void *arg)
{
    const int append = *(const int *)arg;
    int fd = open(scratch_path("stdout"), O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0666);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) return 2;
    if (!append && write(STDOUT_FILENO, "before ", 7) != 7) return 3;
    struct nlsh__output *output;
    if (nlsh__output_open("/dev/stdout", &output, NULL) != NLSH_OK) return 4;
    if (nlsh__output_write(output, "data", 4, NULL) != NLSH_OK) return 5;
    enum nlsh_status status = nlsh__output_patch(output, 0, "D", 1, NULL);
    if ((status == NLSH_OK) == append) return 6; /* appending cannot go back, and says so */
    if (!append && nlsh__output_commit(output, NULL) != NLSH_OK) return 7;
    if (append) nlsh__output_abort(output);
    return write(STDOUT_FILENO, " after", 6) == 6 ? 0 : 8;
}

static void test_stdout(void **state)
{
    (void)state;
    struct stat before, after;
    int append = 0;
    assert_int_equal(lstat("/dev/stdout", &before), 0);
    assert_int_equal(in_child(write_stdout, &append), 0);
    assert_holds(scratch_path("stdout"), "before Data after");
    append = 1;
    assert_int_equal(in_child(write_stdout, &append), 0);
    assert_int_equal(lstat("/dev/stdout", &after), 0);
    assert_true(before.st_ino == after.st_ino); /* root could have replaced the link itself */
}

static void test_pipe(void **state)
{
    (void)state;
    struct nlsh_error error;
    char path[64], got[16] = "";
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", fds[1]);
    struct nlsh__output *output = output_new(path);
    put(output, "through");
    assert_int_equal(nlsh__output_commit(output, &error), NLSH_OK);
    assert_int_equal(read(fds[0], got, sizeof got), 7);
    assert_string_equal(got, "through");
    output = output_new(path);
    put(output, "x");
    assert_int_equal(nlsh__output_patch(output, 0, "y", 1, &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "pipe"));
    assert_int_equal(nlsh__output_commit(output, &error), NLSH_E_CANT_CREATE);
    close(fds[0]);
    close(fds[1]);
    cannot_open("/dev/fd/987654"); /* not open */
}

/* Nothing is at the link's end yet: it is made there, and the link stays. */
static void test_dangling_link(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(mkdir(scratch_path("far"), 0777), 0);
    assert_int_equal(symlink("far/hop", scratch_path("dangling")), 0);
    assert_int_equal(symlink(scratch_path("far/end"), scratch_path("far/hop")), 0);
    for (int i = 0; i < 2; i++) {
        write_whole(scratch_path("dangling"), i == 0 ? "new" : "newer");
        assert_int_equal(lstat(scratch_path("dangling"), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_int_equal(lstat(scratch_path("far/hop"), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
        assert_holds(scratch_path("far/end"), i == 0 ? "new" : "newer");
    }
    assert_int_equal(symlink("nowhere/x", scratch_path("to-no-directory")), 0);
    cannot_open(scratch_path("to-no-directory"));
}

static int read_pipe(const void *arg)
{
    char got[8] = "";
    int fd = open(arg, O_RDONLY);
    if (fd < 0) return 2;
    size_t n = 0;
    for (ssize_t more; (more = read(fd, got + n, sizeof got - n)) > 0;) n += (size_t)more;
    return n == 7 && memcmp(got, "through", 7) == 0 ? 0 : 3;
}

/* A named pipe is written to its reader; without one to open it is an error, and no wait. */
static void test_named_pipe(void **state)
{
    (void)state;
    int how;
    struct nlsh_error error;
    struct nlsh__output *output = NULL;
    const char *path = scratch_path("named-pipe");
    assert_int_equal(mkfifo(path, 0666), 0);
    alarm(20);
    assert_int_equal(nlsh__output_open(path, &output, &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "nobody reads"));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(read_pipe(path));
    while (nlsh__output_open(path, &output, &error) != NLSH_OK) usleep(1000);
    put(output, "through");
    assert_int_equal(nlsh__output_commit(output, &error), NLSH_OK);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    alarm(0);
}

/* What is patched or read again is no device and no pipe: that is found out at the beginning. */
static void test_only_regular_files(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh__output *output;
    const char *const paths[] = {"/dev/null", "/dev/full", scratch_path("some-pipe")};
    assert_int_equal(mkfifo(paths[2], 0666), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nlsh__output_open_file(paths[i], &output, &error), NLSH_E_CANT_CREATE);
        assert_null(output);
        assert_non_null(strstr(error.message, "no regular file"));
    }
    assert_int_equal(nlsh__output_open_file(scratch_path("regular"), &output, &error), NLSH_OK);
    nlsh__output_abort(output);
}

/* The check agrees with what opening says, and makes nothing. */
static void test_check(void **state)
{
    (void)state;
    static const char *const names[] = {
        "check-new",  "check/x",    "check-file/x",   "check-file/", "",
        "check-loop", "check-link", "check-bad-link", "check-file",  "check-dir/x"};
    struct nlsh_error error;
    spit(scratch_path("check-file"), "x", 1);
    assert_int_equal(mkdir(scratch_path("check-dir"), 0777), 0);
    assert_int_equal(symlink("check-loop", scratch_path("check-loop")), 0);
    assert_int_equal(symlink("check-dir/y", scratch_path("check-link")), 0);
    assert_int_equal(symlink("check/y", scratch_path("check-bad-link")), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct nlsh__output *output;
        const char *path = names[i][0] ? scratch_path("%s", names[i]) : "";
        enum nlsh_status checked = nlsh__output_check(path, &error);
        assert_int_equal(scratch_count(".check"), 0);
        if (nlsh__output_open(path, &output, &error) != checked) fail_msg("%s: %d", path, checked);
        nlsh__output_abort(output);
    }
    assert_int_equal(nlsh__output_check("/dev/null", &error), NLSH_OK);
    assert_int_equal(nlsh__output_check(scratch_path("check/x"), &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "there is no directory"));
}

/* ---- calls that fail --------------------------------------------------------------------------- */

/* This program's own fstat() and fsync() stand before the C library's: they fail when told to. */
static int fail_fstat, fail_sync_of_directory;

int fstat(int fd, struct stat *st)
{
    if (fail_fstat) {
        errno = EIO;
        return -1;
    }
    return fstatat(fd, "", st, AT_EMPTY_PATH);
}

int fsync(int fd)
{
    struct stat st;
    if (fail_sync_of_directory && fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode)) {
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void test_failed_fstat(void **state)
{
    (void)state;
    struct nlsh__output *output;
    fail_fstat = 1;
    enum nlsh_status status = nlsh__output_open(scratch_path("unseen"), &output, NULL);
    fail_fstat = 0;
    assert_int_equal(status, NLSH_E_CANT_CREATE);
    assert_int_equal(scratch_count(".unseen"), 0);
}

/* The file is there by then: the error says so, and is another one than for a file that is not. */
static void test_failed_sync(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh__output *output = output_new(scratch_path("unsynced"));
    put(output, "there");
    fail_sync_of_directory = 1;
    enum nlsh_status status = nlsh__output_commit(output, &error);
    fail_sync_of_directory = 0;
    assert_int_equal(status, NLSH_E_IO);
    assert_non_null(strstr(error.message, "is written"));
    assert_holds(scratch_path("unsynced"), "there");
}

static int setup(void **state)
{
    (void)state;
    scratch_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_and_abort),
        cmocka_unit_test(test_same_as_memory),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_directory_gone),
        cmocka_unit_test(test_orphans),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_not_orphans),
        cmocka_unit_test(test_living_writers),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_no_target),
        cmocka_unit_test(test_links_stay),
        cmocka_unit_test(test_rights_stay),
        cmocka_unit_test(test_stdout),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_dangling_link),
        cmocka_unit_test(test_named_pipe),
        cmocka_unit_test(test_only_regular_files),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_failed_fstat),
        cmocka_unit_test(test_failed_sync),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
