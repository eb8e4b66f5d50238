/*
 * test_file.c - maps, streams and directories: what is no file is refused, and nothing waits past a
 * signal.
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
#include "base/file.h"
#include "base/resident.h"
#include "support/scratch.h"

/* ---- maps ------------------------------------------------------------------------------------- */

static void test_map(void **state)
{
    (void)state;
    struct nlsh__map map = {(void *)1, 1};
    struct nlsh_error error;
    const char *path = scratch_path("map");
    static uint8_t bytes[10000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size <= sizeof bytes; size += size < 10 ? 1 : 3330) {
        spit(path, bytes, size);
        assert_int_equal(nlsh__map_open(path, &map, &error), NLSH_OK);
        assert_int_equal(map.size, size);
        if (size == 0)
            assert_null(map.data);
        else
            assert_memory_equal(map.data, bytes, size);
        nlsh__map_close(&map);
        assert_null(map.data);
        assert_int_equal(map.size, 0);
        nlsh__map_close(&map); /* twice is harmless */
    }
}

/* kB that this process had in memory at most. */
static long most_resident(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* What is read stands in memory once, and meanwhile as well. */
static void test_read(void **state)
{
    (void)state;
    enum { SIZE = 64 << 20 };
    struct nlsh__map map;
    struct nlsh_error error;
    const char *path = scratch_path("read");
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (uint8_t)(i * 7 + i / 251);
    spit(path, bytes, SIZE);
    long before = most_resident();
    assert_int_equal(nlsh__map_read(path, &map, &error), NLSH_OK);
    assert_true(most_resident() - before < SIZE / 1024 * 3 / 2);
    assert_int_equal(map.size, SIZE);
    assert_memory_equal(map.data, bytes, SIZE);
    nlsh__map_close(&map);
    spit(path, bytes, 0);
    assert_int_equal(nlsh__map_read(path, &map, &error), NLSH_OK);
    assert_int_equal(map.size, 0);
    assert_int_equal(nlsh__map_read(scratch_path("nothing"), &map, &error), NLSH_E_NO_INPUT);
    free(bytes);
}

/* A file of the kernel's: it is said to have a page, and has a line. */
static void test_read_what_is_shorter(void **state)
{
    static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    struct nlsh__map map = {(void *)1, 1};
    struct nlsh_error error;
    (void)state;
    if (access(path, R_OK) != 0) skip();
    assert_int_equal(nlsh__map_read(path, &map, &error), NLSH_E_IO);
    assert_non_null(strstr(error.message, "became shorter while it was read"));
    assert_null(map.data);
}

static void cannot_map(const char *path, const char *words)
{
    struct nlsh__map map = {(void *)1, 1};
    struct nlsh_error error;
    assert_int_equal(nlsh__map_open(path, &map, &error), NLSH_E_NO_INPUT);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    if (strstr(error.message, words) == NULL) fail_msg("%s: no '%s'", error.message, words);
}

static void test_map_what_is_no_file(void **state)
{
    (void)state;
    cannot_map(scratch_path("nothing"), "No such file");
    cannot_map("", "No such file");
    cannot_map(scratch, "directory");
    cannot_map("/dev/null", "not a regular file");
    assert_int_equal(mkfifo(scratch_path("fifo"), 0666), 0);
    alarm(10); /* a pipe that nobody writes to must not hold us */
    cannot_map(scratch_path("fifo"), "not a regular file");
    alarm(0);
    spit(scratch_path("plain"), "x", 1);
    cannot_map(scratch_path("plain/x"), "Not a directory");
    if (geteuid() == 0) return; /* root may read everything */
    assert_int_equal(chmod(scratch_path("plain"), 0), 0);
    cannot_map(scratch_path("plain"), "Permission denied");
}

/* ---- streams ---------------------------------------------------------------------------------- */

static void nothing(int number)
{
    (void)number;
}

/* Whether the stream gives the text and then its end. */
static void assert_reads(FILE *file, const char *text)
{
    char got[64];
    size_t n = fread(got, 1, sizeof got, file);
    assert_false(ferror(file));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, n);
    fclose(file);
}

static void test_stream(void **state)
{
    (void)state;
    FILE *file = (void *)1;
    int how;
    spit(scratch_path("stream"), "text", 4);
    assert_int_equal(nlsh__stream_open(scratch_path("stream"), &file, NULL), NLSH_OK);
    assert_reads(file, "text");
    assert_int_equal(nlsh__stream_open(scratch, &file, NULL), NLSH_E_NO_INPUT);
    assert_null(file);
    assert_int_equal(nlsh__stream_open(scratch_path("none"), &file, NULL), NLSH_E_NO_INPUT);

    const char *pipe_path = scratch_path("stream-pipe");
    assert_int_equal(mkfifo(pipe_path, 0666), 0);
    alarm(20);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* a writer that comes late and is slow */
        usleep(50000);
        int fd = open(pipe_path, O_WRONLY);
        int good = write(fd, "sl", 2) == 2 && usleep(50000) == 0 && write(fd, "ow", 2) == 2;
        _exit(good ? 0 : 2);
    }
    assert_int_equal(nlsh__stream_open(pipe_path, &file, NULL), NLSH_OK);
    assert_reads(file, "slow");
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    alarm(0);
}

/* Nobody writes to the pipe: a signal ends the wait, though its handler asks for SA_RESTART. */
static void test_stream_and_signal(void **state)
{
    (void)state;
    FILE *file;
    const char *path = scratch_path("silent-pipe");
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART}, old;
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
    pid_t me = getpid(), child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        usleep(100000);
        kill(me, SIGUSR1);
        usleep(10 * 1000000); /* gone before that, unless the signal was of no use */
        kill(me, SIGKILL);
        _exit(0);
    }
    assert_int_equal(nlsh__stream_open(path, &file, NULL), NLSH_OK);
    assert_int_equal(fgetc(file), EOF);
    assert_int_equal(errno, EINTR);
    assert_true(ferror(file));
    fclose(file);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    sigaction(SIGUSR1, &old, NULL);
}

/* ---- directories ------------------------------------------------------------------------------ */

static void test_make_dirs(void **state)
{
    (void)state;
    static const char *const names[] = {"d",   "d",     "d/e/f",    "d//g///h/",
                                        "d/e", "d/./i", "d/../j/k/"};
    struct nlsh_error error;
    struct stat st;
    for (int i = 0; i < 7; i++) {
        const char *path = scratch_path("%s", names[i]);
        if (nlsh__make_dirs(path, &error) != NLSH_OK) fail_msg("%s", error.message);
        assert_int_equal(stat(path, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
    }
    assert_int_equal(nlsh__check_dirs(scratch_path("c/x//y/"), &error), NLSH_OK);
    assert_int_equal(access(scratch_path("c"), F_OK), -1);
    assert_int_equal(nlsh__check_dirs("c", &error), NLSH_OK);
    assert_int_equal(nlsh__check_dirs(".", &error), NLSH_OK);
    assert_int_equal(nlsh__check_dirs("", &error), NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__make_dirs("/", &error), NLSH_OK);
    assert_int_equal(nlsh__make_dirs(".", &error), NLSH_OK);
    assert_int_equal(nlsh__make_dirs("", &error), NLSH_E_CANT_CREATE);
    spit(scratch_path("d/file"), "x", 1);
    assert_int_equal(nlsh__make_dirs(scratch_path("d/file"), &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.hint, "in the way"));
    assert_int_equal(nlsh__make_dirs(scratch_path("d/file/x"), &error), NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__check_dirs(scratch_path("d/file/x"), &error), NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__check_dirs(scratch_path("d/file"), &error), NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.hint, "in the way"));
    assert_int_equal(nlsh__make_dirs("/proc/nlsh/x", &error), NLSH_E_CANT_CREATE);
    assert_int_equal(symlink("d", scratch_path("to-d")), 0);
    assert_int_equal(nlsh__make_dirs(scratch_path("to-d/l"), &error), NLSH_OK);
    assert_int_equal(stat(scratch_path("d/l"), &st), 0);
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
        cmocka_unit_test(test_map),       cmocka_unit_test(test_map_what_is_no_file),
        cmocka_unit_test(test_read),      cmocka_unit_test(test_read_what_is_shorter),
        cmocka_unit_test(test_stream),    cmocka_unit_test(test_stream_and_signal),
        cmocka_unit_test(test_make_dirs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
