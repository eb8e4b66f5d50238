/* test_hash.c - our XXH3-64 is libxxhash's, for every length and every way of cutting the input. */
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

#include "base/hash.h"
#include "base/rng.h"
#include "testing.h"

enum { LONGEST = 5000 };

static uint8_t *noise(size_t n)
{
    struct nlsh__rng rng;
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    nlsh__rng_init(&rng, 7, 7);
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    return bytes;
}

static void every_length_hashes_as_libxxhash_has_it(void **state)
{
    uint8_t *bytes = noise(LONGEST);
    (void)state;
    for (size_t n = 0; n <= LONGEST; n++)
        assert_int_equal(nlsh__hash_of(bytes, n), XXH3_64bits(bytes, n));
    free(bytes);
}

static void pieces_hash_as_the_whole(void **state)
{
    static const size_t steps[] = {1, 7, 63, 64, 65, 240, 255, 256, 257, 1023, 1024, 1025};
    uint8_t *bytes = noise(LONGEST);
    (void)state;
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        struct nlsh__hash hash;
        nlsh__hash_begin(&hash);
        for (size_t at = 0; at < LONGEST; at += steps[s]) {
            size_t n = LONGEST - at < steps[s] ? LONGEST - at : steps[s];
            nlsh__hash_add(&hash, bytes + at, n);
            assert_int_equal(nlsh__hash_end(&hash), XXH3_64bits(bytes, at + n));
        }
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_hashes_as_libxxhash_has_it),
        cmocka_unit_test(pieces_hash_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
