/* test_zip.c - any byte of a small zip file changed, and any beginning of it: an answer inside the file, or an error. */
#include "testing.h"

#include "vectors/zip.h"

static struct nlsh_error error;

/* What `zip` makes of one stored member "x.npy" of 5 bytes, "12345". */
static size_t make(uint8_t *out, int n_members)
{
    uint8_t *at = out, *local = out;
    static const uint8_t sizes[12] = {0, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0}; /* CRC, packed, whole */
    memset(out, 0, 400);
    memcpy(at, "PK\3\4", 4);
    memcpy(at + 14, sizes, 12);
    at[26] = 5;
    memcpy(at + 30, "x.npy12345", 10);
    at += 40;
    uint8_t *directory = at;
    for (int i = 0; i < n_members; i++) {
        memcpy(at, "PK\1\2", 4);
        memcpy(at + 16, sizes, 12);
        at[28] = 5;
        at[42] = (uint8_t)(local - out);
        memcpy(at + 46, "x.npy", 5);
        at += 51;
    }
    memcpy(at, "PK\5\6", 4);
    at[8] = at[10] = (uint8_t)n_members;
    at[12] = (uint8_t)(at - directory);
    at[16] = (uint8_t)(directory - out);
    return (size_t)(at + 22 - out);
}

static enum nlsh_status look(const uint8_t *bytes, size_t size, struct nlsh__zip_member *m)
{
    uint8_t *copy = malloc(size + 1); /* ASan sees a read behind it */
    memcpy(copy, bytes, size);
    enum nlsh_status status = nlsh__zip_only_member(copy, size, "a.npz", m, &error);
    if (status == NLSH_OK) {
        assert_true(m->bytes >= copy && m->bytes + m->size <= copy + size);
        m->bytes = bytes + (m->bytes - copy);
    }
    free(copy);
    return status;
}

static void the_one_member_is_found(void **state)
{
    (void)state;
    uint8_t bytes[400];
    struct nlsh__zip_member m;
    size_t size = make(bytes, 1);
    assert_true(nlsh__is_zip(bytes, size));
    assert_int_equal(look(bytes, size, &m), NLSH_OK);
    assert_int_equal(m.size, 5);
    assert_int_equal(m.deflated, 0);
    assert_memory_equal(m.bytes, "12345", 5);
    bytes[size - 2] = 7; /* a remark of 7 bytes behind the end */
    assert_int_equal(look(bytes, size + 7, &m), NLSH_OK);
}

static void other_files_are_named(void **state)
{
    (void)state;
    uint8_t bytes[400];
    struct nlsh__zip_member m;
    size_t size = make(bytes, 3);
    assert_int_equal(look(bytes, size, &m), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "3 arrays in one file, one is wanted: x.npy, x.npy"));
    size = make(bytes, 0);
    assert_int_equal(look(bytes, size, &m), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "0 arrays"));
    size = make(bytes, 1);
    bytes[40 + 10] = 12; /* bzip2 */
    assert_int_equal(look(bytes, size, &m), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "method 12"));
    memset(bytes + 40 + 20, 0xff, 4);
    assert_int_equal(look(bytes, size, &m), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "4 GiB"));
}

static void damage_is_never_followed(void **state)
{
    (void)state;
    uint8_t bytes[400];
    struct nlsh__zip_member m;
    size_t size = make(bytes, 1);
    for (size_t cut = 0; cut < size; cut++) assert_int_equal(look(bytes, cut, &m), NLSH_E_DATA);
    for (int n_members = 1; n_members <= 2; n_members++) {
        size = make(bytes, n_members);
        for (size_t i = 0; i < size; i++)
            for (unsigned value = 0; value < 256; value++) {
                uint8_t was = bytes[i];
                bytes[i] = (uint8_t)value;
                (void)look(bytes, size, &m); /* look() asserts where the answer lies */
                bytes[i] = was;
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_member_is_found),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(damage_is_never_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
