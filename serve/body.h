/*
 * body.h - what a request asks for: JSON, or vectors as raw f32 with the rest in the URL.
 *
 * A reader of its own, since a general one makes an object of tens of bytes of each number: a body of 16 MB would
 * become hundreds.
 */
#ifndef NLSH_SERVE_BODY_H
#define NLSH_SERVE_BODY_H

#include <stdint.h>

#include "nlsh/nlsh.h"
#include "serve/limits.h"

/* What may be said, as bits of what was said. */
enum nlsh__word {
    NLSH__SAYS_VECTORS = 1, /* "vector" or "vectors" */
    NLSH__SAYS_K = 2,
    NLSH__SAYS_RECALL = 4,
    NLSH__SAYS_PROBES = 8,
    NLSH__SAYS_CAUTIOUS = 16,
    NLSH__SAYS_EXACT = 32,
    NLSH__SAYS_KEYS = 64,
    NLSH__SAYS_ROW = 128
};

struct nlsh__question {
    unsigned said;
    float *vectors; /* [n_vectors x dim]; a raw body's own bytes, or owned */
    size_t n_vectors;
    uint64_t *keys; /* [n_keys] */
    size_t n_keys;
    size_t k, row;
    double recall, probes;
    int cautious, exact;
    int owns_vectors;
};

/* Reads from the URL: the argument of a name, or NULL. */
typedef const char *nlsh__argument_fn(void *user, const char *name);

/* Whether a name, of a member or of an argument, means one of what a request may say. */
int nlsh__body_knows(const char *name, unsigned allows);

/*
 * nlsh__body_json() - an object with members out of "vector", "vectors", "k", "recall", "probes", "cautious",
 * "exact", "keys" and "row".
 *
 *  text    [size], and a NUL behind it
 *  allows  bits of what this request may say
 * NLSH_E_ARG: what is wrong and at which byte; nothing of *out is to be freed then. Vectors have dim values, no value
 * is beyond f32. NLSH_E_NOMEM. Cost: O(size), and 4 bytes of memory a value.
 */
enum nlsh_status nlsh__body_json(const char *text, size_t size, size_t dim, unsigned allows,
                                 const struct nlsh__limits *limits, struct nlsh__question *out,
                                 struct nlsh_error *error);

/* The same of f32 in this machine's order, which are viewed, and the arguments of the URL. */
enum nlsh_status nlsh__body_f32(void *bytes, size_t size, size_t dim, unsigned allows,
                                const struct nlsh__limits *limits, nlsh__argument_fn *argument,
                                void *user, struct nlsh__question *out, struct nlsh_error *error);

void nlsh__question_free(struct nlsh__question *asked);

#endif
