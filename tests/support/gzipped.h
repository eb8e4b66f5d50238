/* gzipped.h - a file compressed by gzip, for tests. */
#ifndef TESTS_SUPPORT_GZIPPED_H
#define TESTS_SUPPORT_GZIPPED_H

#include <zlib.h>

#include "testing.h"

static inline void gzip(const char *path, const char *to)
{
    size_t size;
    uint8_t *bytes = test_read_file(path, &size);
    gzFile out = gzopen(to, "wb");
    assert_non_null(out);
    assert_int_equal(gzwrite(out, bytes, (unsigned)size), (int)size);
    assert_int_equal(gzclose(out), Z_OK);
    free(bytes);
}

#endif
