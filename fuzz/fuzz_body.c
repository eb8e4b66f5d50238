/*
 * fuzz_body.c - the reader of requests on any text. What it takes is within its limits, and what it refuses it says
 * something about. The first byte says how the rest is read.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct nlsh__limits limits = {.k = 100, .n_vectors = 8, .n_answers = 800};

static void check(const struct nlsh__question *a, size_t dim, unsigned allows)
{
    if (a->n_vectors > limits.n_vectors || a->k < 1 || a->k > limits.k) abort();
    if ((a->said & ~allows) != 0) abort();
    for (size_t i = 0; i < a->n_keys; i++)
        if (a->keys[i] == NLSH_NO_KEY) abort();
    for (size_t i = 0; i < a->n_vectors * dim; i++)
        if (!isfinite(a->vectors[i])) abort();
}

/* Every argument of the URL is this. */
static const char *argument(void *user, const char *name)
{
    (void)name;
    return user;
}

static void read_raw(char *text, size_t dim, unsigned allows)
{
    struct nlsh__question asked;
    struct nlsh_error error = {0};
    float vectors[32] = {0};
    if (nlsh__body_f32(vectors, dim * sizeof(float), dim, allows, &limits, argument, text, &asked,
                       &error) == NLSH_OK) {
        check(&asked, dim, allows | NLSH__SAYS_VECTORS);
        nlsh__question_free(&asked);
    } else if (error.message[0] == '\0') {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nlsh__question asked;
    struct nlsh_error error = {0};
    if (size == 0) return 0;
    size_t dim = 1 + data[0] % 3;
    unsigned allows = data[0] & 64 ? 255 : data[0] * 7u & 255;
    char *text = malloc(size); /* of exactly that size: a look too far is seen */
    if (text == NULL) return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] & 128) {
        read_raw(text, dim, allows);
    } else if (nlsh__body_json(text, size - 1, dim, allows, &limits, &asked, &error) == NLSH_OK) {
        check(&asked, dim, allows);
        nlsh__question_free(&asked);
    } else if (error.message[0] == '\0') {
        abort();
    }
    free(text);
    return 0;
}
