/* test_fetch.c - nlsh__fetch_add(), nlsh__fetch_all(): what is asked for comes, and nothing else happens. */
#define _GNU_SOURCE
#include "base/fetch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "testing.h"

enum { PAGES = 2000 };

static size_t page;

static uint8_t *map_pages(int *fd)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *block = malloc(page);
    *fd = open(test_path("pages"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(*fd >= 0 && block != NULL);
    for (size_t i = 0; i < PAGES; i++) {
        memset(block, (int)(i % 251), page);
        assert_int_equal(write(*fd, block, page), page);
    }
    free(block);
    assert_int_equal(fsync(*fd), 0);
    uint8_t *map = mmap(NULL, PAGES * page, PROT_READ, MAP_SHARED, *fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(madvise(map, PAGES * page, MADV_RANDOM), 0);
    return map;
}

/* Pages of the file that are in memory; at least the first are waited for, up to 10 s. */
static size_t resident(uint8_t *map, unsigned char *there, size_t wanted)
{
    size_t n = 0;
    for (int i = 0; i < 1000; i++, n = 0) {
        const struct timespec pause = {0, 10 * 1000 * 1000};
        assert_int_equal(mincore(map, PAGES * page, there), 0);
        for (size_t p = 0; p < PAGES; p++) n += there[p] & 1;
        if (n >= wanted) break;
        nanosleep(&pause, NULL);
    }
    return n;
}

/* Every third page, of which half a row is enough; more than go into one call. */
static void what_is_asked_for_comes(void **state)
{
    int fd;
    unsigned char there[PAGES];
    struct nlsh__fetch fetch;
    (void)state;
    uint8_t *map = map_pages(&fd);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    if (resident(map, there, 0) > 0) { /* a file system in memory, as of a container */
        print_message("the system keeps the file in memory\n");
        skip();
    }
    nlsh__fetch_begin(&fetch);
    for (size_t p = 0; p < PAGES; p += 3) nlsh__fetch_add(&fetch, map + p * page + 100, 50);
    nlsh__fetch_all(&fetch);
    assert_int_equal(fetch.n, 0);
    size_t n = resident(map, there, (PAGES + 2) / 3);
    assert_true(n >= (PAGES + 2) / 3);
    for (size_t p = 0; p < PAGES; p += 3) assert_true(there[p] & 1);
    assert_true(n < PAGES); /* no more than that is needed */
    for (size_t p = 0; p < PAGES; p++) assert_int_equal(map[p * page], p % 251);
    munmap(map, PAGES * page);
    close(fd);
}

static void rows_of_a_page_are_asked_for_once(void **state)
{
    struct nlsh__fetch fetch;
    int fd;
    (void)state;
    uint8_t *map = map_pages(&fd);
    nlsh__fetch_begin(&fetch);
    nlsh__fetch_add(&fetch, map + 10, 0);
    assert_int_equal(fetch.n, 0);
    nlsh__fetch_add(&fetch, map + 10, 50);
    nlsh__fetch_add(&fetch, map + 200, 50);
    assert_int_equal(fetch.n, 1);
    nlsh__fetch_add(&fetch, map + page - 10, 50); /* it lies on two */
    assert_int_equal(fetch.n, 2);
    assert_ptr_equal(fetch.of[1].iov_base, map);
    assert_int_equal(fetch.of[1].iov_len, 2 * page);
    nlsh__fetch_all(&fetch);
    nlsh__fetch_all(&fetch);
    munmap(map, PAGES * page);
    nlsh__fetch_add(&fetch, map, page); /* nothing is there any more, and nothing happens */
    nlsh__fetch_all(&fetch);
    assert_int_equal(fetch.n, 0);
    close(fd);
}

/* It pays for a while after a disk was read, and then no more; until one is read again. */
static void it_pays_while_disks_are_read(void **state)
{
    int fd, pays = 0;
    unsigned char there[PAGES];
    (void)state;
    uint8_t *map = map_pages(&fd);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        if (resident(map, there, 0) > PAGES / 2) skip();
        volatile uint8_t sum = 0;
        for (size_t p = 0; p < PAGES; p += 100) sum = (uint8_t)(sum + map[p * page]);
        assert_true(nlsh__fetch_pays());
        pays = 0;
        for (int i = 0; i < 1000; i++) pays += nlsh__fetch_pays();
        assert_true(pays > 10 && pays < 500);
        assert_false(nlsh__fetch_pays());
        assert_int_equal(madvise(map, PAGES * page, MADV_DONTNEED), 0);
    }
    munmap(map, PAGES * page);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_comes),
        cmocka_unit_test(rows_of_a_page_are_asked_for_once),
        cmocka_unit_test(it_pays_while_disks_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
