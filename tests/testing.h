/*
 * testing.h - what the unit tests share: cmocka and what it needs, a directory that goes away, a
 * seed that can be set (NLSH_TEST_SEED) and is printed.
 */
#ifndef NLSH_TESTS_TESTING_H
#define NLSH_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"

/* A sanitizer makes a test several times slower, and so does an emulator: of what is the same again with another number
 * it gets one in three. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || defined NLSH_EMULATED
enum { TEST_STRIDE = 3 };
#else
enum { TEST_STRIDE = 1 };
#endif

static char test_dir_path[256];

static inline void test_dir_remove(void)
{
    char path[512];
    DIR *dir = opendir(test_dir_path);
    if (dir == NULL) return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", test_dir_path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) remove(path);
    }
    closedir(dir);
    rmdir(test_dir_path);
}

/* A directory of this process, made at first use and removed with the files in it at exit. */
static inline const char *test_dir(void)
{
    if (test_dir_path[0] == '\0') {
        const char *parent = getenv("TMPDIR");
        snprintf(test_dir_path, sizeof test_dir_path, "%s/nlsh-test-XXXXXX",
                 parent != NULL && parent[0] != '\0' ? parent : "/tmp");
        assert_non_null(mkdtemp(test_dir_path));
        atexit(test_dir_remove);
    }
    return test_dir_path;
}

/* The path of a file in test_dir(); good until the eighth call after this one. */
static inline const char *test_path(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_dir(), name);
    return path;
}

static inline void test_write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The whole file; freed by the caller. */
static inline uint8_t *test_read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* A stream of the program's seed. */
static inline void test_rng(struct nlsh__rng *rng, uint64_t stream)
{
    static int said;
    const char *value = getenv("NLSH_TEST_SEED");
    uint64_t seed = value != NULL ? strtoull(value, NULL, 0) : 1;
    if (!said) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    said = 1;
    nlsh__rng_init(rng, seed, stream);
}

#endif
