/*
 * fuzz_index.c - the bytes of an index file, for libFuzzer. Checksums would keep the fuzzer out, so
 * an input is tried as it is and with header and sections made to agree with theirs. What opens is
 * used, and searched in every way (tests/support/forge.h). An input that is too short to be anything
 * starts from a small true index.
 */
#include "../tests/support/forge.h"
#include "../tests/support/scratch.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The ways of searching are drawn by the bytes: an input does the same each time. */
static void try_bytes(const uint8_t *bytes, size_t size)
{
    static volatile uint64_t sink;
    const struct nlsh__map map = sample_copy(bytes, size);
    const struct nlsh__source_of_index source = {.name = "index", .bytes = &map};
    const struct nlsh__source_of_index whole = {.name = "index", .bytes = &map, .whole = 1};
    struct nlsh_index *index;
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, nlsh__hash_of(bytes, size), 0);
    enum nlsh_status verified = nlsh__index_load(&whole, &index, &error);
    if (verified != NLSH_OK && (index != NULL || error.message[0] == '\0')) abort();
    nlsh_index_close(index);
    enum nlsh_status opened = nlsh__index_load(&source, &index, &error);
    if (verified == NLSH_OK && opened != NLSH_OK) abort(); /* verify checks more, not less */
    if (opened == NLSH_OK) sink += sample_use(index);
    (void)sink; /* it is written so that nothing above is left out */
    nlsh_index_close(index);
    if (size > 0 && forge_open(&rng, map.data, size) != (opened == NLSH_OK)) abort();
    free((void *)(uintptr_t)map.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_bytes(data, size);
    if (size < sizeof(struct nlsh__index_header)) return 0;
    uint8_t *sealed = malloc(size);
    if (sealed == NULL) abort();
    memcpy(sealed, data, size);
    memcpy(sealed, NLSH__INDEX_MAGIC, 8);
    sample_seal(sealed, size);
    try_bytes(sealed, size);
    free(sealed);
    return 0;
}

/* A small true index, as the library writes it. */
static size_t true_index(uint8_t *data, size_t max_size, unsigned seed)
{
    static const enum nlsh_type types[] = {NLSH_U8, NLSH_I8, NLSH_F32};
    static struct sample sample;
    if (scratch[0] == '\0') scratch_make();
    const char *path = scratch_path("seed");
    if (seed % 8 < 3)
        sample_make(&sample, types[seed % 8]);
    else if (seed % 8 < 6)
        sample_make_segments(&sample, types[seed % 8 - 3]);
    else if (seed % 16 < 8)
        sample_make_metric(&sample, seed % 8 == 6 ? NLSH_IP : NLSH_COSINE);
    else
        sample_make_scaled(&sample, seed % 8 == 6 ? NLSH_IP : NLSH_COSINE);
    if (nlsh__index_write(path, sample.sections, sample.n_sections, NULL) != NLSH_OK) abort();
    size_t size = 0;
    uint8_t *bytes = slurp(path, &size);
    scratch_remove();
    scratch[0] = '\0';
    if (bytes == NULL) abort();
    if (size > max_size) size = 0;
    memcpy(data, bytes, size);
    free(bytes);
    return size;
}

/* Half of the changes are those of a hostile writer, who knows where numbers stand. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct nlsh__rng rng;
    if (size < sizeof(struct nlsh__index_header)) return true_index(data, max_size, seed);
    if (seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
    nlsh__rng_init(&rng, seed, 0);
    forge_mutate(&rng, data, size);
    return size;
}
