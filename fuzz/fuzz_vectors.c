/*
 * fuzz_vectors.c - the readers of vector files on any bytes.
 *
 * The first byte picks the format (0: by content) and whether the name says .gz; the rest is the
 * file. What is read must be as large as it says, hash, and become a dataset or a clean error. Block by block it is the
 * same or an error.
 */
#include <stdlib.h>

#include "vectors/dataset.h"
#include "vectors/parse.h"
#include "vectors/source.h"
#include "vectors/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Touches every byte, so that ASan sees a matrix that is smaller than it says. */
static unsigned sum(const struct nlsh_matrix *m)
{
    unsigned total = 0;
    size_t bytes = m->n_rows * m->dim * nlsh__type_size(m->type);
    for (size_t i = 0; i < bytes; i++) total += ((const uint8_t *)m->data)[i];
    return total;
}

/* Where whole is not NULL, its rows in blocks of three. */
static void read_in_blocks(const uint8_t *bytes, size_t size, const char *name,
                           enum nlsh_format format, const struct nlsh_matrix *whole)
{
    struct nlsh_error error = {0};
    struct nlsh_rows rows = {.struct_size = sizeof rows};
    enum nlsh_status status = nlsh__rows_parse(bytes, size, name, format, &rows, &error);
    if (status != NLSH_OK) {
        if (error.status != status || error.message[0] == '\0') abort();
        if (whole != NULL && status != NLSH_E_UNSUPPORTED) abort();
        return;
    }
    if (rows.dim > SIZE_MAX / 64 || rows.dim * 24 > ((size_t)1 << 28)) {
        nlsh_rows_close(&rows);
        return;
    }
    size_t row = rows.dim * nlsh__type_size(rows.type), first = 0;
    uint8_t *block = malloc(3 * row);
    if (block == NULL) abort();
    while (first < rows.n_rows && status == NLSH_OK) {
        size_t n = rows.n_rows - first < 3 ? rows.n_rows - first : 3;
        status = rows.read(rows.user, first, n, block, &error);
        if (status == NLSH_OK && whole != NULL &&
            memcmp(block, (const uint8_t *)whole->data + first * row, n * row) != 0)
            abort();
        first += n;
    }
    if (whole != NULL && (status != NLSH_OK || rows.n_rows != whole->n_rows)) abort();
    free(block);
    nlsh_rows_close(&rows);
}

static void count_word(void *user, const char *word, size_t size)
{
    if (size == 0 || memchr(word, '\n', size) != NULL) abort();
    ++*(size_t *)user;
}

/* Text that is read has a word for each row, or an error. */
static void words_in(const uint8_t *data, size_t size, const char *name, enum nlsh_format format,
                     size_t n_rows)
{
    struct nlsh__opened o;
    struct nlsh_error error = {0};
    size_t n = 0;
    if (nlsh__opened_begin(data, size, name, format, NULL, &o, &error) == NLSH_OK &&
        o.format == NLSH_FORMAT_TEXT &&
        nlsh__text_words(o.source, name, count_word, &n, &error) == NLSH_OK && n != n_rows)
        abort();
    nlsh__source_close(o.source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nlsh_vectors v;
    struct nlsh_error error = {0};
    if (size == 0) return 0;
    enum nlsh_format format = (enum nlsh_format)((data[0] & 0x7f) % (NLSH_FORMAT_TEXT + 1));
    const char *name = data[0] & 0x80 ? "input.gz" : "input";
    enum nlsh_status status =
        nlsh__vectors_parse(data + 1, size - 1, name, format, NULL, &v, &error);
    if (status != NLSH_OK) {
        if (v.memory != NULL || error.status != status || error.message[0] == '\0') abort();
        read_in_blocks(data + 1, size - 1, name, format, NULL);
        return 0;
    }
    if (v.matrix.n_rows == 0 || v.matrix.dim == 0) abort();
    volatile unsigned sink = sum(&v.matrix);
    (void)sink;
    read_in_blocks(data + 1, size - 1, name, format, &v.matrix);
    words_in(data + 1, size - 1, name, format, v.matrix.n_rows);
    struct nlsh__dataset d;
    if (nlsh__dataset_init(&v.matrix, &d, &error) == NLSH_OK) {
        if (d.hash != nlsh_data_hash(&v.matrix)) abort();
        nlsh__dataset_free(&d);
    }
    nlsh__vectors_clear(&v);
    return 0;
}
