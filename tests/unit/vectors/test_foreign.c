/*
 * test_foreign.c - files of other programs: what they are is said, with the line that converts them;
 * and no more of a compressed file is looked at than decides.
 */
#include "testing.h"

#include <zlib.h>

#include "vectors/parse.h"

static struct nlsh_error error;

static void expect(const char *name, const void *bytes, size_t size, const char *what,
                   const char *hint)
{
    struct nlsh_vectors v;
    assert_int_equal(nlsh__vectors_parse(bytes, size, name, NLSH_FORMAT_AUTO, NULL, &v, &error),
                     NLSH_E_DATA);
    if (strstr(error.message, what) == NULL || strstr(error.hint, hint) == NULL)
        fail_msg("%s: wanted '%s' and '%s', not: %s\n%s", name, what, hint, error.message,
                 error.hint);
    if (strstr(error.hint, name) == NULL) fail_msg("the hint names no %s: %s", name, error.hint);
    size_t length = strlen(error.hint);
    assert_true(length < sizeof error.hint - 1); /* it was not cut */
}

static void each_kind_has_its_line(void **state)
{
    (void)state;
    expect("a.h5", "\x89HDF\r\n\x1a\n\0\0\0\0", 12, "HDF5", "a.h5:train");
    expect("a.hdf5", "\x89HDF\r\n\x1a\n\0\0\0\0", 12, "HDF5", ":test");
    expect("a.fbin", "PK\3\4\0\0\0\0\0\0\0\0\0", 13, "npz", "rename");
    expect("a.parquet", "PAR1\0\0\0\0\0\0", 10, "Parquet", "read_parquet");
    expect("a.fbin.xz", "\3757zXZ\0\0", 7, "xz", "xz -dk a.fbin.xz");
}

/* A name that a shell would take apart, or that is long, is not put into a command. */
static void odd_names_stay_out(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a'; rm -rf x; '.h5", "$(x).h5", "`x`.h5", "a\"b.h5",
        "a-long-name-a-long-name-a-long-name-a-long-name-a-long-name-a-long-name.h5"};
    struct nlsh_vectors v;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(nlsh__vectors_parse((const uint8_t *)"\x89HDF\r\n\x1a\n", 8, names[i],
                                             NLSH_FORMAT_AUTO, NULL, &v, &error),
                         NLSH_E_DATA);
        assert_null(strstr(error.hint, names[i]));
        assert_non_null(strstr(error.hint, "FILE"));
    }
}

/* ---- how much is looked at ------------------------------------------------------------------- */

enum { ZEROS = 256 << 20 };

/* head, and behind it zeros up to ZEROS bytes, gzipped. */
static uint8_t *zeros_behind(const void *head, size_t head_size, size_t *size)
{
    static uint8_t zeros[1 << 20];
    size_t room = 4 << 20;
    uint8_t *out = malloc(room);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = out;
    z.avail_out = (uInt)room;
    z.next_in = (z_const Bytef *)head;
    z.avail_in = (uInt)head_size;
    assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
    for (size_t done = 0; done < ZEROS; done += sizeof zeros) {
        z.next_in = zeros;
        z.avail_in = sizeof zeros;
        assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
    }
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *size = room - z.avail_out;
    deflateEnd(&z);
    return out;
}

static int count_looks(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage, (void)done, (void)total;
    ++*(int *)user;
    return 0;
}

/* A run is looked at every 4 MB: what is told by the first bytes costs one or two looks a pass, not
 * the 64 of the whole stream. Only where IDX's magic number is taken for fvecs' dimension is there a
 * row of 136 MB to go over. */
static void what_decides_is_read_first(void **state)
{
    (void)state;
    static const char *const names[] = {"z.fvecs.gz", "z.bvecs.gz", "z.ivecs.gz", "z.fbin.gz",
                                        "z.u8bin.gz", "z.idx.gz",   "z.npy.gz",   "z"};
    static const uint8_t heads[][12] = {
        {0},
        {2, 0, 0, 0, 1, 0, 0, 0, 1}, /* a row of two values, then one of none */
        {2, 0, 0, 0, 3, 0, 0, 0, 1}, /* two rows of three values, and no more */
        {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3},
    };
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        size_t size;
        uint8_t *bytes = zeros_behind(heads[h], h == 0 ? 0 : sizeof heads[0], &size);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            int n_looks = 0;
            struct nlsh_run run = {.struct_size = sizeof run,
                                   .n_threads = 1,
                                   .progress = count_looks,
                                   .user = &n_looks};
            struct nlsh_vectors v;
            enum nlsh_status status =
                nlsh__vectors_parse(bytes, size, names[i], NLSH_FORMAT_AUTO, &run, &v, &error);
            if (status != NLSH_E_DATA || n_looks > (h == 3 ? 40 : 8))
                fail_msg("head %zu, %s: status %d after %d looks: %s", h, names[i], status, n_looks,
                         error.message);
        }
        free(bytes);
    }
}

static int stop_at_third(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage, (void)done, (void)total;
    return ++*(int *)user == 3;
}

/* Plain and gzipped files, by name and by content, are left when the run says so. */
static void reading_can_be_stopped(void **state)
{
    (void)state;
    const size_t size = (size_t)64 << 20;
    static const uint8_t head[8] = {0, 0, 0, 1, 4};
    uint8_t *plain = calloc(1, size + 8), *packed;
    size_t packed_size;
    memcpy(plain, (uint32_t[2]){1 << 20, 64}, 8);
    packed = zeros_behind(head, sizeof head, &packed_size); /* claims 64 MiB of bytes */
    for (int i = 0; i < 3; i++) {
        int n_looks = 0;
        struct nlsh_run run = {
            .struct_size = sizeof run, .n_threads = 1, .progress = stop_at_third, .user = &n_looks};
        struct nlsh_vectors v;
        enum nlsh_status status =
            i == 0 ? nlsh__vectors_parse(plain, size + 8, "s.u8bin", NLSH_FORMAT_AUTO, &run, &v,
                                         &error)
            : i == 1
                ? nlsh__vectors_parse(packed, packed_size, "s.u8bin.gz", NLSH_FORMAT_AUTO, &run, &v,
                                      &error)
                : nlsh__vectors_parse(packed, packed_size, "s", NLSH_FORMAT_AUTO, &run, &v, &error);
        assert_int_equal(status, NLSH_E_INTERRUPTED);
        assert_int_equal(n_looks, 3);
        assert_null(v.memory);
    }
    free(packed);
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_line),
        cmocka_unit_test(odd_names_stay_out),
        cmocka_unit_test(what_decides_is_read_first),
        cmocka_unit_test(reading_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
