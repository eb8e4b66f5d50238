/*
 * fuzz_log.c - the bytes of an index's log, for libFuzzer. The first byte says to which of some small indexes they
 * belong. They are tried as they are and with checksums that are right (tests/support/forge_log.h): opened, searched in
 * every way, verified, written to, compacted. An input that is too short to be anything starts from a true log.
 */
#include <fcntl.h>

#include "../tests/support/forge.h"
#include "../tests/support/forge_log.h"
#include "../tests/support/scratch.h"

#include "live/writer.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int fsync(int fd);
int fdatasync(int fd);

enum { N_BASES = 6, MOST_LOG = 1 << 16 };

static struct base {
    uint8_t *index, *log;
    size_t index_size, log_size;
} bases[N_BASES];

static char index_path[300], log_path[304];

/* No disk is waited for. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static void put_bytes(const char *path, const uint8_t *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) != 0) abort();
}

/* Puts n vectors under keys from first on; NLSH_OK or why not. */
static enum nlsh_status put_rows_at(struct nlsh_writer *w, uint64_t first, size_t n)
{
    static float values[70 * SAMPLE_DIM];
    static uint64_t keys[70];
    struct nlsh_error error;
    const struct nlsh_index *file = nlsh__writer_file(w);
    for (size_t i = 0; i < n; i++) keys[i] = first + i;
    for (size_t i = 0; i < n * SAMPLE_DIM; i++) values[i] = (float)(1 + (i * 37 + first) % 100);
    const struct nlsh_matrix rows = {values, n, file->meta.dim, NLSH_F32, 0};
    enum nlsh_status status = nlsh_writer_put(w, keys, &rows, &error);
    if (status != NLSH_OK && error.message[0] == '\0') abort();
    return status;
}

static void make_base(struct base *b, size_t i)
{
    static const enum nlsh_type types[] = {NLSH_U8, NLSH_F32};
    static struct sample sample;
    const uint64_t gone[] = {3, 1001, 77};
    struct nlsh_writer *w;
    if (i < 2)
        sample_make(&sample, types[i]);
    else if (i < 4)
        sample_make_segments(&sample, types[i - 2]);
    else
        sample_make_metric(&sample, i == 4 ? NLSH_IP : NLSH_COSINE);
    if (nlsh__index_write(index_path, sample.sections, sample.n_sections, NULL) != NLSH_OK) abort();
    (void)unlink(log_path);
    if (nlsh_writer_open(index_path, NULL, &w, NULL) != NLSH_OK) abort();
    if (put_rows_at(w, 1000, 3) != NLSH_OK || put_rows_at(w, 5, 1) != NLSH_OK) abort();
    if (nlsh_writer_delete(w, gone, 3, NULL, NULL) != NLSH_OK) abort();
    if (put_rows_at(w, 1001, 70) != NLSH_OK || put_rows_at(w, 2000, 2) != NLSH_OK) abort();
    if (nlsh_writer_close(w, NULL) != NLSH_OK) abort();
    b->index = slurp(index_path, &b->index_size);
    b->log = slurp(log_path, &b->log_size);
    if (b->index == NULL || b->log == NULL) abort();
}

static void remove_all(void)
{
    scratch_remove();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    scratch_make();
    atexit(remove_all);
    snprintf(index_path, sizeof index_path, "%s/x", scratch);
    snprintf(log_path, sizeof log_path, "%s-log", index_path);
    for (size_t i = 0; i < N_BASES; i++) make_base(&bases[i], i);
    return 0;
}

/* A writer, where it opens, and then what it wrote. */
static void change(struct nlsh__rng *rng)
{
    struct nlsh_writer *w;
    struct nlsh_index *now;
    struct nlsh_error error = {.status = NLSH_OK};
    const uint64_t keys[] = {1, 1002, nlsh__rng_below(rng, 3000)};
    enum nlsh_status status = nlsh_writer_open(index_path, NULL, &w, &error);
    if (status != NLSH_OK) {
        if (w != NULL || error.message[0] == '\0') abort();
        return;
    }
    if (put_rows_at(w, nlsh__rng_below(rng, 3000), 1 + nlsh__rng_below(rng, 69)) == NLSH_OK &&
        nlsh_writer_delete(w, keys, 3, NULL, &error) != NLSH_OK)
        forge_fault(error.message);
    if (nlsh_writer_snapshot(w, &now, NULL) != NLSH_OK) abort();
    forge_use(rng, now);
    nlsh_index_close(now);
    if (nlsh_writer_close(w, &error) != NLSH_OK) forge_fault(error.message);
}

static void compact(struct nlsh__rng *rng)
{
    struct nlsh_compact_options options;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_index *index;
    nlsh_compact_options_init(&options, sizeof options);
    options.drop_damaged = (int)nlsh__rng_below(rng, 2);
    if (nlsh_compact(index_path, &options, &run, NULL, &error) != NLSH_OK) {
        if (error.message[0] == '\0') abort();
        return;
    }
    if (nlsh_index_open(index_path, NULL, &index, &error) != NLSH_OK) forge_fault(error.message);
    forge_use(rng, index);
    nlsh_index_close(index);
}

static void try_log(const struct base *b, const uint8_t *log, size_t size)
{
    struct nlsh__rng rng;
    struct nlsh_index *index = NULL;
    struct nlsh_error error = {.status = NLSH_OK};
    nlsh__rng_init(&rng, nlsh__hash_of(log, size), 0);
    put_bytes(index_path, b->index, b->index_size);
    put_bytes(log_path, log, size);
    enum nlsh_status verified = nlsh_index_verify(index_path, &error);
    if (verified != NLSH_OK && error.message[0] == '\0') abort();
    enum nlsh_status opened = nlsh_index_open(index_path, NULL, &index, &error);
    if (opened != NLSH_OK && (index != NULL || error.message[0] == '\0')) abort();
    if (verified == NLSH_OK && opened != NLSH_OK) abort(); /* verify checks more, not less */
    if (opened == NLSH_OK) forge_use(&rng, index);
    nlsh_index_close(index);
    change(&rng);
    if (nlsh__rng_below(&rng, 3) == 0) compact(&rng);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sealed[MOST_LOG];
    if (size < 1 || size > MOST_LOG) return 0;
    const struct base *b = &bases[data[0] % N_BASES];
    try_log(b, data + 1, size - 1);
    memcpy(sealed, data + 1, size - 1);
    if (forge_log_seal(sealed, size - 1) > 0 && memcmp(sealed, data + 1, size - 1) != 0)
        try_log(b, sealed, size - 1);
    return 0;
}

/* Half of the changes are those of a hostile writer, who knows where numbers stand. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct nlsh__rng rng;
    struct nlsh__record_header h;
    size_t at = 1 + sizeof(struct nlsh__log_header), n = 0;
    nlsh__rng_init(&rng, seed, 0);
    if (size < at) {
        const struct base *b = &bases[seed % N_BASES];
        if (b->log_size + 1 > max_size) return size;
        data[0] = (uint8_t)(seed % N_BASES);
        memcpy(data + 1, b->log, b->log_size);
        return b->log_size + 1;
    }
    if (seed % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
    /* the beginning of a record, or what follows it; now and then the log's header */
    for (size_t wanted = nlsh__rng_below(&rng, 6); n < wanted && size - at >= sizeof h; n++) {
        memcpy(&h, data + at, sizeof h);
        if (h.size > size - at - sizeof h) break;
        at += sizeof h + (size_t)h.size;
    }
    if (n == 0 && nlsh__rng_below(&rng, 4) == 0) {
        forge_change(&rng, data + 1, sizeof(struct nlsh__log_header));
    } else if (size - at >= sizeof h) {
        size_t left = size - at, head = nlsh__rng_below(&rng, 2) ? sizeof h : left;
        forge_change(&rng, data + at, head);
    }
    (void)forge_log_seal(data + 1, size - 1);
    return size;
}
